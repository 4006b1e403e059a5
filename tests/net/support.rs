//! A real node on a free port with a store in a temporary directory, and objects to send to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use crate::shared::{dcmtk, reference, said};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use radiomicsd::dicom::uid::Uid;
use radiomicsd::dicom::write;
use radiomicsd::dicom::{facts, likeness};
use radiomicsd::net::receive::{NewInstance, Node, serve};
use radiomicsd::net::{AeTitle, NodeSettings};
use radiomicsd::report::{Document, DocumentKind};
use radiomicsd::store::{Durability, Store, StoreSettings};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct Server {
    pub address: SocketAddr,
    pub node: Arc<Node>,
    pub store: Store,
    pub events: mpsc::Receiver<NewInstance>,
    pub directory: TempDir,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

pub fn title(text: &str) -> AeTitle {
    AeTitle::parse(text).unwrap()
}

/// A node called TEST that takes anyone.
pub fn open_settings() -> NodeSettings {
    NodeSettings { accept_unknown_peers: true, ..NodeSettings::new(title("TEST")) }
}

pub fn store_in(directory: &Path, reserve_bytes: u64) -> Store {
    let settings = StoreSettings {
        directory: directory.to_owned(),
        reserve_bytes,
        durability: Durability::Full,
        read_facts: Arc::new(|path| facts::read(path, &[]).map_err(|error| error.to_string())),
        facts_version: String::new(),
        compare: likeness::of,
    };
    Store::open(&settings).unwrap().0
}

impl Server {
    pub async fn start(settings: NodeSettings) -> Self {
        Self::start_with_reserve(settings, 0).await
    }

    pub async fn start_with_reserve(settings: NodeSettings, reserve_bytes: u64) -> Self {
        let directory = TempDir::new().unwrap();
        let store = store_in(directory.path(), reserve_bytes);
        let (on_stored, events) = mpsc::channel(4096);
        let node = Arc::new(Node::new(settings, store.clone(), on_stored));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(listener, Arc::clone(&node), stop.clone()));
        Self { address, node, store, events, directory, stop, served }
    }

    pub fn port(&self) -> String {
        self.address.port().to_string()
    }

    /// Stops the node and waits until every association has ended.
    pub async fn stop(self) -> (Store, mpsc::Receiver<NewInstance>, TempDir) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.served).await.expect("the node drains").unwrap();
        (self.store, self.events, self.directory)
    }

    pub fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Waits until no association is open.
    pub async fn idle(&self) {
        until(|| self.node.counts().open_associations == 0).await;
    }

    /// Files that are left half-written.
    pub fn n_parts(&self) -> usize {
        std::fs::read_dir(self.directory.path().join("incoming")).unwrap().count()
    }

    /// The data set of a stored instance, without preamble and file meta information.
    pub fn data_set(&self, uid: &str) -> Vec<u8> {
        let stored = self.store.instance(&Uid::parse(uid).unwrap()).unwrap().expect("the instance is stored");
        let bytes = std::fs::read(stored.path).unwrap();
        bytes[usize::try_from(stored.data_set_offset).unwrap()..].to_vec()
    }
}

pub async fn until(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "waited for too long");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A CT slice of `n` x `n` pixels whose bytes depend on the number.
pub fn slice(number: u16, n: u16) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let mut text = |tag, vr, value: &str| {
        object.put_str(tag, vr, value);
    };
    text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE);
    text(tags::SOP_INSTANCE_UID, VR::UI, &slice_uid(number));
    text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.1");
    text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.2");
    text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.3");
    text(tags::MODALITY, VR::CS, "CT");
    text(tags::PATIENT_NAME, VR::PN, "Phantom^Network");
    text(tags::PATIENT_ID, VR::LO, "PHANTOM");
    text(tags::STUDY_DATE, VR::DA, "20240102");
    text(tags::STUDY_TIME, VR::TM, "101112");
    text(tags::STUDY_ID, VR::SH, "1");
    text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{number}"));
    text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
    text(tags::PIXEL_SPACING, VR::DS, "1\\1");
    text(tags::SLICE_THICKNESS, VR::DS, "1");
    text(tags::RESCALE_SLOPE, VR::DS, "1");
    text(tags::RESCALE_INTERCEPT, VR::DS, "-1024");
    text(tags::INSTANCE_NUMBER, VR::IS, &number.to_string());
    for (tag, value) in [
        (tags::ROWS, n),
        (tags::COLUMNS, n),
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 1),
    ] {
        write::put_u16s(&mut object, tag, [value]);
    }
    let n_pixels = u32::from(n) * u32::from(n);
    let pixels = (0..n_pixels).flat_map(|i| (u16::try_from(i % 4093).unwrap() ^ number).to_le_bytes()).collect();
    write::put_bytes(&mut object, tags::PIXEL_DATA, VR::OW, pixels);
    object
}

pub fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

/// A slice as a result: a document of this class, called `d` and its number.
pub fn document(number: u16, class: &str) -> Document {
    Document {
        kind: DocumentKind::Sr,
        name: format!("d{number}"),
        study: uid("1.2.3.1"),
        series: uid("1.2.3.2"),
        sop_class: uid(class),
        sop_instance: uid(&slice_uid(number)),
        transfer_syntax: uid(uids::EXPLICIT_VR_LITTLE_ENDIAN),
        bytes: write::part10(&slice(number, 64), uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap(),
    }
}

pub fn slice_uid(number: u16) -> String {
    format!("1.2.3.4.{}", number + 1)
}

/// Its bytes as on the network: the data set in explicit VR little endian.
pub fn data_set_of(object: &InMemDicomObject) -> Vec<u8> {
    let bytes = write::part10(object, uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
    bytes[data_set_offset(&bytes)..].to_vec()
}

pub fn data_set_offset(part10: &[u8]) -> usize {
    let length = u32::from_le_bytes(part10[140..144].try_into().unwrap());
    144 + usize::try_from(length).unwrap()
}

/// Writes Part-10 files of these slices.
pub fn write_slices(directory: &Path, numbers: std::ops::Range<u16>, n: u16) -> Vec<PathBuf> {
    let file = |number| {
        let path = directory.join(format!("{number:04}.dcm"));
        std::fs::write(&path, write::part10(&slice(number, n), uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap()).unwrap();
        path
    };
    numbers.map(file).collect()
}

/// Runs a program off the async threads.
pub async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

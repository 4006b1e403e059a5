//! A store in a temporary directory, and objects whose data set is their facts as JSON.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::dicom::facts::{InstanceFacts, InstanceKind, PatientIdentity};
use crate::dicom::likeness::Likeness;
use crate::dicom::uid::Uid;
use crate::report::{Document, DocumentKind};
use crate::store::part10;
use crate::store::{Digest, Durability, OpenReport, Origin, Store, StoreError, StoreSettings, Stored, StoredInstance};

pub const AE: &str = "SCANNER";

pub fn settings(directory: &Path) -> StoreSettings {
    StoreSettings {
        directory: directory.to_owned(),
        reserve_bytes: 0,
        durability: Durability::Full,
        read_facts: Arc::new(|path| {
            let bytes = fs::read(path).map_err(|error| error.to_string())?;
            let meta = part10::read_meta(path).map_err(|error| error.to_string())?.ok_or("no meta")?;
            let offset = usize::try_from(meta.data_set_offset).map_err(|error| error.to_string())?;
            let text = bytes.get(offset..).unwrap_or_default().split(|byte| *byte == b'\n').next();
            serde_json::from_slice(text.unwrap_or_default()).map_err(|error| error.to_string())
        }),
        facts_version: "1".to_owned(),
        compare: |_, _| Likeness::OtherContent,
    }
}

pub fn open(directory: &Path) -> (Store, OpenReport) {
    Store::open(&settings(directory)).unwrap()
}

pub fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// Instance `1.2.3.<series>.<number>` of series `1.2.3.<series>` of study `1.2.3`.
pub fn facts(series: u32, number: u32) -> InstanceFacts {
    InstanceFacts {
        sop_class: uid("1.2.840.10008.5.1.4.1.1.2"),
        sop_instance: uid(&format!("1.2.3.{series}.{number}")),
        series: uid(&format!("1.2.3.{series}")),
        study: uid("1.2.3"),
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        patient: PatientIdentity::default(),
        modality: "CT".to_owned(),
        kind: InstanceKind::Other,
        frame_of_reference: None,
        made_at: String::new(),
        study_date: String::new(),
        own_product: false,
        attributes: Default::default(),
    }
}

/// The data set of an instance: its facts, then as many bytes as are asked for.
pub fn data_set(facts: &InstanceFacts, filler: u8, n_bytes: usize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(facts).unwrap();
    bytes.push(b'\n');
    bytes.resize(bytes.len() + n_bytes, filler);
    bytes
}

/// Receives an object in pieces, as the network does.
pub fn send(store: &Store, facts: &InstanceFacts, data: &[u8], second: i64) -> Result<Stored, StoreError> {
    let mut incoming = store.begin()?;
    incoming.write_meta(&part10::tests::meta_bytes(AE))?;
    for piece in data.chunks(16_000) {
        incoming.write(piece)?;
    }
    incoming.finish()?;
    incoming.commit(facts.clone(), Origin { calling_ae: AE.to_owned(), received_at: at(second), may_correct: true })
}

/// Everything that is stored, in the order of receipt, with each file's data set checked against its digest.
pub fn contents(store: &Store) -> Vec<StoredInstance> {
    let mut all = Vec::new();
    store.for_each_instance(&mut |instance| all.push(instance)).unwrap();
    for instance in &all {
        let bytes = fs::read(&instance.path).unwrap();
        assert_eq!(bytes.len() as u64, instance.size);
        let offset = usize::try_from(instance.data_set_offset).unwrap();
        assert_eq!(Digest::of(&bytes[offset..]), instance.digest);
    }
    all
}

/// What a killed process leaves: the directory as it is now, without a last word. Times of modification stay.
pub fn image_of(directory: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().flatten() {
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), &target).unwrap();
                let modified = entry.metadata().unwrap().modified().unwrap();
                fs::File::options().write(true).open(&target).unwrap().set_modified(modified).unwrap();
            }
        }
    }
    let image = tempfile::tempdir().unwrap();
    copy(directory, image.path());
    image
}

pub fn n_files(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries.flatten().map(|entry| if entry.path().is_dir() { n_files(&entry.path()) } else { 1 }).sum()
}

pub fn document(name: &str, number: u32, bytes: &[u8]) -> Document {
    Document {
        kind: DocumentKind::Sr,
        name: name.to_owned(),
        study: uid("1.2.3"),
        series: uid("1.2.3.99"),
        sop_class: uid("1.2.840.10008.5.1.4.1.1.88.34"),
        sop_instance: uid(&format!("2.25.{number}")),
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        bytes: bytes.to_vec(),
    }
}

//! dcmtk's `dcmqrscp` as the archive: what it was sent it finds, and gives back as it was.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

use dicom_dictionary_std::{tags, uids};
use radiomicsd::dicom::attributes::text;
use radiomicsd::dicom::part10::{Keep, Part10};
use radiomicsd::dicom::write::part10;

use super::node::{Daemon, collect, quick_protocol, wait_for};
use super::pacs::free_port;
use super::patient::{Patient, dcmsend};
use super::shared::{dcmtk, run};

struct Archive {
    child: Child,
    port: u16,
    /// Where what is moved goes.
    mover: u16,
    _directory: tempfile::TempDir,
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Archive {
    fn start() -> Option<Self> {
        let mut dcmqrscp = dcmtk("dcmqrscp")?;
        let directory = tempfile::tempdir().unwrap();
        let (port, mover) = (free_port(), free_port());
        let files = directory.path().join("files");
        std::fs::create_dir(&files).unwrap();
        let configuration = format!(
            "NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n\
             HostTable BEGIN\nmover = (MOVER, 127.0.0.1, {mover})\nHostTable END\n\
             VendorTable BEGIN\nVendorTable END\n\
             AETable BEGIN\nARCHIVE {} RW (200, 1024mb) ANY\nAETable END\n",
            files.display()
        );
        let file = directory.path().join("dcmqrscp.cfg");
        std::fs::write(&file, configuration).unwrap();
        dcmqrscp.arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let child = dcmqrscp.spawn().unwrap();
        wait_for("dcmqrscp", || TcpStream::connect(("127.0.0.1", port)).ok());
        Some(Self { child, port, mover, _directory: directory })
    }

    /// What it answers to a query for one instance.
    fn find(&self, study: &str, series: &str, instance: &str) -> String {
        let mut findscu = dcmtk("findscu").unwrap();
        findscu.args(["-v", "-S", "-aet", "MOVER", "-aec", "ARCHIVE", "-k", "QueryRetrieveLevel=IMAGE"]);
        for (keyword, uid) in [("StudyInstanceUID", study), ("SeriesInstanceUID", series), ("SOPInstanceUID", instance)]
        {
            findscu.args(["-k", &format!("{keyword}={uid}")]);
        }
        run(with_port(findscu, self.port))
    }

    /// Moves a study into a folder.
    fn move_study(&self, study: &str, to: &Path) {
        let mut movescu = dcmtk("movescu").unwrap();
        movescu.args(["-S", "-aet", "MOVER", "-aem", "MOVER", "-aec", "ARCHIVE", "-k", "QueryRetrieveLevel=STUDY"]);
        movescu.args(["-k", &format!("StudyInstanceUID={study}"), "--port", &self.mover.to_string(), "-od"]);
        movescu.arg(to);
        run(with_port(movescu, self.port));
    }
}

fn with_port(mut command: std::process::Command, port: u16) -> std::process::Command {
    command.args(["127.0.0.1", &port.to_string()]);
    command
}

/// The data set in one encoding, whatever the lengths of its sequences were.
fn content(file: &Path) -> Vec<u8> {
    part10(&Part10::open(file, Keep::All).unwrap().object, uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
}

#[test]
fn what_an_archive_was_sent_it_finds_and_moves_back_unchanged() {
    let Some(archive) = Archive::start() else { return };
    let destination = format!("[[destination]]\nae_title = \"ARCHIVE\"\naddress = \"127.0.0.1:{}\"\n", archive.port);
    let daemon = Daemon::start(&format!("{}\n{destination}", quick_protocol()));
    dcmsend(&daemon, &Patient::tiny().all());
    let case = daemon.wait_for_state("done");
    wait_for("delivery", || (daemon.metric("radiomicsd_deliveries_total{outcome=\"sent\"}") == 4).then_some(()));
    let mut made = Vec::new();
    collect(&daemon.result(&case, 1), &mut made);
    made.retain(|path| path.extension().is_some_and(|extension| extension == "dcm"));
    // Of the report there is one in each class, of which the archive gets the first that it takes.
    let is_other_class = |path: &std::path::PathBuf| {
        let class = Part10::open(path, Keep::All).unwrap().object;
        let class = text(&class, tags::SOP_CLASS_UID);
        [uids::COMPREHENSIVE_SR_STORAGE, uids::ENHANCED_SR_STORAGE].contains(&class.as_str())
    };
    made.retain(|path| !is_other_class(path));
    assert_eq!(made.len(), 4);
    let mut studies = std::collections::BTreeSet::new();
    for file in &made {
        let object = Part10::open(file, Keep::All).unwrap().object;
        let [study, series, instance] =
            [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID].map(|tag| text(&object, tag));
        let answer = archive.find(&study, &series, &instance);
        assert!(answer.matches("Pending").count() == 1 && answer.contains(&instance), "{answer}");
        studies.insert(study);
    }
    let back = tempfile::tempdir().unwrap();
    for study in &studies {
        archive.move_study(study, back.path());
    }
    let mut moved = Vec::new();
    collect(back.path(), &mut moved);
    let sorted = |files: &[std::path::PathBuf]| {
        let mut contents: Vec<Vec<u8>> = files.iter().map(|file| content(file)).collect();
        contents.sort();
        contents
    };
    assert!(sorted(&made) == sorted(&moved), "{} were made, {} came back", made.len(), moved.len());
}

//! dcmtk's `dcmqrscp` as the archive: what it was sent it finds, and gives back as it was.

use std::path::Path;

use dicom_dictionary_std::{tags, uids};
use radiomicsd::dicom::attributes::text;
use radiomicsd::dicom::part10::{Keep, Part10};
use radiomicsd::dicom::write::part10;

use super::node::{Daemon, collect, quick_protocol, wait_for};
use super::patient::{Patient, dcmsend};
use super::shared::archive::Archive;
use super::shared::{dcmtk, free_port, run};

/// Who asks the archive, and whom it moves to.
const MOVER: &str = "MOVER";

/// What it answers to a query for one instance.
fn find(archive: &Archive, study: &str, series: &str, instance: &str) -> String {
    let mut findscu = dcmtk("findscu").unwrap();
    findscu.args(["-v", "-S", "-aet", MOVER, "-aec", "ARCHIVE", "-k", "QueryRetrieveLevel=IMAGE"]);
    for (keyword, uid) in [("StudyInstanceUID", study), ("SeriesInstanceUID", series), ("SOPInstanceUID", instance)] {
        findscu.args(["-k", &format!("{keyword}={uid}")]);
    }
    findscu.args(["127.0.0.1", &archive.port.to_string()]);
    run(findscu)
}

/// Moves a study into a folder, by way of this port.
fn move_study(archive: &Archive, mover_port: u16, study: &str, to: &Path) {
    let mut movescu = dcmtk("movescu").unwrap();
    movescu.args(["-S", "-aet", MOVER, "-aem", MOVER, "-aec", "ARCHIVE", "-k", "QueryRetrieveLevel=STUDY"]);
    movescu.args(["-k", &format!("StudyInstanceUID={study}"), "--port", &mover_port.to_string(), "-od"]);
    movescu.arg(to).args(["127.0.0.1", &archive.port.to_string()]);
    run(movescu);
}

/// The data set in one encoding, whatever the lengths of its sequences were.
pub fn content(file: &Path) -> Vec<u8> {
    part10(&Part10::open(file, Keep::All).unwrap().object, uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
}

#[test]
fn what_an_archive_was_sent_it_finds_and_moves_back_unchanged() {
    let mover_port = free_port();
    let Some(archive) = Archive::start(MOVER, mover_port) else { return };
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
        let answer = find(&archive, &study, &series, &instance);
        assert!(answer.matches("Pending").count() == 1 && answer.contains(&instance), "{answer}");
        studies.insert(study);
    }
    let back = tempfile::tempdir().unwrap();
    for study in &studies {
        move_study(&archive, mover_port, study, back.path());
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

//! What was rejected goes: from the store, the cases, the cohort; and its results are taken back.

use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use radiomicsd::clock;
use radiomicsd::dicom::attributes;
use radiomicsd::dicom::part10::{Keep, Part10};
use radiomicsd::dicom::rejection::{self, RejectionNote, RejectionReason};
use radiomicsd::report::{Rejected, Rejecting, rejection_note};

use super::node::{Daemon, PROTOCOL, wait_for};
use super::pacs::Pacs;
use super::patient::{Patient, dcmsend};
use super::shared::said;

/// The rejection notes that the PACS got.
fn notes(pacs: &Pacs) -> Vec<RejectionNote> {
    let files = pacs.files();
    files.iter().filter_map(|file| rejection::read(&Part10::open(file, Keep::All).unwrap().object)).collect()
}

fn series_of(file: &Path) -> String {
    attributes::text(&Part10::open(file, Keep::Facts).unwrap().object, tags::SERIES_INSTANCE_UID)
}

/// A note as a PACS would send it, about these files.
fn note_about(files: &[PathBuf], reason: RejectionReason, to: &Path) -> PathBuf {
    let objects: Vec<_> = files.iter().map(|file| Part10::open(file, Keep::Facts).unwrap().object).collect();
    let uid = |object, tag| attributes::required_uid(object, tag).unwrap();
    let rejected: Vec<Rejected> = objects
        .iter()
        .map(|object| Rejected {
            series: uid(object, tags::SERIES_INSTANCE_UID),
            sop_class: uid(object, tags::SOP_CLASS_UID),
            sop_instance: uid(object, tags::SOP_INSTANCE_UID),
        })
        .collect();
    let rejecting = Rejecting { reason, installation: "the PACS", at: clock::now(), utc_offset_s: 0 };
    let study = uid(&objects[0], tags::STUDY_INSTANCE_UID);
    let note = rejection_note(&rejecting, &objects[0], &study, &rejected).unwrap();
    let path = to.join("note.dcm");
    std::fs::write(&path, note.bytes).unwrap();
    path
}

#[test]
fn a_series_that_is_rejected_by_hand_takes_its_case_and_its_results_with_it_and_stays_out() {
    let Some(pacs) = Pacs::start() else { return };
    let patient = Patient::tiny();
    let waits = "series_settle = \"300ms\"\ncase_settle = \"700ms\"\ncase_deadline = \"3s\"";
    let protocol = PROTOCOL.replace("reference = \"CT\"", "reference = \"CT\"\nat_deadline = \"park\"");
    let mut daemon = Daemon::start_with(waits, &format!("{protocol}\n{}", pacs.destination()));
    dcmsend(&daemon, &patient.all());
    let case = daemon.wait_for_state("done");
    pacs.wait_for_reports(1);
    let sent = pacs.files();
    let pet = patient.series("PT");
    let output = daemon.ask(&["reject", &series_of(&pet[0]), "--reason", "safety"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains(&format!("{} instances are withdrawn", pet.len())), "{}", said(&output));
    let parked = daemon.wait_for_state("parked");
    assert_eq!(parked["id"], case["id"]);
    // Everything that was sent is taken back, for the same reason.
    let notes = wait_for("the note", || Some(notes(&pacs)).filter(|notes| !notes.is_empty()));
    assert_eq!(notes[0].reason, RejectionReason::PatientSafety);
    assert_eq!(notes[0].instances.len(), sent.len());
    assert_eq!(daemon.files("withdrawn").len(), pet.len());
    // It comes again, also after a restart, and changes nothing.
    dcmsend(&daemon, &pet);
    daemon.kill();
    daemon.run();
    dcmsend(&daemon, &pet);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(daemon.wait_for_state("parked")["revision"], 1);
    assert_eq!(daemon.cases().len(), 1);
    let output = daemon.ask(&["reject", "1.2.3.4"]);
    assert!(!output.status.success() && said(&output).contains("nothing of that is stored"), "{}", said(&output));
}

#[test]
fn a_rejection_note_of_the_pacs_makes_the_next_revision_without_what_it_names() {
    let Some(pacs) = Pacs::start() else { return };
    let patient = Patient::tiny();
    let mut daemon = Daemon::start(&format!("{PROTOCOL}\n{}", pacs.destination()));
    dcmsend(&daemon, &patient.all());
    daemon.wait_for_state("done");
    let before = pacs.wait_for_reports(1);
    let n_inputs = |daemon: &Daemon, id: &str| {
        let output = daemon.ask(&["case", id, "--json"]);
        let detail: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        detail["inputs"].as_array().unwrap().len()
    };
    let folder = tempfile::tempdir().unwrap();
    let note = note_about(&patient.series("MR"), RejectionReason::Quality, folder.path());
    dcmsend(&daemon, &[note]);
    let case = daemon.wait_for_case("revision 2", |case| case["revision"] == 2 && case["state"] == "done");
    assert_eq!(n_inputs(&daemon, case["id"].as_str().unwrap()), 2);
    pacs.wait_for_reports(before.len() + 1);
    let notes = wait_for("the note", || Some(notes(&pacs)).filter(|notes| !notes.is_empty()));
    assert_eq!((notes.len(), notes[0].reason), (1, RejectionReason::Quality));
    // A restart applies the note again and makes nothing of it.
    daemon.kill();
    daemon.run();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(daemon.wait_for_state("done")["revision"], 2);
}

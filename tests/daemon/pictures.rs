//! Pictures, the summary and the key objects go to a PACS as any other result does: once, and as they were made.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dicom_dictionary_std::{tags, uids};
use radiomicsd::dicom::attributes::text;
use radiomicsd::dicom::part10::{Keep, Part10};
use serde_json::Value;

use super::archive::content;
use super::node::{Daemon, collect, quick_protocol, wait_for};
use super::pacs::Pacs;
use super::patient::{Patient, dcmsend};
use super::shared::{dcmtk, encapsulated, poppler, run, validators};

fn deliveries(daemon: &Daemon, case: &Value) -> Vec<Value> {
    let output = daemon.ask(&["case", case["id"].as_str().unwrap(), "--json"]);
    let detail: Value = serde_json::from_slice(&output.stdout).unwrap();
    detail["deliveries"].as_array().unwrap().clone()
}

/// Files by the class and the instance in them.
fn by_instance(files: Vec<PathBuf>) -> BTreeMap<(String, String), PathBuf> {
    let of = |file: PathBuf| {
        let object = Part10::open(&file, Keep::Facts).unwrap().object;
        ((text(&object, tags::SOP_CLASS_UID), text(&object, tags::SOP_INSTANCE_UID)), file)
    };
    files.into_iter().map(of).collect()
}

#[test]
fn pictures_the_summary_and_key_objects_arrive_once_as_they_were_made_and_other_programs_open_them() {
    let Some(pacs) = Pacs::start() else { return };
    let send = "send = [\"sr\", \"seg\", \"picture\", \"pdf\", \"key-objects\"]\nsr_classes = [\"comprehensive\"]\n";
    let daemon = Daemon::start(&format!("{}\n{}{send}", quick_protocol(), pacs.destination()));
    dcmsend(&daemon, &Patient::tiny().all());
    let case = daemon.wait_for_state("done");
    let sent = wait_for("delivery", || {
        let all = deliveries(&daemon, &case);
        (!all.is_empty() && all.iter().all(|one| one["state"] == "sent")).then_some(all)
    });
    let mut made = Vec::new();
    collect(&daemon.result(&case, 1), &mut made);
    made.retain(|path| path.extension().is_some_and(|extension| extension == "dcm"));
    let (made, came) = (by_instance(made), by_instance(pacs.files()));
    assert!(made.keys().eq(came.keys()), "{made:?} {came:?}");
    wait_for("the last line", || (made.len() <= pacs.n_received()).then_some(()));
    assert_eq!((sent.len(), pacs.n_received()), (made.len(), made.len()), "each once");
    for (of_made, of_came) in made.values().zip(came.values()) {
        assert!(content(of_made) == content(of_came), "{}", of_made.display());
    }
    let of = |class: &str| -> Vec<&PathBuf> {
        came.iter().filter(|((found, _), _)| found == class).map(|(_, file)| file).collect()
    };
    let counts = [
        uids::COMPREHENSIVE_SR_STORAGE,
        uids::SEGMENTATION_STORAGE,
        uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
        uids::ENCAPSULATED_PDF_STORAGE,
        uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
    ]
    .map(|class| of(class).len());
    assert_eq!(counts, [1, 3, 2, 1, 1]);
    if let Some(tools) = validators::tools() {
        came.values().for_each(|file| validators::dciodvfy(&tools, file));
    }
    let folder = tempfile::tempdir().unwrap();
    for file in of(uids::SECONDARY_CAPTURE_IMAGE_STORAGE) {
        let Some(mut dcmj2pnm) = dcmtk("dcmj2pnm") else { continue };
        let picture = folder.path().join("picture.ppm");
        dcmj2pnm.arg(file).arg(&picture);
        run(dcmj2pnm);
        assert!(std::fs::read(&picture).unwrap().starts_with(b"P6"), "a picture in colour");
    }
    for file in of(uids::ENCAPSULATED_PDF_STORAGE) {
        let pdf = folder.path().join("summary.pdf");
        std::fs::write(&pdf, encapsulated(&Part10::open(file, Keep::All).unwrap().object)).unwrap();
        let Some(rendered) = poppler("pdftoppm", &["-r", "50", "-gray"], &pdf) else { continue };
        assert!(rendered.starts_with("P5"), "no page was rendered");
    }
}

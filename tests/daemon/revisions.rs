//! What comes after a result: another revision of the same case, never a second unrelated one.

use dicom_dictionary_std::tags;
use radiomicsd::dicom::attributes;
use radiomicsd::phantom::{Drawing, PhantomSettings};

use super::node::{Daemon, PROTOCOL};
use super::pacs::Pacs;
use super::patient::{Patient, dcmsend};
use super::shared::{dcmtk, run};

/// The tiny patient with a second structure set, drawn an hour later.
fn twice_drawn() -> PhantomSettings {
    let mut settings = PhantomSettings::tiny();
    settings.drawings.push(Drawing { minutes_later: 300, ..Drawing::default() });
    settings
}

#[test]
fn a_newer_structure_set_makes_revision_two_which_names_its_predecessor() {
    let Some(pacs) = Pacs::start() else { return };
    let patient = Patient::new(&twice_drawn());
    let mut daemon = Daemon::start(&format!("{PROTOCOL}\n{}", pacs.destination()));
    let first: Vec<_> = ["CT", "PT", "MR", "RTSTRUCT1"].iter().flat_map(|name| patient.series(name)).collect();
    dcmsend(&daemon, &first);
    daemon.wait_for_state("done");
    let before = pacs.wait_for_reports(1);
    // A restart in between forgets nothing.
    daemon.kill();
    daemon.run();
    dcmsend(&daemon, &patient.series("RTSTRUCT2"));
    daemon.wait_for_case("revision 2", |case| case["revision"] == 2 && case["state"] == "done");
    let reports = pacs.wait_for_reports(2);
    let newer = reports.iter().find(|report| report.path != before[0].path).unwrap();
    assert_eq!(newer.text(tags::SERIES_INSTANCE_UID), before[0].text(tags::SERIES_INSTANCE_UID));
    assert_ne!(newer.text(tags::SOP_INSTANCE_UID), before[0].text(tags::SOP_INSTANCE_UID));
    let study = attributes::first_item(&newer.part10.object, tags::PREDECESSOR_DOCUMENTS_SEQUENCE).unwrap();
    let series = attributes::first_item(study, tags::REFERENCED_SERIES_SEQUENCE).unwrap();
    let instance = attributes::first_item(series, tags::REFERENCED_SOP_SEQUENCE).unwrap();
    let predecessor = attributes::text(instance, tags::REFERENCED_SOP_INSTANCE_UID);
    assert_eq!(predecessor, before[0].text(tags::SOP_INSTANCE_UID));
    assert_eq!(daemon.cases().len(), 1);
}

#[test]
fn the_same_instances_again_make_no_revision() {
    let Some(pacs) = Pacs::start() else { return };
    let patient = Patient::tiny();
    let mut daemon = Daemon::start(&format!("{PROTOCOL}\n{}", pacs.destination()));
    dcmsend(&daemon, &patient.all());
    daemon.wait_for_state("done");
    dcmsend(&daemon, &patient.all());
    daemon.kill();
    daemon.run();
    dcmsend(&daemon, &patient.all());
    std::thread::sleep(std::time::Duration::from_secs(3));
    let cases = daemon.cases();
    assert_eq!((cases.len(), &cases[0]["revision"], &cases[0]["state"]), (1, &1.into(), &"done".into()));
    assert_eq!(pacs.reports().len(), 1);
}

#[test]
fn a_corrected_header_makes_a_revision_and_another_encoding_makes_none() {
    let Some(mut dcmodify) = dcmtk("dcmodify") else { return };
    let Some(pacs) = Pacs::start() else { return };
    let patient = Patient::tiny();
    let peer = "[[dicom.peer]]\nae_title = \"SCANNER\"\ncorrections = \"replace\"\n";
    let mut daemon = Daemon::start(&format!("{peer}{PROTOCOL}\n{}", pacs.destination()));
    dcmsend(&daemon, &patient.all());
    daemon.wait_for_state("done");
    let stored = daemon.files("instances");

    let directory = tempfile::tempdir().unwrap();
    let implicit: Vec<_> = patient
        .series("CT")
        .iter()
        .map(|file| {
            let other = directory.path().join(file.file_name().unwrap());
            let mut dcmconv = dcmtk("dcmconv").unwrap();
            dcmconv.arg("+ti").arg(file).arg(&other);
            run(dcmconv);
            other
        })
        .collect();
    dcmsend(&daemon, &implicit);
    assert_eq!(daemon.files("instances"), stored);
    assert_eq!(daemon.files("conflicts").len(), 0);

    dcmodify.args(["-nb", "-i", "(0008,103e)=corrected"]).args(&implicit);
    run(dcmodify);
    dcmsend(&daemon, &implicit);
    let corrected = daemon.metric("radiomicsd_instances_received_total{outcome=\"corrected\"}");
    assert_eq!(usize::try_from(corrected), Ok(implicit.len()));
    // Also where the process ends before it has grouped anew.
    daemon.kill();
    daemon.run();
    daemon.wait_for_case("revision 2", |case| case["revision"] == 2 && case["state"] == "done");
    pacs.wait_for_reports(2);
    assert_eq!(daemon.files("instances").len(), stored.len());
    assert_eq!(daemon.files("conflicts").len(), implicit.len(), "what was replaced is kept");
    assert_eq!(daemon.cases().len(), 1);
}

//! The whole path: from senders to the reports that a PACS gets.

use std::path::Path;
use std::process::Command;

use dicom_dictionary_std::tags;
use radiomicsd::phantom::{PhantomSettings, Scan, Truth};
use serde_json::Value;

use super::node::{Daemon, PROTOCOL};
use super::pacs::{Pacs, Report};
use super::patient::{Patient, dcmsend, storescu, with_files};
use super::shared::{dcmtk, pynetdicom, run};

fn daemon_for(pacs: &Pacs) -> Daemon {
    Daemon::start(&format!("{PROTOCOL}\n{}", pacs.destination()))
}

/// The native volume (IBSI RNU0) and mean (Q4LE) of every role agree with what the patient was made with, in the table of the
/// result and, number by number, in the report.
fn assert_truth(report: &Report, table: &Path, truth: &Truth) {
    let lesion = &truth.lesions[0];
    let value = |role: &str, tag: &str| -> f64 {
        let mut rows = csv::Reader::from_path(table).unwrap();
        let columns = rows.headers().unwrap().clone();
        let column = |name: &str| columns.iter().position(|column| column == name).unwrap();
        let wanted = [("role", role), ("space", "native"), ("tag", tag), ("lesion", "1"), ("filter", "none")];
        let mut found = rows
            .records()
            .map(Result::unwrap)
            .filter(|row| wanted.iter().all(|(name, expected)| &row[column(name)] == *expected));
        let row = found.next().unwrap_or_else(|| panic!("no native {tag} of {role}"));
        assert!(found.next().is_none(), "two native {tag} of {role}");
        row[column("value")].parse().unwrap()
    };
    for (role, scan) in [("CT", Scan::Ct), ("PT", Scan::Pet), ("MR_T1", Scan::Mr)] {
        let (volume, mean) = (value(role, "morph_volume"), value(role, "stat_mean"));
        let error = (volume - lesion.volume_mm3) / lesion.volume_mm3;
        assert!(error.abs() < 0.06, "{role}: volume {volume} of {}", lesion.volume_mm3);
        assert!(report.values("RNU0").contains(&volume) && report.means().contains(&mean), "{role}: not in the report");
        let expected = lesion.in_scan(scan).mean;
        match scan {
            Scan::Ct => assert!((mean - expected).abs() < 2.0, "CT {mean} HU of {expected}"),
            Scan::Pet => assert!((mean - expected).abs() < 0.05 * expected, "PET {mean} of {expected}"),
            // Its signal is normalised: relative to the body, which the truth does not tell.
            Scan::Mr => assert!(mean.is_finite()),
        }
    }
}

#[test]
fn a_patient_sent_by_dcmsend_comes_back_as_report_and_segmentations() {
    let Some(pacs) = Pacs::start() else { return };
    let patient = Patient::new(&PhantomSettings::default());
    let mut daemon = daemon_for(&pacs);
    dcmsend(&daemon, &patient.all());
    let case = daemon.wait_for_state("done");
    let reports = pacs.wait_for_reports(1);
    assert_truth(&reports[0], &daemon.result(&case, 1).join("features.csv"), &patient.truth);
    assert_eq!(case["revision"], 1);
    assert_eq!(pacs.files().len(), 4, "one report, a segmentation for each of three roles");
    // What the PACS got is what the daemon keeps, byte for byte.
    let kept = std::fs::read_dir(daemon.result(&case, 1)).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<Vec<u8>> =
        kept.filter(|path| path.extension().is_some_and(|e| e == "dcm")).map(|path| data_set(&path)).collect();
    for file in pacs.files() {
        assert!(kept.contains(&data_set(&file)), "{}", file.display());
    }
    assert_eq!(daemon.metric("radiomicsd_cases_ended_total{outcome=\"done\"}"), 1);
    assert!(daemon.terminate().success());
}

/// The data set of a Part-10 file: the receiver writes a file meta information of its own.
fn data_set(path: &std::path::Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    let length = u32::from_le_bytes(bytes[140..144].try_into().unwrap());
    bytes[144 + usize::try_from(length).unwrap()..].to_vec()
}

#[test]
fn the_structure_set_may_come_first_and_series_interleaved_over_two_associations() {
    let Some(pacs) = Pacs::start() else { return };
    let patient = Patient::tiny();
    let daemon = daemon_for(&pacs);
    storescu(&daemon, &patient.series("RTSTRUCT1"));
    let mut images: Vec<_> = ["CT", "PT", "MR"].iter().flat_map(|name| patient.series(name)).collect();
    // Every third slice of every series, then the next third, from two senders at once.
    images.sort_by_key(|path| path.file_name().map(std::ffi::OsStr::to_owned));
    let (one, two): (Vec<_>, Vec<_>) = images.into_iter().enumerate().partition(|(index, _)| index % 2 == 0);
    let files = |half: Vec<(usize, std::path::PathBuf)>| half.into_iter().map(|(_, path)| path).collect::<Vec<_>>();
    let (one, two) = (files(one), files(two));
    std::thread::scope(|scope| {
        scope.spawn(|| storescu(&daemon, &one));
        scope.spawn(|| dcmsend(&daemon, &two));
    });
    let case = daemon.wait_for_state("done");
    assert_eq!(case["series"].as_array().unwrap().len(), 4);
    pacs.wait_for_reports(1);
}

/// Sends with pynetdicom and receives with pynetdicom, which reads the report with pydicom.
const BOTH_WAYS: &str = r#"
import sys, threading
from pydicom import dcmread
from pynetdicom import AE, evt, AllStoragePresentationContexts
from pynetdicom.sop_class import Verification
ours, daemon, files = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
arrived, done = [], threading.Event()
def store(event):
    ds = event.dataset
    ds.file_meta = event.file_meta
    arrived.append(ds)
    if ds.Modality == "SR":
        done.set()
    return 0x0000
scp = AE(ae_title="PACS")
scp.supported_contexts = AllStoragePresentationContexts
server = scp.start_server(("127.0.0.1", ours), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
sets = [dcmread(f) for f in files]
scu = AE(ae_title="SCANNER")
scu.add_requested_context(Verification)
for uid in sorted({ds.SOPClassUID for ds in sets}):
    scu.add_requested_context(uid)
association = scu.associate("127.0.0.1", daemon, ae_title="RADIOMICSD")
assert association.is_established
assert association.send_c_echo().Status == 0
for ds in sets:
    assert association.send_c_store(ds).Status == 0
association.release()
assert done.wait(100), "no report"
report = next(ds for ds in arrived if ds.Modality == "SR")
source = next(ds for ds in sets if ds.Modality == "CT")
assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
assert report.StudyInstanceUID == source.StudyInstanceUID
assert report.PatientName == source.PatientName and report.PatientID == source.PatientID
evidence = {i.ReferencedSOPInstanceUID
            for study in report.CurrentRequestedProcedureEvidenceSequence
            for series in study.ReferencedSeriesSequence
            for i in series.ReferencedSOPSequence}
missing = {ds.SOPInstanceUID for ds in sets if ds.Modality in ("CT", "PT", "MR")} - evidence
assert not missing, len(missing)
segmentations = [ds for ds in arrived if ds.Modality == "SEG"]
assert all(ds.SOPInstanceUID in evidence for ds in segmentations) and len(segmentations) == 3
server.shutdown()
print("both ways")
"#;

#[test]
fn pynetdicom_sends_a_patient_and_reads_the_report_that_comes_back() {
    let port = super::shared::free_port();
    let Some(mut python) = pynetdicom(BOTH_WAYS) else { return };
    let patient = Patient::tiny();
    let destination = format!("[[destination]]\nae_title = \"PACS\"\naddress = \"127.0.0.1:{port}\"\n");
    let daemon = Daemon::start(&format!("{PROTOCOL}\n{destination}"));
    python.args([port.to_string(), daemon.dicom.to_string()]);
    let said = run(with_files(python, &patient.all()));
    assert!(said.contains("both ways"), "{said}");
}

#[test]
fn our_own_documents_that_the_pacs_routes_back_join_no_case() {
    let Some(pacs) = Pacs::start() else { return };
    let patient = Patient::tiny();
    let daemon = daemon_for(&pacs);
    dcmsend(&daemon, &patient.all());
    let before = daemon.wait_for_state("done");
    pacs.wait_for_reports(1);
    let n_before = daemon.metric("radiomicsd_stored_instances");
    dcmsend(&daemon, &pacs.files());
    assert_eq!(daemon.metric("radiomicsd_stored_instances"), n_before + 4, "they are stored");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let after = daemon.cases();
    assert_eq!(after.len(), 1);
    assert_eq!((&after[0]["series"], &after[0]["revision"]), (&before["series"], &before["revision"]));
    assert_eq!(pacs.reports().len(), 1);
}

#[test]
fn without_mr_the_case_is_measured_on_ct_and_pet_and_says_what_is_missing() {
    let Some(pacs) = Pacs::start() else { return };
    let patient = Patient::tiny();
    let daemon = daemon_for(&pacs);
    let files: Vec<_> = ["CT", "PT", "RTSTRUCT1"].iter().flat_map(|name| patient.series(name)).collect();
    dcmsend(&daemon, &files);
    let case = daemon.wait_for_state("done");
    let kinds: Vec<&Value> = case["findings"].as_array().unwrap().iter().map(|finding| &finding["kind"]).collect();
    assert!(kinds.iter().any(|kind| *kind == "role_missing"), "{kinds:?}");
    let report = &pacs.wait_for_reports(1)[0];
    assert_eq!(report.text(tags::COMPLETION_FLAG), "PARTIAL");
}

#[test]
fn the_demo_prints_a_report_and_the_truth() {
    let output = Command::new(super::node::PROGRAM).arg("demo").output().unwrap();
    let said = super::shared::said(&output);
    assert!(output.status.success(), "{said}");
    for word in ["Imaging Measurement Report", "Measurement Group", "TRUTH", "CT", "PT", "MR"] {
        assert!(said.contains(word), "{word} is not in\n{said}");
    }
}

#[test]
fn a_folder_gives_the_values_that_the_daemon_gives() {
    let Some(pacs) = Pacs::start() else { return };
    let patient = Patient::tiny();
    let daemon = daemon_for(&pacs);
    dcmsend(&daemon, &patient.all());
    let case = daemon.wait_for_state("done");
    let out = tempfile::tempdir().unwrap();
    let mut process = Command::new(super::node::PROGRAM);
    process.arg("process").arg(patient.path()).arg("--out").arg(out.path());
    process.arg("--config").arg(daemon.path("radiomicsd.toml"));
    run(process);
    let online = std::fs::read_to_string(daemon.result(&case, 1).join("features.csv")).unwrap();
    let offline = std::fs::read_to_string(out.path().join("features.csv")).unwrap();
    assert_eq!(online, offline);
    let rows = daemon.files("cohort").into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "json"));
    assert_eq!(rows.count(), 1, "every result leaves a row");
    let report: Value = serde_json::from_slice(&std::fs::read(out.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(report["cases"].as_array().unwrap().len(), 1);
    assert!(report["cases"][0]["blocks"][0]["diagnostics"]["steps"]["initial"].is_object());
    let _ = dcmtk("dcmsend");
}

//! What should never come, comes: each gets its answer, the daemon goes on, nothing acknowledged is lost.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use radiomicsd::phantom::{PhantomSettings, Scan};

use super::node::{Daemon, PROTOCOL, wait_for};
use super::patient::{Patient, dcmsend, with_files};
use super::shared::{dcmtk, pynetdicom, run, said};

#[test]
fn noise_http_and_aborts_on_the_dicom_port_leave_the_daemon_working() {
    let Some(echoscu) = dcmtk("echoscu") else { return };
    let mut daemon = Daemon::start("");
    for bytes in
        [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0xFF; 4096], &[1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0], b"\x07"]
    {
        let mut stream = TcpStream::connect(("127.0.0.1", daemon.dicom)).unwrap();
        let _ = stream.write_all(bytes);
        stream.set_read_timeout(Some(std::time::Duration::from_secs(15))).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    }
    assert!(daemon.log_lines("connection closed") >= 3);
    let mut echoscu = echoscu;
    echoscu.args(["-aec", "RADIOMICSD", "127.0.0.1", &daemon.dicom.to_string()]);
    run(echoscu);
    assert!(daemon.is_running());
}

#[test]
fn an_unknown_calling_title_is_rejected_and_logged() {
    let Some(mut echoscu) = dcmtk("echoscu") else { return };
    let mut daemon = Daemon::start("[[dicom.peer]]\nae_title = \"PACS\"\n");
    daemon.kill();
    daemon.configure("accept_unknown_peers = true", "accept_unknown_peers = false");
    daemon.run();
    echoscu.args(["-v", "-aet", "STRANGER", "-aec", "RADIOMICSD", "127.0.0.1", &daemon.dicom.to_string()]);
    let output = echoscu.output().unwrap();
    assert!(!output.status.success());
    assert!(said(&output).contains("Calling AE Title Not Recognized"), "{}", said(&output));
    assert_eq!(daemon.log_lines("\"calling\":\"STRANGER\""), 1);
    let mut known = dcmtk("echoscu").unwrap();
    known.args(["-aet", "PACS", "-aec", "RADIOMICSD", "127.0.0.1", &daemon.dicom.to_string()]);
    run(known);
}

/// Sends data sets that are broken in one way each and prints the status of each.
const BROKEN: &str = r#"
import sys
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, _config
_config.ENFORCE_UID_CONFORMANCE = False
_config.UNRESTRICTED_STORAGE_SERVICE = True
_config.USE_SHORT_DIMSE_AET = True
port, file = int(sys.argv[1]), sys.argv[2]
ae = AE(ae_title="SCANNER")
ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2", ExplicitVRLittleEndian)
association = ae.associate("127.0.0.1", port, ae_title="RADIOMICSD")
def send(change):
    ds = dcmread(file)
    change(ds)
    try:
        status = association.send_c_store(ds)
        return "%04X" % status.Status if status else "nothing"
    except Exception as error:
        return "refused by the sender: %s" % error
def without_study(ds): del ds.StudyInstanceUID
def without_series(ds): del ds.SeriesInstanceUID
def climbing(ds): ds.StudyInstanceUID = "../../../etc/passwd"
def absolute(ds): ds.SeriesInstanceUID = "/tmp/x"
def long(ds): ds.SeriesInstanceUID = "1." + "2" * 63
for name, change in [("study", without_study), ("series", without_series), ("climbing", climbing), ("absolute", absolute), ("long", long)]:
    print(name, send(change))
print("good", send(lambda ds: None))
association.release()
"#;

#[test]
fn instances_without_uids_or_with_paths_in_them_are_refused_with_c000_and_write_nothing() {
    let Some(mut python) = pynetdicom(BROKEN) else { return };
    let daemon = Daemon::start("");
    let patient = Patient::tiny();
    python.args([&daemon.dicom.to_string()]).arg(&patient.series("CT")[0]);
    let said = run(python);
    for name in ["study", "series", "climbing", "absolute", "long"] {
        assert!(said.contains(&format!("{name} C000")), "{said}");
    }
    assert!(said.contains("good 0000"), "{said}");
    assert_eq!(daemon.files("instances").len(), 1);
    assert_eq!(daemon.log_lines("instance not stored"), 5);
}

#[test]
fn a_duplicate_is_a_success_and_other_bytes_under_its_uid_are_kept_aside_and_not_claimed() {
    let Some(dcmsend_command) = dcmtk("dcmsend") else { return };
    let daemon = Daemon::start("");
    let good = Patient::tiny();
    let changed = Patient::changed(&PhantomSettings::tiny(), |patient| {
        patient.repeat_under_the_same_uid(Scan::Ct, 2);
        let ct = patient.scan_mut(Scan::Ct).unwrap();
        let changed = ct.instances.pop().unwrap();
        ct.instances[2] = changed;
    });
    dcmsend(&daemon, &good.series("CT"));
    let bytes = |files: Vec<PathBuf>| files.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>();
    let before = bytes(daemon.files("instances"));
    dcmsend(&daemon, &good.series("CT"));
    let mut again = dcmsend_command;
    again.args(["-v", "-aec", "RADIOMICSD", "127.0.0.1", &daemon.dicom.to_string()]);
    let output = with_files(again, &changed.series("CT")).output().unwrap();
    assert!(said(&output).contains("0x111"), "{}", said(&output));
    assert_eq!(bytes(daemon.files("instances")), before);
    assert_eq!(daemon.log_lines("kept aside"), 1);
    assert_eq!(daemon.files("conflicts").iter().filter(|path| path.extension().is_some_and(|e| e == "dcm")).count(), 1);
    assert_eq!(daemon.metric("radiomicsd_instances_received_total{outcome=\"conflict\"}"), 1);
}

#[test]
fn a_missing_slice_is_named_and_the_case_is_parked_at_its_deadline() {
    if dcmtk("dcmsend").is_none() {
        return;
    }
    let waits = "series_settle = \"300ms\"\ncase_settle = \"500ms\"\ncase_deadline = \"3s\"";
    let daemon = Daemon::start_with(waits, PROTOCOL);
    let patient = Patient::changed(&PhantomSettings::tiny(), |patient| patient.remove_slice(Scan::Ct, 4));
    dcmsend(&daemon, &patient.all());
    let case = daemon.wait_for_state("parked");
    assert!(case.to_string().contains("missing_slice"), "{case}");
    let retried = daemon.ask(&["retry", case["id"].as_str().unwrap()]);
    assert!(retried.status.success(), "{}", said(&retried));
    // The slice that was missing comes after all: the case goes on by itself.
    dcmsend(&daemon, &Patient::tiny().series("CT"));
    daemon.wait_for_state("done");
}

#[test]
fn a_ct_without_rescale_is_refused_and_never_taken_as_hounsfield_units() {
    if dcmtk("dcmsend").is_none() {
        return;
    }
    let daemon = Daemon::start(PROTOCOL);
    let patient = Patient::changed(&PhantomSettings::tiny(), |patient| patient.remove_rescale(Scan::Ct));
    dcmsend(&daemon, &patient.all());
    let case = daemon.wait_for_state("parked");
    assert!(case.to_string().contains("rescale_missing"), "{case}");
}

#[test]
fn a_structure_set_that_names_a_series_that_never_comes_is_a_finding_at_the_deadline() {
    if dcmtk("dcmsend").is_none() {
        return;
    }
    let waits = "series_settle = \"300ms\"\ncase_settle = \"500ms\"\ncase_deadline = \"4s\"";
    let daemon = Daemon::start_with(waits, PROTOCOL);
    let patient = Patient::changed(&PhantomSettings::tiny(), |patient| patient.refer_to_absent_series());
    dcmsend(&daemon, &patient.all());
    let case = daemon.wait_for_case("the finding", |case| case.to_string().contains("referenced_series_missing"));
    assert_ne!(case["state"], "failed");
}

#[test]
fn two_series_for_one_role_park_the_case_with_a_reason() {
    if dcmtk("dcmsend").is_none() {
        return;
    }
    let daemon = Daemon::start(PROTOCOL);
    let patient = Patient::changed(&PhantomSettings::tiny(), |patient| patient.add_repeated_series(Scan::Pet));
    dcmsend(&daemon, &patient.all());
    let case = daemon.wait_for_state("parked");
    assert!(case.to_string().contains("ambiguous_series"), "{case}");
    assert!(daemon.get("/").unwrap().1.contains("ambiguous_series"));
}

#[test]
fn a_full_disk_is_answered_with_a700_before_anything_is_written() {
    let Some(mut storescu) = dcmtk("storescu") else { return };
    let mut daemon = Daemon::start("");
    daemon.kill();
    daemon.configure("reserve_bytes = 0", "reserve_bytes = 1_000_000_000_000_000");
    daemon.run_without_waiting_for_readiness();
    let patient = Patient::tiny();
    storescu.args(["-v", "-aec", "RADIOMICSD", "127.0.0.1", &daemon.dicom.to_string()]);
    let output = with_files(storescu, &patient.series("CT")[..1]).output().unwrap();
    assert!(said(&output).contains("OutOfResources"), "{}", said(&output));
    assert!(daemon.files("instances").is_empty());
    let (status, body) = wait_for("an answer", || daemon.get("/ready"));
    assert_eq!(status, 503);
    assert!(body.contains("reserve_bytes"), "{body}");
}

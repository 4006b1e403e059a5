//! pynetdicom as the other side.

use std::process::{Command, Stdio};

use crate::support::{Server, open_settings, run, said, write_slices};

/// Python with pynetdicom, where installed.
fn pynetdicom(script: &str) -> Option<Command> {
    let probe = Command::new("python3").args(["-c", "import pynetdicom"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: pynetdicom is not installed");
        return None;
    }
    let mut command = Command::new("python3");
    command.args(["-c", script]).stdin(Stdio::null());
    Some(command)
}

const SEND: &str = r#"
import sys
from pydicom import dcmread
from pynetdicom import AE
port, files = int(sys.argv[1]), sys.argv[2:]
ae = AE(ae_title="PYNET")
ae.add_requested_context("1.2.840.10008.1.1")
# 128 contexts of 45 transfer syntaxes make a large A-ASSOCIATE-RQ.
syntaxes = ["1.2.840.10008.1.2.1"] + ["1.2.826.0.1.3680043.9.9999.%d" % n for n in range(44)]
for n in range(126):
    ae.add_requested_context("1.2.826.0.1.3680043.8.498.%d" % (n + 1), syntaxes)
ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2", syntaxes)
assoc = ae.associate("127.0.0.1", port, ae_title="TEST")
assert assoc.is_established
assert len(assoc.accepted_contexts) == 128, len(assoc.accepted_contexts)
assert assoc.send_c_echo().Status == 0
for file in files:
    ds = dcmread(file)
    status = assoc.send_c_store(ds, msg_id=7)
    assert status.Status == 0, status
    ds.SeriesDescription = "changed"
    status = assoc.send_c_store(ds, msg_id=9)
    assert status.Status == 0x0111, status
    assert ds.PatientID not in status.ErrorComment
assoc.release()
assert assoc.is_released
print("done")
"#;

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_sends_over_128_contexts_and_hears_of_conflicts() {
    let Some(mut python) = pynetdicom(SEND) else { return };
    let server = Server::start(open_settings()).await;
    let directory = tempfile::tempdir().unwrap();
    let files = write_slices(directory.path(), 0..5, 64);
    python.arg(server.port()).args(&files);
    let output = run(python).await;
    assert!(output.status.success() && said(&output).contains("done"), "{}", said(&output));
    let counts = server.node.counts();
    assert_eq!((counts.stored, counts.conflicts), (5, 5));
}

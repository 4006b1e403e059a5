//! pynetdicom as the other side.

use std::sync::Arc;

use radiomicsd::net::{NodeSettings, Peer};
use tokio_util::sync::CancellationToken;

use crate::shared::pynetdicom;
use crate::support::{Server, open_settings, run, said, title, until, write_slices};

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

const COMMIT: &str = r#"
import sys, threading
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, evt, build_role
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
port, files = int(sys.argv[1]), sys.argv[2:]
reported, reports = threading.Event(), []
def on_report(event):
    reports.append((event.event_type, event.event_information))
    reported.set()
    return 0x0000, None
listener = AE(ae_title="PYNET")
listener.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
server = listener.start_server(("127.0.0.1", int(sys.argv[2])), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)])
files = files[1:]
ae = AE(ae_title="PYNET")
ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2")
ae.add_requested_context(StorageCommitmentPushModel)
assoc = ae.associate("127.0.0.1", port, ae_title="TEST")
assert assoc.is_established
request = Dataset()
request.TransactionUID = "1.2.3.4.5"
request.ReferencedSOPSequence = []
for file in files:
    ds = dcmread(file)
    assert assoc.send_c_store(ds).Status == 0
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    request.ReferencedSOPSequence.append(item)
status, _ = assoc.send_n_action(request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
assert status.Status == 0, status
assoc.release()
assert reported.wait(20)
event_type, info = reports[0]
assert event_type == 1 and info.TransactionUID == "1.2.3.4.5", info
assert len(info.ReferencedSOPSequence) == len(files)
server.shutdown()
print("done")
"#;

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_hears_over_a_new_association_what_we_committed_to() {
    let Some(mut python) = pynetdicom(COMMIT) else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let peer = Peer { address: Some(port.to_string()), ..Peer::new(title("PYNET")) };
    let settings = NodeSettings { storage_commitment: true, peers: vec![peer], ..open_settings() };
    let server = Server::start(settings).await;
    let stop = CancellationToken::new();
    let reporting = tokio::spawn({
        let (node, stop) = (Arc::clone(&server.node), stop.clone());
        async move { node.report_commitments(stop).await }
    });
    let directory = tempfile::tempdir().unwrap();
    let files = write_slices(directory.path(), 0..5, 64);
    python.arg(server.port()).arg(port.port().to_string()).args(&files);
    let output = run(python).await;
    assert!(output.status.success() && said(&output).contains("done"), "{}", said(&output));
    until(|| server.store.open_commitments_of("PYNET").is_empty()).await;
    stop.cancel();
    reporting.await.unwrap();
}

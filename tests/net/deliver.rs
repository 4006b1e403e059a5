//! Sending: to our own receiver, to dcmtk's, and to peers that misbehave.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dicom_dictionary_std::uids;
use radiomicsd::audit::Audit;
use radiomicsd::case::CaseId;
use radiomicsd::clock;
use radiomicsd::dicom::uid::Uid;
use radiomicsd::dicom::write;
use radiomicsd::error::Retry;
use radiomicsd::net::deliver::{
    AssociationError, Backoff, Destination, Item, Outlet, Source, Timeouts, echo, run, send,
};
use radiomicsd::net::{NodeSettings, Status};
use radiomicsd::store::{DeliveryState, Store};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::shared::free_port;
use crate::support::{
    Server, data_set_of, data_set_offset, dcmtk, document, open_settings, slice, slice_uid, store_in, title, uid, until,
};

pub fn destination(port: u16) -> Destination {
    let wait = Duration::from_secs(2);
    Destination {
        ae_title: title("TEST"),
        address: format!("127.0.0.1:{port}"),
        calling_ae_title: title("RADIOMICSD"),
        timeouts: Timeouts { connect: wait, association: wait, response: wait, write: wait },
        tls: None,
    }
}

fn item(number: u16, n: u16) -> Item {
    Item {
        sop_class: uid(uids::CT_IMAGE_STORAGE),
        sop_instance: uid(&slice_uid(number)),
        transfer_syntax: uid(uids::EXPLICIT_VR_LITTLE_ENDIAN),
        source: Source::Bytes(write::part10(&slice(number, n), uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap()),
    }
}

/// dcmtk's receiver on a port of its own; ends with this value.
struct Receiver {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Receiver {
    async fn start(port: u16, arguments: &[&str]) -> Option<Self> {
        let mut storescp = dcmtk("storescp")?;
        let directory = tempfile::tempdir().unwrap();
        storescp.args(arguments).arg("-od").arg(directory.path()).arg(port.to_string());
        let child = storescp.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let receiver = Self { child, port, directory };
        until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        Some(receiver)
    }

    /// The data set of the file that holds this instance.
    fn data_set(&self, uid: &str) -> Option<Vec<u8>> {
        let path = files(self.directory.path()).into_iter().find(|path| path.to_string_lossy().ends_with(uid))?;
        let bytes = std::fs::read(path).unwrap();
        Some(bytes[data_set_offset(&bytes)..].to_vec())
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_arrives_byte_for_byte_in_one_association() {
    let server = Server::start(open_settings()).await;
    let directory = tempfile::tempdir().unwrap();
    let mut items: Vec<Item> = (0..4).map(|number| item(number, 600)).collect();
    let Source::Bytes(bytes) = &items[3].source else { panic!("in memory") };
    let path = directory.path().join("3.dcm");
    std::fs::write(&path, bytes).unwrap();
    items[3].source = Source::File(path);
    let outcomes = send(&destination(server.address.port()), &items).await.unwrap();
    for (number, outcome) in (0..4).zip(&outcomes) {
        assert_eq!(outcome.result.as_ref().unwrap().status, Status::SUCCESS);
        assert_eq!(outcome.sop_instance.as_str(), slice_uid(number));
        assert_eq!(server.data_set(&slice_uid(number)), data_set_of(&slice(number, 600)));
    }
    server.idle().await;
    let counts = server.node.counts();
    assert_eq!((counts.associations, counts.aborted, counts.stored), (1, 0, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_pdu_of_the_peer_is_respected() {
    let settings = NodeSettings { max_pdu_bytes: NodeSettings::MAX_PDU_BYTES_LOWEST, ..open_settings() };
    let server = Server::start(settings).await;
    let outcomes = send(&destination(server.address.port()), &[item(1, 256)]).await.unwrap();
    assert_eq!(outcomes[0].result.as_ref().unwrap().status, Status::SUCCESS);
    assert_eq!(server.data_set(&slice_uid(1)), data_set_of(&slice(1, 256)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_item_fails_alone_and_says_whether_to_try_again() {
    let server = Server::start(open_settings()).await;
    let mut wrong = item(2, 16);
    wrong.sop_instance = uid("1.2.3.99");
    let mut unknown = item(3, 16);
    unknown.transfer_syntax = uid("1.2.840.10008.1.2.4.94");
    let mut gone = item(4, 16);
    gone.source = Source::File("/nonexistent/file.dcm".into());
    let items = [item(1, 16), wrong, unknown, gone, item(5, 16)];
    let outcomes = send(&destination(server.address.port()), &items).await.unwrap();
    assert!(outcomes[0].result.is_ok());
    let failure = outcomes[1].result.as_ref().unwrap_err();
    assert_eq!((failure.status, failure.retry), (Some(Status::DATA_SET_MISMATCH), Retry::Never));
    let failure = outcomes[2].result.as_ref().unwrap_err();
    assert_eq!((failure.status, failure.retry), (None, Retry::Later));
    assert!(outcomes[3].result.is_err());
    assert!(outcomes[4].result.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_peer_is_tried_again_later() {
    let server = Server::start_with_reserve(open_settings(), u64::MAX).await;
    let outcomes = send(&destination(server.address.port()), &[item(1, 16)]).await.unwrap();
    let failure = outcomes[0].result.as_ref().unwrap_err();
    assert_eq!((failure.status, failure.retry), (Some(Status::OUT_OF_RESOURCES), Retry::Later));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_tells_an_open_door_from_a_closed_one() {
    let server = Server::start(open_settings()).await;
    echo(&destination(server.address.port())).await.unwrap();
    let wrong = Destination { ae_title: title("OTHER"), ..destination(server.address.port()) };
    let error = echo(&wrong).await.unwrap_err();
    assert!(matches!(error, AssociationError::Rejected { transient: false, .. }), "{error}");
    assert!(matches!(echo(&destination(free_port())).await, Err(AssociationError::Connect(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_costs_the_time_out_and_no_more() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let begun = Instant::now();
    let error = echo(&destination(port)).await.unwrap_err();
    assert!(matches!(error, AssociationError::Wire(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn storescp_gets_the_bytes_with_large_and_small_pdus() {
    for arguments in [["+B", "-pdu", "131072"], ["+B", "-pdu", "4096"]] {
        let Some(receiver) = Receiver::start(free_port(), &arguments).await else { return };
        let items: Vec<Item> = (0..3).map(|number| item(number, 300)).collect();
        let outcomes = send(&destination(receiver.port), &items).await.unwrap();
        for (number, outcome) in (0..3).zip(outcomes) {
            assert_eq!(outcome.result.unwrap().status, Status::SUCCESS);
            assert_eq!(receiver.data_set(&slice_uid(number)), Some(data_set_of(&slice(number, 300))));
        }
        echo(&destination(receiver.port)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_aborts_leaves_the_rest_for_later() {
    for argument in ["--abort-after", "--abort-during"] {
        let Some(receiver) = Receiver::start(free_port(), &[argument]).await else { return };
        let outcomes = send(&destination(receiver.port), &[item(1, 300), item(2, 300)]).await.unwrap();
        for outcome in outcomes {
            let failure = outcome.result.unwrap_err();
            assert_eq!(failure.retry, Retry::Later, "{argument}: {}", failure.reason);
        }
    }
    let Some(receiver) = Receiver::start(free_port(), &["--refuse"]).await else { return };
    let error = send(&destination(receiver.port), &[item(1, 16)]).await.unwrap_err();
    assert!(matches!(error, AssociationError::Rejected { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_runs_into_the_time_out() {
    let Some(receiver) = Receiver::start(free_port(), &["--sleep-during", "30"]).await else { return };
    let begun = Instant::now();
    let outcomes = send(&destination(receiver.port), &[item(1, 16), item(2, 16)]).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.result.is_err()));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

pub fn save(store: &Store, case: &CaseId, numbers: std::ops::Range<u16>) -> Vec<Uid> {
    let documents: Vec<_> = numbers.map(|number| document(number, uids::CT_IMAGE_STORAGE)).collect();
    store.save_result(case, 1, &documents, b"", b"{}").unwrap();
    documents.into_iter().map(|document| document.sop_instance).collect()
}

/// The delivery loop to one destination, until `stop`.
pub fn delivering(store: &Store, outlet: Outlet, changed: Arc<Notify>, stop: &CancellationToken) -> JoinHandle<()> {
    let (store, stop) = (store.clone(), stop.clone());
    tokio::spawn(run(store, vec![outlet], clock::now, changed, Arc::default(), Audit::none(), stop))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_waits_for_a_peer_that_is_down_and_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let case = CaseId("case-1".to_owned());
    let port = free_port();
    let backoff = Backoff {
        first: Duration::from_millis(50),
        max: Duration::from_millis(50),
        give_up_after: Duration::from_secs(60),
    };
    let outlet = Outlet { to: destination(port).into(), backoff, storage_commitment: false };
    let attempts = |store: &Store| store.outbox().iter().map(|entry| entry.attempts).max().unwrap_or(0);
    {
        let store = store_in(directory.path(), 0);
        let documents = save(&store, &case, 0..3);
        store.enqueue(&case, 1, "TEST", &documents, clock::now()).unwrap();
        let stop = CancellationToken::new();
        let changed = Arc::new(Notify::new());
        let task = delivering(&store, outlet.clone(), changed, &stop);
        until(|| 2 <= attempts(&store)).await;
        assert!(store.outbox().iter().all(|entry| entry.state == DeliveryState::Pending && !entry.reason.is_empty()));
        stop.cancel();
        task.await.unwrap();
    }
    let Some(receiver) = Receiver::start(port, &["+B"]).await else { return };
    let store = store_in(directory.path(), 0);
    let stop = CancellationToken::new();
    let changed = Arc::new(Notify::new());
    let task = delivering(&store, outlet, Arc::clone(&changed), &stop);
    until(|| store.outbox().is_empty()).await;
    for number in 0..3 {
        assert_eq!(receiver.data_set(&slice_uid(number)), Some(data_set_of(&slice(number, 64))));
    }
    // What is handed over while the loop waits goes out at once.
    let other = CaseId("case-2".to_owned());
    let documents = save(&store, &other, 5..6);
    let begun = Instant::now();
    store.enqueue(&other, 1, "TEST", &documents, clock::now()).unwrap();
    changed.notify_waiters();
    until(|| store.outbox().is_empty()).await;
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(files(receiver.directory.path()).len(), 4);
    stop.cancel();
    task.await.unwrap();
}

/// Two documents that say the same, of which the first is of a class that the peer may not take.
async fn delivered_of_two(first_class: &str) -> (Vec<Uid>, Vec<bool>) {
    let server = Server::start(open_settings()).await;
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(directory.path(), 0);
    let case = CaseId("case-1".to_owned());
    let documents = [document(0, first_class), document(1, uids::CT_IMAGE_STORAGE)];
    store.save_result(&case, 1, &documents, b"", b"{}").unwrap();
    let both = [uid(&slice_uid(0)), uid(&slice_uid(1))];
    let backoff =
        Backoff { first: Duration::from_secs(5), max: Duration::from_secs(5), give_up_after: Duration::from_secs(60) };
    let outlet = Outlet { to: destination(server.address.port()).into(), backoff, storage_commitment: false };
    let stop = CancellationToken::new();
    let handed_over = || store.enqueue_one_of_each(&case, 1, "TEST", &[&both], clock::now()).unwrap();
    handed_over();
    let changed = Arc::new(Notify::new());
    let task = delivering(&store, outlet, Arc::clone(&changed), &stop);
    until(|| store.outbox().is_empty()).await;
    // Handed over again, as after a crash: it was decided for good.
    handed_over();
    assert!(store.outbox().is_empty());
    stop.cancel();
    task.await.unwrap();
    let sent = store.deliveries(&case, 1).unwrap().into_iter().map(|entry| entry.id.sop_instance).collect();
    let there = both.iter().map(|uid| server.store.instance(uid).unwrap().is_some()).collect();
    (sent, there)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_documents_that_say_the_same_the_first_that_the_peer_takes_goes_and_no_other() {
    let [first, second] = [0, 1].map(|number| uid(&slice_uid(number)));
    assert_eq!(delivered_of_two(uids::CT_IMAGE_STORAGE).await, (vec![first], vec![true, false]));
    assert_eq!(delivered_of_two(uids::MODALITY_PERFORMED_PROCEDURE_STEP).await, (vec![second], vec![false, true]));
}

/// A receiver that aborts, stalls and is full, each once, takes no Comprehensive 3D SR, and writes down what it took.
const TROUBLED: &str = r#"
import sys, time
from pynetdicom import AE, evt
port, log = int(sys.argv[1]), sys.argv[2]
calls = []
def store(event):
    calls.append(event.request.AffectedSOPInstanceUID)
    if len(calls) == 1:
        event.assoc.abort()
        return 0xC000
    if len(calls) == 2:
        time.sleep(6)
        return 0xC000
    if len(calls) == 3:
        return 0xA700
    with open(log, "a") as file:
        file.write(event.request.AffectedSOPInstanceUID + "\n")
    return 0
ae = AE(ae_title="TEST")
ae.add_supported_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
ae.add_supported_context("1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.1.2.1")
ae.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, store)])
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_refuses_a_class_aborts_stalls_and_is_full_has_everything_once_in_the_end() {
    let Some(mut python) = crate::shared::pynetdicom(TROUBLED) else { return };
    let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
    let log = directory.path().join("log");
    let mut child = python.arg(port.to_string()).arg(&log).spawn().unwrap();
    until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    let store = store_in(&directory.path().join("store"), 0);
    let case = CaseId("case-1".to_owned());
    let classes = [uids::COMPREHENSIVE3_DSR_STORAGE, uids::COMPREHENSIVE_SR_STORAGE];
    let image = |number| document(number, uids::CT_IMAGE_STORAGE);
    let documents = [document(0, classes[0]), document(1, classes[1]), image(2), image(3), image(4)];
    store.save_result(&case, 1, &documents, b"", b"{}").unwrap();
    let uids: Vec<Uid> = documents.iter().map(|document| document.sop_instance.clone()).collect();
    let choices = [&uids[..2], &uids[2..3], &uids[3..4], &uids[4..5]];
    store.enqueue_one_of_each(&case, 1, "TEST", &choices, clock::now()).unwrap();
    let pause = Duration::from_millis(200);
    let backoff = Backoff { first: pause, max: pause, give_up_after: Duration::from_secs(60) };
    let outlet = Outlet { to: destination(port).into(), backoff, storage_commitment: false };
    let stop = CancellationToken::new();
    let task = delivering(&store, outlet, Arc::new(Notify::new()), &stop);
    until(|| store.outbox().is_empty()).await;
    stop.cancel();
    task.await.unwrap();
    let _ = child.kill();
    let _ = child.wait();
    let mut taken: Vec<String> = std::fs::read_to_string(&log).unwrap().lines().map(ToOwned::to_owned).collect();
    taken.sort();
    let mut expected: Vec<String> = uids[1..].iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(taken, expected, "everything once, the report in the class that is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_refuses_for_good_is_given_up_and_stays_visible() {
    let server = Server::start(open_settings()).await;
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(directory.path(), 0);
    let case = CaseId("case-1".to_owned());
    let mut documents = save(&store, &case, 0..1);
    // The peer has other content under the UID of the document.
    let mut other = item(0, 64);
    let Source::Bytes(bytes) = &mut other.source else { panic!("in memory") };
    *bytes.last_mut().unwrap() ^= 1;
    let outlet_destination = destination(server.address.port());
    assert!(send(&outlet_destination, &[other]).await.unwrap()[0].result.is_ok());
    store.enqueue(&case, 1, "TEST", &documents, clock::now()).unwrap();
    let backoff =
        Backoff { first: Duration::from_secs(5), max: Duration::from_secs(5), give_up_after: Duration::from_secs(60) };
    let outlet = Outlet { to: outlet_destination.into(), backoff, storage_commitment: false };
    let stop = CancellationToken::new();
    let task = delivering(&store, outlet, Arc::default(), &stop);
    until(|| store.outbox().iter().all(|entry| entry.state == DeliveryState::GivenUp)).await;
    let entry = store.outbox().pop().unwrap();
    assert_eq!(Some(entry.id.sop_instance), documents.pop());
    assert_eq!(entry.reason, "the peer answered 0111H");
    stop.cancel();
    task.await.unwrap();
}

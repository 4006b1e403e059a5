//! STOW-RS: what goes over the Web, and what becomes of what a server does not take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dicom_dictionary_std::uids;
use radiomicsd::case::CaseId;
use radiomicsd::clock;
use radiomicsd::dicom::write;
use radiomicsd::error::{Duty as _, Retry};
use radiomicsd::net::Status;
use radiomicsd::net::deliver::{Backoff, Item, ItemFailure, Outlet, Receiver, Source};
use radiomicsd::net::stow::{self, StowError, WebServer};
use radiomicsd::store::{DeliveryState, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::deliver::{delivering, save};
use crate::support::{document, slice, slice_uid, store_in, uid, until};
use crate::tls::Authority;
use crate::web::{Reply, Web};

fn items(numbers: std::ops::Range<u16>, size: u16) -> Vec<Item> {
    let item = |number| Item {
        sop_class: uid(uids::CT_IMAGE_STORAGE),
        sop_instance: uid(&slice_uid(number)),
        transfer_syntax: uid(uids::EXPLICIT_VR_LITTLE_ENDIAN),
        source: Source::Bytes(write::part10(&slice(number, size), uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap()),
    };
    numbers.map(item).collect()
}

fn bytes(item: &Item) -> &[u8] {
    let Source::Bytes(bytes) = &item.source else { panic!("in memory") };
    bytes
}

fn outlet(server: WebServer) -> Outlet {
    let pause = Duration::from_millis(50);
    let backoff = Backoff { first: pause, max: pause, give_up_after: Duration::from_secs(60) };
    Outlet { to: Receiver::Web(server), backoff, storage_commitment: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_files_go_in_one_request_and_arrive_byte_for_byte() {
    let web = Web::start(None, &[]).await;
    let mut items = items(0..5, 300);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("4.dcm");
    let in_a_file = bytes(&items[4]).to_vec();
    std::fs::write(&path, &in_a_file).unwrap();
    items[4].source = Source::File(path);
    let outcomes = stow::store(&web.server(None), &items).await.unwrap();
    web.assert_no_rule_was_broken();
    assert_eq!(web.requests().len(), 1);
    for (number, outcome) in (0..5).zip(&outcomes) {
        assert_eq!(outcome.result.as_ref().unwrap().status, Status::SUCCESS);
        assert_eq!(outcome.sop_instance.as_str(), slice_uid(number));
    }
    for item in &items[..4] {
        assert_eq!(web.file(item.sop_instance.as_str()).as_deref(), Some(bytes(item)));
    }
    assert_eq!(web.file(&slice_uid(4)), Some(in_a_file));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_instance_of_a_partial_answer_has_its_own_fate() {
    let failing = vec![(slice_uid(1), 0xA700), (slice_uid(2), 0xC000)];
    let web = Web::start(None, &[Reply::Failing(failing.clone()), Reply::Vague(failing)]).await;
    let fates = async || -> Vec<Option<(Option<Status>, Retry)>> {
        let outcomes = stow::store(&web.server(None), &items(0..4, 32)).await.unwrap();
        let fate = |failure: ItemFailure| (failure.status, failure.retry);
        outcomes.into_iter().map(|outcome| outcome.result.err().map(fate)).collect()
    };
    let (later, never) = ((Some(Status(0xA700)), Retry::Later), (Some(Status(0xC000)), Retry::Never));
    assert_eq!(fates().await, [None, Some(later), Some(never), None]);
    // Of what a partial answer does not mention nothing is known.
    let unknown = (None, Retry::Later);
    assert_eq!(fates().await, [Some(unknown), Some(later), Some(never), Some(unknown)]);
    // Nor of what a success with empty lists does not mention; one without lists is a success of all.
    let web = Web::start(None, &[Reply::Dropping, Reply::Status(200)]).await;
    for expected in [Err(Retry::Later), Ok(Status::SUCCESS)] {
        let outcomes = stow::store(&web.server(None), &items(0..1, 32)).await.unwrap();
        let outcome = outcomes[0].result.clone();
        assert_eq!(outcome.map(|delivered| delivered.status).map_err(|failure| failure.retry), expected);
    }
    web.assert_no_rule_was_broken();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_as_a_whole_goes_file_by_file() {
    let web = Web::start(None, &[Reply::Status(413), Reply::Stored, Reply::Status(413)]).await;
    let outcomes = stow::store(&web.server(None), &items(0..3, 32)).await.unwrap();
    let sizes: Vec<usize> = web.requests().iter().map(|request| request.instances.len()).collect();
    assert_eq!(sizes, [3, 1, 1, 1]);
    assert!(outcomes[0].result.is_ok() && outcomes[2].result.is_ok());
    let refused = outcomes[1].result.clone().unwrap_err();
    assert_eq!((refused.retry, refused.reason.as_str()), (Retry::Never, "the server answered 413"));
    // Anything else says nothing of the files: nothing goes twice.
    for status in [302, 401, 403, 404, 429, 500, 503] {
        let web = Web::start(None, &[Reply::Status(status)]).await;
        let error = stow::store(&web.server(None), &items(0..3, 32)).await.unwrap_err();
        assert_eq!((error.retry(), web.requests().len()), (Retry::Later, 1), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_costs_the_time_out_and_no_more() {
    let web = Web::start(None, &[Reply::Stall]).await;
    let begun = Instant::now();
    let error = stow::store(&web.server(None), &items(0..1, 32)).await.unwrap_err();
    assert!(matches!(error, StowError::TimedOut(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_stalls_or_aborts_has_everything_once_in_the_end() {
    let full = (0..3).map(|number| (slice_uid(number), 0xA700)).collect();
    let one = vec![(slice_uid(1), 0x0110)];
    let replies =
        [Reply::Status(503), Reply::Stall, Reply::Abort, Reply::Failing(full), Reply::Status(401), Reply::Failing(one)];
    let web = Web::start(None, &replies).await;
    let directory = tempfile::tempdir().unwrap();
    let case = CaseId("case-1".to_owned());
    let store = store_in(directory.path(), 0);
    let documents = save(&store, &case, 0..3);
    store.enqueue(&case, 1, "TEST", &documents, clock::now()).unwrap();
    let stop = CancellationToken::new();
    let task = delivering(&store, outlet(web.server(None)), Arc::new(Notify::new()), &stop);
    // A restart in the middle loses nothing.
    until(|| 2 <= web.requests().len()).await;
    stop.cancel();
    task.await.unwrap();
    assert!(store.outbox().iter().all(|entry| entry.state == DeliveryState::Pending));
    drop(store);
    let store = store_in(directory.path(), 0);
    let stop = CancellationToken::new();
    let task = delivering(&store, outlet(web.server(None)), Arc::new(Notify::new()), &stop);
    until(|| store.outbox().is_empty()).await;
    stop.cancel();
    task.await.unwrap();
    web.assert_no_rule_was_broken();
    assert_eq!(web.n_stored(), 3, "each once");
    for number in 0..3 {
        let sent = write::part10(&slice(number, 64), uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
        assert_eq!(web.file(&slice_uid(number)), Some(sent));
    }
    let last = web.requests().pop().unwrap();
    assert_eq!(last.instances, [slice_uid(1)], "what it has does not go again");
}

fn save_two_that_say_the_same(store: &Store, case: &CaseId) -> [radiomicsd::dicom::uid::Uid; 2] {
    let documents = [document(0, uids::COMPREHENSIVE3_DSR_STORAGE), document(1, uids::COMPREHENSIVE_SR_STORAGE)];
    store.save_result(case, 1, &documents, b"", b"{}").unwrap();
    documents.map(|document| document.sop_instance)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_a_server_refuses_is_followed_by_the_next_and_by_no_more() {
    let refused = |number| Reply::Failing(vec![(slice_uid(number), 0x0122)]);
    let web = Web::start(None, &[refused(0)]).await;
    let directory = tempfile::tempdir().unwrap();
    let (store, case) = (store_in(directory.path(), 0), CaseId("case-1".to_owned()));
    let both = save_two_that_say_the_same(&store, &case);
    store.enqueue_one_of_each(&case, 1, "TEST", &[&both], clock::now()).unwrap();
    let stop = CancellationToken::new();
    let task = delivering(&store, outlet(web.server(None)), Arc::new(Notify::new()), &stop);
    until(|| store.outbox().is_empty()).await;
    stop.cancel();
    task.await.unwrap();
    let sent: Vec<_> = store.deliveries(&case, 1).unwrap().into_iter().map(|entry| entry.id.sop_instance).collect();
    assert_eq!(sent, both[1..]);
    assert_eq!((web.n_stored(), web.requests().len()), (1, 2));
    // One that takes neither is asked again later, in both.
    let other = Web::start(None, &[refused(0), refused(1)]).await;
    let (directory, case) = (tempfile::tempdir().unwrap(), CaseId("case-2".to_owned()));
    let store = store_in(directory.path(), 0);
    let both = save_two_that_say_the_same(&store, &case);
    store.enqueue_one_of_each(&case, 1, "TEST", &[&both], clock::now()).unwrap();
    let stop = CancellationToken::new();
    let task = delivering(&store, outlet(other.server(None)), Arc::new(Notify::new()), &stop);
    until(|| store.outbox().is_empty()).await;
    stop.cancel();
    task.await.unwrap();
    assert_eq!(other.requests().len(), 3);
    assert!(other.file(both[0].as_str()).is_some(), "the first, as soon as it is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_and_certificate_are_shown_over_tls_and_a_renewed_token_is_taken() {
    let hospital = Authority::new();
    hospital.sign("node", &["127.0.0.1", "localhost"], 4000);
    hospital.sign("radiomics", &["radiomics"], 4000);
    let web = Web::start(Some(hospital.server("node", Some(&hospital))), &[]).await;
    let token = hospital.path("token");
    let server = |tls| WebServer { token_file: Some(token.clone()), ..web.server(Some(tls)) };
    let known = server(hospital.client(Some((&hospital, "radiomics"))));
    let one = items(0..1, 32);
    let missing = stow::store(&known, &one).await.unwrap_err();
    assert!(matches!(missing, StowError::Token(_)) && missing.retry() == Retry::Later, "{missing}");
    for text in ["first.token", "second.token"] {
        std::fs::write(&token, format!("{text}\n")).unwrap();
        stow::store(&known, &one).await.unwrap();
        assert_eq!(web.requests().pop().unwrap().headers["authorization"], format!("Bearer {text}"));
    }
    // Without our certificate there is no conversation, and to another server than the right one no token.
    let n_before = web.requests().len();
    assert!(stow::store(&server(hospital.client(None)), &one).await.is_err());
    let stranger = Authority::new();
    let deceived = stow::store(&server(stranger.client(Some((&hospital, "radiomics")))), &one).await.unwrap_err();
    assert!(matches!(deceived, StowError::Connection(_)), "{deceived}");
    assert_eq!(web.requests().len(), n_before);
    std::fs::write(&token, "two\nlines").unwrap();
    assert!(!stow::store(&known, &one).await.unwrap_err().to_string().contains("lines"));
    web.assert_no_rule_was_broken();
}

//! Storage commitment in both directions.

use std::sync::Arc;
use std::time::Duration;

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_ul::pdu::{PresentationContextProposed, PresentationContextResultReason};
use radiomicsd::case::CaseId;
use radiomicsd::clock;
use radiomicsd::dicom::uid::Uid;
use radiomicsd::dicom::{attributes, part10, write};
use radiomicsd::net::deliver::{Backoff, Outlet};
use radiomicsd::net::dimse::{Command, NotificationRq, Response};
use radiomicsd::net::pdu::{Event, Part, p_data};
use radiomicsd::net::{NodeSettings, Peer as PeerSettings, Status};
use radiomicsd::store::{CommitmentState, DeliveryState};
use tokio_util::sync::CancellationToken;

use crate::deliver::{delivering, destination, save};
use crate::peer::{CT, IMPLICIT, Peer, request};
use crate::support::{Server, data_set_of, open_settings, slice, slice_uid, store_in, title, uid, until};

const PUSH_MODEL: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL;
const PUSH_INSTANCE: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE;
const TRANSACTION: &str = "1.2.3.99";

fn committing() -> NodeSettings {
    NodeSettings { storage_commitment: true, ..open_settings() }
}

/// An association with a context 5 for storage commitment.
async fn associated(server: &Server) -> Peer {
    let mut peer = Peer::connect(server.address).await;
    let mut rq = request("PEER", "TEST");
    rq.presentation_contexts.push(PresentationContextProposed {
        id: 5,
        abstract_syntax: PUSH_MODEL.into(),
        transfer_syntaxes: vec![IMPLICIT.into()],
    });
    assert!(matches!(peer.ask(rq).await, Some(Event::AssociateAc(_))));
    peer
}

fn question(numbers: std::ops::Range<u16>) -> Vec<u8> {
    let mut object = InMemDicomObject::new_empty();
    write::put_uid(&mut object, tags::TRANSACTION_UID, &uid(TRANSACTION));
    let items = numbers.map(|number| write::reference_item(&uid(CT), &uid(&slice_uid(number))));
    write::put_items(&mut object, tags::REFERENCED_SOP_SEQUENCE, items.collect());
    write::data_set(&object, &uid(IMPLICIT)).unwrap()
}

fn action(message_id: u16, type_id: u16, data_set: &[u8]) -> Vec<u8> {
    let rq = NotificationRq {
        message_id,
        sop_class: Some(PUSH_MODEL.into()),
        sop_instance: Some(PUSH_INSTANCE.into()),
        type_id: Some(type_id),
    };
    let command = Command::ActionRq(rq).with_data_set().encode();
    [p_data(5, Part::Command, &command, 0), p_data(5, Part::DataSet, data_set, 16_384)].concat()
}

async fn action_status(peer: &mut Peer) -> Status {
    let (_, command) = peer.message().await;
    let Command::ActionRsp(response, _) = command else { panic!("{command:?}") };
    response.status
}

/// Event type, what is committed, what failed and why.
fn report(command: &Command, data_set: &[u8]) -> (u16, Vec<Uid>, Vec<(Uid, u32)>) {
    let Command::EventReportRq(rq) = command else { panic!("{command:?}") };
    assert_eq!((rq.sop_class.as_deref(), rq.sop_instance.as_deref()), (Some(PUSH_MODEL), Some(PUSH_INSTANCE)));
    let object = part10::data_set(data_set, &uid(IMPLICIT)).unwrap();
    assert_eq!(attributes::text(&object, tags::TRANSACTION_UID), TRANSACTION);
    let instance = |item| attributes::required_uid(item, tags::REFERENCED_SOP_INSTANCE_UID).unwrap();
    let committed = attributes::items(&object, tags::REFERENCED_SOP_SEQUENCE).iter().map(instance).collect();
    let failed = attributes::items(&object, tags::FAILED_SOP_SEQUENCE);
    let reason = |item| attributes::count(item, tags::FAILURE_REASON).unwrap().unwrap();
    (rq.type_id.unwrap(), committed, failed.iter().map(|item| (instance(item), reason(item))).collect())
}

/// What goes to this archive, which is asked to commit to it.
fn asked_to_commit(archive: &Server) -> Outlet {
    let backoff = Backoff {
        first: Duration::from_millis(50),
        max: Duration::from_millis(50),
        give_up_after: Duration::from_secs(60),
    };
    Outlet { to: destination(archive.address.port()).into(), backoff, storage_commitment: true }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_word_is_given_for_what_is_whole_and_kept() {
    let server = Server::start(committing()).await;
    let mut peer = associated(&server).await;
    for number in 0..3 {
        peer.store(number, &slice_uid(number), &data_set_of(&slice(number, 16))).await;
    }
    // Somebody damages one of them on the disk.
    let damaged = server.store.instance(&uid(&slice_uid(1))).unwrap().unwrap().path;
    let mut bytes = std::fs::read(&damaged).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    peer.send(&action(9, 1, &question(0..4))).await;
    assert_eq!(action_status(&mut peer).await, Status::SUCCESS);
    let (context, command, data_set) = peer.message_with_data_set().await;
    let (type_id, committed, failed) = report(&command, &data_set);
    assert_eq!((context, type_id), (5, 2));
    assert_eq!(committed, [uid(&slice_uid(0)), uid(&slice_uid(2))]);
    assert_eq!(failed, [(uid(&slice_uid(1)), 0x0110), (uid(&slice_uid(3)), 0x0112)]);
    let Command::EventReportRq(rq) = command else { panic!() };
    assert_eq!(server.store.open_commitments_of("PEER").len(), 1);
    let response = Command::EventReportRsp(Response::new(rq.message_id, Status::SUCCESS), rq.type_id).alone();
    peer.send(&p_data(5, Part::Command, &response.encode(), 0)).await;
    until(|| server.store.open_commitments_of("PEER").is_empty()).await;
    peer.release().await;
    // Nothing of the series goes, although its time is over.
    let later = clock::now().checked_add(Duration::from_secs(86_400)).unwrap();
    let expired = server.store.expire(later, Duration::ZERO, Duration::ZERO).unwrap();
    assert_eq!(expired.files, 0);
    assert!(server.store.is_committed(&uid(&slice_uid(0))).unwrap());
    // Not even after the index was lost.
    let (store, _events, directory) = server.stop().await;
    drop(store);
    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    let store = store_in(directory.path(), 0);
    assert!(store.is_committed(&uid(&slice_uid(2))).unwrap());
    assert!(!store.is_committed(&uid(&slice_uid(1))).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_none_has_its_status_and_the_association_lives_on() {
    let server = Server::start(committing()).await;
    let mut peer = associated(&server).await;
    for (type_id, data_set, status) in [
        (2, question(0..1), Status::NO_SUCH_ACTION),
        (1, question(0..0), Status::INVALID_ARGUMENT_VALUE),
        (1, vec![0xAA; 64], Status::INVALID_ARGUMENT_VALUE),
        (1, vec![0; 9 << 20], Status::RESOURCE_LIMITATION),
    ] {
        peer.send(&action(9, type_id, &data_set)).await;
        assert_eq!(action_status(&mut peer).await, status);
    }
    peer.echo().await;
    assert!(server.store.open_commitments_of("PEER").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_promised_where_it_is_not_configured() {
    let server = Server::start(open_settings()).await;
    let mut peer = Peer::connect(server.address).await;
    let mut rq = request("PEER", "TEST");
    rq.presentation_contexts[0].abstract_syntax = PUSH_MODEL.into();
    let Some(Event::AssociateAc(ac)) = peer.ask(rq).await else { panic!("not accepted") };
    assert_eq!(ac.presentation_contexts[0].reason, PresentationContextResultReason::AbstractSyntaxNotSupported);
}

/// Two nodes: one keeps, the other sends to it and wants its word.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_done_when_the_destination_has_committed_over_an_association_of_its_own() {
    let sender = Server::start(NodeSettings { commitment_reports: true, ..open_settings() }).await;
    let peer = PeerSettings { address: Some(sender.address.to_string()), ..PeerSettings::new(title("RADIOMICSD")) };
    let archive = Server::start(NodeSettings { peers: vec![peer], ..committing() }).await;
    // The archive calls back by the title that it was called from: that is not the sender's own.
    sender.node.reload(NodeSettings {
        accept_unknown_peers: true,
        commitment_reports: true,
        ..NodeSettings::new(title("RADIOMICSD"))
    });
    let stop = CancellationToken::new();
    let reporting = tokio::spawn({
        let (node, stop) = (Arc::clone(&archive.node), stop.clone());
        async move { node.report_commitments(stop).await }
    });
    let case = CaseId("case-1".to_owned());
    let documents = save(&sender.store, &case, 0..3);
    sender.store.enqueue(&case, 1, "TEST", &documents, clock::now()).unwrap();
    let outlet = asked_to_commit(&archive);
    let delivering = delivering(&sender.store, outlet, Arc::default(), &stop);
    until(|| sender.store.outbox().is_empty()).await;
    let entries = sender.store.deliveries(&case, 1).unwrap();
    assert!(entries.iter().all(|entry| {
        entry.state == DeliveryState::Sent && matches!(entry.commitment, Some(CommitmentState::Committed { .. }))
    }));
    until(|| archive.store.open_commitments_of("RADIOMICSD").is_empty()).await;
    assert!(documents.iter().all(|document| archive.store.is_committed(document).unwrap()));
    stop.cancel();
    delivering.await.unwrap();
    reporting.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_destination_lost_is_sent_again_and_committed_on_the_same_association() {
    let archive = Server::start(committing()).await;
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(directory.path(), 0);
    let case = CaseId("case-1".to_owned());
    let documents = save(&store, &case, 0..2);
    store.enqueue(&case, 1, "TEST", &documents, clock::now()).unwrap();
    // Marked as sent without having been sent: as if the archive had lost it.
    let lost = store.outbox().into_iter().find(|entry| entry.id.sop_instance == documents[0]).unwrap();
    store.mark_sent_to_be_committed(&lost.id, clock::now()).unwrap();
    let outlet = asked_to_commit(&archive);
    let stop = CancellationToken::new();
    let delivering = delivering(&store, outlet, Arc::default(), &stop);
    until(|| store.outbox().is_empty()).await;
    assert_eq!(archive.node.counts().stored, 2);
    assert!(documents.iter().all(|document| archive.store.is_committed(document).unwrap()));
    stop.cancel();
    delivering.await.unwrap();
}

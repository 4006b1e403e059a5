use std::fs;

use super::fixture::{at, document, image_of, n_files, open, uid};
use crate::case::CaseId;
use crate::store::{DeliveryState, Store, StoreError};

fn case() -> CaseId {
    CaseId("c1".to_owned())
}

fn save(store: &Store, revision: u32) {
    let documents = [document("sr", revision * 10, b"sr bytes"), document("seg-CT", revision * 10 + 1, b"seg bytes")];
    store.save_result(&case(), revision, &documents, b"a,b\n", b"{}").unwrap();
}

#[test]
fn a_saved_revision_is_read_back_byte_for_byte_and_never_changes() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    assert_eq!(store.result(&case(), 1).unwrap(), None);
    save(&store, 1);
    let first = store.result(&case(), 1).unwrap().unwrap();
    assert_eq!(first.documents[0].read().unwrap(), document("sr", 10, b"sr bytes"));
    assert_eq!(fs::read(&first.features_csv).unwrap(), b"a,b\n");
    let again = store.save_result(&case(), 1, &[document("sr", 77, b"other")], b"", b"").unwrap();
    assert_eq!(again, first);
    assert_eq!(again.documents[1].read().unwrap().bytes, b"seg bytes");
    save(&store, 10);
    save(&store, 2);
    let revisions: Vec<u32> = store.results(&case()).unwrap().iter().map(|result| result.revision).collect();
    assert_eq!(revisions, [1, 2, 10]);
}

#[test]
fn a_revision_that_was_cut_off_is_no_revision_and_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    save(&store, 1);
    let folder = directory.path().join("results/c1");
    for name in [".making", "2"] {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("01-sr.dcm"), b"half").unwrap();
    }
    assert_eq!(store.results(&case()).unwrap().len(), 1);
    save(&store, 2);
    assert_eq!(store.result(&case(), 2).unwrap().unwrap().documents.len(), 2);
}

#[test]
fn an_altered_document_is_not_sent() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    save(&store, 1);
    let result = store.result(&case(), 1).unwrap().unwrap();
    fs::write(&result.documents[0].path, b"sr bytez").unwrap();
    assert!(matches!(result.documents[0].read(), Err(StoreError::Damaged { .. })));
}

#[test]
fn every_document_goes_to_every_destination_once_also_when_it_is_handed_over_twice() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    save(&store, 1);
    for _ in 0..2 {
        store.enqueue(&case(), 1, "PACS", &[uid("2.25.10"), uid("2.25.11")], at(0)).unwrap();
        store.enqueue(&case(), 1, "ARCHIVE/2", &[uid("2.25.10")], at(1)).unwrap();
    }
    assert_eq!(store.due(at(-1)), []);
    let due = store.due(at(1));
    assert_eq!(due.len(), 3);
    assert_eq!(store.document(&due[0].id).unwrap().bytes, b"sr bytes");
    assert!(store.enqueue(&case(), 1, "PACS", &[uid("2.25.99")], at(0)).is_err());
    assert!(store.enqueue(&case(), 2, "PACS", &[uid("2.25.10")], at(0)).is_err());
}

#[test]
fn what_was_sent_stays_sent_and_what_failed_waits_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    save(&store, 1);
    store.enqueue(&case(), 1, "PACS", &[uid("2.25.10"), uid("2.25.11")], at(0)).unwrap();
    let due = store.due(at(0));
    store.mark_sent(&due[0].id, at(3)).unwrap();
    store.mark_failed(&due[1].id, Some(at(100)), "connection refused").unwrap();

    let image = image_of(directory.path());
    let (again, _) = open(image.path());
    assert_eq!(again.outbox(), store.outbox());
    assert_eq!(again.due(at(99)), []);
    assert_eq!(again.next_due_at(), Some(at(100)));
    let waiting = &again.due(at(100))[0];
    assert_eq!((waiting.attempts, waiting.reason.as_str()), (1, "connection refused"));
    // Handing the same revision over again does not send what was sent.
    again.enqueue(&case(), 1, "PACS", &[uid("2.25.10"), uid("2.25.11")], at(200)).unwrap();
    assert_eq!(again.due(at(300)).len(), 1);

    again.mark_sent(&waiting.id, at(101)).unwrap();
    assert!(again.outbox().is_empty());
    assert_eq!(n_files(&image.path().join("outbox/open")), 0);
    assert_eq!(again.deliveries(&case(), 1).unwrap().len(), 2);
    again.enqueue(&case(), 1, "PACS", &[uid("2.25.10")], at(200)).unwrap();
    assert!(again.outbox().is_empty());
}

#[test]
fn a_delivery_found_complete_but_open_is_moved_away() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    save(&store, 1);
    store.enqueue(&case(), 1, "PACS", &[uid("2.25.10")], at(0)).unwrap();
    store.mark_sent(&store.due(at(0))[0].id, at(1)).unwrap();
    drop(store);
    let name = "c1.1.json";
    fs::copy(directory.path().join("outbox/done").join(name), directory.path().join("outbox/open").join(name)).unwrap();
    let (store, _) = open(directory.path());
    assert!(store.outbox().is_empty());
    assert_eq!(store.deliveries(&case(), 1).unwrap()[0].state, DeliveryState::Sent);
}

#[test]
fn what_was_given_up_stays_visible_until_it_is_retried() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    save(&store, 1);
    store.enqueue(&case(), 1, "PACS", &[uid("2.25.10")], at(0)).unwrap();
    let id = store.due(at(0))[0].id.clone();
    store.mark_failed(&id, None, "refused by the peer").unwrap();
    assert_eq!(store.due(at(1_000_000)), []);
    assert_eq!(store.outbox()[0].state, DeliveryState::GivenUp);
    assert_eq!(store.retry_deliveries(&case(), at(5)).unwrap(), 1);
    assert_eq!(store.due(at(5)).len(), 1);
    assert_eq!(store.retry_deliveries(&CaseId("c2".to_owned()), at(5)).unwrap(), 0);
}

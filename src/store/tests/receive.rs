use std::fs;

use super::fixture::{contents, data_set, facts, n_files, open, send, settings, uid};
use crate::store::{Store, StoreError, Stored};

#[test]
fn what_was_sent_is_stored_as_it_came_and_found_by_instance_and_series() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let data = data_set(&facts(1, 1), b'x', 100_000);
    assert_eq!(send(&store, &facts(1, 1), &data, 5).unwrap(), Stored::New);
    assert_eq!(send(&store, &facts(1, 2), &data_set(&facts(1, 2), b'y', 10), 4).unwrap(), Stored::New);
    assert_eq!(send(&store, &facts(2, 1), &data_set(&facts(2, 1), b'z', 10), 6).unwrap(), Stored::New);

    let stored = store.instance(&uid("1.2.3.1.1")).unwrap().unwrap();
    assert_eq!(stored.facts, facts(1, 1));
    assert!(fs::read(&stored.path).unwrap().ends_with(&data));
    assert_eq!(store.instances_of_series(&uid("1.2.3.1")).unwrap().len(), 2);
    let order: Vec<_> = contents(&store).into_iter().map(|instance| instance.facts.sop_instance).collect();
    assert_eq!(order, ["1.2.3.1.2", "1.2.3.1.1", "1.2.3.2.1"].map(uid));
    assert_eq!(store.instance(&uid("1.2.3.1.3")).unwrap(), None);
    assert_eq!(n_files(&directory.path().join("incoming")), 0);
}

#[test]
fn a_series_whose_uid_begins_like_another_is_another() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    for series in [1, 11] {
        send(&store, &facts(series, 1), &data_set(&facts(series, 1), 0, 1), 0).unwrap();
    }
    assert_eq!(store.instances_of_series(&uid("1.2.3.1")).unwrap().len(), 1);
}

#[test]
fn the_same_bytes_twice_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let data = data_set(&facts(1, 1), 7, 1000);
    assert_eq!(send(&store, &facts(1, 1), &data, 0).unwrap(), Stored::New);
    let before = contents(&store);
    assert_eq!(send(&store, &facts(1, 1), &data, 99).unwrap(), Stored::Duplicate);
    assert_eq!(contents(&store), before);
    assert_eq!(store.counts().unwrap().instances, 1);
    assert_eq!(n_files(&directory.path().join("incoming")), 0);
}

#[test]
fn other_bytes_under_a_known_uid_are_kept_aside_and_not_claimed() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    send(&store, &facts(1, 1), &data_set(&facts(1, 1), 7, 1000), 0).unwrap();
    let before = contents(&store);
    let other = data_set(&facts(1, 1), 8, 1000);
    for _ in 0..2 {
        assert_eq!(send(&store, &facts(1, 1), &other, 1).unwrap(), Stored::Conflict);
    }
    let mut elsewhere = facts(1, 1);
    elsewhere.series = uid("1.2.3.2");
    assert_eq!(send(&store, &elsewhere, &data_set(&elsewhere, 7, 1000), 1).unwrap(), Stored::Conflict);
    assert_eq!(contents(&store), before);
    assert_eq!(n_files(&directory.path().join("conflicts")), 2, "the same conflict twice is one file");
}

#[test]
fn another_transfer_syntax_over_the_same_bytes_is_a_conflict() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let data = data_set(&facts(1, 1), 7, 10);
    send(&store, &facts(1, 1), &data, 0).unwrap();
    let mut transcoded = facts(1, 1);
    transcoded.transfer_syntax = uid("1.2.840.10008.1.2");
    assert_eq!(send(&store, &transcoded, &data, 1).unwrap(), Stored::Conflict);
}

#[test]
fn a_file_that_somebody_deleted_may_come_again() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let data = data_set(&facts(1, 1), 7, 10);
    send(&store, &facts(1, 1), &data, 0).unwrap();
    fs::remove_file(&contents(&store)[0].path).unwrap();
    assert_eq!(send(&store, &facts(1, 1), &data, 1).unwrap(), Stored::New);
    assert_eq!(contents(&store).len(), 1);
    assert_eq!(store.counts().unwrap().instances, 1);
}

#[test]
fn one_instance_from_four_senders_at_once_is_one_whole_file() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    for number in 0..20 {
        let data = data_set(&facts(1, number), 1, 50_000);
        let outcomes: Vec<Stored> = std::thread::scope(|scope| {
            let senders: Vec<_> =
                (0..4).map(|_| scope.spawn(|| send(&store, &facts(1, number), &data, 0).unwrap())).collect();
            senders.into_iter().map(|sender| sender.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|stored| **stored == Stored::New).count(), 1);
        assert_eq!(outcomes.iter().filter(|stored| **stored == Stored::Duplicate).count(), 3);
    }
    assert_eq!(contents(&store).len(), 20);
    assert_eq!(n_files(&directory.path().join("instances")), 20);
    assert_eq!(n_files(&directory.path().join("incoming")), 0);
}

#[test]
fn four_senders_of_different_bytes_under_one_uid_leave_one_instance_and_three_conflicts() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let outcomes: Vec<Stored> = std::thread::scope(|scope| {
        let store = &store;
        let senders: Vec<_> = (0..4_u8)
            .map(|filler| {
                scope.spawn(move || send(store, &facts(1, 1), &data_set(&facts(1, 1), filler, 50_000), 0).unwrap())
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|stored| **stored == Stored::New).count(), 1);
    assert_eq!(outcomes.iter().filter(|stored| **stored == Stored::Conflict).count(), 3);
    assert_eq!(contents(&store).len(), 1);
    assert_eq!(n_files(&directory.path().join("conflicts")), 3);
}

#[test]
fn an_object_that_is_not_committed_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let mut incoming = store.begin().unwrap();
    incoming.write(&[0; 200_000]).unwrap();
    assert_eq!(n_files(&directory.path().join("incoming")), 1);
    drop(incoming);
    assert_eq!(n_files(&directory.path().join("incoming")), 0);
    assert!(contents(&store).is_empty());
}

#[test]
fn nothing_is_taken_below_the_reserve() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.reserve_bytes = u64::MAX;
    let (store, _) = Store::open(&settings).unwrap();
    let error = store.begin().unwrap_err();
    assert!(matches!(error, StoreError::OutOfSpace { reserve: u64::MAX, .. }));
    assert!(error.is_out_of_space());
    assert_eq!(n_files(&directory.path().join("incoming")), 0);
}

#[test]
fn meta_information_after_the_data_set_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let mut incoming = store.begin().unwrap();
    incoming.write(b"data").unwrap();
    assert!(matches!(incoming.write_meta(b"meta"), Err(StoreError::MetaAfterData)));
}

#[test]
fn a_second_process_cannot_open_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    assert!(matches!(Store::open(&settings(directory.path())), Err(StoreError::Locked)));
    drop(store);
    assert!(Store::open(&settings(directory.path())).is_ok());
}

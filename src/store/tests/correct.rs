//! Objects of one UID that are alike, and those that are not.

use std::fs;
use std::path::Path;

use super::fixture::{contents, data_set, facts, n_files, send, settings};
use crate::dicom::likeness::Likeness;
use crate::store::{Origin, Store, StoreSettings, Stored};

/// Data sets are alike by their last bytes: two apart is another encoding, one apart another header.
fn comparing(directory: &Path) -> StoreSettings {
    let compare = |one: &Path, other: &Path| {
        let last = |path| *fs::read(path).unwrap().last().unwrap();
        match u8::abs_diff(last(one), last(other)) {
            0 | 2 => Likeness::Same,
            1 => Likeness::OtherHeader,
            _ => Likeness::OtherContent,
        }
    };
    StoreSettings { compare, ..settings(directory) }
}

fn put(store: &Store, filler: u8) -> Stored {
    send(store, &facts(1, 1), &data_set(&facts(1, 1), filler, 100), i64::from(filler)).unwrap()
}

#[test]
fn another_encoding_is_a_duplicate_and_the_first_one_stays() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&comparing(directory.path())).unwrap();
    assert_eq!(put(&store, 10), Stored::New);
    let before = contents(&store);
    assert_eq!(put(&store, 12), Stored::Duplicate);
    assert_eq!(contents(&store), before);
    assert_eq!((n_files(&directory.path().join("instances")), n_files(&directory.path().join("conflicts"))), (1, 0));
}

#[test]
fn a_corrected_header_takes_the_place_of_the_first_one_which_is_kept_aside_and_does_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&comparing(directory.path())).unwrap();
    put(&store, 10);
    assert_eq!(put(&store, 11), Stored::Corrected);
    let after = contents(&store);
    assert_eq!(after.len(), 1);
    assert!(fs::read(&after[0].path).unwrap().ends_with(&[11]));
    assert_eq!(store.counts().unwrap().instances, 1);
    assert_eq!(put(&store, 10), Stored::Conflict, "what was corrected");
    assert_eq!(contents(&store), after);
    assert_eq!(n_files(&directory.path().join("conflicts")), 1);
    // The index is rebuilt from the files: the same instance.
    drop(store);
    fs::remove_dir_all(directory.path().join("index")).unwrap();
    let (store, _) = Store::open(&comparing(directory.path())).unwrap();
    assert_eq!(contents(&store), after);
}

#[test]
fn who_may_not_correct_and_what_is_another_content_is_a_conflict() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&comparing(directory.path())).unwrap();
    put(&store, 10);
    assert_eq!(put(&store, 20), Stored::Conflict);
    let data = data_set(&facts(1, 1), 11, 100);
    let mut incoming = store.begin().unwrap();
    incoming.write(&data).unwrap();
    incoming.finish().unwrap();
    let origin = Origin { calling_ae: "A".to_owned(), received_at: super::fixture::at(1), may_correct: false };
    assert_eq!(incoming.commit(facts(1, 1), origin).unwrap(), Stored::Conflict);
    assert!(fs::read(&contents(&store)[0].path).unwrap().ends_with(&[10]));
}

#[test]
fn a_crash_between_the_two_files_of_a_correction_keeps_what_the_index_knows() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&comparing(directory.path())).unwrap();
    put(&store, 10);
    let first = contents(&store)[0].path.clone();
    let bytes = fs::read(&first).unwrap();
    put(&store, 11);
    let after = contents(&store);
    drop(store);
    // The first file was not moved yet, and the process died.
    fs::write(&first, bytes).unwrap();
    fs::remove_file(directory.path().join("clean")).unwrap();
    let (store, _) = Store::open(&comparing(directory.path())).unwrap();
    assert_eq!(contents(&store), after);
    assert_eq!(n_files(&directory.path().join("instances")), 1);
}

use std::time::Duration;

use super::fixture::{at, contents, data_set, facts, image_of, n_files, open, send, uid};
use crate::store::{Store, Stored};

fn receive(store: &Store, series: u32) {
    for number in 0..3 {
        let facts = facts(series, number);
        send(store, &facts, &data_set(&facts, 1, 100), 0).unwrap();
    }
}

#[test]
fn what_is_withdrawn_is_gone_from_the_store_and_lies_aside_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    receive(&store, 1);
    receive(&store, 2);
    let names = ["1.2.3.1.0", "1.2.3.1.2", "1.2.3.2.1", "9.9.9"].map(uid);
    let withdrawn = store.withdraw(&names).unwrap();
    assert_eq!(withdrawn.series(), ["1.2.3.1", "1.2.3.2"].map(uid));
    assert_eq!(withdrawn.instances.len(), 3);
    assert_eq!(contents(&store).len(), 3);
    assert_eq!(store.counts().unwrap().instances, 3);
    assert_eq!(store.instance(&uid("1.2.3.1.0")).unwrap(), None);
    assert_eq!(n_files(&directory.path().join("withdrawn")), 3);
    assert!(store.withdraw(&names).unwrap().instances.is_empty(), "twice is once");
    // Neither a kill nor a lost index brings them back.
    let image = image_of(directory.path());
    std::fs::remove_dir_all(image.path().join("index")).unwrap();
    assert_eq!(contents(&open(image.path()).0).len(), 3);
    store.expire(at(100), Duration::from_secs(10), Duration::from_secs(10)).unwrap();
    assert_eq!(n_files(&directory.path().join("withdrawn")), 0);
}

#[test]
fn a_refused_instance_that_comes_again_is_durable_and_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    receive(&store, 1);
    store.withdraw(&[uid("1.2.3.1.0")]).unwrap();
    let data = data_set(&facts(1, 0), 1, 100);
    store.refuse(&[uid("1.2.3.1.0")]);
    assert_eq!(send(&store, &facts(1, 0), &data, 5).unwrap(), Stored::Refused);
    assert_eq!(contents(&store).len(), 2);
    // One that was only withdrawn may come back.
    store.withdraw(&[uid("1.2.3.1.1")]).unwrap();
    assert_eq!(send(&store, &facts(1, 1), &data_set(&facts(1, 1), 1, 100), 5).unwrap(), Stored::New);
}

//! What a peer holds of a study, beside what is here.

use super::fixture::{at, data_set, facts, open, send, uid};
use crate::store::Holding;

#[test]
fn what_a_peer_holds_of_a_study_stands_beside_what_is_here_now() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let (study, series) = (uid("1.2.3"), [uid("1.2.3.1"), uid("1.2.3.2"), uid("1.2.3.9")]);
    assert_eq!(store.n_instances_of_study(&study).unwrap(), 0);
    for (series, number) in [(1, 1), (1, 2), (2, 1)] {
        let facts = facts(series, number);
        send(&store, &facts, &data_set(&facts, 0, 100), i64::from(number)).unwrap();
    }
    assert!(store.held_of(&series).unwrap().is_empty(), "nobody said anything");
    let holding = |n_instances, second| Holding { peer: "PACS".to_owned(), n_instances, said_at: at(second) };
    store.note_holding(&uid("1.2.4"), holding(7, 1));
    store.note_holding(&study, holding(40, 2));
    store.note_holding(&study, holding(41, 3));
    let held = store.held_of(&series).unwrap();
    assert_eq!(held.len(), 1, "one for the study, however many of its series are asked about: {held:?}");
    assert_eq!((&held[0].study, &held[0].there, held[0].n_here), (&study, &holding(41, 3), 3));
    store.withdraw(&[uid("1.2.3.2.1")]).unwrap();
    assert_eq!(store.held_of(&series).unwrap()[0].n_here, 2);
}

#[test]
fn the_study_that_was_spoken_of_longest_ago_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let first = facts(1, 1);
    send(&store, &first, &data_set(&first, 0, 10), 0).unwrap();
    let holding = |second| Holding { peer: "PACS".to_owned(), n_instances: 1, said_at: at(second) };
    store.note_holding(&first.study, holding(0));
    (1..10_000).for_each(|n| store.note_holding(&uid(&format!("1.9.{n}")), holding(n)));
    assert_eq!(store.held_of(std::slice::from_ref(&first.series)).unwrap().len(), 1);
    store.note_holding(&uid("1.9.10000"), holding(10_000));
    assert!(store.held_of(&[first.series]).unwrap().is_empty());
}

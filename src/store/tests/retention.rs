use std::time::Duration;

use super::fixture::{at, contents, data_set, document, facts, n_files, open, send, uid};
use crate::case::CaseId;
use crate::store::{CaseRecord, CaseState, Expired, Store};

const DAY: i64 = 86_400;
const RETENTION: Duration = Duration::from_secs(30 * 86_400);
const PARKED: Duration = Duration::from_secs(90 * 86_400);

fn expire(store: &Store, day: i64) -> Expired {
    store.expire(at(day * DAY), RETENTION, PARKED).unwrap()
}

fn put(store: &Store, id: &str, state: CaseState, series: &[&str], day: i64) {
    let record = CaseRecord {
        id: CaseId(id.to_owned()),
        state,
        protocol: "p".to_owned(),
        revision: 1,
        series: series.iter().map(|series| uid(series)).collect(),
        reason: String::new(),
        findings: Vec::new(),
        attempts: 0,
        next_attempt_at: None,
        created_at: at(0),
        updated_at: at(day * DAY),
        lapsed: false,
        handed_at: None,
        spec: None,
    };
    store.put_case(&record).unwrap();
}

fn receive(store: &Store, series: u32, day: i64) {
    for number in 0..3 {
        let facts = facts(series, number);
        send(store, &facts, &data_set(&facts, 1, 100), day * DAY).unwrap();
    }
}

#[test]
fn an_open_case_keeps_its_series_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    receive(&store, 1, 0);
    for state in [CaseState::Collecting, CaseState::Ready, CaseState::Processing] {
        put(&store, "c1", state, &["1.2.3.1"], 0);
        assert_eq!(expire(&store, 10_000), Expired::default());
    }
}

#[test]
fn a_done_case_lets_its_series_go_after_retention_and_a_parked_one_later() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    receive(&store, 1, 0);
    receive(&store, 2, 0);
    receive(&store, 3, 0);
    put(&store, "done", CaseState::Done, &["1.2.3.1"], 1);
    put(&store, "parked", CaseState::Parked, &["1.2.3.2"], 1);
    assert_eq!(expire(&store, 30), Expired::default());
    let expired = expire(&store, 31);
    assert_eq!((expired.series.len(), expired.files), (1, 3));
    assert!(store.instances_of_series(&uid("1.2.3.1")).unwrap().is_empty());
    assert_eq!(expire(&store, 89), Expired::default());
    assert_eq!(expire(&store, 90).series.len(), 1, "the series without a case");
    assert_eq!(expire(&store, 91).series.len(), 1, "the parked one, a day younger");
    assert!(contents(&store).is_empty());
    assert_eq!(store.counts().unwrap().bytes, 0);
    assert_eq!(std::fs::read_dir(directory.path().join("instances")).unwrap().flatten().count(), 1);
    assert_eq!(n_files(&directory.path().join("instances")), 0);
    // Its folders are gone; the same series may come again.
    receive(&store, 1, 92);
    assert_eq!(contents(&store).len(), 3);
}

#[test]
fn a_series_of_two_cases_stays_until_both_let_it_go() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    receive(&store, 1, 0);
    put(&store, "a", CaseState::Done, &["1.2.3.1"], 0);
    put(&store, "b", CaseState::Collecting, &["1.2.3.1"], 0);
    assert_eq!(expire(&store, 1000).series.len(), 0);
    put(&store, "b", CaseState::Done, &["1.2.3.1"], 1000);
    assert_eq!(expire(&store, 1029).series.len(), 0);
    assert_eq!(expire(&store, 1030).series.len(), 1);
}

#[test]
fn a_late_instance_keeps_its_series() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    receive(&store, 1, 0);
    put(&store, "a", CaseState::Done, &["1.2.3.1"], 0);
    send(&store, &facts(1, 9), &data_set(&facts(1, 9), 1, 1), 20 * DAY).unwrap();
    assert_eq!(expire(&store, 49).series.len(), 0);
    assert_eq!(expire(&store, 50).files, 4);
}

#[test]
fn what_is_not_delivered_keeps_its_inputs() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    receive(&store, 1, 0);
    put(&store, "a", CaseState::Done, &["1.2.3.1"], 0);
    let case = CaseId("a".to_owned());
    store.save_result(&case, 1, &[document("sr", 1, b"x")], b"", b"{}").unwrap();
    store.enqueue(&case, 1, "PACS", &[uid("2.25.1")], at(0)).unwrap();
    let id = store.due(at(0))[0].id.clone();
    assert_eq!(expire(&store, 1000).series.len(), 0, "pending");
    store.mark_failed(&id, None, "refused").unwrap();
    assert_eq!(expire(&store, 89).series.len(), 0, "given up: kept as long as a parked case");
    store.retry_deliveries(&case, at(0)).unwrap();
    store.mark_sent(&id, at(1)).unwrap();
    assert_eq!(expire(&store, 30).series.len(), 1);
    assert!(store.result(&case, 1).unwrap().is_some(), "results stay");
}

#[test]
fn conflicts_go_after_the_longer_time() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    receive(&store, 1, 0);
    put(&store, "a", CaseState::Collecting, &["1.2.3.1"], 0);
    send(&store, &facts(1, 0), &data_set(&facts(1, 0), 2, 100), 0).unwrap();
    assert_eq!(expire(&store, 89).files, 0);
    assert_eq!(expire(&store, 90).files, 1);
    assert_eq!(n_files(&directory.path().join("conflicts")), 0);
}

#[test]
fn nothing_is_lost_when_instances_come_while_their_series_expires() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..60 {
                let facts = facts(1, number);
                send(&store, &facts, &data_set(&facts, 1, 10), i64::from(number) * 100 * DAY).unwrap();
            }
        });
        scope.spawn(|| {
            for day in 0..60 {
                store.expire(at(day * 100 * DAY), RETENTION, PARKED).unwrap();
            }
        });
    });
    let index = contents(&store).len();
    assert_eq!(n_files(&directory.path().join("instances")), index);
    assert_eq!(store.counts().unwrap().instances, index as u64);
}

//! What is waited for, and how long.

use super::fixture::*;
use crate::case::{AtDeadline, ProtocolRules, Standing};
use crate::dicom::facts::InstanceFacts;
use crate::finding::{FindingKind, Policy};

fn parking() -> ProtocolRules {
    ProtocolRules { at_deadline: AtDeadline::Park, ..protocol() }
}

fn without(instances: &[InstanceFacts], number: &str) -> (Vec<InstanceFacts>, Vec<InstanceFacts>) {
    instances.iter().cloned().partition(|facts| facts.sop_instance != uid(number))
}

#[test]
fn a_case_is_ready_when_nothing_came_for_its_study_for_the_settle_time() {
    let mut node = Node::new(protocol());
    let all = whole("1.2.3");
    for (second, facts) in (0..).zip(&all) {
        node.add([facts], second);
        node.poll(second);
    }
    let last = i64::try_from(all.len()).unwrap() - 1;
    node.poll(last + CASE_SETTLE_S - 1);
    assert!(specs(&node.changes).is_empty());
    assert_eq!(spec(&node.poll(last + CASE_SETTLE_S)).inputs[0].instances.len(), 20);
}

#[test]
fn next_poll_tells_when_the_case_is_ready() {
    let mut node = Node::new(protocol());
    node.add(&whole("1.2.3"), 5);
    assert_eq!(node.grouper.next_poll_at(), Some(at(5)));
    node.poll(5);
    let next = node.grouper.next_poll_at().unwrap();
    assert!(next > at(5) && next <= at(5 + CASE_SETTLE_S));
    assert_eq!(specs(&node.run_until(5 + CASE_SETTLE_S)).len(), 1);
    assert_eq!(node.grouper.next_poll_at(), None);
}

#[test]
fn a_collecting_case_says_what_it_waits_for_and_says_it_once() {
    let mut node = Node::new(protocol());
    let all = images("CT", "1.2.3", 1, 20);
    node.add(&all, 0);
    assert_eq!(waits_for(&node.poll(0)), "the end of the transfer of its studies");
    assert_eq!(node.poll(30), []);
    let waits = "a series for the role PT, a drawn region that the protocol measures";
    assert_eq!(waits_for(&node.poll(60)), waits);
    assert_eq!(node.run_until(DEADLINE_S - 1), []);
    let changes = node.run_until(DEADLINE_S);
    assert_eq!(reason(&changes), format!("at the deadline it still waited for {waits}"));
}

#[test]
fn at_the_deadline_a_case_is_processed_with_what_there_is_or_parked_as_the_protocol_says() {
    let all: Vec<_> = whole("1.2.3").into_iter().filter(|facts| facts.modality != "PT").collect();
    let mut node = Node::new(protocol());
    node.add(&all, 0);
    node.run_until(DEADLINE_S - 1);
    assert!(specs(&node.changes).is_empty());
    let changes = node.run_until(DEADLINE_S);
    assert_eq!(cast(spec(&changes)), [("CT", "1.2.3.1")]);
    let found = kinds(&spec(&changes).findings);
    assert_eq!(found, [(FindingKind::RoleMissing, "MR"), (FindingKind::RoleMissing, "PT")]);

    let mut node = Node::new(parking());
    node.add(&all, 0);
    let changes = node.run_until(DEADLINE_S);
    assert_eq!(reason(&changes), "at the deadline it still waited for a series for the role PT");
    assert!(specs(&node.changes).is_empty());
}

#[test]
fn without_anything_to_measure_a_case_is_parked_whatever_the_protocol_says() {
    let mut node = Node::new(protocol());
    node.add(&whole("1.2.3")[..35], 0);
    let changes = node.run_until(DEADLINE_S);
    assert!(reason(&changes).contains("a drawn region that the protocol measures"));
}

#[test]
fn a_series_with_a_missing_slice_is_waited_for_until_the_deadline_and_then_goes_through_with_a_finding() {
    let (all, late) = without(&whole("1.2.3"), "1.2.3.1.7");
    let mut node = Node::new(protocol());
    node.add(&all, 0);
    assert_eq!(waits_for(&node.run_until(60)[1..]), "a missing slice of the role CT");
    let changes = node.run_until(DEADLINE_S);
    let spec = spec(&changes);
    assert_eq!(spec.inputs[0].instances.len(), 19);
    assert_eq!(kinds(&spec.findings), [(FindingKind::RoleMissing, "MR"), (FindingKind::MissingSlice, "CT")]);
    assert_eq!(spec.findings[1].policy, Policy::Accept);
    assert_eq!(spec.findings[1].detail, "1 missing at a spacing of 3.0000 mm, none came until the deadline");

    let mut node = Node::new(protocol());
    node.add(&all, 0);
    node.run_until(4000);
    node.add(&late, 4000);
    let changes = node.run_until(4060);
    assert_eq!(specs(&changes)[0].inputs[0].instances.len(), 20);

    let mut node = Node::new(parking());
    node.add(&all, 0);
    assert_eq!(
        reason(&node.run_until(DEADLINE_S)),
        "at the deadline it still waited for a missing slice of the role CT"
    );
}

#[test]
fn a_series_that_no_role_needs_may_miss_slices() {
    let mut all = whole("1.2.3");
    let (holes, _) = without(&images("US", "1.2.3", 4, 20), "1.2.3.4.7");
    all.extend(holes);
    let mut node = Node::new(protocol());
    node.add(&all, 0);
    assert_eq!(specs(&node.run_until(60)).len(), 1);
}

#[test]
fn a_study_that_never_falls_silent_is_cut_off_after_the_deadline() {
    let mut node = Node::new(protocol());
    let all = whole("1.2.3");
    node.add(&all, 0);
    let mut seconds = 30;
    while specs(&node.changes).is_empty() {
        node.add([&instance("1.2.3", 50, u32::try_from(seconds).unwrap())], seconds);
        node.poll(seconds);
        seconds += 30;
        assert!(seconds <= DEADLINE_S + 60);
    }
    assert!(seconds > DEADLINE_S, "{seconds}");
}

#[test]
fn series_settle_counts_where_it_is_longer_than_case_settle() {
    let mut node = Node::new(protocol());
    let mut settings = settings();
    settings.series_settle = std::time::Duration::from_secs(300);
    node.grouper = crate::case::Grouper::new(settings, vec![protocol()]);
    node.add(&whole("1.2.3"), 0);
    let changes = node.run_until(299);
    let Standing::Collecting { waits_for } = &changes.last().unwrap().standing else { panic!("{changes:?}") };
    assert_eq!(waits_for, "the end of the transfer of its series");
    assert_eq!(specs(&node.run_until(300)).len(), 1);
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_a_case_open() {
    let mut node = Node::new(protocol());
    node.add(&whole("1.2.3"), 1_000_000);
    node.poll(0);
    assert_eq!(specs(&node.run_until(CASE_SETTLE_S)).len(), 1);
}

#[test]
fn a_duplicate_changes_nothing_and_does_not_prolong_the_wait() {
    let mut node = Node::new(protocol());
    let all = whole("1.2.3");
    node.add(&all, 0);
    node.poll(0);
    node.add(&all, 50);
    assert_eq!(specs(&node.run_until(CASE_SETTLE_S)).len(), 1);
    node.add(&all, 100);
    assert_eq!(node.grouper.next_poll_at(), None);
    assert_eq!(node.poll(10_000), []);
}

#[test]
fn offline_everything_has_come_and_nothing_is_waited_for() {
    let (all, _) = without(&whole("1.2.3"), "1.2.3.1.7");
    let mut node = Node::new(protocol());
    node.add(&all, 0);
    assert_eq!(kinds(&spec(&node.finish(0)).findings).len(), 2);
    assert_eq!(node.grouper.next_poll_at(), None);
    assert_eq!(node.finish(1), []);
}

#[test]
fn a_reason_never_names_a_patient_or_a_uid() {
    let mut node = Node::new(protocol());
    let all = with(whole("1.2.3"), |facts| facts.patient.id = "SECRET".to_owned());
    let mut said = drawn(&[&all[0]], 9);
    said.references.push(uid("1.2.3.77"));
    node.add(&all[..20], 0);
    node.add([&structure_set("1.2.3", 10, said)], 0);
    node.run_until(DEADLINE_S);
    for change in &node.changes {
        let text = match &change.standing {
            Standing::Collecting { waits_for } => waits_for.clone(),
            Standing::Parked { reason } => reason.clone(),
            Standing::Ready(spec) => format!("{:?}", spec.findings),
        };
        let text = text + &format!("{:?}{:?}", change.findings, change.id);
        assert!(!text.contains("SECRET") && !text.contains("1.2.3") && !text.contains("1960"), "{text}");
    }
    assert!(!node.changes.is_empty());
}

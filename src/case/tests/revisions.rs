//! What comes after a case was handed out, and what a restart, a reload and the retention do to it.

use super::fixture::*;
use crate::case::{CaseChange, CaseSpec, ProtocolRules, Standing};
use crate::dicom::facts::InstanceFacts;
use crate::finding::FindingKind;

const STUDY: &str = "1.2.3";

/// A node that has handed out the first revision of one case.
fn handed() -> (Node, CaseSpec) {
    let mut node = Node::new(protocol());
    node.add(&whole(STUDY), 0);
    let changes = node.run_until(60);
    let first = spec(&changes).clone();
    assert_eq!(first.revision, 1);
    (node, first)
}

fn redrawn(hour: u32) -> InstanceFacts {
    structure_set(STUDY, 30 + hour, drawn(&[&images("CT", STUDY, 1, 1)[0]], hour))
}

/// A node after a restart: what is stored is added again.
fn restarted(stored: &[InstanceFacts], id: &crate::case::CaseId, last: Option<CaseSpec>) -> Node {
    let mut node = Node::new(protocol());
    node.grouper.remember(id.clone(), at(0), last);
    node.add(stored, 0);
    node
}

#[test]
fn a_newer_drawing_makes_a_revision_of_the_same_case() {
    let (mut node, first) = handed();
    node.add([&redrawn(20)], 5000);
    let changes = node.run_until(100_000);
    let second = spec(&changes);
    assert_eq!((second.revision, &second.id), (2, &first.id));
    assert_eq!(second.annotations.len(), 1);
    assert_ne!(second.annotations, first.annotations);
    assert_eq!(changes.len(), 1, "nothing is said before it is ready");
}

#[test]
fn a_study_that_turns_out_not_to_be_the_patients_is_taken_out_of_what_was_made_with_it() {
    let mr = with(images("MR", "1.2.4", 3, 12), |facts| "20240320".clone_into(&mut facts.study_date));
    let mut node = Node::new(protocol());
    node.add(&mr, 0);
    node.add(&whole(STUDY), 0);
    assert_eq!(spec(&node.run_until(60)).inputs.len(), 3);
    let mut another = instance("1.2.4", 9, 1);
    another.study_date.clone_from(&mr[0].study_date);
    another.patient.id = "P2".to_owned();
    node.add([&another], 5000);
    let changes = node.run_until(100_000);
    let second = changes.iter().find_map(|change| match &change.standing {
        Standing::Ready(spec) => Some(spec),
        _ => None,
    });
    let second = second.unwrap();
    let roles: Vec<&str> = second.inputs.iter().map(|input| input.role.as_str()).collect();
    assert_eq!((second.revision, roles), (2, vec!["CT", "PT"]));
}

#[test]
fn an_older_drawing_and_a_rejected_one_make_none() {
    let (mut node, _) = handed();
    let mut rejected = redrawn(21);
    if let crate::dicom::facts::InstanceKind::StructureSet(said) = &mut rejected.kind {
        said.approval = "REJECTED".to_owned();
    }
    node.add([&redrawn(2), &rejected, &instance(STUDY, 60, 1)], 5000);
    assert_eq!(node.run_until(100_000), []);
    assert_eq!(node.grouper.next_poll_at(), None);
}

#[test]
fn a_late_series_of_a_role_and_late_slices_make_a_revision() {
    let (mut node, _) = handed();
    node.add(&images("MR", STUDY, 3, 12), 5000);
    let changes = node.run_until(6000);
    assert_eq!((spec(&changes).revision, spec(&changes).inputs.len()), (2, 3));
    node.add(&images("MR", STUDY, 3, 14), 8000);
    let changes = node.run_until(9000);
    assert_eq!((spec(&changes).revision, spec(&changes).inputs[2].instances.len()), (3, 14));
}

#[test]
fn late_slices_with_a_hole_are_waited_for_anew() {
    let (mut node, _) = handed();
    let late: Vec<_> =
        images("CT", STUDY, 1, 25).into_iter().filter(|facts| facts.sop_instance != uid("1.2.3.1.22")).collect();
    node.add(&late, 50_000);
    assert_eq!(node.run_until(50_000 + DEADLINE_S - 1), []);
    let changes = node.run_until(50_000 + DEADLINE_S);
    assert_eq!(spec(&changes).revision, 2);
    assert!(kinds(&spec(&changes).findings).contains(&(FindingKind::MissingSlice, "CT")));
}

#[test]
fn a_drawing_that_lost_the_region_parks_the_case_though_it_has_a_result() {
    let (mut node, _) = handed();
    let mut object = redrawn(20);
    if let crate::dicom::facts::InstanceKind::StructureSet(said) = &mut object.kind {
        said.roi_names = vec!["LUNG".to_owned()];
    }
    node.add([&object], 5000);
    assert!(reason(&node.run_until(100_000)).contains("a drawn region"));
}

#[test]
fn a_second_series_for_a_role_parks_the_case_and_once_it_is_gone_the_result_stands_again() {
    let (mut node, first) = handed();
    let second_pt = images("PT", STUDY, 4, 15);
    node.add(&second_pt, 5000);
    assert!(reason(&node.run_until(6000)).contains("the role PT"));
    node.grouper.remove_series(&second_pt[0].series);
    let changes = node.run_until(7000);
    assert_eq!(spec(&changes), &first, "the same inputs, the same revision");
}

#[test]
fn after_a_restart_the_same_inputs_make_no_revision_and_others_do() {
    let (_, first) = handed();
    let mut node = restarted(&whole(STUDY), &first.id, Some(first.clone()));
    assert_eq!(node.run_until(100_000), []);
    let mut stored = whole(STUDY);
    stored.push(redrawn(20));
    let mut node = restarted(&stored, &first.id, Some(first.clone()));
    let changes = node.run_until(60);
    assert_eq!((spec(&changes).revision, &spec(&changes).id), (2, &first.id));
    let mut node = restarted(&stored, &first.id, None);
    assert_eq!(spec(&node.run_until(60)).revision, 1);
}

#[test]
fn a_remembered_case_keeps_its_beginning_and_with_it_its_deadline() {
    let (_, first) = handed();
    let mut node = Node::new(protocol());
    node.grouper.remember(first.id.clone(), at(-5000), None);
    node.add(&images("CT", STUDY, 1, 20), 0);
    let changes = node.run_until(DEADLINE_S - 5000);
    assert!(reason(&changes).contains("at the deadline"));
    assert_eq!(changes.last().unwrap().created_at, at(-5000));
}

#[test]
fn retention_makes_no_revision_in_whatever_order_series_go() {
    let all = whole(STUDY);
    let series = ["1.2.3.1", "1.2.3.2", "1.2.3.9"];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (mut node, first) = handed();
        for gone in order {
            node.grouper.remove_series(&uid(series[gone]));
            assert_eq!(node.run_until(100_000), []);
        }
        // The PACS sends it all again: nothing changed.
        node.add(&all, 200_000);
        let changes = node.run_until(300_000);
        assert_eq!(changes, [], "{order:?}");

        // A restart half way is no reason either.
        let left: Vec<_> = all.iter().filter(|facts| facts.series != uid(series[order[0]])).cloned().collect();
        let mut node = restarted(&left, &first.id.clone(), Some(first));
        let changes = node.run_until(100_000);
        assert!(changes.iter().all(|change| change.protocol.is_empty()), "{changes:#?}");
    }
}

#[test]
fn what_comes_after_part_of_the_sources_expired_makes_a_revision_of_what_is_left() {
    let (mut node, first) = handed();
    node.grouper.remove_series(&uid("1.2.3.2"));
    node.add([&redrawn(20)], 100_000);
    let changes = node.run_until(200_000);
    let second = spec(&changes);
    assert_eq!((second.revision, &second.id, second.inputs.len()), (2, &first.id, 1));
    assert!(kinds(&second.findings).contains(&(FindingKind::RoleMissing, "PT")));
}

#[test]
fn a_series_withdrawn_before_the_case_is_ready_has_never_come() {
    let mut node = Node::new(protocol());
    let mut all = whole(STUDY);
    all.extend(images("PT", STUDY, 4, 15));
    node.add(&all, 0);
    assert!(reason(&node.run_until(60)).contains("the role PT"));
    node.grouper.remove_series(&uid("1.2.3.4"));
    let changes = node.run_until(61);
    assert_eq!(cast(spec(&changes)), [("CT", "1.2.3.1"), ("PT", "1.2.3.2")]);
    assert_eq!(changes[0].series.len(), 3);
}

#[test]
fn a_series_that_is_removed_and_added_again_with_fewer_instances_makes_a_revision() {
    let (mut node, _) = handed();
    let pt = images("PT", STUDY, 2, 15);
    node.grouper.remove_series(&pt[0].series);
    node.add(&pt[..14], 5000);
    let changes = node.run_until(6000);
    assert_eq!((spec(&changes).revision, spec(&changes).inputs[1].instances.len()), (2, 14));
}

#[test]
fn a_case_that_still_waits_when_its_study_is_withdrawn_says_so_and_does_not_stay_open() {
    let mut node = Node::new(protocol());
    node.add(&images("CT", STUDY, 1, 20), 0);
    node.poll(0);
    node.grouper.remove_series(&uid("1.2.3.1"));
    assert!(node.grouper.next_poll_at().is_some());
    let changes = node.poll(1);
    assert_eq!(reason(&changes), "its series were removed");
    assert_eq!((changes[0].protocol.as_str(), changes[0].series.len()), ("pet-ct-mr", 0));
    assert_eq!(node.grouper.next_poll_at(), None);
}

#[test]
fn nothing_is_kept_of_what_was_removed() {
    let mut node = Node::new(protocol());
    node.add(&whole(STUDY)[..35], 0);
    node.run_until(100_000);
    for series in [1, 2] {
        node.grouper.remove_series(&uid(&format!("{STUDY}.{series}")));
    }
    assert_eq!(node.poll(200_000), []);
    let text = format!("{:?}", node.grouper);
    assert!(text.contains("studies: {}") && text.contains("places: {}") && text.contains("cases: {}"), "{text}");
    assert!(text.contains("Patients { studies: {}, said: {} }") && text.contains("alarms: {}"), "{text}");
}

#[test]
fn a_reload_judges_open_cases_again_and_leaves_results_alone() {
    let (mut node, _) = handed();
    let other = with(whole("1.2.5"), |facts| facts.patient.id = "P2".to_owned());
    node.add(&other[..20], 1000);
    node.add(&other[35..], 1000);
    node.run_until(1100);
    // The PET is not required any more, and the finished case would lose it.
    node.grouper.reload(settings(), vec![ProtocolRules { inputs: vec![input("CT", "CT", true)], ..protocol() }]);
    let changes = node.run_until(1100);
    assert_eq!(cast(spec(&changes)), [("CT", "1.2.5.1")]);
    assert_eq!(changes.len(), 1);
}

#[test]
fn a_case_whose_protocol_is_gone_is_parked_and_one_that_begins_to_fit_is_taken() {
    let mut node = Node::new(protocol());
    node.add(&images("CT", STUDY, 1, 20), 0);
    let somebody_else = |facts: &mut InstanceFacts| facts.patient.id = "P2".to_owned();
    node.add(&with(images("MR", "1.2.5", 1, 20), somebody_else), 0);
    node.run_until(60);
    let mr = ProtocolRules {
        name: "mr".to_owned(),
        reference: "MR".to_owned(),
        inputs: vec![input("MR", "MR", true)],
        ..protocol()
    };
    node.grouper.reload(settings(), vec![mr]);
    let changes = node.run_until(70);
    let of = |protocol: &str| changes.iter().filter(|change| change.protocol == protocol).collect::<Vec<&CaseChange>>();
    assert!(matches!(&of("mr")[0].standing, Standing::Collecting { .. }));
    let parked: Vec<_> = of("pet-ct-mr").into_iter().cloned().collect();
    assert_eq!(reason(&parked), "its protocol is no longer configured");
    assert!(of("")[0].series.is_empty(), "the one that stood for the MR is gone");
}

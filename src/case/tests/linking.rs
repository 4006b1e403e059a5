//! Which studies of one patient make one case.

use super::fixture::*;
use crate::case::Prefer;
use crate::dicom::facts::{InstanceFacts, PatientIdentity};
use crate::finding::FindingKind;

fn dated(instances: Vec<InstanceFacts>, date: &str) -> Vec<InstanceFacts> {
    with(instances, |facts| date.clone_into(&mut facts.study_date))
}

fn of(instances: Vec<InstanceFacts>, change: impl Fn(&mut PatientIdentity)) -> Vec<InstanceFacts> {
    with(instances, |facts| change(&mut facts.patient))
}

/// CT, PET and drawing of one study, and an MR study of another day; the MR's series where it joined.
fn joined(first: Vec<InstanceFacts>, mr: Vec<InstanceFacts>) -> Option<String> {
    let mut results = Vec::new();
    for mr_first in [true, false] {
        let mut node = Node::new(protocol());
        let (one, other) = if mr_first { (&mr, &first) } else { (&first, &mr) };
        node.add(one, 0);
        node.poll(0);
        node.add(other, 20);
        let changes = node.run_until(80);
        results.push(spec(&changes).inputs.get(2).map(|input| input.series.to_string()));
    }
    assert_eq!(results[0], results[1], "the order of the studies decides");
    results.remove(0)
}

fn mr_study() -> Vec<InstanceFacts> {
    dated(images("MR", "1.2.4", 3, 12), "20240320")
}

#[test]
fn studies_of_one_patient_within_the_window_make_one_case() {
    assert_eq!(joined(whole("1.2.3"), mr_study()).as_deref(), Some("1.2.4.3"));
    let edge = dated(images("MR", "1.2.4", 3, 12), "20240413");
    assert_eq!(joined(whole("1.2.3"), edge).as_deref(), Some("1.2.4.3"));
    let beyond = dated(images("MR", "1.2.4", 3, 12), "20240414");
    assert_eq!(joined(whole("1.2.3"), beyond), None);
    let undated = dated(images("MR", "1.2.4", 3, 12), "");
    assert_eq!(joined(whole("1.2.3"), undated), None);
}

#[test]
fn an_identity_that_does_not_agree_or_is_absent_keeps_studies_apart() {
    type Change = fn(&mut PatientIdentity);
    let changes: [Change; 6] = [
        |patient| patient.id = "P2".to_owned(),
        |patient| patient.issuer = "HOSPITAL".to_owned(),
        |patient| patient.birth_date = "19610101".to_owned(),
        |patient| patient.sex = "M".to_owned(),
        |patient| patient.birth_date.clear(),
        |patient| patient.sex.clear(),
    ];
    for change in changes {
        assert_eq!(joined(whole("1.2.3"), of(mr_study(), change)), None);
    }
    let absent: [Change; 3] = [|p| p.id.clear(), |p| p.birth_date.clear(), |p| p.sex.clear()];
    for change in absent {
        // The same on both sides, but nothing is no evidence.
        assert_eq!(joined(of(whole("1.2.3"), change), of(mr_study(), change)), None);
    }
    let issuer: Change = |patient| patient.issuer = "HOSPITAL".to_owned();
    assert_eq!(joined(of(whole("1.2.3"), issuer), of(mr_study(), issuer)).as_deref(), Some("1.2.4.3"));
}

#[test]
fn a_study_that_lends_its_series_is_not_parked_beside() {
    let mut node = Node::new(protocol());
    node.add(&mr_study(), 0);
    assert_eq!(reason(&node.run_until(60)), "no protocol takes it");
    node.add(&whole("1.2.3"), 3600);
    let changes = node.run_until(3700);
    assert_eq!(cast(spec(&changes)).len(), 3);
    assert!(changes.iter().any(|change| change.protocol.is_empty() && change.series.is_empty()));
    assert!(node.last("pet-ct-mr").series.contains(&uid("1.2.4.3")));

    let mut node = Node::new(protocol());
    node.add(&whole("1.2.3"), 0);
    node.add(&mr_study(), 0);
    node.run_until(100_000);
    assert!(node.changes.iter().all(|change| !change.protocol.is_empty()));
}

#[test]
fn a_follow_up_makes_its_own_case_and_each_keeps_what_was_scanned_with_it() {
    let mut node = Node::new(protocol());
    node.add(&whole("1.2.3"), 0);
    node.add(&dated(whole("1.2.5"), "20240401"), 0);
    node.add(&dated(images("MR", "1.2.5", 3, 12), "20240401"), 0);
    let changes = node.finish(0);
    let found = specs(&changes);
    assert_eq!(found.len(), 2);
    assert_eq!(cast(found[0]), [("CT", "1.2.3.1"), ("PT", "1.2.3.2"), ("MR", "1.2.5.3")]);
    assert_eq!(cast(found[1]), [("CT", "1.2.5.1"), ("PT", "1.2.5.2"), ("MR", "1.2.5.3")]);
    assert_eq!(found[0].annotations.len(), 1);
    assert_eq!(found[1].annotations.len(), 1);
    assert_ne!(found[0].id, found[1].id);
}

#[test]
fn two_linked_studies_with_the_role_are_ambiguous_unless_a_rule_prefers_one() {
    let other = with(dated(images("MR", "1.2.6", 3, 12), "20240316"), |facts| {
        facts.made_at = "20240316100000.000000".to_owned();
    });
    for (prefer, expected) in [(&[][..], None), (&[Prefer::Newest], Some("1.2.6.3"))] {
        let mut node = Node::new(preferring(protocol(), "MR", prefer));
        node.add(&whole("1.2.3"), 0);
        node.add(&mr_study(), 0);
        node.add(&other, 0);
        let changes = node.finish(0);
        let found: Vec<_> = changes.iter().filter(|change| change.protocol == "pet-ct-mr").cloned().collect();
        match expected {
            None => assert!(reason(&found).contains("the role MR")),
            Some(series) => assert_eq!(spec(&found).inputs[2].series, uid(series)),
        }
    }
}

#[test]
fn a_drawing_in_a_study_of_its_own_joins_by_identity_and_not_by_the_uid_that_it_names() {
    let all = whole("1.2.3");
    let said = drawn(&[&all[0]], 8);
    let own_study = structure_set("1.2.7", 1, said);
    for (patient, expected) in [(somebody(), 1), (PatientIdentity::default(), 0)] {
        let mut node = Node::new(ct_only());
        node.add(&all[..20], 0);
        node.add([&InstanceFacts { patient, ..own_study.clone() }], 0);
        let changes = node.finish(0);
        assert_eq!(specs(&changes).len(), expected, "{changes:#?}");
        // Where it is not part of the case, it is seen as a study that nothing takes.
        assert_eq!(changes.iter().filter(|change| change.protocol.is_empty()).count(), 1 - expected);
    }
}

#[test]
fn a_study_under_two_patient_ids_is_parked_with_a_finding_and_not_merged() {
    let mut all = whole("1.2.3");
    all[25].patient.id = "P2".to_owned();
    let mut node = Node::new(protocol());
    node.add(&all, 0);
    let changes = node.finish(0);
    assert_eq!(reason(&changes), "the study holds instances of different patients");
    assert_eq!(kinds(&changes[0].findings), [(FindingKind::PatientIdentityConflict, "")]);
    assert_eq!(
        joined(whole("1.2.3"), {
            let mut mr = mr_study();
            mr[0].patient.id = "P2".to_owned();
            mr
        }),
        None
    );
}

#[test]
fn a_study_of_the_same_id_with_another_birth_date_is_a_finding() {
    let mut node = Node::new(protocol());
    node.add(&whole("1.2.3"), 0);
    node.add(&of(mr_study(), |patient| patient.birth_date = "19610101".to_owned()), 0);
    let changes = node.finish(0);
    let found = kinds(&spec(&changes).findings);
    assert_eq!(found, [(FindingKind::PatientIdentityConflict, ""), (FindingKind::RoleMissing, "MR")]);
}

#[test]
fn a_link_that_comes_undone_leaves_the_role_empty() {
    // The first instance of the study says no birth date, a later one says another.
    let mut mr = of(mr_study(), |patient| patient.birth_date = "19610101".to_owned());
    mr[0].patient = somebody();
    let mut node = Node::new(protocol());
    node.add(&whole("1.2.3"), 0);
    node.add(&mr[..1], 0);
    assert!(node.poll(1)[0].series.contains(&uid("1.2.4.3")));
    node.add(&mr[1..], 2);
    let changes = node.run_until(80);
    assert_eq!(cast(spec(&changes)).len(), 2);
}

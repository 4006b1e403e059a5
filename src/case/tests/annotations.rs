//! What is drawn, and what it names.

use super::fixture::*;
use crate::case::{AnnotationKind, ProtocolRules};
use crate::dicom::facts::{AnnotationFacts, InstanceFacts};
use crate::finding::{FindingKind, Policy};

const STUDY: &str = "1.2.3";

fn ct_and_pt() -> Vec<InstanceFacts> {
    let mut all = images("CT", STUDY, 1, 20);
    all.extend(images("PT", STUDY, 2, 15));
    all
}

fn on_ct(hour: u32) -> AnnotationFacts {
    drawn(&[&images("CT", STUDY, 1, 1)[0]], hour)
}

/// The objects of the one case that is ready when all has come, by series, and what was remarked besides the absent MR.
fn outcome(objects: &[InstanceFacts]) -> (Vec<String>, Vec<(FindingKind, Policy)>) {
    let mut node = Node::new(protocol());
    node.add(&ct_and_pt(), 0);
    node.add(objects, 0);
    let changes = node.finish(0);
    let found: Vec<_> = changes.iter().filter(|change| !change.protocol.is_empty()).cloned().collect();
    let spec = spec(&found);
    let remarks = spec.findings.iter().filter(|finding| finding.subject != "MR");
    let series = spec.annotations.iter().map(|annotation| annotation.series.to_string()).collect();
    (series, remarks.map(|finding| (finding.kind, finding.policy)).collect())
}

#[test]
fn the_newest_structure_set_of_a_label_counts_for_each_series() {
    let all = ct_and_pt();
    let on_both =
        AnnotationFacts { roi_names: vec!["GTV_CT".into(), "GTV_PT".into()], ..drawn(&[&all[0], &all[20]], 8) };
    let objects = [
        structure_set(STUDY, 11, on_both),
        structure_set(STUDY, 12, on_ct(9)),
        structure_set(STUDY, 13, AnnotationFacts { label: "RETEST".into(), ..on_ct(7) }),
    ];
    let mut node = Node::new(protocol());
    node.add(&all, 0);
    node.add(&objects, 0);
    let changes = node.finish(0);
    let annotations = &spec(&changes).annotations;
    let found: Vec<(&str, Vec<&str>)> = annotations
        .iter()
        .map(|a| (a.series.as_str(), a.references.iter().map(crate::dicom::uid::Uid::as_str).collect()))
        .collect();
    // For the PET the older one is still the newest.
    assert_eq!(found, [("1.2.3.11", vec!["1.2.3.2"]), ("1.2.3.12", vec!["1.2.3.1"]), ("1.2.3.13", vec!["1.2.3.1"])]);
}

#[test]
fn of_two_drawn_at_the_same_time_the_one_that_came_later_counts() {
    let (one, other) = (structure_set(STUDY, 12, on_ct(9)), structure_set(STUDY, 11, on_ct(9)));
    let mut node = Node::new(protocol());
    node.add(&ct_and_pt(), 0);
    node.add([&one], 1);
    node.add([&other], 2);
    assert_eq!(spec(&node.run_until(100)).annotations[0].series, uid("1.2.3.11"));
    let undated = AnnotationFacts { drawn_at: String::new(), ..on_ct(9) };
    assert_eq!(outcome(&[one, structure_set(STUDY, 20, undated)]).0, ["1.2.3.12"]);
}

#[test]
fn an_unapproved_structure_set_is_used_with_a_finding_and_a_rejected_one_never() {
    let with_status = |series, hour, approval: &str| {
        structure_set(STUDY, series, AnnotationFacts { approval: approval.into(), ..on_ct(hour) })
    };
    let not_approved = FindingKind::StructureSetNotApproved;
    let used = (not_approved, Policy::Accept);
    let refused = (not_approved, Policy::Reject);
    assert_eq!(outcome(&[with_status(11, 8, "APPROVED")]), (vec!["1.2.3.11".into()], vec![]));
    assert_eq!(outcome(&[with_status(11, 8, "UNAPPROVED")]), (vec!["1.2.3.11".into()], vec![used]));
    assert_eq!(outcome(&[with_status(11, 8, "")]), (vec!["1.2.3.11".into()], vec![used]));
    let newest_rejected = [with_status(11, 8, "APPROVED"), with_status(12, 9, "REJECTED")];
    assert_eq!(outcome(&newest_rejected), (vec!["1.2.3.11".into()], vec![refused]));
    let drawn_again = [with_status(11, 8, "REJECTED"), with_status(12, 9, "APPROVED")];
    assert_eq!(outcome(&drawn_again), (vec!["1.2.3.12".into()], vec![]));

    let mut node = Node::new(protocol());
    node.add(&ct_and_pt(), 0);
    node.add([&with_status(11, 8, "REJECTED")], 0);
    let changes = node.finish(0);
    assert!(reason(&changes).ends_with("a drawn region that the protocol measures"));
    assert!(changes[0].findings.iter().any(|finding| (finding.kind, finding.policy) == refused));
}

#[test]
fn segmentations_of_one_label_replace_each_other_only_where_they_share_a_segment() {
    let seg = |series, hour, name: &str| {
        let said = AnnotationFacts { label: "SEG".into(), roi_names: vec![name.into()], ..on_ct(hour) };
        segmentation(STUDY, series, said)
    };
    let found = outcome(&[seg(11, 8, "GTV-1"), seg(12, 9, "GTV-2"), seg(13, 10, "GTV-1")]);
    // No approval status, no remark: a SEG has none.
    assert_eq!(found, (vec!["1.2.3.12".into(), "1.2.3.13".into()], vec![]));
}

#[test]
fn a_drawing_without_a_wanted_region_is_left_out_but_replaces_its_older_version() {
    let organs = |series, hour, label: &str| {
        let said = AnnotationFacts { roi_names: vec!["LUNG_L".into()], label: label.into(), ..on_ct(hour) };
        structure_set(STUDY, series, said)
    };
    let tumour = structure_set(STUDY, 11, on_ct(8));
    assert_eq!(outcome(&[tumour.clone(), organs(12, 9, "OAR")]).0, ["1.2.3.11"]);
    let mut node = Node::new(protocol());
    node.add(&ct_and_pt(), 0);
    node.add([&tumour, &organs(12, 9, "GTV")], 0);
    assert!(reason(&node.finish(0)).contains("a drawn region"));
}

#[test]
fn the_region_of_a_reference_tissue_comes_with_the_case_and_is_not_measured() {
    let mut rules = ct_only();
    rules.roi.tissues = vec!["MUSCLE".to_owned()];
    let muscle = AnnotationFacts { roi_names: vec!["MUSCLE".into()], label: "M".into(), ..on_ct(8) };
    let muscle = structure_set(STUDY, 12, muscle);
    let mut node = Node::new(rules.clone());
    node.add(&ct_and_pt(), 0);
    node.add([&muscle], 0);
    assert!(reason(&node.finish(0)).contains("a drawn region"));
    node.add([&structure_set(STUDY, 11, on_ct(8))], 10);
    assert_eq!(spec(&node.finish(10)).annotations.len(), 2);
}

#[test]
fn every_series_that_a_drawing_names_must_be_there() {
    let all = ct_and_pt();
    let late = images("CT", STUDY, 6, 10);
    let named = structure_set(STUDY, 11, drawn(&[&all[0], &late[0]], 8));
    let rules = ProtocolRules { inputs: vec![input("CT", "CT", true)], ..protocol() };
    let mut rules = rules;
    rules.inputs[0].exclude = self::rules(&[("SeriesDescription", "other")]);

    let mut node = Node::new(rules.clone());
    node.add(&all, 0);
    node.add([&named], 0);
    node.run_until(60);
    let hash = late[0].series.short_hash();
    assert_eq!(waits_for(&node.changes[1..]), format!("series {hash}, which an annotation names"));
    node.add(&described(late.clone(), "other"), 1000);
    let changes = node.run_until(1060);
    assert_eq!(spec(&changes).findings, []);
    assert_eq!(spec(&changes).annotations[0].references, [uid("1.2.3.1")]);

    let mut node = Node::new(rules);
    node.add(&all, 0);
    node.add([&named], 0);
    let changes = node.run_until(DEADLINE_S);
    assert_eq!(kinds(&spec(&changes).findings), [(FindingKind::ReferencedSeriesMissing, "CT")]);
    assert_eq!(spec(&changes).annotations.len(), 1);
}

#[test]
fn a_structure_set_may_come_before_its_images() {
    let mut node = Node::new(protocol());
    node.add([&structure_set(STUDY, 11, on_ct(8))], 0);
    node.poll(0);
    node.add(&ct_and_pt(), 30);
    assert_eq!(spec(&node.run_until(90)).annotations.len(), 1);
}

#[test]
fn a_structure_set_whose_series_never_came_is_used_by_its_frame_of_reference_at_the_deadline() {
    let absent = AnnotationFacts { references: vec![uid("1.2.99")], ..on_ct(8) };
    let object = structure_set(STUDY, 11, absent);
    let mut node = Node::new(protocol());
    node.add(&ct_and_pt(), 0);
    node.add([&object], 0);
    node.run_until(DEADLINE_S - 1);
    assert!(specs(&node.changes).is_empty());
    let changes = node.run_until(DEADLINE_S);
    assert_eq!(spec(&changes).annotations[0].references, []);
    assert!(kinds(&spec(&changes).findings).contains(&(FindingKind::ReferencedSeriesMissing, "")));

    let mut node = Node::new(protocol());
    node.add(&ct_and_pt(), 0);
    node.add([&InstanceFacts { frame_of_reference: Some(uid("1.2.98")), ..object }], 0);
    let changes = node.finish(0);
    assert!(reason(&changes).contains("a drawn region"));
    assert!(kinds(&changes[0].findings).contains(&(FindingKind::ReferencedSeriesMissing, "")));
}

#[test]
fn a_structure_set_that_names_no_series_belongs_by_the_frame_of_reference_of_its_own_study() {
    let nameless = |study| structure_set(study, 11, AnnotationFacts { references: Vec::new(), ..on_ct(8) });
    let found = outcome(&[nameless(STUDY)]);
    assert_eq!(found, (vec!["1.2.3.11".to_owned()], vec![]));
    // In another study the same Frame of Reference is a copied one.
    let mut elsewhere = nameless("1.2.8");
    elsewhere.frame_of_reference = Some(uid("1.2.3.999"));
    let mut node = Node::new(protocol());
    node.add(&ct_and_pt(), 0);
    node.add([&elsewhere], 0);
    assert!(specs(&node.finish(0)).is_empty());
}

#[test]
fn a_drawing_whose_series_are_all_of_another_patient_is_ignored() {
    let other = with(images("CT", "1.2.50", 1, 20), |facts| facts.patient.id = "P2".to_owned());
    let foreign = structure_set(STUDY, 12, drawn(&[&other[0]], 23));
    let mut node = Node::new(protocol());
    node.add(&ct_and_pt(), 0);
    node.add([&structure_set(STUDY, 11, on_ct(8)), &foreign], 0);
    node.add(&other, 0);
    let changes = node.run_until(60);
    let spec = spec(&changes);
    assert_eq!(spec.annotations.len(), 1);
    assert_eq!(kinds(&spec.findings), [(FindingKind::RoleMissing, "MR")]);
}

#[test]
fn a_series_that_a_registration_names_beyond_the_case_is_a_finding_and_not_waited_for() {
    let prior = with(images("CT", "1.2.50", 1, 20), |facts| facts.study_date = "20200101".to_owned());
    let all = ct_and_pt();
    let mut node = Node::new(protocol());
    node.add(&prior, 0);
    node.add(&all, 0);
    node.add([&structure_set(STUDY, 11, on_ct(8)), &registration(STUDY, 12, &[&all[0], &prior[0]])], 0);
    let changes = node.run_until(60);
    let spec = spec(&changes);
    assert_eq!(spec.registrations, [uid("1.2.3.12.1")]);
    assert!(kinds(&spec.findings).contains(&(FindingKind::ReferencedSeriesMissing, "CT")));
}

#[test]
fn a_registration_belongs_when_it_names_a_series_of_the_case_and_its_newest_version_counts() {
    let all = ct_and_pt();
    let others = images("US", STUDY, 6, 3);
    let later = |series| {
        let mut object = registration(STUDY, series, &[&all[20], &all[0]]);
        if let crate::dicom::facts::InstanceKind::Registration(said) = &mut object.kind {
            said.drawn_at = "20240316".to_owned();
        }
        object
    };
    let mut node = Node::new(protocol());
    node.add(&all, 0);
    node.add(&others, 0);
    node.add([&structure_set(STUDY, 11, on_ct(8))], 0);
    node.add([&registration(STUDY, 12, &[&all[0], &all[20]]), &later(13)], 0);
    node.add([&registration(STUDY, 14, &[&others[0]]), &registration(STUDY, 15, &[])], 0);
    let changes = node.finish(0);
    // The one without a series has the images' Frame of Reference.
    assert_eq!(spec(&changes).registrations, [uid("1.2.3.13.1"), uid("1.2.3.15.1")]);
}

#[test]
fn what_an_annotation_is_and_its_approval_are_recorded() {
    let mut node = Node::new(protocol());
    node.add(&ct_and_pt(), 0);
    let said = AnnotationFacts { label: "S".into(), ..on_ct(8) };
    node.add([&structure_set(STUDY, 11, on_ct(8)), &segmentation(STUDY, 12, said)], 0);
    let changes = node.finish(0);
    let found: Vec<_> = spec(&changes).annotations.iter().map(|a| (a.kind, a.approval.as_str())).collect();
    assert_eq!(found, [(AnnotationKind::StructureSet, "APPROVED"), (AnnotationKind::Segmentation, "")]);
}

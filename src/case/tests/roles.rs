//! Which series plays which role.

use super::fixture::*;
use crate::case::{AttributeRules, InputRules, Pattern, Prefer, ProtocolRules, RoiRules};
use crate::dicom::facts::InstanceKind;
use crate::finding::FindingKind;

#[test]
fn a_case_has_its_inputs_in_the_order_of_the_protocol_and_their_instances_sorted() {
    let mut node = Node::new(protocol());
    let mut all = whole("1.2.3");
    all.extend(images("MR", "1.2.3", 3, 12));
    all.reverse();
    node.add(&all, 0);
    let changes = node.finish(0);
    let spec = spec(&changes);
    assert_eq!(cast(spec), [("CT", "1.2.3.1"), ("PT", "1.2.3.2"), ("MR", "1.2.3.3")]);
    assert_eq!(spec.inputs[0].instances.len(), 20);
    assert!(spec.inputs.iter().all(|input| input.instances.is_sorted()));
    assert_eq!(spec.annotations.len(), 1);
    assert_eq!(spec.findings, []);
    assert_eq!((spec.revision, spec.protocol.as_str()), (1, "pet-ct-mr"));
    assert_eq!(changes[0].series.len(), 4);
    assert_eq!(changes[0].created_at, at(0));
}

#[test]
fn the_reference_must_say_what_the_protocol_matches_on() {
    let protocol = ProtocolRules { matches: rules(&[("BodyPartExamined", "^LEG$")]), ..ct_only() };
    let part = |name: &'static str| {
        with(whole("1.2.3"), move |facts| {
            facts.attributes.insert("BodyPartExamined".to_owned(), name.to_owned());
        })
    };
    let mut node = Node::new(protocol.clone());
    node.add(&part("ARM"), 0);
    assert_eq!(reason(&node.finish(0)), "no protocol takes it");
    let mut node = Node::new(protocol);
    node.add(&part("LEG"), 0);
    assert_eq!(cast(spec(&node.finish(0))), [("CT", "1.2.3.1")]);
}

#[test]
fn a_scout_and_the_ct_of_the_attenuation_correction_are_told_apart_by_the_rules() {
    let mut protocol = ct_only();
    protocol.inputs[0].exclude = rules(&[("ImageType", "LOCALIZER"), ("SeriesDescription", "(?i)low dose")]);
    let mut all = whole("1.2.3");
    all.extend(described(images("CT", "1.2.3", 5, 20), "CT AC low dose"));
    all.extend(with(images("CT", "1.2.3", 6, 2), |facts| {
        facts.attributes.insert("ImageType".to_owned(), "ORIGINAL\\PRIMARY\\LOCALIZER".to_owned());
    }));
    let mut node = Node::new(protocol);
    node.add(&all, 0);
    assert_eq!(cast(spec(&node.finish(0))), [("CT", "1.2.3.1")]);
}

#[test]
fn two_series_for_one_role_park_the_case_with_a_finding() {
    let mut all = whole("1.2.3");
    all.extend(images("PT", "1.2.3", 4, 15));
    let mut node = Node::new(protocol());
    node.add(&all, 0);
    assert_eq!(waits_for(&node.poll(1)), "the end of the transfer of its studies");
    assert_eq!(node.poll(59), []);
    let changes = node.poll(60);
    assert_eq!(reason(&changes), "several series fit the role PT, and no rule prefers one");
    assert_eq!(kinds(&changes[0].findings), [(FindingKind::AmbiguousSeries, "PT")]);
    assert!(!changes[0].findings[0].detail.contains("1.2.3"), "{}", changes[0].findings[0]);
    assert_eq!(changes[0].series.len(), 4);
}

#[test]
fn two_references_in_one_study_are_ambiguous_and_never_two_cases() {
    let mut all = whole("1.2.3");
    all.extend(images("CT", "1.2.3", 4, 20));
    let mut node = Node::new(protocol());
    node.add(&all, 0);
    let changes = node.finish(0);
    assert_eq!(changes.len(), 1);
    assert_eq!(reason(&changes), "several series fit the role CT, and no rule prefers one");

    let mut node = Node::new(preferring(protocol(), "CT", &[Prefer::Largest]));
    all.extend(images("CT", "1.2.3", 4, 21));
    node.add(&all, 0);
    let changes = node.finish(0);
    // The structure set is drawn on the other one.
    assert_eq!(changes.len(), 1);
    assert!(reason(&changes).contains("on a series of its roles (1 are on other series)"), "{}", reason(&changes));
}

#[test]
fn each_preference_decides_only_between_what_the_one_before_left_equal() {
    let thick = |series, thickness: f64, hour: u32, n| {
        with(images("MR", "1.2.3", series, n), |facts| {
            facts.made_at = format!("20240314{hour:02}0000.000000");
            if let InstanceKind::Image { thickness_mm, .. } = &mut facts.kind {
                *thickness_mm = Some(thickness);
            }
        })
    };
    let mut all = whole("1.2.3");
    all.extend(thick(3, 5.0, 12, 40));
    all.extend(thick(4, 3.0, 10, 20));
    all.extend(thick(5, 3.0, 11, 20));
    let chosen = |prefer: &[Prefer]| -> Option<String> {
        let mut node = Node::new(preferring(protocol(), "MR", prefer));
        node.add(&all, 0);
        let changes = node.finish(0);
        Some(specs(&changes).first()?.inputs[2].series.to_string())
    };
    assert_eq!(chosen(&[Prefer::Thinnest]), None);
    assert_eq!(chosen(&[Prefer::Thinnest, Prefer::Newest]).as_deref(), Some("1.2.3.5"));
    assert_eq!(chosen(&[Prefer::Newest, Prefer::Thinnest]).as_deref(), Some("1.2.3.3"));
    assert_eq!(chosen(&[Prefer::Largest]).as_deref(), Some("1.2.3.3"));
    assert_eq!(chosen(&[]), None);
}

#[test]
fn one_series_may_play_two_roles_and_two_protocols_make_two_cases_of_one_study() {
    let twice = ProtocolRules {
        name: "twice".to_owned(),
        inputs: vec![input("CT", "CT", true), InputRules { role: "BONE".to_owned(), ..input("CT", "CT", true) }],
        ..protocol()
    };
    let mut node = Node::with(vec![twice, protocol(), ct_only()]);
    node.add(&whole("1.2.3"), 0);
    let changes = node.finish(0);
    let specs = specs(&changes);
    assert_eq!(cast(specs[0]), [("CT", "1.2.3.1"), ("BONE", "1.2.3.1")]);
    assert_eq!(specs.len(), 3);
    let mut ids: Vec<_> = specs.iter().map(|spec| spec.id.clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn an_optional_role_that_did_not_come_is_a_finding_and_is_waited_for_no_longer_than_it_takes_to_settle() {
    let mut node = Node::new(protocol());
    node.add(&whole("1.2.3"), 0);
    let changes = node.run_until(60);
    assert_eq!(cast(spec(&changes)).len(), 2);
    assert_eq!(kinds(&spec(&changes).findings), [(FindingKind::RoleMissing, "MR")]);
}

#[test]
fn without_a_drawing_a_rule_makes_the_region_where_the_protocol_has_one() {
    let automatic = |names: &[&str]| ProtocolRules {
        roi: RoiRules {
            names: names.iter().map(|name| Pattern::new(name).unwrap()).collect(),
            tissues: Vec::new(),
            required: false,
        },
        ..protocol()
    };
    let all = whole("1.2.3");
    let (drawing, images) = all.split_last().unwrap();
    let mut node = Node::new(automatic(&["^GTV"]));
    node.add(images, 0);
    assert_eq!(spec(&node.run_until(60)).annotations, []);
    let mut node = Node::new(automatic(&["^GTV"]));
    node.add(images, 0);
    node.add([drawing], 30);
    assert_eq!(spec(&node.run_until(100)).annotations.len(), 1);
    // No names: drawn regions are not used.
    let mut node = Node::new(automatic(&[]));
    node.add(&all, 0);
    assert_eq!(spec(&node.run_until(60)).annotations, []);
}

#[test]
fn what_no_protocol_takes_is_parked_so_that_it_is_seen_and_expires() {
    let mut node = Node::new(protocol());
    node.add(&images("MR", "1.2.3", 3, 5), 0);
    assert_eq!(node.run_until(59), []);
    let changes = node.run_until(60);
    assert_eq!(reason(&changes), "no protocol takes it");
    assert_eq!((changes[0].protocol.as_str(), changes[0].series.len()), ("", 1));
    assert_eq!(node.run_until(100_000), []);
}

#[test]
fn the_case_of_a_protocol_takes_the_series_from_the_one_that_stood_for_them() {
    let mut node = Node::new(protocol());
    let all = whole("1.2.3");
    let (ct, rest) = all.split_at(20);
    node.add(rest, 0);
    assert_eq!(reason(&node.run_until(60)), "no protocol takes it");
    let untaken = node.last("").id.clone();
    node.add(ct, 300);
    let changes = node.run_until(301);
    let gone = changes.iter().find(|change| change.id == untaken).unwrap();
    assert_eq!(gone.series, []);
    let case = changes.iter().find(|change| change.protocol == "pet-ct-mr").unwrap();
    assert_eq!((case.series.len(), case.created_at), (3, at(300)));
    assert_eq!(spec(&node.run_until(360)).revision, 1);
}

#[test]
fn images_that_our_own_product_made_never_join_and_change_nothing() {
    let mut all = whole("1.2.3");
    let ours = with(images("PT", "1.2.3", 7, 15), |facts| facts.own_product = true);
    all.extend(ours.clone());
    let mut said = drawn(&[&all[0]], 20);
    said.roi_names = vec!["GTV-2".to_owned()];
    let seg = crate::dicom::facts::InstanceFacts { own_product: true, ..segmentation("1.2.3", 8, said) };
    let mut node = Node::new(protocol());
    node.add(&all, 0);
    node.add([&seg], 0);
    let changes = node.run_until(60);
    assert_eq!(spec(&changes).annotations.len(), 1);
    assert_eq!(changes.last().unwrap().series.len(), 3);
    node.add(&ours, 500);
    node.add([&seg], 500);
    assert_eq!(node.grouper.next_poll_at(), None);
    let mut node = Node::new(protocol());
    node.add(&ours, 0);
    assert_eq!(node.finish(0), []);
}

#[test]
fn secondary_captures_are_listed_with_the_case_and_play_no_role() {
    let mut all = whole("1.2.3");
    all.push(crate::dicom::facts::InstanceFacts { modality: "CT".to_owned(), ..instance("1.2.3", 12, 1) });
    let mut node = Node::new(ProtocolRules { matches: AttributeRules::default(), ..ct_only() });
    node.add(&all, 0);
    let changes = node.finish(0);
    assert_eq!(cast(spec(&changes)), [("CT", "1.2.3.1")]);
    assert!(changes[0].series.contains(&uid("1.2.3.12")));
}

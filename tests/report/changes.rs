//! What changed since an earlier case of the same lesions.

use radiomicsd::dicom::codes::{Coded, concepts as c};
use radiomicsd::dicom::sr::{Content, Item};
use radiomicsd::report::verify::verify;
use radiomicsd::report::{CaseResult, ChangeGroup, Earlier, KnownBy, Space, changes, documents, report_json};

use super::cases::{Plan, case, uid};
use super::contents::{group_name, groups, root_of_sr};

/// A case half a year before the usual one, whose values were smaller by one, with errors of 0.4.
fn before(change: impl FnOnce(&mut CaseResult)) -> Earlier {
    let mut earlier = case(&Plan::default());
    earlier.case_id = "case-0".into();
    for value in earlier.groups.iter_mut().flat_map(|group| &mut group.values) {
        value.value -= 1.0;
        value.misregistration_error = Some(0.4);
    }
    change(&mut earlier);
    Earlier::read(&serde_json::to_vec(&report_json(&earlier)).unwrap(), "20260520").unwrap()
}

/// The usual case with errors of 0.3; where a value's tag is long its error is larger than any change.
fn now() -> CaseResult {
    let mut case = case(&Plan::default());
    for value in case.groups.iter_mut().flat_map(|group| &mut group.values) {
        value.misregistration_error = Some(if value.tag.len() > 12 { 5.0 } else { 0.3 });
    }
    case
}

fn of(changes: &[ChangeGroup], lesion: usize) -> Vec<&ChangeGroup> {
    changes.iter().filter(|change| change.lesion == lesion).collect()
}

#[test]
fn each_feature_changes_by_the_difference_with_the_error_of_both_and_exceeds_it_or_not() {
    let now = now();
    let found = changes(&now, &[before(|_| ())]);
    assert_eq!(found.len(), now.groups.len(), "every block of every lesion");
    for group in &found {
        assert_eq!((group.since.case.as_str(), group.since.study_date.as_str()), ("case-0", "20260520"));
        assert_eq!((group.since.revision, group.since.known_by), (1, KnownBy::Label));
        assert_eq!(group.values.len(), 40);
        for change in &group.values {
            let is_long = change.feature[2].len() > 12;
            let error = change.misregistration_error.unwrap();
            assert!((change.difference() - 1.0).abs() < 1e-9);
            assert!((error - if is_long { 5.0f64.hypot(0.4) } else { 0.5 }).abs() < 1e-12);
            assert_eq!(change.exceeds_error(), Some(!is_long));
        }
    }
}

#[test]
fn a_value_without_an_error_on_one_side_changes_without_a_verdict() {
    let unknown = before(|case| case.groups[0].values[0].misregistration_error = None);
    let change = changes(&now(), &[unknown])[0].values[0].clone();
    assert_eq!((change.misregistration_error, change.exceeds_error()), (None, None));
}

#[test]
fn only_what_was_measured_alike_is_compared() {
    let none = |change: fn(&mut CaseResult)| assert_eq!(changes(&now(), &[before(change)]), []);
    none(|case| case.settings_hash = "9".repeat(64));
    none(|case| case.protocol = "other".into());
    none(|case| case.lesions.iter_mut().for_each(|lesion| lesion.names = vec!["elsewhere".into()]));
    none(|case| case.groups.iter_mut().for_each(|group| group.drawn_on.automatic ^= true));
    none(|case| case.groups.iter_mut().flat_map(|group| &mut group.values).for_each(|value| value.unit = "x".into()));
    let one_role = before(|case| case.groups.retain(|group| group.role == "CT" && group.space == Space::Native));
    let found = changes(&now(), &[one_role]);
    assert!(found.iter().all(|group| group.role == "CT" && group.space == Space::Native) && found.len() == 2);
}

#[test]
fn a_lesion_is_known_by_its_tracking_uid_before_its_label_and_by_neither_when_in_doubt() {
    // The lesions were drawn under each other's names; one of them is tracked.
    let mut now = now();
    now.lesions[0].tracking = vec![uid("a")];
    let swapped = before(|case| {
        for (lesion, name) in case.lesions.iter_mut().zip(["GTV2", "GTV1"]) {
            lesion.names = vec![name.into()];
        }
        case.lesions[0].tracking = vec![uid("a")];
    });
    let found = changes(&now, std::slice::from_ref(&swapped));
    assert!(of(&found, 1).iter().all(|group| group.since.known_by == KnownBy::TrackingUid));
    assert_eq!((of(&found, 1).len(), of(&found, 2).len()), (6, 0));
    // Two names for one, and two lesions with one name, tell nothing.
    let twins = before(|case| case.lesions[1].names = vec!["GTV1".into()]);
    now.lesions[0].tracking.clear();
    assert!(of(&changes(&now, &[twins]), 1).is_empty());
    // Both are tracked, and differ: another lesion under an old name.
    now.lesions[0].tracking = vec![uid("b")];
    let other = before(|case| case.lesions[0].tracking = vec![uid("a")]);
    assert!(of(&changes(&now, &[other]), 1).is_empty());
}

#[test]
fn the_newest_earlier_case_that_has_the_lesion_is_the_one() {
    let newest = before(|case| {
        "case-newest".clone_into(&mut case.case_id);
        case.groups.retain(|group| group.lesion == 2);
    });
    let found = changes(&now(), &[newest, before(|_| ())]);
    assert!(of(&found, 1).iter().all(|group| group.since.case == "case-0"));
    assert!(of(&found, 2).iter().all(|group| group.since.case == "case-newest"));
}

#[test]
fn changes_stand_in_groups_of_their_own_and_say_whether_they_exceed_their_error() {
    let mut now = now();
    now.changes = changes(&now, &[before(|_| ())]);
    let documents = documents(&now).unwrap();
    assert!(documents.iter().all(|document| verify(&document.bytes).is_empty()));
    let groups = groups(&root_of_sr(&documents));
    let of_change: Vec<&Item> = groups.iter().filter(|group| group_name(group).ends_with(" change")).collect();
    assert_eq!(of_change.len(), now.groups.len());
    let code = |item: &Item, concept: &Coded| match item.child(concept).map(|child| child.content.clone()) {
        Some(Content::Code(code)) => Some(code),
        _ => None,
    };
    for group in of_change {
        assert!(code(group, &c::MEASUREMENT_METHOD).unwrap().is(&c::CHANGE));
        let numbers: Vec<&Item> =
            group.children.iter().filter(|item| matches!(item.content, Content::Num(_))).collect();
        assert_eq!(numbers.len(), 80, "each with its error");
        for pair in numbers.chunks(2) {
            let [change, error] = pair else { panic!("pairs") };
            let exceeds = code(change, &c::CHANGE_EXCEEDS_ERROR).unwrap();
            assert!(exceeds.is(&c::YES) || exceeds.is(&c::NO));
            assert!(code(change, &c::VALUE_STATE).unwrap().is(&c::CHANGE));
            assert!(!change.concept.is(&c::ATTENUATION_COEFFICIENT) && error.concept.is(&c::MISREGISTRATION_ERROR));
        }
        let says = |text: &str| group.walk().any(|item| matches!(&item.content, Content::Text(t) if t == text));
        assert!(says("since_study_date=20260520") && says("since_case=case-0") && says("same_lesion_by=label"));
    }
    let json = report_json(&now);
    let first = &json["changes"][0]["features"][0];
    assert_eq!((first["exceeds_error"].is_boolean(), &json["changes"][0]["since"]["case"]), (true, &"case-0".into()));
    // Raw groups are what they were, and another comparison is another document.
    let raw = |documents: &[_]| {
        let of: Vec<Item> = self::groups(&root_of_sr(documents));
        of.into_iter().filter(|group| !group_name(group).ends_with(" change")).count()
    };
    let without = super::changes::now();
    let plain = radiomicsd::report::documents(&without).unwrap();
    assert_eq!(raw(&documents), raw(&plain));
    assert!(documents.iter().zip(&plain).all(|(a, b)| a.sop_instance != b.sop_instance));
}

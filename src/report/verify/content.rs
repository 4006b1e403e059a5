//! What holds for the content tree of a TID 1500 document.

use std::collections::{HashMap, HashSet};

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::Violation;
use crate::dicom::attributes::{items, texts};
use crate::dicom::codes::{Coded, concepts as c};
use crate::dicom::sr::Relationship::{Contains, HasConceptMod, HasObsContext};
use crate::dicom::sr::{Content, Item, Relationship, read_content};

/// Adds what the content of a document breaks.
pub(super) fn check(document: &InMemDicomObject, violations: &mut Vec<Violation>) {
    let root = match read_content(document) {
        Ok(root) => root,
        Err(error) => return violations.push(Violation::Content(error)),
    };
    check_root(&root, violations);
    check_groups(&root, violations);
    let evidence = evidence(document);
    check_items(&root, "1", &evidence, violations);
    check_decimals(document, "1", violations);
}

/// A row: concept, relationship, value type.
type Row = (Coded, Relationship, &'static str);

/// The rows of TID 1500 with those of TID 1204 and 1001, in the order that they must have.
static ROOT_ROWS: [Row; 13] = [
    (c::LANGUAGE, HasConceptMod, "CODE"),
    (c::OBSERVER_TYPE, HasObsContext, "CODE"),
    (c::DEVICE_OBSERVER_UID, HasObsContext, "UIDREF"),
    (c::DEVICE_OBSERVER_NAME, HasObsContext, "TEXT"),
    (c::DEVICE_OBSERVER_MANUFACTURER, HasObsContext, "TEXT"),
    (c::DEVICE_OBSERVER_MODEL, HasObsContext, "TEXT"),
    (c::DEVICE_OBSERVER_SERIAL_NUMBER, HasObsContext, "TEXT"),
    (c::DEVICE_OBSERVER_LOCATION, HasObsContext, "TEXT"),
    (c::PROCEDURE_REPORTED, HasConceptMod, "CODE"),
    (c::IMAGE_LIBRARY, Contains, "CONTAINER"),
    (c::IMAGING_MEASUREMENTS, Contains, "CONTAINER"),
    (c::DERIVED_IMAGING_MEASUREMENTS, Contains, "CONTAINER"),
    (c::QUALITATIVE_EVALUATIONS, Contains, "CONTAINER"),
];

/// The rows of TID 1411, 1419, 1501 and 4019 directly under a group, whatever their order.
static GROUP_ROWS: [Row; 15] = [
    (c::TRACKING_IDENTIFIER, HasObsContext, "TEXT"),
    (c::TRACKING_UID, HasObsContext, "UIDREF"),
    (c::FINDING, Contains, "CODE"),
    (c::MEASUREMENT_METHOD, HasConceptMod, "CODE"),
    (c::FINDING_SITE, HasConceptMod, "CODE"),
    (c::ALGORITHM_NAME, HasConceptMod, "TEXT"),
    (c::ALGORITHM_VERSION, HasConceptMod, "TEXT"),
    (c::ALGORITHM_PARAMETERS, HasConceptMod, "TEXT"),
    (c::QUALITY_ASSESSMENT, Contains, "CODE"),
    (c::REFUSAL_REASON, Contains, "CODE"),
    (c::RISK_GROUP, Contains, "CODE"),
    (c::REFERENCED_SEGMENT, Contains, "IMAGE"),
    (c::SOURCE_SERIES_FOR_SEGMENTATION, Contains, "UIDREF"),
    (c::SOURCE_OF_MEASUREMENT, Contains, "IMAGE"),
    (c::COMMENT, Contains, "TEXT"),
];

fn check_root(root: &Item, violations: &mut Vec<Violation>) {
    let mut fails = |place: String, reason| violations.push(Violation::Template { place, template: "1500", reason });
    if !matches!(&root.content, Content::Container { template: Some(template) } if template == "1500") {
        fails("1".into(), "the root does not begin template 1500");
    }
    if !root.concept.is(&c::IMAGING_MEASUREMENT_REPORT) {
        fails("1".into(), "the root is no imaging measurement report");
    }
    let mut last = 0;
    for (index, child) in root.children.iter().enumerate() {
        let place = format!("1.{}", index + 1);
        match ROOT_ROWS.iter().position(|(concept, _, _)| child.concept.is(concept)) {
            None => fails(place, "the template has no such row"),
            Some(row) if row < last => fails(place, "the rows are out of order"),
            Some(row) => {
                last = row;
                if !ROOT_ROWS.get(row).is_some_and(|row| fits(child, row)) {
                    fails(place, "relationship or value type differ from the row's");
                }
            }
        }
    }
    for (concept, reason) in [
        (c::OBSERVER_TYPE, "there is no observer"),
        (c::PROCEDURE_REPORTED, "there is no procedure reported"),
        (c::IMAGE_LIBRARY, "there is no image library"),
        (c::IMAGING_MEASUREMENTS, "there are no imaging measurements"),
    ] {
        if root.child(&concept).is_none() {
            fails("1".into(), reason);
        }
    }
}

fn fits(item: &Item, (_, relationship, value_type): &Row) -> bool {
    item.relationship == *relationship && item.content.value_type() == *value_type
}

/// TID 1411 or 1501 groups, never both; each with a tracking UID of its own, rows that fit, and at least one value, or with
/// TID 1501, whose values are optional, the reason why there is none.
fn check_groups(root: &Item, violations: &mut Vec<Violation>) {
    let Some(index) = root.children.iter().position(|child| child.concept.is(&c::IMAGING_MEASUREMENTS)) else { return };
    let Some(measurements) = root.children.get(index) else { return };
    let mut templates = HashSet::new();
    let mut tracking = HashSet::new();
    for (number, group) in measurements.children.iter().enumerate() {
        let place = format!("1.{}.{}", index + 1, number + 1);
        let template = match &group.content {
            Content::Container { template: Some(template) } if template == "1411" => "1411",
            Content::Container { template: Some(template) } if template == "1501" => "1501",
            _ => "1500",
        };
        let mut fails = |place: &str, reason| {
            violations.push(Violation::Template { place: place.to_owned(), template, reason });
        };
        templates.insert(template);
        if template == "1500" || !group.concept.is(&c::MEASUREMENT_GROUP) || templates.len() > 1 {
            fails(&place, "the groups of a report are all of TID 1411 or all of TID 1501");
        }
        match group.child(&c::TRACKING_UID).map(|item| &item.content) {
            Some(Content::UidRef(uid)) if tracking.insert(uid.clone()) => {}
            _ => fails(&place, "the group has no tracking UID of its own"),
        }
        let n_values = group.children.iter().filter(|child| matches!(child.content, Content::Num(_))).count();
        let refused = group.child(&c::REFUSAL_REASON).is_some();
        if (n_values == 0) != refused || (refused && template == "1411") {
            fails(&place, "the group has neither a measurement nor a reason why there is none, or both");
        }
        for (index, child) in group.children.iter().enumerate() {
            let row = GROUP_ROWS.iter().find(|(concept, _, _)| child.concept.is(concept));
            let number = matches!(child.content, Content::Num(_)) && child.relationship == Contains;
            if !row.map_or(number, |row| fits(child, row)) {
                let place = format!("{place}.{}", index + 1);
                fails(&place, "the template has no such row, or relationship or value type differ from the row's");
            }
        }
        if template == "1411" {
            let segment = group.child(&c::REFERENCED_SEGMENT).map(|item| &item.content);
            if !matches!(segment, Some(Content::Image(reference)) if reference.segments.len() == 1) {
                fails(&place, "the group names no segment");
            }
            if group.child(&c::SOURCE_SERIES_FOR_SEGMENTATION).is_none() {
                fails(&place, "the group names no source series");
            }
        }
    }
}

/// References and units of every item.
fn check_items(item: &Item, place: &str, evidence: &HashMap<String, String>, violations: &mut Vec<Violation>) {
    match &item.content {
        Content::Image(reference) | Content::Composite(reference) => {
            let class = evidence.get(reference.sop_instance.as_str());
            if class.map(String::as_str) != Some(reference.sop_class.as_str()) {
                violations.push(Violation::Evidence(place.to_owned()));
            }
        }
        Content::Num(number) => {
            if !number.value.is_finite() {
                violations.push(Violation::Number(place.to_owned()));
            }
            if !unit_fits(&item.concept, &number.unit) {
                violations.push(Violation::Unit(place.to_owned()));
            }
        }
        _ => {}
    }
    for (index, child) in item.children.iter().enumerate() {
        check_items(child, &format!("{place}.{}", index + 1), evidence, violations);
    }
}

/// Units of the concepts whose dimension is known for certain.
fn unit_fits(concept: &Coded, unit: &Coded) -> bool {
    let allowed: &[&str] = match (concept.scheme.as_ref(), concept.value.as_ref()) {
        ("IBSI", "RNU0" | "YEKZ") => &["mm3", "cm3", "ml"],
        ("IBSI", "C0JK") => &["mm2", "cm2"],
        ("IBSI", "2PR5") => &["/mm", "1/mm", "mm-1"],
        ("IBSI", "KLMA" | "L0JK" | "TDIC" | "P9VJ" | "7J51") => &["mm", "cm"],
        ("DCM", "112031") => &["[hnsf'U]"],
        ("DCM", "126401") => &["g/ml{SUVbw}"],
        ("DCM", "110910" | "110911") => &["{pixels}"],
        ("DCM", "111026" | "111066" | "112226") => &["mm"],
        ("DCM", "123006") => &["Bq", "MBq"],
        _ => return unit.scheme == "UCUM",
    };
    unit.scheme == "UCUM" && allowed.contains(&unit.value.as_ref())
}

/// SOP class by SOP instance of everything in the evidence sequences.
pub(super) fn evidence(document: &InMemDicomObject) -> HashMap<String, String> {
    let mut known = HashMap::new();
    let one = |object: &InMemDicomObject, tag: Tag| texts(object, tag).into_iter().next().unwrap_or_default();
    for tag in [tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE] {
        let series = items(document, tag).iter().flat_map(|study| items(study, tags::REFERENCED_SERIES_SEQUENCE));
        for instance in series.flat_map(|series| items(series, tags::REFERENCED_SOP_SEQUENCE)) {
            let class = one(instance, tags::REFERENCED_SOP_CLASS_UID);
            known.insert(one(instance, tags::REFERENCED_SOP_INSTANCE_UID), class);
        }
    }
    known
}

/// The decimal string of each number against the exact value beside it.
fn check_decimals(object: &InMemDicomObject, place: &str, violations: &mut Vec<Violation>) {
    for measured in items(object, tags::MEASURED_VALUE_SEQUENCE) {
        let decimal = texts(measured, tags::NUMERIC_VALUE).first().and_then(|text| text.parse::<f64>().ok());
        let exact = measured.get(tags::FLOATING_POINT_VALUE).and_then(|element| element.to_float64().ok());
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-8 * b.abs() + f64::MIN_POSITIVE;
        if !decimal.is_some_and(|decimal| exact.is_none_or(|exact| close(decimal, exact))) {
            violations.push(Violation::Number(place.to_owned()));
        }
    }
    for (index, child) in items(object, tags::CONTENT_SEQUENCE).iter().enumerate() {
        check_decimals(child, &format!("{place}.{}", index + 1), violations);
    }
}

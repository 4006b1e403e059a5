//! Findings and notes as coded and worded evaluations (TID 1500 rows 13 and 14), and what they mean for a group.

use super::{CaseResult, MeasurementGroup};
use crate::dicom::codes::{Coded, concepts as c};
use crate::dicom::sr::{Item, Relationship};
use crate::finding::{Finding, FindingKind};

/// What every document says of its purpose.
pub(super) const RESEARCH_USE: &str = "For research use only. Not for diagnosis or for decisions on treatment.";

/// The evaluations of a report: its intended use, each finding as a code with its sentence, what no stage did.
pub(super) fn evaluations(case: &CaseResult, findings: &[Finding]) -> Vec<Item> {
    let text = |words: String| Item::text(Relationship::Contains, c::COMMENT, words);
    let mut items =
        vec![Item::code(Relationship::Contains, c::INTENDED_USE, c::RESEARCH_USE), text(RESEARCH_USE.to_owned())];
    for finding in findings {
        items.push(Item::code(Relationship::Contains, c::DATA_FINDING, finding_code(finding.kind)));
        items.push(text(finding.to_string()));
    }
    items.extend(case.notes.iter().filter(|note| !note.is_empty()).map(|note| text(note.clone())));
    items
}

/// A finding's code: made from its published name, which never changes.
fn finding_code(kind: FindingKind) -> Coded {
    Coded::own(kind.name(), &kind.name().replace('_', " "))
}

/// Whether a group passed, or passed with warnings: a finding names its role or its lesion.
pub(super) fn quality(group: &MeasurementGroup, findings: &[Finding]) -> Coded {
    let concerns = |finding: &Finding| {
        let lesion = format!("lesion {}", group.lesion);
        let of_images = group.images().any(|role| finding.subject == *role);
        of_images || [&group.role, &lesion, &group.drawn_on.role].contains(&&finding.subject)
    };
    if findings.iter().any(concerns) { c::QUALITY_WARNINGS } else { c::QUALITY_PASSED }
}

/// Why a report does not hold all that was asked for; `None` when it does (Completion Flag, PS3.3 C.17.2.3).
pub(super) fn incomplete(findings: &[Finding]) -> Option<String> {
    let missing = findings.iter().map(|finding| finding.kind).filter(|kind| {
        matches!(
            kind,
            FindingKind::RoleMissing
                | FindingKind::ReferencedSeriesMissing
                | FindingKind::RegistrationNotTrusted
                | FindingKind::NoCommonFrame
                | FindingKind::LesionAmbiguous
                | FindingKind::EmptyRoi
                | FindingKind::RoleRefused
                | FindingKind::AnnotationRefused
                | FindingKind::RoiSeriesUnknown
                | FindingKind::NotMeasured
        )
    });
    let mut names: Vec<&str> = missing.map(FindingKind::name).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { None } else { Some(names.join(", ")) }
}

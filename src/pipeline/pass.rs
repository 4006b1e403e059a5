//! Stages that have no model to work with: they pass the values through and say so.

use super::remarks::Remarks;
use crate::config::Protocol;
use crate::finding::FindingKind;
use crate::report::MeasurementGroup;

/// Between scanners: without a fitted model values stay as they were measured.
pub(super) fn harmonise(
    groups: Vec<MeasurementGroup>,
    protocol: &Protocol,
    remarks: &mut Remarks<'_>,
) -> Vec<MeasurementGroup> {
    let reason = match &protocol.harmonise.model {
        None => "no model".to_owned(),
        Some(model) => format!("model {model:?} is not available"),
    };
    remarks.note(format!("not harmonised: {reason}"));
    remarks.find(FindingKind::NotHarmonised, "", reason);
    groups
}

/// Between blocks: without a trained model nothing is predicted.
pub(super) fn fuse(protocol: &Protocol, remarks: &mut Remarks<'_>) {
    let reason = match &protocol.fusion.bundle {
        None => "no bundle".to_owned(),
        Some(bundle) => format!("bundle {bundle:?} is not available"),
    };
    remarks.note(format!("not fused: {reason}"));
    remarks.find(FindingKind::NotFused, "", reason);
}

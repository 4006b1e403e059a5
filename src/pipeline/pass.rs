//! Stages that have no model to work with: they pass the values through and say so.

use super::remarks::Remarks;
use crate::config::Protocol;
use crate::finding::FindingKind;

/// Between blocks: without a trained model nothing is predicted.
pub(super) fn fuse(protocol: &Protocol, remarks: &mut Remarks<'_>) {
    let reason = match &protocol.fusion.bundle {
        None => "no bundle".to_owned(),
        Some(bundle) => format!("bundle {bundle:?} is not available"),
    };
    remarks.note(format!("not fused: {reason}"));
    remarks.find(FindingKind::NotFused, "", reason);
}

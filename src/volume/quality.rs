//! Remarks on a whole series: how it was encoded, and whether a CT is in Hounsfield units.

use dicom_dictionary_std::tags;

use super::error::VolumeError;
use super::frame::{Reading, Source};
use super::units::Units;
use crate::dicom::attributes;
use crate::dicom::layers::Layers;
use crate::finding::{Finding, FindingKind, Policies, Policy};
use crate::image::Volume;

/// A CT of a patient shows air somewhere, which is below this.
const AIR_HU_MAX: f32 = -500.0;

/// Lossy compression, and slices that are encoded in different ways.
pub(super) fn remark_on_encoding(
    sources: &[Source],
    role: &str,
    policies: &Policies,
    findings: &mut Vec<Finding>,
) -> Result<(), VolumeError> {
    let n_lossy = sources.iter().filter(|source| is_lossy(source)).count();
    if n_lossy > 0 {
        let detail = format!("{n_lossy} of {} files were compressed with loss", sources.len());
        note(policies.finding(FindingKind::LossyCompression, role, detail), findings)?;
    }
    let mut syntaxes: Vec<&str> = sources.iter().map(|source| source.pixels.transfer_syntax.as_str()).collect();
    syntaxes.sort_unstable();
    syntaxes.dedup();
    if syntaxes.len() > 1 {
        let detail = format!("{} transfer syntaxes in one series", syntaxes.len());
        note(policies.finding(FindingKind::MixedTransferSyntax, role, detail), findings)?;
    }
    Ok(())
}

/// Lossy Image Compression (0028,2110) stays 01 for ever once it happened (PS3.3 C.7.6.1.1.5); where a writer forgot it, the
/// transfer syntax or the stream itself tells.
fn is_lossy(source: &Source) -> bool {
    attributes::text(&source.object, tags::LOSSY_IMAGE_COMPRESSION) == "01" || source.pixels.is_lossy()
}

/// Whether the values of a CT are Hounsfield units: Rescale Type (0028,1054) says nothing else, and there is air. A crop
/// without air is believed where Rescale Type says HU in so many words.
pub(super) fn ct_units(
    header: &Layers<'_>,
    volume: &Volume<f32>,
    reading: &Reading<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Units, VolumeError> {
    let Reading { role, policies, .. } = *reading;
    let rescale_type = attributes::code_string(header.holder(tags::RESCALE_TYPE), tags::RESCALE_TYPE);
    if !matches!(rescale_type.as_str(), "" | "HU") {
        let detail = "RescaleType (0028,1054) is not HU".to_owned();
        note(policies.finding(FindingKind::NotHounsfield, role, detail), findings)?;
        return Ok(Units::Arbitrary);
    }
    // NaN is never below: padding is no air.
    if !volume.voxels.iter().any(|value| *value < AIR_HU_MAX) {
        let least = volume.voxels.iter().copied().fold(f32::INFINITY, f32::min);
        let detail = format!("the least value is {least}: no air, which lies near -1000 HU");
        note(policies.finding(FindingKind::NotHounsfield, role, detail), findings)?;
        return Ok(if rescale_type == "HU" { Units::Hounsfield } else { Units::Arbitrary });
    }
    Ok(Units::Hounsfield)
}

/// Notes a finding, or refuses by it.
pub(super) fn note(finding: Finding, findings: &mut Vec<Finding>) -> Result<(), VolumeError> {
    if finding.policy == Policy::Reject {
        return Err(VolumeError::Refused(finding));
    }
    findings.push(finding);
    Ok(())
}

//! Which regions were measured on which role: the segments of a role's SEG, in order.

use std::sync::Arc;

use super::{CaseResult, ImageSeries, Lesion, MeasurementGroup, ReportError, RoiOrigin, Space};
use crate::image::Mask;

/// The region of one lesion on one role; its segment number is its position from 1.
#[derive(Debug, Clone)]
pub(super) struct Region<'a> {
    pub(super) lesion: &'a Lesion,
    pub(super) mask: &'a Arc<Mask>,
    pub(super) drawn_on: &'a RoiOrigin,
}

/// The series of one role with the regions measured on it, by lesion number.
#[derive(Debug, Clone)]
pub(super) struct RoleRegions<'a> {
    pub(super) image: &'a ImageSeries,
    pub(super) regions: Vec<Region<'a>>,
}

impl RoleRegions<'_> {
    /// The segment number of a lesion.
    pub(super) fn segment_number(&self, lesion: usize) -> Option<u16> {
        let index = self.regions.iter().position(|region| region.lesion.number == lesion)?;
        u16::try_from(index + 1).ok()
    }
}

/// The measured regions of each role that has any, in the order of the roles. Native groups come first: the region of an
/// aligned group is used only where its lesion was not measured natively.
///
/// # Errors
/// When a group names a role or a lesion that the result does not have, or a region is empty or on another grid.
pub(super) fn role_regions(case: &CaseResult) -> Result<Vec<RoleRegions<'_>>, ReportError> {
    if let Some(group) =
        case.groups.iter().find(|group| !case.images.iter().any(|image| image.role == group.shown_on()))
    {
        return Err(ReportError::NoImages(group.role.clone()));
    }
    let mut roles = Vec::new();
    for image in &case.images {
        let mut regions: Vec<Region> = Vec::new();
        for space in [Space::Native, Space::Aligned] {
            for group in case.groups.iter().filter(|group| group.shown_on() == image.role && group.space == space) {
                if regions.iter().any(|region| region.lesion.number == group.lesion) {
                    continue;
                }
                regions.push(region(case, image, group)?);
            }
        }
        regions.sort_by_key(|region| region.lesion.number);
        if regions.len() > usize::from(u16::MAX) {
            let most = usize::from(u16::MAX);
            return Err(ReportError::TooMany { what: "lesions", found: regions.len(), most });
        }
        if !regions.is_empty() {
            roles.push(RoleRegions { image, regions });
        }
    }
    Ok(roles)
}

fn region<'a>(
    case: &'a CaseResult,
    image: &ImageSeries,
    group: &'a MeasurementGroup,
) -> Result<Region<'a>, ReportError> {
    let lesion = case.lesions.iter().find(|lesion| lesion.number == group.lesion);
    let lesion = lesion.ok_or(ReportError::NoLesion(group.lesion))?;
    let (number, role) = (group.lesion, image.role.clone());
    if group.mask.geometry != image.geometry || group.mask.voxels.dim() != image.geometry.shape() {
        return Err(ReportError::OtherGrid { lesion: number, role });
    }
    if group.mask.count() == 0 {
        return Err(ReportError::EmptyRegion { lesion: number, role });
    }
    Ok(Region { lesion, mask: &group.mask, drawn_on: &group.drawn_on })
}

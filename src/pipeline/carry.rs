//! Regions on images that they were not drawn on.

use std::sync::Arc;

use super::lesions::Lesion;
use super::maps::{self, Map};
use super::regions::{Region, Shape};
use super::remarks::Remarks;
use super::roles::Role;
use crate::config::Protocol;
use crate::finding::FindingKind;
use crate::image::{Geometry, Mask, Region as Block, Transform, resample_mask};
use crate::report::RoiOrigin;
use crate::volume::rasterise_onto;

/// What is known of a case once its lesions are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) protocol: &'a Protocol,
    pub(super) roles: &'a [Role<'a>],
    /// One per role.
    pub(super) maps: &'a [Map],
    pub(super) regions: &'a [Region],
}

/// A lesion on one role's own grid.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    /// At least one voxel.
    pub(super) mask: Arc<Mask>,
    pub(super) drawn_on: RoiOrigin,
}

/// A region on another grid: contours in patient space, or voxels by linear interpolation at one half. `to_drawn` leads from
/// the space of the grid to that of the images that the region belongs to.
pub(super) fn onto(region: &Region, roles: &[Role<'_>], target: &Geometry, to_drawn: &Transform) -> Mask {
    match &region.shape {
        Shape::Contours(roi) => rasterise_onto(roi, &roles[region.role].volume.geometry, target, to_drawn),
        Shape::Voxels(mask) => resample_mask(mask, target, to_drawn),
    }
}

impl Scene<'_> {
    /// A lesion on a role's own grid: its drawing there, else the leading drawing carried through the registration.
    ///
    /// `None` where there is no trusted way, where nothing of it is in the image, and for an ambiguous lesion that was not
    /// drawn there: which drawing of the other role is meant is not known.
    pub(super) fn place(&self, lesion: &Lesion, role: usize, remarks: &mut Remarks<'_>) -> Option<Placed> {
        if let Some(own) = lesion.drawn.iter().map(|idx| &self.regions[*idx]).find(|region| region.role == role) {
            return Some(Placed { mask: own.mask.clone(), drawn_on: own.origin.clone() });
        }
        let leading = &self.regions[lesion.leading];
        if lesion.ambiguous || !self.maps[role].usable || !self.maps[leading.role].usable {
            return None;
        }
        let (subject, name) = (lesion.subject(), self.roles[role].name());
        let Some(to_drawn) = maps::from_to(self.maps, role, leading.role) else {
            remarks.find(FindingKind::NotMeasured, &subject, format!("the registration of {name} has no inverse"));
            return None;
        };
        let target = &self.roles[role].volume.geometry;
        let mask = onto(leading, self.roles, target, &to_drawn);
        let drawn_on = &leading.origin.role;
        if mask.count() == 0 {
            let detail = format!("the drawing on {drawn_on} covers no voxel of {name}");
            remarks.find(FindingKind::EmptyRoi, &subject, detail);
            return None;
        }
        if maps::from_to(self.maps, leading.role, role).is_some_and(|map| reaches_beyond(&leading.mask, &map, target)) {
            let detail = format!("the drawing on {drawn_on} reaches beyond the images of {name}");
            remarks.find(FindingKind::RoiTruncated, &subject, detail);
        }
        Some(Placed { mask: Arc::new(mask), drawn_on: leading.origin.clone() })
    }
}

/// The box around a mask in another space: 27 points of it, taken through a map.
pub(super) fn bounds(mask: &Mask, map: &Transform) -> Option<[[f64; 3]; 2]> {
    let block = Block::of_mask(mask)?;
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for step in 0..27usize {
        let part = [step % 3, step / 3 % 3, step / 9];
        #[allow(clippy::cast_precision_loss)] // voxel indices
        let index = [0, 1, 2].map(|axis| {
            let (start, end) = (block.start[axis] as f64, block.end[axis] as f64);
            start - 0.5 + part[axis] as f64 / 2.0 * (end - start)
        });
        let point = map.apply(mask.geometry.voxel_to_world(index));
        for axis in 0..3 {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    Some([low, high])
}

/// Whether a mask, taken through a map, lies partly outside a grid's field of view.
///
/// Its outermost voxels may stick out by half of theirs: where they end is not known better than that.
pub(super) fn reaches_beyond(mask: &Mask, map: &Transform, grid: &Geometry) -> bool {
    let Some(block) = Block::of_mask(mask) else { return false };
    (0..8usize).any(|corner| {
        #[allow(clippy::cast_precision_loss)] // voxel indices
        let index = [0, 1, 2]
            .map(|axis| if corner >> axis & 1 == 0 { block.start[axis] as f64 } else { block.end[axis] as f64 - 1.0 });
        let at = grid.world_to_voxel(map.apply(mask.geometry.voxel_to_world(index)));
        #[allow(clippy::cast_precision_loss)]
        (0..3).any(|axis| at[axis] < -0.5 || at[axis] > grid.size[axis] as f64 - 0.5)
    })
}

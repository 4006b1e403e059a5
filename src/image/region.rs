//! A box of voxels of a grid.

use ndarray::{ArrayView3, Axis, Slice};

use super::{Geometry, Mask, Volume};
use crate::math::linalg::Vec3;

/// Voxels `start .. end` (end excluded) along x, y, z; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First voxel.
    pub start: [usize; 3],
    /// One beyond the last voxel.
    pub end: [usize; 3],
}

impl Region {
    /// All voxels of a grid.
    #[must_use]
    pub fn whole(geometry: &Geometry) -> Self {
        Self { start: [0; 3], end: geometry.size }
    }

    /// The voxels of `geometry` whose cells the box between two continuous indices touches, with `margin` voxels more on
    /// each side; `None` when the box lies beside the grid.
    #[must_use]
    pub fn around(geometry: &Geometry, low: Vec3, high: Vec3, margin: [usize; 3]) -> Option<Self> {
        let mut region = Self::whole(geometry);
        for axis in 0..3 {
            let n = geometry.size[axis];
            let first = (low[axis] + 0.5).floor();
            let last = (high[axis] + 0.5).floor();
            #[allow(clippy::cast_precision_loss)] // sizes are far below 2^53
            let beside = first.is_nan() || last.is_nan() || last < 0.0 || first >= n as f64;
            if beside || last < first {
                return None;
            }
            // `as` saturates: a box that reaches far beyond the grid ends at its edge.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let (first, last) = (first.max(0.0) as usize, last as usize);
            region.start[axis] = first.saturating_sub(margin[axis]);
            region.end[axis] = last.saturating_add(margin[axis]).saturating_add(1).min(n);
        }
        Some(region)
    }

    /// The smallest box that holds a mask; `None` for an empty mask.
    #[must_use]
    pub fn of_mask(mask: &Mask) -> Option<Self> {
        let (mut start, mut end) = ([usize::MAX; 3], [0; 3]);
        for (z, plane) in mask.voxels.outer_iter().enumerate() {
            for (y, row) in plane.outer_iter().enumerate() {
                let Some(first) = row.iter().position(|inside| *inside) else { continue };
                let last = row.len() - 1 - row.iter().rev().position(|inside| *inside).unwrap_or(0);
                for (axis, (low, high)) in [(first, last), (y, y), (z, z)].into_iter().enumerate() {
                    start[axis] = start[axis].min(low);
                    end[axis] = end[axis].max(high + 1);
                }
            }
        }
        (end[0] > 0).then_some(Self { start, end })
    }

    /// The smallest box that holds both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            start: [0, 1, 2].map(|axis| self.start[axis].min(other.start[axis])),
            end: [0, 1, 2].map(|axis| self.end[axis].max(other.end[axis])),
        }
    }

    /// Voxels along x, y, z.
    #[must_use]
    pub fn size(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.end[axis] - self.start[axis])
    }

    /// These voxels of a whole image.
    #[must_use]
    pub fn cut<T: Clone>(&self, volume: &Volume<T>) -> Volume<T> {
        let voxels = self.slice(volume.voxels.view()).as_standard_layout().into_owned();
        Volume { voxels, geometry: self.geometry(&volume.geometry) }
    }

    /// A view of these voxels in an array `[z, y, x]` that holds them all.
    #[must_use]
    pub fn slice<'a, T>(&self, voxels: ArrayView3<'a, T>) -> ArrayView3<'a, T> {
        (0..3).fold(voxels, |mut view, axis| {
            view.slice_axis_inplace(Axis(2 - axis), Slice::from(self.start[axis]..self.end[axis]));
            view
        })
    }

    /// The part of `geometry` that these voxels are: the same positions, fewer of them.
    #[must_use]
    pub fn geometry(&self, geometry: &Geometry) -> Geometry {
        #[allow(clippy::cast_precision_loss)]
        let origin_mm = geometry.voxel_to_world(self.start.map(|i| i as f64));
        Geometry { size: self.size(), origin_mm, ..*geometry }
    }
}

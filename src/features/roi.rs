//! The region as every family sees it: a small block around it on the final grid.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use super::diagnostics::{RoiDiagnostics, box_size, summarise};
use crate::image::{Geometry, Volume};

/// The part of the image around one region, with its two masks.
///
/// All arrays have one shape, `[z, y, x]` in standard layout.
pub(super) struct Roi {
    /// Intensities; NaN where there is none.
    pub(super) image: Volume<f32>,
    /// The region's shape.
    pub(super) morphological: Array3<bool>,
    /// The voxels whose intensities are used: inside the shape, with a value, and in the re-segmentation range.
    pub(super) intensity: Array3<bool>,
    /// The intensities of the intensity mask, in `z, y, x` order.
    pub(super) values: Vec<f32>,
    /// The size of the whole grid that the block is cut from.
    pub(super) grid_size: [usize; 3],
}

/// The smallest box around a region: first and last index along x, y, z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BoundingBox {
    pub(super) first: [usize; 3],
    pub(super) last: [usize; 3],
}

impl BoundingBox {
    /// The box around the voxels that are `true`; `None` where there are none.
    pub(super) fn around(mask: ArrayView3<bool>) -> Option<Self> {
        let (_, rows, columns) = mask.dim();
        let slices: Vec<_> = mask.outer_iter().collect();
        let found: Vec<Option<[usize; 4]>> = slices
            .par_iter()
            .map(|slice| {
                let (mut y, mut x) = ([rows, 0], [columns, 0]);
                for (j, row) in slice.outer_iter().enumerate() {
                    let Some(first) = row.iter().position(|inside| *inside) else { continue };
                    let last = row.iter().rposition(|inside| *inside).unwrap_or(first);
                    y = [y[0].min(j), j];
                    x = [x[0].min(first), x[1].max(last)];
                }
                (y[0] < rows).then_some([y[0], y[1], x[0], x[1]])
            })
            .collect();
        let first = found.iter().position(Option::is_some)?;
        let last = found.iter().rposition(Option::is_some)?;
        let all = found
            .iter()
            .flatten()
            .fold([rows, 0, columns, 0], |a, b| [a[0].min(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].max(b[3])]);
        Some(Self { first: [all[2], all[0], first], last: [all[3], all[1], last] })
    }

    /// Voxels along x, y, z.
    pub(super) fn size(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.last[axis] - self.first[axis] + 1)
    }

    /// The box with `margin` voxels more on each side, as far as the grid of `size` goes.
    pub(super) fn grown(&self, margin: [usize; 3], size: [usize; 3]) -> Self {
        Self {
            first: [0, 1, 2].map(|axis| self.first[axis].saturating_sub(margin[axis])),
            last: [0, 1, 2].map(|axis| (self.last[axis].saturating_add(margin[axis])).min(size[axis] - 1)),
        }
    }

    /// The same box counted from the first voxel of a box around it.
    pub(super) fn within(&self, outer: &Self) -> Self {
        let from = |corner: [usize; 3]| [0, 1, 2].map(|axis| corner[axis] - outer.first[axis]);
        Self { first: from(self.first), last: from(self.last) }
    }

    /// The part of an array that the box covers.
    pub(super) fn cut<T: Clone>(&self, array: &Array3<T>) -> Array3<T> {
        let along = |axis: ndarray::AxisDescription| {
            let axis = 2 - axis.axis.index();
            ndarray::Slice::from(self.first[axis]..self.last[axis] + 1)
        };
        array.slice_each_axis(along).as_standard_layout().into_owned()
    }

    /// The grid of that part.
    pub(super) fn geometry(&self, whole: &Geometry) -> Geometry {
        let origin_mm = whole.voxel_to_world(self.first.map(|i| i as f64));
        Geometry { size: self.size(), origin_mm, ..*whole }
    }
}

impl Roi {
    /// The block `voxels` on `geometry` with the region's shape; the intensity mask is the shape where there are values.
    pub(super) fn new(
        voxels: Array3<f32>,
        morphological: Array3<bool>,
        geometry: Geometry,
        grid_size: [usize; 3],
    ) -> Self {
        let mut intensity = morphological.clone();
        intensity.zip_mut_with(&voxels, |inside, value| *inside &= value.is_finite());
        let values = masked(&voxels, &intensity);
        Self { image: Volume { voxels, geometry }, morphological, intensity, values, grid_size }
    }

    /// Keeps the intensities from `low` to `high`, both included.
    pub(super) fn keep(&mut self, low: f64, high: f64) {
        self.intensity.zip_mut_with(&self.image.voxels, |inside, value| {
            *inside &= (low..=high).contains(&f64::from(*value));
        });
        self.collect_values();
    }

    /// Collects the values of the intensity mask anew after it changed.
    pub(super) fn collect_values(&mut self) {
        self.values = masked(&self.image.voxels, &self.intensity);
    }

    /// The region in numbers.
    pub(super) fn diagnostics(&self) -> RoiDiagnostics {
        RoiDiagnostics {
            dimensions: self.grid_size,
            intensity_voxels: self.values.len(),
            morphological_voxels: self.morphological.iter().filter(|inside| **inside).count(),
            intensity_bounding_box: box_size(BoundingBox::around(self.intensity.view())),
            morphological_bounding_box: box_size(BoundingBox::around(self.morphological.view())),
            intensity: summarise(&self.values).0,
        }
    }
}

/// The values under a mask, in `z, y, x` order.
pub(super) fn masked(image: &Array3<f32>, mask: &Array3<bool>) -> Vec<f32> {
    let (image, mask) = (image.as_standard_layout(), mask.as_standard_layout());
    let (Some(values), Some(inside)) = (image.as_slice(), mask.as_slice()) else { return Vec::new() };
    let mut found = Vec::with_capacity(inside.iter().map(|inside| usize::from(*inside)).sum());
    let mut at = 0;
    for same in inside.chunk_by(|a, b| a == b) {
        if same[0] {
            found.extend_from_slice(&values[at..at + same.len()]);
        }
        at += same.len();
    }
    found
}

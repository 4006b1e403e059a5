//! What image and region looked like before and after each step (IBSI 4.1).

use serde::{Deserialize, Serialize};

use super::roi::BoundingBox;
use crate::image::Geometry;

/// Image and region at each step, and the features that have no value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// As they came.
    pub initial: StepDiagnostics,
    /// After interpolation and rounding; the same region on the same grid where there was none.
    ///
    /// Its image statistics are of the block around the region: the rest is never interpolated.
    pub interpolated: StepDiagnostics,
    /// After re-segmentation of the intensity mask.
    pub resegmented: RoiDiagnostics,
    /// Grey levels of the discretised image: the number of bins, and how many of them the region fills.
    pub grey_levels: Option<GreyLevels>,
    /// Features that were asked for and have no value for this region.
    pub omitted: Vec<Omission>,
}

/// Image and region at one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepDiagnostics {
    /// The image.
    pub image: ImageDiagnostics,
    /// The region.
    pub roi: RoiDiagnostics,
}

/// An image in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImageDiagnostics {
    /// Voxels along x, y, z.
    pub dimensions: [usize; 3],
    /// Voxel spacing along x, y, z, mm.
    pub spacing_mm: [f64; 3],
    /// Statistics of the voxels that have a value; `None` when there is none.
    pub intensity: Option<Summary>,
    /// Voxels without a value.
    pub missing_voxels: usize,
}

/// A region in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RoiDiagnostics {
    /// Voxels of the mask's grid along x, y, z.
    pub dimensions: [usize; 3],
    /// Voxels of the intensity mask.
    pub intensity_voxels: usize,
    /// Voxels of the morphological mask.
    pub morphological_voxels: usize,
    /// Size of the intensity mask's bounding box along x, y, z.
    pub intensity_bounding_box: [usize; 3],
    /// Size of the morphological mask's bounding box along x, y, z.
    pub morphological_bounding_box: [usize; 3],
    /// Statistics of the intensity mask; `None` when it is empty.
    pub intensity: Option<Summary>,
}

/// Mean and range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Mean.
    pub mean: f64,
    /// Minimum.
    pub min: f64,
    /// Maximum.
    pub max: f64,
}

/// The grey levels of a discretised region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GreyLevels {
    /// The highest level: as many as the discretisation defines.
    pub levels: u32,
    /// Levels with at least one voxel.
    pub occupied: u32,
}

/// A feature without a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omission {
    /// The feature's tag, with its aggregation; the family's name for all of a family; after the filter's label and a dot on a
    /// response map, or that label alone for all of the map.
    pub tag: String,
    /// Why.
    pub reason: String,
}

/// How many voxels one partial sum covers: a fixed size, so that sums do not depend on the number of threads.
pub(super) const CHUNK: usize = 1 << 16;

/// Mean and range of the values that are finite, and how many are not.
pub(super) fn summarise(values: &[f32]) -> (Option<Summary>, usize) {
    use rayon::prelude::*;
    let parts: Vec<(usize, f64, f32, f32)> = values
        .par_chunks(CHUNK)
        .map(|chunk| {
            chunk
                .iter()
                .filter(|v| v.is_finite())
                .fold((0, 0.0, f32::INFINITY, f32::NEG_INFINITY), |(n, sum, min, max), v| {
                    (n + 1, sum + f64::from(*v), min.min(*v), max.max(*v))
                })
        })
        .collect();
    let (n, sum, min, max) = parts
        .iter()
        .fold((0, 0.0, f32::INFINITY, f32::NEG_INFINITY), |a, b| (a.0 + b.0, a.1 + b.1, a.2.min(b.2), a.3.max(b.3)));
    let summary = (n > 0).then(|| Summary { mean: sum / n as f64, min: f64::from(min), max: f64::from(max) });
    (summary, values.len() - n)
}

impl ImageDiagnostics {
    /// Of an image whose voxels are `values`.
    pub(super) fn of(geometry: &Geometry, values: &[f32]) -> Self {
        let (intensity, missing_voxels) = summarise(values);
        Self { dimensions: geometry.size, spacing_mm: geometry.spacing_mm, intensity, missing_voxels }
    }
}

/// The size of a box that may be empty.
pub(super) fn box_size(bounds: Option<BoundingBox>) -> [usize; 3] {
    bounds.map_or([0; 3], |bounds| bounds.size())
}

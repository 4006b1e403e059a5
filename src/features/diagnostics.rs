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
    let parts: Vec<Tally> = values.par_chunks(CHUNK).map(Tally::of).collect();
    let all = parts.into_iter().fold(Tally::default(), Tally::and);
    let n = all.n as usize;
    let summary = || Summary { mean: all.sum / n as f64, min: f64::from(all.min), max: f64::from(all.max) };
    ((n > 0).then(summary), values.len() - n)
}

/// Values that stay in the nearest cache from one loop to the next.
const NEAR: usize = 1 << 12;

/// Finite values: how many, their sum and their range.
#[derive(Debug, Clone, Copy)]
struct Tally {
    n: u32,
    sum: f64,
    min: f32,
    max: f32,
}

impl Default for Tally {
    fn default() -> Self {
        Self { n: 0, sum: 0.0, min: f32::INFINITY, max: f32::NEG_INFINITY }
    }
}

impl Tally {
    fn of(values: &[f32]) -> Self {
        values.chunks(NEAR).fold(Self::default(), |tally, values| tally.and(Self::of_near(values)))
    }

    fn of_near(values: &[f32]) -> Self {
        const LANES: usize = 8;
        let (groups, rest) = values.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for group in groups {
            sums.iter_mut().zip(group).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        let sum = sums.iter().sum::<f64>() + rest.iter().map(|value| f64::from(*value)).sum::<f64>();
        // Mostly all are finite, and no value needs a look of its own: in `f64` their sum is finite then, and only then.
        if sum.is_finite() {
            let [min, max] = extremes(values);
            return Self { n: values.len() as u32, sum, min, max };
        }
        values.iter().filter(|value| value.is_finite()).fold(Self::default(), |tally, value| Self {
            n: tally.n + 1,
            sum: tally.sum + f64::from(*value),
            min: tally.min.min(*value),
            max: tally.max.max(*value),
        })
    }

    fn and(self, other: Self) -> Self {
        let (min, max) = (self.min.min(other.min), self.max.max(other.max));
        Self { n: self.n + other.n, sum: self.sum + other.sum, min, max }
    }
}

/// The least and the greatest of numbers none of which is missing; the empty range where there are none.
pub(super) fn extremes(values: &[f32]) -> [f32; 2] {
    let least = |a: f32, b: f32| if b < a { b } else { a };
    let greatest = |a: f32, b: f32| if b > a { b } else { a };
    values.chunks(NEAR).fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], values| {
        // One after the other: compilers make vector instructions of either loop, and none of one that does both.
        [
            least(low, extreme(values, f32::INFINITY, least)),
            greatest(high, extreme(values, f32::NEG_INFINITY, greatest)),
        ]
    })
}

fn extreme(values: &[f32], none: f32, further: impl Fn(f32, f32) -> f32) -> f32 {
    const LANES: usize = 8;
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut found = [none; LANES];
    for group in groups {
        for (found, value) in found.iter_mut().zip(group) {
            *found = further(*found, *value);
        }
    }
    found.iter().chain(rest).fold(none, |found, value| further(found, *value))
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

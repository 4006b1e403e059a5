//! How much each feature changes when image and region change as little as they would in a repeated scan.
//!
//! Perturbations after Zwanenburg et al., Scientific Reports 9 (2019) 614: the final grid is shifted by a part of a voxel and
//! rotated about the axis of the slices, noise of the image's own level is added before it is interpolated, the contour is
//! redrawn along supervoxels, and the region grows or shrinks. Every draw changes all of them at once; draw `k` shifts, turns
//! and grows every region by the same amounts, so that draws are the raters of ICC(2,1).
//!
//! The spread of a feature over the draws is its within-lesion standard deviation. One lesion says nothing of an intraclass
//! correlation: see [`agreement`](crate::math::agreement).

mod contour;
mod noise;
mod supervoxels;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::prepare::limit;
use super::regrid::{SHARE_TOLERANCE, target_grid, touched};
use super::roi::BoundingBox;
use super::{FeatureError, FeatureValue, RoiStep, Settings, extract, local};
use crate::image::{Geometry, Interpolation, Mask, Region, Transform, Volume, resample};
use crate::math::linalg::{self, Vec3};
use crate::math::random::Stream;
use crate::math::stats::{mean, sample_variance};

/// What is changed, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Perturb {
    /// How many draws.
    pub count: u16,
    /// The largest shift along each axis, in voxels of the final grid.
    pub shift_voxels: f64,
    /// The largest rotation about the axis of the slices, in degrees.
    pub rotation_deg: f64,
    /// Whether noise of the image's own level is added.
    pub noise: bool,
    /// Whether the contour is redrawn along supervoxels.
    pub contour: bool,
    /// The largest growth or shrinkage, as a share of the volume.
    pub growth: f64,
    /// Where the draws start.
    pub seed: u64,
}

impl Default for Perturb {
    fn default() -> Self {
        Self { count: 20, shift_voxels: 0.5, rotation_deg: 10.0, noise: true, contour: true, growth: 0.1, seed: 1 }
    }
}

/// The most draws.
pub const MAX_DRAWS: u16 = 1000;

impl Perturb {
    /// What is wrong with the settings, as a sentence of what was expected.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let rules = [
            ((2..=MAX_DRAWS).contains(&self.count), "2 to 1000 draws"),
            ((0.0..=1.0).contains(&self.shift_voxels), "shift_voxels from 0 to 1"),
            ((0.0..=45.0).contains(&self.rotation_deg), "rotation_deg from 0 to 45"),
            ((0.0..=0.5).contains(&self.growth), "growth from 0 to 0.5"),
        ];
        rules.iter().find(|(holds, _)| !holds).map(|(_, expected)| *expected)
    }

    /// In words, for documents.
    #[must_use]
    pub fn label(&self) -> String {
        let Self { count, shift_voxels, rotation_deg, noise, contour, growth, seed } = self;
        let mut parts = vec![format!("{count} draws from seed {seed}")];
        parts.push(format!("shift to {shift_voxels} voxels, rotation to {rotation_deg} degrees, growth to {growth}"));
        parts.extend(noise.then(|| "noise".to_owned()));
        parts.extend(contour.then(|| "contour".to_owned()));
        parts.join(", ")
    }
}

/// One draw: the same for every region.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Draw {
    /// Shift along the axes of the grid, in its voxels.
    pub shift_voxels: Vec3,
    /// Rotation about the axis of the slices, degrees.
    pub rotation_deg: f64,
    /// Share by which the region grows.
    pub growth: f64,
}

/// The spread of one feature over the draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Draws in which the feature has a value.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, over n - 1.
    pub sd: f64,
}

/// Features of one region under all draws.
#[derive(Debug, Clone, PartialEq)]
pub struct Robustness {
    /// What was asked for.
    pub settings: Perturb,
    /// Standard deviation of the noise that was added, in the unit of the image; 0 where none was.
    pub noise_sd: f64,
    /// Draws, and the features found in each.
    pub draws: Vec<(Draw, Vec<FeatureValue>)>,
    /// Draws that left no region, or no region with an intensity.
    pub empty: usize,
}

impl Robustness {
    /// The spread of each feature, by filter and tag; of those with a value in two draws at least.
    #[must_use]
    pub fn spreads(&self) -> BTreeMap<(String, String), Spread> {
        let mut values: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
        for value in self.draws.iter().flat_map(|(_, values)| values) {
            values.entry((value.filter.clone(), value.tag.clone())).or_default().push(value.value);
        }
        let spread = |values: Vec<f64>| {
            (values.len() > 1).then(|| Spread {
                n: values.len(),
                mean: mean(&values),
                sd: sample_variance(&values).sqrt(),
            })
        };
        values.into_iter().filter_map(|(key, values)| Some((key, spread(values)?))).collect()
    }
}

/// Streams of random numbers.
const AMOUNTS: u64 = 0x7065_7274;
const NOISE: u64 = 0x6e6f_6973;
const CONTOUR: u64 = 0x636f_6e74;

/// Measures a region under every draw of [`Settings::perturb`]; `None` where none is asked for. The time is that of as many
/// extractions, one after the other.
///
/// # Errors
/// As [`extract`]. A draw whose region is empty is counted, no more.
pub fn perturb(image: &Volume<f32>, mask: &Mask, settings: &Settings) -> Result<Option<Robustness>, FeatureError> {
    let Some(wanted) = settings.perturb else { return Ok(None) };
    settings.validate()?;
    let scene = Scene::of(image, mask, settings, &wanted)?;
    let fixed = Settings { resample: None, perturb: None, ..settings.clone() };
    let mut found = Robustness { settings: wanted, noise_sd: scene.noise_sd, draws: Vec::new(), empty: 0 };
    for k in 0..u64::from(wanted.count) {
        let draw = draw(&wanted, settings, &scene.base, k);
        let (image, mask) = scene.perturbed(&wanted, &draw, k)?;
        match extract(&image, &mask, &fixed) {
            Ok(extraction) => found.draws.push((draw, extraction.values)),
            Err(FeatureError::EmptyRoi(_)) => found.empty += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(Some(found))
}

fn draw(wanted: &Perturb, settings: &Settings, grid: &Geometry, k: u64) -> Draw {
    let mut stream = Stream::new(wanted.seed, AMOUNTS, k);
    let mut within = |most: f64| (2.0 * stream.uniform() - 1.0) * most;
    let mut shift_voxels = [0; 3].map(|_| within(wanted.shift_voxels));
    // Slices that are measured for themselves stay where they are.
    if settings.keeps_slices() || grid.size[2] == 1 {
        shift_voxels[2] = 0.0;
    }
    Draw { shift_voxels, rotation_deg: within(wanted.rotation_deg), growth: within(wanted.growth) }
}

/// What the draws share.
struct Scene<'a> {
    /// The part of the image that any draw needs.
    image: Volume<f32>,
    /// The region in it, as shares of voxels.
    share: Volume<f32>,
    /// The part of the final grid around the region.
    base: Geometry,
    /// The middle of the region, mm.
    middle: Vec3,
    noise_sd: f64,
    settings: &'a Settings,
}

impl<'a> Scene<'a> {
    fn of(image: &Volume<f32>, mask: &Mask, settings: &'a Settings, wanted: &Perturb) -> Result<Self, FeatureError> {
        let (grid, mask_grid) = (&image.geometry, &mask.geometry);
        if image.voxels.dim() != mask.voxels.dim() || grid.size != mask_grid.size {
            return Err(FeatureError::Grid { image: grid.size, mask: mask_grid.size });
        }
        let bounds = BoundingBox::around(mask.voxels.view()).ok_or(FeatureError::EmptyRoi(RoiStep::Initial))?;
        let (whole, exact) = match &settings.resample {
            None => (*grid, bounds),
            Some(resample) => {
                let spacing_mm = resample.spacing_mm.along_axes(grid.spacing_mm);
                let new = target_grid(grid, spacing_mm, settings.grid_align)?;
                (new, touched(grid, &new, &bounds, settings.grid_align))
            }
        };
        let block = exact.grown(margin(settings, wanted, &exact, &whole), whole.size);
        limit(&block)?;
        let base = block.geometry(&whole);
        let middle = exact.geometry(&whole).centre_mm();
        let region = seen(grid, &base, middle, wanted);
        let cut = region.cut(image);
        let share = region.cut(mask);
        let share =
            Volume { voxels: share.voxels.mapv(|inside| f32::from(u8::from(inside))), geometry: share.geometry };
        let noise_sd = if wanted.noise { noise::level(image, &bounds) } else { 0.0 };
        Ok(Self { image: cut, share, base, middle, noise_sd, settings })
    }

    /// Image and region of one draw.
    fn perturbed(&self, wanted: &Perturb, draw: &Draw, k: u64) -> Result<(Volume<f32>, Mask), FeatureError> {
        let grid = self.grid(draw)?;
        let resampling = self.settings.resample;
        let interpolation = resampling.map_or(Interpolation::Linear, |resample| resample.interpolation);
        let of_mask = resampling.map_or(Interpolation::Linear, |resample| resample.mask_interpolation);
        let threshold = resampling.map_or(0.5, |resample| resample.mask_threshold) - SHARE_TOLERANCE;
        let noisy = (self.noise_sd > 0.0).then(|| noise::added(&self.image, self.noise_sd, wanted.seed ^ NOISE, k));
        let image = resample(noisy.as_ref().unwrap_or(&self.image), &grid, &Transform::Identity, interpolation);
        let share = resample(&self.share, &grid, &Transform::Identity, of_mask);
        let mut mask = Mask { voxels: share.voxels.mapv(|share| f64::from(share) >= threshold), geometry: grid };
        let mut stream = Stream::new(wanted.seed, CONTOUR, k);
        if wanted.contour {
            supervoxels::redraw(&image, &mut mask, &mut stream);
        }
        contour::grow(&mut mask, draw.growth, &mut stream);
        Ok((image, mask))
    }

    /// The block of the final grid, turned about the middle of the region and shifted.
    fn grid(&self, draw: &Draw) -> Result<Geometry, FeatureError> {
        let base = &self.base;
        let axis = base.directions[2];
        let turn = linalg::rotation(linalg::scale(draw.rotation_deg.to_radians(), axis));
        let from_middle = linalg::mul_vec(&turn, linalg::sub(base.origin_mm, self.middle));
        let directions = base.directions.map(|direction| linalg::mul_vec(&turn, direction));
        let origin_mm = (0..3).fold(linalg::add(self.middle, from_middle), |at, axis| {
            linalg::add(at, linalg::scale(draw.shift_voxels[axis] * base.spacing_mm[axis], directions[axis]))
        });
        Ok(Geometry::new(base.size, base.spacing_mm, origin_mm, directions)?)
    }
}

/// Voxels around the region that a turned, shifted and grown region may reach, with what families and filters look at.
fn margin(settings: &Settings, wanted: &Perturb, exact: &BoundingBox, grid: &Geometry) -> [usize; 3] {
    let size = exact.size();
    let half_mm = |axis: usize| size[axis] as f64 * grid.spacing_mm[axis] / 2.0;
    let turned_mm = half_mm(0).hypot(half_mm(1)) * wanted.rotation_deg.to_radians().sin().abs();
    let mut reach = [0; 3];
    for filter in settings.filters() {
        // A filter that needs the whole image sees as far as the bounding box is wide: beyond lies what is cut away.
        let of_filter = filter.reach(grid.spacing_mm).unwrap_or(grid.size);
        reach.iter_mut().zip(of_filter).for_each(|(reach, of)| *reach = of.max(*reach));
    }
    [0, 1, 2].map(|axis| {
        let turned_mm = if axis == 2 { 0.0 } else { turned_mm };
        let grown = (size[axis] as f64 * wanted.growth).ceil() as usize + 4;
        let near_mm = (turned_mm + local::RADIUS_MM) / grid.spacing_mm[axis];
        (near_mm.ceil().min(1e6) as usize + grown).saturating_add(reach[axis])
    })
}

/// The part of the image that a turned block can see, with what the spline needs.
fn seen(grid: &Geometry, base: &Geometry, middle: Vec3, wanted: &Perturb) -> Region {
    let corners = (0..8usize).map(|k| [k & 1, k >> 1 & 1, k >> 2].map(|at| at as f64));
    let last = base.size.map(|n| n as f64 - 1.0);
    let radius_mm = corners
        .map(|c| {
            linalg::norm(linalg::sub(base.voxel_to_world([c[0] * last[0], c[1] * last[1], c[2] * last[2]]), middle))
        })
        .fold(0.0, f64::max);
    let at = grid.world_to_voxel(middle);
    let steps = [0, 1, 2].map(|axis| {
        let shift_mm = wanted.shift_voxels * base.spacing_mm[axis];
        (radius_mm + shift_mm) / grid.spacing_mm[axis] + super::regrid::SPLINE_MARGIN as f64
    });
    let low = [0, 1, 2].map(|axis| at[axis] - steps[axis]);
    let high = [0, 1, 2].map(|axis| at[axis] + steps[axis]);
    Region::around(grid, low, high, [0; 3]).unwrap_or_else(|| Region::whole(grid))
}

#[cfg(test)]
mod tests;

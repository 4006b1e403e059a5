//! A pair of images at several resolutions, in millimetres.

#![allow(clippy::cast_precision_loss)] // voxel counts

use super::binned::Binned;
use super::bins::{Bins, Uptake};
use super::body;
use super::samples::Samples;
use super::settings::Estimation;
use super::stage::Pair;
use crate::image::{Geometry, Mask, Modality, Psf, Volume, reduce};
use crate::math::linalg::{self, Vec3};

/// The pair at one resolution.
pub(super) struct Level {
    /// The images on isotropic grids of one spacing.
    pub fixed: Volume<f32>,
    pub moving: Volume<f32>,
    /// The body in them.
    pub fixed_body: Mask,
    pub moving_body: Mask,
    /// Where the fixed image is compared.
    pub samples: Samples,
    /// The moving image in histogram bins.
    pub binned: Binned,
    modalities: [Modality; 2],
    n_bins: usize,
    margin_mm: f64,
    uptake: Uptake,
}

/// The pair at all resolutions.
pub(super) struct Pyramid {
    /// From coarse to fine; never empty.
    pub levels: Vec<Level>,
}

/// Why no estimate can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoEstimate {
    /// All values alike, or none.
    #[error("an image has no contrast")]
    NoContrast,
    /// Nothing to compare.
    #[error("too little of the images can be compared")]
    TooSmall,
    /// No start led anywhere.
    #[error("no start reached enough overlap")]
    NoOverlap,
}

/// Samples that a measure needs at least at the finest level.
const SAMPLES_MIN: usize = 500;

impl Pyramid {
    /// Blurs both images to a common resolution, and again for each coarser level.
    ///
    /// The sharper image is blurred to the resolution of the coarser one; a coarser level has twice the spacing and a blur of
    /// six tenths of it. CT values enter above air, so that nothing depends on where zero is.
    pub fn new(pair: &Pair<'_>, settings: &Estimation) -> Result<Self, NoEstimate> {
        Self::build(pair, settings, Uptake::Linear, 0.0)
    }

    /// The pyramid that a bend is sought on: more samples and bins, a PET by the root of its uptake, and a blur that evens out
    /// noise.
    ///
    /// A rigid map has six numbers and finds them at the edges of the body and of what is hot. A bend has its own for every
    /// place, and where fat and muscle fall into one bin it draws the body in to make the image simpler.
    ///
    /// Interpolation averages the noise between voxel centres and leaves it at them. Where that pattern is in both images the
    /// measure gains by laying one on the other, and a bend follows it: a blur of half the longest voxel edge hides it.
    pub fn bending(pair: &Pair<'_>, settings: &Estimation) -> Result<Self, NoEstimate> {
        let finer = Estimation { n_samples: settings.n_samples_bending, bins: settings.bins_bending, ..*settings };
        let sigma_least = settings.bending_blur_per_voxel * longest_edge_mm(pair);
        Self::build(pair, &finer, Uptake::Root, sigma_least)
    }

    fn build(pair: &Pair<'_>, settings: &Estimation, uptake: Uptake, sigma_least: f64) -> Result<Self, NoEstimate> {
        let spacing = spacing_mm(&pair.fixed.geometry, &pair.moving.geometry, settings);
        let sigma = common_sigma_mm(pair, settings).max(0.5 * spacing * settings.blur_per_spacing).max(sigma_least);
        let at_finest = |image: &Volume<f32>, psf: &Psf| {
            let extra = psf.sigma_mm().map(|own| (sigma * sigma - own * own).max(0.0).sqrt());
            reduce(image, [spacing; 3], extra)
        };
        let fixed = at_finest(pair.fixed, &pair.fixed_psf);
        let moving = at_finest(pair.moving, &pair.moving_psf);
        let bodies = [body::body_mask(&fixed, pair.fixed_modality), body::body_mask(&moving, pair.moving_modality)];
        let mut compared = body::grown(&bodies[0], settings.margin_mm);
        body::without_couch(&mut compared, &fixed, &bodies[0], pair.fixed_modality);
        let masks = Masks { bodies: &bodies, compared: &compared, margin_mm: settings.margin_mm, uptake };
        let modalities = [pair.fixed_modality, pair.moving_modality];
        let mut levels = Vec::new();
        for step in (1..settings.levels).rev() {
            let factor = f64::from(1u32 << step.min(8));
            let wanted = settings.blur_per_spacing * spacing * factor;
            let extra = (wanted * wanted - sigma * sigma).max(0.0).sqrt();
            let coarser = |image: &Volume<f32>| reduce(image, [spacing * factor; 3], [extra; 3]);
            levels.push(Level::new(coarser(&fixed), coarser(&moving), &masks, modalities, settings.bins_coarse)?);
        }
        levels.push(Level::new(fixed, moving, &masks, modalities, settings.bins)?);
        if levels.last().is_none_or(|finest| finest.samples.len() < SAMPLES_MIN) {
            return Err(NoEstimate::TooSmall);
        }
        Ok(Self { levels })
    }
}

/// Masks at the finest resolution.
struct Masks<'a> {
    bodies: &'a [Mask; 2],
    compared: &'a Mask,
    margin_mm: f64,
    uptake: Uptake,
}

impl Level {
    fn new(
        fixed: Volume<f32>,
        moving: Volume<f32>,
        masks: &Masks<'_>,
        modalities: [Modality; 2],
        n_bins: usize,
    ) -> Result<Self, NoEstimate> {
        let fixed_bins = Bins::new(&fixed, modalities[0], n_bins, masks.uptake).ok_or(NoEstimate::NoContrast)?;
        let moving_bins = Bins::new(&moving, modalities[1], n_bins, masks.uptake).ok_or(NoEstimate::NoContrast)?;
        let samples = Samples::new(&fixed, &body::on_grid(masks.compared, &fixed.geometry), &fixed_bins);
        let binned = Binned::new(&moving, &moving_bins);
        let fixed_body = body::on_grid(&masks.bodies[0], &fixed.geometry);
        let moving_body = body::on_grid(&masks.bodies[1], &moving.geometry);
        let (margin_mm, uptake) = (masks.margin_mm, masks.uptake);
        Ok(Self { fixed, moving, fixed_body, moving_body, samples, binned, modalities, n_bins, margin_mm, uptake })
    }

    /// What the measure needs when the images exchange their roles; `None` where one has no contrast.
    pub fn exchanged(&self) -> Option<(Samples, Binned)> {
        let fixed_bins = Bins::new(&self.fixed, self.modalities[0], self.n_bins, self.uptake)?;
        let moving_bins = Bins::new(&self.moving, self.modalities[1], self.n_bins, self.uptake)?;
        let mut mask = body::grown(&self.moving_body, self.margin_mm);
        body::without_couch(&mut mask, &self.moving, &self.moving_body, self.modalities[1]);
        Some((Samples::new(&self.moving, &mask, &moving_bins), Binned::new(&self.fixed, &fixed_bins)))
    }
}

/// The spacing at which the smaller field of view has about as many samples as asked for.
fn spacing_mm(fixed: &Geometry, moving: &Geometry, settings: &Estimation) -> f64 {
    let volume = |grid: &Geometry| grid.n_voxels() as f64 * grid.voxel_volume_mm3();
    let smaller = volume(fixed).min(volume(moving));
    (smaller / settings.n_samples.max(1) as f64).cbrt().max(settings.spacing_min_mm)
}

/// The coarsest width in either image, but for what is coarse along one axis alone: the middle one of each image's three.
fn common_sigma_mm(pair: &Pair<'_>, settings: &Estimation) -> f64 {
    let middle = |psf: &Psf| {
        let mut sigma = psf.sigma_mm();
        sigma.sort_by(f64::total_cmp);
        sigma[1]
    };
    settings.blur_share * middle(&pair.fixed_psf).max(middle(&pair.moving_psf))
}

/// The longest edge of a voxel of either image.
fn longest_edge_mm(pair: &Pair<'_>) -> f64 {
    let edges = pair.fixed.geometry.spacing_mm.into_iter().chain(pair.moving.geometry.spacing_mm);
    edges.fold(0.0, f64::max)
}

/// The middle of a mask; the middle of the grid where it is empty.
pub(super) fn centroid(mask: &Mask) -> Vec3 {
    let (mut sum, mut n) = ([0.0; 3], 0.0);
    for ((z, y, x), _) in mask.voxels.indexed_iter().filter(|(_, inside)| **inside) {
        sum = linalg::add(sum, [x as f64, y as f64, z as f64]);
        n += 1.0;
    }
    if n > 0.0 { mask.geometry.voxel_to_world(linalg::scale(1.0 / n, sum)) } else { mask.geometry.centre_mm() }
}

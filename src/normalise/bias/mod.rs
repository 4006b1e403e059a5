//! Bias field of an MR image: N4ITK (Tustison et al., IEEE Trans Med Imaging 2010;29:1310).
//!
//! The image is taken as true signal times a smooth field. In the logarithm, over the body, each round sharpens the histogram
//! (the field blurs it; a Wiener filter with a Gaussian undoes a little of that), takes what distinguishes the image from its
//! sharpened self as what is left of the field, and fits a cubic B-spline to it. Rounds go on until the field settles, then
//! the spline's mesh is halved, level by level.
//!
//! The field is estimated on every few voxels only, and evaluated everywhere. The corrected image keeps the mean of the
//! logarithm over the body, so that a field without variation changes nothing. Voxels of the same value may differ
//! afterwards: this is not rank-preserving, is off unless the protocol asks for it, and is written down where it was done.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // grid indices

mod lattice;
mod sharpen;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{NormaliseError, body_mask};
use crate::image::{Mask, Volume};
use lattice::{Lattice, Site};

/// How a bias field is estimated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BiasSettings {
    /// Along the axis with the finest spacing every so many-th voxel is looked at; along coarser axes as many fewer are left
    /// out.
    pub shrink: usize,
    /// Rounds at most, level by level; each level halves the mesh.
    pub rounds: Vec<usize>,
    /// Pieces of the spline along each axis at the first level.
    pub spans: usize,
    /// A level ends when the field changes by less than this (coefficient of variation of its ratio).
    pub convergence: f64,
    /// Full width at half maximum of the Gaussian by which the field blurs the histogram, in logarithms.
    pub fwhm: f64,
    /// Noise of the Wiener filter.
    pub wiener_noise: f64,
    /// Bins of the histogram.
    pub bins: usize,
}

impl Default for BiasSettings {
    /// The values of the publication and of ITK.
    fn default() -> Self {
        Self { shrink: 4, rounds: vec![50; 4], spans: 1, convergence: 1e-3, fwhm: 0.15, wiener_noise: 0.01, bins: 200 }
    }
}

/// A corrected image.
#[derive(Debug, Clone)]
pub struct Corrected {
    /// The image divided by the field.
    pub volume: Volume<f32>,
    /// Logarithm of the field, with mean 0 over the sites where it was estimated.
    pub log_field: Volume<f32>,
    /// Rounds of each level.
    pub rounds: Vec<usize>,
    /// One sentence on what was done, with its numbers.
    pub note: String,
}

/// Estimates the field over `mask` (or the body mask of the image) and takes it out of the whole image.
///
/// Costs about 0.2 microseconds per site and round, and one evaluation of the spline per voxel; memory is the image twice
/// more. Only positive values have a logarithm: others take no part, and are divided like the rest.
///
/// # Errors
/// When the mask is on another grid, or no contrast is left within it.
pub fn correct(image: &Volume<f32>, mask: Option<&Mask>, settings: &BiasSettings) -> Result<Corrected, NormaliseError> {
    let own;
    let mask = match mask {
        Some(mask) if mask.voxels.dim() != image.voxels.dim() => return Err(NormaliseError::Grid),
        Some(mask) => mask,
        None => {
            own = body_mask(image);
            &own
        }
    };
    let (sites, logs) = sites(image, mask, steps(image, settings.shrink));
    if sites.is_empty() {
        return Err(NormaliseError::EmptyBody);
    }
    let mut field = Lattice::zero([settings.spans.max(1); 3], image.geometry.size);
    let mut values = vec![0.0; sites.len()];
    let mut rounds = Vec::new();
    for (level, most) in settings.rounds.iter().enumerate() {
        if level > 0 {
            field = field.refined();
        }
        rounds.push(settle(&mut field, &mut values, &sites, &logs, settings, *most)?);
    }
    // A field has no level of its own: the body keeps its mean.
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let log_field = evaluate(&field, image, mean);
    let mut volume = image.clone();
    ndarray::Zip::from(&mut volume.voxels).and(&log_field.voxels).par_for_each(|value, log| {
        *value = (f64::from(*value) / f64::from(*log).exp()) as f32;
    });
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v - mean), high.max(v - mean)));
    let total: usize = rounds.iter().sum();
    let note = format!(
        "N4 bias field over {} sites, {total} rounds: from {:.4} to {:.4} of the mean",
        sites.len(),
        low.exp(),
        high.exp()
    );
    Ok(Corrected { volume, log_field, rounds, note })
}

/// Every how many-th voxel is looked at along each axis.
fn steps(image: &Volume<f32>, shrink: usize) -> [usize; 3] {
    let finest = image.geometry.spacing_mm.iter().copied().fold(f64::INFINITY, f64::min);
    [0, 1, 2].map(|axis| {
        let wanted = (shrink.max(1) as f64 * finest / image.geometry.spacing_mm[axis]).round() as usize;
        // A mesh of one piece needs four sites and more.
        wanted.min(image.geometry.size[axis] / 8).max(1)
    })
}

/// The voxels that are looked at, and the logarithms of their values.
fn sites(image: &Volume<f32>, mask: &Mask, steps: [usize; 3]) -> (Vec<Site>, Vec<f64>) {
    let [nx, ny, nz] = image.geometry.size;
    let (mut sites, mut logs) = (Vec::new(), Vec::new());
    for z in (steps[2] / 2..nz).step_by(steps[2]) {
        for y in (steps[1] / 2..ny).step_by(steps[1]) {
            for x in (steps[0] / 2..nx).step_by(steps[0]) {
                let value = image.voxels[[z, y, x]];
                if mask.voxels[[z, y, x]] && value.is_finite() && value > 0.0 {
                    sites.push([x, y, z]);
                    logs.push(f64::from(value).ln());
                }
            }
        }
    }
    (sites, logs)
}

/// Rounds of one level; how many there were. `values` are those of the field at the sites.
fn settle(
    field: &mut Lattice,
    values: &mut Vec<f64>,
    sites: &[Site],
    logs: &[f64],
    settings: &BiasSettings,
    most: usize,
) -> Result<usize, NormaliseError> {
    for round in 1..=most {
        let mut residual: Vec<f64> = logs.iter().zip(values.iter()).map(|(log, bias)| log - bias).collect();
        let flat = NormaliseError::Flat { n_voxels: logs.len() };
        let sharpened = sharpen::sharpen(&residual, settings).ok_or(flat)?;
        residual.iter_mut().zip(&sharpened).for_each(|(residual, sharp)| *residual -= sharp);
        field.add_fit(sites, &residual);
        let next = field.at_sites(sites);
        let change = variation(values, &next);
        *values = next;
        if change < settings.convergence {
            return Ok(round);
        }
    }
    Ok(most)
}

/// Coefficient of variation of the ratio of two fields.
fn variation(before: &[f64], after: &[f64]) -> f64 {
    let ratios: Vec<f64> = before.iter().zip(after).map(|(a, b)| (a - b).exp()).collect();
    let n = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / n;
    let variance = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    variance.sqrt() / mean
}

/// The logarithm of the field at every voxel, less `mean`.
fn evaluate(field: &Lattice, image: &Volume<f32>, mean: f64) -> Volume<f32> {
    let mut log_field = Volume::filled(image.geometry, 0.0f32);
    log_field.voxels.outer_iter_mut().into_par_iter().enumerate().for_each(|(z, mut plane)| {
        let layer = field.layer(z);
        for (y, mut row) in plane.outer_iter_mut().enumerate() {
            let line = layer.line(y);
            for (x, value) in row.iter_mut().enumerate() {
                *value = (line.at(x) - mean) as f32;
            }
        }
    });
    log_field
}

#[cfg(test)]
mod tests;

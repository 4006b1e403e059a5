//! The resolution of a CT from its own edges: the skin against air.
//!
//! Where a step is seen through a Gaussian point spread function its profile is the error function. Profiles along each axis
//! that cross the skin at a right angle are scaled between what lies on both sides, laid on each other at half their height,
//! and one width is fitted to all of them. What they tell is how sharp the image is, the voxels included.
//!
//! Clothes, hair and couch make skin look blunt: what is told is an upper bound, and steps between other values than air and
//! skin are not looked at.

#![allow(clippy::cast_precision_loss)] // counts

use crate::image::{FWHM_PER_SIGMA, Volume};
use crate::math::special::normal_cdf;

/// Values that are air, and values that are skin and fat, HU.
const AIR_BELOW: f32 = -900.0;
const TISSUE: std::ops::Range<f32> = -250.0..250.0;
/// Voxels of a profile on each side of the step.
const SIDE: usize = 5;
/// Share of the gradient's length that lies along the axis at a right angle.
const RIGHT_ANGLE: f32 = 0.985;
/// Profiles that make a width.
const PROFILES_MIN: usize = 200;
/// Profiles that are looked at at most along each axis.
const PROFILES_MAX: usize = 20_000;
/// Widths that are tried: from a fifth of a voxel to what a profile can hold.
const SIGMA_MIN: f64 = 0.2;
const SIGMA_MAX: f64 = 2.5;

/// The full width at half maximum along each axis, mm; `None` where too few edges lie across it.
#[must_use]
pub fn edge_fwhm_mm(ct: &Volume<f32>) -> [Option<f64>; 3] {
    [0, 1, 2].map(|axis| {
        let samples = profiles(ct, axis)?;
        Some(fitted_sigma(&samples) * FWHM_PER_SIGMA * ct.geometry.spacing_mm[axis])
    })
}

/// Places (voxels from the step) and heights (0 air, 1 tissue) of all profiles along an axis.
fn profiles(ct: &Volume<f32>, axis: usize) -> Option<Vec<(f32, f32)>> {
    let size = ct.geometry.size;
    if size.iter().any(|n| *n < 2 * SIDE + 3) {
        return None;
    }
    let voxels = ct.voxels.as_slice()?;
    let stride = [1, size[0], size[0] * size[1]];
    let (p, q) = ((axis + 1) % 3, (axis + 2) % 3);
    let (mut samples, mut n) = (Vec::new(), 0usize);
    for a in 1..size[p] - 1 {
        for b in 1..size[q] - 1 {
            let line = a * stride[p] + b * stride[q];
            for at in SIDE..size[axis] - SIDE - 1 {
                let here = line + at * stride[axis];
                let (low, high) = (voxels[here], voxels[here + stride[axis]]);
                // The step lies between these two, whichever way it leads.
                let half = -550.0;
                if (low < half) == (high < half)
                    || !square(voxels, here, [stride[axis], stride[p], stride[q]], ct, axis)
                {
                    continue;
                }
                let profile: Vec<f32> =
                    (0..2 * SIDE).map(|k| voxels[here + (k + 1) * stride[axis] - SIDE * stride[axis]]).collect();
                let rising: Vec<f32> = if low < high { profile } else { profile.into_iter().rev().collect() };
                if let Some(heights) = scaled(&rising) {
                    n += 1;
                    samples.extend(heights);
                }
                if n == PROFILES_MAX {
                    return Some(samples);
                }
            }
        }
    }
    (n >= PROFILES_MIN).then_some(samples)
}

/// Whether the gradient in mm lies along the axis.
fn square(voxels: &[f32], here: usize, strides: [usize; 3], ct: &Volume<f32>, axis: usize) -> bool {
    let spacing = ct.geometry.spacing_mm;
    #[allow(clippy::cast_possible_truncation)] // millimetres
    let slope = [0, 1, 2].map(|k| {
        let along = (axis + k) % 3;
        (voxels[here + strides[k]] - voxels[here - strides[k]]) / (2.0 * spacing[along] as f32)
    });
    let length = slope.iter().map(|s| s * s).sum::<f32>().sqrt();
    slope[0].abs() >= RIGHT_ANGLE * length
}

/// A profile from air to tissue as places and heights; `None` where its ends are something else.
fn scaled(profile: &[f32]) -> Option<Vec<(f32, f32)>> {
    let n = profile.len();
    let (air, tissue) = (&profile[..2], &profile[n - 2..]);
    if !air.iter().all(|v| *v < AIR_BELOW) || !tissue.iter().all(|v| TISSUE.contains(v)) {
        return None;
    }
    let (low, high) = (0.5 * (air[0] + air[1]), 0.5 * (tissue[0] + tissue[1]));
    let heights: Vec<f32> = profile.iter().map(|v| (v - low) / (high - low)).collect();
    let after = heights.iter().position(|h| *h >= 0.5).filter(|k| *k > 0)?;
    let step = (0.5 - heights[after - 1]) / (heights[after] - heights[after - 1]);
    let crossing = after as f32 - 1.0 + step;
    Some(heights.iter().enumerate().map(|(k, h)| (k as f32 - crossing, *h)).collect())
}

/// The width (in voxels) whose error function lies closest to all samples, by halving the interval.
fn fitted_sigma(samples: &[(f32, f32)]) -> f64 {
    let cost = |sigma: f64| -> f64 {
        let of = |(at, height): &(f32, f32)| {
            let expected = normal_cdf(f64::from(*at) / sigma);
            // Skin folds and cloth are outliers: their weight is bounded.
            (f64::from(*height) - expected).abs().min(0.2)
        };
        samples.iter().step_by((samples.len() / 5_000).max(1)).map(of).sum()
    };
    let golden = 0.5 * (5.0f64.sqrt() - 1.0);
    let (mut low, mut high) = (SIGMA_MIN, SIGMA_MAX);
    for _ in 0..24 {
        let (a, b) = (high - golden * (high - low), low + golden * (high - low));
        if cost(a) < cost(b) { high = b } else { low = a }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Geometry, gaussian};
    use crate::math::linalg::IDENTITY;

    #[test]
    fn the_width_of_a_blurred_body_is_read_from_its_skin_where_edges_lie_across() {
        let grid = Geometry::new([90, 90, 30], [0.9, 0.9, 3.0], [0.0; 3], IDENTITY).unwrap();
        let mut body = Volume::filled(grid, -1000.0f32);
        for ((_, y, x), value) in body.voxels.indexed_iter_mut() {
            let [dx, dy] = [(x as f32 - 44.3) * 0.9, (y as f32 - 45.2) * 0.9];
            // Partly filled voxels at the edge, as a scanner makes them.
            let depth = 30.0 - dx.hypot(dy);
            *value = -1000.0 + 950.0 * (depth / 0.9 + 0.5).clamp(0.0, 1.0);
        }
        for fwhm in [1.6, 2.6] {
            let sigma = fwhm / 2.354_82;
            let [x, y, z] = edge_fwhm_mm(&gaussian(&body, [sigma, sigma, 0.0]));
            for found in [x, y] {
                // The partly filled voxels add a box of 0.9 mm, 0.61 mm of FWHM in quadrature.
                let expected = (fwhm * fwhm + 0.61f64.powi(2)).sqrt();
                assert!((found.unwrap() / expected - 1.0).abs() < 0.1, "{found:?} is not {expected}");
            }
            assert_eq!(z, None);
        }
        assert_eq!(edge_fwhm_mm(&Volume::filled(grid, 0.0)), [None; 3]);
    }
}

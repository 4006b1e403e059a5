//! The resolution of an image from its own edges: the body against air.
//!
//! Where a step is seen through a Gaussian point spread function its profile is the error function. Profiles along each axis
//! that cross the skin at a right angle are scaled between what lies on both sides, laid on each other at half their height,
//! and one width is fitted to all of them. What they tell is how sharp the image is, the voxels included.
//!
//! Clothes, hair and couch make skin look blunt, and in PET and MR skin, fat and muscle are steps of their own: what is told
//! is an upper bound. Steps between other values than air and skin are not looked at; in PET and MR, whose values have no
//! scale that tells them apart, both sides of a step must be flat.

#![allow(clippy::cast_precision_loss)] // counts

use std::ops::Range;

use crate::image::{FWHM_PER_SIGMA, Modality, Volume, two_class_threshold};
use crate::math::special::normal_cdf;

/// How much the two voxels at an end of a profile may differ where values alone do not tell what they are, as a share of the
/// step.
const FLAT: f32 = 0.1;
/// Air lies below this share of the value between air and tissue.
const AIR_SHARE: f32 = 0.5;
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

/// The share of the widest that can be fitted beyond which a fit says no more than that the image is blunt.
const WIDEST_SHARE: f64 = 0.95;

/// The full width at half maximum along each axis, mm; `None` where too few edges lie across it.
#[must_use]
pub fn edge_fwhm_mm(image: &Volume<f32>, modality: Modality) -> [Option<f64>; 3] {
    let Some(step) = Step::of(image, modality) else { return [None; 3] };
    [0, 1, 2].map(|axis| {
        let sigma = fitted_sigma(&profiles(image, axis, &step)?);
        let width = sigma * FWHM_PER_SIGMA * image.geometry.spacing_mm[axis];
        (sigma < WIDEST_SHARE * SIGMA_MAX).then_some(width)
    })
}

/// What lies on both sides of a body's edge.
struct Step {
    air: Range<f32>,
    tissue: Range<f32>,
    /// A value between both.
    half: f32,
    /// How much the voxels at an end may differ, as a share of the step.
    flat: f32,
}

impl Step {
    /// From air to skin and fat in a CT, from darkness to what is bright in PET and MR.
    fn of(image: &Volume<f32>, modality: Modality) -> Option<Self> {
        match modality {
            Modality::Ct => {
                Some(Self { air: f32::NEG_INFINITY..-900.0, tissue: -250.0..250.0, half: -550.0, flat: f32::INFINITY })
            }
            Modality::Pet | Modality::Mr => {
                let half = two_class_threshold(image).filter(|half| *half > 0.0)?;
                let air = f32::NEG_INFINITY..AIR_SHARE * half;
                Some(Self { air, tissue: half..f32::INFINITY, half, flat: FLAT })
            }
            Modality::Other => None,
        }
    }
}

/// Places (voxels from the step) and heights (0 air, 1 tissue) of all profiles along an axis.
fn profiles(image: &Volume<f32>, axis: usize, step: &Step) -> Option<Vec<(f32, f32)>> {
    let size = image.geometry.size;
    if size.iter().any(|n| *n < 2 * SIDE + 3) {
        return None;
    }
    let voxels = image.voxels.as_slice()?;
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
                if (low < step.half) == (high < step.half)
                    || !square(voxels, here, [stride[axis], stride[p], stride[q]], image, axis)
                {
                    continue;
                }
                let profile: Vec<f32> =
                    (0..2 * SIDE).map(|k| voxels[here + (k + 1) * stride[axis] - SIDE * stride[axis]]).collect();
                let rising: Vec<f32> = if low < high { profile } else { profile.into_iter().rev().collect() };
                if let Some(heights) = scaled(&rising, step) {
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
fn square(voxels: &[f32], here: usize, strides: [usize; 3], image: &Volume<f32>, axis: usize) -> bool {
    let spacing = image.geometry.spacing_mm;
    #[allow(clippy::cast_possible_truncation)] // millimetres
    let slope = [0, 1, 2].map(|k| {
        let along = (axis + k) % 3;
        (voxels[here + strides[k]] - voxels[here - strides[k]]) / (2.0 * spacing[along] as f32)
    });
    let length = slope.iter().map(|s| s * s).sum::<f32>().sqrt();
    slope[0].abs() >= RIGHT_ANGLE * length
}

/// A profile from air to tissue as places and heights; `None` where its ends are something else.
fn scaled(profile: &[f32], step: &Step) -> Option<Vec<(f32, f32)>> {
    let n = profile.len();
    let (air, tissue) = (&profile[..2], &profile[n - 2..]);
    if !air.iter().all(|v| step.air.contains(v)) || !tissue.iter().all(|v| step.tissue.contains(v)) {
        return None;
    }
    let (low, high) = (0.5 * (air[0] + air[1]), 0.5 * (tissue[0] + tissue[1]));
    let uneven = (air[0] - air[1]).abs().max((tissue[0] - tissue[1]).abs());
    if uneven > step.flat * (high - low) {
        return None;
    }
    let heights: Vec<f32> = profile.iter().map(|v| (v - low) / (high - low)).collect();
    let after = heights.iter().position(|h| *h >= 0.5).filter(|k| *k > 0)?;
    let part = (0.5 - heights[after - 1]) / (heights[after] - heights[after - 1]);
    let crossing = after as f32 - 1.0 + part;
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
            let blurred = gaussian(&body, [sigma, sigma, 0.0]);
            let [x, y, z] = edge_fwhm_mm(&blurred, Modality::Ct);
            // The same in the values of an MR signal, whose skin is uneven.
            let mut signal = blurred.clone();
            signal.voxels.indexed_iter_mut().for_each(|((z, ..), v)| *v = (*v + 1000.0) * (1.0 + 0.02 * z as f32));
            let [x_mr, y_mr, z_mr] = edge_fwhm_mm(&signal, Modality::Mr);
            assert_eq!(z_mr, None);
            for found in [x, y, x_mr, y_mr] {
                // The partly filled voxels add a box of 0.9 mm, 0.61 mm of FWHM in quadrature.
                let expected = (fwhm * fwhm + 0.61f64.powi(2)).sqrt();
                assert!((found.unwrap() / expected - 1.0).abs() < 0.1, "{found:?} is not {expected}");
            }
            assert_eq!(z, None);
        }
        for modality in [Modality::Ct, Modality::Mr, Modality::Other] {
            assert_eq!(edge_fwhm_mm(&Volume::filled(grid, 0.0), modality), [None; 3]);
        }
    }
}

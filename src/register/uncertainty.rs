//! How sure a rigid map is: the covariance of its six parameters.
//!
//! The samples of the first estimator are drawn anew in cubes with replacement (block bootstrap: neighbouring voxels are not
//! independent), and the map is refined on each draw. Cubes that are left out show how much the map hangs on them. To the
//! spread of the draws comes the difference of the two estimators as one more draw, and a floor that is configured: no
//! bootstrap sees what both images share, such as a patient who moved in between.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few draws

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::estimate::Estimate;
use super::pyramid::Level;
use super::search;
use super::settings::Estimation;
use crate::image::Affine;
use crate::math::linalg::{self, Vec3};
use crate::math::random::Stream;

/// The purpose of the bootstrap's random stream.
const PURPOSE: u64 = 0x0072_6567;
/// Edge of the cubes that are drawn, mm.
const CUBE_MM: f64 = 24.0;

/// How sure a map T is, as a small rigid motion before it: the truth is about T(x + t + w x (x - c)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Uncertainty {
    /// The point c of the fixed space about which the motion turns, mm.
    pub centre_mm: Vec3,
    /// Covariance of (t in mm, w in rad).
    pub covariance: [[f64; 6]; 6],
}

impl Uncertainty {
    /// The standard deviation of where a point of the fixed space is taken, mm: the root of the sum over the three axes.
    #[must_use]
    pub fn sigma_mm_at(&self, point: Vec3) -> f64 {
        let r = linalg::sub(point, self.centre_mm);
        // The rows of t + w x r over (t, w).
        let rows =
            [[1.0, 0.0, 0.0, 0.0, r[2], -r[1]], [0.0, 1.0, 0.0, -r[2], 0.0, r[0]], [0.0, 0.0, 1.0, r[1], -r[0], 0.0]];
        rows.iter().map(|row| self.variance_along(row)).sum::<f64>().max(0.0).sqrt()
    }

    /// g' C g: the variance of a quantity whose gradient over (t, w) is g.
    #[must_use]
    pub fn variance_along(&self, gradient: &[f64; 6]) -> f64 {
        let row = |row: &[f64; 6]| row.iter().zip(gradient).map(|(c, g)| c * g).sum::<f64>();
        self.covariance.iter().zip(gradient).map(|(c, g)| g * row(c)).sum()
    }

    /// The same about another centre.
    #[must_use]
    pub fn about(&self, centre_mm: Vec3) -> Self {
        // t + w x (x - c) = (t + w x (c' - c)) + w x (x - c')
        let r = linalg::sub(centre_mm, self.centre_mm);
        let mut change = [[0.0; 6]; 6];
        for (k, row) in change.iter_mut().enumerate() {
            row[k] = 1.0;
        }
        let cross = [[0.0, r[2], -r[1]], [-r[2], 0.0, r[0]], [r[1], -r[0], 0.0]];
        for (i, row) in cross.iter().enumerate() {
            change[i][3..].copy_from_slice(row);
        }
        let product = |a: &[[f64; 6]; 6], b: &[[f64; 6]; 6]| -> [[f64; 6]; 6] {
            std::array::from_fn(|i| std::array::from_fn(|j| (0..6).map(|k| a[i][k] * b[k][j]).sum()))
        };
        let transposed: [[f64; 6]; 6] = std::array::from_fn(|i| std::array::from_fn(|j| change[j][i]));
        Self { centre_mm, covariance: product(&product(&change, &self.covariance), &transposed) }
    }
}

/// The uncertainty of an estimate at the finest level.
///
/// Where another map than the estimate is used, the distance to the estimate counts as one more draw.
pub(super) fn of_estimate(level: &Level, estimate: &Estimate, used: &Affine, settings: &Estimation) -> Uncertainty {
    let centre = estimate.frame.centre;
    let draws: Vec<[f64; 6]> = (0..settings.bootstrap_draws as u64)
        .into_par_iter()
        .map(|draw| {
            let mut stream = Stream::new(settings.seed, PURPOSE, draw);
            let samples = level.samples.resampled(CUBE_MM, &mut stream);
            let refined = search::refine_on(&samples, &level.binned, &estimate.by_measure.map, settings);
            motion(&estimate.by_measure.map, &refined.map, centre)
        })
        .collect();
    let mut covariance = covariance_of(&draws);
    if let Some(other) = &estimate.by_blocks {
        // Both estimators lie half their difference away from their mean.
        let half = motion(&estimate.by_measure.map, other, centre).map(|part| 0.5 * part);
        add_outer(&mut covariance, &half, 1.0);
    }
    add_outer(&mut covariance, &motion(used, &estimate.map, centre), 1.0);
    let turn_floor = settings.sigma_floor_mm / estimate.frame.radius;
    for (k, row) in covariance.iter_mut().enumerate() {
        row[k] += if k < 3 { settings.sigma_floor_mm } else { turn_floor }.powi(2);
    }
    Uncertainty { centre_mm: centre, covariance }
}

/// The small rigid motion (t, w) about a centre with `b` = `a` after it.
fn motion(a: &Affine, b: &Affine, centre: Vec3) -> [f64; 6] {
    let rest = b.then(&a.inverse());
    let t = linalg::sub(rest.apply(centre), centre);
    let w = linalg::rotation_vector(rest.linear());
    [t[0], t[1], t[2], w[0], w[1], w[2]]
}

/// The covariance of draws, divided by n - 1; zero of fewer than two.
fn covariance_of(draws: &[[f64; 6]]) -> [[f64; 6]; 6] {
    let mut covariance = [[0.0; 6]; 6];
    if draws.len() < 2 {
        return covariance;
    }
    let mean: [f64; 6] = std::array::from_fn(|k| draws.iter().map(|d| d[k]).sum::<f64>() / draws.len() as f64);
    for draw in draws {
        let centred = std::array::from_fn(|k| draw[k] - mean[k]);
        add_outer(&mut covariance, &centred, 1.0 / (draws.len() as f64 - 1.0));
    }
    covariance
}

fn add_outer(covariance: &mut [[f64; 6]; 6], v: &[f64; 6], share: f64) {
    for (row, a) in covariance.iter_mut().zip(v) {
        for (cell, b) in row.iter_mut().zip(v) {
            *cell += share * a * b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn diagonal(shift: f64, turn: f64) -> Uncertainty {
        let mut covariance = [[0.0; 6]; 6];
        for (k, row) in covariance.iter_mut().enumerate() {
            row[k] = if k < 3 { shift * shift } else { turn * turn };
        }
        Uncertainty { centre_mm: [10.0, 0.0, 0.0], covariance }
    }

    #[test]
    fn a_point_far_from_the_centre_is_less_sure() {
        let sure = diagonal(1.0, 0.01);
        assert_relative_eq!(sure.sigma_mm_at([10.0, 0.0, 0.0]), 3.0f64.sqrt(), epsilon = 1e-12);
        // A lever of 100 mm turns about two axes: 2 x (100 x 0.01)^2 more.
        assert_relative_eq!(sure.sigma_mm_at([110.0, 0.0, 0.0]), 5.0f64.sqrt(), epsilon = 1e-12);
    }

    #[test]
    fn the_centre_may_be_chosen_freely() {
        let sure = diagonal(0.7, 0.02);
        let moved = sure.about([-30.0, 40.0, 5.0]);
        for point in [[0.0; 3], [10.0, -20.0, 60.0], [-30.0, 40.0, 5.0]] {
            assert_relative_eq!(moved.sigma_mm_at(point), sure.sigma_mm_at(point), epsilon = 1e-12);
        }
    }

    #[test]
    fn a_small_motion_before_a_map_is_read_back() {
        let map = Affine::rigid([0.2, -0.5, 0.1], [5.0; 3], [40.0, 2.0, -9.0]);
        let centre = [30.0, -20.0, 10.0];
        let small = Affine::rigid([0.01, -0.02, 0.005], centre, [0.5, -1.0, 0.25]);
        let found = motion(&map, &small.then(&map), centre);
        for (found, expected) in found.iter().zip([0.5, -1.0, 0.25, 0.01, -0.02, 0.005]) {
            assert_relative_eq!(*found, expected, epsilon = 1e-12);
        }
    }
}

//! What a small motion of an image does to the mean over a region, and motions drawn from what is known of a map.
//!
//! An image I that lies t + w x (x - c) off has the mean m(p) = mean I(x + t + w x (x - c)) over the region, p = (t, w).
//! Its Taylor expansion about p = 0 has the gradient g = (mean grad I, mean (x - c) x grad I) and the curvature
//! H = mean J' (hess I) J + mean grad I . K with J = (1, -[x - c]x) and K the second derivative of the rotation over w.
//! Where the region is symmetric g is zero and H alone is left.
//!
//! For normal p with covariance C and mean zero, the expected squared change is g' C g + tr(H C)^2 / 4 + tr(H C H C) / 2.

#![allow(clippy::cast_precision_loss)] // voxel counts

use serde::Serialize;

use super::Uncertainty;
use crate::image::{Affine, Geometry, Mask, Volume};
use crate::math::cholesky::Cholesky;
use crate::math::linalg::{self, Mat3, Vec3};
use crate::math::random::Stream;

/// A small motion (t in mm, w in rad).
pub type Motion = [f64; 6];

/// The derivatives of a mean over a region.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanSensitivity {
    /// The point c about which the motion turns, mm.
    pub centre_mm: Vec3,
    /// g: per mm of t, per rad of w.
    pub gradient: Motion,
    /// H.
    pub curvature: [[f64; 6]; 6],
    /// Voxels that went into it.
    pub n_voxels: usize,
}

impl MeanSensitivity {
    /// Central differences at the region's voxels between `low` and `high`; a voxel beside a missing one is left out. `None`
    /// where no voxel is left.
    ///
    /// A range of values (re-segmentation) is taken as it stands: that voxels enter and leave it is not in the expansion.
    #[must_use]
    pub fn of(image: &Volume<f32>, mask: &Mask, centre_mm: Vec3, (low, high): (f64, f64)) -> Option<Self> {
        let grid = &image.geometry;
        let (mut gradient, mut curvature, mut n_voxels) = ([0.0; 6], [[0.0; 6]; 6], 0usize);
        for ((z, y, x), inside) in mask.voxels.indexed_iter() {
            let value = image.voxels.get([z, y, x]).copied().map_or(f64::NAN, f64::from);
            if !*inside || !(low..=high).contains(&value) {
                continue;
            }
            let Some((slope, bend)) = derivatives(image, [x, y, z]) else { continue };
            let r = linalg::sub(grid.voxel_to_world([x as f64, y as f64, z as f64]), centre_mm);
            let columns = columns(r);
            n_voxels += 1;
            for i in 0..6 {
                gradient[i] += linalg::dot(columns[i], slope);
                let bent = linalg::mul_vec(&bend, columns[i]);
                for j in 0..6 {
                    curvature[i][j] += linalg::dot(columns[j], bent);
                }
            }
            // R(w) r = r + w x r + w x (w x r) / 2: the last term bends the way itself.
            let along = linalg::dot(slope, r);
            for i in 0..3 {
                for j in 0..3 {
                    let straight = if i == j { along } else { 0.0 };
                    curvature[3 + i][3 + j] += 0.5 * (slope[i] * r[j] + slope[j] * r[i]) - straight;
                }
            }
        }
        let share = 1.0 / n_voxels.max(1) as f64;
        (n_voxels > 0).then(|| Self {
            centre_mm,
            gradient: gradient.map(|v| v * share),
            curvature: curvature.map(|row| row.map(|v| v * share)),
            n_voxels,
        })
    }

    /// The change of the mean that a motion about the centre makes, to second order.
    #[must_use]
    pub fn change(&self, motion: &Motion) -> f64 {
        let first: f64 = self.gradient.iter().zip(motion).map(|(g, p)| g * p).sum();
        let bent = |row: &[f64; 6]| row.iter().zip(motion).map(|(h, p)| h * p).sum::<f64>();
        first + 0.5 * self.curvature.iter().zip(motion).map(|(row, p)| p * bent(row)).sum::<f64>()
    }

    /// The standard error to first order: the root of g' C g.
    #[must_use]
    pub fn first_order(&self, uncertainty: &Uncertainty) -> f64 {
        uncertainty.about(self.centre_mm).variance_along(&self.gradient).max(0.0).sqrt()
    }

    /// The root mean square change to second order.
    #[must_use]
    pub fn root_mean_square(&self, uncertainty: &Uncertainty) -> f64 {
        let uncertainty = uncertainty.about(self.centre_mm);
        let product: [[f64; 6]; 6] = std::array::from_fn(|i| {
            std::array::from_fn(|j| (0..6).map(|k| self.curvature[i][k] * uncertainty.covariance[k][j]).sum())
        });
        let trace: f64 = (0..6).map(|k| product[k][k]).sum();
        let square: f64 = (0..6).map(|i| (0..6).map(|j| product[i][j] * product[j][i]).sum::<f64>()).sum();
        let first = uncertainty.variance_along(&self.gradient);
        (first + 0.25 * trace * trace + 0.5 * square).max(0.0).sqrt()
    }

    /// The root mean square change by a shift of one millimetre along either direction of the three axes.
    #[must_use]
    pub fn delta_mm(&self) -> f64 {
        let of_axis = |k: usize| self.gradient[k].powi(2) + 0.25 * self.curvature[k][k].powi(2);
        ((0..3).map(of_axis).sum::<f64>() / 3.0).sqrt()
    }
}

/// The columns of J: where each parameter moves a point at r from the centre.
fn columns(r: Vec3) -> [Vec3; 6] {
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, -r[2], r[1]], [r[2], 0.0, -r[0]], [-r[1], r[0], 0.0]]
}

/// Gradient and second derivatives in patient space at a voxel; `None` at the edge and beside a missing voxel.
fn derivatives(image: &Volume<f32>, at: [usize; 3]) -> Option<(Vec3, Mat3)> {
    let value = |offset: [isize; 3]| -> Option<f64> {
        let [x, y, z] = [0, 1, 2].map(|axis| at[axis].checked_add_signed(offset[axis]));
        let value = f64::from(*image.voxels.get([z?, y?, x?])?);
        value.is_finite().then_some(value)
    };
    let step = |axis: usize, sign: isize| {
        let mut offset = [0isize; 3];
        offset[axis] = sign;
        offset
    };
    let here = value([0; 3])?;
    let (mut slope, mut bend) = ([0.0; 3], [[0.0; 3]; 3]);
    for axis in 0..3 {
        let (up, down) = (value(step(axis, 1))?, value(step(axis, -1))?);
        slope[axis] = 0.5 * (up - down);
        bend[axis][axis] = up - 2.0 * here + down;
    }
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let corner = |sa: isize, sb: isize| {
            let mut offset = [0isize; 3];
            (offset[a], offset[b]) = (sa, sb);
            value(offset)
        };
        let mixed = 0.25 * (corner(1, 1)? - corner(1, -1)? - corner(-1, 1)? + corner(-1, -1)?);
        (bend[a][b], bend[b][a]) = (mixed, mixed);
    }
    Some(to_world(&image.geometry, slope, &bend))
}

/// From derivatives over the voxel index to derivatives over millimetres.
fn to_world(grid: &Geometry, slope: Vec3, bend: &Mat3) -> (Vec3, Mat3) {
    let axes: Mat3 = [0, 1, 2].map(|axis| linalg::scale(1.0 / grid.spacing_mm[axis], grid.directions[axis]));
    let back = linalg::transpose(&axes);
    (linalg::mul_vec(&back, slope), linalg::mul(&linalg::mul(&back, bend), &axes))
}

/// The map of a small motion about a centre: x -> R(w) (x - c) + c + t.
#[must_use]
pub fn motion_map(motion: &Motion, centre_mm: Vec3) -> Affine {
    let [tx, ty, tz, wx, wy, wz] = *motion;
    Affine::rigid([wx, wy, wz], centre_mm, [tx, ty, tz])
}

/// The purpose of the random streams of motions.
const PURPOSE: u64 = 0x0064_7261;

/// Motions about the centre of an uncertainty, drawn from its covariance; `which` tells apart what is drawn for.
///
/// None where the covariance is not positive definite, which the floor of an estimate's never is.
#[must_use]
pub fn draw_motions(uncertainty: &Uncertainty, n: usize, seed: u64, which: u64) -> Vec<Motion> {
    let rows: Vec<Vec<f64>> = uncertainty.covariance.iter().map(|row| row.to_vec()).collect();
    let Some(factor) = Cholesky::new(&rows) else { return Vec::new() };
    (0..n as u64)
        .map(|draw| {
            let mut stream = Stream::new(seed, PURPOSE, (which << 32) | draw);
            let normal: Vec<f64> = (0..6).map(|_| stream.normal()).collect();
            let drawn = factor.times(&normal);
            std::array::from_fn(|k| drawn.get(k).copied().unwrap_or(0.0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Interpolation, Transform, resample};

    const CENTRE: Vec3 = [30.0, 28.0, 24.0];

    /// A smooth image that has no symmetry, or one that is symmetric about the centre.
    fn image(symmetric: bool) -> Volume<f32> {
        let grid = Geometry::new([61, 57, 49], [1.0; 3], [0.0; 3], linalg::IDENTITY).unwrap();
        let mut image = Volume::filled(grid, 0.0);
        for ((z, y, x), value) in image.voxels.indexed_iter_mut() {
            let d = linalg::sub([x as f64, y as f64, z as f64], CENTRE);
            let round = 8.0 * (-linalg::dot(d, d) / 200.0).exp();
            let tilted = 0.05 * d[0] - 0.08 * d[1] + 0.9 * (0.15 * d[2] + 0.1 * d[0]).sin();
            #[allow(clippy::cast_possible_truncation)]
            let sum = (round + if symmetric { 0.0 } else { tilted }) as f32;
            *value = sum;
        }
        image
    }

    /// A ball, or a ball and a smaller one beside it.
    fn region(image: &Volume<f32>, symmetric: bool) -> Mask {
        let mut mask = Mask::filled(image.geometry, false);
        for ((z, y, x), inside) in mask.voxels.indexed_iter_mut() {
            let d = linalg::sub([x as f64, y as f64, z as f64], CENTRE);
            let beside = linalg::norm(linalg::sub(d, [8.0, 5.0, -3.0])) < 6.0;
            *inside = linalg::norm(d) < 9.0 || (!symmetric && beside);
        }
        mask
    }

    fn mean(image: &Volume<f32>, mask: &Mask) -> f64 {
        let inside = image.voxels.iter().zip(&mask.voxels).filter(|(_, inside)| **inside);
        let (sum, n) = inside.fold((0.0, 0.0), |(sum, n), (value, _)| (sum + f64::from(*value), n + 1.0));
        sum / n
    }

    fn moved(image: &Volume<f32>, motion: &Motion) -> Volume<f32> {
        resample(image, &image.geometry, &Transform::Affine(motion_map(motion, CENTRE)), Interpolation::Cubic)
    }

    fn everything() -> (f64, f64) {
        (f64::NEG_INFINITY, f64::INFINITY)
    }

    #[test]
    fn the_expansion_predicts_what_shifts_and_turns_of_the_image_do_to_the_mean() {
        for symmetric in [false, true] {
            let (image, mask) = (image(symmetric), region(&image(symmetric), symmetric));
            let sensitivity = MeanSensitivity::of(&image, &mask, CENTRE, everything()).unwrap();
            let before = mean(&image, &mask);
            for motion in [
                [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                [0.0, -1.5, 0.0, 0.0, 0.0, 0.0],
                [0.0, 0.0, 2.0, 0.0, 0.0, 0.0],
                [0.0, 0.0, 0.0, 0.06, 0.0, 0.0],
                [0.0, 0.0, 0.0, 0.0, -0.05, 0.08],
                [1.0, 0.5, -1.0, 0.03, 0.02, -0.04],
            ] {
                let brute = mean(&moved(&image, &motion), &mask) - before;
                let predicted = sensitivity.change(&motion);
                let scale = sensitivity.gradient.iter().zip(&motion).map(|(g, p)| (g * p).abs()).sum::<f64>();
                let tolerance = 0.06 * brute.abs().max(scale) + 2e-3;
                assert!((brute - predicted).abs() < tolerance, "{motion:?}: {brute} is not {predicted}");
            }
            if symmetric {
                let first: f64 = sensitivity.gradient[..3].iter().map(|g| g.abs()).sum();
                assert!(first < 1e-3, "the first order cancels: {first}");
                assert!(sensitivity.delta_mm() > 5e-3, "the second does not: {}", sensitivity.delta_mm());
            }
        }
    }

    #[test]
    fn the_root_mean_square_is_that_of_the_drawn_motions() {
        let mut covariance = [[0.0; 6]; 6];
        for (k, row) in covariance.iter_mut().enumerate() {
            row[k] = if k < 3 { 1.2 } else { 0.0009 };
        }
        (covariance[0][1], covariance[1][0]) = (0.5, 0.5);
        let uncertainty = Uncertainty { centre_mm: CENTRE, covariance };
        let motions = draw_motions(&uncertainty, 4000, 1, 0);
        for i in 0..6 {
            for j in 0..6 {
                let found = motions.iter().map(|m| m[i] * m[j]).sum::<f64>() / 4000.0;
                let scale = (covariance[i][i] * covariance[j][j]).sqrt();
                assert!((found - covariance[i][j]).abs() < 0.08 * scale, "{i} {j}: {found}");
            }
        }
        for symmetric in [false, true] {
            let (image, mask) = (image(symmetric), region(&image(symmetric), symmetric));
            let sensitivity = MeanSensitivity::of(&image, &mask, CENTRE, everything()).unwrap();
            let drawn = (motions.iter().map(|m| sensitivity.change(m).powi(2)).sum::<f64>() / 4000.0).sqrt();
            let told = sensitivity.root_mean_square(&uncertainty);
            assert!((drawn / told - 1.0).abs() < 0.06, "{drawn} {told}");
            assert!(sensitivity.first_order(&uncertainty) <= told);
        }
        assert_eq!(draw_motions(&uncertainty, 5, 1, 0)[..], motions[..5]);
        assert_ne!(draw_motions(&uncertainty, 5, 1, 1)[..], motions[..5]);
    }

    #[test]
    fn an_oblique_grid_gives_the_same_derivatives_in_patient_space() {
        let straight = image(false);
        let mask = region(&straight, false);
        let turn = linalg::rotation([0.3, -0.2, 0.5]);
        // Another grid over the same values: what is x along the grid is turned in the patient.
        let turned = Geometry { directions: linalg::transpose(&turn), ..straight.geometry };
        let image = Volume { geometry: turned, ..straight.clone() };
        let mask_turned = Mask { geometry: turned, ..mask.clone() };
        let a = MeanSensitivity::of(&straight, &mask, [0.0; 3], everything()).unwrap();
        let b = MeanSensitivity::of(&image, &mask_turned, [0.0; 3], everything()).unwrap();
        let shift = linalg::mul_vec(&turn, [a.gradient[0], a.gradient[1], a.gradient[2]]);
        for (found, expected) in b.gradient.iter().zip(shift) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert!(MeanSensitivity::of(&straight, &mask, CENTRE, (1e6, 2e6)).is_none());
    }
}

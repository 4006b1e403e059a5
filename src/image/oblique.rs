//! Gaussian blurs whose axes are not those of the grid.
//!
//! A covariance S (in voxels) is written as S = s0 u0 u0' + s1 u1 u1' + s2 u2 u2' with u0 = (1, 0, 0), u1 = (c, 1, 0) and
//! u2 = (a, b, 1), the grid's axes taken in the order that keeps a, b, c small (the UDU' factorisation). A Gaussian with
//! covariance S is then three one-dimensional Gaussians one after the other, each along its u: one step along the leading
//! axis for each tap. Where a step ends between voxels the tap is spread over the neighbours by Keys' cubic weights, whose
//! first and second moments are exact: the discrete kernel has exactly the covariance S.
//!
//! The neighbours' weights are partly negative; a voxel at which less than a hundredth of the kernel finds a value is
//! missing.

#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_possible_wrap)]
// Tap offsets are a few kernel radii, far below the limits of these types.

use ndarray::Array3;
use ndarray::parallel::prelude::*;

use super::filter::{gaussian, gaussian_weights};
use super::{Geometry, Volume};
use crate::math::interpolate::keys_weights;
use crate::math::linalg::{Mat3, Vec3};

/// Covariances below this share of the variances do not count: 1e-6 turns an ellipsoid by less than a microradian.
const DIAGONAL: f64 = 1e-6;

/// The image blurred by a Gaussian of this covariance (mm2, along the image's own axes; symmetric, no negative eigenvalue).
///
/// Diagonal covariances take the separable path of [`gaussian`]. A direction without variance is left alone.
#[must_use]
pub fn gaussian_covariance(image: &Volume<f32>, covariance_mm2: &Mat3) -> Volume<f32> {
    if is_diagonal(covariance_mm2) {
        return gaussian(image, [0, 1, 2].map(|axis| covariance_mm2[axis][axis].max(0.0).sqrt()));
    }
    let mut sum = image.voxels.mapv(|v| if v.is_finite() { v } else { 0.0 });
    let mut share = image.voxels.mapv(|v| if v.is_finite() { 1.0 } else { 0.0 });
    for direction in factorise(covariance_mm2, &image.geometry) {
        let taps = taps(&direction, &image.geometry);
        sum = convolve(&sum, &taps);
        share = convolve(&share, &taps);
    }
    ndarray::Zip::from(&mut sum).and(&share).and(&image.voxels).for_each(|sum, share, value| {
        *sum = if value.is_finite() && *share > 0.01 { *sum / share } else { f32::NAN };
    });
    Volume { voxels: sum, geometry: image.geometry }
}

fn is_diagonal(s: &Mat3) -> bool {
    [(0, 1), (0, 2), (1, 2)].iter().all(|(i, j)| s[*i][*j].abs() <= DIAGONAL * s[*i][*i].max(s[*j][*j]))
}

/// A one-dimensional Gaussian along `step`, whose leading component is one voxel.
#[derive(Debug, Clone, Copy)]
struct Direction {
    leading: usize,
    step: Vec3,
    variance: f64,
}

/// The three directions, in the order in which they are applied: those with whole steps first, so that what is
/// interpolated later is already smooth.
fn factorise(covariance_mm2: &Mat3, geometry: &Geometry) -> Vec<Direction> {
    let h = geometry.spacing_mm;
    let s: Mat3 = [0, 1, 2].map(|i| [0, 1, 2].map(|j| covariance_mm2[i][j] / (h[i] * h[j])));
    let orders = [[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0], [2, 1, 0]];
    let mut best: Option<(f64, Vec<Direction>)> = None;
    for order in orders {
        let directions = factorise_in_order(&s, order);
        let shear = directions.iter().flat_map(|d| d.step).map(f64::abs).fold(0.0, f64::max);
        if best.as_ref().is_none_or(|(least, _)| shear < *least) {
            best = Some((shear, directions));
        }
    }
    best.map(|(_, directions)| directions).unwrap_or_default()
}

fn factorise_in_order(s: &Mat3, order: [usize; 3]) -> Vec<Direction> {
    let mut rest = *s;
    let mut directions = Vec::with_capacity(3);
    for leading in [order[2], order[1], order[0]] {
        let variance = rest[leading][leading];
        if variance <= 0.0 {
            continue;
        }
        let step = [0, 1, 2].map(|i| rest[i][leading] / variance);
        for i in 0..3 {
            for j in 0..3 {
                rest[i][j] -= variance * step[i] * step[j];
            }
        }
        directions.push(Direction { leading, step, variance });
    }
    directions.reverse();
    directions
}

/// One weight of a kernel, for the voxel at (x, y, z) + offset.
#[derive(Debug, Clone, Copy)]
struct Tap {
    offset: [isize; 3],
    weight: f32,
}

fn taps(direction: &Direction, geometry: &Geometry) -> Vec<Tap> {
    let Direction { leading, step, variance } = *direction;
    if variance.sqrt() < 1e-3 {
        return vec![Tap { offset: [0; 3], weight: 1.0 }];
    }
    let half = gaussian_weights(variance.sqrt(), geometry.size[leading]);
    let (p, q) = ((leading + 1) % 3, (leading + 2) % 3);
    let mut taps = Vec::new();
    for (m, weight) in half.iter().enumerate() {
        for sign in if m == 0 { &[1.0][..] } else { &[-1.0, 1.0] } {
            let along = sign * m as f64;
            for (at_p, weight_p) in spread(along * step[p]) {
                for (at_q, weight_q) in spread(along * step[q]) {
                    let mut offset = [0; 3];
                    offset[leading] = along as isize;
                    offset[p] = at_p;
                    offset[q] = at_q;
                    taps.push(Tap { offset, weight: (weight * weight_p * weight_q) as f32 });
                }
            }
        }
    }
    taps
}

/// The voxels, with their weights, that stand for a position between them.
fn spread(at: f64) -> Vec<(isize, f64)> {
    let near = at.round();
    if (at - near).abs() < 1e-9 {
        return vec![(near as isize, 1.0)];
    }
    let first = at.floor();
    let weights = keys_weights(at - first);
    weights.into_iter().enumerate().map(|(k, w)| (first as isize + k as isize - 1, w)).collect()
}

fn convolve(values: &Array3<f32>, taps: &[Tap]) -> Array3<f32> {
    let (nz, ny, nx) = values.dim();
    let mut result = Array3::zeros((nz, ny, nx));
    result.outer_iter_mut().into_par_iter().enumerate().for_each(|(z, mut plane)| {
        for (y, mut row) in plane.outer_iter_mut().enumerate() {
            for Tap { offset: [dx, dy, dz], weight } in taps {
                let source = z.checked_add_signed(*dz).filter(|z| *z < nz).zip(y.checked_add_signed(*dy));
                let Some((z, y)) = source.filter(|(_, y)| *y < ny) else { continue };
                let line = values.index_axis(ndarray::Axis(0), z);
                let line = line.index_axis(ndarray::Axis(0), y);
                let (Some(line), Some(row)) = (line.as_slice(), row.as_slice_mut()) else { continue };
                let skip = dx.unsigned_abs().min(nx);
                let (from, to) =
                    if *dx < 0 { (&line[..nx - skip], &mut row[skip..]) } else { (&line[skip..], &mut *row) };
                for (sum, value) in to.iter_mut().zip(from) {
                    *sum += weight * value;
                }
            }
        }
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::linalg;
    use approx::assert_relative_eq;

    fn grid(size: [usize; 3], spacing_mm: Vec3) -> Geometry {
        Geometry::new(size, spacing_mm, [0.0; 3], linalg::IDENTITY).unwrap()
    }

    fn ellipsoid(sigma_mm: Vec3, rotation: Vec3) -> Mat3 {
        linalg::from_axes(sigma_mm.map(|s| s * s), &linalg::rotation(rotation))
    }

    #[test]
    fn a_point_becomes_a_gaussian_of_exactly_the_oblique_covariance_in_mm() {
        for (sigma_mm, rotation) in [
            ([1.0, 2.0, 4.0], [0.3, -0.2, 0.5]),
            ([2.0, 2.0, 5.0], [1.2, 0.9, 0.0]),
            ([3.0, 0.0, 0.0], [0.0, 0.4, 0.7]),
            ([0.5, 0.6, 0.7], [0.1, 0.1, 0.1]),
        ] {
            let covariance = ellipsoid(sigma_mm, rotation);
            let mut image = Volume::filled(grid([61, 55, 41], [0.9, 1.1, 2.0]), 0.0);
            image.voxels[[20, 27, 30]] = 1.0;
            let blurred = gaussian_covariance(&image, &covariance);
            let mut found = [[0.0; 3]; 3];
            let mut total = 0.0;
            for ((z, y, x), value) in blurred.voxels.indexed_iter() {
                let p = [(x as f64 - 30.0) * 0.9, (y as f64 - 27.0) * 1.1, (z as f64 - 20.0) * 2.0];
                total += f64::from(*value);
                for i in 0..3 {
                    for j in 0..3 {
                        found[i][j] += f64::from(*value) * p[i] * p[j];
                    }
                }
            }
            assert_relative_eq!(total, 1.0, epsilon = 1e-4);
            for (f, e) in found.iter().flatten().zip(covariance.iter().flatten()) {
                assert_relative_eq!(*f, *e, epsilon = 2e-3 * covariance[0][0].max(1.0));
            }
        }
    }

    #[test]
    fn a_constant_stays_itself_at_the_edge_and_missing_voxels_stay_missing() {
        let mut image = Volume::filled(grid([20, 18, 9], [1.0, 1.0, 3.0]), -700.0);
        image.voxels[[4, 9, 9]] = f32::NAN;
        let blurred = gaussian_covariance(&image, &ellipsoid([1.0, 2.0, 5.0], [0.4, 0.3, 0.2]));
        for (index, value) in blurred.voxels.indexed_iter() {
            assert_eq!(value.is_nan(), image.voxels[index].is_nan());
            assert!(value.is_nan() || (value + 700.0).abs() < 0.01, "{value}");
        }
    }

    #[test]
    fn a_diagonal_covariance_takes_the_separable_path() {
        let geometry = grid([12, 11, 10], [1.0, 1.5, 2.0]);
        let values = (0..geometry.n_voxels()).map(|k| ((k * 7919) % 97) as f32).collect();
        let image = Volume::from_values(geometry, values).unwrap();
        let s = [[4.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 9.0]];
        assert_eq!(gaussian_covariance(&image, &s), gaussian(&image, [2.0, 1.0, 3.0]));
        // And turning the axes by next to nothing changes next to nothing.
        let turned = ellipsoid([2.0, 1.0, 3.0], [1e-3, 1e-3, 1e-3]);
        let (a, b) = (gaussian_covariance(&image, &turned), gaussian_covariance(&image, &s));
        assert!(a.voxels.iter().zip(&b.voxels).all(|(a, b)| (a - b).abs() < 0.5));
    }
}

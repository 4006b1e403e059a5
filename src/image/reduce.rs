//! A smoother image on a coarser grid, without the fine image in between.
//!
//! Each axis has its own sparse weights from source to target positions: a Gaussian cut at three and a half standard
//! deviations, or cubic convolution (Keys 1981) where the blur is too narrow to be sampled. Both passes over a plane happen
//! while it is in the cache; nothing but the target is kept. It is a *normalised* convolution: at the edge of the field of
//! view and beside missing (NaN) voxels the average is taken over what exists.
//!
//! Each target plane depends on its own sums alone: the result is the same bits for any number of threads.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]
// Sizes are far below 2^23; values are single precision by design.

use rayon::prelude::*;

use super::{Geometry, Volume};
use crate::math::interpolate::keys_weights;
use crate::math::linalg::{self, Vec3};

/// A Gaussian narrower than this many source voxels is not sampled but left to the interpolation.
const NARROW: f64 = 0.45;
/// Where a Gaussian is cut, in standard deviations.
const CUT: f64 = 3.5;
/// A target voxel is missing where less than this share of its weight is there.
const PRESENT: f32 = 0.5;

/// The grid along the axes of `geometry` that covers it with voxels of `spacing_mm`, the middles aligned.
#[must_use]
pub fn coarse_grid(geometry: &Geometry, spacing_mm: Vec3) -> Geometry {
    let size = [0, 1, 2].map(|axis| {
        let exact = geometry.size[axis] as f64 * geometry.spacing_mm[axis] / spacing_mm[axis];
        (exact * (1.0 - 1e-9)).ceil().max(1.0) as usize
    });
    let origin_mm = (0..3).fold(geometry.centre_mm(), |at, axis| {
        let half = (size[axis] as f64 - 1.0) / 2.0 * spacing_mm[axis];
        linalg::sub(at, linalg::scale(half, geometry.directions[axis]))
    });
    Geometry { size, spacing_mm, origin_mm, directions: geometry.directions }
}

/// The image blurred by a Gaussian with these standard deviations along its own axes, on the grid [`coarse_grid`].
///
/// A target voxel whose neighbourhood is mostly missing is NaN.
#[must_use]
pub fn reduce(image: &Volume<f32>, spacing_mm: Vec3, sigma_mm: Vec3) -> Volume<f32> {
    let target = coarse_grid(&image.geometry, spacing_mm);
    let taps = [0, 1, 2].map(|axis| Taps::new(&image.geometry, &target, axis, sigma_mm[axis]));
    let source = image.voxels.as_standard_layout();
    let source = source.as_slice().unwrap_or(&[]);
    let any_missing = source.par_chunks(1 << 16).any(|part| part.iter().any(|value| !value.is_finite()));
    let [nx, ny, _] = target.size;
    let mut values = vec![f32::NAN; target.n_voxels()];
    values.par_chunks_mut(nx * ny).enumerate().for_each_init(Work::default, |work, (z, out)| {
        if any_missing {
            let mut share = vec![0.0; nx * ny];
            reduce_plane(source, &image.geometry.size, &taps, z, work, &mut share, |v| {
                f32::from(u8::from(v.is_finite()))
            });
            reduce_plane(source, &image.geometry.size, &taps, z, work, out, |v| if v.is_finite() { v } else { 0.0 });
            for (value, share) in out.iter_mut().zip(share) {
                *value = if share >= PRESENT { *value / share } else { f32::NAN };
            }
        } else {
            reduce_plane(source, &image.geometry.size, &taps, z, work, out, |v| v);
        }
    });
    Volume::from_values(target, values).unwrap_or_else(|| Volume::filled(target, f32::NAN))
}

/// Memory that one thread reuses: a plane of source size and one with its y axis reduced.
#[derive(Default)]
struct Work {
    plane: Vec<f32>,
    rows: Vec<f32>,
}

/// One target plane: z, then y, then x.
fn reduce_plane(
    source: &[f32],
    size: &[usize; 3],
    taps: &[Taps; 3],
    z: usize,
    work: &mut Work,
    out: &mut [f32],
    of: impl Fn(f32) -> f32,
) {
    let [nx, ny, _] = *size;
    work.plane.clear();
    work.plane.resize(nx * ny, 0.0);
    let (first, weights) = taps[2].of(z);
    for (k, weight) in weights.iter().enumerate() {
        let from = &source[(first + k) * nx * ny..][..nx * ny];
        for (sum, value) in work.plane.iter_mut().zip(from) {
            *sum += weight * of(*value);
        }
    }
    work.rows.clear();
    work.rows.resize(nx, 0.0);
    let n_out = taps[0].first.len();
    for (y, row_out) in out.chunks_mut(n_out).enumerate() {
        work.rows.fill(0.0);
        let (first, weights) = taps[1].of(y);
        for (k, weight) in weights.iter().enumerate() {
            let from = &work.plane[(first + k) * nx..][..nx];
            for (sum, value) in work.rows.iter_mut().zip(from) {
                *sum += weight * value;
            }
        }
        for (x, value) in row_out.iter_mut().enumerate() {
            let (first, weights) = taps[0].of(x);
            *value = weights.iter().zip(&work.rows[first..]).map(|(w, v)| w * v).sum();
        }
    }
}

/// Sparse weights along one axis: target position k is the sum of `weights[start[k] .. start[k + 1]]` times the source from
/// `first[k]` on. The weights of each position add up to one.
struct Taps {
    first: Vec<usize>,
    start: Vec<usize>,
    weights: Vec<f32>,
}

impl Taps {
    fn new(source: &Geometry, target: &Geometry, axis: usize, sigma_mm: f64) -> Self {
        let (n, spacing) = (source.size[axis], source.spacing_mm[axis]);
        let ratio = target.spacing_mm[axis] / spacing;
        let middle = (n as f64 - 1.0) / 2.0;
        let sigma = sigma_mm / spacing;
        let mut taps = Self { first: Vec::new(), start: vec![0], weights: Vec::new() };
        for k in 0..target.size[axis] {
            let at = middle + (k as f64 - (target.size[axis] as f64 - 1.0) / 2.0) * ratio;
            let (first, weights) = if sigma >= NARROW { gaussian_taps(at, sigma, n) } else { cubic_taps(at, n) };
            let total: f64 = weights.iter().sum();
            taps.first.push(first);
            taps.weights.extend(weights.iter().map(|w| (w / total) as f32));
            taps.start.push(taps.weights.len());
        }
        taps
    }

    fn of(&self, k: usize) -> (usize, &[f32]) {
        (self.first[k], &self.weights[self.start[k]..self.start[k + 1]])
    }
}

fn gaussian_taps(at: f64, sigma: f64, n: usize) -> (usize, Vec<f64>) {
    let last = n as f64 - 1.0;
    let at = at.clamp(0.0, last);
    let reach = (CUT * sigma).max(1.0);
    let first = (at - reach).ceil().clamp(0.0, last) as usize;
    let end = (at + reach).floor().clamp(0.0, last) as usize;
    let weights = (first..=end).map(|k| (-0.5 * ((k as f64 - at) / sigma).powi(2)).exp()).collect();
    (first, weights)
}

/// The neighbours -1, 0, 1, 2; those beyond an end are the end.
fn cubic_taps(at: f64, n: usize) -> (usize, Vec<f64>) {
    let at = at.clamp(0.0, n as f64 - 1.0);
    let base = at.floor();
    let index = |offset: isize| (base as isize + offset).clamp(0, n as isize - 1) as usize;
    let first = index(-1);
    let mut weights = vec![0.0; index(2) - first + 1];
    for (offset, weight) in (-1..).zip(keys_weights(at - base)) {
        weights[index(offset) - first] += weight;
    }
    (first, weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Interpolation, Transform, gaussian, resample};
    use crate::math::linalg::{IDENTITY, rotation};
    use ndarray::Axis;

    fn waves(geometry: Geometry) -> Volume<f32> {
        let mut image = Volume::filled(geometry, 0.0);
        for ((z, y, x), value) in image.voxels.indexed_iter_mut() {
            let p = geometry.voxel_to_world([x as f64, y as f64, z as f64]);
            *value = (100.0 * (p[0] / 7.0).sin() * (p[1] / 9.0).cos() + p[2]) as f32;
        }
        image
    }

    fn inner_difference(a: &Volume<f32>, b: &Volume<f32>) -> f32 {
        let [nx, ny, nz] = a.geometry.size;
        let inside = |i: usize, n: usize| i >= 3 && i + 3 < n;
        a.voxels
            .indexed_iter()
            .filter(|((z, y, x), _)| inside(*x, nx) && inside(*y, ny) && inside(*z, nz))
            .map(|(at, value)| (value - b.voxels[at]).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn reducing_is_blurring_then_sampling() {
        let image =
            waves(Geometry::new([60, 55, 30], [1.0, 1.1, 2.5], [3.0, -4.0, 5.0], rotation([0.1, 0.2, 0.3])).unwrap());
        let sigma = [2.0, 2.2, 2.0];
        let found = reduce(&image, [3.0; 3], sigma);
        let expected = resample(&gaussian(&image, sigma), &found.geometry, &Transform::Identity, Interpolation::Cubic);
        assert!(inner_difference(&found, &expected) < 0.5, "{}", inner_difference(&found, &expected));
        assert_eq!(found.geometry.size, [20, 21, 25]);
    }

    #[test]
    fn without_a_blur_a_coarse_image_is_interpolated_onto_a_finer_grid() {
        let image = waves(Geometry::new([30, 28, 26], [2.0, 2.2, 2.4], [0.0; 3], IDENTITY).unwrap());
        let found = reduce(&image, [1.5; 3], [0.0; 3]);
        let expected = resample(&image, &found.geometry, &Transform::Identity, Interpolation::Cubic);
        assert!(inner_difference(&found, &expected) < 0.5);
    }

    #[test]
    fn a_constant_stays_itself_at_the_edge_and_beside_missing_voxels() {
        let mut image = Volume::filled(Geometry::new([20, 21, 22], [1.0; 3], [0.0; 3], IDENTITY).unwrap(), 7.0);
        for y in [0, 1, 2, 3, 10] {
            image.voxels.index_axis_mut(Axis(1), y).fill(f32::NAN);
        }
        let found = reduce(&image, [2.0; 3], [2.0; 3]);
        assert!(found.voxels.index_axis(Axis(1), 0).iter().all(|v| v.is_nan()));
        for ((_, y, _), value) in found.voxels.indexed_iter() {
            assert!(y < 3 || (value - 7.0).abs() < 1e-5, "{y} {value}");
        }
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_threads() {
        let image = waves(Geometry::new([40, 40, 40], [1.0; 3], [0.0; 3], IDENTITY).unwrap());
        let run = |n: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| reduce(&image, [3.0; 3], [2.0; 3]))
        };
        assert_eq!(run(1), run(3));
    }
}

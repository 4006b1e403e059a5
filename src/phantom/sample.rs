//! How a scanner sees the body: blurred by its point spread function, averaged over each voxel's box, with noise.
//!
//! The ideal value is taken on a lattice that divides each voxel by the supersampling, with a margin of voxels as wide as
//! the blur reaches. The lattice is blurred by a sampled Gaussian along the grid's axes, then averaged per voxel. The
//! voxel's value is the mean over its box: partial volume as scanners have it.

use rayon::prelude::*;

use super::exact::exp;
use super::settings::GridSettings;
use crate::image::{Geometry, Volume};
use crate::math::linalg::Vec3;
use crate::math::random::Stream;

/// FWHM of a Gaussian of standard deviation 1: `sqrt(8 ln 2)`.
pub(super) const FWHM_PER_SIGMA: f64 = 2.354_820_045_030_949;

/// The noiseless image of a body given by its value at each position (mm) of the scanner's space.
pub(super) fn scan(geometry: Geometry, grid: &GridSettings, body: impl Fn(Vec3) -> f64 + Sync) -> Volume<f32> {
    let kernels = [0, 1, 2].map(|axis| {
        gaussian(
            grid.blur_fwhm_mm[axis] / FWHM_PER_SIGMA * f64_of(grid.supersampling[axis]) / geometry.spacing_mm[axis],
        )
    });
    let lattice = Lattice::new(&geometry, grid, &kernels);
    let mut values = vec![0.0f32; lattice.size.iter().product()];
    let [nx, ny, _] = lattice.size;
    values.par_chunks_mut(nx * ny).enumerate().for_each(|(c, plane)| {
        for (idx, value) in plane.iter_mut().enumerate() {
            let voxel = [lattice.voxel(0, idx % nx), lattice.voxel(1, idx / nx), lattice.voxel(2, c)];
            *value = to_f32(body(geometry.voxel_to_world(voxel)));
        }
    });
    for (axis, kernel) in kernels.iter().enumerate() {
        if kernel.len() > 1 {
            values = blur(&values, lattice.size, axis, kernel);
        }
    }
    lattice.average(&values, geometry)
}

/// Adds noise to each voxel: `model` gets the value and the slice's own stream of random numbers.
pub(super) fn add_noise(
    image: &mut Volume<f32>,
    seed: u64,
    purpose: u64,
    model: impl Fn(f64, &mut Stream) -> f64 + Sync,
) {
    let (_, ny, nx) = image.geometry.shape();
    if let Some(values) = image.voxels.as_slice_mut() {
        values.par_chunks_mut(nx * ny).enumerate().for_each(|(k, slice)| {
            let mut stream = Stream::new(seed, purpose, k as u64);
            for value in slice {
                *value = to_f32(model(f64::from(*value), &mut stream));
            }
        });
    }
}

/// The lattice of sub-samples.
struct Lattice {
    size: [usize; 3],
    per_voxel: [usize; 3],
    margin: [usize; 3],
}

impl Lattice {
    fn new(geometry: &Geometry, grid: &GridSettings, kernels: &[Vec<f64>; 3]) -> Self {
        let per_voxel = grid.supersampling;
        let margin = [0, 1, 2].map(|axis| (kernels[axis].len() / 2).div_ceil(per_voxel[axis]));
        let size = [0, 1, 2].map(|axis| (geometry.size[axis] + 2 * margin[axis]) * per_voxel[axis]);
        Self { size, per_voxel, margin }
    }

    /// The voxel index at which a sub-sample lies.
    fn voxel(&self, axis: usize, idx: usize) -> f64 {
        (f64_of(idx) + 0.5) / f64_of(self.per_voxel[axis]) - 0.5 - f64_of(self.margin[axis])
    }

    fn average(&self, values: &[f32], geometry: Geometry) -> Volume<f32> {
        let mut image = Volume::filled(geometry, 0.0f32);
        let [sx, sy, sz] = self.per_voxel;
        let n = f64_of(sx * sy * sz);
        for ((k, j, i), voxel) in image.voxels.indexed_iter_mut() {
            let first = [0, 1, 2].map(|axis| ([i, j, k][axis] + self.margin[axis]) * self.per_voxel[axis]);
            let mut sum = 0.0;
            for c in first[2]..first[2] + sz {
                for b in first[1]..first[1] + sy {
                    let row = (c * self.size[1] + b) * self.size[0] + first[0];
                    sum += values[row..row + sx].iter().map(|v| f64::from(*v)).sum::<f64>();
                }
            }
            *voxel = to_f32(sum / n);
        }
        image
    }
}

/// A Gaussian of `sigma` samples, normalised, out to four sigma; a single 1 without blur.
fn gaussian(sigma: f64) -> Vec<f64> {
    if sigma <= 0.0 {
        return vec![1.0];
    }
    let mut half = Vec::new();
    while f64_of(half.len()) <= 4.0 * sigma + 1.0 {
        let x = f64_of(half.len()) / sigma;
        half.push(exp(-0.5 * x * x));
    }
    let kernel: Vec<f64> = half.iter().skip(1).rev().chain(&half).copied().collect();
    let sum: f64 = kernel.iter().sum();
    kernel.iter().map(|weight| weight / sum).collect()
}

/// Convolves along one axis; beyond the lattice its edge goes on.
fn blur(values: &[f32], size: [usize; 3], axis: usize, kernel: &[f64]) -> Vec<f32> {
    let stride: usize = size[..axis].iter().product();
    let (n, reach) = (size[axis], kernel.len() / 2);
    let mut out = vec![0.0f32; values.len()];
    out.par_chunks_mut(size[0] * size[1]).enumerate().for_each(|(plane, chunk)| {
        for (offset, result) in chunk.iter_mut().enumerate() {
            let idx = plane * size[0] * size[1] + offset;
            let at = idx / stride % n;
            let line = idx - at * stride;
            let sum: f64 = kernel
                .iter()
                .enumerate()
                .map(|(tap, weight)| {
                    let from = (at + tap).saturating_sub(reach).min(n - 1);
                    weight * f64::from(values[line + from * stride])
                })
                .sum();
            *result = to_f32(sum);
        }
    });
    out
}

fn f64_of(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}

#[allow(clippy::cast_possible_truncation)]
fn to_f32(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::linalg::{self, IDENTITY};
    use approx::assert_relative_eq;

    fn sphere_of_one(radius: f64) -> impl Fn(Vec3) -> f64 + Sync {
        move |p| if linalg::norm(p) < radius { 1.0 } else { 0.0 }
    }

    fn centred(size: usize, spacing: f64) -> Geometry {
        let origin = [-spacing * (f64_of(size) - 1.0) / 2.0; 3];
        Geometry::new([size; 3], [spacing; 3], origin, IDENTITY).unwrap()
    }

    #[test]
    fn partial_volume_and_blur_keep_the_total() {
        let geometry = centred(20, 2.0);
        for blur_fwhm_mm in [[0.0; 3], [5.0, 5.0, 5.0], [0.0, 3.0, 6.0]] {
            let grid = GridSettings { blur_fwhm_mm, ..GridSettings::new([20; 3], [2.0; 3], [5, 5, 5]) };
            let image = scan(geometry, &grid, sphere_of_one(8.0));
            let total: f64 = image.voxels.iter().map(|v| f64::from(*v)).sum::<f64>() * 8.0;
            assert_relative_eq!(total, 4.0 / 3.0 * std::f64::consts::PI * 512.0, max_relative = 3e-3);
        }
    }

    #[test]
    fn the_blur_has_the_width_that_was_asked_for() {
        // The second moment of a blurred voxel-sized cube: box variance of body and voxel plus sigma^2.
        let geometry = centred(41, 1.0);
        let grid = GridSettings { blur_fwhm_mm: [6.0, 4.0, 0.0], ..GridSettings::new([41; 3], [1.0; 3], [3, 3, 3]) };
        let image = scan(geometry, &grid, |p| if p.iter().all(|x| x.abs() < 0.5) { 1.0 } else { 0.0 });
        let moment = |axis: usize| {
            let (mut sum, mut total) = (0.0, 0.0);
            for ((k, j, i), v) in image.voxels.indexed_iter() {
                let p = geometry.voxel_to_world([i, j, k].map(f64_of));
                sum += f64::from(*v) * p[axis] * p[axis];
                total += f64::from(*v);
            }
            sum / total
        };
        for (axis, fwhm) in [6.0, 4.0].iter().enumerate() {
            let sigma2: f64 = fwhm / FWHM_PER_SIGMA * fwhm / FWHM_PER_SIGMA;
            // The cube and the voxel are boxes of three sub-samples each, of variance (1 - 1/9) / 12.
            let expected = sigma2 + 2.0 * (1.0 - 1.0 / 9.0) / 12.0;
            assert_relative_eq!(moment(axis), expected, max_relative = 5e-3);
        }
        assert!(moment(2) < 1e-9);
    }

    #[test]
    fn noise_has_its_variance_and_is_the_same_on_any_number_of_threads() {
        let make = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut image = Volume::filled(centred(24, 1.0), 40.0f32);
                add_noise(&mut image, 5, 3, |value, stream| value + 10.0 * stream.normal());
                image
            })
        };
        let image = make(1);
        assert_eq!(image, make(4));
        let n = f64_of(image.voxels.len());
        let variance = image.voxels.iter().map(|v| (f64::from(*v) - 40.0).powi(2)).sum::<f64>() / n;
        assert_relative_eq!(variance, 100.0, max_relative = 0.05);
    }
}

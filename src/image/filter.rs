//! Gaussian blurs given in millimetres.
//!
//! A blur is a *normalised* convolution: out = sum(w v) / sum(w) over the voxels that are there. At the edge of the field of
//! view and beside missing (NaN) voxels the average is taken over what exists; nothing is padded with zero. A missing voxel
//! stays missing.
//!
//! The kernel is a Gaussian sampled at the voxel distances and cut at four standard deviations, whose parameter is chosen so
//! that the *discrete* kernel has exactly the variance asked for: the law sigma_out^2 = sigma_in^2 + sigma^2 then holds for
//! second moments even where sigma is a fraction of a voxel.
//!
//! Sums run in a fixed order: the result is the same bits for any number of threads.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// Kernel radii are at most the size of a grid; values are single precision by design.

use ndarray::parallel::prelude::*;
use ndarray::{Array3, ArrayViewMut2, Axis};

use super::Volume;
use crate::math::linalg::{Mat3, Vec3};

/// Values summed side by side: one or two registers of the processor.
const LANES: usize = 16;

/// The image blurred by a Gaussian with these standard deviations along its own axes x, y, z.
///
/// An axis whose sigma is not a positive number is left alone. Cost: 8 sigma / spacing multiplications per voxel and axis.
#[must_use]
pub fn gaussian(image: &Volume<f32>, sigma_mm: Vec3) -> Volume<f32> {
    let sigma = [0, 1, 2].map(|axis| sigma_mm[axis] / image.geometry.spacing_mm[axis]);
    let kernels = [0, 1, 2].map(|axis| Kernel::gaussian(sigma[axis], image.geometry.size[axis]));
    if kernels.iter().all(|kernel| kernel.radius() == 0) {
        return image.clone();
    }
    let mut blurred = image.voxels.as_standard_layout().into_owned();
    if blurred.par_iter().all(|v| v.is_finite()) {
        convolve(&mut blurred, &kernels, Edge::Normalise);
        return Volume { voxels: blurred, geometry: image.geometry };
    }
    let mut share = blurred.mapv(|v| if v.is_finite() { 1.0 } else { 0.0 });
    blurred.par_mapv_inplace(|v| if v.is_finite() { v } else { 0.0 });
    convolve(&mut blurred, &kernels, Edge::Nothing);
    convolve(&mut share, &kernels, Edge::Nothing);
    divide_where_present(&mut blurred, &share, &image.voxels);
    Volume { voxels: blurred, geometry: image.geometry }
}

/// How many voxels along x, y, z a blur of this covariance (mm2, along the grid's own axes) looks beyond a voxel.
#[must_use]
pub fn reach(covariance_mm2: &Mat3, spacing_mm: Vec3) -> [usize; 3] {
    // Two voxels more for the interpolation inside an oblique kernel; `as` saturates and turns NaN into zero.
    [0, 1, 2].map(|axis| (4.0 * covariance_mm2[axis][axis].sqrt() / spacing_mm[axis]).ceil() as usize + 2)
}

/// Sum over share, where the image itself has a value.
pub(super) fn divide_where_present(sum: &mut Array3<f32>, share: &Array3<f32>, image: &Array3<f32>) {
    ndarray::Zip::from(sum).and(share).and(image).par_for_each(|sum, share, value| {
        *sum = if value.is_finite() && *share > 0.0 { *sum / share } else { f32::NAN };
    });
}

/// What stands for the voxels beyond the end of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// The weights of those that exist are scaled to one.
    Normalise,
    /// Nothing: the caller divides.
    Nothing,
}

/// Half of a symmetric kernel: `weights[0]` at the centre, `weights[k]` at distance k.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kernel {
    weights: Vec<f32>,
}

impl Kernel {
    /// A Gaussian of `sigma` voxels for lines of `n` voxels; a kernel of one weight where there is nothing to blur.
    pub fn gaussian(sigma: f64, n: usize) -> Self {
        let blurs = sigma.is_finite() && sigma > 1e-3 && n > 1;
        let weights = if blurs { gaussian_weights(sigma, n) } else { vec![1.0] };
        Self { weights: weights.into_iter().map(|w| w as f32).collect() }
    }

    fn radius(&self) -> usize {
        self.weights.len() - 1
    }

    /// 1 / (sum of the weights that find a voxel) at each position of a line.
    fn normaliser(&self, n: usize, edge: Edge) -> Vec<f32> {
        if edge == Edge::Nothing {
            return vec![1.0; n];
        }
        let side = |room: usize| self.weights[1..].iter().take(room).map(|w| f64::from(*w)).sum::<f64>();
        (0..n).map(|k| (1.0 / (f64::from(self.weights[0]) + side(k) + side(n - 1 - k))) as f32).collect()
    }
}

/// The weights at distances 0, 1, 2 … of a Gaussian whose discrete variance is sigma^2 (voxels); together with their
/// mirror image they add up to one. Distances of `n` and more can reach no voxel and are left out.
pub(super) fn gaussian_weights(sigma: f64, n: usize) -> Vec<f64> {
    // Beyond this width sampling and cutting change the variance by nothing that single precision could show, and a kernel
    // this wide is flat over any grid.
    const WIDE: f64 = 256.0;
    let radius = (4.0 * sigma).ceil().min(4.0 * WIDE.max(n as f64)) as usize;
    let parameter = if sigma < WIDE { parameter_of_variance(sigma * sigma, radius) } else { sigma };
    let mut weights = sampled(parameter, radius);
    weights.truncate(n);
    weights
}

/// The parameter of the sampled, cut Gaussian whose variance is `variance`; by bisection, the variance growing with it.
fn parameter_of_variance(variance: f64, radius: usize) -> f64 {
    let of = |parameter: f64| -> f64 {
        sampled(parameter, radius).iter().enumerate().map(|(k, w)| 2.0 * w * (k * k) as f64).sum()
    };
    let (mut low, mut high) = (0.02, 2.0 * variance.sqrt() + 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if of(middle) < variance {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

fn sampled(parameter: f64, radius: usize) -> Vec<f64> {
    let values: Vec<f64> = (0..=radius).map(|k| (-0.5 * (k as f64 / parameter).powi(2)).exp()).collect();
    let total = 2.0 * values.iter().sum::<f64>() - values[0];
    values.into_iter().map(|v| v / total).collect()
}

/// Convolves with one kernel per axis, in place: x and y of each slice while it is in the cache, then z.
pub(super) fn convolve(values: &mut Array3<f32>, kernels: &[Kernel; 3], edge: Edge) {
    let (nz, ny, nx) = values.dim();
    let [kx, ky, kz] = kernels;
    if kx.radius() > 0 || ky.radius() > 0 {
        let (scale_x, scale_y) = (kx.normaliser(nx, edge), ky.normaliser(ny, edge));
        values.axis_iter_mut(Axis(0)).into_par_iter().for_each_init(Vec::new, |work, mut plane| {
            if kx.radius() > 0 {
                for mut row in plane.rows_mut() {
                    if let Some(row) = row.as_slice_mut() {
                        convolve_row(row, kx, &scale_x, work);
                    }
                }
            }
            if ky.radius() > 0 {
                convolve_down(plane, ky, &scale_y, work);
            }
        });
    }
    if kz.radius() > 0 {
        let scale_z = kz.normaliser(nz, edge);
        values.axis_iter_mut(Axis(1)).into_par_iter().for_each_init(Vec::new, |work, plane| {
            convolve_down(plane, kz, &scale_z, work);
        });
    }
}

/// One contiguous line.
fn convolve_row(row: &mut [f32], kernel: &Kernel, scale: &[f32], work: &mut Vec<f32>) {
    let (n, radius) = (row.len(), kernel.radius());
    // The line with zeros on both sides (they carry no weight: the sum is scaled), and some for the last lanes.
    work.clear();
    work.resize(radius, 0.0);
    work.extend_from_slice(row);
    work.resize(n + 2 * radius + LANES, 0.0);
    for first in (0..n).step_by(LANES) {
        let mut sum = [0.0f32; LANES];
        accumulate(&mut sum, &work[first + radius..], kernel.weights[0]);
        for (k, weight) in kernel.weights.iter().enumerate().skip(1) {
            accumulate_two(&mut sum, &work[first + radius - k..], &work[first + radius + k..], *weight);
        }
        for ((value, sum), scale) in row[first..].iter_mut().zip(sum).zip(&scale[first..]) {
            *value = sum * scale;
        }
    }
}

/// All columns of a plane whose rows are contiguous.
fn convolve_down(mut plane: ArrayViewMut2<'_, f32>, kernel: &Kernel, scale: &[f32], work: &mut Vec<f32>) {
    let (n, width) = plane.dim();
    let padded = width.div_ceil(LANES) * LANES;
    work.clear();
    work.resize(n * padded, 0.0);
    for (row, copy) in plane.rows().into_iter().zip(work.chunks_mut(padded)) {
        for (value, copy) in row.iter().zip(copy) {
            *copy = *value;
        }
    }
    for (y, mut row) in plane.rows_mut().into_iter().enumerate() {
        let Some(row) = row.as_slice_mut() else { continue };
        for first in (0..width).step_by(LANES) {
            let at = |y: usize| &work[y * padded + first..];
            let mut sum = [0.0f32; LANES];
            accumulate(&mut sum, at(y), kernel.weights[0]);
            for (k, weight) in kernel.weights.iter().enumerate().skip(1) {
                match (y.checked_sub(k), y + k < n) {
                    (Some(above), true) => accumulate_two(&mut sum, at(above), at(y + k), *weight),
                    (Some(above), false) => accumulate(&mut sum, at(above), *weight),
                    (None, true) => accumulate(&mut sum, at(y + k), *weight),
                    (None, false) => break,
                }
            }
            for (value, sum) in row[first..].iter_mut().zip(sum) {
                *value = sum * scale[y];
            }
        }
    }
}

#[inline]
fn accumulate(sum: &mut [f32; LANES], values: &[f32], weight: f32) {
    for (sum, value) in sum.iter_mut().zip(&values[..LANES]) {
        *sum += weight * value;
    }
}

#[inline]
fn accumulate_two(sum: &mut [f32; LANES], left: &[f32], right: &[f32], weight: f32) {
    for ((sum, left), right) in sum.iter_mut().zip(&left[..LANES]).zip(&right[..LANES]) {
        *sum += weight * (left + right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;
    use approx::assert_relative_eq;

    fn grid(size: [usize; 3], spacing_mm: Vec3) -> Geometry {
        Geometry::new(size, spacing_mm, [0.0; 3], IDENTITY).unwrap()
    }

    fn impulse(size: [usize; 3], spacing_mm: Vec3) -> Volume<f32> {
        let mut image = Volume::filled(grid(size, spacing_mm), 0.0);
        image.voxels[[size[2] / 2, size[1] / 2, size[0] / 2]] = 1.0;
        image
    }

    /// Total, and variance (mm2) along x, y, z, of a volume taken as a distribution.
    fn moments(image: &Volume<f32>) -> (f64, Vec3) {
        let total: f64 = image.voxels.iter().map(|v| f64::from(*v)).sum();
        let (mut mean, mut square) = ([0.0; 3], [0.0; 3]);
        for ((z, y, x), value) in image.voxels.indexed_iter() {
            let p = image.geometry.voxel_to_world([x as f64, y as f64, z as f64]);
            for axis in 0..3 {
                mean[axis] += f64::from(*value) * p[axis] / total;
                square[axis] += f64::from(*value) * p[axis] * p[axis] / total;
            }
        }
        (total, [0, 1, 2].map(|axis| square[axis] - mean[axis] * mean[axis]))
    }

    #[test]
    fn a_point_becomes_a_gaussian_of_the_asked_width_in_mm_on_an_anisotropic_grid() {
        let sigma_mm = [0.4, 2.5, 3.0];
        let blurred = gaussian(&impulse([41, 41, 21], [0.9, 1.1, 3.3]), sigma_mm);
        let (total, variance) = moments(&blurred);
        assert_relative_eq!(total, 1.0, epsilon = 1e-5);
        for axis in 0..3 {
            assert_relative_eq!(variance[axis].sqrt(), sigma_mm[axis], max_relative = 1e-4);
        }
    }

    #[test]
    fn two_blurs_are_one_blur_by_the_sum_of_the_variances() {
        let image = impulse([61, 51, 31], [1.0, 1.2, 2.0]);
        let twice = gaussian(&gaussian(&image, [1.5, 0.7, 2.0]), [2.0, 2.4, 1.5]);
        let once = gaussian(&image, [2.5, 2.5, 2.5]);
        let (_, a) = moments(&twice);
        let (_, b) = moments(&once);
        for axis in 0..3 {
            assert_relative_eq!(a[axis], b[axis], max_relative = 1e-4);
        }
    }

    #[test]
    fn an_edge_becomes_the_error_function_of_the_distance_in_mm() {
        let mut image = Volume::filled(grid([80, 3, 3], [0.5, 1.0, 1.0]), -1000.0);
        for ((_, _, x), value) in image.voxels.indexed_iter_mut() {
            if x >= 40 {
                *value = 1000.0;
            }
        }
        let blurred = gaussian(&image, [2.0, 0.0, 0.0]);
        // The edge lies half a voxel below centre 40; one sigma above it the step has risen to 0.8413 of its height.
        let at = |mm: f64| f64::from(blurred.voxels[[1, 1, 39 + (mm / 0.5) as usize]]);
        let one_sigma_above = 0.5 * (at(2.0) + at(2.5));
        assert_relative_eq!((one_sigma_above + 1000.0) / 2000.0, 0.8413, epsilon = 2e-3);
    }

    #[test]
    fn a_constant_stays_itself_up_to_the_edge_and_beside_missing_voxels() {
        let mut image = Volume::filled(grid([9, 40, 12], [1.0, 2.0, 3.0]), -1000.0);
        let whole = gaussian(&image, [3.0, 3.0, 30.0]);
        assert!(whole.voxels.iter().all(|v| (v + 1000.0).abs() < 1e-3));
        image.voxels[[4, 20, 4]] = f32::NAN;
        image.voxels[[0, 0, 0]] = f32::NAN;
        let holed = gaussian(&image, [3.0, 3.0, 3.0]);
        for (index, value) in holed.voxels.indexed_iter() {
            assert_eq!(value.is_nan(), image.voxels[index].is_nan());
            assert!(value.is_nan() || (value + 1000.0).abs() < 1e-3, "{value}");
        }
    }

    #[test]
    fn the_blur_beside_missing_voxels_is_the_weighted_mean_of_what_is_there() {
        let geometry = grid([8, 7, 6], [1.0; 3]);
        let values = (0..geometry.n_voxels()).map(|k| ((k * 7919) % 97) as f32).collect();
        let mut image = Volume::from_values(geometry, values).unwrap();
        image.voxels[[2, 3, 3]] = f32::NAN;
        image.voxels[[2, 3, 4]] = f32::NAN;
        let found = gaussian(&image, [1.0; 3]).voxels[[2, 3, 5]];
        let w = gaussian_weights(1.0, 100);
        let weight = |a: usize, b: usize| w.get(a.abs_diff(b)).copied().unwrap_or(0.0);
        let (mut sum, mut share) = (0.0, 0.0);
        for ((z, y, x), value) in image.voxels.indexed_iter().filter(|(_, v)| v.is_finite()) {
            let w = weight(x, 5) * weight(y, 3) * weight(z, 2);
            sum += w * f64::from(*value);
            share += w;
        }
        assert_relative_eq!(f64::from(found), sum / share, max_relative = 1e-5);
    }

    #[test]
    fn no_width_changes_nothing_and_any_width_is_survived() {
        let image = impulse([5, 4, 3], [1.0; 3]);
        assert_eq!(gaussian(&image, [0.0, f64::NAN, -1.0]), image);
        let flat = gaussian(&image, [1e12, 1e3, f64::INFINITY]);
        assert!(flat.voxels.iter().all(|v| v.is_finite()));
        assert_relative_eq!(flat.voxels[[1, 0, 0]], flat.voxels[[1, 3, 4]], max_relative = 1e-3);
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_threads() {
        let geometry = grid([53, 47, 31], [0.8, 1.0, 2.0]);
        let values = (0..geometry.n_voxels()).map(|k| ((k * 7919) % 997) as f32).collect();
        let image = Volume::from_values(geometry, values).unwrap();
        let run = |n: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| gaussian(&image, [2.0, 1.0, 3.0]))
        };
        let alone = run(1);
        assert_eq!(alone, run(2));
        assert_eq!(alone, run(7));
    }
}

//! Gabor filter (IBSI 2, Q88H): the modulus of the response to a wave under a Gaussian, in planes.
//!
//! g(k) = exp(-(R1^2 + gamma^2 R2^2) / (2 sigma^2) + 2 pi i R1 / lambda), R1 = k1 cos theta + k2 sin theta across the waves and
//! R2 = -k1 sin theta + k2 cos theta along them; k1 and k2 run along x and y, or along x and z, or y and z. Not normalised.
//! The kernel ends where the Gaussian is 2e-8, so what is beyond is not seen in single precision. Each slice is transformed once and
//! multiplied with the spectrum of each kernel.

use std::f64::consts::TAU;
use std::sync::Arc;

use ndarray::{Array3, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use serde::{Deserialize, Serialize};

use super::boundary::{Boundary, Dimensions};
use super::rotate::Pooling;
use crate::math::fft::fast_length;
use crate::math::linalg::Vec3;

/// The magnitude of oriented structure at one wavelength.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gabor {
    /// Width of the Gaussian (41LN).
    pub sigma_mm: f64,
    /// Length of the waves (S4N6).
    pub wavelength_mm: f64,
    /// Across over along: gamma (GDR5).
    #[serde(default = "one")]
    pub aspect: f64,
    /// Orientation of the waves (FQER); the first one, where there is a step.
    #[serde(default)]
    pub angle_deg: f64,
    /// Pool the responses of all orientations of a full turn in this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub angle_step_deg: Option<f64>,
    /// How they are pooled.
    #[serde(default = "mean")]
    pub pooling: Pooling,
    /// Slices, or the three orthogonal planes through each voxel, pooled.
    #[serde(default)]
    pub dimensions: Dimensions,
    /// Beyond the edges.
    #[serde(default)]
    pub boundary: Boundary,
}

const fn one() -> f64 {
    1.0
}

const fn mean() -> Pooling {
    Pooling::Mean
}

/// Where the Gaussian ends, in sigma.
const EXTENT: f64 = 6.0;

/// Orientations at most.
pub(super) const ANGLES_MAX: f64 = 720.0;

impl Gabor {
    pub(super) fn label(&self) -> String {
        let [sigma, wavelength, aspect, angle] =
            [self.sigma_mm, self.wavelength_mm, self.aspect, self.angle_deg].map(super::number);
        let step = self
            .angle_step_deg
            .map_or_else(String::new, |step| format!("-step{}{}", super::number(step), self.pooling.label()));
        let edge = self.boundary.label();
        format!("gabor-{}d-{sigma}mm-{wavelength}mm-{aspect}-{angle}deg{step}{edge}", self.dimensions.count())
    }

    pub(super) fn reach(&self, spacing_mm: Vec3) -> [usize; 3] {
        self.dimensions.reach(spacing_mm.map(|d| self.radius(d)))
    }

    /// Voxels from the middle to the end of the kernel.
    fn radius(&self, spacing_mm: f64) -> usize {
        (EXTENT * self.sigma_mm * (1.0 / self.aspect).max(1.0) / spacing_mm).ceil().min(1e6) as usize
    }

    /// Angles in radians, each with its share: the modulus is the same half a turn later.
    fn angles(&self) -> Vec<(f64, f64)> {
        let Some(step) = self.angle_step_deg else { return vec![(self.angle_deg.to_radians(), 1.0)] };
        let count = (360.0 / step - 1e-9).ceil().clamp(1.0, ANGLES_MAX) as usize;
        let all = (0..count).map(|k| self.angle_deg + k as f64 * step);
        let mut distinct: Vec<(f64, f64)> = Vec::new();
        for angle in all {
            let same = |known: &f64| ((known - angle).rem_euclid(180.0) + 1e-9).rem_euclid(180.0) < 2e-9;
            match distinct.iter_mut().find(|(known, _)| same(known)) {
                Some((_, share)) => *share += 1.0,
                None => distinct.push((angle, 1.0)),
            }
        }
        distinct.into_iter().map(|(angle, times)| (angle.to_radians(), times / count as f64)).collect()
    }

    pub(super) fn apply(&self, image: &Array3<f32>, spacing_mm: Vec3) -> Array3<f32> {
        let [x, y, z] = spacing_mm;
        // The axis that a plane does not have, and the spacing along its rows and its columns.
        let planes: &[(usize, [f64; 2])] = match self.dimensions {
            Dimensions::Slices => &[(0, [x, y])],
            Dimensions::Volume => &[(0, [x, y]), (1, [x, z]), (2, [y, z])],
        };
        let mut pooled = Array3::zeros(image.dim());
        for (fixed, spacing) in planes {
            let axis = Axis(*fixed);
            let Some(first) = image.axis_iter(axis).next() else { continue };
            let plan = Plan::new(self, first.dim(), *spacing, planes.len());
            let slices = pooled.axis_iter_mut(axis).into_par_iter().zip(image.axis_iter(axis));
            slices.for_each_init(|| Scratch::new(&plan), |scratch, (to, from)| scratch.add(&plan, from, to));
        }
        pooled
    }
}

/// Everything that the slices of one orientation share.
struct Plan {
    pooling: Pooling,
    boundary: Boundary,
    /// Kernel radius and padded length along columns and rows.
    radius: [usize; 2],
    length: [usize; 2],
    forward: [Arc<dyn Fft<f32>>; 2],
    inverse: [Arc<dyn Fft<f32>>; 2],
    /// Spectra `[row frequency][column frequency]`, each with its share.
    kernels: Vec<(Vec<Complex<f32>>, f32)>,
}

impl Plan {
    fn new(gabor: &Gabor, (rows, columns): (usize, usize), [row_mm, column_mm]: [f64; 2], n_planes: usize) -> Self {
        let radius = [gabor.radius(column_mm), gabor.radius(row_mm)];
        let length = [fast_length(rows + 2 * radius[0]), fast_length(columns + 2 * radius[1])];
        let mut planner = FftPlanner::new();
        let forward = length.map(|n| planner.plan_fft_forward(n));
        let inverse = length.map(|n| planner.plan_fft_inverse(n));
        let scale = 1.0 / (length[0] * length[1]) as f64;
        let mut plan = Self {
            pooling: gabor.pooling,
            boundary: gabor.boundary,
            radius,
            length,
            forward,
            inverse,
            kernels: Vec::new(),
        };
        let mut scratch = Scratch::new(&plan);
        for (angle, share) in gabor.angles() {
            let (sin, cos) = angle.sin_cos();
            scratch.rows.fill(Complex::new(0.0, 0.0));
            let steps = |radius: usize| -(radius as isize)..=radius as isize;
            for v in steps(radius[0]) {
                for u in steps(radius[1]) {
                    let (k1, k2) = (u as f64 * row_mm, v as f64 * column_mm);
                    let (across, along) = (k1 * cos + k2 * sin, gabor.aspect * (k2 * cos - k1 * sin));
                    let gauss = (-(across * across + along * along) / (2.0 * gabor.sigma_mm * gabor.sigma_mm)).exp();
                    let value = Complex::from_polar(scale * gauss, TAU * across / gabor.wavelength_mm);
                    let at = |step: isize, n: usize| step.rem_euclid(n as isize) as usize;
                    let index = at(v, length[0]) * length[1] + at(u, length[1]);
                    scratch.rows[index] = Complex::new(value.re as f32, value.im as f32);
                }
            }
            scratch.transform(&plan);
            plan.kernels.push((scratch.columns.clone(), (share / n_planes as f64) as f32));
        }
        plan
    }
}

/// Buffers for one slice.
struct Scratch {
    /// `[column][row]`: lines along rows are contiguous.
    rows: Vec<Complex<f32>>,
    /// Transposed.
    columns: Vec<Complex<f32>>,
    product: Vec<Complex<f32>>,
    work: Vec<Complex<f32>>,
}

impl Scratch {
    fn new(plan: &Plan) -> Self {
        let zeros = |n: usize| vec![Complex::new(0.0, 0.0); n];
        let n = plan.length[0] * plan.length[1];
        let lengths = plan.forward.iter().chain(&plan.inverse).map(|fft| fft.get_inplace_scratch_len());
        Self { rows: zeros(n), columns: zeros(n), product: zeros(n), work: zeros(lengths.max().unwrap_or(0)) }
    }

    /// From rows to the spectrum in columns.
    fn transform(&mut self, plan: &Plan) {
        plan.forward[1].process_with_scratch(&mut self.rows, &mut self.work);
        transpose(&self.rows, &mut self.columns, plan.length[1], 0..plan.length[0]);
        plan.forward[0].process_with_scratch(&mut self.columns, &mut self.work);
    }

    /// Pools the responses of one slice.
    fn add(&mut self, plan: &Plan, from: ArrayView2<'_, f32>, mut to: ArrayViewMut2<'_, f32>) {
        let (n_rows, n_columns) = from.dim();
        let [above, before] = plan.radius;
        let [height, width] = plan.length;
        let source = |k: usize, margin: usize, n: usize| {
            (k < n + 2 * margin).then(|| plan.boundary.source(k as isize - margin as isize, n)).flatten()
        };
        let columns: Vec<Option<usize>> = (0..width).map(|k| source(k, before, n_columns)).collect();
        for (v, row) in self.rows.chunks_mut(width).enumerate() {
            let line = source(v, above, n_rows);
            for (value, column) in row.iter_mut().zip(&columns) {
                let found = line.zip(*column).map_or(0.0, |(row, column)| from[[row, column]]);
                *value = Complex::new(found, 0.0);
            }
        }
        self.transform(plan);
        for (kernel, share) in &plan.kernels {
            let factors = self.columns.iter().zip(kernel);
            self.product.iter_mut().zip(factors).for_each(|(product, (a, b))| *product = a * b);
            plan.inverse[0].process_with_scratch(&mut self.product, &mut self.work);
            transpose(&self.product, &mut self.rows, height, 0..width);
            let wanted = above * width..(above + n_rows) * width;
            plan.inverse[1].process_with_scratch(&mut self.rows[wanted.clone()], &mut self.work);
            for (mut to, row) in to.outer_iter_mut().zip(self.rows[wanted].chunks(width)) {
                for (to, value) in to.iter_mut().zip(&row[before..]) {
                    *to = match plan.pooling {
                        Pooling::Mean => *to + share * value.norm(),
                        Pooling::Max => to.max(value.norm()),
                    };
                }
            }
        }
    }
}

/// Transposes rows of length `width`, those of `lines` only, in tiles that stay in the nearest cache.
fn transpose(from: &[Complex<f32>], to: &mut [Complex<f32>], width: usize, lines: std::ops::Range<usize>) {
    const TILE: usize = 16;
    let height = from.len() / width.max(1);
    for v0 in lines.clone().step_by(TILE) {
        for u0 in (0..width).step_by(TILE) {
            for u in u0..(u0 + TILE).min(width) {
                for v in v0..(v0 + TILE).min(lines.end) {
                    to[u * height + v] = from[v * width + u];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn gabor(dimensions: Dimensions) -> Gabor {
        Gabor {
            sigma_mm: 3.0,
            wavelength_mm: 4.0,
            aspect: 1.5,
            angle_deg: 30.0,
            angle_step_deg: None,
            pooling: Pooling::Mean,
            dimensions,
            boundary: Boundary::Mirror,
        }
    }

    #[test]
    fn angles_half_a_turn_apart_are_one() {
        let filter = Gabor { angle_deg: 0.0, angle_step_deg: Some(45.0), ..gabor(Dimensions::Slices) };
        let angles = filter.angles();
        assert_eq!(angles.len(), 4);
        assert!(angles.iter().all(|(angle, share)| *angle < std::f64::consts::PI && (share - 0.25).abs() < 1e-12));
        let odd = Gabor { angle_step_deg: Some(120.0), ..gabor(Dimensions::Slices) };
        assert_eq!(odd.angles().len(), 3);
    }

    #[test]
    fn the_response_is_the_modulus_of_the_sum_over_the_kernel() {
        let image = Array3::from_shape_fn((2, 7, 9), |(z, y, x)| ((x * 7 + y * 5 + z + x * y) % 11) as f32);
        let filter = gabor(Dimensions::Slices);
        let found = filter.apply(&image, [1.0, 2.0, 1.0]);
        let (sin, cos) = filter.angle_deg.to_radians().sin_cos();
        let mut sum = Complex::new(0.0, 0.0);
        for v in -30..=30 {
            for u in -30..=30 {
                let (k1, k2) = (f64::from(u), 2.0 * f64::from(v));
                let (r1, r2) = (k1 * cos + k2 * sin, k2 * cos - k1 * sin);
                let gauss = (-(r1 * r1 + 2.25 * r2 * r2) / 18.0).exp();
                let (y, x) = (Boundary::Mirror.source(3 - v as isize, 7), Boundary::Mirror.source(4 - u as isize, 9));
                let value = f64::from(image[[1, y.unwrap(), x.unwrap()]]);
                sum += Complex::from_polar(gauss, TAU * r1 / 4.0) * value;
            }
        }
        assert_relative_eq!(f64::from(found[[1, 3, 4]]), sum.norm(), max_relative = 1e-5);
    }
}

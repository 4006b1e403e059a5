//! Moran's I and Geary's C with inverse distances as weights (IBSI N365, NPT7), over every pair of voxels.
//!
//! With y = x - mean, the mask m, and w(d) = 1 / |d|, both are ratios of pair sums `Q(a, b) = sum of a_i w_ij b_j`:
//! I = N Q(y, y) / (Q(m, m) sum y^2) and C = (N - 1) (Q(y^2, m) - Q(y, y)) / (Q(m, m) sum y^2). A pair sum of functions on a grid
//! is a sum over their spectra, `Q(a, b) = 1/L sum of A_k* W_k B_k`, once the grid is padded to twice its size. So three
//! forward transforms give everything and none goes back: no sample of voxels, no sum over N^2 pairs.
//!
//! The transform runs along x for all lines that are not padding, then, for one frequency along x at a time, along y and z in
//! a plane that stays in the cache. Only a block of frequencies along x is kept; memory is bounded by [`BLOCK_BYTES`] whatever
//! the region's size, at the cost of transforming along x again for each block.

use std::sync::Arc;

use ndarray::Slice;
use rayon::prelude::*;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex;
use rustfft::num_traits::Float;
use rustfft::{Fft, FftNum, FftPlanner};

use crate::features::roi::{BoundingBox, Roi};
use crate::image::Geometry;
use crate::math::fft::fast_length;
use crate::math::linalg::Vec3;

/// What the spectra of one block may take.
const BLOCK_BYTES: usize = 256 << 20;

/// From so many voxels of the region's box on, spectra are in single precision: it halves time and memory, and moves the sums,
/// which are in double precision always, by some 1e-8.
const SINGLE_PRECISION_FROM: usize = 1 << 18;

/// Fields: y, m and y^2.
const FIELDS: usize = 3;

/// Moran's I and Geary's C.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Autocorrelation {
    pub(super) moran: f64,
    pub(super) geary: f64,
}

impl Autocorrelation {
    /// Both are not finite for fewer than two voxels or for equal intensities.
    pub(super) const NONE: Self = Self { moran: f64::NAN, geary: f64::NAN };

    /// Of the intensity mask, or of a lattice of its voxels where it has more than `most`: every second, third … one along
    /// each axis.
    pub(super) fn of_at_most(roi: &Roi, most: usize) -> Self {
        let step = (1..).find(|step: &usize| roi.values.len() / step.pow(3) <= most).unwrap_or(1);
        if step == 1 { Self::of(roi) } else { Self::of(&thinned(roi, step)) }
    }

    /// Of the intensity mask.
    pub(super) fn of(roi: &Roi) -> Self {
        let Some(bounds) = BoundingBox::around(roi.intensity.view()) else { return Self::NONE };
        let n = roi.values.len() as f64;
        let mean = roi.values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        // Scaled to one, so that squares of squares of any intensity are numbers.
        let size = roi.values.iter().map(|v| (f64::from(*v) - mean).abs()).fold(0.0, f64::max);
        if n < 2.0 || size <= 0.0 {
            return Self::NONE;
        }
        let total: f64 = roi.values.iter().map(|v| ((f64::from(*v) - mean) / size).powi(2)).sum();
        let region = Region { roi, bounds, mean, size };
        let voxels: usize = region.bounds.size().iter().product();
        let sums = if voxels < SINGLE_PRECISION_FROM { pair_sums::<f64> } else { pair_sums::<f32> };
        let PairSums { yy, mm, sm } = sums(&region, BLOCK_BYTES);
        Self { moran: n * yy / (mm * total), geary: (n - 1.0) * (sm - yy) / (mm * total) }
    }
}

/// Every `step`-th voxel along each axis of the box around a region, from the middle of the first step on.
fn thinned(roi: &Roi, step: usize) -> Roi {
    let first = BoundingBox::around(roi.intensity.view()).map_or([0; 3], |bounds| bounds.first);
    let every = |axis: ndarray::AxisDescription| {
        let first = first[2 - axis.axis.index()];
        // A box thinner than half a step keeps its first voxels.
        let from = if first + step / 2 < axis.len { first + step / 2 } else { first };
        Slice::new(from.cast_signed(), None, step.cast_signed())
    };
    let voxels = roi.image.voxels.slice_each_axis(every).as_standard_layout().into_owned();
    let mask = roi.intensity.slice_each_axis(every).as_standard_layout().into_owned();
    let grid = roi.image.geometry;
    let size = [voxels.dim().2, voxels.dim().1, voxels.dim().0];
    let spacing_mm = grid.spacing_mm.map(|mm| mm * step as f64);
    Roi::new(voxels, mask, Geometry { size, spacing_mm, ..grid }, size)
}

/// The voxels whose pairs are summed.
struct Region<'a> {
    roi: &'a Roi,
    bounds: BoundingBox,
    mean: f64,
    size: f64,
}

/// Q(y, y), Q(m, m) and Q(y^2, m).
#[derive(Clone, Copy, Default)]
struct PairSums {
    yy: f64,
    mm: f64,
    sm: f64,
}

impl PairSums {
    fn plus(self, other: Self, times: f64) -> Self {
        Self { yy: self.yy + times * other.yy, mm: self.mm + times * other.mm, sm: self.sm + times * other.sm }
    }
}

/// Sizes and transforms.
struct Plan<T> {
    /// Voxels along x, y, z.
    size: [usize; 3],
    /// Padded lengths, and half of them and one: the frequencies of a real or an even signal.
    length: [usize; 3],
    half: [usize; 3],
    spacing_mm: Vec3,
    along_x: Arc<dyn RealToComplex<T>>,
    along_y: Arc<dyn Fft<T>>,
    along_z: Arc<dyn Fft<T>>,
    /// Of the weights, which span more orders of magnitude than the intensities.
    even: [Arc<dyn RealToComplex<f64>>; 3],
}

impl<T: FftNum + Float> Plan<T> {
    fn new(size: [usize; 3], spacing_mm: Vec3) -> Self {
        let length = size.map(|n| fast_length(2 * n - 1));
        let mut real = RealFftPlanner::new();
        let mut complex = FftPlanner::new();
        let mut even = RealFftPlanner::new();
        Self {
            size,
            length,
            half: length.map(|n| n / 2 + 1),
            spacing_mm,
            along_x: real.plan_fft_forward(length[0]),
            along_y: complex.plan_fft_forward(length[1]),
            along_z: complex.plan_fft_forward(length[2]),
            even: length.map(|n| even.plan_fft_forward(n)),
        }
    }

    /// How many frequencies along x fit into so many bytes, all blocks being about equal.
    fn block(&self, bytes: usize) -> usize {
        let [_, ny, nz] = self.size;
        let each = FIELDS * ny * nz * size_of::<Complex<T>>() + self.half[1] * self.half[2] * size_of::<f64>();
        let most = (bytes / each).clamp(1, self.half[0]);
        self.half[0].div_ceil(self.half[0].div_ceil(most))
    }
}

/// The pair sums, with spectra of at most `bytes` at a time.
fn pair_sums<T: FftNum + Float>(region: &Region, bytes: usize) -> PairSums {
    let plan = Plan::<T>::new(region.bounds.size(), region.roi.image.geometry.spacing_mm);
    let block = plan.block(bytes);
    let mut total = PairSums::default();
    for first in (0..plan.half[0]).step_by(block) {
        let count = block.min(plan.half[0] - first);
        let spectra = spectra_along_x(&plan, region, first, count);
        let weights = weights_along_x(&plan, first, count);
        let sums: Vec<PairSums> = (0..count)
            .into_par_iter()
            .map_init(|| Plane::new(&plan), |plane, k| plane.sums(&plan, &spectra, &weights, k, count))
            .collect();
        for (k, sum) in sums.into_iter().enumerate() {
            // Of a real signal, each frequency but the first and the last stands for its mirror image, too.
            let twice = first + k > 0 && first + k < plan.half[0] - 1;
            total = total.plus(sum, if twice { 2.0 } else { 1.0 });
        }
    }
    let n = plan.length.iter().map(|n| *n as f64).product::<f64>();
    PairSums::default().plus(total, 1.0 / n)
}

/// Transforms every line along x; kept are `count` frequencies, as `[z][field][frequency][y]`.
fn spectra_along_x<T: FftNum + Float>(plan: &Plan<T>, region: &Region, first: usize, count: usize) -> Vec<Complex<T>> {
    let [_, ny, nz] = plan.size;
    let mut spectra = vec![Complex::new(T::zero(), T::zero()); nz * FIELDS * count * ny];
    spectra.par_chunks_mut(FIELDS * count * ny).enumerate().for_each_init(
        || Lines::new(plan),
        |lines, (z, slice)| {
            for y0 in (0..ny).step_by(LINES) {
                let several = LINES.min(ny - y0);
                let filled: Vec<bool> = (0..several).map(|k| lines.transform(plan, region, [y0 + k, z], k)).collect();
                if !filled.contains(&true) {
                    continue;
                }
                // Transposed several lines at a time: what is next to each other there is written together.
                for (field, spectra) in lines.spectra.iter().enumerate() {
                    for k in 0..count {
                        let at = (field * count + k) * ny + y0;
                        let from = spectra[first + k..].iter().step_by(plan.half[0]);
                        slice[at..at + several].iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                    }
                }
            }
        },
    );
    spectra
}

/// Lines along x that are transformed before their spectra are written: two lines of the cache.
const LINES: usize = 8;

/// Scratch for the transforms of some lines.
struct Lines<T> {
    values: [Vec<T>; FIELDS],
    /// Per field, line after line.
    spectra: [Vec<Complex<T>>; FIELDS],
    scratch: Vec<Complex<T>>,
}

impl<T: FftNum + Float> Lines<T> {
    fn new(plan: &Plan<T>) -> Self {
        let zero = Complex::new(T::zero(), T::zero());
        Self {
            values: [(); FIELDS].map(|()| plan.along_x.make_input_vec()),
            spectra: [(); FIELDS].map(|()| vec![zero; LINES * plan.half[0]]),
            scratch: plan.along_x.make_scratch_vec(),
        }
    }

    /// Transforms line (y, z) of the region as the k-th of these; whether it has any voxel.
    fn transform(&mut self, plan: &Plan<T>, region: &Region, [y, z]: [usize; 2], k: usize) -> bool {
        let [x0, y0, z0] = region.bounds.first;
        let roi = region.roi;
        let (_, ny, nx) = roi.intensity.dim();
        let start = ((z0 + z) * ny + y0 + y) * nx + x0;
        let row = start..start + plan.size[0];
        let inside = roi.intensity.as_slice().and_then(|all| all.get(row.clone())).unwrap_or_default();
        let voxels = roi.image.voxels.as_slice().and_then(|all| all.get(row)).unwrap_or_default();
        let [a, m, s] = &mut self.values;
        a.iter_mut().chain(&mut *m).chain(&mut *s).for_each(|value| *value = T::zero());
        let mut any = false;
        let fields = a.iter_mut().zip(m).zip(s);
        for ((inside, value), ((a, m), s)) in inside.iter().zip(voxels).zip(fields).filter(|((inside, _), _)| **inside)
        {
            let scaled = T::from((f64::from(*value) - region.mean) / region.size).unwrap_or_else(T::zero);
            (*a, *m, *s) = (scaled, T::one(), scaled * scaled);
            any |= *inside;
        }
        for (values, spectra) in self.values.iter_mut().zip(&mut self.spectra) {
            let spectrum = &mut spectra[k * plan.half[0]..(k + 1) * plan.half[0]];
            // The transform fails only for buffers of other lengths than the plan's own.
            if !any || plan.along_x.process_with_scratch(values, spectrum, &mut self.scratch).is_err() {
                spectrum.fill(Complex::new(T::zero(), T::zero()));
            }
        }
        any
    }
}

/// The weights 1 / distance, transformed along x; kept are `count` frequencies, as `[y][frequency][z]`.
///
/// Weights are even along each axis, so their spectra are real and a quarter of each plane says all.
fn weights_along_x<T>(plan: &Plan<T>, first: usize, count: usize) -> Vec<f64> {
    let [hx, hy, hz] = plan.half;
    let mut weights = vec![0.0; hy * count * hz];
    weights.par_chunks_mut(count * hz).enumerate().for_each_init(
        || EvenLine::new(&plan.even[0]),
        |even, (y, slice)| {
            for z in 0..hz {
                let across = (y as f64 * plan.spacing_mm[1]).powi(2) + (z as f64 * plan.spacing_mm[2]).powi(2);
                let weight = |x: usize| {
                    let distance = ((x as f64 * plan.spacing_mm[0]).powi(2) + across).sqrt();
                    if distance > 0.0 { 1.0 / distance } else { 0.0 }
                };
                even.transform(hx, weight);
                for (k, value) in even.spectrum[first..first + count].iter().enumerate() {
                    slice[k * hz + z] = value.re;
                }
            }
        },
    );
    weights
}

/// Transforms even signals, of which the first half and one are given.
struct EvenLine {
    transform: Arc<dyn RealToComplex<f64>>,
    line: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl EvenLine {
    fn new(transform: &Arc<dyn RealToComplex<f64>>) -> Self {
        Self {
            transform: Arc::clone(transform),
            line: transform.make_input_vec(),
            spectrum: transform.make_output_vec(),
            scratch: transform.make_scratch_vec(),
        }
    }

    fn transform(&mut self, half: usize, value: impl Fn(usize) -> f64) {
        let n = self.line.len();
        for k in 0..half {
            let value = value(k);
            self.line[k] = value;
            self.line[(n - k) % n] = value;
        }
        // Fails only for buffers of other lengths than the plan's own.
        if self.transform.process_with_scratch(&mut self.line, &mut self.spectrum, &mut self.scratch).is_err() {
            self.spectrum.fill(Complex::new(f64::NAN, 0.0));
        }
    }
}

/// Scratch for the plane of one frequency along x.
struct Plane<T> {
    /// `[z][y]` while it is transformed along y.
    rows: Vec<Complex<T>>,
    /// Per field `[y][z]`, transformed along z.
    columns: [Vec<Complex<T>>; FIELDS],
    scratch: Vec<Complex<T>>,
    even: [EvenLine; 2],
    /// `[z][y]` and `[y][z]`, of which a quarter and a half are kept.
    weights: [Vec<f64>; 2],
}

impl<T: FftNum + Float> Plane<T> {
    fn new(plan: &Plan<T>) -> Self {
        let zero = Complex::new(T::zero(), T::zero());
        let [_, ly, lz] = plan.length;
        let scratch = plan.along_y.get_inplace_scratch_len().max(plan.along_z.get_inplace_scratch_len());
        Self {
            rows: vec![zero; plan.size[2] * ly],
            columns: [(); FIELDS].map(|()| vec![zero; ly * lz]),
            scratch: vec![zero; scratch],
            even: [EvenLine::new(&plan.even[1]), EvenLine::new(&plan.even[2])],
            weights: [vec![0.0; plan.half[1] * plan.half[2]], vec![0.0; plan.half[1] * lz]],
        }
    }

    fn sums(&mut self, plan: &Plan<T>, spectra: &[Complex<T>], weights: &[f64], k: usize, count: usize) -> PairSums {
        for field in 0..FIELDS {
            self.transform_field(plan, spectra, field, k, count);
        }
        self.transform_weights(plan, weights, k, count);
        let [_, ly, lz] = plan.length;
        let mut total = PairSums::default();
        for y in 0..ly {
            let row = y * lz..(y + 1) * lz;
            let [a, m, s] = [0, 1, 2].map(|field| &self.columns[field][row.clone()]);
            let mirrored = y.min(ly - y) * lz;
            let weights = &self.weights[1][mirrored..mirrored + lz];
            total = total.plus(products([a, m, s], weights), 1.0);
        }
        total
    }

    fn transform_field(&mut self, plan: &Plan<T>, spectra: &[Complex<T>], field: usize, k: usize, count: usize) {
        let zero = Complex::new(T::zero(), T::zero());
        let [_, ny, nz] = plan.size;
        let [_, ly, lz] = plan.length;
        for (z, row) in self.rows.chunks_mut(ly).enumerate() {
            let start = ((z * FIELDS + field) * count + k) * ny;
            row[..ny].copy_from_slice(&spectra[start..start + ny]);
            row[ny..].fill(zero);
        }
        plan.along_y.process_with_scratch(&mut self.rows, &mut self.scratch);
        let columns = &mut self.columns[field];
        // Tiles, so that neither side of the transposition leaves the nearest cache.
        const TILE: usize = 16;
        for y0 in (0..ly).step_by(TILE) {
            for z0 in (0..nz).step_by(TILE) {
                for y in y0..(y0 + TILE).min(ly) {
                    for z in z0..(z0 + TILE).min(nz) {
                        columns[y * lz + z] = self.rows[z * ly + y];
                    }
                }
            }
        }
        for column in columns.chunks_mut(lz) {
            column[nz..].fill(zero);
        }
        plan.along_z.process_with_scratch(columns, &mut self.scratch);
    }

    fn transform_weights(&mut self, plan: &Plan<T>, weights: &[f64], k: usize, count: usize) {
        let [_, hy, hz] = plan.half;
        let lz = plan.length[2];
        let [along_y, along_z] = &mut self.even;
        let [by_z, by_y] = &mut self.weights;
        for y in 0..hy {
            let start = (y * count + k) * hz;
            along_z.transform(hz, |z| weights[start + z]);
            for (z, spectrum) in along_z.spectrum.iter().enumerate() {
                by_z[z * hy + y] = spectrum.re;
            }
        }
        for (z, line) in by_z.chunks(hy).enumerate() {
            along_y.transform(hy, |y| line[y]);
            for (y, spectrum) in along_y.spectrum.iter().enumerate() {
                by_y[y * lz + z] = spectrum.re;
                by_y[y * lz + (lz - z) % lz] = spectrum.re;
            }
        }
    }
}

/// The products of the three spectra of one line with its weights.
fn products<T: Float>([a, m, s]: [&[Complex<T>]; FIELDS], weights: &[f64]) -> PairSums {
    const LANES: usize = 4;
    let number = |value: T| value.to_f64().unwrap_or(f64::NAN);
    let mut sums = [[0.0f64; LANES]; FIELDS];
    let chunks = a.chunks(LANES).zip(m.chunks(LANES)).zip(s.chunks(LANES)).zip(weights.chunks(LANES));
    for (((a, m), s), weights) in chunks {
        for (lane, (((a, m), s), weight)) in a.iter().zip(m).zip(s).zip(weights).enumerate() {
            sums[0][lane] += weight * number(a.re * a.re + a.im * a.im);
            sums[1][lane] += weight * number(m.re * m.re + m.im * m.im);
            sums[2][lane] += weight * number(s.re * m.re + s.im * m.im);
        }
    }
    let [yy, mm, sm] = sums.map(|lanes| lanes.iter().sum());
    PairSums { yy, mm, sm }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::linalg::IDENTITY;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;
    use ndarray::Array3;

    fn roi(size: (usize, usize, usize), seed: u64) -> Roi {
        let mut stream = Stream::new(seed, 0, 0);
        let voxels = Array3::from_shape_simple_fn(size, || (100.0 + 30.0 * stream.normal()) as f32);
        let mask = Array3::from_shape_fn(size, |(z, y, x)| (x * 5 + y * 3 + z) % 7 < 4 && x != 3);
        let geometry = Geometry::new([size.2, size.1, size.0], [0.9, 1.2, 3.0], [0.0; 3], IDENTITY).unwrap();
        Roi::new(voxels, mask, geometry, [size.2, size.1, size.0])
    }

    #[test]
    fn a_lattice_of_a_smooth_image_changes_as_the_whole_does_when_the_image_moves() {
        let geometry = Geometry::new([36, 32, 30], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
        let moved = |by: f64| {
            let value = |z: usize, y: usize, x: usize| {
                let (x, y, z) = (x as f64 + by, y as f64, z as f64);
                ((x / 5.0).sin() + (y / 6.0 + x / 9.0).cos() + (z / 4.5).sin() * (x / 30.0)) as f32
            };
            let ball = |z: usize, y: usize, x: usize| {
                let d = [x as f64 - 18.0, y as f64 - 16.0, z as f64 - 15.0];
                crate::math::linalg::norm(d) < 14.0
            };
            let voxels = Array3::from_shape_fn((30, 32, 36), |(z, y, x)| value(z, y, x));
            Roi::new(voxels, Array3::from_shape_fn((30, 32, 36), |(z, y, x)| ball(z, y, x)), geometry, geometry.size)
        };
        let change = |most: usize| {
            let [before, after] = [0.0, 2.0].map(|by| Autocorrelation::of_at_most(&moved(by), most));
            [after.moran - before.moran, after.geary - before.geary]
        };
        for (whole, lattice) in change(usize::MAX).into_iter().zip(change(2_000)) {
            assert!((lattice / whole - 1.0).abs() < 0.25, "{lattice} is not {whole}");
        }
    }

    /// Pair by pair.
    fn slow(roi: &Roi) -> Autocorrelation {
        let spacing = roi.image.geometry.spacing_mm;
        let inside = roi.intensity.indexed_iter().filter(|(_, inside)| **inside);
        let voxels: Vec<(Vec3, f64)> = inside
            .map(|((z, y, x), _)| {
                let at = [x as f64 * spacing[0], y as f64 * spacing[1], z as f64 * spacing[2]];
                (at, f64::from(roi.image.voxels[[z, y, x]]))
            })
            .collect();
        let n = voxels.len() as f64;
        let mean = voxels.iter().map(|(_, v)| v).sum::<f64>() / n;
        let (mut yy, mut squares, mut total) = (0.0, 0.0, 0.0);
        for (i, (p, v)) in voxels.iter().enumerate() {
            for (q, u) in voxels.iter().skip(i + 1) {
                let weight = 2.0 / crate::math::linalg::norm(crate::math::linalg::sub(*p, *q));
                yy += weight * (v - mean) * (u - mean);
                squares += weight * (v - u) * (v - u);
                total += weight;
            }
        }
        let spread: f64 = voxels.iter().map(|(_, v)| (v - mean).powi(2)).sum();
        Autocorrelation { moran: n * yy / (total * spread), geary: (n - 1.0) * squares / (2.0 * total * spread) }
    }

    #[test]
    fn spectra_give_what_every_pair_of_voxels_gives() {
        for (seed, size) in [(1, (5, 9, 13)), (2, (1, 8, 20)), (3, (7, 1, 1)), (4, (3, 17, 2))] {
            let roi = roi(size, seed);
            let (found, expected) = (Autocorrelation::of(&roi), slow(&roi));
            assert_relative_eq!(found.moran, expected.moran, epsilon = 1e-11);
            assert_relative_eq!(found.geary, expected.geary, epsilon = 1e-11);
        }
    }

    #[test]
    fn a_bound_on_memory_changes_nothing_but_time() {
        let roi = roi((5, 9, 13), 1);
        let bounds = BoundingBox::around(roi.intensity.view()).unwrap();
        let region = Region { roi: &roi, bounds, mean: 100.0, size: 100.0 };
        let (whole, blocks) = (pair_sums::<f64>(&region, usize::MAX / 2), pair_sums::<f64>(&region, 1));
        assert_relative_eq!(whole.yy, blocks.yy, max_relative = 1e-14);
        assert_relative_eq!(whole.sm, blocks.sm, max_relative = 1e-14);
        let single = pair_sums::<f32>(&region, 1 << 14);
        assert_relative_eq!(whole.yy, single.yy, max_relative = 1e-6);
        assert_relative_eq!(whole.mm, single.mm, max_relative = 1e-6);
        assert_relative_eq!(whole.sm, single.sm, max_relative = 1e-6);
    }

    #[test]
    fn one_voxel_and_equal_intensities_have_neither() {
        let mut flat = roi((3, 3, 3), 1);
        flat.image.voxels.fill(5.0);
        flat.collect_values();
        assert!(Autocorrelation::of(&flat).moran.is_nan());
        assert!(Autocorrelation::of(&roi((1, 1, 1), 1)).geary.is_nan());
    }

    #[test]
    fn one_enormous_intensity_is_no_trouble() {
        let mut roi = roi((5, 9, 13), 1);
        roi.image.voxels[[2, 4, 7]] = 1e30;
        roi.collect_values();
        let found = Autocorrelation::of(&roi);
        assert!(found.moran.is_finite() && found.geary.is_finite());
    }
}

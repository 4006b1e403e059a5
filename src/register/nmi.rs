//! Normalised mutual information of samples of the fixed image and the moving image, with its gradient.
//!
//! NMI = (H(F) + H(M)) / H(F, M) (Studholme, Hill and Hawkes 1999) over a joint histogram with Parzen windows: linear for the
//! fixed image, cubic B-spline for the moving one, so that the measure is smooth in the transform and its gradient is exact
//! (Thevenaz and Unser 2000). Where it is asked for, mutual information itself, H(F) + H(M) - H(F, M), is sought instead
//! (Mattes et al. 2003), as a share of the logarithm of the number of bins, which is the most that it can be: overlap and
//! bending then weigh about as much beside it. The weight of a sample falls from one to zero over the last voxel of the
//! moving field of view, so that samples that leave it make no jump.
//!
//! Samples are worked on in parts of one size whose sums are added in order: the result is the same bits for any number of
//! threads. Cost: one pass for the value, a second for the gradient; nothing is allocated but the scratch memory, once.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// Bin numbers are at most BINS; sums run in double precision.

use rayon::prelude::*;

use super::binned::Binned;
use super::linear::LinearGradient;
use super::samples::Samples;
use super::settings::Similarity;
use crate::image::Affine;
use crate::math::linalg::{self, Mat3};

/// Samples of one part at least: fewer are not worth a histogram of their own.
const PART_MIN: usize = 2048;
/// Parts at most, so that wide histograms do not fill the memory: 64 of 256 x 256 bins are 17 MB.
const PARTS_MAX: usize = 64;

/// What is measured at one transform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Value {
    /// Normalised mutual information, 1 (independent) to 2 (each determines the other).
    pub nmi: f64,
    /// What is maximised: that, or the other measure.
    pub sought: f64,
    /// Weight of the samples inside the moving field of view over what it could be at most.
    pub overlap: f64,
}

/// The measure of one pair of images at one resolution.
pub(super) struct Measure<'a> {
    samples: &'a Samples,
    moving: &'a Binned,
    similarity: Similarity,
    /// Weight that the samples can have at most.
    weight_max: f64,
}

/// Memory that evaluations reuse.
#[derive(Default)]
pub(super) struct Scratch {
    terms: Vec<Term>,
    histograms: Vec<f32>,
}

/// One sample where the transform takes it.
#[derive(Clone, Copy, Default)]
struct Term {
    /// The moving value in bins.
    bin: f32,
    /// 1 inside the field of view, 0 outside.
    weight: f32,
    /// Gradient of `bin` over the moving voxel index.
    slope: [f32; 3],
    /// Gradient of `weight`.
    taper: [f32; 3],
}

/// The map from a sample's position to a moving voxel index, in single precision.
#[derive(Clone, Copy)]
struct Path {
    rows: [[f32; 3]; 3],
    shift: [f32; 3],
}

impl<'a> Measure<'a> {
    pub fn new(samples: &'a Samples, moving: &'a Binned, similarity: Similarity) -> Self {
        let n_possible = moving.volume_mm3() / samples.volume_mm3;
        Self { samples, moving, similarity, weight_max: (samples.len() as f64).min(n_possible).max(1.0) }
    }

    /// The measure alone.
    pub fn value(&self, map: &Affine, scratch: &mut Scratch) -> Value {
        let path = self.path(map);
        let (cells, part) = self.empty(&mut scratch.histograms);
        let parts = scratch.histograms.par_chunks_mut(cells).zip(self.samples.parts(part));
        parts.for_each(|(histogram, (positions, bins))| {
            for (position, fixed) in positions.iter().zip(bins) {
                let at = path.at(position);
                if let Some((bin, weight)) = self.moving.value(at) {
                    add(histogram, self.moving.n_bins, *fixed, bin, weight);
                }
            }
        });
        self.summed(&scratch.histograms).value(self.weight_max)
    }

    /// The measure and the gradients of what is sought and of the overlap over the elements of the map about the samples' centre.
    pub fn value_and_gradient(&self, map: &Affine, scratch: &mut Scratch) -> (Value, LinearGradient, LinearGradient) {
        let joint = self.joint(map, self.samples.positions(), scratch);
        let value = joint.value(self.weight_max);
        let table = joint.derivative();
        let part = self.part();
        let sums: Vec<Sums> = scratch
            .terms
            .par_chunks(part)
            .zip(self.samples.parts(part))
            .map(|(terms, (positions, bins))| {
                let mut sums = Sums::default();
                for ((term, position), fixed) in terms.iter().zip(positions).zip(bins) {
                    if term.weight > 0.0 {
                        sums.add(term, position, table.pull(*fixed, term));
                    }
                }
                sums
            })
            .collect();
        let mut total = Totals::default();
        sums.iter().for_each(|part| total.add(part));
        let to_index = self.moving.to_index();
        let nmi = total.measure.over_world(to_index, 1.0 / joint.weight.max(1e-9));
        let overlap = total.overlap.over_world(to_index, 1.0 / self.weight_max);
        (value, nmi, overlap)
    }

    /// The measure where each sample was moved before the map, and the gradient of what is sought over each one's position.
    pub fn value_and_pulls(
        &self,
        map: &Affine,
        moved: &[[f32; 3]],
        scratch: &mut Scratch,
        pulls: &mut Vec<[f32; 3]>,
    ) -> Value {
        let joint = self.joint(map, moved, scratch);
        let table = joint.derivative();
        let share = (1.0 / joint.weight.max(1e-9)) as f32;
        let rows = self.path(map).rows;
        let back = |pull: [f32; 3]| [0, 1, 2].map(|j| share * (0..3).map(|i| rows[i][j] * pull[i]).sum::<f32>());
        let fixed = self.samples.bins();
        scratch
            .terms
            .par_iter()
            .zip(fixed)
            .map(|(term, fixed)| if term.weight > 0.0 { back(table.pull(*fixed, term)) } else { [0.0; 3] })
            .collect_into_vec(pulls);
        joint.value(self.weight_max)
    }

    /// Looks up every sample, at its own position or where it was moved, and makes the joint histogram.
    fn joint(&self, map: &Affine, positions: &[[f32; 3]], scratch: &mut Scratch) -> Joint {
        let path = self.path(map);
        let (cells, part) = self.empty(&mut scratch.histograms);
        scratch.terms.resize(self.samples.len(), Term::default());
        let parts = scratch.histograms.par_chunks_mut(cells).zip(self.samples.bins().par_chunks(part));
        let parts = parts.zip(positions.par_chunks(part)).zip(scratch.terms.par_chunks_mut(part));
        parts.for_each(|(((histogram, bins), positions), terms)| {
            for ((position, fixed), term) in positions.iter().zip(bins).zip(terms) {
                let (bin, weight, slope, taper) = self.moving.value_and_slope(path.at(position));
                *term = Term { bin, weight, slope, taper };
                if weight > 0.0 {
                    add(histogram, self.moving.n_bins, *fixed, bin, weight);
                }
            }
        });
        self.summed(&scratch.histograms)
    }

    /// Makes one empty histogram for each part; how many cells one has, and how many samples one part.
    fn empty(&self, histograms: &mut Vec<f32>) -> (usize, usize) {
        let (cells, part) = (self.samples.n_bins * self.moving.n_bins, self.part());
        histograms.clear();
        histograms.resize(self.samples.len().div_ceil(part) * cells, 0.0);
        (cells, part)
    }

    /// Samples of one part: a matter of their number alone, never of the threads.
    fn part(&self) -> usize {
        self.samples.len().div_ceil(PARTS_MAX).max(PART_MIN)
    }

    /// Sample position (about the centre) -> patient space -> moving space -> voxel index.
    fn path(&self, map: &Affine) -> Path {
        let to_index = self.moving.to_index();
        let linear = linalg::mul(to_index, map.linear());
        let shift = self.moving.world_to_index(map.apply(self.samples.centre));
        Path { rows: linear.map(|row| row.map(|v| v as f32)), shift: shift.map(|v| v as f32) }
    }

    fn summed(&self, histograms: &[f32]) -> Joint {
        let (nf, nm) = (self.samples.n_bins, self.moving.n_bins);
        let mut counts = vec![0.0f64; nf * nm];
        for part in histograms.chunks(nf * nm) {
            for (sum, value) in counts.iter_mut().zip(part) {
                *sum += f64::from(*value);
            }
        }
        Joint::new(counts, nf, nm, self.similarity)
    }
}

impl Path {
    #[inline]
    fn at(&self, p: &[f32; 3]) -> [f32; 3] {
        [0, 1, 2].map(|i| self.rows[i][0] * p[0] + self.rows[i][1] * p[1] + self.rows[i][2] * p[2] + self.shift[i])
    }
}

/// Cubic B-spline weights of the bins -1, 0, 1, 2 about the floor of a position.
#[inline]
fn window(t: f32) -> [f32; 4] {
    let s = 1.0 - t;
    let (w0, w3) = (s * s * s * (1.0 / 6.0), t * t * t * (1.0 / 6.0));
    let w2 = 2.0 / 3.0 - 0.5 * s * s * (1.0 + t);
    [w0, 1.0 - w0 - w2 - w3, w2, w3]
}

/// Derivatives of [`window`].
#[inline]
fn window_slope(t: f32) -> [f32; 4] {
    let s = 1.0 - t;
    let (d0, d3) = (-0.5 * s * s, 0.5 * t * t);
    let d2 = s * (1.0 + t) - 0.5 * s * s;
    [d0, -d0 - d2 - d3, d2, d3]
}

/// Adds one sample to a histogram: two rows of four bins. Bin positions stay at least one from both ends.
#[inline]
fn add(histogram: &mut [f32], n_moving: usize, fixed: f32, moving: f32, weight: f32) {
    let (row, up) = (fixed as usize, fixed.fract());
    let (column, t) = (moving as usize, moving.fract());
    let weights = window(t);
    for (row, share) in [(row, (1.0 - up) * weight), (row + 1, up * weight)] {
        let first = row * n_moving + column - 1;
        for (cell, w) in histogram[first..first + 4].iter_mut().zip(weights) {
            *cell += share * w;
        }
    }
}

/// The joint distribution.
struct Joint {
    n_fixed: usize,
    n_moving: usize,
    weight: f64,
    joint: Vec<f64>,
    fixed: Vec<f64>,
    moving: Vec<f64>,
    entropies: [f64; 3],
    similarity: Similarity,
}

impl Joint {
    fn new(mut joint: Vec<f64>, n_fixed: usize, n_moving: usize, similarity: Similarity) -> Self {
        let weight: f64 = joint.iter().sum();
        joint.iter_mut().for_each(|p| *p /= weight.max(1e-9));
        let fixed: Vec<f64> = joint.chunks(n_moving).map(|row| row.iter().sum()).collect();
        let mut moving = vec![0.0; n_moving];
        for row in joint.chunks(n_moving) {
            moving.iter_mut().zip(row).for_each(|(sum, p)| *sum += p);
        }
        let entropies = [entropy(&fixed), entropy(&moving), entropy(&joint)];
        Self { n_fixed, n_moving, weight, joint, fixed, moving, entropies, similarity }
    }

    fn value(&self, weight_max: f64) -> Value {
        let [fixed, moving, joint] = self.entropies;
        let nmi = if joint > 1e-12 { (fixed + moving) / joint } else { 1.0 };
        let sought = match self.similarity {
            Similarity::Nmi => nmi,
            Similarity::Mattes => (fixed + moving - joint) / self.most(),
        };
        Value { nmi, sought, overlap: self.weight / weight_max }
    }

    /// The most that mutual information can be.
    fn most(&self) -> f64 {
        (self.n_fixed.min(self.n_moving) as f64).ln()
    }

    /// d sought / d p for each cell.
    fn derivative(&self) -> Table {
        let [fixed, moving, joint] = self.entropies;
        let mut cells = vec![0.0f32; self.n_fixed * self.n_moving];
        let mut mean = 0.0;
        if joint > 1e-12 {
            // NMI = a / b has the derivative (a' - NMI b') / b; mutual information a - b has (a' - b') / most.
            let (weight, divisor) = match self.similarity {
                Similarity::Nmi => ((fixed + moving) / joint, joint),
                Similarity::Mattes => (1.0, self.most()),
            };
            let logs = |p: &[f64]| -> Vec<f64> { p.iter().map(|p| p.max(1e-12).ln() + 1.0).collect() };
            let (log_fixed, log_moving, log_joint) = (logs(&self.fixed), logs(&self.moving), logs(&self.joint));
            for (k, cell) in cells.iter_mut().enumerate() {
                let (i, j) = (k / self.n_moving, k % self.n_moving);
                let slope = (weight * log_joint[k] - log_fixed[i] - log_moving[j]) / divisor;
                mean += slope * self.joint[k];
                *cell = slope as f32;
            }
        }
        Table { n_moving: self.n_moving, cells, mean: mean as f32 }
    }
}

fn entropy(p: &[f64]) -> f64 {
    p.iter().filter(|p| **p > 1e-12).map(|p| -p * p.ln()).sum()
}

/// d sought / d p.
struct Table {
    n_moving: usize,
    cells: Vec<f32>,
    mean: f32,
}

impl Table {
    /// The gradient of what is sought over the voxel index of one sample, but for the division by the whole weight.
    #[inline]
    fn pull(&self, fixed: f32, term: &Term) -> [f32; 3] {
        let (row, up) = (fixed as usize, fixed.fract());
        let (column, t) = (term.bin as usize, term.bin.fract());
        let sum = |weights: [f32; 4]| -> f32 {
            let of_row = |row: usize| -> f32 {
                let first = row * self.n_moving + column - 1;
                let c = &self.cells[first..first + 4];
                (weights[0] * c[0] + weights[1] * c[1]) + (weights[2] * c[2] + weights[3] * c[3])
            };
            (1.0 - up) * of_row(row) + up * of_row(row + 1)
        };
        let by_value = term.weight * sum(window_slope(t));
        if term.weight >= 1.0 {
            return term.slope.map(|s| by_value * s);
        }
        let by_weight = sum(window(t)) - self.mean;
        [0, 1, 2].map(|axis| by_value * term.slope[axis] + by_weight * term.taper[axis])
    }
}

/// Sums over one part.
#[derive(Default)]
struct Sums {
    measure: Pull<f32>,
    overlap: Pull<f32>,
}

impl Sums {
    #[inline]
    fn add(&mut self, term: &Term, position: &[f32; 3], pull: [f32; 3]) {
        self.measure.add(pull, position);
        if term.weight < 1.0 {
            self.overlap.add(term.taper, position);
        }
    }
}

/// Sums over all parts.
#[derive(Default)]
struct Totals {
    measure: Pull<f64>,
    overlap: Pull<f64>,
}

impl Totals {
    fn add(&mut self, part: &Sums) {
        self.measure.add_part(&part.measure);
        self.overlap.add_part(&part.overlap);
    }
}

/// Gradient over the voxel index, and its moments about the samples' centre.
#[derive(Default)]
struct Pull<T> {
    force: [T; 3],
    moment: [[T; 3]; 3],
}

impl Pull<f32> {
    #[inline]
    fn add(&mut self, pull: [f32; 3], position: &[f32; 3]) {
        for ((force, row), pull) in self.force.iter_mut().zip(&mut self.moment).zip(pull) {
            *force += pull;
            for (moment, position) in row.iter_mut().zip(position) {
                *moment += pull * position;
            }
        }
    }
}

impl Pull<f64> {
    fn add_part(&mut self, part: &Pull<f32>) {
        let own = self.force.iter_mut().chain(self.moment.iter_mut().flatten());
        for (sum, value) in own.zip(part.force.iter().chain(part.moment.iter().flatten())) {
            *sum += f64::from(*value);
        }
    }

    /// From the voxel index to patient space: the transpose of the map between them.
    fn over_world(&self, to_index: &Mat3, scale: f64) -> LinearGradient {
        let back = linalg::transpose(to_index);
        LinearGradient {
            shift: linalg::scale(scale, linalg::mul_vec(&back, self.force)),
            linear: linalg::mul(&back, &self.moment).map(|row| linalg::scale(scale, row)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pyramid::Pyramid;
    use super::super::settings::Estimation;
    use super::super::testing::{ct, image, pair, pet};
    use super::*;

    #[test]
    fn the_gradient_of_either_measure_is_that_which_differences_of_it_show() {
        let (fixed, moving) = (image(&Affine::IDENTITY, ct), image(&Affine::translation([2.0, 1.0, 0.0]), pet));
        let pyramid = Pyramid::new(&pair(&fixed, &moving), &Estimation::default()).unwrap();
        let level = pyramid.levels.last().unwrap();
        for similarity in [Similarity::Nmi, Similarity::Mattes] {
            let measure = Measure::new(&level.samples, &level.binned, similarity);
            let mut scratch = Scratch::default();
            // Beside the voxel centres, where trilinear interpolation has a kink.
            let at = |x: f64| Affine::rigid([0.03, -0.02, 0.05], level.samples.centre, [4.7 + x, -3.6, 2.9]);
            let (value, gradient, _) = measure.value_and_gradient(&at(0.0), &mut scratch);
            let mut sought = |x: f64| measure.value(&at(x), &mut scratch).sought;
            let slope = (sought(0.05) - sought(-0.05)) / 0.1;
            assert!((slope / gradient.shift[0] - 1.0).abs() < 0.05, "{similarity:?} {slope} {:?}", gradient.shift);
            assert!((1.0..2.0).contains(&value.nmi) && (0.0..=1.0).contains(&value.overlap));
            let is_nmi = (value.sought - value.nmi).abs() < 1e-12;
            assert_eq!(is_nmi, similarity == Similarity::Nmi, "{similarity:?} {value:?}");
        }
    }
}

//! How the intensities of two images go together: correlation over the region, of ranks, in small windows; overlap of the
//! high parts.

use ndarray::Axis;
use rayon::prelude::*;

use super::region::Pair;
use crate::features::diagnostics::CHUNK;
use crate::features::statistics::percentiles;

/// What the rows pick from; NaN where it is not defined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relation {
    pub(super) pearson: f64,
    pub(super) spearman: f64,
    /// Mean of the correlation in the window around each voxel.
    pub(super) local: f64,
    /// Dice of the voxels above the percentiles 50, 75 and 90 of each image.
    pub(super) dice: [f64; 3],
}

/// A window with fewer voxels of the region tells nothing.
const WINDOW_VOXELS_MIN: f64 = 8.0;

/// The share of an image's variance that a window must have at least: below it is rounding.
const WINDOW_VARIANCE_MIN: f64 = 1e-10;

impl Relation {
    pub(super) fn of(pair: &Pair, window: usize) -> Self {
        let [a, b] = &pair.values;
        let numbers = |values: &[f32]| -> Vec<f64> { values.iter().map(|v| f64::from(*v)).collect() };
        let (spearman, (pearson, local)) = rayon::join(
            || {
                let (a, b) = rayon::join(|| ranks(a), || ranks(b));
                correlation(&a, &b)
            },
            || (correlation(&numbers(a), &numbers(b)), local(pair, window)),
        );
        Self { pearson, spearman, local, dice: dice(a, b) }
    }
}

/// Sums in an order that does not depend on the number of threads.
fn sums<const N: usize>(a: &[f64], b: &[f64], terms: impl Fn(f64, f64) -> [f64; N] + Sync) -> [f64; N] {
    let chunks = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    let parts: Vec<[f64; N]> = chunks
        .map(|(a, b)| {
            let mut sum = [0.0; N];
            for (a, b) in a.iter().zip(b) {
                sum.iter_mut().zip(terms(*a, *b)).for_each(|(sum, term)| *sum += term);
            }
            sum
        })
        .collect();
    parts.into_iter().fold([0.0; N], |mut sum, part| {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        sum
    })
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let [sum_a, sum_b] = sums(a, b, |a, b| [a, b]);
    let (mean_a, mean_b) = (sum_a / n, sum_b / n);
    let [aa, bb, ab] = sums(a, b, |a, b| {
        let (a, b) = (a - mean_a, b - mean_b);
        [a * a, b * b, a * b]
    });
    (ab / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0)
}

/// Ranks from 0; equal values share the mean of theirs.
fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.par_sort_unstable_by(|a, b| values[*a as usize].total_cmp(&values[*b as usize]).then(a.cmp(b)));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    // Zeros of either sign are equal, and sorted next to each other.
    for same in order.chunk_by(|a, b| (values[*a as usize] - values[*b as usize]).abs() <= 0.0) {
        let rank = first as f64 + (same.len() as f64 - 1.0) / 2.0;
        same.iter().for_each(|at| ranks[*at as usize] = rank);
        first += same.len();
    }
    ranks
}

/// 2 |A and B| / (|A| + |B|) of the voxels above a percentile of their image.
fn dice(a: &[f32], b: &[f32]) -> [f64; 3] {
    let thresholds = |values: &[f32]| percentiles(values, [0.5, 0.75, 0.9]);
    let (above_a, above_b) = (thresholds(a), thresholds(b));
    [0, 1, 2].map(|k| {
        let (mut both, mut all) = (0u64, 0u64);
        for (a, b) in a.iter().zip(b) {
            let (a, b) = (f64::from(*a) > above_a[k], f64::from(*b) > above_b[k]);
            both += u64::from(a && b);
            all += u64::from(a) + u64::from(b);
        }
        2.0 * both as f64 / all as f64
    })
}

/// Voxels of a window and sums of a, b, a^2, b^2 and a b over them.
type Sums = [f64; 6];

fn plus(sum: &mut Sums, terms: &Sums) {
    sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
}

/// The mean correlation in cubes around the voxels of the region, over the windows where both images vary.
///
/// A cube is a sum of sums along z, x and y: 3 (2 reach + 1) additions for each voxel instead of (2 reach + 1)^3.
fn local(pair: &Pair, reach: usize) -> f64 {
    let shared = &pair.shared;
    let (nz, ny, nx) = shared.inside.dim();
    let n = pair.values[0].len() as f64;
    let means = [0, 1].map(|k| pair.values[k].iter().map(|v| f64::from(*v)).sum::<f64>() / n);
    let variance = |k: usize| pair.values[k].iter().map(|v| (f64::from(*v) - means[k]).powi(2)).sum::<f64>() / n;
    let least = [variance(0), variance(1)].map(|variance| variance * WINDOW_VARIANCE_MIN);
    let around = |at: usize, n: usize| at.saturating_sub(reach)..(at + reach + 1).min(n);
    let none = || [vec![[0.0; 6]; ny * nx], vec![[0.0; 6]; ny * nx]];
    let in_slice = |[columns, rows]: &mut [Vec<Sums>; 2], z: usize| {
        columns.fill([0.0; 6]);
        for z in around(z, nz) {
            let [a, b] = [0, 1].map(|image: usize| shared.images[image].index_axis(Axis(0), z));
            let voxels = shared.inside.index_axis(Axis(0), z).into_iter().zip(a).zip(b);
            for (sum, ((_, a), b)) in columns.iter_mut().zip(voxels).filter(|(_, ((inside, _), _))| **inside) {
                let (a, b) = (f64::from(*a) - means[0], f64::from(*b) - means[1]);
                plus(sum, &[1.0, a, b, a * a, b * b, a * b]);
            }
        }
        for (row, columns) in rows.chunks_mut(nx).zip(columns.chunks(nx)) {
            for (x, sum) in row.iter_mut().enumerate() {
                *sum = [0.0; 6];
                columns[around(x, nx)].iter().for_each(|column| plus(sum, column));
            }
        }
        let (mut total, mut windows) = (0.0, 0.0);
        for ((y, x), _) in shared.inside.index_axis(Axis(0), z).indexed_iter().filter(|(_, inside)| **inside) {
            let mut sum = [0.0; 6];
            around(y, ny).for_each(|y| plus(&mut sum, &rows[y * nx + x]));
            if let Some(correlation) = of_window(&sum, &least) {
                total += correlation;
                windows += 1.0;
            }
        }
        (total, windows)
    };
    let slices: Vec<(f64, f64)> = (0..nz).into_par_iter().map_init(none, in_slice).collect();
    let (sum, n) = slices.into_iter().fold((0.0, 0.0), |all, slice| (all.0 + slice.0, all.1 + slice.1));
    sum / n
}

/// The correlation in a window; `None` where it has too few voxels or one of the images is flat in it.
fn of_window([n, sums @ ..]: &Sums, least: &[f64; 2]) -> Option<f64> {
    let [a, b, aa, bb, ab] = sums.map(|sum| sum / n);
    let (var_a, var_b) = (aa - a * a, bb - b * b);
    let varies = *n >= WINDOW_VOXELS_MIN && var_a > least[0] && var_b > least[1];
    varies.then(|| ((ab - a * b) / (var_a * var_b).sqrt()).clamp(-1.0, 1.0))
}

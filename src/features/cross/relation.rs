//! How the intensities of two images go together: correlation over the region, of ranks, in small windows; overlap of the
//! high parts.

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
const WINDOW_VOXELS_MIN: u32 = 8;

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

/// The mean correlation in cubes around the voxels of the region, over the windows where both images vary.
fn local(pair: &Pair, reach: usize) -> f64 {
    let shared = &pair.shared;
    let (nz, ny, nx) = shared.inside.dim();
    let n = pair.values[0].len() as f64;
    let [mean_a, mean_b] = [0, 1].map(|k| pair.values[k].iter().map(|v| f64::from(*v)).sum::<f64>() / n);
    let variance = |k: usize, mean: f64| pair.values[k].iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    let least = [variance(0, mean_a), variance(1, mean_b)].map(|variance| variance * WINDOW_VARIANCE_MIN);
    let [a, b] = [&shared.images[0], &shared.images[1]];
    let window = |z: usize, y: usize, x: usize| -> Option<f64> {
        let mut count = 0u32;
        let mut sums = [0.0; 5];
        for z in z.saturating_sub(reach)..(z + reach + 1).min(nz) {
            for y in y.saturating_sub(reach)..(y + reach + 1).min(ny) {
                for x in x.saturating_sub(reach)..(x + reach + 1).min(nx) {
                    if shared.inside[[z, y, x]] {
                        let (a, b) = (f64::from(a[[z, y, x]]) - mean_a, f64::from(b[[z, y, x]]) - mean_b);
                        let terms = [a, b, a * a, b * b, a * b];
                        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
                        count += 1;
                    }
                }
            }
        }
        let n = f64::from(count);
        let [a, b, aa, bb, ab] = sums.map(|sum| sum / n);
        let (var_a, var_b) = (aa - a * a, bb - b * b);
        let varies = count >= WINDOW_VOXELS_MIN && var_a > least[0] && var_b > least[1];
        varies.then(|| ((ab - a * b) / (var_a * var_b).sqrt()).clamp(-1.0, 1.0))
    };
    let slices: Vec<(f64, f64)> = (0..nz)
        .into_par_iter()
        .map(|z| {
            let voxels = (0..ny).flat_map(|y| (0..nx).map(move |x| (y, x))).filter(|(y, x)| shared.inside[[z, *y, *x]]);
            let found = voxels.filter_map(|(y, x)| window(z, y, x));
            found.fold((0.0, 0.0), |(sum, n), correlation| (sum + correlation, n + 1.0))
        })
        .collect();
    let (sum, n) = slices.into_iter().fold((0.0, 0.0), |all, slice| (all.0 + slice.0, all.1 + slice.1));
    sum / n
}

//! Moments, percentiles and deviations of a list of numbers: what the intensity and the histogram family share.

use rayon::prelude::*;
use wide::f64x4;

use super::diagnostics::CHUNK;

/// Statistics of a list of finite numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Statistics {
    pub(super) n: usize,
    pub(super) mean: f64,
    /// Of the population: divided by n.
    pub(super) variance: f64,
    /// Third and fourth central moment.
    pub(super) third: f64,
    pub(super) fourth: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) p10: f64,
    pub(super) p25: f64,
    pub(super) p50: f64,
    pub(super) p75: f64,
    pub(super) p90: f64,
    /// Mean absolute deviation from the mean.
    pub(super) mad: f64,
    /// The same over the values from the 10th to the 90th percentile, both included, from their own mean.
    pub(super) rmad: f64,
    /// Mean absolute deviation from the median.
    pub(super) medad: f64,
    /// Sum of squares.
    pub(super) energy: f64,
}

impl Statistics {
    /// Of these values; `None` when there are none.
    pub(super) fn of(values: &[f32]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len();
        let count = n as f64;
        let [sum, energy] = sums(values, |v| [v, v * v]);
        let mean = sum / count;
        let [min, p10, p25, p50, p75, p90, max] = percentiles(values, [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]);
        let inner = |v: f64x4| v.simd_ge(f64x4::splat(p10)) & v.simd_le(f64x4::splat(p90));
        let [second, third, fourth, mad, medad, inner_n, inner_sum] = sums(values, |v| {
            let (d, inner) = (v - mean, inner(v));
            let square = d * d;
            [square, square * d, square * square, d.abs(), (v - p50).abs(), inner & f64x4::ONE, inner & v]
        });
        let inner_mean = inner_sum / inner_n;
        let [inner_mad] = sums(values, |v| [inner(v) & (v - inner_mean).abs()]);
        Some(Self {
            n,
            mean,
            variance: second / count,
            third: third / count,
            fourth: fourth / count,
            min,
            max,
            p10,
            p25,
            p50,
            p75,
            p90,
            mad: mad / count,
            // Between two order statistics there may be none of the few values: nothing deviates then.
            rmad: if inner_n > 0.0 { inner_mad / inner_n } else { 0.0 },
            medad: medad / count,
            energy,
        })
    }

    /// Of numbers that each occur so often, in ascending order; `None` when there are none.
    pub(super) fn of_counts(counts: &[(f64, u64)]) -> Option<Self> {
        let n: u64 = counts.iter().map(|(_, count)| count).sum();
        let (min, max) = (counts.first()?.0, counts.last()?.0);
        let total = n as f64;
        let [sum, energy] = weighted(counts, |v| [v, v * v]);
        let mean = sum / total;
        let [p10, p25, p50, p75, p90] = [0.1, 0.25, 0.5, 0.75, 0.9].map(|share| count_percentile(counts, n, share));
        let [second, third, fourth, mad, medad, inner_n, inner_sum] = weighted(counts, |v| {
            let d = v - mean;
            let inner = f64::from(u8::from(v >= p10 && v <= p90));
            [d * d, d * d * d, d * d * d * d, d.abs(), (v - p50).abs(), inner, inner * v]
        });
        let inner_mean = inner_sum / inner_n;
        let [inner_mad] = weighted(counts, |v| [if v >= p10 && v <= p90 { (v - inner_mean).abs() } else { 0.0 }]);
        Some(Self {
            n: n as usize,
            mean,
            variance: second / total,
            third: third / total,
            fourth: fourth / total,
            min,
            max,
            p10,
            p25,
            p50,
            p75,
            p90,
            mad: mad / total,
            rmad: if inner_n > 0.0 { inner_mad / inner_n } else { 0.0 },
            medad: medad / total,
            energy,
        })
    }

    /// Third standardised moment; 0 where all values are equal.
    pub(super) fn skewness(&self) -> f64 {
        if self.min < self.max { self.third / self.variance.powf(1.5) } else { 0.0 }
    }

    /// Fourth standardised moment less 3; 0 where all values are equal.
    pub(super) fn kurtosis(&self) -> f64 {
        if self.min < self.max { self.fourth / (self.variance * self.variance) - 3.0 } else { 0.0 }
    }

    /// Standard deviation over mean.
    pub(super) fn cov(&self) -> f64 {
        self.variance.sqrt() / self.mean
    }

    /// (P75 - P25) / (P75 + P25).
    pub(super) fn qcod(&self) -> f64 {
        (self.p75 - self.p25) / (self.p75 + self.p25)
    }
}

/// Several sums over the values in one pass, in an order that does not depend on the number of threads.
fn sums<const N: usize>(values: &[f32], terms: impl Fn(f64x4) -> [f64x4; N] + Sync) -> [f64; N] {
    let sum = |chunk: &[f32]| {
        let (fours, rest) = chunk.as_chunks::<4>();
        let mut sums = [f64x4::ZERO; N];
        for four in fours {
            sums.iter_mut().zip(terms(f64x4::new(four.map(f64::from)))).for_each(|(sum, term)| *sum += term);
        }
        let alone = rest.iter().map(|value| terms(f64x4::splat(f64::from(*value))).map(|term| term.to_array()[0]));
        alone.fold(sums.map(f64x4::reduce_add), added)
    };
    let parts: Vec<[f64; N]> = values.par_chunks(CHUNK).map(sum).collect();
    parts.into_iter().fold([0.0; N], added)
}

fn added<const N: usize>(mut sum: [f64; N], term: [f64; N]) -> [f64; N] {
    sum.iter_mut().zip(term).for_each(|(s, t)| *s += t);
    sum
}

/// Several sums over numbers that each occur so often.
fn weighted<const N: usize>(counts: &[(f64, u64)], terms: impl Fn(f64) -> [f64; N]) -> [f64; N] {
    counts.iter().fold([0.0; N], |sum, (value, count)| added(sum, terms(*value).map(|term| term * *count as f64)))
}

/// The percentile of `n` numbers in ascending order that each occur so often: as [`percentiles`].
fn count_percentile(counts: &[(f64, u64)], n: u64, share: f64) -> f64 {
    let position = share * (n - 1) as f64;
    let below = position.floor();
    let at = |rank: u64| {
        let mut seen = 0;
        let found = counts.iter().find(|(_, count)| {
            seen += count;
            seen > rank
        });
        found.or(counts.last()).map_or(f64::NAN, |(value, _)| *value)
    };
    let (low, t) = (at(below as u64), position - below);
    if t > 0.0 { low + t * (at(below as u64 + 1) - low) } else { low }
}

/// Percentiles at ascending shares by linear interpolation between order statistics. At share p: position (n - 1) p.
pub(super) fn percentiles<const N: usize>(values: &[f32], shares: [f64; N]) -> [f64; N] {
    let last = values.len() - 1;
    let positions = shares.map(|share| share * last as f64);
    let ranks: Vec<usize> =
        positions.iter().flat_map(|at| [at.floor() as usize, (at.floor() as usize + 1).min(last)]).collect();
    let found = order_statistics(values, &ranks);
    let mut pairs = found.chunks_exact(2);
    positions.map(|at| match pairs.next() {
        Some([low, high]) if at > at.floor() => {
            let [low, high] = [*low, *high].map(f64::from);
            low + (at - at.floor()) * (high - low)
        }
        Some([low, _]) => f64::from(*low),
        _ => f64::NAN,
    })
}

/// The values of these ranks.
///
/// A long list is counted by the upper half of each value's bits; of the few buckets that hold a rank alone the members are
/// sorted. Two passes, however many ranks.
fn order_statistics(values: &[f32], ranks: &[usize]) -> Vec<f32> {
    /// Shorter lists are sorted.
    const LONG: usize = 1 << 13;
    const BUCKETS: usize = 1 << 16;
    let sort = |values: &mut Vec<f32>| values.sort_unstable_by(f32::total_cmp);
    if values.len() < LONG {
        let mut sorted = values.to_vec();
        sort(&mut sorted);
        return ranks.iter().map(|rank| sorted[*rank]).collect();
    }
    let mut counts = vec![0u32; BUCKETS];
    values.iter().for_each(|value| counts[bucket(*value)] += 1);
    // By bucket: how many values lie below it.
    let mut below = 0;
    for count in &mut counts {
        below += std::mem::replace(count, below);
    }
    let of_rank = |rank: usize| counts.partition_point(|below| *below as usize <= rank) - 1;
    let mut buckets: Vec<usize> = ranks.iter().map(|rank| of_rank(*rank)).collect();
    let at = buckets.clone();
    buckets.sort_unstable();
    buckets.dedup();
    let mut slots = vec![u8::MAX; BUCKETS];
    (0u8..).zip(&buckets).for_each(|(slot, bucket)| slots[*bucket] = slot);
    let mut members = vec![Vec::new(); buckets.len()];
    for value in values {
        if let Some(members) = members.get_mut(usize::from(slots[bucket(*value)])) {
            members.push(*value);
        }
    }
    members.iter_mut().for_each(sort);
    let value =
        |(rank, bucket): (&usize, &usize)| members[usize::from(slots[*bucket])][rank - counts[*bucket] as usize];
    ranks.iter().zip(&at).map(value).collect()
}

/// The upper half of a number that orders as the value does.
fn bucket(value: f32) -> usize {
    let bits = value.to_bits();
    let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    (ordered >> 16) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn percentiles_are_interpolated_between_order_statistics() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        let found = percentiles(&values, [0.0, 0.1, 0.25, 0.5, 0.9, 1.0]);
        for (f, e) in found.iter().zip([1.0, 1.4, 2.0, 3.0, 4.6, 5.0]) {
            assert_relative_eq!(*f, e, epsilon = 1e-12);
        }
    }

    #[test]
    fn order_statistics_of_a_long_list_are_those_of_sorting_it() {
        let values: Vec<f32> = (0u32..20_000)
            .map(|i| match i % 4 {
                0 => 0.0,
                1 => -0.0,
                _ => f32::from_bits(i.wrapping_mul(2_654_435_761)),
            })
            .filter(|value| value.is_finite())
            .collect();
        let mut sorted = values.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let ranks = [0, 1, 777, values.len() / 2, values.len() / 2 + 1, values.len() - 2, values.len() - 1];
        let found: Vec<u32> = order_statistics(&values, &ranks).into_iter().map(f32::to_bits).collect();
        assert_eq!(found, ranks.map(|rank| sorted[rank].to_bits()));
    }

    #[test]
    fn a_constant_list_has_no_skew_and_no_excess_kurtosis() {
        let flat = Statistics::of(&[0.1; 1000]).unwrap();
        assert_relative_eq!(flat.skewness(), 0.0);
        assert_relative_eq!(flat.kurtosis(), 0.0);
        assert_relative_eq!(flat.rmad, 0.0, epsilon = 1e-9);
        assert!(Statistics::of(&[]).is_none());
    }

    #[test]
    fn counted_numbers_have_the_statistics_of_the_list_that_they_stand_for() {
        let counts = [(1.0, 50), (3.0, 1), (4.0, 16), (6.0, 7)];
        let list: Vec<f32> =
            counts.iter().flat_map(|(v, n)| std::iter::repeat_n(*v as f32, usize::try_from(*n).unwrap())).collect();
        let (counted, listed) = (Statistics::of_counts(&counts).unwrap(), Statistics::of(&list).unwrap());
        assert_eq!(counted.n, listed.n);
        for (c, l) in [
            (counted.mean, listed.mean),
            (counted.fourth, listed.fourth),
            (counted.p25, listed.p25),
            (counted.p75, listed.p75),
            (counted.p90, listed.p90),
            (counted.rmad, listed.rmad),
            (counted.medad, listed.medad),
        ] {
            assert_relative_eq!(c, l, epsilon = 1e-12);
        }
        assert!(Statistics::of_counts(&[]).is_none());
    }

    #[test]
    fn the_statistics_of_one_to_five_are_those_of_pen_and_paper() {
        let s = Statistics::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_relative_eq!(s.mean, 3.0);
        assert_relative_eq!(s.variance, 2.0);
        assert_relative_eq!(s.kurtosis(), -1.3, epsilon = 1e-12);
        assert_relative_eq!(s.mad, 1.2);
        assert_relative_eq!(s.rmad, 2.0 / 3.0, epsilon = 1e-12);
        assert_relative_eq!(s.energy, 55.0);
        assert_relative_eq!(s.qcod(), 2.0 / 6.0);
    }
}

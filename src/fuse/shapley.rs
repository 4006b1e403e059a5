//! What each block contributed to a model without coefficients: its Shapley value.
//!
//! The mean over all orders of the blocks of what the linear predictor gains when the block is no longer missing. Together
//! with what the model says of a patient of whom nothing is known they sum to the linear predictor exactly, yet they hold for
//! this patient alone, and where blocks interact each gets a part of it.

/// More blocks than these share their contributions in one order only: all orders would take too long.
pub(super) const BLOCKS_MAX: usize = 10;

/// The contributions of the blocks that are `present`, of `n_blocks`; the others have 0. `linear` is the linear predictor with
/// those blocks that count.
#[allow(clippy::cast_precision_loss)] // a few blocks
pub(super) fn shapley(present: &[usize], n_blocks: usize, linear: impl Fn(&dyn Fn(usize) -> bool) -> f64) -> Vec<f64> {
    let n = present.len();
    let place = |block: usize| present.iter().position(|known| *known == block);
    let with = |set: usize| linear(&|block| place(block).is_some_and(|at| set >> at & 1 == 1));
    let mut contributions = vec![0.0; n_blocks];
    if n > BLOCKS_MAX {
        for (at, block) in present.iter().enumerate() {
            let upto = |at: usize| linear(&|block| place(block).is_some_and(|place| place < at));
            contributions[*block] = upto(at + 1) - upto(at);
        }
        return contributions;
    }
    let values: Vec<f64> = (0..1usize << n).map(with).collect();
    let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
    for (at, block) in present.iter().enumerate() {
        let without = (0..1usize << n).filter(|set| set >> at & 1 == 0);
        let part = |set: usize| {
            let size = set.count_ones() as usize;
            let weight = factorial(size) * factorial(n - size - 1) / factorial(n);
            weight * (values[set | 1 << at] - values[set])
        };
        contributions[*block] = without.map(part).sum();
    }
    contributions
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn what_blocks_do_together_is_shared_and_all_parts_sum_to_the_whole() {
        // 2 of block 0, 3 of block 2, 4 of both together; block 1 is missing.
        let linear = |counts: &dyn Fn(usize) -> bool| {
            let of = |block: usize, effect: f64| if counts(block) { effect } else { 0.0 };
            let both = if counts(0) && counts(2) { 4.0 } else { 0.0 };
            1.0 + of(0, 2.0) + of(1, 9.0) + of(2, 3.0) + both
        };
        let found = shapley(&[0, 2], 3, linear);
        for (found, expected) in found.iter().zip([4.0, 0.0, 5.0]) {
            assert_relative_eq!(*found, expected, epsilon = 1e-12);
        }
        let many: Vec<usize> = (0..12).collect();
        let found = shapley(&many, 12, |counts| many.iter().filter(|block| counts(**block)).count() as f64);
        assert!(found.iter().all(|part| (part - 1.0).abs() < 1e-12));
    }
}

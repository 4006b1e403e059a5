//! What Fourier transforms of real signals need beside the transforms themselves (`rustfft`, `realfft`).

/// The least even length of at least `n` whose prime factors are 2, 3 and 5: lengths that transform fast.
#[must_use]
pub fn fast_length(n: usize) -> usize {
    let fits = |length: usize| {
        let mut rest = length;
        for prime in [2, 3, 5] {
            while rest.is_multiple_of(prime) {
                rest /= prime;
            }
        }
        rest == 1
    };
    (n.max(2).next_multiple_of(2)..).step_by(2).find(|length| fits(*length)).unwrap_or(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_lengths_are_even_and_have_small_factors() {
        let found: Vec<usize> = [0, 1, 2, 7, 9, 13, 101, 359].into_iter().map(fast_length).collect();
        assert_eq!(found, [2, 2, 2, 8, 10, 16, 108, 360]);
    }
}

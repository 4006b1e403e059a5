//! Reproducible randomness: one independent stream per purpose, so that drawing more for one thing changes no other.

use rand::RngCore;
use rand_pcg::Pcg64;

use super::linalg;

/// A stream of random numbers that depends on the seed and the purpose alone.
#[derive(Debug, Clone)]
pub struct Stream(Pcg64);

impl Stream {
    /// The stream of one purpose: equal parts give equal numbers, other parts give unrelated ones.
    #[must_use]
    pub fn new(seed: u64, purpose: u64, index: u64) -> Self {
        let state = (u128::from(seed) << 64) | u128::from(index);
        let mut generator = Pcg64::new(state, u128::from(purpose));
        // The first outputs of neighbouring PCG states are alike; these are thrown away.
        for _ in 0..4 {
            generator.next_u64();
        }
        Self(generator)
    }

    /// Uniform in [0, 1) on a lattice of 2^-53.
    #[allow(clippy::cast_precision_loss)]
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number below `n`; 0 for an `n` of 0 or 1.
    #[allow(clippy::cast_possible_truncation)]
    pub fn below(&mut self, n: usize) -> usize {
        // 64 random bits times n: the part above the binary point. Its bias, n / 2^64, is beyond any measurement.
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// Puts things into a random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let other = self.below(last + 1);
            things.swap(last, other);
        }
    }

    /// Mean 0, variance 1: the sum of twelve uniform numbers less six (Irwin-Hall). It never leaves +-6 and needs no
    /// logarithm.
    pub fn normal(&mut self) -> f64 {
        let mut sum = 0u64;
        for _ in 0..3 {
            let bits = self.0.next_u64();
            sum += (0..4).map(|part| (bits >> (16 * part)) & 0xFFFF).sum::<u64>();
        }
        // Twelve 16-bit numbers, each with mean 65535/2 and variance (2^32 - 1)/12.
        #[allow(clippy::cast_precision_loss)]
        let centred = sum as f64 - 12.0 * 32767.5;
        centred / 4_294_967_295.0f64.sqrt()
    }

    /// A direction, uniform on the unit sphere.
    pub fn direction(&mut self) -> [f64; 3] {
        for _ in 0..64 {
            let v = [0; 3].map(|_| 2.0 * self.uniform() - 1.0);
            let norm = linalg::norm(v);
            if (0.1..=1.0).contains(&norm) {
                return linalg::scale(1.0 / norm, v);
            }
        }
        [0.0, 0.0, 1.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut stream = Stream::new(7, 1, 0);
        let n = 40_000;
        let values: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|v| v * v).sum::<f64>() / f64::from(n) - mean * mean;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn shuffling_keeps_all_and_every_place_is_as_likely() {
        let mut counts = [0; 5];
        for index in 0..5000 {
            let mut things = [0, 1, 2, 3, 4];
            Stream::new(1, 9, index).shuffle(&mut things);
            counts[things.iter().position(|t| *t == 0).unwrap()] += 1;
            things.sort_unstable();
            assert_eq!(things, [0, 1, 2, 3, 4]);
        }
        assert!(counts.iter().all(|n| (900..1100).contains(n)), "{counts:?}");
        assert_eq!(Stream::new(1, 1, 1).below(0), 0);
    }

    #[test]
    fn streams_of_other_purposes_and_slices_are_unrelated() {
        let draw = |seed, purpose, index| {
            let mut s = Stream::new(seed, purpose, index);
            (0..2000).map(|_| s.normal()).collect::<Vec<f64>>()
        };
        let first = draw(1, 1, 0);
        assert_eq!(first, draw(1, 1, 0));
        for other in [draw(2, 1, 0), draw(1, 2, 0), draw(1, 1, 1)] {
            let correlation = first.iter().zip(&other).map(|(a, b)| a * b).sum::<f64>() / 2000.0;
            assert!(correlation.abs() < 0.1, "{correlation}");
        }
    }
}

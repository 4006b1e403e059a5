//! Weights and prefilters of one-dimensional interpolation.
//!
//! Cubic B-spline interpolation (Unser, Aldroubi and Eden 1993): samples s are first turned into coefficients c with
//! s = c * (1/6, 4/6, 1/6), by one causal and one anticausal first-order recursion with the pole sqrt(3) - 2; the value
//! between samples is then the sum of four coefficients times the cubic B-spline. Beyond its ends the signal is mirrored
//! at the outermost samples (s\[-1\] = s\[1\]).

#![allow(clippy::cast_precision_loss)] // sample counts are far below 2^53

/// The pole of the cubic B-spline's inverse filter, sqrt(3) - 2.
const POLE: f64 = -0.267_949_192_431_122_7;

/// After so many samples a power of the pole is below 1e-17 and no longer counts.
const HORIZON: usize = 30;

/// How far (samples) the prefilter looks: a sample this far away moves a coefficient by less than 2e-9 of its value.
pub const PREFILTER_REACH: usize = 15;

/// Weights of the four neighbours -1, 0, 1, 2 at the fraction `t` in \[0, 1\] for the cubic B-spline.
#[must_use]
pub fn bspline_weights(t: f64) -> [f64; 4] {
    let s = 1.0 - t;
    let outer = [s * s * s / 6.0, t * t * t / 6.0];
    let inner = [2.0 / 3.0 - 0.5 * t * t * (2.0 - t), 2.0 / 3.0 - 0.5 * s * s * (2.0 - s)];
    [outer[0], inner[0], inner[1], outer[1]]
}

/// Weights of the four neighbours -1, 0, 1, 2 at the fraction `t` for the cubic convolution of Keys (1981, a = -1/2).
///
/// Their zeroth, first and second moments are exact (1, t, t^2), so shifting a kernel with them changes its variance by
/// nothing.
#[must_use]
pub fn keys_weights(t: f64) -> [f64; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [-0.5 * t + t2 - 0.5 * t3, 1.0 - 2.5 * t2 + 1.5 * t3, 0.5 * t + 2.0 * t2 - 1.5 * t3, -0.5 * t2 + 0.5 * t3]
}

/// Neighbours of a windowed sinc on each side of a position.
pub const SINC_REACH: usize = 4;

/// Weights of the eight neighbours -3 to 4 at the fraction `t` for the sinc under the window of Lanczos, w(d) = sinc(d)
/// sinc(d / 4) with sinc(x) = sin(pi x) / (pi x).
///
/// They are divided by their sum, which is one but for a hundredth: a constant stays itself (Duchon 1979).
#[must_use]
pub fn sinc_weights(t: f64) -> [f64; 2 * SINC_REACH] {
    let sinc = |x: f64| {
        let angle = std::f64::consts::PI * x;
        if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle }
    };
    let reach = SINC_REACH as f64;
    let weights: [f64; 2 * SINC_REACH] = std::array::from_fn(|k| {
        let distance = t + reach - 1.0 - k as f64;
        if distance.abs() < reach { sinc(distance) * sinc(distance / reach) } else { 0.0 }
    });
    let total: f64 = weights.iter().sum();
    weights.map(|weight| weight / total)
}

/// Turns samples into cubic B-spline coefficients, in place, along the first axis of a `[n][width]` block.
///
/// `width` signals are filtered side by side, which keeps the processor's lanes busy although the recursion is serial.
/// A single sample (n = 1) stays as it is. A block whose length is no multiple of `width` is left alone beyond its last
/// whole row.
pub fn bspline_prefilter(block: &mut [f64], width: usize) {
    if width == 0 {
        return;
    }
    let n = block.len() / width;
    if n < 2 {
        return;
    }
    // The gain of both recursions together: (1 - z)(1 - 1/z) = 6.
    for value in block.iter_mut() {
        *value *= 6.0;
    }
    let first = causal_start(block, n, width);
    block[..width].copy_from_slice(&first);
    for k in 1..n {
        let (done, rest) = block.split_at_mut(k * width);
        let before = &done[(k - 1) * width..];
        for (value, previous) in rest[..width].iter_mut().zip(before) {
            *value += POLE * previous;
        }
    }
    let scale = POLE / (POLE * POLE - 1.0);
    let (head, tail) = block.split_at_mut((n - 1) * width);
    for (last, before) in tail[..width].iter_mut().zip(&head[(n - 2) * width..]) {
        *last = scale * (*last + POLE * before);
    }
    for k in (0..n - 1).rev() {
        let (rest, done) = block.split_at_mut((k + 1) * width);
        for (value, next) in rest[k * width..].iter_mut().zip(&done[..width]) {
            *value = POLE * (next - *value);
        }
    }
}

/// The first value of the causal recursion under mirror ends: the sum over k of pole^k s\[k\], the signal being periodic with
/// 2n - 2; summed in closed form for short signals and to the horizon for long ones.
fn causal_start(block: &[f64], n: usize, width: usize) -> Vec<f64> {
    let mut start = block[..width].to_vec();
    let mut add = |k: usize, weight: f64| {
        for (sum, value) in start.iter_mut().zip(&block[k * width..]) {
            *sum += weight * value;
        }
    };
    if n > HORIZON {
        let mut power = POLE;
        for k in 1..HORIZON {
            add(k, power);
            power *= POLE;
        }
        return start;
    }
    let order = |k: usize| i32::try_from(k).map_or(0.0, |k| POLE.powi(k));
    for k in 1..n - 1 {
        add(k, order(k) + order(2 * n - 2 - k));
    }
    add(n - 1, order(n - 1));
    let period = 1.0 / (1.0 - order(2 * n - 2));
    for sum in &mut start {
        *sum *= period;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn mirrored(coefficients: &[f64], k: isize) -> f64 {
        let period = 2 * coefficients.len() as isize - 2;
        let k = k.rem_euclid(period);
        coefficients[usize::try_from(k.min(period - k)).unwrap()]
    }

    #[test]
    fn the_spline_passes_through_its_samples_for_short_and_long_signals() {
        for n in [2, 3, 5, 29, 30, 31, 100] {
            let samples: Vec<f64> = (0..n).map(|k| ((k * 7919) % 101) as f64 - 30.0).collect();
            let mut c = samples.clone();
            bspline_prefilter(&mut c, 1);
            for (k, sample) in samples.iter().enumerate() {
                let k = k as isize;
                let value = (mirrored(&c, k - 1) + 4.0 * mirrored(&c, k) + mirrored(&c, k + 1)) / 6.0;
                assert_relative_eq!(value, *sample, epsilon = 1e-10);
            }
        }
    }

    #[test]
    fn sinc_weights_are_one_neighbour_at_a_sample_and_mirror_each_other_in_between() {
        for (k, weight) in sinc_weights(0.0).into_iter().enumerate() {
            assert_relative_eq!(weight, if k == SINC_REACH - 1 { 1.0 } else { 0.0 }, epsilon = 1e-12);
        }
        for t in [0.1, 0.25, 0.5, 0.9] {
            let (forth, back) = (sinc_weights(t), sinc_weights(1.0 - t));
            assert_relative_eq!(forth.iter().sum::<f64>(), 1.0, epsilon = 1e-12);
            for (a, b) in forth.iter().zip(back.iter().rev()) {
                assert_relative_eq!(*a, *b, epsilon = 1e-12);
            }
        }
    }

    #[test]
    fn signals_side_by_side_do_not_mix() {
        let mut alone = vec![1.0, 5.0, -2.0, 7.0];
        let mut block: Vec<f64> = alone.iter().flat_map(|v| [*v, 100.0 - v, 3.0]).collect();
        bspline_prefilter(&mut alone, 1);
        bspline_prefilter(&mut block, 3);
        for (row, value) in block.chunks(3).zip(&alone) {
            assert_relative_eq!(row[0], *value, epsilon = 1e-12);
            assert_relative_eq!(row[2], 3.0, epsilon = 1e-12);
        }
    }

    #[test]
    fn both_cubic_kernels_keep_the_moments_they_promise() {
        for t in [0.0, 0.1, 0.5, 0.77, 1.0] {
            let moment = |w: [f64; 4], order: i32| -> f64 {
                w.iter().zip([-1.0f64, 0.0, 1.0, 2.0]).map(|(w, x)| w * x.powi(order)).sum()
            };
            for weights in [bspline_weights(t), keys_weights(t)] {
                assert_relative_eq!(moment(weights, 0), 1.0, epsilon = 1e-14);
                assert_relative_eq!(moment(weights, 1), t, epsilon = 1e-14);
            }
            assert_relative_eq!(moment(keys_weights(t), 2), t * t, epsilon = 1e-14);
            assert_relative_eq!(moment(bspline_weights(t), 2), t * t + 1.0 / 3.0, epsilon = 1e-14);
        }
    }
}

//! Sharpening of a histogram: the image that a histogram without blur would give (Sled, Zijdenbos and Evans, IEEE Trans Med
//! Imaging 1998;17:87; the steps of N4ITK).

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bins

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::BiasSettings;

/// For each value the expectation of its sharp counterpart; `None` when all values are the same.
pub(super) fn sharpen(values: &[f64], settings: &BiasSettings) -> Option<Vec<f64>> {
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    let n_bins = settings.bins.max(2);
    let width = (high - low) / (n_bins - 1) as f64;
    if !(width > 0.0 && width.is_finite()) {
        return None;
    }
    let histogram = histogram(values, low, width, n_bins);
    let expectations = expectations(&histogram, low, width, settings);
    let sharp = |value: &f64| {
        let place = (value - low) / width;
        let below = (place.floor() as usize).min(n_bins - 1);
        match expectations.get(below + 1) {
            Some(next) => expectations[below] + (next - expectations[below]) * (place - below as f64),
            None => expectations[below],
        }
    };
    Some(values.iter().map(sharp).collect())
}

/// Each value is shared by the two bins whose middles it lies between.
fn histogram(values: &[f64], low: f64, width: f64, n_bins: usize) -> Vec<f64> {
    let mut histogram = vec![0.0; n_bins];
    for value in values {
        let place = (value - low) / width;
        let below = (place.floor() as usize).min(n_bins - 1);
        let share = place - below as f64;
        histogram[below] += 1.0 - share;
        if let Some(next) = histogram.get_mut(below + 1) {
            *next += share;
        }
    }
    histogram
}

/// The expectation of the sharp value for each bin: the histogram is deconvolved with the Gaussian of the field, and the
/// result weighted with that Gaussian around each bin.
fn expectations(histogram: &[f64], low: f64, width: f64, settings: &BiasSettings) -> Vec<f64> {
    // Twice the next power of two: what wraps around meets nothing.
    let padded = 2 * histogram.len().next_power_of_two();
    let start = (padded - histogram.len()) / 2;
    let mut planner = FftPlanner::new();
    let (forth, back) = (planner.plan_fft_forward(padded), planner.plan_fft_inverse(padded));
    let complex = |real: f64| Complex::new(real, 0.0);
    let transformed = |mut signal: Vec<Complex<f64>>| {
        forth.process(&mut signal);
        signal
    };
    let gaussian = transformed(gaussian(padded, settings.fwhm / width).into_iter().map(complex).collect());

    let mut blurred = vec![complex(0.0); padded];
    blurred[start..start + histogram.len()].iter_mut().zip(histogram).for_each(|(bin, count)| bin.re = *count);
    let mut sharp = transformed(blurred);
    for (bin, g) in sharp.iter_mut().zip(&gaussian) {
        // Wiener filter; of a symmetric kernel only the real part counts.
        *bin *= (g.conj() / (g.conj() * g + settings.wiener_noise)).re;
    }
    back.process(&mut sharp);
    let sharp: Vec<f64> = sharp.iter().map(|bin| (bin.re / padded as f64).max(0.0)).collect();

    let convolved = |signal: Vec<Complex<f64>>| {
        let mut signal = transformed(signal);
        signal.iter_mut().zip(&gaussian).for_each(|(bin, g)| *bin *= g);
        back.process(&mut signal);
        signal
    };
    let value = |bin: usize| low + (bin as f64 - start as f64) * width;
    let weighted = convolved(sharp.iter().enumerate().map(|(bin, count)| complex(count * value(bin))).collect());
    let counts = convolved(sharp.into_iter().map(complex).collect());
    let of_bin = |(weighted, count): (&Complex<f64>, &Complex<f64>)| {
        if count.re == 0.0 { 0.0 } else { weighted.re / count.re }
    };
    weighted.iter().zip(&counts).map(of_bin).skip(start).take(histogram.len()).collect()
}

/// A Gaussian of that width in bins around bin 0, which wraps around.
fn gaussian(n: usize, fwhm_bins: f64) -> Vec<f64> {
    let four_ln_2 = 4.0 * std::f64::consts::LN_2;
    let peak = (four_ln_2 / std::f64::consts::PI).sqrt() / fwhm_bins;
    let at = |bin: usize| {
        let distance = bin.min(n - bin) as f64;
        peak * (-four_ln_2 * (distance / fwhm_bins).powi(2)).exp()
    };
    (0..n).map(at).collect()
}

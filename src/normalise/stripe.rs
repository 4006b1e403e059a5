//! White stripe (Shinohara et al., NeuroImage Clin 2014;6:9), for heads only: normal-appearing white matter is the last peak
//! of a T1-weighted histogram and the largest of a T2-weighted one; the voxels within five per cent of the ranks around it
//! are the stripe, and the image becomes (I - mean) / standard deviation of the stripe.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bins and ranks

use rayon::slice::ParallelSliceMut;
use serde::{Deserialize, Serialize};

use super::landmarks::{body_values, quantile};
use super::{Fitted, NormaliseError, Scale};
use crate::image::{Mask, Volume};

/// Half of the stripe, as a share of the ranks.
const HALF_WIDTH: f64 = 0.05;

/// Bins of the histogram, between the outermost percentiles that count.
const BINS: usize = 400;
const TAILS: (f64, f64) = (0.005, 0.995);

/// Standard deviation of the Gaussian that smooths it, in bins.
const SMOOTHING_BINS: f64 = 8.0;

/// A peak is at least this share of the highest one.
const PEAK_SHARE_MIN: f64 = 0.1;

/// What a head image is weighted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contrast {
    /// White matter is the brightest tissue.
    T1,
    /// White matter is the most frequent tissue.
    T2,
}

pub(super) fn fit(image: &Volume<f32>, contrast: Contrast, body: Option<&Mask>) -> Result<Fitted, NormaliseError> {
    let mut values = body_values(image, body)?;
    if values.is_empty() {
        return Err(NormaliseError::EmptyBody);
    }
    values.par_sort_unstable_by(f32::total_cmp);
    let flat = NormaliseError::Flat { n_voxels: values.len() };
    let peak = peak(&values, contrast).ok_or(flat)?;
    let rank = values.partition_point(|value| f64::from(*value) < peak) as f64 / values.len() as f64;
    let (low, high) = (quantile(&values, rank - HALF_WIDTH), quantile(&values, rank + HALF_WIDTH));
    let stripe: Vec<f64> = values.iter().map(|v| f64::from(*v)).filter(|v| (low..=high).contains(v)).collect();
    let n = stripe.len() as f64;
    let mean = stripe.iter().sum::<f64>() / n;
    let deviation = (stripe.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    if deviation.is_nan() || deviation <= f64::from(f32::EPSILON) * mean.abs() {
        return Err(flat);
    }
    let note = format!(
        "white stripe around {peak:.6}: {} voxels, mean {mean:.6}, standard deviation {deviation:.6}",
        stripe.len()
    );
    Ok(Fitted { scale: Scale::Linear { offset: mean, divisor: deviation }, resegment: None, note })
}

/// The intensity of the white matter's peak in a smoothed histogram of sorted values.
fn peak(sorted: &[f32], contrast: Contrast) -> Option<f64> {
    let (low, high) = (quantile(sorted, TAILS.0), quantile(sorted, TAILS.1));
    if low.is_nan() || high <= low {
        return None;
    }
    let width = (high - low) / BINS as f64;
    let mut counts = vec![0.0; BINS];
    for value in sorted.iter().map(|value| f64::from(*value)).filter(|value| (low..high).contains(value)) {
        if let Some(count) = counts.get_mut(((value - low) / width) as usize) {
            *count += 1.0;
        }
    }
    let smooth = smoothed(&counts);
    let highest = smooth.iter().copied().fold(0.0, f64::max);
    let is_peak = |bin: &usize| {
        let at = |bin: usize| smooth.get(bin).copied().unwrap_or(0.0);
        let before = if *bin == 0 { 0.0 } else { at(bin - 1) };
        at(*bin) > before && at(*bin) >= at(bin + 1) && at(*bin) >= PEAK_SHARE_MIN * highest
    };
    let mut peaks = (0..BINS).filter(is_peak);
    let bin = match contrast {
        Contrast::T1 => peaks.next_back()?,
        Contrast::T2 => peaks.max_by(|a, b| smooth[*a].total_cmp(&smooth[*b]))?,
    };
    Some(low + (bin as f64 + 0.5) * width)
}

/// A histogram after a Gaussian; beyond its ends there is nothing.
fn smoothed(counts: &[f64]) -> Vec<f64> {
    let reach = (4.0 * SMOOTHING_BINS) as usize;
    let weights: Vec<f64> = (0..=reach).map(|k| (-0.5 * (k as f64 / SMOOTHING_BINS).powi(2)).exp()).collect();
    (0..counts.len())
        .map(|bin| {
            let window = bin.saturating_sub(reach)..(bin + reach + 1).min(counts.len());
            window.map(|other| counts[other] * weights[bin.abs_diff(other)]).sum()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;

    /// Fluid, grey and white matter, each a triangle around its intensity.
    fn head(gain: f32) -> (Volume<f32>, Mask) {
        let mut values = Vec::new();
        for (centre, half_width, n) in [(150.0, 60.0, 3000u16), (500.0, 80.0, 9000), (800.0, 60.0, 7000)] {
            for k in 0..n {
                let u = (f32::from(k) + 0.5) / f32::from(n);
                let triangle = if u < 0.5 { (2.0 * u).sqrt() - 1.0 } else { 1.0 - (2.0 * (1.0 - u)).sqrt() };
                values.push(gain * (centre + half_width * triangle));
            }
        }
        let grid = Geometry::new([values.len(), 1, 1], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
        (Volume::from_values(grid, values).unwrap(), Mask::filled(grid, true))
    }

    #[test]
    fn white_matter_is_the_last_peak_of_t1_and_the_largest_of_t2() {
        // The stripe holds a tenth of all 19000 voxels around the middle of a triangle: it reaches
        // a = h (1 - sqrt(1 - 1900 / n)) to both sides, with variance (a^3/3 - a^4/4h) / (a - a^2/2h).
        for (contrast, centre, h, n) in [(Contrast::T1, 800.0, 60.0, 7000.0), (Contrast::T2, 500.0, 80.0, 9000.0)] {
            let (image, body) = head(1.0);
            let scale = fit(&image, contrast, Some(&body)).unwrap().scale;
            let Scale::Linear { offset, divisor } = scale else { panic!("{scale:?}") };
            assert!((offset - centre).abs() < 3.0, "{contrast:?}: {offset}");
            let a: f64 = h * (1.0 - (1.0 - 1900.0_f64 / n).sqrt());
            let variance = (a.powi(3) / 3.0 - a.powi(4) / (4.0 * h)) / (a - a * a / (2.0 * h));
            assert!((divisor - variance.sqrt()).abs() < 0.02 * divisor, "{contrast:?}: {divisor}, {}", variance.sqrt());
        }
    }

    #[test]
    fn gain_does_not_matter() {
        let scales = [1.0, 4.0].map(|gain| {
            let (image, body) = head(gain);
            fit(&image, Contrast::T1, Some(&body)).unwrap().scale
        });
        assert!((scales[0].of(600.0) - scales[1].of(2400.0)).abs() < 0.05);
        let (image, body) = head(0.0);
        assert!(matches!(fit(&image, Contrast::T1, Some(&body)), Err(NormaliseError::Flat { .. })));
    }
}

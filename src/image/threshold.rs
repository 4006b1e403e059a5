//! A value between two classes of voxels.

#![allow(clippy::cast_precision_loss)] // voxel counts

use super::Volume;

/// The threshold on the square root of the value above the darkest percentile that separates two classes best (Otsu 1979).
///
/// On the plain values the brightest tissue would be one class and all other tissue the other.
#[must_use]
pub fn two_class_threshold(image: &Volume<f32>) -> Option<f32> {
    const BINS: usize = 128;
    let mut values: Vec<f32> = image.voxels.iter().copied().filter(|value| value.is_finite()).collect();
    let last = values.len().checked_sub(1)?;
    let mut percentile = |p: usize| *values.select_nth_unstable_by(last * p / 1000, f32::total_cmp).1;
    let (low, high) = (percentile(5), percentile(995));
    let span = high - low;
    if span.is_nan() || span <= 0.0 {
        return None;
    }
    let mut counts = [0.0f64; BINS];
    for value in &values {
        let share = ((value - low) / span).clamp(0.0, 1.0).sqrt();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let bin = (share * (BINS - 1) as f32) as usize;
        counts[bin] += 1.0;
    }
    let total: f64 = counts.iter().sum();
    let moment: f64 = counts.iter().enumerate().map(|(k, n)| k as f64 * n).sum();
    let (mut below, mut below_moment) = (0.0, 0.0);
    let (mut best, mut at) = (0.0, 0);
    for (k, n) in counts.iter().enumerate().take(BINS - 1) {
        below += n;
        below_moment += k as f64 * n;
        let above = total - below;
        if below > 0.0 && above > 0.0 {
            let distance = below_moment / below - (moment - below_moment) / above;
            let between = below * above * distance * distance;
            if between > best {
                (best, at) = (between, k);
            }
        }
    }
    let share = (at as f32 + 1.0) / (BINS - 1) as f32;
    Some(low + span * share * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;

    #[test]
    fn tissue_is_told_from_air_though_a_small_organ_is_many_times_brighter() {
        let grid = Geometry::new([1000, 1, 1], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
        let value = |k: usize| match k {
            0..500 => 2.0 + (k % 3) as f32,
            500..980 => 90.0 + (k % 40) as f32,
            _ => 1500.0,
        };
        let image = Volume::from_values(grid, (0..1000).map(value).collect()).unwrap();
        let threshold = two_class_threshold(&image).unwrap();
        assert!((4.0..90.0).contains(&threshold), "{threshold}");
        assert!(two_class_threshold(&Volume::filled(grid, 3.0)).is_none());
    }
}

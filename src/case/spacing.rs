//! Missing slices, told by the heights of those that are there.

/// Slices nearer than this lie at one position, as for the volume that is made of them.
const SAME_POSITION_MM: f64 = 0.01;

/// A gap may differ from a whole number of spacings by this fraction of one spacing.
const GAP_TOLERANCE: f64 = 0.05;

/// Slices that a series lacks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MissingSlices {
    /// How many.
    pub n: u64,
    /// The distance of neighbours where none is missing.
    pub spacing_mm: f64,
}

/// The slices missing between the lowest and the highest one; `None` where there is no reason to wait for any.
///
/// They are missing where every gap is a whole number of the smallest one and some are several of them. The smallest one,
/// not the median: while slices still come in any order most gaps may be wide. Gaps that are no multiples are how the series
/// was scanned: nothing more will come, and the volume is judged by its own rules. What lies beyond the first and the last
/// slice cannot be known.
pub(super) fn missing_slices(heights_mm: &[f32]) -> Option<MissingSlices> {
    let mut heights: Vec<f64> = heights_mm.iter().map(|height| f64::from(*height)).collect();
    heights.sort_by(f64::total_cmp);
    heights.dedup_by(|next, last| *next - *last < SAME_POSITION_MM);
    let gaps: Vec<f64> = heights.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let smallest = gaps.iter().copied().fold(f64::INFINITY, f64::min);
    // The mean of all single gaps: over a wide gap the error of one would add up.
    let singles = gaps.iter().filter(|gap| **gap <= smallest + tolerance_mm(smallest));
    let (n_singles, sum) = singles.fold((0.0, 0.0), |(n, sum), gap| (n + 1.0, sum + gap));
    let spacing_mm = sum / n_singles;
    let mut n: u64 = 0;
    for gap in &gaps {
        let multiple = (gap / spacing_mm).round();
        if (gap - multiple * spacing_mm).abs() > tolerance_mm(spacing_mm) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // At least 1; a height is no astronomic number.
        let here = multiple as u64;
        n = n.saturating_add(here.saturating_sub(1));
    }
    (n > 0).then_some(MissingSlices { n, spacing_mm })
}

fn tolerance_mm(spacing_mm: f64) -> f64 {
    SAME_POSITION_MM.max(GAP_TOLERANCE * spacing_mm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n_missing(heights: &[f32]) -> u64 {
        missing_slices(heights).map_or(0, |missing| missing.n)
    }

    #[test]
    fn a_hole_in_the_middle_is_counted_in_slices() {
        let all: Vec<f32> = (0..40_u8).map(|k| -100.0 + 3.27 * f32::from(k)).collect();
        assert_eq!(missing_slices(&all), None);
        let without = |gone: &[usize]| -> Vec<f32> {
            all.iter().enumerate().filter(|(k, _)| !gone.contains(k)).map(|(_, height)| *height).collect()
        };
        let one = missing_slices(&without(&[7])).unwrap();
        assert_eq!(one.n, 1);
        assert!((one.spacing_mm - 3.27).abs() < 1e-4);
        assert_eq!(n_missing(&without(&[7, 8, 9, 30])), 4);
        let late: Vec<usize> = (2..39).collect();
        assert_eq!(n_missing(&without(&late)), 37);
        // The ends cannot be known.
        assert_eq!(n_missing(&without(&[0, 39])), 0);
    }

    #[test]
    fn most_slices_may_be_missing() {
        assert_eq!(n_missing(&[0.0, 6.0, 12.0, 15.0, 24.0]), 4);
    }

    #[test]
    fn uneven_gaps_and_repeated_positions_are_not_missing_slices() {
        assert_eq!(n_missing(&[0.0, 3.0, 7.5, 10.5]), 0);
        assert_eq!(n_missing(&[0.0, 0.0, 3.0, 3.002, 6.0, 6.0]), 0);
        assert_eq!(n_missing(&[0.0, 0.0, 6.0, 9.0, 9.0]), 1);
        for few in [&[][..], &[1.0], &[1.0, 5.0], &[2.0, 2.0, 2.0]] {
            assert_eq!(n_missing(few), 0);
        }
    }

    #[test]
    fn seams_of_pet_beds_are_within_the_tolerance() {
        let mut heights: Vec<f32> = (0..47_u8).map(|k| 3.27 * f32::from(k)).collect();
        heights.extend((0..47_u8).map(|k| 47.0 * 3.27 + 0.08 + 3.27 * f32::from(k)));
        assert_eq!(n_missing(&heights), 0);
    }
}

//! Statistics of the grey levels in the region (IBSI 3.4, ZVCW).
//!
//! As the intensity statistics, with the mode (of several, the one closest to the mean, then the lower), entropy and
//! uniformity of the shares, and the steepest ascent and descent of the histogram. The gradient is central, one-sided at the
//! first and the last bin; bins without voxels count, so that it is looked for beside every bin that has some.

use super::discretise::GreyLevelCounts;
use super::results::Results;
use super::statistics::Statistics;
use super::table::{Row, Unit};
use super::{Family, Settings};

/// The statistics of the region's grey levels.
pub(super) fn measure(levels: &GreyLevelCounts, settings: &Settings, results: &mut Results) {
    if let Some(histogram) = Histogram::of(levels) {
        results.add(&ROWS, &histogram, "", "", &settings.discretise.label());
    }
}

/// What the rows are computed from.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    /// Statistics of the levels.
    statistics: Statistics,
    mode: f64,
    entropy: f64,
    uniformity: f64,
    /// Gradient and level of the steepest ascent and of the steepest descent; `None` where there is one bin.
    ascent: Option<(f64, f64)>,
    descent: Option<(f64, f64)>,
}

impl Histogram {
    /// Of these grey levels; `None` when there are none.
    fn of(levels: &GreyLevelCounts) -> Option<Self> {
        let counts: Vec<(f64, u64)> = levels.occupied.iter().map(|(level, n)| (f64::from(*level), *n)).collect();
        let statistics = Statistics::of_counts(&counts)?;
        let shares = || counts.iter().map(|(_, count)| *count as f64 / statistics.n as f64);
        let most = counts.iter().map(|(_, count)| *count).max()?;
        let distance = |level: f64| (level - statistics.mean).abs();
        let mode = counts
            .iter()
            .filter(|(_, count)| *count == most)
            .map(|(level, _)| *level)
            .reduce(|mode, level| if distance(level) < distance(mode) { level } else { mode })?;
        let steepest = |sign: f64| {
            let slopes = slopes(&levels.occupied, levels.n_levels);
            slopes.map(|(level, slope)| (slope, level)).reduce(|a, b| if sign * b.0 > sign * a.0 { b } else { a })
        };
        Some(Self {
            statistics,
            mode,
            entropy: shares().map(|p| -p * p.log2()).sum(),
            uniformity: shares().map(|p| p * p).sum(),
            ascent: steepest(1.0),
            descent: steepest(-1.0),
        })
    }
}

/// Level and gradient of every bin from 1 to `n_levels` that may have one other than zero, ascending; also of the first bin
/// of all, in case there is no other.
fn slopes(occupied: &[(u32, u64)], n_levels: u32) -> impl Iterator<Item = (f64, f64)> + '_ {
    let count = |level: u32| {
        let found = occupied.binary_search_by_key(&level, |(level, _)| *level);
        found.map_or(0.0, |at| occupied[at].1 as f64)
    };
    let mut beside: Vec<u32> = occupied.iter().flat_map(|(level, _)| [level - 1, *level, level + 1]).collect();
    // A bin far from all others is flat: one of them stands for all of them.
    beside.extend(occupied.iter().map(|(level, _)| level + 2).chain([1, n_levels]));
    beside.sort_unstable();
    beside.dedup();
    beside.into_iter().filter(move |level| n_levels > 1 && (1..=n_levels).contains(level)).map(move |level| {
        let slope = if level == 1 {
            count(2) - count(1)
        } else if level == n_levels {
            count(level) - count(level - 1)
        } else {
            (count(level + 1) - count(level - 1)) / 2.0
        };
        (f64::from(level), slope)
    })
}

const QUARTILES_CANCEL: &str = "the quartiles add up to zero";
const ONE_BIN: &str = "the histogram has one bin and no gradient";

const fn row(id: &'static str, tag: &'static str, name: &'static str, eval: fn(&Histogram) -> f64) -> Row<Histogram> {
    Row::new(Family::Histogram, id, tag, name, Unit::One, eval)
}

fn value_of(extreme: Option<(f64, f64)>) -> f64 {
    extreme.map_or(f64::NAN, |(slope, _)| slope)
}

fn level_of(extreme: Option<(f64, f64)>) -> f64 {
    extreme.map_or(f64::NAN, |(_, level)| level)
}

/// The rows of the family.
pub(super) static ROWS: [Row<Histogram>; 23] = [
    row("X6K6", "ih_mean", "Mean discretised intensity", |h| h.statistics.mean),
    row("CH89", "ih_var", "Discretised intensity variance", |h| h.statistics.variance),
    row("88K1", "ih_skew", "Discretised intensity skewness", |h| h.statistics.skewness()),
    row("C3I7", "ih_kurt", "(Excess) discretised intensity kurtosis", |h| h.statistics.kurtosis()),
    row("WIFQ", "ih_median", "Median discretised intensity", |h| h.statistics.p50),
    row("1PR8", "ih_min", "Minimum discretised intensity", |h| h.statistics.min),
    row("GPMT", "ih_p10", "10th discretised intensity percentile", |h| h.statistics.p10),
    row("OZ0C", "ih_p90", "90th discretised intensity percentile", |h| h.statistics.p90),
    row("3NCY", "ih_max", "Maximum discretised intensity", |h| h.statistics.max),
    row("AMMC", "ih_mode", "Intensity histogram mode", |h| h.mode),
    row("WR0O", "ih_iqr", "Discretised intensity interquartile range", |h| h.statistics.p75 - h.statistics.p25),
    row("5Z3W", "ih_range", "Discretised intensity range", |h| h.statistics.max - h.statistics.min),
    row("D2ZX", "ih_mad", "Intensity histogram mean absolute deviation", |h| h.statistics.mad),
    row("WRZB", "ih_rmad", "Intensity histogram robust mean absolute deviation", |h| h.statistics.rmad),
    row("4RNL", "ih_medad", "Intensity histogram median absolute deviation", |h| h.statistics.medad),
    row("CWYJ", "ih_cov", "Intensity histogram coefficient of variation", |h| h.statistics.cov()),
    row("SLWD", "ih_qcod", "Intensity histogram quartile coefficient of dispersion", |h| h.statistics.qcod())
        .undefined_when(QUARTILES_CANCEL),
    row("TLU2", "ih_entropy", "Discretised intensity entropy", |h| h.entropy),
    row("BJ5W", "ih_uniformity", "Discretised intensity uniformity", |h| h.uniformity),
    row("12CE", "ih_max_grad", "Maximum histogram gradient", |h| value_of(h.ascent)).undefined_when(ONE_BIN),
    row("8E6O", "ih_max_grad_g", "Maximum histogram gradient intensity", |h| level_of(h.ascent))
        .undefined_when(ONE_BIN),
    row("VQB3", "ih_min_grad", "Minimum histogram gradient", |h| value_of(h.descent)).undefined_when(ONE_BIN),
    row("RHQZ", "ih_min_grad_g", "Minimum histogram gradient intensity", |h| level_of(h.descent))
        .undefined_when(ONE_BIN),
];

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn histogram(values: &[f32]) -> Histogram {
        Histogram::of(&GreyLevelCounts::of(values, &Settings::default()).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn of_several_modes_the_one_closest_to_the_mean_is_taken_then_the_lower() {
        let h = histogram(&[1.0, 1.0, 4.0, 4.0, 9.0]);
        assert_relative_eq!(h.mode, 4.0);
        let h = histogram(&[1.0, 3.0]);
        assert_relative_eq!(h.mode, 1.0);
    }

    #[test]
    fn the_gradient_sees_bins_without_voxels() {
        let h = histogram(&[1.0, 1.0, 1.0, 1.0, 4.0, 4.0, 6.0]);
        // Counts 4 0 0 2 0 1: slopes -4 -2 1 0 -0.5 1.
        assert_eq!(h.descent, Some((-4.0, 1.0)));
        assert_eq!(h.ascent, Some((1.0, 3.0)));
    }

    #[test]
    fn a_flat_region_has_a_histogram_without_a_gradient() {
        let h = histogram(&[5.0; 10]);
        assert_relative_eq!(h.entropy, 0.0);
        assert_relative_eq!(h.uniformity, 1.0);
        // Levels 1 to 4 are empty bins; with one bin alone there is no slope.
        assert_eq!(h.ascent, Some((10.0, 5.0)));
        assert_eq!(histogram(&[1.0; 10]).ascent, None);
    }
}

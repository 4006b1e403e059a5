//! Statistics of the intensities in the region (IBSI 3.3, UHIW).
//!
//! Variance is that of the population, kurtosis is in excess of 3, percentiles are interpolated linearly between order
//! statistics at (n - 1) p, and the robust deviation is that of the intensities in the closed interval from the 10th to
//! the 90th percentile.

use super::results::Results;
use super::roi::Roi;
use super::statistics::Statistics;
use super::table::{Row, Unit};
use super::{Family, Kurtosis};

const MEAN_ZERO: &str = "the mean intensity is zero";
const QUARTILES_CANCEL: &str = "the quartiles add up to zero";

/// The statistics of the region's intensities.
pub(super) fn measure(roi: &Roi, kurtosis: Kurtosis, results: &mut Results) {
    let Some(statistics) = Statistics::of(&roi.values) else { return };
    results.add_plain(&ROWS, &statistics);
    if kurtosis == Kurtosis::Plain && statistics.min < statistics.max {
        let of_kurtosis = results.values.iter_mut().filter(|value| value.tag == "stat_kurt");
        of_kurtosis.for_each(|value| value.value += 3.0);
    }
}

const fn row(
    id: &'static str,
    tag: &'static str,
    name: &'static str,
    unit: Unit,
    eval: fn(&Statistics) -> f64,
) -> Row<Statistics> {
    Row::new(Family::Intensity, id, tag, name, unit, eval)
}

/// The rows of the family.
pub(super) static ROWS: [Row<Statistics>; 18] = [
    row("Q4LE", "stat_mean", "Mean intensity", Unit::Same, |s| s.mean),
    row("ECT3", "stat_var", "Intensity variance", Unit::Squared, |s| s.variance),
    row("KE2A", "stat_skew", "Intensity skewness", Unit::One, Statistics::skewness),
    row("IPH6", "stat_kurt", "(Excess) intensity kurtosis", Unit::One, Statistics::kurtosis),
    row("Y12H", "stat_median", "Median intensity", Unit::Same, |s| s.p50),
    row("1GSF", "stat_min", "Minimum intensity", Unit::Same, |s| s.min),
    row("QG58", "stat_p10", "10th intensity percentile", Unit::Same, |s| s.p10),
    row("8DWT", "stat_p90", "90th intensity percentile", Unit::Same, |s| s.p90),
    row("84IY", "stat_max", "Maximum intensity", Unit::Same, |s| s.max),
    row("SALO", "stat_iqr", "Intensity interquartile range", Unit::Same, |s| s.p75 - s.p25),
    row("2OJQ", "stat_range", "Intensity range", Unit::Same, |s| s.max - s.min),
    row("4FUA", "stat_mad", "Intensity-based mean absolute deviation", Unit::Same, |s| s.mad),
    row("1128", "stat_rmad", "Intensity-based robust mean absolute deviation", Unit::Same, |s| s.rmad),
    row("N72L", "stat_medad", "Intensity-based median absolute deviation", Unit::Same, |s| s.medad),
    row("7TET", "stat_cov", "Intensity-based coefficient of variation", Unit::One, Statistics::cov)
        .undefined_when(MEAN_ZERO),
    row("9S40", "stat_qcod", "Intensity-based quartile coefficient of dispersion", Unit::One, Statistics::qcod)
        .undefined_when(QUARTILES_CANCEL),
    row("N8CA", "stat_energy", "Intensity-based energy", Unit::Squared, |s| s.energy),
    row("5ZWQ", "stat_rms", "Root mean square intensity", Unit::Same, |s| (s.energy / s.n as f64).sqrt()),
];

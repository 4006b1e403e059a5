//! Intervals by the bootstrap over patients, within each class of outcome.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use crate::math::stats::quantile;

use crate::math::random::Stream;

/// A percentile interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BootstrapSettings {
    /// Samples.
    pub n_samples: usize,
    /// Coverage, such as 0.95.
    pub level: f64,
    /// Seed.
    pub seed: u64,
}

impl Default for BootstrapSettings {
    fn default() -> Self {
        Self { n_samples: 1000, level: 0.95, seed: 1 }
    }
}

const PURPOSE: u64 = 200;

/// The percentile interval of a statistic of rows, given how often each row is drawn.
///
/// Patients are drawn, not rows: all rows of one id come together. Patients with the event and those without are drawn
/// apart, so every sample has as many of each as the cohort. `None` when fewer than half of the samples have a value.
/// The result does not depend on the number of threads.
#[must_use]
pub fn bootstrap_interval(
    patients: &[String],
    events: &[bool],
    settings: BootstrapSettings,
    statistic: impl Fn(&[f64]) -> Option<f64> + Sync,
) -> Option<Interval> {
    let strata = strata(patients, events);
    let mut values: Vec<f64> = (0..settings.n_samples)
        .into_par_iter()
        .map(|sample| {
            let mut stream = Stream::new(settings.seed, PURPOSE, sample as u64);
            let mut weights = vec![0.0; patients.len()];
            for stratum in &strata {
                for _ in 0..stratum.len() {
                    stratum[stream.below(stratum.len())].iter().for_each(|row| weights[*row] += 1.0);
                }
            }
            statistic(&weights)
        })
        .collect::<Vec<Option<f64>>>()
        .into_iter()
        .flatten()
        .filter(|value| value.is_finite())
        .collect();
    if values.is_empty() || 2 * values.len() < settings.n_samples {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - settings.level.clamp(0.0, 1.0)) / 2.0;
    Some(Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) })
}

/// The rows of each patient, apart for patients with and without the event.
pub(super) fn strata(patients: &[String], events: &[bool]) -> [Vec<Vec<usize>>; 2] {
    let mut by_patient: BTreeMap<&str, (Vec<usize>, bool)> = BTreeMap::new();
    for (row, patient) in patients.iter().enumerate() {
        let entry = by_patient.entry(patient).or_default();
        entry.0.push(row);
        entry.1 |= events.get(row).copied().unwrap_or(false);
    }
    let of = |event: bool| by_patient.values().filter(|(_, e)| *e == event).map(|(rows, _)| rows.clone()).collect();
    [of(true), of(false)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn ids(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("{i:04}")).collect()
    }

    #[test]
    #[allow(clippy::cast_precision_loss)]
    fn the_interval_of_a_mean_is_that_of_its_standard_error() {
        let mut stream = Stream::new(5, 0, 0);
        let values: Vec<f64> = (0..400).map(|_| stream.normal()).collect();
        let mean = |weights: &[f64]| {
            Some(weights.iter().zip(&values).map(|(w, v)| w * v).sum::<f64>() / weights.iter().sum::<f64>())
        };
        let settings = BootstrapSettings { n_samples: 2000, ..BootstrapSettings::default() };
        let interval = bootstrap_interval(&ids(400), &[false; 400], settings, mean).unwrap();
        let width = interval.high - interval.low;
        assert_relative_eq!(width, 2.0 * 1.96 / 400f64.sqrt(), max_relative = 0.12);
    }

    #[test]
    fn every_sample_keeps_the_classes_and_the_rows_of_a_patient_together() {
        let mut patients = ids(30);
        patients[1] = patients[0].clone();
        let events: Vec<bool> = (0..30).map(|i| i < 12).collect();
        let together = |weights: &[f64]| {
            assert_relative_eq!(weights[0], weights[1]);
            let mut drawn = weights.iter().take(12).sum::<f64>();
            // Patient 0 has two rows: eleven patients are drawn from this class.
            drawn -= weights[1];
            assert_relative_eq!(drawn, 11.0);
            Some(drawn)
        };
        assert!(bootstrap_interval(&patients, &events, BootstrapSettings::default(), together).is_some());
        let never = |_: &[f64]| None;
        assert!(bootstrap_interval(&patients, &events, BootstrapSettings::default(), never).is_none());
    }
}

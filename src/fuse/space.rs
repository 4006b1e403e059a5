//! Whether a patient lies where the model was trained.
//!
//! The squared Mahalanobis distance of a patient whom the training did not see, `d = (x - m)' S^-1 (x - m)`, follows a
//! chi-square distribution with p degrees of freedom only where mean and covariance are known. Of n training patients they
//! are estimated, and then
//!
//! ```text
//! d  ~  p (n^2 - 1) / (n (n - p)) F(p, n - p)
//! ```
//!
//! (Hotelling 1931; Anderson, An Introduction to Multivariate Statistical Analysis, 5.2: `n / (n + 1) d` is a T^2 of p and
//! n - 1). With many patients it becomes the chi-square distribution. By its tail one patient in a thousand who is like the
//! training patients is refused, as by the chi-square distribution if the covariance were known, whatever n is.
//!
//! The covariance here is drawn towards the unit matrix by 0.1 (features have unit variance). Against the sample covariance
//! S that changes a distance little along directions in which patients vary much (by 1 / 0.9 at most) and shortens it along
//! those in which they hardly vary: there the estimate is worst, and there most of the false refusals would come from. So the
//! law above stays a bound in practice; a test counts refusals over simulated cohorts.

use serde::{Deserialize, Serialize};

use super::error::FuseError;
use super::nest::Table;
use crate::math::cholesky::Cholesky;
use crate::math::special::{chi_square_tail, f_tail};

/// Where the training patients' chosen features of one block lie: standardised, so their mean is 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// The inverse of their covariance, drawn towards the unit matrix; empty where it is not known.
    pub precision: Vec<Vec<f64>>,
    /// Patients that it was estimated from. Bundles of older versions do not say, and are asked as if it were known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_patients: Option<usize>,
}

/// A selected feature further from the training median than this, in robust standard deviations, is outside.
pub const ROBUST_Z_MAX: f64 = 6.0;
/// A block less likely than this under the training covariance is outside.
pub const TAIL_MIN: f64 = 0.001;
/// How far the covariance is drawn towards the unit matrix: features that are nearly one keep some freedom.
const SHRINKAGE: f64 = 0.1;

impl Space {
    /// Learns from the training rows of one block.
    ///
    /// # Errors
    /// When the covariance has no inverse.
    pub(super) fn fit(table: &Table, block: usize) -> Result<Self, FuseError> {
        let rows: Vec<&Vec<f64>> = table.chosen[block].rows.iter().flatten().collect();
        Self::of(&rows, table.chosen[block].fill.len())
    }

    /// Learns from standardised rows of `p` values.
    #[allow(clippy::cast_precision_loss)]
    fn of(rows: &[&Vec<f64>], p: usize) -> Result<Self, FuseError> {
        let mut covariance = vec![vec![0.0; p]; p];
        for row in rows {
            for (i, a) in row.iter().enumerate() {
                row.iter()
                    .enumerate()
                    .for_each(|(j, b)| covariance[i][j] += (1.0 - SHRINKAGE) * a * b / rows.len() as f64);
            }
        }
        covariance.iter_mut().enumerate().for_each(|(i, row)| row[i] += SHRINKAGE);
        let factor = Cholesky::new(&covariance).ok_or(FuseError::NoConvergence("the covariance of a block"))?;
        Ok(Self { precision: factor.inverse(), n_patients: Some(rows.len()) })
    }

    /// The chance of a value as far out as this one, by Mahalanobis' distance; 1 where no covariance is known.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn tail(&self, values: &[f64]) -> f64 {
        if values.is_empty() || self.precision.is_empty() {
            return 1.0;
        }
        let mut distance = 0.0;
        for (row, a) in self.precision.iter().zip(values) {
            distance += a * row.iter().zip(values).map(|(p, b)| p * b).sum::<f64>();
        }
        let p = values.len() as f64;
        let Some(n) = self.n_patients.map(|n| n as f64).filter(|n| *n >= 2.0) else {
            return chi_square_tail(distance, p);
        };
        // The covariance was divided by n, the law is of one that is divided by n - 1. Fewer patients than features tell
        // hardly anything: with one degree of freedom nearly nothing is outside.
        let free = (n - p).max(1.0);
        let unbiased = distance * (n - 1.0) / n;
        f_tail(unbiased * n * free / (p * (n * n - 1.0)), p, free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;

    /// Patients whose features share a factor: every two have the same correlation.
    fn patient(stream: &mut Stream, p: usize, correlation: f64) -> Vec<f64> {
        let factor = stream.normal();
        (0..p).map(|_| correlation.sqrt() * factor + (1.0 - correlation).sqrt() * stream.normal()).collect()
    }

    /// A space of `n` patients, and what standardises another one.
    fn trained(stream: &mut Stream, n: usize, p: usize, correlation: f64) -> (Space, Vec<(f64, f64)>) {
        let rows: Vec<Vec<f64>> = (0..n).map(|_| patient(stream, p, correlation)).collect();
        let scale = |j: usize| {
            let column: Vec<f64> = rows.iter().map(|row| row[j]).collect();
            super::super::design::mean_and_sd(&column)
        };
        let scales: Vec<(f64, f64)> = (0..p).map(scale).collect();
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| standardised(row, &scales)).collect();
        (Space::of(&rows.iter().collect::<Vec<_>>(), p).unwrap(), scales)
    }

    fn standardised(row: &[f64], scales: &[(f64, f64)]) -> Vec<f64> {
        row.iter().zip(scales).map(|(value, (mean, sd))| (value - mean) / sd).collect()
    }

    /// The part of new patients who are refused, by cohorts of `n`; moved by `shift` standard deviations in every feature.
    fn refused(n: usize, p: usize, correlation: f64, shift: f64, known: bool) -> f64 {
        let (n_cohorts, n_new) = (60, 200);
        let mut n_refused = 0u32;
        for cohort in 0..n_cohorts {
            let mut stream = Stream::new(7, n as u64, cohort);
            let (mut space, scales) = trained(&mut stream, n, p, correlation);
            if known {
                space.n_patients = None;
            }
            for _ in 0..n_new {
                let new: Vec<f64> = patient(&mut stream, p, correlation).into_iter().map(|v| v + shift).collect();
                n_refused += u32::from(space.tail(&standardised(&new, &scales)) < TAIL_MIN);
            }
        }
        f64::from(n_refused) / (n_cohorts as f64 * f64::from(n_new))
    }

    #[test]
    fn few_patients_alike_are_refused_however_few_trained() {
        for (n, p, correlation) in [(48, 12, 0.0), (48, 12, 0.6), (24, 12, 0.3), (200, 12, 0.3), (48, 3, 0.8)] {
            let rate = refused(n, p, correlation, 0.0, false);
            assert!(rate <= 0.01, "{n} patients, {p} features, correlation {correlation}: {rate}");
        }
        // As if the covariance were known, several per cent would be.
        assert!(refused(48, 12, 0.0, 0.0, true) > 0.02);
    }

    #[test]
    fn patients_far_from_those_who_trained_are_refused() {
        for (n, shift) in [(48, 5.0), (200, 4.0)] {
            let rate = refused(n, 12, 0.0, shift, false);
            assert!(rate > 0.95, "{n} patients, shift {shift}: {rate}");
        }
    }

    #[test]
    fn the_law_is_hotelling_s_and_with_many_patients_the_chi_square_one() {
        let space = |n_patients: Option<usize>| Space { precision: vec![vec![1.0, 0.0], vec![0.0, 1.0]], n_patients };
        let values = [3.0, 1.5];
        let distance: f64 = 9.0 + 2.25;
        // p = 2: F(2, m) has the tail (1 + 2 x / m)^(-m / 2).
        let n: f64 = 30.0;
        let x = distance * (n - 1.0) / n * n * (n - 2.0) / (2.0 * (n * n - 1.0));
        let expected = (1.0 + 2.0 * x / (n - 2.0)).powf(-(n - 2.0) / 2.0);
        assert_relative_eq!(space(Some(30)).tail(&values), expected, max_relative = 1e-10);
        let chi_square = (-distance / 2.0).exp();
        assert_relative_eq!(space(None).tail(&values), chi_square, max_relative = 1e-10);
        assert_relative_eq!(space(Some(10_000_000)).tail(&values), chi_square, max_relative = 1e-4);
        // Fewer patients than features refuse nobody but by single features.
        assert!(space(Some(2)).tail(&[8.0, 8.0]) > TAIL_MIN);
        assert!((Space::default().tail(&[100.0]) - 1.0).abs() < 1e-12);
    }
}

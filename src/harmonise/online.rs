//! A batch that comes later: its effects by a model in which nothing else changes, as a proposal.

use super::bayes::{self, BatchStatistics, Posterior};
use super::data::Samples;
use super::error::HarmoniseError;
use super::model::{BatchEstimate, BatchModel, FeatureState, Model, Standing};
use super::settings::{Estimator, SAMPLES_FULL, SAMPLES_MIN};
use crate::math::qr::dot;
use crate::math::stats::{mean, sum_of_squares};

impl Model {
    /// The model with one batch more, estimated from the rows of `samples` that have its label: level, covariates' effects
    /// and variance of every feature stay as they were fitted. The new batch is [`Standing::Proposed`]: nothing uses it
    /// before [`Model::accept`].
    ///
    /// With fewer than [`SAMPLES_FULL`] rows it is shifted only. Rows whose covariates are not known take no part.
    ///
    /// # Errors
    /// When the model has the batch already, there are fewer than [`SAMPLES_MIN`] rows, or a feature of the model has too
    /// few values in them.
    pub fn propose(&self, samples: &Samples<'_>, label: &str) -> Result<Self, HarmoniseError> {
        samples.check()?;
        let refuse = |reason: String| HarmoniseError::Batch { label: label.to_owned(), reason };
        if self.batch(label).is_some() {
            return Err(refuse("is in the model already".to_owned()));
        }
        let of_batch = (0..samples.features.n_rows()).filter(|row| samples.batches.labels[*row] == label);
        let rows: Vec<(usize, Vec<f64>, Vec<f64>)> = of_batch
            .filter_map(|row| {
                self.coded_row(samples.covariates, row).ok().map(|(values, splines)| (row, values, splines))
            })
            .collect();
        if rows.len() < SAMPLES_MIN {
            return Err(refuse(format!("has {} samples, expected at least {SAMPLES_MIN}", rows.len())));
        }
        let estimate = match self.settings.mean_only || rows.len() < SAMPLES_FULL {
            true => BatchEstimate::Shift,
            false => BatchEstimate::ShiftAndScale,
        };
        let statistics = self.statistics(samples, &rows, estimate).map_err(refuse)?;
        let posterior = match (self.settings.estimator, estimate) {
            _ if statistics.gamma_hat.len() < 2 => bayes::unshrunken(&statistics),
            (Estimator::None, _) => bayes::unshrunken(&statistics),
            (Estimator::NonParametric, _) => bayes::nonparametric(&statistics),
            (_, BatchEstimate::Shift) => bayes::parametric_mean_only(&statistics),
            _ => bayes::parametric(&statistics, self.settings.convergence),
        };
        let batch = BatchModel {
            label: label.to_owned(),
            n_samples: rows.len(),
            estimate,
            standing: Standing::Proposed,
            prior: posterior.prior,
            n_iterations: posterior.n_iterations,
        };
        Ok(self.with(batch, &statistics, &posterior))
    }

    /// Means and variances of the standardised values of every harmonised feature; the error is the rest of a sentence.
    #[allow(clippy::cast_precision_loss)]
    fn statistics(
        &self,
        samples: &Samples<'_>,
        rows: &[(usize, Vec<f64>, Vec<f64>)],
        estimate: BatchEstimate,
    ) -> Result<BatchStatistics, String> {
        let names = samples.features.names();
        let mut statistics = BatchStatistics::default();
        for (name, fit) in self.harmonised() {
            let place = names.iter().position(|known| known == name);
            let column =
                place.map(|place| samples.features.column(place)).ok_or(format!("has no feature \"{name}\""))?;
            let standardised = rows.iter().filter_map(|(row, values, splines)| {
                let middle = fit.alpha + dot(&fit.beta, values) + dot(&fit.spline, splines);
                let value = fit.transform.forward(column[*row])?;
                Some((value - middle) / fit.variance.sqrt()).filter(|value| value.is_finite())
            });
            let standardised: Vec<f64> = standardised.collect();
            let n = standardised.len();
            let ss = if n > 0 { sum_of_squares(&standardised) } else { 0.0 };
            if n < SAMPLES_MIN || ss <= 0.0 {
                return Err(format!("has {n} different values of feature \"{name}\", expected at least {SAMPLES_MIN}"));
            }
            statistics.gamma_hat.push(mean(&standardised));
            let shift = estimate == BatchEstimate::Shift;
            statistics.delta_hat.push(if shift { 1.0 } else { ss / (n - 1) as f64 });
            statistics.ss.push(ss);
            statistics.n.push(n as f64);
        }
        Ok(statistics)
    }

    /// The model with this batch at its place among the labels.
    fn with(&self, batch: BatchModel, statistics: &BatchStatistics, posterior: &Posterior) -> Self {
        let mut model = self.clone();
        let place = model.batches.iter().position(|known| known.label > batch.label).unwrap_or(model.batches.len());
        model.left_out.retain(|known| known.label != batch.label);
        model.batches.insert(place, batch);
        let mut idx = 0;
        for feature in &mut model.features {
            let FeatureState::Harmonised(fit) = &mut feature.state else { continue };
            fit.gamma_hat.insert(place, statistics.gamma_hat[idx]);
            fit.delta_hat.insert(place, statistics.delta_hat[idx]);
            fit.gamma_star.insert(place, posterior.gamma[idx]);
            fit.delta_star.insert(place, posterior.delta[idx]);
            idx += 1;
        }
        model
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Effects, cohort};
    use super::super::{FitSettings, RawReason, fit};
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_new_batch_is_estimated_beside_a_frozen_model_and_unused_until_it_is_accepted() {
        let effects = Effects { shifts: vec![0.0, 1.0, -2.0], scales: vec![1.0, 1.5, 0.7], ..Effects::default() };
        let all = cohort(&[60, 60, 40], 30, &effects, 1);
        let first: Vec<usize> = (0..120).collect();
        let model = fit(&all.of(&first).samples(), &FitSettings::default()).unwrap();
        let label = all.batches.labels[150].clone();
        let raw = model.apply(&all.samples()).unwrap();
        assert_eq!(raw.rows[150], Err(RawReason::UnknownBatch(label.clone())));
        let mut proposed = model.propose(&all.samples(), &label).unwrap();
        let before = proposed.apply(&all.samples()).unwrap();
        assert_eq!(before.rows[150], Err(RawReason::Proposed(label.clone())));
        assert!((0..120).all(|row| (before.features.column(0)[row] - raw.features.column(0)[row]).abs() <= 0.0));
        proposed.accept(&label).unwrap();
        assert!(proposed.accept(&label).is_err());
        let after = proposed.apply(&all.samples()).unwrap();
        assert!(after.rows[150].is_ok());
        // The batch of -2 now lies where the others lie.
        let level = |rows: std::ops::Range<usize>| mean(&after.features.column(0)[rows]);
        assert_relative_eq!(level(120..160), level(0..60), epsilon = 0.35);
        assert!(model.propose(&all.of(&first).samples(), &label).is_err());
        assert!(model.propose(&all.samples(), &all.batches.labels[0]).is_err());
    }
}

//! How sure the effects of a batch are: the spread of shifts and scales over resampled cohorts.
//!
//! Da-Ano et al., Scientific Reports 2020 (B-ComBat): patients are drawn with replacement within each batch, the model is
//! fitted anew, many times. Here the estimates stay those of the whole cohort, and the replicates give their spread: it is
//! told beside the harmonised value, and a batch of few patients shows it.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::data::{Batches, Covariate, Samples};
use super::error::HarmoniseError;
use super::fit::fit;
use super::model::{BatchEstimate, FeatureFit, Model};
use super::settings::FitSettings;
use crate::math::qr::dot;
use crate::math::random::Stream;
use crate::math::stats::sample_variance;

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resampling {
    /// Resampled cohorts.
    pub n_replicates: usize,
    /// Seed.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { n_replicates: 200, seed: 1 }
    }
}

/// The spread of the estimates over resampled cohorts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How it was drawn.
    pub resampling: Resampling,
    /// Resampled cohorts that could be fitted.
    pub n_fitted: usize,
    /// One entry per harmonised feature of the model, in its order.
    pub features: Vec<FeatureSpread>,
}

/// The spread for one feature, one entry per batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureSpread {
    /// The feature's name.
    pub name: String,
    /// Standard deviations of the shifts.
    pub gamma_sd: Vec<f64>,
    /// Standard deviations of the scales.
    pub delta_sd: Vec<f64>,
}

const PURPOSE: u64 = 310;

/// The spread of a model's shifts and scales when its training cohort is resampled within batches.
///
/// A resampled cohort that cannot be fitted, or in which a batch or a feature is lost, is left out. The result does not
/// depend on the number of threads.
///
/// # Errors
/// When fewer than half of the resampled cohorts can be fitted.
pub fn bootstrap(model: &Model, samples: &Samples<'_>, resampling: Resampling) -> Result<Spread, HarmoniseError> {
    // What was allowed for the cohort is allowed for its resamples; chance alone may bring one closer to confounding.
    let settings = FitSettings { allow_confounded: true, ..model.settings.clone() };
    let strata: Vec<Vec<usize>> = model
        .batches
        .iter()
        .map(|batch| {
            let labels = samples.batches.labels.iter().enumerate();
            labels.filter(|(_, label)| **label == batch.label).map(|(row, _)| row).collect()
        })
        .collect();
    let replicates: Vec<Model> = (0..resampling.n_replicates)
        .into_par_iter()
        .filter_map(|replicate| {
            let mut stream = Stream::new(resampling.seed, PURPOSE, replicate as u64);
            let mut rows = Vec::new();
            for stratum in &strata {
                rows.extend((0..stratum.len()).map(|_| stratum[stream.below(stratum.len())]));
            }
            fit_rows(samples, &rows, &settings).filter(|fitted| same_shape(fitted, model))
        })
        .collect();
    if replicates.is_empty() || 2 * replicates.len() < resampling.n_replicates {
        let what = "resampled cohorts that could be fitted".to_owned();
        let expected = resampling.n_replicates.div_ceil(2).max(1);
        return Err(HarmoniseError::TooFew { what, found: replicates.len(), expected });
    }
    let features = model
        .harmonised()
        .enumerate()
        .map(|(place, (name, fit))| {
            let fits: Vec<&FeatureFit> =
                replicates.iter().filter_map(|model| model.harmonised().nth(place)).map(|(_, fit)| fit).collect();
            let sd = |of: &dyn Fn(&FeatureFit) -> f64| {
                sample_variance(&fits.iter().map(|fit| of(fit)).collect::<Vec<f64>>()).sqrt()
            };
            let batches = 0..fit.gamma_star.len();
            FeatureSpread {
                name: name.to_owned(),
                gamma_sd: batches.clone().map(|batch| sd(&|fit| fit.gamma_star[batch])).collect(),
                delta_sd: batches.map(|batch| sd(&|fit| fit.delta_star[batch])).collect(),
            }
        })
        .collect();
    Ok(Spread { resampling, n_fitted: replicates.len(), features })
}

fn fit_rows(samples: &Samples<'_>, rows: &[usize], settings: &FitSettings) -> Option<Model> {
    let labels = rows.iter().map(|row| samples.batches.labels[*row].clone()).collect();
    let covariates: Vec<Covariate> = samples.covariates.iter().map(|covariate| covariate.of(rows)).collect();
    let resampled = Samples {
        features: &samples.features.of(rows),
        batches: &Batches { name: samples.batches.name.clone(), labels },
        covariates: &covariates,
        undeclared: &[],
    };
    fit(&resampled, settings).ok()
}

fn same_shape(a: &Model, b: &Model) -> bool {
    let labels = |model: &Model| model.batches.iter().map(|batch| batch.label.clone()).collect::<Vec<_>>();
    let names = |model: &Model| model.harmonised().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    labels(a) == labels(b) && names(a) == names(b)
}

impl Model {
    /// The standard deviation that the spread of shift and scale gives to one harmonised value of a patient (one row of
    /// covariates), in standard deviations of the feature, by propagation to first order; none where the value stays raw.
    #[must_use]
    pub fn value_sd(
        &self,
        spread: &Spread,
        feature: &str,
        batch: &str,
        covariates: &[Covariate],
        value: f64,
    ) -> Option<f64> {
        let place = self.batch(batch)?;
        let (design, splines) = self.coded_row(covariates, 0).ok()?;
        if self.batches[place].estimate == BatchEstimate::Reference {
            return Some(0.0);
        }
        let (_, fit) = self.harmonised().find(|(name, _)| *name == feature)?;
        let spread = spread.features.iter().find(|spread| spread.name == feature)?;
        let middle = fit.alpha + dot(&fit.beta, &design) + dot(&fit.spline, &splines);
        let (gamma, delta) = (fit.gamma_star[place], fit.delta_star[place]);
        let standardised = (fit.transform.forward(value)? - middle) / fit.variance.sqrt();
        // h = sigma (s - gamma) / sqrt(delta) + middle
        let by_gamma = spread.gamma_sd.get(place)? / delta.sqrt();
        let by_delta = 0.5 * (standardised - gamma) / delta.powf(1.5) * spread.delta_sd.get(place)?;
        Some(by_gamma.hypot(by_delta))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Effects, cohort};
    use super::*;

    #[test]
    fn few_patients_give_a_wide_spread_and_many_a_narrow_one() {
        let effects = Effects { shifts: vec![0.0, 1.0], scales: vec![1.0, 1.3], ..Effects::default() };
        let spread = |n: usize| {
            let cohort = cohort(&[100, n], 20, &effects, 3);
            let settings = FitSettings { estimator: super::super::Estimator::None, ..FitSettings::default() };
            let model = fit(&cohort.samples(), &settings).unwrap();
            let resampling = Resampling { n_replicates: 60, seed: 1 };
            let spread = bootstrap(&model, &cohort.samples(), resampling).unwrap();
            assert_eq!(spread, bootstrap(&model, &cohort.samples(), resampling).unwrap());
            let patient = [cohort.covariates[0].of(&[105])];
            let sd = model.value_sd(&spread, "f0", "B", &patient, cohort.features.column(0)[105]).unwrap();
            assert!(sd >= spread.features[0].gamma_sd[1] * 0.5);
            spread.features.iter().map(|feature| feature.gamma_sd[1]).sum::<f64>() / 20.0
        };
        let (few, many) = (spread(12), spread(200));
        // The standard error of a mean of n values: 1.3 / sqrt(n), less where the common level follows.
        assert!(few > 2.5 * many, "{few} {many}");
        assert!((0.2..0.45).contains(&few), "{few}");
    }
}

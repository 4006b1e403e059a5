//! Drift: whether a scanner still measures as it did when the model was fitted.
//!
//! A value that the model harmonises, less its level and covariates' effects, in units of its standard deviation, should be
//! distributed as in the training data. For the last patients of each batch two things are looked at: the moving mean, and
//! the distance of the whole distribution by the Kolmogorov-Smirnov test, its p value multiplied by the number of features.

use serde::{Deserialize, Serialize};

use super::data::Samples;
use super::error::HarmoniseError;
use super::model::{BatchEstimate, FeatureFit, Model};
use crate::math::qr::dot;
use crate::math::stats::{kolmogorov_smirnov, mean, quantile};

/// The distribution of every feature's standardised values in the training data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// One entry per harmonised feature.
    pub features: Vec<FeatureBaseline>,
}

/// The distribution of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureBaseline {
    /// The feature's name.
    pub name: String,
    /// Quantiles at equal steps from the smallest to the largest value.
    pub quantiles: Vec<f64>,
}

/// Steps between the quantiles: the distribution is known to 1/32, a third of what thirty patients can show.
const QUANTILES: usize = 33;

/// How drift is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DriftSettings {
    /// The last patients of a batch that are looked at.
    pub window: usize,
    /// With fewer patients nothing is said.
    pub n_min: usize,
    /// Below this p value, after multiplication by the number of features, a batch has drifted.
    pub p_max: f64,
}

impl Default for DriftSettings {
    fn default() -> Self {
        Self { window: 30, n_min: 10, p_max: 0.01 }
    }
}

/// What the last patients of one batch show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchDrift {
    /// The batch.
    pub batch: String,
    /// Patients that were looked at.
    pub n_samples: usize,
    /// The moving mean, in standard deviations, of the feature where it is largest.
    pub mean: f64,
    /// That feature.
    pub mean_feature: String,
    /// The smallest p value of all features, multiplied by their number, at most 1.
    pub p: f64,
    /// That feature.
    pub p_feature: String,
    /// Whether the batch has drifted.
    pub drifted: bool,
}

/// Learns the distributions of the training data.
///
/// # Errors
/// When the tables do not belong together.
pub fn baseline(model: &Model, samples: &Samples<'_>) -> Result<Baseline, HarmoniseError> {
    let rows: Vec<usize> = (0..samples.features.n_rows()).collect();
    let features = standardised(model, samples, &rows)?.into_iter().map(|(name, mut values)| {
        values.sort_by(f64::total_cmp);
        #[allow(clippy::cast_precision_loss)]
        let levels = (0..QUANTILES).map(|k| k as f64 / (QUANTILES - 1) as f64);
        FeatureBaseline { name, quantiles: levels.map(|level| quantile(&values, level)).collect() }
    });
    Ok(Baseline { features: features.filter(|feature| feature.quantiles.iter().all(|q| q.is_finite())).collect() })
}

/// Compares the last patients of every batch of the model with the training data; rows are in the order of time.
///
/// # Errors
/// When the tables do not belong together.
pub fn drift(
    model: &Model,
    baseline: &Baseline,
    samples: &Samples<'_>,
    settings: &DriftSettings,
) -> Result<Vec<BatchDrift>, HarmoniseError> {
    let mut found = Vec::new();
    for batch in &model.batches {
        let labels = samples.batches.labels.iter().enumerate();
        let mut rows: Vec<usize> = labels.filter(|(_, label)| **label == batch.label).map(|(row, _)| row).collect();
        rows.drain(..rows.len().saturating_sub(settings.window));
        if rows.len() < settings.n_min.max(1) {
            continue;
        }
        let values = standardised(model, samples, &rows)?;
        found.extend(judge(&batch.label, &values, baseline, settings));
    }
    Ok(found)
}

#[allow(clippy::cast_precision_loss)]
fn judge(
    batch: &str,
    values: &[(String, Vec<f64>)],
    baseline: &Baseline,
    settings: &DriftSettings,
) -> Option<BatchDrift> {
    let mut result: Option<BatchDrift> = None;
    for (name, values) in values.iter().filter(|(_, values)| values.len() >= settings.n_min) {
        let Some(feature) = baseline.features.iter().find(|feature| feature.name == *name) else { continue };
        let moving = mean(values);
        let (_, p) = kolmogorov_smirnov(values, |value| feature.cdf(value));
        let p = (p * baseline.features.len() as f64).min(1.0);
        let result = result.get_or_insert_with(|| BatchDrift {
            batch: batch.to_owned(),
            n_samples: values.len(),
            mean: moving,
            mean_feature: name.clone(),
            p,
            p_feature: name.clone(),
            drifted: false,
        });
        result.n_samples = result.n_samples.max(values.len());
        if moving.abs() > result.mean.abs() {
            (result.mean, result.mean_feature) = (moving, name.clone());
        }
        if p < result.p {
            (result.p, result.p_feature) = (p, name.clone());
        }
        result.drifted = result.p < settings.p_max;
    }
    result
}

impl FeatureBaseline {
    /// The training data's distribution function, linear between the quantiles.
    fn cdf(&self, value: f64) -> f64 {
        let q = &self.quantiles;
        let above = q.partition_point(|quantile| *quantile <= value);
        #[allow(clippy::cast_precision_loss)]
        let level = |k: usize| k as f64 / (q.len() - 1) as f64;
        match above {
            0 => 0.0,
            k if k == q.len() => 1.0,
            k => level(k - 1) + (value - q[k - 1]) / (q[k] - q[k - 1]) * (level(k) - level(k - 1)),
        }
    }
}

/// The standardised harmonised values of every harmonised feature over some rows; what stays raw is left out.
fn standardised(
    model: &Model,
    samples: &Samples<'_>,
    rows: &[usize],
) -> Result<Vec<(String, Vec<f64>)>, HarmoniseError> {
    samples.check()?;
    let coded: Vec<(usize, usize, Vec<f64>, Vec<f64>)> = rows
        .iter()
        .filter_map(|row| {
            let batch = model.batch(&samples.batches.labels[*row])?;
            let (values, splines) = model.coded_row(samples.covariates, *row).ok()?;
            Some((*row, batch, values, splines))
        })
        .collect();
    let names = samples.features.names();
    let of = |(name, fit): (&str, &FeatureFit)| {
        let column = samples.features.column(names.iter().position(|known| known == name)?);
        let values = coded.iter().filter_map(|(row, batch, values, splines)| {
            let middle = fit.alpha + dot(&fit.beta, values) + dot(&fit.spline, splines);
            let standard = (fit.transform.forward(column[*row])? - middle) / fit.variance.sqrt();
            let reference = model.batches[*batch].estimate == BatchEstimate::Reference;
            let (gamma, delta) = if reference { (0.0, 1.0) } else { (fit.gamma_star[*batch], fit.delta_star[*batch]) };
            Some((standard - gamma) / delta.sqrt()).filter(|value| value.is_finite())
        });
        Some((name.to_owned(), values.collect()))
    };
    Ok(model.harmonised().filter_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Effects, cohort};
    use super::super::{FitSettings, fit};
    use super::*;

    #[test]
    fn a_scanner_that_changes_is_told_and_one_that_does_not_is_not() {
        let effects = Effects { shifts: vec![0.0, 1.0], scales: vec![1.0, 1.4], slope: 0.05, ..Effects::default() };
        let training = cohort(&[150, 150], 30, &effects, 21);
        let model = fit(&training.samples(), &FitSettings::default()).unwrap();
        let baseline = baseline(&model, &training.samples()).unwrap();
        // B moves by 1.2 standard deviations; A stays.
        let later = Effects { shifts: vec![0.0, 2.2], ..effects.clone() };
        let recent = cohort(&[40, 40], 30, &later, 22);
        let found = drift(&model, &baseline, &recent.samples(), &DriftSettings::default()).unwrap();
        assert_eq!(found.len(), 2);
        assert!(!found[0].drifted, "{found:?}");
        assert!(found[1].drifted && found[1].mean > 0.5 && found[1].n_samples == 30, "{found:?}");
        let few = recent.of(&[0, 1, 2]);
        assert!(drift(&model, &baseline, &few.samples(), &DriftSettings::default()).unwrap().is_empty());
    }
}

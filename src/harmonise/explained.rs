//! How much of a feature's variance the batch explains, before and after.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::data::{Features, Samples};
use super::error::HarmoniseError;
use super::model::Model;
use crate::math::qr::dot;
use crate::math::stats::{quantile, sum_of_squares};

/// What the batch explains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// Quartiles over the features before: lower, median, upper.
    pub before: [f64; 3],
    /// Quartiles over the features after.
    pub after: [f64; 3],
    /// Every harmonised feature, the most explained before first.
    pub features: Vec<ExplainedFeature>,
}

/// What the batch explains of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExplainedFeature {
    /// Its name.
    pub name: String,
    /// Between-batch part of the variance of the raw values, less what covariates explain.
    pub before: f64,
    /// The same of the harmonised values.
    pub after: f64,
}

/// The part of every harmonised feature's variance that lies between batches (eta squared, covariates' effects taken out
/// with the model's coefficients), over the rows that the model harmonises. A feature with a transform is judged on its
/// transformed scale.
///
/// # Errors
/// When the tables do not belong together.
pub fn explained(model: &Model, samples: &Samples<'_>, harmonised: &Features) -> Result<Explained, HarmoniseError> {
    let applied = model.apply(samples)?;
    let rows: Vec<usize> = (0..applied.rows.len()).filter(|row| applied.rows[*row].is_ok()).collect();
    let designs: Vec<(Vec<f64>, Vec<f64>)> =
        rows.iter().filter_map(|row| model.coded_row(samples.covariates, *row).ok()).collect();
    let batch_of: Vec<usize> = rows.iter().filter_map(|row| model.batch(&samples.batches.labels[*row])).collect();
    let names = samples.features.names();
    let of = |name: &str| {
        let place = names.iter().position(|known| known == name)?;
        let (_, fit) = model.harmonised().find(|(known, _)| *known == name)?;
        let part = |column: &[f64]| {
            let left = rows.iter().zip(&designs).zip(&batch_of).filter_map(|((row, (values, splines)), batch)| {
                let value = fit.transform.forward(column[*row])? - dot(&fit.beta, values) - dot(&fit.spline, splines);
                value.is_finite().then_some((value, *batch))
            });
            between(&left.collect::<Vec<_>>(), model.batches.len())
        };
        let (before, after) = (part(samples.features.column(place)), part(harmonised.column(place)));
        Some(ExplainedFeature { name: name.to_owned(), before, after })
    };
    let harmonised_names: Vec<&str> = model.harmonised().map(|(name, _)| name).collect();
    let mut features: Vec<ExplainedFeature> = harmonised_names.into_par_iter().filter_map(of).collect();
    features.sort_by(|a, b| b.before.total_cmp(&a.before));
    let quartiles = |of: &dyn Fn(&ExplainedFeature) -> f64| {
        let mut values: Vec<f64> = features.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        [0.25, 0.5, 0.75].map(|level| quantile(&values, level))
    };
    let (before, after) = (quartiles(&|feature| feature.before), quartiles(&|feature| feature.after));
    Ok(Explained { before, after, features })
}

/// Between-group part of the sum of squares.
fn between(values: &[(f64, usize)], n_batches: usize) -> f64 {
    let mut groups = vec![Vec::new(); n_batches];
    values.iter().for_each(|(value, batch)| groups[*batch].push(*value));
    let all: Vec<f64> = values.iter().map(|(value, _)| *value).collect();
    let total = sum_of_squares(&all);
    let within: f64 = groups.iter().filter(|group| !group.is_empty()).map(|group| sum_of_squares(group)).sum();
    if total > 0.0 { (1.0 - within / total).clamp(0.0, 1.0) } else { 0.0 }
}

impl Explained {
    /// A few lines for a person.
    #[must_use]
    pub fn text(&self) -> String {
        const SHOWN: usize = 10;
        let percent = |part: f64| format!("{:.1} %", 100.0 * part);
        let line = |name: &str, [low, middle, high]: &[f64; 3]| {
            format!("{name}  median {}  quartiles {} to {}\n", percent(*middle), percent(*low), percent(*high))
        };
        let mut text = format!(
            "Variance between batches, covariates taken out, over {} features\n{}{}",
            self.features.len(),
            line("  before", &self.before),
            line("  after ", &self.after)
        );
        if !self.features.is_empty() {
            text.push_str("Most explained before\n");
        }
        for feature in self.features.iter().take(SHOWN) {
            text.push_str(&format!("  {}  {} -> {}\n", feature.name, percent(feature.before), percent(feature.after)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Effects, cohort};
    use super::super::{FitSettings, fit};
    use super::*;

    #[test]
    fn the_batch_explains_much_before_and_little_after() {
        let effects = Effects { shifts: vec![0.0, 2.0, 4.0], slope: 0.1, age_step: 5.0, ..Effects::default() };
        let cohort = cohort(&[50, 50, 50], 20, &effects, 4);
        let model = fit(&cohort.samples(), &FitSettings::default()).unwrap();
        let applied = model.apply(&cohort.samples()).unwrap();
        let found = explained(&model, &cohort.samples(), &applied.features).unwrap();
        assert!(found.before[1] > 0.6 && found.after[1] < 0.02, "{found:?}");
        assert!(found.text().contains("over 20 features"));
    }
}

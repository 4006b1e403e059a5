//! Simulated cohorts with known effects, for tests.

use super::data::{Batches, Covariate, Features, Samples, Values};
use crate::math::random::Stream;

/// Tables that belong together.
#[derive(Debug, Clone)]
pub(crate) struct Cohort {
    pub features: Features,
    pub batches: Batches,
    pub covariates: Vec<Covariate>,
}

/// What is built into a cohort.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effects {
    /// What each batch adds, in standard deviations.
    pub shifts: Vec<f64>,
    /// What each batch's noise is multiplied by.
    pub scales: Vec<f64>,
    /// What a year of age adds, in standard deviations.
    pub slope: f64,
    /// How much older each batch is than the one before, in years.
    pub age_step: f64,
}

impl Cohort {
    pub(crate) fn samples(&self) -> Samples<'_> {
        Samples { features: &self.features, batches: &self.batches, covariates: &self.covariates, undeclared: &[] }
    }

    pub(crate) fn of(&self, rows: &[usize]) -> Self {
        let labels = rows.iter().map(|row| self.batches.labels[*row].clone()).collect();
        Self {
            features: self.features.of(rows),
            batches: Batches { name: self.batches.name.clone(), labels },
            covariates: self.covariates.iter().map(|covariate| covariate.of(rows)).collect(),
        }
    }
}

/// A cohort of batches of these sizes, named by letters, with age as a covariate.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub(crate) fn cohort(sizes: &[usize], n_features: usize, effects: &Effects, seed: u64) -> Cohort {
    let batch_of: Vec<usize> = sizes.iter().enumerate().flat_map(|(b, n)| std::iter::repeat_n(b, *n)).collect();
    let mut stream = Stream::new(seed, 900, 0);
    let age: Vec<f64> =
        batch_of.iter().map(|b| 30.0 + 30.0 * stream.uniform() + effects.age_step * *b as f64).collect();
    let of = |values: &[f64], b: usize, default: f64| values.get(b).copied().unwrap_or(default);
    let columns: Vec<Vec<f64>> = (0..n_features)
        .map(|feature| {
            let mut stream = Stream::new(seed, 901, feature as u64);
            let value = |(b, age): (&usize, &f64)| {
                let noise = stream.normal() * of(&effects.scales, *b, 1.0);
                10.0 + feature as f64 + of(&effects.shifts, *b, 0.0) + effects.slope * (age - 50.0) + noise
            };
            batch_of.iter().zip(&age).map(value).collect()
        })
        .collect();
    let names = (0..n_features).map(|feature| format!("f{feature}")).collect();
    let labels = batch_of.iter().map(|b| char::from(b'A' + *b as u8).to_string()).collect();
    Cohort {
        features: Features::new(names, &columns).unwrap(),
        batches: Batches { name: "scanner".to_owned(), labels },
        covariates: vec![Covariate { name: "age".to_owned(), values: Values::Continuous(age) }],
    }
}

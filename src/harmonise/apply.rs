//! Frozen application: a patient's values by the model as it was fitted, and the patient's own covariates.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::coding::CodingKind;
use super::data::{Covariate, Features, Samples};
use super::error::HarmoniseError;
use super::model::{BatchEstimate, FeatureFit, FeatureState, Model, Standing};
use super::transform::FeatureTransform;
use crate::math::qr::{add_scaled, dot};

/// Why the values of a patient stay raw.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "reason", content = "about")]
pub enum RawReason {
    /// The batch was not in the training data.
    #[error("batch \"{0}\" is not in the model")]
    UnknownBatch(String),
    /// The batch had too few samples in the training data.
    #[error("batch \"{0}\" had too few samples to be harmonised")]
    LeftOut(String),
    /// The batch was added to the model and not accepted yet.
    #[error("batch \"{0}\" is proposed and not accepted")]
    Proposed(String),
    /// The batch is not known.
    #[error("the batch is not known")]
    NoBatch,
    /// A protected covariate is not known.
    #[error("protected covariate \"{0}\" is missing")]
    MissingCovariate(String),
    /// A protected covariate has a level that the training data did not have.
    #[error("protected covariate \"{0}\" has a level that the model does not know")]
    UnknownLevel(String),
    /// The features were measured with other settings than the model's.
    #[error("the settings differ from those of the model")]
    OtherSettings,
    /// There is no model for the block.
    #[error("there is no model for the block")]
    NoModel,
}

/// Harmonised values.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The table: raw values where something stayed raw.
    pub features: Features,
    /// For every row, whether it was harmonised.
    pub rows: Vec<Result<(), RawReason>>,
    /// Features that stayed raw for every row, each with the reason.
    pub unchanged: Vec<(String, String)>,
    /// Single values that stayed raw because their transform has no value for them.
    pub n_untransformed: usize,
}

impl Applied {
    /// How many rows stayed raw, by reason.
    #[must_use]
    pub fn raw_rows(&self) -> BTreeMap<&RawReason, usize> {
        let mut counts = BTreeMap::new();
        for reason in self.rows.iter().filter_map(|row| row.as_ref().err()) {
            *counts.entry(reason).or_default() += 1;
        }
        counts
    }
}

impl Applied {
    /// Puts the raw values back into rows that stayed raw.
    pub(super) fn restore_raw(&mut self, raw: &Features) {
        let n_rows = raw.n_rows();
        for (row, _) in self.rows.iter().enumerate().filter(|(_, row)| row.is_err()) {
            for feature in 0..raw.n_features() {
                self.features.values_mut()[feature * n_rows + row] = raw.column(feature)[row];
            }
        }
    }
}

/// What the features of the rows are corrected for: places of batches, columns of the design.
struct Coded {
    /// `None` where a row stays raw.
    batch_of: Vec<Option<usize>>,
    columns: Vec<Vec<f64>>,
    /// Values of the B-splines, by row.
    splines: Vec<Vec<f64>>,
}

impl Model {
    /// Harmonises a table. Features are found by their names; what the model does not know stays raw and is told.
    ///
    /// # Errors
    /// When the tables do not have the same rows.
    pub fn apply(&self, samples: &Samples<'_>) -> Result<Applied, HarmoniseError> {
        samples.check()?;
        let (coded, rows) = self.coded(samples);
        let mut features = samples.features.blank();
        let places: BTreeMap<&str, &FeatureState> =
            self.features.iter().map(|feature| (feature.name.as_str(), &feature.state)).collect();
        let names = samples.features.names().to_vec();
        let states: Vec<Option<&FeatureState>> = names.iter().map(|name| places.get(name.as_str()).copied()).collect();
        let mut unchanged = Vec::new();
        for (name, state) in names.iter().zip(&states) {
            match state {
                None => unchanged.push((name.clone(), "it is not in the model".to_owned())),
                Some(FeatureState::Unchanged { reason }) => unchanged.push((name.clone(), reason.clone())),
                Some(FeatureState::Harmonised(_)) => {}
            }
        }
        let n_rows = features.n_rows().max(1);
        let n_untransformed = features
            .values_mut()
            .par_chunks_mut(n_rows)
            .zip(states)
            .enumerate()
            .map_init(Vec::new, |middle, (idx, (column, state))| {
                column.copy_from_slice(samples.features.column(idx));
                match state {
                    Some(FeatureState::Harmonised(fit)) => self.apply_column(fit, &coded, column, middle),
                    _ => 0,
                }
            })
            .sum();
        Ok(Applied { features, rows, unchanged, n_untransformed })
    }

    /// Harmonises some values of one patient: one per feature name, in any order. Values that stay raw are `None`.
    ///
    /// # Errors
    /// When the patient as a whole stays raw.
    pub fn apply_one(
        &self,
        batch: &str,
        covariates: &[Covariate],
        values: &[(&str, f64)],
    ) -> Result<Vec<Option<f64>>, RawReason> {
        let place = self.usable_batch(batch)?;
        let (row, splines) = self.coded_row(covariates, 0)?;
        let one = |(name, value): &(&str, f64)| match &self.feature(name)?.state {
            FeatureState::Unchanged { .. } => None,
            FeatureState::Harmonised(fit) => {
                let middle = fit.alpha + dot(&fit.beta, &row) + dot(&fit.spline, &splines);
                self.correction(fit, place).of(fit.transform, middle, *value)
            }
        };
        Ok(values.iter().map(one).collect())
    }

    /// The place of a batch that may be used.
    fn usable_batch(&self, label: &str) -> Result<usize, RawReason> {
        if label.is_empty() {
            return Err(RawReason::NoBatch);
        }
        match self.batch(label) {
            Some(place) if self.batches[place].standing == Standing::Proposed => {
                Err(RawReason::Proposed(label.to_owned()))
            }
            Some(place) => Ok(place),
            None if self.left_out.iter().any(|batch| batch.label == label) => Err(RawReason::LeftOut(label.to_owned())),
            None => Err(RawReason::UnknownBatch(label.to_owned())),
        }
    }

    /// The columns of the design, and the values of the B-splines, of one row.
    pub(super) fn coded_row(&self, covariates: &[Covariate], row: usize) -> Result<(Vec<f64>, Vec<f64>), RawReason> {
        let (mut columns, mut splines) = (Vec::new(), Vec::new());
        for coding in &self.covariates {
            let covariate = covariates.iter().find(|covariate| covariate.name == coding.name);
            let covariate = covariate.ok_or_else(|| RawReason::MissingCovariate(coding.name.clone()))?;
            let values = coding.row(covariate, row)?;
            if let (CodingKind::Spline(knots), [value]) = (&coding.kind, values.as_slice()) {
                splines = knots.values(*value);
            }
            columns.extend(values);
        }
        Ok((columns, splines))
    }

    fn coded(&self, samples: &Samples<'_>) -> (Coded, Vec<Result<(), RawReason>>) {
        let n_columns = self.covariates.iter().map(|coding| coding.columns().len()).sum();
        let n_rows = samples.features.n_rows();
        let mut coded =
            Coded { batch_of: Vec::new(), columns: vec![vec![0.0; n_rows]; n_columns], splines: Vec::new() };
        let mut rows = Vec::with_capacity(n_rows);
        let mut known: BTreeMap<&str, Result<usize, RawReason>> = BTreeMap::new();
        for (row, label) in samples.batches.labels.iter().enumerate() {
            let place = known.entry(label).or_insert_with(|| self.usable_batch(label)).clone();
            let values = place.and_then(|place| Ok((place, self.coded_row(samples.covariates, row)?)));
            match values {
                Ok((place, (values, splines))) => {
                    coded.columns.iter_mut().zip(values).for_each(|(column, value)| column[row] = value);
                    coded.splines.push(splines);
                    coded.batch_of.push(Some(place));
                    rows.push(Ok(()));
                }
                Err(reason) => {
                    coded.splines.push(Vec::new());
                    coded.batch_of.push(None);
                    rows.push(Err(reason));
                }
            }
        }
        (coded, rows)
    }

    /// Harmonises one column in place; gives how many values the transform could not take.
    fn apply_column(&self, fit: &FeatureFit, coded: &Coded, column: &mut [f64], middle: &mut Vec<f64>) -> usize {
        middle.clear();
        middle.resize(column.len(), fit.alpha);
        for (values, coefficient) in coded.columns.iter().zip(&fit.beta) {
            add_scaled(middle, *coefficient, values);
        }
        if !fit.spline.is_empty() {
            for (middle, splines) in middle.iter_mut().zip(&coded.splines) {
                *middle += dot(&fit.spline, splines);
            }
        }
        let corrections: Vec<Correction> = (0..self.batches.len()).map(|batch| self.correction(fit, batch)).collect();
        let mut n_untransformed = 0;
        for ((value, middle), batch) in column.iter_mut().zip(middle).zip(&coded.batch_of) {
            let Some(batch) = batch else { continue };
            match corrections[*batch].of(fit.transform, *middle, *value) {
                Some(harmonised) => *value = harmonised,
                None => n_untransformed += usize::from(!value.is_nan()),
            }
        }
        n_untransformed
    }

    fn correction(&self, fit: &FeatureFit, batch: usize) -> Correction {
        // The reference stays exactly as it is.
        if self.batches[batch].estimate == BatchEstimate::Reference {
            return Correction::None;
        }
        let shift = fit.variance.sqrt() * fit.gamma_star[batch];
        Correction::Of { shift, scale: fit.delta_star[batch].sqrt() }
    }
}

/// What a batch does to a feature, in the feature's unit.
#[derive(Debug, Clone, Copy)]
enum Correction {
    None,
    Of { shift: f64, scale: f64 },
}

impl Correction {
    /// One value without the effect of its batch; none where it has none.
    fn of(self, transform: FeatureTransform, middle: f64, value: f64) -> Option<f64> {
        let Self::Of { shift, scale } = self else { return Some(value).filter(|value| value.is_finite()) };
        let harmonised = match transform {
            FeatureTransform::None => middle + (value - middle - shift) / scale,
            transform => transform.inverse(middle + (transform.forward(value)? - middle - shift) / scale)?,
        };
        harmonised.is_finite().then_some(harmonised)
    }
}

//! A fitted harmonisation: everything that is needed to apply it to other patients, and to judge it.

use serde::{Deserialize, Serialize};

use super::bayes::Prior;
use super::coding::{Coding, CodingKind};
use super::remark::Remark;
use super::settings::FitSettings;
use super::transform::FeatureTransform;

/// A fitted ComBat. Applied to a patient it uses nothing but what is written here and the patient's own values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// How it was fitted.
    pub settings: FitSettings,
    /// The name of the batch column.
    pub batch_column: String,
    /// How covariates become columns.
    pub covariates: Vec<Coding>,
    /// The batches, by their labels.
    pub batches: Vec<BatchModel>,
    /// Batches of the training data that the model cannot harmonise.
    pub left_out: Vec<LeftOut>,
    /// The features, in the order of the training table.
    pub features: Vec<FeatureModel>,
    /// What the protective rules said.
    pub remarks: Vec<Remark>,
    /// Patients that it was fitted to.
    pub n_samples: usize,
}

/// One batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchModel {
    /// Its label.
    pub label: String,
    /// Its patients.
    pub n_samples: usize,
    /// How its effect was estimated.
    pub estimate: BatchEstimate,
    /// Where it stands.
    pub standing: Standing,
    /// The prior of its effects, where there was one.
    pub prior: Option<Prior>,
    /// Rounds of the fixed point.
    pub n_iterations: usize,
}

/// How the effect of a batch was estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchEstimate {
    /// Shift and scale.
    ShiftAndScale,
    /// Shift alone.
    Shift,
    /// None: the others are brought to it.
    Reference,
}

/// Whether a batch may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It was there when the model was fitted.
    Fitted,
    /// It was added later and nobody has accepted it yet: never used.
    Proposed,
    /// It was added later and accepted.
    Accepted,
}

/// A batch that cannot be harmonised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its label.
    pub label: String,
    /// Its patients.
    pub n_samples: usize,
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureModel {
    /// Its name.
    pub name: String,
    /// What is done to it.
    #[serde(flatten)]
    pub state: FeatureState,
}

/// What is done to a feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureState {
    /// It stays as it is, and why.
    Unchanged {
        /// A sentence.
        reason: String,
    },
    /// It is harmonised.
    Harmonised(FeatureFit),
}

/// The estimates for one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureFit {
    /// What is done to its values first.
    pub transform: FeatureTransform,
    /// The common level.
    pub alpha: f64,
    /// The common variance.
    pub variance: f64,
    /// The coefficients of the covariates' columns.
    pub beta: Vec<f64>,
    /// The coefficients of the B-splines, where a covariate acts by a curve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spline: Vec<f64>,
    /// The shift of each batch, as measured.
    pub gamma_hat: Vec<f64>,
    /// The scale of each batch, as measured.
    pub delta_hat: Vec<f64>,
    /// The shift of each batch, as used.
    pub gamma_star: Vec<f64>,
    /// The scale of each batch, as used.
    pub delta_star: Vec<f64>,
}

impl Model {
    /// The place of a batch.
    #[must_use]
    pub fn batch(&self, label: &str) -> Option<usize> {
        self.batches.iter().position(|batch| batch.label == label)
    }

    /// A feature by its name.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&FeatureModel> {
        self.features.iter().find(|feature| feature.name == name)
    }

    /// The features that stay as they are, with the reason.
    pub fn unchanged(&self) -> impl Iterator<Item = (&str, &str)> {
        self.features.iter().filter_map(|feature| match &feature.state {
            FeatureState::Unchanged { reason } => Some((feature.name.as_str(), reason.as_str())),
            FeatureState::Harmonised(_) => None,
        })
    }

    /// The features that are harmonised.
    pub fn harmonised(&self) -> impl Iterator<Item = (&str, &FeatureFit)> {
        self.features.iter().filter_map(|feature| match &feature.state {
            FeatureState::Unchanged { .. } => None,
            FeatureState::Harmonised(fit) => Some((feature.name.as_str(), fit)),
        })
    }

    /// Checks that all parts fit together, as after reading a file; the error is a sentence.
    ///
    /// # Errors
    /// When a list has another length than it should, or a number is impossible.
    pub fn check(&self) -> Result<(), String> {
        let n_batches = self.batches.len();
        let n_columns: usize = self.covariates.iter().map(|coding| coding.columns().len()).sum();
        let n_splines = self.covariates.iter().map(|coding| match &coding.kind {
            CodingKind::Spline(knots) => knots.n_splines(),
            _ => 0,
        });
        let n_splines: usize = n_splines.sum();
        if n_batches == 0 || self.features.is_empty() {
            return Err("holds no batch or no feature".to_owned());
        }
        for (name, fit) in self.harmonised() {
            let by_batch = [&fit.gamma_hat, &fit.delta_hat, &fit.gamma_star, &fit.delta_star];
            if by_batch.iter().any(|values| values.len() != n_batches) {
                return Err(format!("feature \"{name}\" does not have one estimate for each of {n_batches} batches"));
            }
            if fit.beta.len() != n_columns || fit.spline.len() != n_splines {
                return Err(format!("feature \"{name}\" does not have one coefficient for each covariate"));
            }
            let scales = fit.delta_star.iter().chain([&fit.variance]);
            let others = fit.beta.iter().chain(&fit.spline).chain(&fit.gamma_star).chain([&fit.alpha]);
            if !scales.into_iter().all(|scale| scale.is_finite() && *scale > 0.0)
                || !others.into_iter().all(|x| x.is_finite())
            {
                return Err(format!("feature \"{name}\" has an estimate that cannot be"));
            }
        }
        Ok(())
    }

    /// Accepts a proposed batch.
    ///
    /// # Errors
    /// When there is no such batch, or it is no proposal.
    pub fn accept(&mut self, label: &str) -> Result<(), super::HarmoniseError> {
        let refuse = |reason: &str| super::HarmoniseError::Batch { label: label.to_owned(), reason: reason.to_owned() };
        let batch = self.batches.iter_mut().find(|batch| batch.label == label);
        match batch {
            None => Err(refuse("is not in the model")),
            Some(batch) if batch.standing != Standing::Proposed => Err(refuse("is no proposal")),
            Some(batch) => {
                batch.standing = Standing::Accepted;
                Ok(())
            }
        }
    }
}

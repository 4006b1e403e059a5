//! How a harmonisation is fitted.

use serde::{Deserialize, Serialize};

use super::error::HarmoniseError;

/// How the effects of a batch are estimated from all features together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Estimator {
    /// By the size of each batch: under 3 samples it is left out, 3 to 9 it is shifted only, from 10 on shifted and
    /// scaled by the parametric estimate.
    #[default]
    Auto,
    /// Empirical Bayes with a normal and an inverse gamma prior, by the published fixed point.
    Parametric,
    /// Empirical Bayes with the other features' estimates as the prior.
    NonParametric,
    /// Each feature by itself.
    None,
}

/// What is done to heavy-tailed features before they are harmonised, and undone after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transform {
    /// Nothing.
    #[default]
    None,
    /// The logarithm.
    Log,
    /// Box and Cox's power, its exponent estimated for each feature.
    BoxCox,
}

/// How a harmonisation is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitSettings {
    /// How effects are estimated.
    pub estimator: Estimator,
    /// Batches differ by a shift alone.
    pub mean_only: bool,
    /// This batch stays as it is and the others are brought to it; without one, all are brought to their mean.
    pub reference: Option<String>,
    /// What is done to heavy-tailed features first.
    pub transform: Transform,
    /// A continuous covariate that acts by a smooth curve rather than a line.
    pub spline: Option<String>,
    /// Fit although a covariate is confounded with the batch (rule E4); written into the model.
    pub allow_confounded: bool,
    /// The parametric estimate ends when nothing changes by more than this part of its value.
    pub convergence: f64,
}

impl Default for FitSettings {
    fn default() -> Self {
        Self {
            estimator: Estimator::Auto,
            mean_only: false,
            reference: None,
            transform: Transform::None,
            spline: None,
            allow_confounded: false,
            // As published: another limit gives other values.
            convergence: 1e-4,
        }
    }
}

impl FitSettings {
    pub(super) fn check(&self) -> Result<(), HarmoniseError> {
        if !(self.convergence > 0.0 && self.convergence < 1.0) {
            let (found, expected) = (self.convergence.to_string(), "more than 0 and less than 1");
            return Err(HarmoniseError::Setting { what: "convergence", found, expected });
        }
        Ok(())
    }
}

/// Below this many samples a batch is left out by [`Estimator::Auto`].
pub const SAMPLES_MIN: usize = 3;
/// From this many samples on a batch is scaled as well as shifted by [`Estimator::Auto`].
pub const SAMPLES_FULL: usize = 10;

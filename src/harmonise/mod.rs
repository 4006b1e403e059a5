//! Harmonisation: feature values of different scanners become comparable, or it is said that they are not. Pure.
//!
//! [`fit`] learns a [`Model`] from [`Samples`]: what each batch (scanner and reconstruction class of one block, never a
//! modality) does to every feature beside the covariates that are protected. [`Model::apply`] takes it away from other
//! patients' values with the model as it was fitted and their own covariates. What would lie is refused or told, see
//! [`Rule`]; what cannot be harmonised stays raw with a [`RawReason`].

mod apply;
mod batch_rules;
mod bayes;
mod bootstrap;
mod checks;
mod coding;
mod data;
mod design;
mod drift;
mod error;
mod explained;
mod fit;
mod model;
mod nested;
mod online;
mod picture;
mod remark;
mod settings;
mod spline;
#[cfg(test)]
pub(crate) mod testing;
mod transform;

pub use apply::{Applied, RawReason};
pub use batch_rules::{BatchKey, BatchRules, NoBatch, ScannerFacts};
pub use bayes::Prior;
pub use bootstrap::{FeatureSpread, Resampling, Spread, bootstrap};
pub use checks::{
    CANONICAL_REFUSED, CRAMERS_V_REFUSED, CRAMERS_V_WARNED, DEGREES_OF_FREEDOM_MIN, P_WARNED, R2_REFUSED, R2_WARNED,
};
pub use coding::{Coding, CodingKind};
pub use data::{Batches, Covariate, Features, Samples, Values};
pub use drift::{Baseline, BatchDrift, DriftSettings, FeatureBaseline, baseline, drift};
pub use error::HarmoniseError;
pub use explained::{Explained, ExplainedFeature, explained};
pub use fit::fit;
pub use model::{BatchEstimate, BatchModel, FeatureFit, FeatureModel, FeatureState, LeftOut, Model, Standing};
pub use nested::{NESTED_SEPARATOR, NestedModel, fit_nested};
pub use picture::picture;
pub use remark::{Remark, Rule};
pub use settings::{Estimator, FitSettings, SAMPLES_FULL, SAMPLES_MIN, Transform};
pub use spline::Knots;
pub use transform::FeatureTransform;

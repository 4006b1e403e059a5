//! Fusion: from the feature blocks of one patient to one prediction, with the checks that keep it honest. Pure.
//!
//! A [`Dataset`] holds one [`Block`] per role, each patient's row present or absent, and the [`Outcome`]. The numerical
//! models are in `elastic_net` and `cox`; nothing here reads a file or asks for randomness other than by a seed.

mod bootstrap;
mod cox;
mod data;
mod design;
mod elastic_net;
mod error;
mod folds;
mod leaks;
mod metrics;
mod outcome;
mod prepare;

pub use bootstrap::{BootstrapSettings, Interval, bootstrap_interval, quantile};
pub use cox::{CoxFit, CoxSettings, Ties, cox};
pub use data::{Block, Dataset};
pub use design::Design;
pub use elastic_net::{ElasticNet, Lambdas, LinearModel, PathStep, cox_path, logistic_path};
pub use error::FuseError;
pub use folds::{folds, split};
pub use leaks::{DISCRIMINATION_MAX, check_covariates, check_features, check_folds, check_order};
pub use metrics::{
    Calibration, NetBenefit, Pairing, auc, baseline_hazard, brier, calibration, decision_curve, discrimination,
    point_632_plus, ranks,
};
pub use outcome::{Outcome, Survival};
pub use prepare::{Choice, ChosenFeature, Preparation, PrepareSettings};

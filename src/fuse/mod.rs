//! Fusion: from the feature blocks of one patient to one prediction, with the checks that keep it honest. Pure.
//!
//! A [`Dataset`] holds one [`Block`] per role, each patient's row present or absent, and the [`Outcome`]. The numerical
//! models are in `elastic_net` and `cox`; a [`Method`] brings blocks together: `early`, `forest`, `late`, `intermediate`,
//! `network`. A model that was trained elsewhere comes as `brought` (ONNX).
//! [`train`] judges them by nested validation and gives a [`Bundle`], which [`Bundle::predict`] asks about one patient.
//! Nothing here reads a file or asks for randomness other than by a seed.

mod body;
mod bootstrap;
mod brought;
mod bundle;
mod censored;
mod cox;
mod data;
mod derived;
mod design;
mod early;
mod elastic_net;
mod error;
mod fitted;
mod folds;
mod forest;
mod head;
mod intermediate;
mod late;
mod leaks;
mod metrics;
mod nest;
mod network;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(feature = "onnx")]
mod onnx_check;
mod outcome;
mod part;
mod prepare;
mod shapley;
mod space;
mod synergy;
mod train;
mod validate;

pub use body::{Body, Method, Scored};
pub use bootstrap::{BootstrapSettings, Interval, bootstrap_interval, quantile};
pub use brought::{Asked, BroughtModel, Call, ONNX_BYTES_MAX, OutputIs};
pub use bundle::{Bundle, Conformal, Patient, PatientBlock, Pattern, Prediction, Refusal, VOXELS_MIN};
pub use censored::{brier_censored, calibration_at, kaplan_meier};
pub use cox::{CoxFit, CoxSettings, Ties, cox};
pub use data::{Block, Dataset, Harmonising};
pub use derived::{Derived, Source, baselines};
pub use design::Design;
pub use elastic_net::{ElasticNet, Lambdas, LinearModel, PathStep, cox_path, logistic_path};
pub use error::FuseError;
pub use fitted::{Fitted, Scale};
pub use folds::{folds, split};
pub use forest::{Forest, Tree};
pub use leaks::{DISCRIMINATION_MAX, check_covariates, check_features, check_folds, check_order};
pub use metrics::{
    Calibration, NetBenefit, Pairing, auc, baseline_hazard, brier, calibration, decision_curve, discrimination,
    point_632_plus, ranks,
};
pub use nest::NestSettings;
pub use outcome::{Outcome, Survival};
pub use part::{HarmonisedRow, Part};
pub use prepare::{Choice, ChosenFeature, Preparation, PrepareSettings};
pub use space::{ROBUST_Z_MAX, Space, TAIL_MIN};
pub use synergy::{Shared, Synergy, synergy};
pub use train::{CLINICAL, EVENTS_MIN, TrainSettings, Trained, auc_632_plus, n_steps, permuted, train};
pub use validate::{
    Candidate, Evaluation, LeftOut, ValidateSettings, cross_validate, discriminate, evaluate, judge, sigmoid,
};

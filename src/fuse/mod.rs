//! Fusion: from the feature blocks of one patient to one prediction, with the checks that keep it honest. Pure.
//!
//! A [`Dataset`] holds one [`Block`] per role, each patient's row present or absent, and the [`Outcome`]. The numerical
//! models are in `elastic_net` and `cox`; nothing here reads a file or asks for randomness other than by a seed.

mod cox;
mod data;
mod design;
mod elastic_net;
mod error;
mod outcome;

pub use cox::{CoxFit, CoxSettings, Ties, cox};
pub use data::{Block, Dataset};
pub use design::Design;
pub use elastic_net::{ElasticNet, Lambdas, LinearModel, PathStep, cox_path, logistic_path};
pub use error::FuseError;
pub use outcome::{Outcome, Survival};

//! What the `fusion` commands do on files: cohorts from tables, bundles as folders, which bundle is in force.

mod card;
mod clinic;
mod files;
mod load;
mod onnx;
mod plots;
mod predict;
mod repeatable;
mod train;

pub use clinic::{clinic, clinical_values};
pub use files::{BundleFile, BundleState, Listed, STATES_FILE, activate, active, list};
pub use load::{BlockTable, Cohorts, Inputs};
pub use onnx::{ImportOptions, ImportOutcome, import};
pub use predict::{EvaluateOptions, EvaluateOutcome, PredictOptions, PredictOutcome, evaluate, predict};
pub use repeatable::Repeatable;
pub use train::{TrainOptions, TrainOutcome, train};

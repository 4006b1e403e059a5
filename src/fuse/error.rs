//! Why a model cannot be fitted or asked.

use crate::error::{Duty, Fault, Retry};
use crate::harmonise::HarmoniseError;

/// Why a model cannot be fitted, judged or asked. No error names a patient.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FuseError {
    /// Tables that do not belong together.
    #[error("{what} has {found} rows, expected {expected}")]
    Rows {
        /// Which table.
        what: String,
        /// Its rows.
        found: usize,
        /// The others' rows.
        expected: usize,
    },
    /// A value that is not a number where one is needed.
    #[error("{0} holds a value that is not finite")]
    NotFinite(String),
    /// A setting outside its range.
    #[error("{what} is {found}, expected {expected}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// What it is.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// Nothing to learn from.
    #[error("{what}: {found}, expected at least {expected}")]
    TooFew {
        /// Of what there are too few.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are needed.
        expected: usize,
    },
    /// A method for another kind of outcome.
    #[error("the outcome is {found}, {method} needs {expected}")]
    OutcomeKind {
        /// Which method.
        method: &'static str,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The likelihood has no finite maximum, or its curvature is not positive.
    #[error("{0} did not converge: its likelihood has no finite maximum, or columns are collinear")]
    NoConvergence(&'static str),
    /// A feature tells the outcome too well to be honest.
    #[error("leak: {0}")]
    Leak(String),
    /// Two things of one name.
    #[error("{0} is there twice")]
    Twice(String),
    /// The blocks cannot be harmonised.
    #[error("block {block}: {source}")]
    Harmonise {
        /// Which block.
        block: String,
        /// Why.
        source: HarmoniseError,
    },
    /// A model that was brought along and cannot be used.
    #[error("the ONNX model: {0}")]
    Brought(String),
    /// ONNX is an option of the build.
    #[error(
        "this program was built without ONNX: `cargo build --release --features onnx` makes one that runs such models"
    )]
    NotBuilt,
    /// A block or a feature that a model needs is not known.
    #[error("{0} is not there")]
    Absent(String),
}

impl Duty for FuseError {
    fn fault(&self) -> Fault {
        match self {
            Self::Setting { .. } | Self::NotBuilt => Fault::Config,
            _ => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

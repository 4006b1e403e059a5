//! Why a harmonisation cannot be fitted or applied.

use super::remark::Remark;
use crate::error::{Duty, Fault, Retry};

/// Why a harmonisation cannot be fitted or applied. No error names a patient.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HarmoniseError {
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
    /// Two things of one name.
    #[error("{0} is there twice")]
    Twice(String),
    /// A value beyond every number.
    #[error("feature \"{0}\" holds an infinite value")]
    Infinite(String),
    /// Too little to learn from.
    #[error("{what}: {found}, expected at least {expected}")]
    TooFew {
        /// Of what there is too little.
        what: String,
        /// How much there is.
        found: usize,
        /// How much is needed.
        expected: usize,
    },
    /// A batch that is named and not there, or too small.
    #[error("batch \"{label}\" {reason}")]
    Batch {
        /// Which batch.
        label: String,
        /// Why it cannot serve.
        reason: String,
    },
    /// A setting outside its range.
    #[error("{what} is {found}, expected {expected}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The rules that protect forbid it.
    #[error("refused: {}", sentences(.0))]
    Refused(Vec<Remark>),
}

fn sentences(remarks: &[Remark]) -> String {
    remarks.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Duty for HarmoniseError {
    fn fault(&self) -> Fault {
        match self {
            Self::Setting { .. } => Fault::Config,
            _ => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

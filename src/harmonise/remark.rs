//! The rules that protect a harmonisation, and what they say of one.

use serde::{Deserialize, Serialize};

/// A rule. `E` rules refuse, `W` rules warn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// The design has no unique solution: some column is a combination of others.
    E1,
    /// The batch is a modality, or one block holds several.
    E2,
    /// A batch has too few samples for what is asked of it.
    E3,
    /// A covariate is confounded with the batch.
    E4,
    /// The outcome is among the covariates.
    E5,
    /// A covariate is associated with the batch.
    W1,
    /// A known covariate that is not declared is associated with the batch: its effect is removed with the batch's.
    W2,
    /// A level of a covariate does not occur in a batch.
    W3,
    /// Few residual degrees of freedom.
    W4,
    /// Something else that a reader should know: values that were left out, an estimate that did not settle.
    W5,
}

impl Rule {
    /// Whether it refuses.
    #[must_use]
    pub const fn refuses(self) -> bool {
        matches!(self, Self::E1 | Self::E2 | Self::E3 | Self::E4 | Self::E5)
    }
}

/// What a rule says of one design.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// Which rule.
    pub rule: Rule,
    /// A sentence that names columns and batches, never a patient.
    pub sentence: String,
}

impl Remark {
    /// A remark.
    pub fn new(rule: Rule, sentence: impl Into<String>) -> Self {
        Self { rule, sentence: sentence.into() }
    }
}

impl std::fmt::Display for Remark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.sentence)
    }
}

//! What a model learns from: blocks of features and an outcome.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::error::FuseError;
use super::outcome::Outcome;

/// The features of one role, or of the clinic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Its name: the role.
    pub name: String,
    /// The features' names.
    pub features: Vec<String>,
    /// One row per patient; `None` where the whole block is missing, NaN where one value is.
    pub rows: Vec<Option<Vec<f64>>>,
}

/// Everything that is known of a cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The patients' ids: rows of one id never part.
    pub patients: Vec<String>,
    /// The blocks.
    pub blocks: Vec<Block>,
    /// The outcome.
    pub outcome: Outcome,
}

impl Dataset {
    /// A checked cohort.
    ///
    /// # Errors
    /// When rows or columns do not match, a name is there twice, a value is infinite, or an outcome is impossible.
    pub fn new(patients: Vec<String>, blocks: Vec<Block>, outcome: Outcome) -> Result<Self, FuseError> {
        let n = patients.len();
        if outcome.n_patients() != n {
            return Err(FuseError::Rows { what: "the outcome".into(), found: outcome.n_patients(), expected: n });
        }
        outcome.check()?;
        let mut names = BTreeSet::new();
        for block in &blocks {
            if !names.insert(&block.name) {
                return Err(FuseError::Twice(format!("block {}", block.name)));
            }
            block.check(n)?;
        }
        Ok(Self { patients, blocks, outcome })
    }

    /// The block of that name.
    #[must_use]
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.name == name)
    }

    /// Some patients, in the order of `rows`; rows that are not there are left out.
    #[must_use]
    pub fn of(&self, rows: &[usize]) -> Self {
        Self {
            patients: rows.iter().filter_map(|row| self.patients.get(*row)).cloned().collect(),
            blocks: self.blocks.iter().map(|block| block.of(rows)).collect(),
            outcome: self.outcome.of(rows),
        }
    }
}

impl Block {
    /// Some patients' rows.
    #[must_use]
    pub fn of(&self, rows: &[usize]) -> Self {
        Self {
            name: self.name.clone(),
            features: self.features.clone(),
            rows: rows.iter().filter_map(|row| self.rows.get(*row)).cloned().collect(),
        }
    }

    /// For how many patients it is there.
    #[must_use]
    pub fn n_present(&self) -> usize {
        self.rows.iter().flatten().count()
    }

    fn check(&self, n_patients: usize) -> Result<(), FuseError> {
        if self.rows.len() != n_patients {
            let what = format!("block {}", self.name);
            return Err(FuseError::Rows { what, found: self.rows.len(), expected: n_patients });
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = self.features.iter().find(|name| !names.insert(*name)) {
            return Err(FuseError::Twice(format!("feature {twice} of block {}", self.name)));
        }
        for row in self.rows.iter().flatten() {
            if row.len() != self.features.len() {
                let what = format!("a patient of block {}, by features,", self.name);
                return Err(FuseError::Rows { what, found: row.len(), expected: self.features.len() });
            }
            if row.iter().any(|value| value.is_infinite()) {
                return Err(FuseError::NotFinite(format!("block {}", self.name)));
            }
        }
        Ok(())
    }
}

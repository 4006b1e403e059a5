//! What a model learns from: blocks of features and an outcome.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::error::FuseError;
use super::outcome::Outcome;
use crate::harmonise::{Covariate, FitSettings};

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
    /// What is needed to harmonise blocks between scanners; none: they stay as they are.
    pub harmonising: Option<Harmonising>,
}

/// Scanners and covariates of a cohort: each fold fits its own harmonisation from them.
#[derive(Debug, Clone, PartialEq)]
pub struct Harmonising {
    /// The batch of every patient, by block; empty where it is not known. A block that is not there stays as it is.
    pub batches: BTreeMap<String, Vec<String>>,
    /// The covariates whose effect is kept.
    pub covariates: Vec<Covariate>,
    /// How it is fitted.
    pub settings: FitSettings,
}

impl Harmonising {
    fn of(&self, rows: &[usize]) -> Self {
        let picked = |labels: &Vec<String>| rows.iter().filter_map(|row| labels.get(*row)).cloned().collect();
        Self {
            batches: self.batches.iter().map(|(block, labels)| (block.clone(), picked(labels))).collect(),
            covariates: self.covariates.iter().map(|covariate| covariate.of(rows)).collect(),
            settings: self.settings.clone(),
        }
    }
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
        Ok(Self { patients, blocks, outcome, harmonising: None })
    }

    /// The cohort with what is needed to harmonise it.
    ///
    /// # Errors
    /// When labels or covariates have another number of rows.
    pub fn with_harmonising(mut self, harmonising: Harmonising) -> Result<Self, FuseError> {
        let expected = self.patients.len();
        let labels =
            harmonising.batches.iter().map(|(block, labels)| (format!("the batches of {block}"), labels.len()));
        let covariates =
            harmonising.covariates.iter().map(|known| (format!("covariate {}", known.name), known.n_rows()));
        if let Some((what, found)) = labels.chain(covariates).find(|(_, found)| *found != expected) {
            return Err(FuseError::Rows { what, found, expected });
        }
        self.harmonising = Some(harmonising);
        Ok(self)
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
            harmonising: self.harmonising.as_ref().map(|harmonising| harmonising.of(rows)),
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

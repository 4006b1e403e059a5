//! The training rows of one outer fold, and the inner folds within them: everything learned anew at each level.

use std::sync::OnceLock;

use super::data::Dataset;
use super::design::Design;
use super::error::FuseError;
use super::folds::{folds, split};
use super::late::LeftOutMember;
use super::outcome::Outcome;
use super::part::{Level, Part, Ready};
use super::prepare::PrepareSettings;

/// How blocks are prepared and penalties chosen.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NestSettings {
    /// How features are prepared and chosen.
    pub prepare: PrepareSettings,
    /// Features per block, at most, that an encoder gets.
    pub n_encoded: usize,
    /// Inner folds.
    pub n_inner: usize,
    /// Seed.
    pub seed: u64,
}

impl Default for NestSettings {
    fn default() -> Self {
        Self { prepare: PrepareSettings::default(), n_encoded: 40, n_inner: 5, seed: 1 }
    }
}

/// Prepared blocks of some patients.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub chosen: Vec<Ready>,
    pub all: Vec<Ready>,
    pub outcome: Outcome,
}

/// One inner fold: prepared by what it trains on.
#[derive(Debug, Clone)]
pub(super) struct Inner {
    pub train: Table,
    pub train_rows: Vec<usize>,
    pub test: Table,
    pub test_rows: Vec<usize>,
}

/// The training data of a model.
#[derive(Debug, Clone)]
pub(super) struct Nest {
    pub parts: Vec<Part>,
    pub train: Table,
    pub inner: Vec<Inner>,
    /// The model of each block alone, which several methods share.
    members: Vec<OnceLock<Result<LeftOutMember, FuseError>>>,
}

impl Table {
    pub(super) fn new(parts: &[Part], data: &Dataset) -> Result<Self, FuseError> {
        let ready = |level| parts.iter().map(|part| part.ready(data, level)).collect::<Result<Vec<_>, _>>();
        Ok(Self { chosen: ready(Level::Chosen)?, all: ready(Level::All)?, outcome: data.outcome.clone() })
    }

    pub(super) fn level(&self, level: Level) -> &[Ready] {
        match level {
            Level::Chosen => &self.chosen,
            Level::All => &self.all,
        }
    }

    pub(super) fn n_rows(&self) -> usize {
        self.outcome.n_patients()
    }

    /// Some rows.
    pub(super) fn of(&self, rows: &[usize]) -> Self {
        let pick = |blocks: &[Ready]| {
            let of = |ready: &Ready| Ready {
                rows: rows.iter().map(|row| ready.rows[*row].clone()).collect(),
                fill: ready.fill.clone(),
            };
            blocks.iter().map(of).collect()
        };
        Self { chosen: pick(&self.chosen), all: pick(&self.all), outcome: self.outcome.of(rows) }
    }

    /// The rows in which a block is there.
    pub(super) fn present(&self, block: usize) -> Vec<usize> {
        (0..self.n_rows()).filter(|row| self.chosen[block].rows[*row].is_some()).collect()
    }

    /// Some blocks side by side; a missing block is its training medians, told by an indicator where one is asked for.
    pub(super) fn design(&self, blocks: &[usize], indicators: &[bool]) -> Result<Design, FuseError> {
        let mut columns = Vec::new();
        for (block, indicator) in blocks.iter().zip(indicators) {
            let ready = &self.chosen[*block];
            for (idx, fill) in ready.fill.iter().enumerate() {
                columns.push(ready.rows.iter().map(|row| row.as_ref().map_or(*fill, |row| row[idx])).collect());
            }
            if *indicator {
                columns.push(ready.rows.iter().map(|row| f64::from(u8::from(row.is_none()))).collect());
            }
        }
        Design::new(self.n_rows(), columns)
    }
}

impl Nest {
    /// Learns parts from all rows of `data`, and again within each inner fold. `stream` tells outer folds apart.
    pub(super) fn new(data: &Dataset, settings: &NestSettings, stream: u64) -> Result<Self, FuseError> {
        let parts = fit_parts(data, settings)?;
        let train = Table::new(&parts, data)?;
        let fold_of = folds(data, settings.n_inner, settings.seed ^ INNER, stream)?;
        let mut inner = Vec::new();
        for fold in 0..settings.n_inner {
            let (train_rows, test_rows) = split(&fold_of, fold);
            let training = data.of(&train_rows);
            let parts = fit_parts(&training, settings)?;
            let (train, test) = (Table::new(&parts, &training)?, Table::new(&parts, &data.of(&test_rows))?);
            inner.push(Inner { train, train_rows, test, test_rows });
        }
        let members = parts.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { parts, train, inner, members })
    }

    /// The model of one block alone, fitted when it is first asked for.
    pub(super) fn member(&self, block: usize) -> Result<LeftOutMember, FuseError> {
        let cell = self.members.get(block).ok_or_else(|| FuseError::Absent(format!("block {block}")))?;
        cell.get_or_init(|| LeftOutMember::fit(self, block)).clone()
    }
}

/// Keeps the inner folds' randomness apart from the outer folds'.
const INNER: u64 = 0x5EED_1A7E;

fn fit_parts(data: &Dataset, settings: &NestSettings) -> Result<Vec<Part>, FuseError> {
    data.blocks.iter().map(|block| Part::fit(data, block, &settings.prepare, settings.n_encoded)).collect()
}

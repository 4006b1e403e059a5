//! One block on its way into a model: harmonised, imputed, scaled, its features chosen; all of it learned from the training
//! rows and kept, so that a patient who comes later goes the same way.

use serde::{Deserialize, Serialize};

use super::data::{Block, Dataset};
use super::error::FuseError;
use super::prepare::{Preparation, PrepareSettings};
use crate::harmonise::{self, Batches, Covariate, Features, RawReason, Samples};

/// What a model learned of one block before it looked at the outcome, and which features it chose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The block's name.
    pub block: String,
    /// The block's features, in the order in which rows hold them.
    pub features: Vec<String>,
    /// The frozen harmonisation, where the block has one.
    pub harmonisation: Option<harmonise::Model>,
    /// The features chosen by their relevance.
    pub chosen: Preparation,
    /// The features that are not redundant, whatever their relevance: what encoders get.
    pub all: Preparation,
}

/// A patient's harmonised row, or why it stays raw; none where the block is missing.
pub type HarmonisedRow = Option<Result<Vec<f64>, RawReason>>;

/// Which of a part's preparations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Chosen,
    All,
}

/// A block's values ready for a model: one row per patient, `None` where the block is missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Ready {
    pub rows: Vec<Option<Vec<f64>>>,
    /// What stands in for a missing block: the training medians.
    pub fill: Vec<f64>,
}

impl Part {
    /// Learns from the training rows of one block.
    ///
    /// # Errors
    /// When the block is there for too few patients, or its harmonisation is refused.
    pub(super) fn fit(
        data: &Dataset,
        block: &Block,
        settings: &PrepareSettings,
        n_all: usize,
    ) -> Result<Self, FuseError> {
        let harmonisation = fit_harmonisation(data, block)?;
        let rows = harmonised(harmonisation.as_ref(), block, data)?;
        let block = Block { name: block.name.clone(), features: block.features.clone(), rows };
        let (chosen, all) = Preparation::fit_both(&block, &data.outcome, settings, n_all)?;
        Ok(Self { chosen, all, block: block.name, features: block.features, harmonisation })
    }

    fn preparation(&self, level: Level) -> &Preparation {
        match level {
            Level::Chosen => &self.chosen,
            Level::All => &self.all,
        }
    }

    /// The rows of the same block of some patients, harmonised and prepared.
    pub(super) fn ready(&self, data: &Dataset, level: Level) -> Result<Ready, FuseError> {
        let block = data.block(&self.block).ok_or_else(|| FuseError::Absent(format!("block {}", self.block)))?;
        let rows = harmonised(self.harmonisation.as_ref(), block, data)?;
        let rows = rows.iter().map(|row| row.as_ref().map(|row| self.one(row, level)).transpose());
        Ok(Ready { rows: rows.collect::<Result<_, _>>()?, fill: self.fill(level)? })
    }

    /// One harmonised row, prepared.
    pub(super) fn one(&self, row: &[f64], level: Level) -> Result<Vec<f64>, FuseError> {
        self.preparation(level).apply(row)
    }

    /// What stands in for a missing block.
    pub(super) fn fill(&self, level: Level) -> Result<Vec<f64>, FuseError> {
        self.preparation(level).apply(&vec![f64::NAN; self.features.len()])
    }

    /// The harmonised values of one patient's block, in the order of [`Self::features`]; missing values are NaN.
    ///
    /// # Errors
    /// When the patient's values stay raw although the model needs them harmonised.
    pub fn harmonise_one(&self, row: &[f64], batch: &str, covariates: &[Covariate]) -> Result<Vec<f64>, RawReason> {
        let Some(model) = &self.harmonisation else { return Ok(row.to_vec()) };
        if batch.is_empty() {
            return Err(RawReason::NoBatch);
        }
        let values: Vec<(&str, f64)> = self.features.iter().map(String::as_str).zip(row.iter().copied()).collect();
        let harmonised = model.apply_one(batch, covariates, &values)?;
        Ok(row.iter().zip(harmonised).map(|(raw, harmonised)| harmonised.unwrap_or(*raw)).collect())
    }

    /// The harmonised rows of the same block of a cohort; a row that stays raw although the model needs it harmonised has
    /// its reason instead.
    ///
    /// # Errors
    /// When the block is not there, or its rows have other features.
    pub fn harmonise_rows(&self, data: &Dataset) -> Result<Vec<HarmonisedRow>, FuseError> {
        let block = data.block(&self.block).ok_or_else(|| FuseError::Absent(format!("block {}", self.block)))?;
        let known = data.harmonising.as_ref();
        let labels = known.and_then(|known| known.batches.get(&self.block));
        let one = |(idx, row): (usize, &Option<Vec<f64>>)| {
            let batch = labels.and_then(|labels| labels.get(idx)).map_or("", String::as_str);
            let covariates =
                known.map_or_else(Vec::new, |known| known.covariates.iter().map(|c| c.of(&[idx])).collect());
            row.as_ref().map(|row| self.harmonise_one(row, batch, &covariates))
        };
        Ok(block.rows.iter().enumerate().map(one).collect())
    }
}

/// The block's table of the patients who have it, with their places.
fn present(block: &Block) -> Result<(Vec<usize>, Features), FuseError> {
    let places: Vec<usize> = (0..block.rows.len()).filter(|row| block.rows[*row].is_some()).collect();
    let rows: Vec<&Vec<f64>> = block.rows.iter().flatten().collect();
    let columns: Vec<Vec<f64>> =
        (0..block.features.len()).map(|idx| rows.iter().map(|row| row[idx]).collect()).collect();
    let failed = |source| FuseError::Harmonise { block: block.name.clone(), source };
    Ok((places, Features::new(block.features.clone(), &columns).map_err(failed)?))
}

/// Batches and covariates of some patients for one block; `None` where the block is not harmonised.
fn known(data: &Dataset, block: &Block, places: &[usize]) -> Option<(Batches, Vec<Covariate>)> {
    let harmonising = data.harmonising.as_ref()?;
    let labels = harmonising.batches.get(&block.name)?;
    let labels = places.iter().map(|row| labels[*row].clone()).collect();
    let covariates = harmonising.covariates.iter().map(|covariate| covariate.of(places)).collect();
    Some((Batches { name: "batch".to_owned(), labels }, covariates))
}

/// Fits the harmonisation of one block to its rows; none where the cohort does not ask for it, or knows one scanner only.
pub(super) fn fit_harmonisation(data: &Dataset, block: &Block) -> Result<Option<harmonise::Model>, FuseError> {
    let (places, features) = present(block)?;
    let Some((batches, covariates)) = known(data, block, &places) else { return Ok(None) };
    let mut labels: Vec<&String> = batches.labels.iter().filter(|label| !label.is_empty()).collect();
    labels.sort();
    labels.dedup();
    let Some(harmonising) = data.harmonising.as_ref().filter(|_| labels.len() > 1) else { return Ok(None) };
    let samples = Samples { features: &features, batches: &batches, covariates: &covariates, undeclared: &[] };
    let failed = |source| FuseError::Harmonise { block: block.name.clone(), source };
    harmonise::fit(&samples, &harmonising.settings).map(Some).map_err(failed)
}

/// The block's rows after harmonisation. Within a fold a patient of a scanner that the fold has not seen keeps raw values:
/// this is what the model would meet, and its errors count.
fn harmonised(
    model: Option<&harmonise::Model>,
    block: &Block,
    data: &Dataset,
) -> Result<Vec<Option<Vec<f64>>>, FuseError> {
    let Some(model) = model else { return Ok(block.rows.clone()) };
    let (places, features) = present(block)?;
    let Some((batches, covariates)) = known(data, block, &places) else { return Ok(block.rows.clone()) };
    let samples = Samples { features: &features, batches: &batches, covariates: &covariates, undeclared: &[] };
    let applied =
        model.apply(&samples).map_err(|source| FuseError::Harmonise { block: block.name.clone(), source })?.features;
    let mut rows = vec![None; block.rows.len()];
    for (at, place) in places.into_iter().enumerate() {
        rows[place] = Some((0..applied.n_features()).map(|idx| applied.column(idx)[at]).collect());
    }
    Ok(rows)
}

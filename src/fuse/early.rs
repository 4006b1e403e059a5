//! Early fusion: all blocks side by side in one elastic net. A missing block is its training medians, and where blocks
//! were missing in training, an indicator says so.

use serde::{Deserialize, Serialize};

use super::body::{Row, Scored};
use super::error::FuseError;
use super::head::{Head, InnerDesign};
use super::nest::{Nest, Table};

/// A fitted early fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Early {
    /// One linear predictor over all columns: each block's features, then its indicator where it has one.
    pub head: Head,
    /// What stands in for each block.
    pub fills: Vec<Vec<f64>>,
    /// Whether a block has an indicator.
    pub indicators: Vec<bool>,
}

impl Early {
    pub(super) fn fit(nest: &Nest, blocks: &[usize]) -> Result<Self, FuseError> {
        let n_rows = nest.train.n_rows();
        let indicators: Vec<bool> = blocks.iter().map(|block| nest.train.present(*block).len() < n_rows).collect();
        let fills = blocks.iter().map(|block| nest.train.chosen[*block].fill.clone()).collect();
        if let ([block], [false]) = (blocks, indicators.as_slice()) {
            // One block that everybody has: the model of that block alone, which late fusion fits too.
            return Ok(Self { head: nest.member(*block)?.member.head, fills, indicators });
        }
        let inner = nest.inner.iter().map(|fold| {
            Ok(InnerDesign {
                train: fold.train.design(blocks, &indicators)?,
                train_outcome: &fold.train.outcome,
                train_rows: &fold.train_rows,
                test: fold.test.design(blocks, &indicators)?,
                test_rows: &fold.test_rows,
            })
        });
        let inner = inner.collect::<Result<Vec<_>, FuseError>>()?;
        let design = nest.train.design(blocks, &indicators)?;
        let (head, _) = Head::fit(&design, &nest.train.outcome, &inner)?;
        Ok(Self { head, fills, indicators })
    }

    pub(super) fn refit(&self, table: &Table, blocks: &[usize]) -> Result<Self, FuseError> {
        let head = self.head.refit(&table.design(blocks, &self.indicators)?, &table.outcome)?;
        Ok(Self { head, ..self.clone() })
    }

    pub(super) fn score(&self, row: Row<'_>) -> Scored {
        let mut slopes = self.head.slopes.iter();
        let mut contributions = Vec::with_capacity(row.len());
        for ((values, fill), indicator) in row.iter().zip(&self.fills).zip(&self.indicators) {
            let values_or_fill = values.as_ref().unwrap_or(fill);
            let mut sum: f64 = values_or_fill.iter().zip(slopes.by_ref()).map(|(value, slope)| value * slope).sum();
            if *indicator {
                let slope = slopes.next().copied().unwrap_or(0.0);
                sum += if values.is_none() { slope } else { 0.0 };
            }
            contributions.push(sum);
        }
        Scored { linear: self.head.intercept + contributions.iter().sum::<f64>(), contributions }
    }
}

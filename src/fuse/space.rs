//! Whether a patient lies where the model was trained.

use serde::{Deserialize, Serialize};

use super::error::FuseError;
use super::nest::Table;
use crate::math::cholesky::Cholesky;
use crate::math::special::chi_square_tail;

/// Where the training patients' chosen features of one block lie: standardised, so their mean is 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// The inverse of their covariance, drawn towards the unit matrix.
    pub precision: Vec<Vec<f64>>,
}

/// A selected feature further from the training median than this, in robust standard deviations, is outside.
pub const ROBUST_Z_MAX: f64 = 6.0;
/// A block less likely than this under the training covariance is outside.
pub const TAIL_MIN: f64 = 0.001;
/// How far the covariance is drawn towards the unit matrix: features that are nearly one keep some freedom.
const SHRINKAGE: f64 = 0.1;

impl Space {
    /// Learns from the training rows of one block.
    ///
    /// # Errors
    /// When the covariance has no inverse.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn fit(table: &Table, block: usize) -> Result<Self, FuseError> {
        let rows: Vec<&Vec<f64>> = table.chosen[block].rows.iter().flatten().collect();
        let p = table.chosen[block].fill.len();
        let mut covariance = vec![vec![0.0; p]; p];
        for row in &rows {
            for (i, a) in row.iter().enumerate() {
                row.iter()
                    .enumerate()
                    .for_each(|(j, b)| covariance[i][j] += (1.0 - SHRINKAGE) * a * b / rows.len() as f64);
            }
        }
        covariance.iter_mut().enumerate().for_each(|(i, row)| row[i] += SHRINKAGE);
        let factor = Cholesky::new(&covariance).ok_or(FuseError::NoConvergence("the covariance of a block"))?;
        Ok(Self { precision: factor.inverse() })
    }

    /// The chance of a value as far out as this one, by Mahalanobis' distance.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn tail(&self, values: &[f64]) -> f64 {
        let mut distance = 0.0;
        for (row, a) in self.precision.iter().zip(values) {
            distance += a * row.iter().zip(values).map(|(p, b)| p * b).sum::<f64>();
        }
        if values.is_empty() { 1.0 } else { chi_square_tail(distance, values.len() as f64) }
    }
}

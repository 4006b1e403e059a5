//! The matrix that a model is fitted to, by columns: coordinate descent reads one feature at a time.

use super::error::FuseError;

/// Numbers by columns; every column has `n_rows` finite values.
#[derive(Debug, Clone, PartialEq)]
pub struct Design {
    n_rows: usize,
    columns: Vec<Vec<f64>>,
}

impl Design {
    /// A checked matrix.
    ///
    /// # Errors
    /// When a column has another length or a value that is not finite.
    pub fn new(n_rows: usize, columns: Vec<Vec<f64>>) -> Result<Self, FuseError> {
        for (idx, column) in columns.iter().enumerate() {
            if column.len() != n_rows {
                return Err(FuseError::Rows { what: format!("column {idx}"), found: column.len(), expected: n_rows });
            }
            if !column.iter().all(|value| value.is_finite()) {
                return Err(FuseError::NotFinite(format!("column {idx}")));
            }
        }
        Ok(Self { n_rows, columns })
    }

    /// Rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// Some rows, in the order of `rows`; rows that are not there are left out.
    #[must_use]
    pub fn rows(&self, rows: &[usize]) -> Self {
        let kept: Vec<usize> = rows.iter().copied().filter(|row| *row < self.n_rows).collect();
        let columns = self.columns.iter().map(|column| kept.iter().map(|row| column[*row]).collect()).collect();
        Self { n_rows: kept.len(), columns }
    }

    /// `intercept + sum slope_j x_j` for every row.
    #[must_use]
    pub fn linear(&self, intercept: f64, slopes: &[f64]) -> Vec<f64> {
        let mut sums = vec![intercept; self.n_rows];
        for (column, slope) in self.columns.iter().zip(slopes) {
            if slope.abs() > 0.0 {
                add_scaled(&mut sums, *slope, column);
            }
        }
        sums
    }
}

/// to += factor from
pub(super) fn add_scaled(to: &mut [f64], factor: f64, from: &[f64]) {
    for (sum, value) in to.iter_mut().zip(from) {
        *sum += factor * value;
    }
}

/// Mean and standard deviation (divided by n) of a column.
#[allow(clippy::cast_precision_loss)]
pub(super) fn mean_and_sd(column: &[f64]) -> (f64, f64) {
    let n = column.len().max(1) as f64;
    let mean = column.iter().sum::<f64>() / n;
    let variance = column.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

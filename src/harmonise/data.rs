//! What harmonisation reads: features, the batch of every row, covariates.

use std::collections::BTreeSet;

use super::error::HarmoniseError;

/// Feature values by feature; NaN where a patient has no value.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    names: Vec<String>,
    n_rows: usize,
    values: Vec<f64>,
}

impl Features {
    /// A checked table.
    ///
    /// # Errors
    /// When columns have different lengths, a name is there twice, or a value is infinite.
    pub fn new(names: Vec<String>, columns: &[Vec<f64>]) -> Result<Self, HarmoniseError> {
        let n_rows = columns.first().map_or(0, Vec::len);
        if names.len() != columns.len() {
            let what = "the names of the features".to_owned();
            return Err(HarmoniseError::Rows { what, found: names.len(), expected: columns.len() });
        }
        if let Some((name, column)) = names.iter().zip(columns).find(|(_, column)| column.len() != n_rows) {
            let what = format!("feature \"{name}\"");
            return Err(HarmoniseError::Rows { what, found: column.len(), expected: n_rows });
        }
        Self::flat(names, n_rows, columns.concat())
    }

    /// A checked table whose columns stand one after the other in `values`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn flat(names: Vec<String>, n_rows: usize, values: Vec<f64>) -> Result<Self, HarmoniseError> {
        if names.len().checked_mul(n_rows) != Some(values.len()) {
            let (found, expected) = (values.len(), names.len().saturating_mul(n_rows));
            return Err(HarmoniseError::Rows { what: "the values of the features".to_owned(), found, expected });
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(HarmoniseError::Twice(format!("feature \"{twice}\"")));
        }
        let table = Self { names, n_rows, values };
        let infinite = (0..table.n_features()).find(|idx| table.column(*idx).iter().any(|value| value.is_infinite()));
        match infinite {
            Some(idx) => Err(HarmoniseError::Infinite(table.names[idx].clone())),
            None => Ok(table),
        }
    }

    /// The features' names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many features.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.names.len()
    }

    /// How many rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// One feature's values.
    #[must_use]
    pub fn column(&self, idx: usize) -> &[f64] {
        &self.values[idx * self.n_rows..(idx + 1) * self.n_rows]
    }

    /// All values, one column after the other.
    pub(super) fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// A table of zeros with the same names and rows, to be filled.
    pub(super) fn blank(&self) -> Self {
        Self { names: self.names.clone(), n_rows: self.n_rows, values: vec![0.0; self.values.len()] }
    }

    /// Some rows, in their order; rows that are not there are left out.
    #[must_use]
    pub fn of(&self, rows: &[usize]) -> Self {
        let kept: Vec<usize> = rows.iter().copied().filter(|row| *row < self.n_rows).collect();
        let columns = (0..self.n_features()).map(|idx| self.column(idx));
        let values = columns.flat_map(|column| kept.iter().map(|row| column[*row])).collect();
        Self { names: self.names.clone(), n_rows: kept.len(), values }
    }
}

/// The batch of every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batches {
    /// The column's name: what the key is made of.
    pub name: String,
    /// One label per row; empty where it is not known.
    pub labels: Vec<String>,
}

/// One covariate.
#[derive(Debug, Clone, PartialEq)]
pub struct Covariate {
    /// Its name.
    pub name: String,
    /// Its values, one per row.
    pub values: Values,
}

/// The values of a covariate.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers; NaN where not known.
    Continuous(Vec<f64>),
    /// Levels; empty where not known.
    Categorical(Vec<String>),
}

impl Covariate {
    /// How many rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        match &self.values {
            Values::Continuous(values) => values.len(),
            Values::Categorical(values) => values.len(),
        }
    }

    /// Whether the value of a row is known.
    #[must_use]
    pub fn is_known(&self, row: usize) -> bool {
        match &self.values {
            Values::Continuous(values) => values.get(row).is_some_and(|value| value.is_finite()),
            Values::Categorical(values) => values.get(row).is_some_and(|value| !value.is_empty()),
        }
    }

    /// Some rows, in their order; rows that are not there are left out.
    #[must_use]
    pub fn of(&self, rows: &[usize]) -> Self {
        let values = match &self.values {
            Values::Continuous(values) => {
                Values::Continuous(rows.iter().filter_map(|row| values.get(*row)).copied().collect())
            }
            Values::Categorical(values) => {
                Values::Categorical(rows.iter().filter_map(|row| values.get(*row)).cloned().collect())
            }
        };
        Self { name: self.name.clone(), values }
    }
}

/// Everything that is known of some patients. All tables have the same rows.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// The features.
    pub features: &'a Features,
    /// The batches.
    pub batches: &'a Batches,
    /// The covariates whose effect is kept.
    pub covariates: &'a [Covariate],
    /// Further covariates that are known: their effect is not kept, so their association with the batch is told.
    pub undeclared: &'a [Covariate],
}

impl Samples<'_> {
    /// Refuses tables with different rows, and covariates of one name.
    ///
    /// # Errors
    /// When they differ.
    pub(super) fn check(&self) -> Result<(), HarmoniseError> {
        let expected = self.features.n_rows();
        if self.batches.labels.len() != expected {
            let what = format!("batch column \"{}\"", self.batches.name);
            return Err(HarmoniseError::Rows { what, found: self.batches.labels.len(), expected });
        }
        let mut seen = BTreeSet::new();
        for covariate in self.covariates.iter().chain(self.undeclared) {
            if covariate.n_rows() != expected {
                let what = format!("covariate \"{}\"", covariate.name);
                return Err(HarmoniseError::Rows { what, found: covariate.n_rows(), expected });
            }
            if !seen.insert(&covariate.name) {
                return Err(HarmoniseError::Twice(format!("covariate \"{}\"", covariate.name)));
            }
        }
        Ok(())
    }
}

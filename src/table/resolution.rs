//! The site's table of resolutions: full widths at half maximum by scanner and reconstruction.
//!
//! Columns `manufacturer, model, reconstruction, kernel, fwhm_x_mm, fwhm_y_mm, fwhm_z_mm, uncertainty_mm`. An empty cell of
//! the first four stands for anything; the row with the most cells that are not empty wins, of several alike the first.
//! Names are compared without regard to case and surrounding blanks. An empty width is one that the table does not tell.

use std::path::Path;

use serde::Deserialize;

use super::error::TableError;
use crate::harmonise::ScannerFacts;

/// Rows at most.
const ROWS_MAX: usize = 100_000;

/// The table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResolutionTable {
    rows: Vec<ResolutionRow>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolutionRow {
    #[serde(default)]
    manufacturer: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    reconstruction: String,
    #[serde(default)]
    kernel: String,
    fwhm_x_mm: Option<f64>,
    fwhm_y_mm: Option<f64>,
    fwhm_z_mm: Option<f64>,
    uncertainty_mm: Option<f64>,
}

impl ResolutionTable {
    /// Reads the table; an empty one where none is named.
    ///
    /// # Errors
    /// When the file cannot be read, is no such table, or a width is not a number from zero up.
    pub fn read(path: Option<&Path>) -> Result<Self, TableError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let wrong = |reason: String| TableError::Csv { path: path.to_owned(), reason };
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(|e| wrong(e.to_string()))?;
        let mut rows: Vec<ResolutionRow> = Vec::new();
        for (index, row) in reader.deserialize().enumerate() {
            let row: ResolutionRow = row.map_err(|error| wrong(error.to_string()))?;
            let numbers = row.fwhm_mm().into_iter().chain([row.uncertainty_mm]).flatten();
            if index == ROWS_MAX || numbers.into_iter().any(|mm| !(0.0..=100.0).contains(&mm)) {
                return Err(wrong(format!(
                    "line {}: expected widths of 0 to 100 mm, at most {ROWS_MAX} rows",
                    index + 2
                )));
            }
            rows.push(row);
        }
        Ok(Self { rows })
    }

    /// The row of a scanner.
    #[must_use]
    pub fn find(&self, scanner: &ScannerFacts) -> Option<&ResolutionRow> {
        let mut best: Option<(usize, &ResolutionRow)> = None;
        for row in &self.rows {
            let fits = row.fit(scanner);
            if fits.is_some_and(|n| best.is_none_or(|(most, _)| n > most)) {
                best = fits.map(|n| (n, row));
            }
        }
        best.map(|(_, row)| row)
    }
}

impl ResolutionRow {
    /// Full widths along x, y, z, where told.
    #[must_use]
    pub fn fwhm_mm(&self) -> [Option<f64>; 3] {
        [self.fwhm_x_mm, self.fwhm_y_mm, self.fwhm_z_mm]
    }

    /// How sure they are, where told.
    #[must_use]
    pub fn uncertainty_mm(&self) -> Option<f64> {
        self.uncertainty_mm
    }

    /// How many cells name the scanner; `None` where one names another.
    fn fit(&self, scanner: &ScannerFacts) -> Option<usize> {
        let pairs = [
            (&self.manufacturer, &scanner.manufacturer),
            (&self.model, &scanner.model),
            (&self.reconstruction, &scanner.reconstruction),
            (&self.kernel, &scanner.kernel),
        ];
        let told = pairs.iter().filter(|(cell, _)| !cell.is_empty());
        told.clone().all(|(cell, found)| cell.to_lowercase() == found.trim().to_lowercase()).then(|| told.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<ResolutionTable, TableError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("psf.csv");
        std::fs::write(&path, text).unwrap();
        ResolutionTable::read(Some(&path))
    }

    #[test]
    fn the_row_that_says_most_of_the_scanner_wins() {
        let table = table(
            "manufacturer,model,reconstruction,kernel,fwhm_x_mm,fwhm_y_mm,fwhm_z_mm,uncertainty_mm\n\
             Maker,,,,5,5,5,1\nmaker , One,,,1.0,1.1,,0.2\nMaker,One,,B70,0.6,0.6,1.5,\n",
        )
        .unwrap();
        let scanner = |model: &str, kernel: &str| ScannerFacts {
            manufacturer: "MAKER".to_owned(),
            model: model.to_owned(),
            kernel: kernel.to_owned(),
            ..ScannerFacts::default()
        };
        let found = |model, kernel| table.find(&scanner(model, kernel)).unwrap();
        assert_eq!(found("Two", "B30").fwhm_mm(), [Some(5.0); 3]);
        assert_eq!(found("One", "B30").fwhm_mm(), [Some(1.0), Some(1.1), None]);
        assert_eq!(found("One", "b70").uncertainty_mm(), None);
        assert!(table.find(&ScannerFacts::default()).is_none());
    }

    #[test]
    fn widths_that_cannot_be_are_refused_and_no_table_is_an_empty_one() {
        let head = "manufacturer,model,reconstruction,kernel,fwhm_x_mm,fwhm_y_mm,fwhm_z_mm,uncertainty_mm\n";
        assert!(table(&format!("{head},,,,-1,1,1,\n")).is_err());
        assert!(table("width\n3\n").is_err());
        assert_eq!(ResolutionTable::read(None).unwrap(), ResolutionTable::default());
    }
}

//! Wide CSV tables: the first column is the patient's id whatever its name, one row per patient.
//!
//! An empty cell, `NA`, `NaN` or `null` is a value that is not known. Numbers are written so that reading them gives the
//! same number back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::TableError;
use crate::harmonise::{Covariate, Features, Values};

/// A table as it was read: text by column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WideTable {
    /// The file, for messages.
    pub path: PathBuf,
    /// The name of the first column.
    pub id_name: String,
    /// The patients' ids.
    pub ids: Vec<String>,
    /// The line of each row, from 1.
    lines: Vec<u64>,
    names: Vec<String>,
    columns: Vec<Vec<String>>,
}

/// The most bytes that a table may have: 2 GiB of text.
const BYTES_MAX: u64 = 1 << 31;

impl WideTable {
    /// Reads a table.
    ///
    /// # Errors
    /// When the file cannot be read, is no table, has a column or a patient twice, or has a row without a patient.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let csv_error = |reason: String| TableError::Csv { path: path.to_owned(), reason };
        let size = std::fs::metadata(path).map_err(TableError::io("reading", path))?.len();
        if size > BYTES_MAX {
            return Err(csv_error(format!("has {size} bytes, at most {BYTES_MAX} are read")));
        }
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_path(path)
            .map_err(|error| csv_error(sentence(&error)))?;
        let header = reader.headers().map_err(|error| csv_error(sentence(&error)))?.clone();
        // Some programs begin a file with a byte order mark.
        let mut names = header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned());
        let id_name = names.next().unwrap_or_default();
        let names: Vec<String> = names.collect();
        if let Some(twice) = names.iter().enumerate().find(|(idx, name)| names[..*idx].contains(name)) {
            return Err(csv_error(format!("column \"{}\" is there twice", twice.1)));
        }
        let columns = vec![Vec::new(); names.len()];
        let mut table = Self { path: path.to_owned(), id_name, ids: Vec::new(), lines: Vec::new(), names, columns };
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(|error| csv_error(sentence(&error)))?;
            let line = record.position().map_or(0, csv::Position::line);
            let id = record.get(0).unwrap_or_default();
            if id.is_empty() {
                return Err(csv_error(format!("line {line} has no patient in its first column")));
            }
            if let Some(first) = seen.insert(id.to_owned(), line) {
                return Err(TableError::SamePatient { path: path.to_owned(), first, second: line });
            }
            table.ids.push(id.to_owned());
            table.lines.push(line);
            table.columns.iter_mut().zip(record.iter().skip(1)).for_each(|(column, cell)| column.push(cell.to_owned()));
        }
        Ok(table)
    }

    /// A table that was never a file: `columns` holds text by name, one value per patient; an unknown value is empty.
    ///
    /// # Errors
    /// When a column has another length.
    pub fn made(
        path: &Path,
        id_name: &str,
        ids: Vec<String>,
        columns: Vec<(String, Vec<String>)>,
    ) -> Result<Self, TableError> {
        if let Some((name, column)) = columns.iter().find(|(_, column)| column.len() != ids.len()) {
            let reason = format!("column \"{name}\" has {} values, expected {}", column.len(), ids.len());
            return Err(TableError::Csv { path: path.to_owned(), reason });
        }
        let lines = (1..=ids.len() as u64).collect();
        let (names, columns) = columns.into_iter().unzip();
        Ok(Self { path: path.to_owned(), id_name: id_name.to_owned(), ids, lines, names, columns })
    }

    /// The columns' names, without the first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// A column as text; an unknown value is empty.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, TableError> {
        let column = &self.columns[self.place(name)?];
        Ok(column.iter().map(|cell| if is_unknown(cell) { String::new() } else { cell.clone() }).collect())
    }

    /// A column as numbers; an unknown value is NaN.
    ///
    /// # Errors
    /// When there is no such column, or a cell is no finite number.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, TableError> {
        self.numbers_at(self.place(name)?)
    }

    /// A column as a covariate: of numbers where every known cell is one and it is not asked for levels.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn covariate(&self, name: &str, kind: CovariateKind) -> Result<Covariate, TableError> {
        let values = match (kind, self.numbers(name)) {
            (CovariateKind::AsWritten, Ok(numbers)) => Values::Continuous(numbers),
            _ => Values::Categorical(self.texts(name)?),
        };
        Ok(Covariate { name: name.to_owned(), values })
    }

    /// All columns as features.
    ///
    /// # Errors
    /// When a cell is no number.
    pub fn features(&self) -> Result<Features, TableError> {
        let columns = (0..self.names.len()).map(|idx| self.numbers_at(idx)).collect::<Result<Vec<_>, _>>()?;
        Ok(Features::new(self.names.clone(), &columns)?)
    }

    /// For every id, the row of this table that it names.
    #[must_use]
    pub fn rows_of(&self, ids: &[String]) -> Vec<Option<usize>> {
        let places: BTreeMap<&str, usize> = self.ids.iter().enumerate().map(|(row, id)| (id.as_str(), row)).collect();
        ids.iter().map(|id| places.get(id.as_str()).copied()).collect()
    }

    fn place(&self, name: &str) -> Result<usize, TableError> {
        const SHOWN: usize = 12;
        self.names.iter().position(|known| known == name).ok_or_else(|| TableError::NoColumn {
            path: self.path.clone(),
            column: name.to_owned(),
            found: self.names.iter().take(SHOWN).cloned().collect(),
        })
    }

    fn numbers_at(&self, idx: usize) -> Result<Vec<f64>, TableError> {
        let number = |(cell, line): (&String, &u64)| {
            if is_unknown(cell) {
                return Ok(f64::NAN);
            }
            let wrong = || TableError::Number { path: self.path.clone(), line: *line, column: self.names[idx].clone() };
            cell.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(wrong)
        };
        self.columns[idx].iter().zip(&self.lines).map(number).collect()
    }
}

/// What a column is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CovariateKind {
    /// Numbers where all known cells are numbers, else levels.
    AsWritten,
    /// Levels, whatever they look like.
    Categorical,
}

fn is_unknown(cell: &str) -> bool {
    cell.is_empty() || ["na", "nan", "null", "n/a"].iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// What the reader says of a broken file, without its cells.
fn sentence(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line} has {len} cells, expected {expected_len}")
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            format!("line {} is not UTF-8 text", pos.as_ref().map_or(0, csv::Position::line))
        }
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => "is no CSV table".to_owned(),
    }
}

/// A table of features as CSV text.
///
/// # Errors
/// When it cannot be encoded.
pub fn features_text(id_name: &str, ids: &[String], features: &Features) -> Result<Vec<u8>, TableError> {
    let failed = |error: &dyn std::error::Error| TableError::Content(format!("the table cannot be encoded: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = std::iter::once(id_name).chain(features.names().iter().map(String::as_str));
    writer.write_record(header).map_err(|error| failed(&error))?;
    let columns: Vec<&[f64]> = (0..features.n_features()).map(|idx| features.column(idx)).collect();
    for (row, id) in ids.iter().enumerate() {
        let cells = columns.iter().map(|column| number_text(column[row]));
        writer.write_record(std::iter::once(id.clone()).chain(cells)).map_err(|error| failed(&error))?;
    }
    writer.into_inner().map_err(|error| failed(&error))
}

/// The shortest decimal that reads back as the same number; empty for what is no number.
#[must_use]
pub fn number_text(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<WideTable, TableError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        WideTable::read(&path)
    }

    #[test]
    fn a_table_comes_back_as_it_was_written() {
        let read = table("\u{feff}patient, a ,b\nP1,1.5,\nP2,-0.1,2e-300\n").unwrap();
        assert_eq!((read.id_name.as_str(), read.names()), ("patient", &["a".to_owned(), "b".to_owned()][..]));
        let features = read.features().unwrap();
        assert!(features.column(1)[0].is_nan());
        let text = features_text(&read.id_name, &read.ids, &features).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "patient,a,b\nP1,1.5,\nP2,-0.1,2e-300\n");
    }

    #[test]
    fn what_is_wrong_is_told_by_line_and_column_without_the_cell() {
        let told = |text: &str| match table(text).and_then(|table| table.features()) {
            Ok(_) => panic!("read"),
            Err(error) => error.to_string(),
        };
        assert!(told("id,a\nP1,1\nP2,Smith\n").contains("line 3, column \"a\" is no number"));
        assert!(!told("id,a\nP1,1\nP2,Smith\n").contains("Smith"));
        assert!(told("id,a\nP1,1\nP1,2\n").contains("lines 2 and 3"));
        assert!(told("id,a\n,1\n").contains("line 2 has no patient"));
        assert!(told("id,a,b\nP1,1\n").contains("line 2 has 2 cells, expected 3"));
        assert!(told("id,a,a\nP1,1,2\n").contains("\"a\" is there twice"));
        assert!(told("id,a\nP1,inf\n").contains("no number"));
    }

    #[test]
    fn a_column_of_numbers_is_a_covariate_of_numbers_unless_levels_are_asked_for() {
        let table = table("id,grade,sex\n1,2,F\n2,NA,M\n").unwrap();
        let values = |name, kind| table.covariate(name, kind).unwrap().values;
        assert!(matches!(values("grade", CovariateKind::AsWritten), Values::Continuous(v) if v[1].is_nan()));
        let levels = Values::Categorical(vec!["2".into(), String::new()]);
        assert_eq!(values("grade", CovariateKind::Categorical), levels);
        assert!(matches!(values("sex", CovariateKind::AsWritten), Values::Categorical(_)));
        assert!(table.covariate("age", CovariateKind::AsWritten).unwrap_err().to_string().contains("grade, sex"));
    }
}

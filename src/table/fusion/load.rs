//! Blocks and outcomes from tables, joined by patient.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::clinical::put_covariates;
use super::super::cohort::{BATCH_COLUMN, Cohort, table_of};
use super::super::error::TableError;
use super::super::wide::{CovariateKind, WideTable};
use super::clinic::{clinic_of_row, clinical_block};
use crate::fuse::{Block, Dataset, Harmonising, Outcome, Patient, PatientBlock, Survival, check_order};
use crate::harmonise::{Covariate, FitSettings, Values};

/// Where blocks come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inputs {
    /// One wide table per block. A column named `batch` is the block's scanner; columns of text become one column of 0 and 1
    /// per level.
    Tables(Vec<(String, PathBuf)>),
    /// The cohort of a storage directory: one block per role, and the clinical block of age, sex and the site's table.
    Cohort {
        /// The storage directory.
        storage: PathBuf,
        /// The clinical table, wide.
        clinical: Option<PathBuf>,
    },
}

/// One block as it was read.
#[derive(Debug, Clone)]
pub struct BlockTable {
    /// Its name.
    pub name: String,
    /// The features' names.
    pub features: Vec<String>,
    /// Values by patient; `None` where all are missing.
    pub rows: BTreeMap<String, Vec<f64>>,
    /// Scanners by patient; none where the table does not tell them.
    pub batches: Option<BTreeMap<String, String>>,
}

/// All blocks, and what else is known of patients.
#[derive(Debug, Clone)]
pub struct Cohorts {
    /// The blocks.
    pub blocks: Vec<BlockTable>,
    /// Tables that covariates are looked for in.
    known: Vec<WideTable>,
    /// Under which settings the features were measured, where that is known.
    pub settings_sha256: Option<String>,
    /// When each patient was scanned, as dates, where that is known.
    pub scanned: BTreeMap<String, String>,
}

/// Levels that a column of text may have, at most.
const LEVELS_MAX: usize = 12;

impl Cohorts {
    /// Reads all blocks.
    ///
    /// # Errors
    /// When a table cannot be read, or the cohort is empty.
    pub fn read(inputs: &Inputs) -> Result<Self, TableError> {
        match inputs {
            Inputs::Tables(tables) => {
                let (mut blocks, mut known) = (Vec::new(), Vec::new());
                for (name, path) in tables {
                    let table = WideTable::read(path)?;
                    blocks.push(block_of(name, &table)?);
                    known.push(table);
                }
                Ok(Self { blocks, known, settings_sha256: None, scanned: BTreeMap::new() })
            }
            Inputs::Cohort { storage, clinical } => Self::of_cohort(storage, clinical.as_deref()),
        }
    }

    fn of_cohort(storage: &Path, clinical: Option<&Path>) -> Result<Self, TableError> {
        let rows = Cohort::of_storage(storage).rows()?;
        let roles: BTreeSet<&String> = rows.iter().flat_map(|row| &row.blocks).map(|block| &block.role).collect();
        if roles.is_empty() {
            return Err(TableError::Content("the cohort holds no case yet".to_owned()));
        }
        let scanned = rows.iter().rev().map(|row| (row.patient.clone(), row.study_date.clone())).collect();
        let (mut blocks, mut known, mut settings) = (Vec::new(), Vec::<WideTable>::new(), BTreeSet::new());
        for role in roles {
            let table = table_of(&rows, role)?;
            settings.insert(table.settings_sha256.clone());
            let values =
                |row: usize| (0..table.features.n_features()).map(|idx| table.features.column(idx)[row]).collect();
            let patients = || table.patients.iter().enumerate();
            blocks.push(BlockTable {
                name: role.clone(),
                features: table.features.names().to_vec(),
                rows: patients().map(|(row, id)| (id.clone(), values(row))).collect(),
                batches: Some(patients().map(|(row, id)| (id.clone(), table.batches.labels[row].clone())).collect()),
            });
            known.push(table.known(clinical)?);
        }
        let table = clinical.map(WideTable::read).transpose()?;
        let mut seen = BTreeSet::new();
        let first_studies = rows.iter().filter(|row| seen.insert(&row.patient));
        let mut clinics = Vec::new();
        for row in first_studies {
            let put = put_covariates(storage, &row.patient)?;
            clinics.push((row.patient.clone(), clinic_of_row(row, table.as_ref(), &put)));
        }
        blocks.push(clinical_block(clinics));
        if settings.len() > 1 {
            let reason = "the newest cases of different roles were measured under different settings".to_owned();
            return Err(TableError::Content(reason));
        }
        Ok(Self { blocks, known, settings_sha256: settings.into_iter().next(), scanned })
    }

    /// Another table that covariates are looked for in.
    pub fn also_known(&mut self, table: WideTable) {
        self.known.push(table);
    }

    /// One covariate of some patients: from the first table that has the column.
    ///
    /// # Errors
    /// When no table has it.
    pub fn covariate(&self, name: &str, ids: &[String]) -> Result<Covariate, TableError> {
        let table = self.known.iter().find(|table| table.names().iter().any(|known| known == name));
        let table = table.ok_or_else(|| {
            TableError::Content(format!("column \"{name}\", which is to be protected, is in none of the tables"))
        })?;
        let whole = table.covariate(name, CovariateKind::AsWritten)?;
        let rows = table.rows_of(ids);
        let values = match &whole.values {
            Values::Continuous(values) => {
                Values::Continuous(rows.iter().map(|row| row.map_or(f64::NAN, |row| values[row])).collect())
            }
            Values::Categorical(values) => Values::Categorical(
                rows.iter().map(|row| row.map_or_else(String::new, |row| values[row].clone())).collect(),
            ),
        };
        Ok(Covariate { name: name.to_owned(), values })
    }

    /// The patients who have an outcome and a block, as a cohort to learn from. `protect` names the covariates that the
    /// harmonisation keeps; without scanners there is none.
    ///
    /// # Errors
    /// When a column is not there, the blocks and the outcome have no patient in common, or the tables do not make a cohort.
    pub fn dataset(&self, outcomes: &[(String, PatientOutcome)], protect: &[String]) -> Result<Dataset, TableError> {
        let has_block = |id: &String| self.blocks.iter().any(|block| block.rows.contains_key(id));
        let rows: Vec<&(String, PatientOutcome)> = outcomes.iter().filter(|(id, _)| has_block(id)).collect();
        if rows.is_empty() {
            let reason =
                "the blocks and the outcome have no patient in common: patients are matched by the first column";
            return Err(TableError::Content(reason.to_owned()));
        }
        let patients: Vec<String> = rows.iter().map(|(id, _)| id.clone()).collect();
        let block = |block: &BlockTable| Block {
            name: block.name.clone(),
            features: block.features.clone(),
            rows: patients.iter().map(|id| block.rows.get(id).cloned()).collect(),
        };
        let blocks = self.blocks.iter().map(block).collect();
        let outcome = match rows.first().map(|(_, outcome)| outcome.time) {
            Some(Some(_)) => Outcome::Survival(
                rows.iter().map(|(_, o)| Survival { time: o.time.unwrap_or(f64::NAN), event: o.event }).collect(),
            ),
            _ => Outcome::Binary(rows.iter().map(|(_, outcome)| outcome.event).collect()),
        };
        let data = Dataset::new(patients, blocks, outcome)?;
        let Some(harmonising) = self.harmonising(&data.patients, protect)? else { return Ok(data) };
        Ok(data.with_harmonising(harmonising)?)
    }

    /// What harmonises these patients' blocks; none where no block tells its scanners.
    fn harmonising(&self, patients: &[String], protect: &[String]) -> Result<Option<Harmonising>, TableError> {
        let of = |block: &BlockTable| {
            let labels = block.batches.as_ref()?;
            let label = |id: &String| labels.get(id).cloned().unwrap_or_default();
            Some((block.name.clone(), patients.iter().map(label).collect::<Vec<String>>()))
        };
        let batches: BTreeMap<String, Vec<String>> = self.blocks.iter().filter_map(of).collect();
        if batches.is_empty() {
            return Ok(None);
        }
        let covariates = protect.iter().map(|name| self.covariate(name, patients)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Harmonising { batches, covariates, settings: FitSettings::default() }))
    }

    /// One patient as a bundle is asked about it. `protect` names the covariates of the bundle's harmonisation.
    #[must_use]
    pub fn patient(&self, id: &str, protect: &[String]) -> Patient {
        let blocks = self.blocks.iter().filter_map(|block| {
            let row = block.rows.get(id)?;
            let batch = block.batches.as_ref().and_then(|batches| batches.get(id)).cloned().unwrap_or_default();
            let known = block.features.iter().cloned().zip(row.iter().copied()).filter(|(_, value)| !value.is_nan());
            Some((block.name.clone(), PatientBlock { features: known.collect(), batch, n_voxels: None }))
        });
        let ids = [id.to_owned()];
        let covariates = protect.iter().filter_map(|name| self.covariate(name, &ids).ok());
        Patient { blocks: blocks.collect(), covariates: covariates.collect() }
    }

    /// All patients of all blocks, each once, in the order in which they are first met.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let all = self.known.iter().flat_map(|table| &table.ids);
        let has_block = |id: &&String| self.blocks.iter().any(|block| block.rows.contains_key(*id));
        all.filter(has_block).filter(|id| seen.insert((*id).clone())).cloned().collect()
    }
}

/// A table as a block. A patient of whom every value is missing does not have the block.
fn block_of(name: &str, table: &WideTable) -> Result<BlockTable, TableError> {
    let (mut features, mut columns) = (Vec::new(), Vec::new());
    for column in table.names().iter().filter(|column| *column != BATCH_COLUMN) {
        if let Ok(numbers) = table.numbers(column) {
            features.push(column.clone());
            columns.push(numbers);
            continue;
        }
        let texts = table.texts(column)?;
        let levels: BTreeSet<&String> = texts.iter().filter(|text| !text.is_empty()).collect();
        if levels.len() > LEVELS_MAX {
            // The error that names the line of the first cell that is no number.
            table.numbers(column)?;
        }
        for level in levels {
            let coded = |text: &String| if text.is_empty() { f64::NAN } else { f64::from(u8::from(text == level)) };
            features.push(format!("{column}={level}"));
            columns.push(texts.iter().map(coded).collect());
        }
    }
    let row = |row: usize| columns.iter().map(|column: &Vec<f64>| column[row]).collect::<Vec<f64>>();
    let rows = table.ids.iter().enumerate().map(|(at, id)| (id.clone(), row(at)));
    let batches = match table.texts(BATCH_COLUMN) {
        Ok(labels) => Some(table.ids.iter().cloned().zip(labels).collect()),
        Err(_) => None,
    };
    let rows = rows.filter(|(_, row)| row.iter().any(|value| !value.is_nan())).collect();
    Ok(BlockTable { name: name.to_owned(), features, rows, batches })
}

/// The outcome of one patient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PatientOutcome {
    /// Whether the event was seen.
    pub event: bool,
    /// The time to it or to the end of follow-up.
    pub time: Option<f64>,
}

/// The outcomes of a table, of those patients whose outcome is known.
///
/// # Errors
/// When a column is not there, an endpoint is neither yes nor no, or a patient was scanned after the outcome.
pub fn outcomes(
    table: &WideTable,
    endpoint: &str,
    time: Option<&str>,
    date: Option<&str>,
    scanned: &BTreeMap<String, String>,
) -> Result<Vec<(String, PatientOutcome)>, TableError> {
    let times = time.map(|name| table.numbers(name)).transpose()?;
    let mut found = Vec::new();
    for (row, (id, text)) in table.ids.iter().zip(table.texts(endpoint)?).enumerate() {
        let event = match text.to_lowercase().as_str() {
            "" => continue,
            "1" | "1.0" | "yes" | "true" | "y" => true,
            "0" | "0.0" | "no" | "false" | "n" => false,
            _ => {
                let reason =
                    format!("column \"{endpoint}\" holds something else than 1 and 0, yes and no, true and false");
                return Err(TableError::Csv { path: table.path.clone(), reason });
            }
        };
        let time = times.as_ref().map(|times| times[row]);
        if time.is_none_or(f64::is_finite) {
            found.push((id.clone(), PatientOutcome { event, time }));
        }
    }
    if let Some(date) = date {
        let dates = table.texts(date)?;
        let known: Vec<Option<f64>> = dates.iter().map(|text| day(text)).collect();
        let scans: Vec<Option<f64>> = table.ids.iter().map(|id| day(scanned.get(id)?)).collect();
        check_order(&scans, &known)?;
    }
    Ok(found)
}

/// Days since 1970-01-01 of a date as `20200131` or `2020-01-31`.
fn day(text: &str) -> Option<f64> {
    let date =
        jiff::civil::Date::strptime("%Y-%m-%d", text).or_else(|_| jiff::civil::Date::strptime("%Y%m%d", text)).ok()?;
    let days = date.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days();
    Some(f64::from(days))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_after_the_outcome_is_refused_and_one_before_it_or_of_an_unknown_day_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("o.csv");
        std::fs::write(&path, "id,death,known\na,1,2020-03-01\nb,0,20200301\nc,yes,\nd,,2019-01-01\n").unwrap();
        let table = WideTable::read(&path).unwrap();
        let of = |scans: &[(&str, &str)]| {
            let scanned = scans.iter().map(|(id, day)| ((*id).to_owned(), (*day).to_owned())).collect();
            outcomes(&table, "death", None, Some("known"), &scanned)
        };
        let found = of(&[("a", "20200301"), ("b", "20200101"), ("c", "20991231")]).unwrap();
        let events: Vec<(&str, bool)> = found.iter().map(|(id, outcome)| (id.as_str(), outcome.event)).collect();
        assert_eq!(events, [("a", true), ("b", false), ("c", true)]);
        let told = of(&[("a", "20200302")]).unwrap_err().to_string();
        assert!(told.contains("1 patients were scanned after their outcome"), "{told}");
    }
}

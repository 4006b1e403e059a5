//! The cohort: what every case gave, one file per case, kept beyond the images.
//!
//! A row is written when a result is saved and replaced by the next revision; it goes when its case is withdrawn. It holds
//! raw values, so that a harmonisation can be fitted to it, and what that needs: batch, covariates, settings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use serde::{Deserialize, Serialize};

use super::active::column_name;
use super::error::TableError;
use super::json::{read_json, write_json};
use super::scanner::{batch_of, header_covariates};
use super::wide::{WideTable, number_text};
use crate::dicom::attributes::{number, text};
use crate::harmonise::{BatchRules, Batches, Covariate, Features, HarmoniseError, Values};
use crate::report::CaseResult;

/// The first column of tables that are made of the cohort.
pub const PATIENT_COLUMN: &str = "patient";
/// The column of the batch in tables that are made of the cohort.
pub const BATCH_COLUMN: &str = "batch";

const FORMAT: &str = "radiomicsd-cohort-row";
const VERSION: u32 = 1;

/// What one case gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CohortRow {
    format: String,
    version: u32,
    /// The case.
    pub case: String,
    /// Its revision.
    pub revision: u32,
    /// Patient ID (0010,0020), and its issuer where there is one.
    pub patient: String,
    /// Study Date (0008,0020) of the reference.
    pub study_date: String,
    /// Patient's Birth Date (0010,0030), where it is known. Rows of older versions do not say.
    #[serde(default)]
    pub birth_date: Option<String>,
    /// The protocol.
    pub protocol: String,
    /// The settings under which it was measured.
    pub settings_sha256: String,
    /// Age in years.
    pub age: Option<f64>,
    /// Patient's Sex (0010,0040).
    pub sex: Option<String>,
    /// Patient's Size (0010,1020) in metres.
    #[serde(default)]
    pub size_m: Option<f64>,
    /// Patient's Weight (0010,1030) in kilograms.
    #[serde(default)]
    pub weight_kg: Option<f64>,
    /// One per role and lesion.
    pub blocks: Vec<CohortBlock>,
}

/// The features of one role of one lesion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CohortBlock {
    /// The role.
    pub role: String,
    /// The lesion.
    pub lesion: usize,
    /// Whether its region was made by a rule and not drawn. Rows of older versions do not say, and were drawn.
    #[serde(default)]
    pub automatic: bool,
    /// The batch, where the header names a scanner.
    pub batch: Option<String>,
    /// Raw values by column.
    pub features: BTreeMap<String, f64>,
    /// Harmonised values by column, as they were reported.
    pub harmonised: BTreeMap<String, f64>,
}

impl CohortRow {
    /// The row of a result.
    #[must_use]
    pub fn of(case: &CaseResult, rules: &BatchRules) -> Self {
        let mut blocks: Vec<CohortBlock> = Vec::new();
        for group in &case.groups {
            let place = blocks.iter().position(|block| block.role == group.role && block.lesion == group.lesion);
            let place = place.unwrap_or_else(|| {
                let batch = batch_of(group, &case.images, rules);
                let (features, harmonised) = (BTreeMap::new(), BTreeMap::new());
                blocks.push(CohortBlock {
                    role: group.role.clone(),
                    lesion: group.lesion,
                    automatic: group.drawn_on.automatic,
                    batch,
                    features,
                    harmonised,
                });
                blocks.len() - 1
            });
            for value in &group.values {
                let column = column_name(group.space, &value.filter, &value.tag);
                if let Some(harmonised) = value.harmonised_value {
                    blocks[place].harmonised.insert(column.clone(), harmonised);
                }
                blocks[place].features.insert(column, value.value);
            }
        }
        let reference = case.images.iter().find(|image| image.role == case.reference_role).or(case.images.first());
        let told = |tag| reference.map(|image| text(&image.header, tag)).unwrap_or_default();
        let patient = patient_among(reference.map(|image| &*image.header));
        let (mut age, mut sex) = (None, None);
        for covariate in header_covariates(case.images.iter().map(|image| &*image.header)) {
            match covariate.values {
                Values::Continuous(values) => age = values.first().copied().filter(|age| age.is_finite()),
                Values::Categorical(values) => sex = values.first().filter(|sex| !sex.is_empty()).cloned(),
            }
        }
        let header_number = |tag| {
            let values = case.images.iter().filter_map(|image| number(&image.header, tag).ok().flatten());
            values.into_iter().find(|value| *value > 0.0 && value.is_finite())
        };
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            size_m: header_number(tags::PATIENT_SIZE),
            weight_kg: header_number(tags::PATIENT_WEIGHT),
            case: case.case_id.clone(),
            revision: case.revision,
            // A case without an id stands by itself.
            patient: if patient.is_empty() { case.case_id.clone() } else { patient },
            study_date: told(tags::STUDY_DATE),
            birth_date: Some(told(tags::PATIENT_BIRTH_DATE)).filter(|date| !date.is_empty()),
            protocol: case.protocol.clone(),
            settings_sha256: case.settings_hash.clone(),
            age,
            sex,
            blocks,
        }
    }
}

/// How tables name the patient of a header: Patient ID (0010,0020), with `@` and its issuer (0010,0021) where there is one;
/// empty where there is no id.
fn patient_of(header: &InMemDicomObject) -> String {
    let (id, issuer) = (text(header, tags::PATIENT_ID), text(header, tags::ISSUER_OF_PATIENT_ID));
    if id.is_empty() || issuer.is_empty() { id } else { format!("{id}@{issuer}") }
}

/// The patient whom the first of these headers with an id names, as tables name it (with `@` and the issuer where there is
/// one); empty where none does.
pub fn patient_among<'a>(headers: impl IntoIterator<Item = &'a InMemDicomObject>) -> String {
    headers.into_iter().map(patient_of).find(|patient| !patient.is_empty()).unwrap_or_default()
}

/// The folder of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohort {
    folder: PathBuf,
}

/// One block of the cohort as tables.
#[derive(Debug, Clone, PartialEq)]
pub struct CohortTable {
    /// The patients, in the order of their study dates.
    pub patients: Vec<String>,
    /// The features.
    pub features: Features,
    /// The batches.
    pub batches: Batches,
    /// Age and sex.
    pub covariates: Vec<Covariate>,
    /// Under which settings all were measured.
    pub settings_sha256: String,
    /// Rows that were left out because they were measured under others.
    pub n_other_settings: usize,
    /// Blocks that were left out because a rule made their region, where those of others were drawn.
    pub n_automatic: usize,
    /// Further studies and lesions of the same patients, left out: one row per patient.
    pub n_further: usize,
}

impl Cohort {
    /// The cohort of a storage directory.
    #[must_use]
    pub fn of_storage(storage: &Path) -> Self {
        Self { folder: storage.join("cohort") }
    }

    /// Writes or replaces the row of a case; durable when this returns. An older revision never replaces a newer one.
    ///
    /// # Errors
    /// When the case's name is no file name, or the file system refuses.
    pub fn put(&self, row: &CohortRow) -> Result<(), TableError> {
        let path = self.path(&row.case)?;
        std::fs::create_dir_all(&self.folder).map_err(TableError::io("making", &self.folder))?;
        if path.is_file() {
            let known: CohortRow = read_json(&path, FORMAT, VERSION)?;
            if known.revision > row.revision {
                return Ok(());
            }
        }
        write_json(&path, row)?;
        self.note_patient(row)
    }

    /// The row of a case, where it has one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn row(&self, case: &str) -> Result<Option<CohortRow>, TableError> {
        let path = self.path(case)?;
        if path.is_file() { read_json(&path, FORMAT, VERSION).map(Some) } else { Ok(None) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes the row of a case; nothing happens where there is none.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self, case: &str) -> Result<(), TableError> {
        let path = self.path(case)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(TableError::io("removing", &path)(error)),
            _ => Ok(()),
        }
    }

    /// All rows, by study date and case; none where there is no cohort yet.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn rows(&self) -> Result<Vec<CohortRow>, TableError> {
        self.newest(usize::MAX)
    }

    /// The rows that were written last, at most so many, by study date and case.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub fn newest(&self, n_max: usize) -> Result<Vec<CohortRow>, TableError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(TableError::io("listing", &self.folder)(error)),
        };
        let is_row = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        let mut paths: Vec<(std::time::SystemTime, PathBuf)> =
            entries.flatten().map(|entry| (modified(&entry), entry.path())).filter(|(_, path)| is_row(path)).collect();
        paths.sort();
        paths.drain(..paths.len().saturating_sub(n_max));
        let rows: Result<Vec<CohortRow>, TableError> =
            paths.iter().map(|(_, path)| read_json(path, FORMAT, VERSION)).collect();
        let mut rows = rows?;
        rows.sort_by(|a, b| (&a.study_date, &a.case).cmp(&(&b.study_date, &b.case)));
        Ok(rows)
    }

    fn path(&self, case: &str) -> Result<PathBuf, TableError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if case.is_empty() || case.len() > 100 || case.starts_with('.') || !case.bytes().all(plain) {
            return Err(TableError::Content("the name of a case cannot be a file name".to_owned()));
        }
        Ok(self.folder.join(format!("{case}.json")))
    }
}

fn modified(entry: &std::fs::DirEntry) -> std::time::SystemTime {
    entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or(std::time::UNIX_EPOCH)
}

/// One block of some rows as tables: of each patient the first study, and its first lesion. Rows count that were measured
/// under the settings of the newest row; a feature that a row does not have is not known. Regions that a rule made and
/// drawn ones never stand in one table: where one was drawn, only drawn ones count.
///
/// # Errors
/// When no row has the block.
pub fn table_of(rows: &[CohortRow], role: &str) -> Result<CohortTable, TableError> {
    let with_block = |row: &&CohortRow| row.blocks.iter().any(|block| block.role == role);
    let candidates: Vec<&CohortRow> = rows.iter().filter(with_block).collect();
    let newest = candidates.last().ok_or_else(|| TableError::Content(format!("no case has a block \"{role}\"")))?;
    let settings_sha256 = newest.settings_sha256.clone();
    let (mut chosen, mut seen) = (Vec::new(), BTreeSet::new());
    let of_settings: Vec<&CohortRow> =
        candidates.iter().copied().filter(|row| row.settings_sha256 == settings_sha256).collect();
    let n_other_settings = candidates.len() - of_settings.len();
    let drawn = of_settings.iter().any(|row| row.blocks.iter().any(|block| block.role == role && !block.automatic));
    let (mut n_automatic, mut n_further) = (0, 0);
    for row in of_settings {
        let mut blocks: Vec<&CohortBlock> = row.blocks.iter().filter(|block| block.role == role).collect();
        let n_blocks = blocks.len();
        blocks.retain(|block| !(drawn && block.automatic));
        n_automatic += n_blocks - blocks.len();
        blocks.sort_by_key(|block| block.lesion);
        let Some(first) = blocks.first() else { continue };
        n_further += blocks.len() - 1;
        if seen.insert(&row.patient) {
            chosen.push((row, *first));
        } else {
            n_further += 1;
        }
    }
    let names: BTreeSet<&String> = chosen.iter().flat_map(|(_, block)| block.features.keys()).collect();
    let columns: Vec<Vec<f64>> = names
        .iter()
        .map(|name| chosen.iter().map(|(_, block)| block.features.get(*name).copied().unwrap_or(f64::NAN)).collect())
        .collect();
    let features: Result<Features, HarmoniseError> =
        Features::flat(names.into_iter().cloned().collect(), chosen.len(), columns.concat());
    let age = chosen.iter().map(|(row, _)| row.age.unwrap_or(f64::NAN)).collect();
    let sex = chosen.iter().map(|(row, _)| row.sex.clone().unwrap_or_default()).collect();
    let labels = chosen.iter().map(|(_, block)| block.batch.clone().unwrap_or_default()).collect();
    Ok(CohortTable {
        patients: chosen.iter().map(|(row, _)| row.patient.clone()).collect(),
        features: features?,
        batches: Batches { name: BATCH_COLUMN.to_owned(), labels },
        covariates: vec![
            Covariate { name: "age".to_owned(), values: Values::Continuous(age) },
            Covariate { name: "sex".to_owned(), values: Values::Categorical(sex) },
        ],
        settings_sha256,
        n_other_settings,
        n_automatic,
        n_further,
    })
}

impl CohortTable {
    /// Batch, age and sex, and the columns of a clinical table for the patients that it has, as a table.
    ///
    /// # Errors
    /// When the clinical table cannot be read.
    pub fn known(&self, clinical: Option<&Path>) -> Result<WideTable, TableError> {
        let mut columns = vec![(self.batches.name.clone(), self.batches.labels.clone())];
        for covariate in &self.covariates {
            let texts = match &covariate.values {
                Values::Continuous(values) => values.iter().map(|value| number_text(*value)).collect(),
                Values::Categorical(values) => values.clone(),
            };
            columns.push((covariate.name.clone(), texts));
        }
        if let Some(path) = clinical {
            let table = WideTable::read(path)?;
            let rows = table.rows_of(&self.patients);
            for name in table.names() {
                let texts = table.texts(name)?;
                let texts = rows.iter().map(|row| row.map(|row| texts[row].clone()).unwrap_or_default()).collect();
                // What the clinic knows of age and sex is believed before the header.
                match columns.iter_mut().find(|(known, _)| known == name) {
                    Some((_, column)) if *name != self.batches.name => *column = texts,
                    Some(_) => {}
                    None => columns.push((name.clone(), texts)),
                }
            }
        }
        WideTable::made(clinical.unwrap_or(Path::new("cohort")), PATIENT_COLUMN, self.patients.clone(), columns)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::case;
    use super::*;

    #[test]
    fn a_newer_revision_replaces_the_row_and_an_older_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let cohort = Cohort::of_storage(folder.path());
        assert!(cohort.rows().unwrap().is_empty());
        let row = |revision: u32, value: f64| {
            CohortRow::of(&case("c1", "p1", "GE", revision, value), &BatchRules::built_in())
        };
        cohort.put(&row(2, 7.0)).unwrap();
        cohort.put(&row(1, 3.0)).unwrap();
        let rows = cohort.rows().unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].revision, rows[0].blocks[0].features["native.none.stat_mean"]), (2, 7.0));
        assert_eq!(rows[0].blocks[0].batch.as_deref(), Some("CT|GE|DISCOVERY ST|SOFT"));
        assert_eq!((rows[0].age, rows[0].sex.as_deref()), (Some(59.0), Some("M")));
        cohort.remove("c1").unwrap();
        cohort.remove("c1").unwrap();
        assert!(cohort.rows().unwrap().is_empty());
        assert!(cohort.remove("../c1").is_err());
    }

    #[test]
    fn a_block_becomes_a_table_with_one_row_per_patient_measured_alike() {
        let rules = BatchRules::built_in();
        let mut rows: Vec<CohortRow> = (0..4)
            .map(|i| CohortRow::of(&case(&format!("c{i}"), &format!("p{}", i / 2), "Siemens", 1, f64::from(i)), &rules))
            .collect();
        rows[3].settings_sha256 = "other".to_owned();
        rows.rotate_right(1);
        let table = table_of(&rows, "CT").unwrap();
        assert_eq!(table.patients, ["p0", "p1"]);
        assert_eq!((table.n_further, table.n_other_settings), (1, 1));
        assert_eq!(table.features.names()[1], "native.none.stat_mean");
        assert!((table.features.column(1)[1] - 2.0).abs() <= 0.0);
        let known = table.known(None).unwrap();
        assert_eq!(known.names(), ["batch", "age", "sex"]);
        assert!(table_of(&rows, "PT").is_err());
    }

    #[test]
    fn regions_that_a_rule_made_never_stand_beside_drawn_ones() {
        let row = |name: &str, automatic: bool| {
            let mut row = CohortRow::of(&case(name, name, "GE", 1, 2.0), &BatchRules::built_in());
            row.blocks.iter_mut().for_each(|block| block.automatic = automatic);
            row
        };
        let mixed = table_of(&[row("a", true), row("b", false), row("c", true)], "CT").unwrap();
        assert_eq!((mixed.patients.as_slice(), mixed.n_automatic), (["b".to_owned()].as_slice(), 2));
        let by_rule = table_of(&[row("a", true), row("c", true)], "CT").unwrap();
        assert_eq!((by_rule.patients.len(), by_rule.n_automatic), (2, 0));
    }
}

//! Clinical values that were put by HTTP: one file per patient under `STORAGE/clinical`, named by a hash of the patient's id.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::TableError;
use super::json::{read_json, write_json};
use super::site::clinical_covariates;
use crate::harmonise::{Covariate, Values};

const FORMAT: &str = "radiomicsd-clinical";
const VERSION: u32 = 1;
/// Values of one patient, at most, and characters of a name or a level.
const VALUES_MAX: usize = 500;
const CHARACTERS_MAX: usize = 100;

/// A clinical value: a number, or a level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClinicalValue {
    /// A number.
    Number(f64),
    /// A level.
    Level(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClinicalFile {
    format: String,
    version: u32,
    patient: String,
    values: BTreeMap<String, ClinicalValue>,
}

fn path(storage: &Path, patient: &str) -> PathBuf {
    let digest = Sha256::digest(patient.as_bytes());
    let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    storage.join("clinical").join(format!("{name}.json"))
}

/// Replaces what was put of a patient before; durable when this returns. Without a value the file goes.
///
/// # Errors
/// When there are too many values, a name or a level is empty or too long, or the file system refuses.
pub fn put_clinical(storage: &Path, patient: &str, values: BTreeMap<String, ClinicalValue>) -> Result<(), TableError> {
    let refuse = |reason: &str| Err(TableError::Content(reason.to_owned()));
    let fits = |text: &str| !text.trim().is_empty() && text.chars().count() <= CHARACTERS_MAX;
    if values.len() > VALUES_MAX || !fits(patient) {
        return refuse("expected a patient's id and at most 500 values");
    }
    let sound = |(name, value): (&String, &ClinicalValue)| match value {
        ClinicalValue::Number(value) => fits(name) && value.is_finite(),
        ClinicalValue::Level(level) => fits(name) && fits(level),
    };
    if !values.iter().all(sound) {
        return refuse("expected names and levels of 1 to 100 characters, and finite numbers");
    }
    let path = path(storage, patient);
    if values.is_empty() {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(TableError::io("removing", &path)(error)),
            _ => Ok(()),
        };
    }
    let folder = storage.join("clinical");
    std::fs::create_dir_all(&folder).map_err(TableError::io("making", &folder))?;
    let file = ClinicalFile { format: FORMAT.to_owned(), version: VERSION, patient: patient.to_owned(), values };
    write_json(&path, &file)
}

/// What was put of a patient, one row each; nothing where nothing was.
///
/// # Errors
/// When the file cannot be read.
pub fn put_covariates(storage: &Path, patient: &str) -> Result<Vec<Covariate>, TableError> {
    let path = path(storage, patient);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let file: ClinicalFile = read_json(&path, FORMAT, VERSION)?;
    if file.patient != patient {
        return Ok(Vec::new());
    }
    let covariate = |(name, value)| {
        let values = match value {
            ClinicalValue::Number(value) => Values::Continuous(vec![value]),
            ClinicalValue::Level(level) => Values::Categorical(vec![level]),
        };
        Covariate { name, values }
    };
    Ok(file.values.into_iter().map(covariate).collect())
}

/// Everything clinical that is known of a patient: what was put comes before the site's table.
///
/// # Errors
/// When a file cannot be read.
pub fn clinical_of(storage: &Path, table: Option<&Path>, patient: &str) -> Result<Vec<Covariate>, TableError> {
    let mut known = put_covariates(storage, patient)?;
    for covariate in clinical_covariates(table, patient)? {
        if !known.iter().any(|put| put.name == covariate.name) {
            known.push(covariate);
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_comes_before_the_table_and_goes_when_nothing_is_put() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("clinical.csv");
        std::fs::write(&table, "id,age,stage\np1,50,II\n").unwrap();
        let put = |values: &[(&str, ClinicalValue)]| {
            let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            put_clinical(folder.path(), "p1", values)
        };
        put(&[("age", ClinicalValue::Number(61.0)), ("grade", ClinicalValue::Level("3".into()))]).unwrap();
        let known = clinical_of(folder.path(), Some(&table), "p1").unwrap();
        let named = |name: &str| known.iter().find(|known| known.name == name).unwrap().values.clone();
        assert_eq!(named("age"), Values::Continuous(vec![61.0]));
        assert_eq!(named("grade"), Values::Categorical(vec!["3".to_owned()]));
        assert_eq!(named("stage"), Values::Categorical(vec!["II".to_owned()]));
        assert!(put(&[("age", ClinicalValue::Number(f64::NAN))]).is_err());
        assert!(put(&[("", ClinicalValue::Number(1.0))]).is_err());
        put(&[]).unwrap();
        assert_eq!(clinical_of(folder.path(), Some(&table), "p1").unwrap().len(), 2);
        assert!(put_covariates(folder.path(), "p2").unwrap().is_empty());
    }
}

//! What a site says of its scanners and its patients, in files that the configuration names.

use std::path::Path;

use super::error::TableError;
use super::wide::{CovariateKind, WideTable};
use crate::harmonise::{BatchRules, Covariate};

/// The rules by which scanner names become batches: the site's before those that are built in.
///
/// # Errors
/// When the file cannot be read or is no table of rules.
pub fn batch_rules(path: Option<&Path>) -> Result<BatchRules, TableError> {
    let Some(path) = path else { return Ok(BatchRules::built_in()) };
    let text = std::fs::read_to_string(path).map_err(TableError::io("reading", path))?;
    BatchRules::with_site(&text).map_err(|reason| TableError::Model { path: path.to_owned(), reason })
}

/// What the clinical table knows of one patient, one covariate per column; nothing where it does not have the patient.
///
/// # Errors
/// When the table cannot be read.
pub fn clinical_covariates(path: Option<&Path>, patient: &str) -> Result<Vec<Covariate>, TableError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let table = WideTable::read(path)?;
    let Some(row) = table.ids.iter().position(|id| id == patient) else { return Ok(Vec::new()) };
    let covariate = |name: &String| Ok(table.covariate(name, CovariateKind::AsWritten)?.of(&[row]));
    table.names().iter().map(covariate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harmonise::Values;

    #[test]
    fn the_row_of_the_patient_is_found_and_a_stranger_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clinical.csv");
        std::fs::write(&path, "id,age,stage\np1,50,II\np2,61,IV\n").unwrap();
        let found = clinical_covariates(Some(&path), "p2").unwrap();
        assert_eq!(found[0].values, Values::Continuous(vec![61.0]));
        assert_eq!(found[1].values, Values::Categorical(vec!["IV".to_owned()]));
        assert!(clinical_covariates(Some(&path), "p3").unwrap().is_empty());
        assert!(clinical_covariates(None, "p1").unwrap().is_empty());
    }

    #[test]
    fn rules_that_cannot_be_read_are_told_with_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("batch.toml");
        assert!(batch_rules(Some(&path)).is_err());
        std::fs::write(&path, "[[kernel]]\npattern = 3").unwrap();
        assert!(batch_rules(Some(&path)).unwrap_err().to_string().contains("batch.toml"));
        assert!(batch_rules(None).is_ok());
    }
}

//! Which cases of the cohort are earlier ones of the same patient, measured alike.
//!
//! An empty file for each case, in a folder for each patient, finds them without reading the whole cohort. It is made with
//! the row; a row that is gone has no part in anything, whatever the folder says.

use sha2::{Digest, Sha256};

use super::cohort::{Cohort, CohortRow};
use super::error::TableError;

/// The newest of them that are looked at.
const EARLIER_MAX: usize = 20;

impl Cohort {
    /// Earlier cases of the row's patient under the same protocol and settings, the newest first. One patient is one
    /// Patient ID with its issuer, one birth date, which both have, and one sex; the study of an earlier case has an
    /// earlier date.
    ///
    /// # Errors
    /// When the file system refuses, or a row cannot be read.
    pub fn earlier(&self, row: &CohortRow) -> Result<Vec<CohortRow>, TableError> {
        if row.patient == row.case || row.birth_date.is_none() {
            return Ok(Vec::new());
        }
        let folder = self.patient_folder(row);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(TableError::io("listing", &folder)(error)),
        };
        let mut rows = Vec::new();
        for entry in entries.flatten() {
            let Some(other) = entry.file_name().to_str().map(|case| self.row(case)).transpose()?.flatten() else {
                continue;
            };
            if is_earlier(&other, row) {
                rows.push(other);
            }
        }
        rows.sort_by(|a, b| (&b.study_date, &b.case).cmp(&(&a.study_date, &a.case)));
        rows.truncate(EARLIER_MAX);
        Ok(rows)
    }

    /// Notes a case under its patient.
    pub(super) fn note_patient(&self, row: &CohortRow) -> Result<(), TableError> {
        let folder = self.patient_folder(row);
        std::fs::create_dir_all(&folder).map_err(TableError::io("making", &folder))?;
        let file = folder.join(&row.case);
        std::fs::File::create(&file).map(drop).map_err(TableError::io("making", &file))
    }

    fn patient_folder(&self, row: &CohortRow) -> std::path::PathBuf {
        let digest = Sha256::digest(row.patient.as_bytes());
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.folder().join("patients").join(name)
    }
}

fn is_earlier(other: &CohortRow, row: &CohortRow) -> bool {
    let sexes = other.sex.as_ref().zip(row.sex.as_ref());
    other.case != row.case
        && other.patient == row.patient
        && other.birth_date == row.birth_date
        && sexes.is_none_or(|(a, b)| a == b)
        && other.protocol == row.protocol
        && other.settings_sha256 == row.settings_sha256
        && other.study_date.len() == 8
        && other.study_date < row.study_date
}

#[cfg(test)]
mod tests {
    use dicom_dictionary_std::tags;

    use super::*;
    use crate::dicom::write::put_text;
    use crate::harmonise::BatchRules;
    use crate::table::testing;

    fn row(id: &str, date: &str, born: &str) -> CohortRow {
        let mut case = testing::case(id, "P", "ACME", 1, 5.0);
        let mut header = (*case.images[0].header).clone();
        for (tag, text) in [(tags::STUDY_DATE, date), (tags::PATIENT_BIRTH_DATE, born)] {
            put_text(&mut header, tag, text);
        }
        case.images[0].header = std::sync::Arc::new(header);
        CohortRow::of(&case, &BatchRules::built_in())
    }

    #[test]
    fn earlier_cases_are_of_one_patient_and_settings_and_of_earlier_days_the_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        let cohort = Cohort::of_storage(folder.path());
        let now = row("now", "20260301", "19500101");
        assert!(cohort.earlier(&now).unwrap().is_empty());
        for (id, date, born) in [
            ("a", "20260101", "19500101"),
            ("b", "20260201", "19500101"),
            ("same-day", "20260301", "19500101"),
            ("later", "20260401", "19500101"),
            ("namesake", "20260101", "19600101"),
        ] {
            cohort.put(&row(id, date, born)).unwrap();
        }
        let mut otherwise = row("otherwise", "20260102", "19500101");
        "other".clone_into(&mut otherwise.settings_sha256);
        cohort.put(&otherwise).unwrap();
        cohort.put(&now).unwrap();
        let found =
            |row: &CohortRow| -> Vec<String> { cohort.earlier(row).unwrap().into_iter().map(|row| row.case).collect() };
        assert_eq!(found(&now), ["b", "a"]);
        cohort.remove("b").unwrap();
        assert_eq!(found(&now), ["a"]);
        assert!(found(&row("unborn", "20260301", "")).is_empty());
        assert_eq!(cohort.rows().unwrap().len(), 6, "the folders of patients are no rows");
    }
}

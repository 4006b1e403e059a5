//! Files of histogram standards: one per site and class of sequences.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::TableError;
use super::json::{read_json, write_json};
use crate::normalise::HistogramStandard;

const FORMAT: &str = "radiomicsd-histogram-standard";
const VERSION: u32 = 1;

/// A file of one standard.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StandardFile {
    format: String,
    version: u32,
    standard: HistogramStandard,
}

/// Reads a standard.
///
/// # Errors
/// When the file cannot be read, is another kind of file, or its landmarks do not increase.
pub fn read_standard(path: &Path) -> Result<HistogramStandard, TableError> {
    read_json::<StandardFile>(path, FORMAT, VERSION).map(|file| file.standard)
}

/// Writes a standard as a whole: a reader sees the old file or the new one.
///
/// # Errors
/// When the file system refuses.
pub fn write_standard(path: &Path, standard: &HistogramStandard) -> Result<(), TableError> {
    write_json(path, &StandardFile { format: FORMAT.to_owned(), version: VERSION, standard: standard.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standard_comes_back_from_its_file_and_another_file_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t1.json");
        let standard = HistogramStandard::new(vec![1.0, 50.0, 99.0], vec![0.0, 40.0, 100.0], 12).unwrap();
        write_standard(&path, &standard).unwrap();
        assert_eq!(read_standard(&path).unwrap(), standard);
        std::fs::write(&path, r#"{"format":"radiomicsd-combat","version":1}"#).unwrap();
        assert!(read_standard(&path).unwrap_err().to_string().contains("radiomicsd-histogram-standard"));
        let text = r#"{"format":"radiomicsd-histogram-standard","version":1,"standard":
            {"percentiles":[1,99],"landmarks":[5,5],"n_images":1}}"#;
        std::fs::write(&path, text).unwrap();
        assert!(read_standard(&path).is_err());
    }
}

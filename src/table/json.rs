//! Versioned JSON files: what a file is and of which version is read before anything else of it.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::TableError;
use crate::store::write_whole;

/// The most bytes that a file may have: 1 GiB.
const BYTES_MAX: u64 = 1 << 30;

#[derive(Debug, Deserialize)]
struct Head {
    format: Option<String>,
    version: Option<u32>,
}

/// Reads a file of one format and version.
///
/// # Errors
/// When it cannot be read, or is another kind of file.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, format: &str, version: u32) -> Result<T, TableError> {
    let wrong = |reason: String| TableError::Model { path: path.to_owned(), reason };
    let size = std::fs::metadata(path).map_err(TableError::io("reading", path))?.len();
    if size > BYTES_MAX {
        return Err(wrong(format!("has {size} bytes, at most {BYTES_MAX} are read")));
    }
    let bytes = std::fs::read(path).map_err(TableError::io("reading", path))?;
    let place = |error: &serde_json::Error| format!("line {}, column {}", error.line(), error.column());
    let head: Head = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(format!("is no JSON object that names its format ({})", place(&error))))?;
    if head.format.as_deref() != Some(format) {
        return Err(wrong(format!("is no file of format \"{format}\"")));
    }
    if head.version != Some(version) {
        let found = head.version.map_or_else(|| "no version".to_owned(), |found| format!("version {found}"));
        return Err(wrong(format!("has {found} of format \"{format}\", this program reads version {version}")));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| wrong(format!("does not hold what its format asks for ({})", place(&error))))
}

/// Writes a file as a whole: a reader sees the old one or the new one.
///
/// # Errors
/// When it cannot be encoded, or the file system refuses.
pub(super) fn write_json<T: Serialize>(path: &Path, content: &T) -> Result<(), TableError> {
    let mut text = serde_json::to_vec_pretty(content)
        .map_err(|error| TableError::Content(format!("{} cannot be encoded: {error}", path.display())))?;
    text.push(b'\n');
    write_whole(path, &text).map_err(TableError::write(path))
}

//! The files of a folder that a command is given.

use std::path::{Path, PathBuf};

use super::CliError;

/// Files of one folder that are looked at.
const FILES_MAX: usize = 10_000_000;

/// Every file below a folder, by path.
pub(super) fn below(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    collect(directory, &mut files).map_err(|error| CliError::Failed(format!("{}: {error}", directory.display())))?;
    files.sort_unstable();
    Ok(files)
}

/// Links to folders are not followed, so that no circle is.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() || entry.path().is_file() {
                files.push(entry.path());
            }
            if files.len() > FILES_MAX {
                return Err(std::io::Error::other(format!("more than {FILES_MAX} files")));
            }
        }
    }
    Ok(())
}

//! Why a table or a model file cannot be read or written.

use std::path::{Path, PathBuf};

use crate::error::{Duty, Fault, Retry};
use crate::fuse::FuseError;
use crate::harmonise::HarmoniseError;
use crate::store::StoreError;

/// Why a table or a model file cannot be read or written. No error repeats a cell: it may name a patient.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file system refused.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a table.
    #[error("{}: {reason}", path.display())]
    Csv {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A cell that is no number.
    #[error("{}: line {line}, column \"{column}\" is no number, expected a number or an empty cell", path.display())]
    Number {
        /// Which file.
        path: PathBuf,
        /// Its line, from 1.
        line: u64,
        /// The column's name.
        column: String,
    },
    /// A patient that occurs twice.
    #[error("{}: the patients of lines {first} and {second} are the same, expected one row per patient", path.display())]
    SamePatient {
        /// Which file.
        path: PathBuf,
        /// The first line.
        first: u64,
        /// The second line.
        second: u64,
    },
    /// A column that is asked for and not there.
    #[error("{}: column \"{column}\" is not there, the columns are {}", path.display(), found.join(", "))]
    NoColumn {
        /// Which file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Some of the columns that are there.
        found: Vec<String>,
    },
    /// A file of another kind or of another version.
    #[error("{}: {reason}", path.display())]
    Model {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Tables without a patient in common, and the like.
    #[error("{0}")]
    Content(String),
    /// The statistics refuse.
    #[error(transparent)]
    Harmonise(#[from] HarmoniseError),
    /// A model cannot be trained or asked.
    #[error(transparent)]
    Fuse(#[from] FuseError),
    /// A file could not be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
}

impl TableError {
    /// Wraps an error of writing.
    pub(super) fn write<'a>(path: &'a Path) -> impl FnOnce(StoreError) -> Self + 'a {
        move |source| Self::Write { path: path.to_owned(), source }
    }

    /// Wraps an error of the file system.
    pub(super) fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Self + 'a {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

impl Duty for TableError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } => Fault::Internal,
            Self::Csv { .. }
            | Self::Number { .. }
            | Self::SamePatient { .. }
            | Self::NoColumn { .. }
            | Self::Model { .. }
            | Self::Content(_) => Fault::Data,
            Self::Harmonise(error) => error.fault(),
            Self::Fuse(error) => error.fault(),
            Self::Write { source, .. } => source.fault(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Io { .. } => Retry::Later,
            Self::Write { source, .. } => source.retry(),
            _ => Retry::Never,
        }
    }
}

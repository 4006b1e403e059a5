//! The files of the pure stages: tables, models, the cohort. Read and written here, so that statistics know no files.

pub mod combat;
mod combat_file;
mod error;
mod json;
mod wide;

pub use combat_file::{CombatContent, CombatFile};
pub use error::TableError;
pub use wide::{CovariateKind, WideTable, features_text, number_text};

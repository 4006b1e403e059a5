//! The files of the pure stages: tables, models, the cohort. Read and written here, so that statistics know no files.

mod active;
mod cohort;
pub mod combat;
mod combat_file;
mod error;
mod json;
mod scanner;
#[cfg(test)]
mod testing;
mod wide;

pub use active::{ActiveModels, BlockHarmonised, column_name, harmonise_case};
pub use cohort::{BATCH_COLUMN, Cohort, CohortBlock, CohortRow, CohortTable, PATIENT_COLUMN, table_of};
pub use combat_file::{CombatContent, CombatFile};
pub use error::TableError;
pub use scanner::{header_covariates, scanner_facts};
pub use wide::{CovariateKind, WideTable, features_text, number_text};

//! The files of the pure stages: tables, models, the cohort. Read and written here, so that statistics know no files.

mod active;
pub mod agreement;
mod clinical;
mod cohort;
pub mod combat;
mod combat_file;
mod drift;
mod earlier;
mod error;
mod export;
pub mod fusion;
mod json;
#[cfg(feature = "parquet")]
mod parquet;
mod resolution;
mod scanner;
mod site;
mod standard;
#[cfg(test)]
mod testing;
mod usable;
mod wide;

pub use active::{ActiveModels, BlockHarmonised, column_name, harmonise_case};
pub use clinical::{ClinicalValue, clinical_of, put_clinical, put_covariates};
pub use cohort::{BATCH_COLUMN, Cohort, CohortBlock, CohortRow, CohortTable, PATIENT_COLUMN, patient_among, table_of};
pub use combat_file::{CombatContent, CombatFile};
pub use drift::{BlockDrift, drift_of_cohort};
pub use error::TableError;
pub use export::{ExportCells, ExportColumn, ExportValues, export_columns, write_block, write_columns};
pub use resolution::{ResolutionRow, ResolutionTable};
pub use scanner::{batch_of, header_covariates, scanner_facts};
pub use site::{batch_rules, clinical_covariates};
pub use standard::{read_standard, write_standard};
pub use usable::unusable_models;
pub use wide::{CovariateKind, WideTable, features_text, number_text};

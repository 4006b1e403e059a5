//! The synthetic patient as real DICOM objects: CT, PET and MR images and structure sets, as scanners and drawing stations
//! would have made them, every type 1 attribute there.
//!
//! Values are rounded to the integers that scanners store. PET in BQML is brought back from SUV to activity through
//! weight, dose and decay, so only the right SUV rule finds the truth again.

mod build;
mod ct;
mod modules;
mod mr;
mod objects;
mod pet;
mod plan;
mod structures;
mod variants;

pub use build::{SeriesObjects, SyntheticPatient};
pub use objects::{EncodedInstance, WriteOutError, Written, write_patient};
pub use variants::{IdentityConflict, follow_up};

//! A synthetic patient with known truth: the demo, the fixtures, and the tests that need an answer to compare with.
//!
//! An ellipsoid body holds organs and lesions, each with its Hounsfield units, SUV and MR signal. The body is described
//! by formulas, not voxels, so every scanner samples the same thing: its grid, its blur, its noise and its patient
//! position are the only differences between the images. The truth is what was prescribed, never what was measured.
//!
//! Everything follows from [`PhantomSettings`]: no clock, no randomness but the seed. The arithmetic that decides a voxel
//! is addition, multiplication, division and square root, which IEEE 754 defines to the last bit, so a seed gives the same
//! bytes on every machine.

mod anatomy;
mod cohort;
mod contour;
mod dicom;
mod exact;
mod lesion;
mod patient;
mod sample;
mod settings;
mod texture;
mod truth;

pub use anatomy::Tissue;
pub use cohort::{BlockSettings, CohortSettings, SyntheticCohort, image_patient, synthetic_cohort};
pub use contour::Contour;
pub use dicom::{
    EncodedInstance, IdentityConflict, SeriesObjects, SyntheticPatient, WriteOutError, Written, follow_up,
    write_patient,
};
pub use patient::Phantom;
pub use settings::{
    CtSettings, Drawing, GridSettings, LesionSettings, MrSettings, MrStudy, Offset, PatientSettings, PetDecay,
    PetSettings, PetUnits, PhantomError, PhantomSettings, Scan, ScannerSettings, TextureSettings,
};
pub use truth::{LesionInScan, LesionTruth, ScanTruth, Truth};

//! Placeholder replaced by the stage.

pub mod nifti;

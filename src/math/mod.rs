//! Pure numerics on slices and arrays: no images, no files, no DICOM.

pub mod cholesky;
pub mod eigen;
pub mod interpolate;
pub mod linalg;
pub mod random;

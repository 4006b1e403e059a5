//! Pure numerics on slices and arrays: no images, no files, no DICOM.

pub mod cholesky;
pub mod eigen;
pub mod ellipsoid;
pub mod fft;
pub mod interpolate;
pub mod linalg;
pub mod random;

//! Pure numerics on slices and arrays: no images, no files, no DICOM.

pub mod agreement;
pub mod cholesky;
pub mod contingency;
pub mod eigen;
pub mod ellipsoid;
pub mod fft;
pub mod interpolate;
pub mod linalg;
pub mod optimise;
pub mod pca;
pub mod qr;
pub mod random;
pub mod special;
pub mod stats;

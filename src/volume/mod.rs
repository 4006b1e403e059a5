//! From DICOM objects to images: series to volumes with their quantities, contours and segments to masks.
//!
//! The one bridge from `dicom` to `image`. Every departure of the data from what is expected becomes a named finding under
//! the site's policy; nothing is guessed.

pub mod nifti;
pub mod suv;

//! From DICOM objects to images: series to volumes with their quantities, contours and segments to masks.
//!
//! The one bridge from `dicom` to `image`. Every departure of the data from what is expected becomes a named finding under
//! the site's policy; nothing is guessed.

mod contours;
pub mod nifti;
mod rtstruct;
mod seg;
pub mod suv;

pub use contours::{fits, rasterise, rasterise_onto};
pub use rtstruct::{Contour, GeometricType, Roi, RtStructError, StructureSet};
pub use seg::{SegError, Segment, Segmentation};

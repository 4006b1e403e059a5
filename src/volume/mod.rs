//! From DICOM objects to images: series to volumes with their quantities, contours and segments to masks.
//!
//! The one bridge from `dicom` to `image`. Every departure of the data from what is expected becomes a named finding under
//! the site's policy; nothing is guessed.

mod assemble;
mod contours;
mod error;
mod fill;
mod frame;
pub mod nifti;
mod oblique;
mod pixels;
mod quality;
mod reg;
mod regular;
mod rtstruct;
mod samples;
mod scaling;
mod seg;
mod series;
mod split;
mod stack;
pub mod suv;
mod units;

pub use contours::{fits, rasterise, rasterise_onto};
pub use error::VolumeError;
pub use reg::{RegError, RegisteredImages, RegistrationItem, RegistrationObject};
pub use rtstruct::{Contour, GeometricType, Roi, RtStructError, StructureSet};
pub use scaling::MrScaling;
pub use seg::{SegError, Segment, Segmentation};
pub use series::{SeriesVolume, SlicePadding, VolumeOrigin, VolumeSettings};
pub use units::Units;

/// The most voxels of one volume: 8 GiB of values.
pub const VOXELS_MAX: u64 = 1 << 31;

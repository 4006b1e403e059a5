//! Alignment: one resolution and one grid for the images of a case.
//!
//! Each image is blurred in its own grid to the resolution that all of them share, then brought onto the target grid with
//! one interpolation through the whole transform chain. The blur comes first because it is then done where the image's own
//! resolution is known, on samples nobody has interpolated.

mod edge;
mod error;
mod grid;
mod resolution;
mod stage;

pub use crate::image::Psf;
pub use edge::edge_fwhm_mm;
pub use error::AlignError;
pub use grid::{crop_grid, isotropic_grid};
pub use resolution::{Matched, Resolution, match_resolution, target_resolution};
pub use stage::{Aligned, Blurred, Target, align};

//! Images in patient space: voxels with their geometry, masks, and the maps between spaces.
//!
//! All positions are LPS millimetres (PS3.3 C.7.6.2.1.1); all arrays are indexed `[z, y, x]`.

mod components;
mod displacement;
pub mod distance;
mod filter;
mod geometry;
pub mod hull;
mod interpolation;
pub mod mesh;
mod modality;
mod oblique;
pub mod packed;
mod psf;
mod reduce;
mod region;
mod resample;
mod sampler;
mod threshold;
mod transform;
mod volume;

pub use components::{connected, largest_component, largest_value};
pub use displacement::{Displacement, DisplacementError};
pub use filter::{gaussian, reach};
pub use geometry::{Geometry, GeometryError};
pub use interpolation::Interpolation;
pub use modality::Modality;
pub use oblique::gaussian_covariance;
pub use psf::{FWHM_PER_SIGMA, Psf};
pub use reduce::{coarse_grid, reduce};
pub use region::Region;
pub use resample::{resample, resample_mask, source_region};
pub use threshold::two_class_threshold;
pub use transform::{Affine, Transform, TransformError};
pub use volume::{Mask, Volume};

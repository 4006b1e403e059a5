//! Why images cannot be aligned.

use crate::error::{Duty, Fault, Retry};
use crate::math::linalg::Vec3;

/// Why images cannot be aligned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AlignError {
    /// A width that is no width.
    #[error("the resolution is {0:?} mm FWHM, expected numbers from zero up")]
    Resolution(Vec3),
    /// A spacing that is no spacing.
    #[error("the grid spacing is {0} mm, expected a positive number")]
    Spacing(f64),
    /// A grid too large to be meant.
    #[error("the grid would have {0} x {1} x {2} voxels, at most {max} are allowed", max = super::grid::MAX_VOXELS)]
    TooLarge(usize, usize, usize),
    /// The transform tears or flattens space where the images lie.
    #[error("the transform cannot be inverted at the middle of the target grid")]
    Transform,
}

impl Duty for AlignError {
    fn fault(&self) -> Fault {
        match self {
            Self::Resolution(_) | Self::Spacing(_) => Fault::Config,
            Self::TooLarge(..) | Self::Transform => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

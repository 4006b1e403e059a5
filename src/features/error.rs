//! Why features could not be extracted.

use crate::error::{Duty, Fault, Retry};

/// Why a region has no features at all. A single feature without a value is no error: see
/// [`Omission`](super::Omission).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FeatureError {
    /// Image and mask are not on one grid.
    #[error("the mask has {mask:?} voxels and the image {image:?}, expected one grid for both")]
    Grid {
        /// Voxels of the image along x, y, z.
        image: [usize; 3],
        /// Voxels of the mask along x, y, z.
        mask: [usize; 3],
    },
    /// The region covers nothing.
    #[error("the region covers no voxel {0}")]
    EmptyRoi(RoiStep),
    /// A setting is out of its range.
    #[error("setting {setting} is out of range, expected {expected}")]
    Setting {
        /// The setting's name in the configuration.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// The interpolated block would not fit.
    #[error("the region's block would have {voxels:.3e} voxels after interpolation, at most {limit:.3e} are allowed")]
    TooLarge {
        /// Voxels it would have.
        voxels: f64,
        /// Voxels it may have.
        limit: f64,
    },
    /// The grid after interpolation is impossible.
    #[error("no grid after interpolation: {0}")]
    Geometry(#[from] crate::image::GeometryError),
    /// A filter does not fit the image.
    #[error(transparent)]
    Filter(#[from] super::filters::FilterError),
}

/// After which step a region was found to be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoiStep {
    /// As it came.
    Initial,
    /// On the new grid.
    Interpolated,
    /// After re-segmentation, or because its voxels have no value.
    Resegmented,
}

impl std::fmt::Display for RoiStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Initial => "as it came",
            Self::Interpolated => "after interpolation",
            Self::Resegmented => "with an intensity inside the re-segmentation range",
        })
    }
}

impl Duty for FeatureError {
    fn fault(&self) -> Fault {
        match self {
            Self::Setting { .. } | Self::TooLarge { .. } | Self::Filter(_) => Fault::Config,
            Self::EmptyRoi(_) | Self::Geometry(_) => Fault::Data,
            Self::Grid { .. } => Fault::Internal,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

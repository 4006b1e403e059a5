//! Why an image cannot be normalised.

use crate::error::{Duty, Fault, Retry};

/// Why an image cannot be normalised.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NormaliseError {
    /// The window is no range.
    #[error("the window is {low} .. {high}, expected two numbers, the first one smaller")]
    Window {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Statistics need a mask on the image's own grid.
    #[error("the mask for the statistics is on another grid than the image")]
    Grid,
    /// No voxel to take statistics from.
    #[error("no voxel of the image is above the body threshold: it has no contrast or no values")]
    EmptyBody,
    /// All voxels have one value.
    #[error("the {n_voxels} body voxels all have one value, expected a standard deviation above 0")]
    Flat {
        /// How many there are.
        n_voxels: usize,
    },
    /// A reference region that covers nothing, or tissue without signal.
    #[error("the reference tissue covers {n_voxels} voxels with a mean of {mean}, expected some with a mean above 0")]
    Tissue {
        /// How many voxels it covers.
        n_voxels: usize,
        /// Their mean.
        mean: f64,
    },
    /// The region of the reference tissue was not drawn.
    #[error("there is no region for the reference tissue")]
    NoTissue,
    /// A histogram standard that is none.
    #[error("the histogram standard is not usable: expected 2 to 16 increasing landmarks at increasing percentiles")]
    Standard,
    /// The standard is not stored.
    #[error("there is no stored histogram standard of that name")]
    NoStandard,
    /// White matter is looked for in a head.
    #[error("the image is not known to show a head, which the white stripe needs")]
    NotAHead,
}

impl Duty for NormaliseError {
    fn fault(&self) -> Fault {
        match self {
            Self::Window { .. } | Self::Standard | Self::NoStandard => Fault::Config,
            Self::Grid => Fault::Internal,
            Self::EmptyBody | Self::Flat { .. } | Self::Tissue { .. } | Self::NoTissue | Self::NotAHead => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

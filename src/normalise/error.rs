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
    /// Not built.
    #[error("normalisation by {method} is not available, expected hu, suv, zscore or none")]
    NotAvailable {
        /// Its name.
        method: &'static str,
    },
}

impl Duty for NormaliseError {
    fn fault(&self) -> Fault {
        match self {
            Self::Window { .. } | Self::NotAvailable { .. } => Fault::Config,
            Self::Grid => Fault::Internal,
            Self::EmptyBody | Self::Flat { .. } => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

//! How a value between voxel centres is found.

use serde::{Deserialize, Serialize};

/// The interpolation of a resampling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The value of the nearest voxel centre: for labels.
    Nearest,
    /// Trilinear.
    #[default]
    Linear,
    /// Tricubic B-spline through the samples (prefiltered, so it interpolates), mirrored at the outermost centres.
    Cubic,
    /// Windowed sinc after Lanczos over eight neighbours along each axis, mirrored at the outermost centres.
    Sinc,
}

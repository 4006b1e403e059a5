//! Mean filter (IBSI 2, S60F).

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::boundary::{Boundary, Dimensions};
use super::convolve::box_mean;

/// The mean over a square or a cube around each voxel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    /// Voxels along a side (YNOF); odd.
    pub size: usize,
    /// Slices or volume.
    #[serde(default)]
    pub dimensions: Dimensions,
    /// Beyond the edges.
    #[serde(default)]
    pub boundary: Boundary,
}

impl Mean {
    pub(super) fn label(&self) -> String {
        format!("mean-{}d-{}{}", self.dimensions.count(), self.size, self.boundary.label())
    }

    pub(super) fn reach(&self) -> [usize; 3] {
        self.dimensions.reach([self.size / 2; 3])
    }

    pub(super) fn apply(&self, image: &Array3<f32>) -> Array3<f32> {
        box_mean(image, self.size / 2, self.dimensions.count(), self.boundary)
    }
}

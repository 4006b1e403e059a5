//! Voxels on a grid.

use ndarray::Array3;

use super::Geometry;

/// Voxel values on a regular grid in patient space; `voxels` is indexed `[z, y, x]` in standard (C) layout.
///
/// In a `Volume<f32>` a voxel outside the field of view is NaN: missing, never a number that looks like tissue.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume<T> {
    /// The values, `[z, y, x]`.
    pub voxels: Array3<T>,
    /// Where they lie.
    pub geometry: Geometry,
}

/// The voxels that a region covers, on one grid.
pub type Mask = Volume<bool>;

impl<T: Clone> Volume<T> {
    /// A volume with one value everywhere.
    #[must_use]
    pub fn filled(geometry: Geometry, value: T) -> Self {
        Self { voxels: Array3::from_elem(geometry.shape(), value), geometry }
    }
}

impl<T> Volume<T> {
    /// Values in `z, y, x` order on their grid; `None` when there are not as many values as voxels.
    #[must_use]
    pub fn from_values(geometry: Geometry, values: Vec<T>) -> Option<Self> {
        let voxels = Array3::from_shape_vec(geometry.shape(), values).ok()?;
        Some(Self { voxels, geometry })
    }
}

impl Mask {
    /// How many voxels the region covers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.voxels.iter().filter(|inside| **inside).count()
    }
}

//! Where the voxels of a grid lie in patient space.

use serde::{Deserialize, Serialize};

use crate::math::linalg::{self, Mat3, Vec3};

/// A regular grid in patient space (LPS, mm).
///
/// The centre of voxel (i, j, k) lies at `origin + i spacing_x x + j spacing_y y + k spacing_z z`, where x, y, z are the
/// `directions`: orthogonal unit vectors along the rows, the columns and the slices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Geometry {
    /// Voxels along x, y, z.
    pub size: [usize; 3],
    /// Distance of neighbouring voxel centres along x, y, z.
    pub spacing_mm: Vec3,
    /// Centre of voxel (0, 0, 0).
    pub origin_mm: Vec3,
    /// Unit vectors of the three voxel axes: `directions[0]` is that of increasing x.
    pub directions: Mat3,
}

/// Why a grid is not possible.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GeometryError {
    /// A size of zero.
    #[error("a grid of {0} x {1} x {2} voxels is empty, expected at least one voxel along each axis")]
    Empty(usize, usize, usize),
    /// A spacing that is not a positive number.
    #[error("voxel spacing is {0:?} mm, expected positive numbers")]
    Spacing(Vec3),
    /// Directions that are no orthogonal unit vectors.
    #[error("axis directions are not orthogonal unit vectors (largest deviation {0:.2e}, at most 1e-3 expected)")]
    Directions(f64),
    /// An origin that is not finite.
    #[error("the origin is not finite")]
    Origin,
}

impl Geometry {
    /// A checked grid.
    ///
    /// # Errors
    /// When a size is zero, a spacing not positive and finite, or the directions are not orthonormal within 1e-3.
    pub fn new(size: [usize; 3], spacing_mm: Vec3, origin_mm: Vec3, directions: Mat3) -> Result<Self, GeometryError> {
        if size.contains(&0) {
            return Err(GeometryError::Empty(size[0], size[1], size[2]));
        }
        if !spacing_mm.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(GeometryError::Spacing(spacing_mm));
        }
        if !origin_mm.iter().all(|o| o.is_finite()) {
            return Err(GeometryError::Origin);
        }
        let gram = linalg::mul(&directions, &linalg::transpose(&directions));
        let deviation = gram
            .iter()
            .flatten()
            .zip(linalg::IDENTITY.iter().flatten())
            .map(|(found, expected)| (found - expected).abs())
            .fold(0.0, |worst: f64, d| if d.is_nan() { f64::INFINITY } else { worst.max(d) });
        if deviation > 1e-3 {
            return Err(GeometryError::Directions(deviation));
        }
        Ok(Self { size, spacing_mm, origin_mm, directions })
    }

    /// The patient position (mm) of a continuous voxel index (x, y, z).
    #[must_use]
    pub fn voxel_to_world(&self, index: Vec3) -> Vec3 {
        self.directions
            .iter()
            .zip(self.spacing_mm)
            .zip(index)
            .fold(self.origin_mm, |point, ((axis, spacing), i)| linalg::add(point, linalg::scale(i * spacing, *axis)))
    }

    /// The continuous voxel index (x, y, z) of a patient position (mm).
    #[must_use]
    pub fn world_to_voxel(&self, point: Vec3) -> Vec3 {
        let offset = linalg::sub(point, self.origin_mm);
        [0, 1, 2].map(|axis| linalg::dot(self.directions[axis], offset) / self.spacing_mm[axis])
    }

    /// Voxels in all.
    #[must_use]
    pub fn n_voxels(&self) -> usize {
        self.size.iter().product()
    }

    /// The shape of an array on this grid: `(z, y, x)`.
    #[must_use]
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.size[2], self.size[1], self.size[0])
    }

    /// The volume of one voxel in mm3.
    #[must_use]
    pub fn voxel_volume_mm3(&self) -> f64 {
        self.spacing_mm.iter().product()
    }

    /// The position (mm) of the grid's middle.
    #[must_use]
    pub fn centre_mm(&self) -> Vec3 {
        #[allow(clippy::cast_precision_loss)]
        self.voxel_to_world(self.size.map(|n| (n as f64 - 1.0) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn voxel_and_world_are_inverse_on_an_oblique_grid() {
        let (s, c) = 0.3f64.sin_cos();
        let grid =
            Geometry::new([4, 5, 6], [0.9, 1.1, 3.0], [-10.0, 20.0, 5.0], [[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
                .unwrap();
        let back = grid.world_to_voxel(grid.voxel_to_world([1.5, 2.25, 4.0]));
        for (found, expected) in back.iter().zip([1.5, 2.25, 4.0]) {
            assert_relative_eq!(*found, expected, epsilon = 1e-12);
        }
    }

    #[test]
    fn impossible_grids_are_refused() {
        let ok = ([1, 1, 1], [1.0, 1.0, 1.0], [0.0; 3], linalg::IDENTITY);
        assert!(Geometry::new([1, 0, 1], ok.1, ok.2, ok.3).is_err());
        assert!(Geometry::new(ok.0, [1.0, -1.0, 1.0], ok.2, ok.3).is_err());
        assert!(Geometry::new(ok.0, ok.1, [f64::NAN, 0.0, 0.0], ok.3).is_err());
        assert!(Geometry::new(ok.0, ok.1, ok.2, [[1.0, 0.0, 0.0]; 3]).is_err());
    }
}

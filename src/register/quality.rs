//! How good a registration is.

#![allow(clippy::cast_precision_loss)] // lattice counts

use serde::{Deserialize, Serialize};

use crate::image::{Geometry, Transform};

/// What was measured on a registration; `None` is not measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quality {
    /// Share of the fixed image's field of view that lies in the moving image's, 0 to 1.
    pub overlap: Option<f64>,
}

/// Positions per axis at which the overlap is sampled.
const LATTICE: usize = 33;

/// The share of the fixed field of view that the map takes into the moving one, on a lattice of cell centres.
#[must_use]
pub(super) fn overlap(fixed: &Geometry, moving: &Geometry, fixed_to_moving: &Transform) -> f64 {
    let mut n_inside = 0u32;
    for k in 0..LATTICE.pow(3) {
        let cell = [k % LATTICE, k / LATTICE % LATTICE, k / LATTICE / LATTICE];
        let index = [0, 1, 2].map(|axis| (cell[axis] as f64 + 0.5) / LATTICE as f64 * fixed.size[axis] as f64 - 0.5);
        let at = moving.world_to_voxel(fixed_to_moving.apply(fixed.voxel_to_world(index)));
        let inside = (0..3).all(|axis| at[axis] >= -0.5 && at[axis] <= moving.size[axis] as f64 - 0.5);
        n_inside += u32::from(inside);
    }
    f64::from(n_inside) / LATTICE.pow(3) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::linalg::IDENTITY;

    #[test]
    fn half_of_a_field_shifted_by_half_its_width_overlaps() {
        let grid = Geometry::new([10, 20, 30], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0], IDENTITY).unwrap();
        assert!((overlap(&grid, &grid, &Transform::Identity) - 1.0).abs() < 1e-12);
        let half = overlap(&grid, &grid, &Transform::translation([0.0, 20.0, 0.0]));
        assert!((half - 0.5).abs() < 0.02, "{half}");
        let none = overlap(&grid, &grid, &Transform::translation([0.0, 0.0, -91.0]));
        assert!(none.abs() < 1e-12);
    }
}

//! Isotropic grids as the IBSI defines them, and the parts of them that a region needs.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// Sizes are bounded by MAX_VOXELS before they are narrowed.

use super::AlignError;
use crate::image::{Geometry, Mask, Region, Transform};
use crate::math::linalg::{self, Vec3};

/// Voxels that a grid may have: 16 GiB of single-precision values. More is a mistake in a header or in the settings.
pub(super) const MAX_VOXELS: usize = 1 << 32;

/// The isotropic grid of a volume: centres aligned, `n_new = ceil(n_old * spacing_old / spacing_new)` along each axis
/// (IBSI 2.4: the grid covers the volume, its middle is the volume's middle).
///
/// A product that is a whole number but for rounding is that number: a volume on its own spacing keeps its size.
///
/// # Errors
/// When the spacing is not a positive number or the grid would have more than 2^32 voxels.
pub fn isotropic_grid(geometry: &Geometry, spacing_mm: f64) -> Result<Geometry, AlignError> {
    if !(spacing_mm.is_finite() && spacing_mm > 0.0) {
        return Err(AlignError::Spacing(spacing_mm));
    }
    let size = [0, 1, 2].map(|axis| {
        let exact = geometry.size[axis] as f64 * geometry.spacing_mm[axis] / spacing_mm;
        (exact * (1.0 - 1e-9)).ceil().max(1.0) as usize
    });
    let n_voxels = size.iter().try_fold(1usize, |product, n| product.checked_mul(*n));
    if n_voxels.is_none_or(|n| n > MAX_VOXELS) {
        return Err(AlignError::TooLarge(size[0], size[1], size[2]));
    }
    let middle = geometry.centre_mm();
    let origin_mm = (0..3).fold(middle, |at, axis| {
        let half = (size[axis] as f64 - 1.0) / 2.0 * spacing_mm;
        linalg::sub(at, linalg::scale(half, geometry.directions[axis]))
    });
    Ok(Geometry { size, spacing_mm: [spacing_mm; 3], origin_mm, directions: geometry.directions })
}

/// The part of `grid` that holds a region and `margin_mm` around it; its voxels are voxels of `grid`.
///
/// `fixed_to_moving` leads from the grid's space to the mask's. `None` when the mask is empty, lies beside the grid, or the
/// transform has no inverse.
#[must_use]
pub fn crop_grid(grid: &Geometry, mask: &Mask, fixed_to_moving: &Transform, margin_mm: f64) -> Option<Geometry> {
    let region = Region::of_mask(mask)?;
    let to_fixed = fixed_to_moving.inverse()?;
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    // Corners, edges and faces of the box: all a straight map needs, and enough for a gently curved one within the margin.
    for step in 0..27usize {
        let index: Vec3 = [step % 3, step / 3 % 3, step / 9].map(|k| k as f64 / 2.0);
        let index = [0, 1, 2]
            .map(|axis| region.start[axis] as f64 - 0.5 + index[axis] * (region.end[axis] - region.start[axis]) as f64);
        let at = grid.world_to_voxel(to_fixed.apply(mask.geometry.voxel_to_world(index)));
        for axis in 0..3 {
            low[axis] = low[axis].min(at[axis]);
            high[axis] = high[axis].max(at[axis]);
        }
    }
    let margin = grid.spacing_mm.map(|spacing| (margin_mm.max(0.0) / spacing).ceil() as usize);
    Some(Region::around(grid, low, high, margin)?.geometry(grid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn ct() -> Geometry {
        Geometry::new([204, 201, 60], [0.977, 0.977, 3.0], [-100.0, -90.0, 12.5], linalg::rotation([0.0, 0.1, 0.2]))
            .unwrap()
    }

    #[test]
    fn the_isotropic_grid_covers_the_volume_and_shares_its_middle() {
        // 204 * 0.977 = 199.3, 201 * 0.977 = 196.4, 60 * 3 = 180.
        let grid = isotropic_grid(&ct(), 2.0).unwrap();
        assert_eq!(grid.size, [100, 99, 90]);
        assert!(grid.spacing_mm.iter().all(|s| (s - 2.0).abs() < 1e-12));
        for (found, expected) in grid.centre_mm().iter().zip(ct().centre_mm()) {
            assert_relative_eq!(*found, expected, epsilon = 1e-9);
        }
    }

    #[test]
    fn a_volume_on_its_own_spacing_keeps_its_grid() {
        for spacing in [0.977, 1.1 / 3.0, 0.1 + 0.2] {
            let own = Geometry::new([311, 7, 1], [spacing; 3], [3.0, 1.0, -8.0], linalg::IDENTITY).unwrap();
            let grid = isotropic_grid(&own, spacing).unwrap();
            assert_eq!(grid.size, own.size);
            for (found, expected) in grid.origin_mm.iter().zip(own.origin_mm) {
                assert_relative_eq!(*found, expected, epsilon = 1e-9);
            }
        }
    }

    #[test]
    fn grids_that_cannot_be_meant_are_refused() {
        assert_eq!(isotropic_grid(&ct(), 0.0), Err(AlignError::Spacing(0.0)));
        assert!(isotropic_grid(&ct(), f64::NAN).is_err());
        assert!(matches!(isotropic_grid(&ct(), 1e-9), Err(AlignError::TooLarge(..))));
    }

    #[test]
    fn a_cropped_grid_keeps_the_phase_and_holds_the_region_with_its_margin() {
        let grid = isotropic_grid(&ct(), 1.0).unwrap();
        let mut mask = Mask::filled(ct(), false);
        mask.voxels[[30, 100, 50]] = true;
        mask.voxels[[32, 110, 60]] = true;
        let map = Transform::translation([5.0, -3.0, 2.0]);
        let part = crop_grid(&grid, &mask, &map, 4.0).unwrap();
        let offset = grid.world_to_voxel(part.origin_mm);
        for (axis, offset) in offset.iter().enumerate() {
            assert_relative_eq!(*offset, offset.round(), epsilon = 1e-6);
            assert!(part.size[axis] < grid.size[axis]);
        }
        for index in [[49.5, 99.5, 29.5], [60.5, 110.5, 32.5]] {
            let world = map.inverse().unwrap().apply(mask.geometry.voxel_to_world(index));
            let at = part.world_to_voxel(world);
            for axis in 0..3 {
                assert!(at[axis] >= 3.5 && at[axis] <= part.size[axis] as f64 - 4.5, "{at:?} in {:?}", part.size);
            }
        }
    }

    #[test]
    fn a_region_beside_the_grid_or_empty_has_no_part() {
        let grid = isotropic_grid(&ct(), 1.0).unwrap();
        let mut mask = Mask::filled(ct(), false);
        assert_eq!(crop_grid(&grid, &mask, &Transform::Identity, 1.0), None);
        mask.voxels[[0, 0, 0]] = true;
        assert_eq!(crop_grid(&grid, &mask, &Transform::translation([1e4, 0.0, 0.0]), 1.0), None);
    }
}

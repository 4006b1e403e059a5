//! How good a registration is.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // lattice counts

use serde::{Deserialize, Serialize};

use super::Uncertainty;
use crate::image::{Geometry, Mask, Transform};

/// What was measured on a registration; `None` is not measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quality {
    /// Share of the fixed image's field of view that lies in the moving image's, 0 to 1.
    pub overlap: Option<f64>,
    /// Normalised mutual information under the header's identity, 1 to 2.
    pub nmi_before: Option<f64>,
    /// Normalised mutual information under the map.
    pub nmi_after: Option<f64>,
    /// Dice coefficient of the bodies under the map, in the common field of view.
    pub body_dice: Option<f64>,
    /// Mean distance over the body between the map and the header's identity, mm.
    pub from_header_mm: Option<f64>,
    /// Mean distance over the body between the maps of the two estimators, mm.
    pub disagreement_mm: Option<f64>,
    /// Mean distance over the body between the map and that of the images with their roles exchanged, mm.
    pub inverse_consistency_mm: Option<f64>,
    /// Mean distance over the body between the map and those of the starts that ended within its reach, mm.
    pub multi_start_spread_mm: Option<f64>,
    /// Share of the starts that ended within reach of the map.
    pub multi_start_share: Option<f64>,
    /// The least and the greatest local change of volume of a map that bends, as a factor.
    pub jacobian: Option<(f64, f64)>,
    /// Share of the body in which a map that bends folds.
    pub folded_share: Option<f64>,
    /// How sure the map is.
    pub uncertainty: Option<Uncertainty>,
}

impl Quality {
    /// What was measured, in words and numbers for documents; empty where nothing was.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        if let (Some(before), Some(after)) = (self.nmi_before, self.nmi_after) {
            words.push(format!("NMI {before:.4} before, {after:.4} after"));
        }
        let mut say = |value: Option<f64>, name: &str, unit: &str| {
            words.extend(value.map(|value| format!("{name} {value:.2}{unit}")));
        };
        say(self.overlap, "overlap", "");
        say(self.body_dice, "body Dice", "");
        say(self.disagreement_mm, "estimators differ by", " mm");
        say(self.inverse_consistency_mm, "inverse consistency", " mm");
        say(self.multi_start_spread_mm, "spread of starts", " mm");
        say(self.uncertainty.map(|sure| sure.sigma_mm_at(sure.centre_mm)), "standard deviation", " mm");
        if let Some((low, high)) = self.jacobian {
            words.push(format!("Jacobian {low:.2} to {high:.2}"));
        }
        words.extend(self.folded_share.map(|share| format!("folded {:.2} %", 100.0 * share)));
        words.join(", ")
    }
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

/// The Dice coefficient of two masks under a map, over the fixed voxels that it takes into the moving field of view; `None`
/// where there is neither.
#[must_use]
pub(super) fn dice(fixed: &Mask, moving: &Mask, fixed_to_moving: &Transform) -> Option<f64> {
    let size = moving.geometry.size;
    let (mut n_both, mut n_sum) = (0u32, 0u32);
    for ((z, y, x), in_fixed) in fixed.voxels.indexed_iter() {
        let point = fixed.geometry.voxel_to_world([x as f64, y as f64, z as f64]);
        let at = moving.geometry.world_to_voxel(fixed_to_moving.apply(point));
        if (0..3).any(|axis| at[axis] < -0.5 || at[axis] >= size[axis] as f64 - 0.5) {
            continue;
        }
        let [x, y, z] = at.map(|v| (v + 0.5).max(0.0) as usize);
        let in_moving = moving.voxels.get([z, y, x]).copied().unwrap_or(false);
        n_both += u32::from(*in_fixed && in_moving);
        n_sum += u32::from(*in_fixed) + u32::from(in_moving);
    }
    (n_sum > 0).then(|| 2.0 * f64::from(n_both) / f64::from(n_sum))
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

    #[test]
    fn bodies_are_compared_in_the_common_field_of_view_alone() {
        let grid = Geometry::new([20, 10, 10], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
        let mut body = Mask::filled(grid, false);
        for x in 5..15 {
            body.voxels.index_axis_mut(ndarray::Axis(2), x).fill(true);
        }
        let shifted = |x: f64| dice(&body, &body, &Transform::translation([x, 0.0, 0.0]));
        assert_eq!(shifted(0.0), Some(1.0));
        assert!((shifted(5.0).unwrap() - 0.5).abs() < 1e-12);
        // The ten columns that still meet show body in the moving image alone.
        assert_eq!(shifted(10.0), Some(0.0));
        assert_eq!(shifted(40.0), None);
    }
}

//! Directions between neighbours (IBSI 3.6): one of each pair of opposite ones.

use crate::features::WeightNorm;

/// A step from a voxel to a neighbour, in voxels along x, y, z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) dx: isize,
    pub(super) dy: isize,
    pub(super) dz: isize,
}

impl Direction {
    /// Its length by a norm, in voxels.
    pub(super) fn length(self, norm: WeightNorm) -> f64 {
        let [x, y, z] = [self.dx, self.dy, self.dz].map(|d| d.unsigned_abs() as f64);
        match norm {
            WeightNorm::Manhattan => x + y + z,
            WeightNorm::Euclidean => (x * x + y * y + z * z).sqrt(),
            WeightNorm::Chebyshev => x.max(y).max(z),
        }
    }

    /// The weight of its matrix among merged ones: exp(-length^2), or 1 without a norm.
    pub(super) fn weight(self, norm: Option<WeightNorm>) -> f64 {
        norm.map_or(1.0, |norm| (-self.length(norm).powi(2)).exp())
    }

    /// Whether it stays in its slice.
    pub(super) const fn in_plane(self) -> bool {
        self.dz == 0
    }
}

/// The directions of Chebyshev length `distance` along the axes that the grid extends over: those that lead forward in
/// z, y, x order. 13 of length 1 in a volume, 4 in a slice.
pub(super) fn forward(distance: usize, grid_size: [usize; 3]) -> Vec<Direction> {
    let reach = grid_size.map(|n| if n > 1 { distance as isize } else { 0 });
    let mut directions = Vec::new();
    for dz in 0..=reach[2] {
        for dy in -reach[1]..=reach[1] {
            for dx in -reach[0]..=reach[0] {
                let direction = Direction { dx, dy, dz };
                let length = dx.unsigned_abs().max(dy.unsigned_abs()).max(dz.unsigned_abs());
                if length == distance && (dz, dy, dx) > (0, 0, 0) {
                    directions.push(direction);
                }
            }
        }
    }
    directions
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn there_are_thirteen_directions_in_a_volume_four_in_a_slice_and_49_at_distance_two() {
        assert_eq!(forward(1, [9, 9, 9]).len(), 13);
        assert_eq!(forward(1, [9, 9, 1]).len(), 4);
        assert_eq!(forward(1, [9, 9, 9]).iter().filter(|direction| direction.in_plane()).count(), 4);
        assert_eq!(forward(2, [9, 9, 9]).len(), 49);
        assert_eq!(forward(1, [1, 1, 1]).len(), 0);
    }

    #[test]
    fn weights_fall_with_the_length_of_the_direction() {
        let diagonal = Direction { dx: 1, dy: -1, dz: 1 };
        assert_relative_eq!(diagonal.weight(None), 1.0);
        assert_relative_eq!(diagonal.weight(Some(WeightNorm::Chebyshev)), (-1f64).exp());
        assert_relative_eq!(diagonal.weight(Some(WeightNorm::Euclidean)), (-3f64).exp(), epsilon = 1e-12);
        assert_relative_eq!(diagonal.weight(Some(WeightNorm::Manhattan)), (-9f64).exp());
    }
}

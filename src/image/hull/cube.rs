//! Directions sorted into cells: those of a cube around the origin whose faces are divided into squares.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares of an edge are from 0 to its cells"
)]

use crate::math::linalg::Vec3;

/// A cube with so many cells along an edge. Cells are numbered face by face: +x, -x, +y, -y, +z, -z.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cube {
    pub(super) cells: usize,
}

impl Cube {
    /// How many cells there are.
    pub(super) const fn len(self) -> usize {
        6 * self.cells * self.cells
    }

    /// The cell that a direction passes.
    pub(super) fn cell_of(self, along: Vec3) -> usize {
        let axis = (1..3).fold(0, |most, axis| if along[axis].abs() > along[most].abs() { axis } else { most });
        let face = 2 * axis + usize::from(along[axis] < 0.0);
        let half = 0.5 * self.cells as f64;
        let per_size = half / along[axis].abs();
        let at = |axis: usize| ((along[axis] * per_size + half) as usize).min(self.cells - 1);
        (face * self.cells + at((axis + 1) % 3)) * self.cells + at((axis + 2) % 3)
    }

    /// The direction through the middle of a cell, not of unit length.
    pub(super) fn direction_of(self, cell: usize) -> Vec3 {
        let cells = self.cells;
        let (face, first, second) = (cell / (cells * cells), cell / cells % cells, cell % cells);
        let middle = |at: usize| (at as f64 + 0.5) / cells as f64 * 2.0 - 1.0;
        let axis = face / 2;
        let mut along = [0.0; 3];
        along[axis] = if face % 2 == 0 { 1.0 } else { -1.0 };
        along[(axis + 1) % 3] = middle(first);
        along[(axis + 2) % 3] = middle(second);
        along
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_is_that_of_its_direction() {
        for cube in [1, 2, 6, 31].map(|cells| Cube { cells }) {
            for cell in 0..cube.len() {
                assert_eq!(cube.cell_of(cube.direction_of(cell)), cell);
            }
        }
        let cube = Cube { cells: 6 };
        assert!(cube.cell_of([1.0, 1.0, 1.0]) < cube.len());
        assert!(cube.cell_of([0.0, 0.0, -1.0]) >= 5 * 36);
    }
}

//! Walks over the surface of a hull: to the corner that is farthest along a direction, and around the border between what
//! faces a direction and what does not.
//!
//! Both look at about as many facets as the root of all: a corner that is not the farthest has a neighbour that is farther,
//! and the border is one loop.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "facets are numbered in 32 bits; shares of a cube are from 0 to its cells"
)]

use super::polygon::{convex, outline_mm};
use super::quickhull::Facet;
use crate::math::linalg::{Vec3, dot, scale};

/// A side of a facet: side k of facet f has the number 3 f + k. It starts at corner k.
type Side = u32;

/// A hull in mm.
pub(super) struct Solid<'a> {
    corners: &'a [Vec3],
    /// Outward normals of the facets in mm, of any length.
    normals: Vec<Vec3>,
    /// By side: the corner that it starts at, and the side of the other facet along the same edge.
    origins: Vec<u32>,
    twins: Vec<Side>,
    /// By cell of a cube around the origin: a side that starts at the corner farthest along the cell's direction.
    starts: Vec<Side>,
}

/// Cells along an edge of the cube.
const CELLS: usize = 6;

/// Corners nearer than this share of the hull's width are equally far: far above rounding, far below a voxel.
const TOLERANCE: f64 = 1e-9;

impl<'a> Solid<'a> {
    /// O(number of corners).
    pub(super) fn new(corners: &'a [Vec3], facets: &[Facet], spacing_mm: Vec3) -> Self {
        let in_mm = |facet: &Facet| [0, 1, 2].map(|axis| facet.normal[axis] as f64 / spacing_mm[axis]);
        let origins: Vec<u32> = facets.iter().flat_map(|facet| facet.corners).collect();
        let twin = |(facet, side): (&Facet, usize)| {
            let other = facet.neighbours[side];
            let start = facet.corners[(side + 1) % 3];
            (0..3).map(|side| 3 * other + side).find(|side| origins[*side as usize] == start)
        };
        let twins = facets.iter().flat_map(|facet| [0, 1, 2].map(|side| (facet, side))).filter_map(twin).collect();
        let mut sides: Vec<Side> = vec![0; corners.len()];
        (0..).zip(&origins).for_each(|(side, corner)| sides[*corner as usize] = side);
        let start = |cell: usize| {
            let along = direction_of(cell);
            let farthest = corners.iter().zip(&sides).max_by(|a, b| dot(*a.0, along).total_cmp(&dot(*b.0, along)));
            farthest.map(|(_, side)| *side)
        };
        let starts = (0..6 * CELLS * CELLS).filter_map(start).collect();
        Self { corners, normals: facets.iter().map(in_mm).collect(), origins, twins, starts }
    }

    fn corner(&self, side: Side) -> Vec3 {
        self.corners[self.origins[side as usize] as usize]
    }

    fn twin(&self, side: Side) -> Side {
        self.twins[side as usize]
    }

    /// The sides that start at the same corner, each once, clockwise as seen from outside.
    fn around(&self, first: Side) -> impl Iterator<Item = Side> {
        let next = move |side: &Side| Some(following(self.twin(*side))).filter(|next| *next != first);
        std::iter::successors(Some(first), next)
    }

    /// A side that starts at the corner farthest along a direction, and how far that is.
    fn farthest(&self, along: Vec3) -> (Side, f64) {
        // Never a corner within a face across the direction, whose neighbours are all as far, but where that is the farthest.
        let mut side = self.starts[cell_of(along)];
        let mut best = dot(self.corner(side), along);
        let farther = |side: Side, best: f64| {
            self.around(side).map(following).find_map(|end| {
                let reach = dot(self.corner(end), along);
                (reach > best).then_some((end, reach))
            })
        };
        while let Some(found) = farther(side, best) {
            (side, best) = found;
        }
        (side, best)
    }

    /// How far the hull reaches along a direction.
    pub(super) fn reach(&self, along: Vec3) -> f64 {
        self.farthest(along).1
    }

    /// Whether a side's facet faces a direction.
    fn faces(&self, side: Side, along: Vec3) -> bool {
        dot(self.normals[side as usize / 3], along) > 0.0
    }

    /// The corners at both ends of every side between a facet that faces a direction and one that does not, in no order.
    fn border_corners(&self, along: Vec3) -> impl Iterator<Item = Vec3> {
        let is_border = move |side: &Side| self.faces(*side, along) && !self.faces(self.twin(*side), along);
        let sides = (0..).take(self.origins.len()).filter(is_border);
        sides.flat_map(|side| [self.corner(side), self.corner(following(side))])
    }

    /// The outline of the hull as seen against a direction, in coordinates along `u` and `v` across it; counter-clockwise.
    pub(super) fn outline(&self, along: Vec3, across: [Vec3; 2]) -> Vec<[f64; 2]> {
        let flat = |corner: Vec3| across.map(|axis| dot(corner, axis));
        match self.silhouette(along, across) {
            Some(points) => convex(points),
            None => outline_mm(self.border_corners(along).map(flat).collect()),
        }
    }

    /// The border between facets that face a direction and those that do not, as a loop of points across it.
    ///
    /// `None` where the loop does not come to the farthest corners across: rounding may tell wrongly whether facets that stand
    /// along the direction face it, and put a border around a few of them.
    fn silhouette(&self, along: Vec3, across: [Vec3; 2]) -> Option<Vec<[f64; 2]>> {
        let (outermost, _) = self.farthest(across[0]);
        let start =
            self.around(outermost).find(|side| self.faces(*side, along) && !self.faces(self.twin(*side), along))?;
        let mut points = Vec::new();
        let mut side = start;
        while points.len() < self.origins.len() {
            let corner = self.corner(side);
            points.push(across.map(|axis| dot(corner, axis)));
            side = self.around(following(side)).find(|side| !self.faces(self.twin(*side), along))?;
            if side == start {
                break;
            }
        }
        let comes_to_the_ends = |axis: usize| {
            let [high, low] = [1.0, -1.0].map(|sign| self.reach(scale(sign, across[axis])));
            let at = |end: f64, sign: f64| points.iter().map(|point| sign * point[axis]).fold(end, f64::max);
            let found = [at(f64::NEG_INFINITY, 1.0), at(f64::NEG_INFINITY, -1.0)];
            found[0] >= high - TOLERANCE * (high + low) && found[1] >= low - TOLERANCE * (high + low)
        };
        (comes_to_the_ends(0) && comes_to_the_ends(1)).then_some(points)
    }
}

/// The next side of the same facet.
const fn following(side: Side) -> Side {
    if side % 3 == 2 { side - 2 } else { side + 1 }
}

/// The cell of the cube that a direction passes.
fn cell_of(along: Vec3) -> usize {
    let axis = (1..3).fold(0, |most, axis| if along[axis].abs() > along[most].abs() { axis } else { most });
    let face = 2 * axis + usize::from(along[axis] < 0.0);
    let at = |axis: usize, size: f64| {
        let share = (along[axis] / size + 1.0) / 2.0 * CELLS as f64;
        (share as usize).min(CELLS - 1)
    };
    let size = along[axis].abs();
    (face * CELLS + at((axis + 1) % 3, size)) * CELLS + at((axis + 2) % 3, size)
}

/// The direction through the middle of a cell.
fn direction_of(cell: usize) -> Vec3 {
    let (face, first, second) = (cell / (CELLS * CELLS), cell / CELLS % CELLS, cell % CELLS);
    let middle = |at: usize| (at as f64 + 0.5) / CELLS as f64 * 2.0 - 1.0;
    let axis = face / 2;
    let mut along = [0.0; 3];
    along[axis] = if face % 2 == 0 { 1.0 } else { -1.0 };
    along[(axis + 1) % 3] = middle(first);
    along[(axis + 2) % 3] = middle(second);
    along
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_is_that_of_its_direction() {
        for cell in 0..6 * CELLS * CELLS {
            assert_eq!(cell_of(direction_of(cell)), cell);
        }
        assert!(cell_of([1.0, 1.0, 1.0]) < 6 * CELLS * CELLS);
        assert!(cell_of([0.0, 0.0, -1.0]) >= 5 * CELLS * CELLS);
    }
}

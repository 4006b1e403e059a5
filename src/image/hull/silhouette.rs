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

use super::quickhull::Facet;
use crate::math::linalg::{Vec3, dot, scale};

/// A side of a facet, and the corner that it starts at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) facet: u32,
    pub(super) side: usize,
}

/// A hull in mm.
pub(super) struct Solid<'a> {
    pub(super) corners: &'a [Vec3],
    facets: &'a [Facet],
    /// Outward normals in mm, of any length.
    normals: Vec<Vec3>,
    /// By cell of a cube around the origin: where the corner is that is farthest along the cell's direction.
    starts: Vec<Place>,
}

/// Cells along an edge of the cube.
const CELLS: usize = 6;

/// Corners nearer than this share of the hull's width are equally far: far above rounding, far below a voxel.
const TOLERANCE: f64 = 1e-9;

impl<'a> Solid<'a> {
    /// O(number of corners).
    pub(super) fn new(corners: &'a [Vec3], facets: &'a [Facet], spacing_mm: Vec3) -> Self {
        let in_mm = |facet: &Facet| [0, 1, 2].map(|axis| facet.normal[axis] as f64 / spacing_mm[axis]);
        let mut places = vec![Place { facet: 0, side: 0 }; corners.len()];
        for (facet, number) in facets.iter().zip(0..) {
            for side in 0..3 {
                places[facet.corners[side] as usize] = Place { facet: number, side };
            }
        }
        let start = |cell: usize| {
            let along = direction_of(cell);
            let farthest = corners.iter().zip(&places).max_by(|a, b| dot(*a.0, along).total_cmp(&dot(*b.0, along)));
            farthest.map(|(_, place)| *place)
        };
        let starts = (0..6 * CELLS * CELLS).filter_map(start).collect();
        Self { corners, facets, normals: facets.iter().map(in_mm).collect(), starts }
    }

    fn facet(&self, place: Place) -> &Facet {
        &self.facets[place.facet as usize]
    }

    fn corner(&self, place: Place) -> u32 {
        self.facet(place).corners[place.side]
    }

    /// How far a place's corner is along a direction.
    pub(super) fn reach(&self, place: Place, along: Vec3) -> f64 {
        dot(self.corners[self.corner(place) as usize], along)
    }

    /// The sides that start at the corner of a place, each once, clockwise as seen from outside.
    fn around(&self, place: Place) -> impl Iterator<Item = Place> {
        let corner = self.corner(place);
        let next = move |at: &Place| {
            let facet = self.facet(*at).neighbours[at.side];
            let side = self.facets[facet as usize].corners.iter().position(|other| *other == corner)?;
            Some(Place { facet, side }).filter(|next| *next != place)
        };
        std::iter::successors(Some(place), next).take(self.facets.len())
    }

    /// A side that starts at the corner farthest along a direction.
    pub(super) fn farthest(&self, along: Vec3) -> Place {
        // Never a corner within a face across the direction, whose neighbours are all as far, but where that is the farthest.
        let mut place = self.starts[cell_of(along)];
        let mut best = self.reach(place, along);
        let farther = |place: Place, best: f64| {
            self.around(place).find_map(|at| {
                let end = Place { side: (at.side + 1) % 3, ..at };
                let reach = self.reach(end, along);
                (reach > best).then_some((end, reach))
            })
        };
        while let Some((end, reach)) = farther(place, best) {
            (place, best) = (end, reach);
        }
        place
    }

    fn faces(&self, facet: u32, along: Vec3) -> bool {
        dot(self.normals[facet as usize], along) > 0.0
    }

    /// Whether a place's facet faces a direction and the one across its side does not.
    fn is_border(&self, place: Place, along: Vec3) -> bool {
        self.faces(place.facet, along) && !self.faces(self.facet(place).neighbours[place.side], along)
    }

    /// The corners at both ends of every side of the border around a direction, in no order: looks at every facet.
    pub(super) fn border_corners(&self, along: Vec3) -> Vec<u32> {
        let faces: Vec<bool> = (0..).take(self.facets.len()).map(|facet| self.faces(facet, along)).collect();
        let mut corners = Vec::new();
        for (facet, _) in self.facets.iter().zip(&faces).filter(|(_, faces)| **faces) {
            for side in (0..3).filter(|side| !faces[facet.neighbours[*side] as usize]) {
                corners.extend([facet.corners[side], facet.corners[(side + 1) % 3]]);
            }
        }
        corners
    }

    /// The corners of the border around a direction, counter-clockwise as seen against it; `u` and `v` lie across it.
    ///
    /// `None` where the loop does not come to the farthest corners across: rounding may tell wrongly whether facets that stand
    /// along the direction face it, and put a border around a few of them.
    pub(super) fn silhouette(&self, along: Vec3, [u, v]: [Vec3; 2]) -> Option<Vec<u32>> {
        let start = self.around(self.farthest(u)).find(|place| self.is_border(*place, along))?;
        let mut corners = Vec::new();
        let mut place = start;
        for _ in 0..3 * self.facets.len() {
            corners.push(self.corner(place));
            let end = Place { side: (place.side + 1) % 3, ..place };
            place = self.around(end).find(|place| !self.faces(self.facet(*place).neighbours[place.side], along))?;
            if place == start {
                break;
            }
        }
        let comes_to = |direction: Vec3| {
            let [reach, back] = [direction, scale(-1.0, direction)].map(|d| self.reach(self.farthest(d), d));
            let best = corners.iter().map(|corner| dot(self.corners[*corner as usize], direction));
            best.fold(f64::NEG_INFINITY, f64::max) >= reach - TOLERANCE * (reach + back)
        };
        [v, scale(-1.0, u), scale(-1.0, v)].into_iter().all(comes_to).then_some(corners)
    }
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

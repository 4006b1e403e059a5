//! Walks over the surface of a hull: to the corner that is farthest along a direction, and around the border between what
//! faces a direction and what does not.
//!
//! Both look at about as many facets as the root of all: a corner that is not the farthest has a neighbour that is farther,
//! and the border is one loop.

#![allow(clippy::cast_possible_truncation, reason = "facets are numbered in 32 bits")]

use super::cube::Cube;
use super::polygon::{convex, outline_mm};
use super::quickhull::Facet;
use crate::math::linalg::{Vec3, dot, norm, scale};

/// A side of a facet: side k of facet f has the number 4 f + k, so that no walk has to divide. It starts at corner k.
pub(super) type Side = u32;

/// The numbers that a facet has.
const STRIDE: usize = 4;

/// A hull in mm.
pub(super) struct Solid<'a> {
    corners: &'a [Vec3],
    /// Outward normals of the facets in mm, of any length.
    normals: Vec<Vec3>,
    /// By side: the corner that it starts at, and the side of the other facet along the same edge.
    origins: Vec<u32>,
    twins: Vec<Side>,
    /// How far from the origin the corners are at most.
    size: f64,
    /// By cell of [`START`]: a side that starts at the corner farthest along the cell's direction.
    starts: Vec<Side>,
}

/// Where walks start.
const START: Cube = Cube { cells: 6 };

/// Corners of a silhouette for which there is room at once.
const POINTS: usize = 64;

/// Corners nearer than this share of the hull's width are equally far: far above rounding, far below a voxel.
const TOLERANCE: f64 = 1e-9;

impl<'a> Solid<'a> {
    /// O(number of corners).
    pub(super) fn new(corners: &'a [Vec3], facets: &[Facet], spacing_mm: Vec3) -> Self {
        let in_mm = |facet: &Facet| [0, 1, 2].map(|axis| facet.normal[axis] as f64 / spacing_mm[axis]);
        let twin = |facet: &Facet, side: usize| {
            let (other, start) = (facet.neighbours[side], facet.corners[(side + 1) % 3]);
            let at = facets[other as usize].corners.iter().position(|corner| *corner == start);
            STRIDE as u32 * other + at.unwrap_or(0) as u32
        };
        // The fourth number is never asked for.
        let in_four = |[a, b, c]: [u32; 3]| [a, b, c, 0];
        let origins: Vec<u32> = facets.iter().flat_map(|facet| in_four(facet.corners)).collect();
        let twins = facets.iter().flat_map(|facet| in_four([0, 1, 2].map(|side| twin(facet, side)))).collect();
        let size = corners.iter().map(|corner| norm(*corner)).fold(0.0, f64::max);
        let normals = facets.iter().map(in_mm).collect();
        let mut solid = Self { corners, normals, origins, twins, size, starts: Vec::new() };
        let walk = |near: &mut Side, cell: usize| {
            *near = solid.farthest_from(*near, START.direction_of(cell)).0;
            Some(*near)
        };
        // A hull without facets has nowhere to walk.
        let n_starts = if facets.is_empty() { 0 } else { START.len() };
        solid.starts = (0..n_starts).scan(0, walk).collect();
        solid
    }

    /// The corner that a side starts at.
    pub(super) fn corner(&self, side: Side) -> Vec3 {
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
    pub(super) fn farthest(&self, along: Vec3) -> (Side, f64) {
        self.farthest_from(self.starts[START.cell_of(along)], along)
    }

    /// The same, walking from a side that starts near there: never at a corner within a face across the direction, whose
    /// neighbours are all as far, but where that is the farthest.
    pub(super) fn farthest_from(&self, mut side: Side, along: Vec3) -> (Side, f64) {
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
        dot(self.normals[side as usize / STRIDE], along) > 0.0
    }

    /// The corners at both ends of every side between a facet that faces a direction and one that does not, in no order.
    fn border_corners(&self, along: Vec3) -> impl Iterator<Item = Vec3> {
        let is_border = move |side: &Side| self.faces(*side, along) && !self.faces(self.twin(*side), along);
        let sides = numbers(self.normals.len()).filter(is_border);
        sides.flat_map(|side| [self.corner(side), self.corner(following(side))])
    }

    /// The outline of the hull as seen against a direction, in coordinates along `u` and `v` across it; counter-clockwise.
    pub(super) fn outline(&self, along: Vec3, across: [Vec3; 2]) -> Vec<[f64; 2]> {
        let flat = |corner: Vec3| across.map(|axis| dot(corner, axis));
        match self.silhouette(along, across) {
            Some(points) => convex(points, self.size),
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
        let mut points = Vec::with_capacity(POINTS);
        let mut side = start;
        while points.len() < self.origins.len() {
            let corner = self.corner(side);
            points.push(across.map(|axis| dot(corner, axis)));
            side = self.around(following(side)).find(|side| !self.faces(self.twin(*side), along))?;
            if side == start {
                break;
            }
        }
        let mut ends = [[f64::NEG_INFINITY; 2]; 2];
        for point in &points {
            for (ends, at) in ends.iter_mut().zip(point) {
                *ends = [if *at > ends[0] { *at } else { ends[0] }, if -at > ends[1] { -at } else { ends[1] }];
            }
        }
        let comes_to_the_ends = ends.iter().zip(across).all(|(ends, axis)| {
            let reach = [1.0, -1.0].map(|sign| self.reach(scale(sign, axis)));
            ends.iter().zip(reach).all(|(end, far)| *end >= far - TOLERANCE * (reach[0] + reach[1]))
        });
        comes_to_the_ends.then_some(points)
    }
}

/// The sides of so many facets.
fn numbers(n_facets: usize) -> impl Iterator<Item = Side> {
    (0..(STRIDE * n_facets) as Side).filter(|side| side % STRIDE as Side != 3)
}

/// The next side of the same facet.
const fn following(side: Side) -> Side {
    if side % STRIDE as Side == 2 { side - 2 } else { side + 1 }
}

//! Contours: where the surface of a lesion cuts the slices of a grid.
//!
//! Marching squares on a lattice in the slice's plane; each crossing of a lattice edge is then refined by bisection, so
//! points lie on the true surface and only the chords between them are an approximation. A slice may cut a bumpy lesion
//! in several loops.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::anatomy::Lesion;
use super::settings::Scan;
use crate::image::{Affine, Geometry};
use crate::math::linalg::{self, Vec3};

/// Lattice step in the plane, mm.
const STEP_MM: f64 = 0.8;

/// A closed planar contour on one slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contour {
    /// Index of the lesion in the settings.
    pub lesion: usize,
    /// On whose slices.
    pub scan: Scan,
    /// Index of the slice along the grid's z axis.
    pub slice: usize,
    /// Its points, in order; the last is joined to the first.
    pub points_mm: Vec<Vec3>,
}

/// The contours of a lesion on all slices of a grid.
pub(super) fn contours(lesion: (usize, &Lesion), scan: Scan, geometry: &Geometry, to_body: &Affine) -> Vec<Contour> {
    let (index, lesion) = lesion;
    let middle = geometry.world_to_voxel(to_body.inverse().apply(lesion.shape.centre_mm()));
    let reach_mm = linalg::norm(lesion.shape.half_box_mm());
    let mut found = Vec::new();
    for slice in 0..geometry.size[2] {
        #[allow(clippy::cast_precision_loss)]
        let z = slice as f64;
        if ((z - middle[2]) * geometry.spacing_mm[2]).abs() > reach_mm {
            continue;
        }
        let plane = Plane {
            middle: geometry.voxel_to_world([middle[0], middle[1], z]),
            x: geometry.directions[0],
            y: geometry.directions[1],
            n: half_nodes(reach_mm),
        };
        let level = |point: Vec3| lesion.shape.level(to_body.apply(point));
        for points_mm in plane.loops(level) {
            found.push(Contour { lesion: index, scan, slice, points_mm });
        }
    }
    found
}

#[allow(clippy::cast_possible_truncation)]
fn half_nodes(reach_mm: f64) -> i32 {
    (reach_mm / STEP_MM).ceil() as i32 + 2
}

/// A lattice in a slice's plane: nodes (i, j) with |i|, |j| <= n.
struct Plane {
    middle: Vec3,
    x: Vec3,
    y: Vec3,
    n: i32,
}

/// A lattice edge: from a node along x (`false`) or y (`true`).
type Edge = (i32, i32, bool);

impl Plane {
    fn node(&self, i: i32, j: i32) -> Vec3 {
        let along_x = linalg::scale(f64::from(i) * STEP_MM, self.x);
        linalg::add(self.middle, linalg::add(along_x, linalg::scale(f64::from(j) * STEP_MM, self.y)))
    }

    /// Closed loops of points on the zero level, inside on the left.
    fn loops(&self, level: impl Fn(Vec3) -> f64) -> Vec<Vec<Vec3>> {
        let mut next = self.segments(&level);
        let mut loops = Vec::new();
        while let Some((start, mut at)) = next.pop_first() {
            let mut points = vec![self.crossing(start, &level)];
            while at != start {
                points.push(self.crossing(at, &level));
                match next.remove(&at) {
                    Some(following) => at = following,
                    None => break,
                }
            }
            if points.len() > 2 {
                loops.push(points);
            }
        }
        loops
    }

    /// For each crossed edge the crossed edge that follows it.
    fn segments(&self, level: &impl Fn(Vec3) -> f64) -> BTreeMap<Edge, Edge> {
        let inside = |i, j| level(self.node(i, j)) >= 0.0;
        let mut next = BTreeMap::new();
        for j in -self.n..self.n {
            for i in -self.n..self.n {
                let corners = [inside(i, j), inside(i + 1, j), inside(i + 1, j + 1), inside(i, j + 1)];
                // Edge e lies between corner e and corner e + 1, counter-clockwise.
                let edges: [Edge; 4] = [(i, j, false), (i + 1, j, true), (i, j + 1, false), (i, j, true)];
                let entering = |e: usize| !corners[e] && corners[(e + 1) % 4];
                let leaving = |e: usize| corners[e] && !corners[(e + 1) % 4];
                // With inside on the left, the line comes in where the border of the cell goes from inside to outside.
                let ins: Vec<usize> = (0..4).filter(|e| leaving(*e)).collect();
                let outs: Vec<usize> = (0..4).filter(|e| entering(*e)).collect();
                match (ins.as_slice(), outs.as_slice()) {
                    ([a], [b]) => {
                        next.insert(edges[*a], edges[*b]);
                    }
                    ([a, b], [_, _]) => {
                        let half =
                            linalg::add(self.node(i, j), linalg::scale(0.5 * STEP_MM, linalg::add(self.x, self.y)));
                        // A saddle: inside corners are joined where the middle is inside, else cut off one by one.
                        let turn = if level(half) >= 0.0 { 1 } else { 3 };
                        for e in [*a, *b] {
                            next.insert(edges[e], edges[(e + turn) % 4]);
                        }
                    }
                    _ => {}
                }
            }
        }
        next
    }

    /// The zero of the level on an edge, by bisection.
    fn crossing(&self, edge: Edge, level: &impl Fn(Vec3) -> f64) -> Vec3 {
        let (i, j, upwards) = edge;
        let mut a = self.node(i, j);
        let mut b = if upwards { self.node(i, j + 1) } else { self.node(i + 1, j) };
        let a_inside = level(a) >= 0.0;
        for _ in 0..24 {
            let half = linalg::scale(0.5, linalg::add(a, b));
            if (level(half) >= 0.0) == a_inside {
                a = half;
            } else {
                b = half;
            }
        }
        linalg::scale(0.5, linalg::add(a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn plane() -> Plane {
        Plane { middle: [1.0, 2.0, 3.0], x: [1.0, 0.0, 0.0], y: [0.0, 1.0, 0.0], n: 30 }
    }

    fn area(points: &[Vec3]) -> f64 {
        (0..points.len())
            .map(|at| {
                let (p, q) = (points[at], points[(at + 1) % points.len()]);
                0.5 * (p[0] * q[1] - q[0] * p[1])
            })
            .sum()
    }

    #[test]
    fn a_circle_is_one_loop_with_its_area_and_counter_clockwise() {
        let loops = plane().loops(|p| 10.0 - linalg::norm([p[0] - 1.0, p[1] - 2.0, 0.0]));
        assert_eq!(loops.len(), 1);
        assert_relative_eq!(area(&loops[0]), std::f64::consts::PI * 100.0, max_relative = 2e-3);
        for p in &loops[0] {
            assert_relative_eq!(linalg::norm([p[0] - 1.0, p[1] - 2.0, 0.0]), 10.0, epsilon = 1e-5);
        }
    }

    #[test]
    fn two_discs_are_two_loops_and_a_ring_has_a_clockwise_hole() {
        let disc = |p: Vec3, x: f64| 5.0 - linalg::norm([p[0] - x, p[1] - 2.0, 0.0]);
        assert_eq!(plane().loops(|p| disc(p, -7.0).max(disc(p, 9.0))).len(), 2);
        let ring = plane().loops(|p| 3.0 - (linalg::norm([p[0] - 1.0, p[1] - 2.0, 0.0]) - 8.0).abs());
        let mut areas: Vec<f64> = ring.iter().map(|points| area(points)).collect();
        areas.sort_by(f64::total_cmp);
        assert_relative_eq!(areas[0], -std::f64::consts::PI * 25.0, max_relative = 5e-3);
        assert_relative_eq!(areas[1], std::f64::consts::PI * 121.0, max_relative = 5e-3);
    }

    #[test]
    fn saddles_are_closed_whichever_way_they_turn() {
        for shift in [-0.3, -0.05, 0.05, 0.3] {
            let loops = plane().loops(|p| {
                let (x, y) = (p[0] - 1.0, p[1] - 2.0);
                (0.1 * x * y + shift).min(12.0 - linalg::norm([x, y, 0.0]))
            });
            let total: f64 = loops.iter().map(|points| area(points)).sum();
            assert!(total > 0.4 * std::f64::consts::PI * 144.0 && total < 0.6 * std::f64::consts::PI * 144.0);
        }
    }
}

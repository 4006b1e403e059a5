//! The convex hull of integer points in space: Barber, Dobkin and Huhdanpaa (1996).
//!
//! A facet keeps the points beyond its plane. The farthest of them becomes a corner: the facets that it sees are replaced by
//! a cone from their common border. All tests are exact in integers; a point in a facet's plane is not beyond it, so no
//! triangle is ever flat. Coplanar triangles stay apart.

#![allow(
    clippy::cast_possible_truncation,
    reason = "points and facets are numbered in 32 bits: far more than a grid's outline has"
)]

use super::Point;

/// A triangle of the hull, its corners counter-clockwise as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facet {
    /// Indices of the corners.
    pub(super) corners: [u32; 3],
    /// Across the side from corner k to corner k + 1: the neighbour.
    pub(super) neighbours: [u32; 3],
    /// Outward normal in index space; not of unit length.
    pub(super) normal: Point,
}

impl Facet {
    /// Six times the volume of the tetrahedron with the origin.
    pub(super) fn volume_from_origin(&self, corners: &[Point]) -> i64 {
        dot(self.normal, corners[self.corners[0] as usize])
    }
}

/// A facet while the hull grows.
struct Growing {
    facet: Facet,
    /// The plane: `normal . p` of its points.
    level: i64,
    beyond: Vec<u32>,
    farthest: (i64, u32),
    alive: bool,
}

/// Marks a neighbour that is not known yet.
const NONE: u32 = u32::MAX;

/// Corners and facets of the hull; `None` for points that all lie in one plane.
pub(super) fn hull(points: &[Point]) -> Option<(Vec<Point>, Vec<Facet>)> {
    let mut growing = first_simplex(points)?;
    let mut open: Vec<u32> = (0..4).collect();
    let mut work = Work { cone_at: vec![NONE; points.len()], ..Work::default() };
    while let Some(next) = open.pop() {
        let facet = &growing[next as usize];
        if facet.alive && !facet.beyond.is_empty() {
            let first_new = growing.len();
            add_corner(points, &mut growing, next, &mut work);
            open.extend((first_new..growing.len()).map(|index| index as u32));
        }
    }
    Some(compact(points, &growing))
}

/// Scratch that every new corner uses again.
#[derive(Default)]
struct Work {
    /// For a point: the new facet whose border side starts there.
    cone_at: Vec<u32>,
    seen: Vec<u32>,
    border: Vec<([u32; 2], u32)>,
}

fn add_corner(points: &[Point], growing: &mut Vec<Growing>, from: u32, work: &mut Work) {
    let top = growing[from as usize].farthest.1;
    find_seen(points, growing, from, top, work);
    let first_new = growing.len();
    for ([a, b], outer) in work.border.drain(..) {
        let index = growing.len() as u32;
        let mut new = plane_through(points, [a, b, top]);
        new.facet.neighbours[0] = outer;
        growing.push(new);
        let outer = &mut growing[outer as usize].facet;
        if let Some(side) = (0..3).find(|side| outer.corners[*side] == b) {
            outer.neighbours[side] = index;
        }
        work.cone_at[a as usize] = index;
    }
    // Side 1 of a cone facet runs from b to the top: its neighbour is the facet that starts at b.
    for index in first_new..growing.len() {
        let following = work.cone_at[growing[index].facet.corners[1] as usize];
        growing[index].facet.neighbours[1] = following;
        growing[following as usize].facet.neighbours[2] = index as u32;
    }
    for seen in work.seen.drain(..) {
        let orphans = std::mem::take(&mut growing[seen as usize].beyond);
        assign(points, &mut growing[first_new..], orphans.into_iter().filter(|point| *point != top));
    }
}

/// The facets that see `top`, and the border around them in no order.
fn find_seen(points: &[Point], growing: &mut [Growing], from: u32, top: u32, work: &mut Work) {
    growing[from as usize].alive = false;
    work.seen.push(from);
    let mut next = work.seen.len() - 1;
    while let Some(index) = work.seen.get(next).copied() {
        next += 1;
        let Facet { corners, neighbours, .. } = growing[index as usize].facet;
        for side in 0..3 {
            let neighbour = &mut growing[neighbours[side] as usize];
            if !neighbour.alive {
                continue;
            }
            if height(neighbour, points[top as usize]) > 0 {
                neighbour.alive = false;
                work.seen.push(neighbours[side]);
            } else {
                work.border.push(([corners[side], corners[(side + 1) % 3]], neighbours[side]));
            }
        }
    }
}

/// Gives each point to the first facet that it is beyond.
fn assign(points: &[Point], facets: &mut [Growing], candidates: impl Iterator<Item = u32>) {
    for point in candidates {
        for facet in &mut *facets {
            let height = height(facet, points[point as usize]);
            if height > 0 {
                facet.beyond.push(point);
                // Among equals the greatest by coordinates, which is a corner.
                let position = |index: u32| points.get(index as usize);
                if (height, Some(&points[point as usize])) > (facet.farthest.0, position(facet.farthest.1)) {
                    facet.farthest = (height, point);
                }
                break;
            }
        }
    }
}

fn height(facet: &Growing, point: Point) -> i64 {
    dot(facet.facet.normal, point) - facet.level
}

fn plane_through(points: &[Point], corners: [u32; 3]) -> Growing {
    let [a, b, c] = corners.map(|corner| points[corner as usize]);
    let normal = cross(sub(b, a), sub(c, a));
    Growing {
        facet: Facet { corners, neighbours: [NONE; 3], normal },
        level: dot(normal, a),
        beyond: Vec::new(),
        farthest: (0, NONE),
        alive: true,
    }
}

/// Four points that span space, as far apart as is simple to find, with every other point beyond one of their facets.
fn first_simplex(points: &[Point]) -> Option<Vec<Growing>> {
    let indices = || 0..points.len() as u32;
    let at = |index: u32| points[index as usize];
    let a = indices().min_by_key(|index| at(*index))?;
    let b = indices().max_by_key(|index| at(*index))?;
    let off_line = |index: &u32| {
        let normal = cross(sub(at(b), at(a)), sub(at(*index), at(a)));
        normal.iter().map(|v| i128::from(*v) * i128::from(*v)).sum::<i128>()
    };
    let c = indices().max_by_key(off_line).filter(|index| off_line(index) > 0)?;
    let normal = cross(sub(at(b), at(a)), sub(at(c), at(a)));
    let above = |index: u32| dot(normal, sub(at(index), at(a)));
    let d = indices().max_by_key(|index| above(*index).abs()).filter(|index| above(*index) != 0)?;
    let [b, c] = if above(d) < 0 { [b, c] } else { [c, b] };
    // d lies below (a, b, c): its other facets run against the sides of the first.
    let corners = [[a, b, c], [b, a, d], [c, b, d], [a, c, d]];
    let neighbours = [[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]];
    let mut facets: Vec<Growing> = corners.iter().map(|corners| plane_through(points, *corners)).collect();
    for (facet, neighbours) in facets.iter_mut().zip(neighbours) {
        facet.facet.neighbours = neighbours;
    }
    assign(points, &mut facets, indices());
    Some(facets)
}

/// The living facets and their corners, renumbered.
fn compact(points: &[Point], growing: &[Growing]) -> (Vec<Point>, Vec<Facet>) {
    let mut facet_index = vec![NONE; growing.len()];
    let mut corner_index = vec![NONE; points.len()];
    let mut corners = Vec::new();
    let living = || growing.iter().enumerate().filter(|(_, facet)| facet.alive);
    for (new, (old, facet)) in living().enumerate() {
        facet_index[old] = new as u32;
        for corner in facet.facet.corners {
            let index = &mut corner_index[corner as usize];
            if *index == NONE {
                *index = corners.len() as u32;
                corners.push(points[corner as usize]);
            }
        }
    }
    let renumbered = |facet: &Facet| Facet {
        corners: facet.corners.map(|corner| corner_index[corner as usize]),
        neighbours: facet.neighbours.map(|facet| facet_index[facet as usize]),
        normal: facet.normal,
    };
    let facets = living().map(|(_, facet)| renumbered(&facet.facet)).collect();
    (corners, facets)
}

fn sub(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn dot(a: Point, b: Point) -> i64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Point, b: Point) -> Point {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

//! The smallest box around a hull that has a face in the plane of a facet.
//!
//! For each direction of a facet's normal the hull is projected along it; the smallest rectangle around a convex polygon
//! has a side along one of the polygon's (Freeman and Shapira 1975), found by turning four supports around it (Toussaint's
//! rotating calipers, 1983). Of a round hull only the directions are searched whose box can, by a bound, be the smallest. The
//! smallest box of all may, in rare shapes, touch two edges and no facet (O'Rourke 1985); it is not
//! searched.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::chords::Chords;
use super::quickhull::Facet;
use super::silhouette::Solid;
use crate::math::linalg::{Vec3, cross, norm, scale};

/// Fewer directions are all searched: bounds for them would cost as much.
const MANY: usize = 128;
/// Directions that are searched before the next bound is looked at: a fixed number, so that the same are searched on any
/// number of threads.
const TOGETHER: usize = 16;
/// Far above the rounding of a bound.
const ROUNDING: f64 = 1e-9;

/// Sides from long to short.
pub(super) fn smallest_box(corners: &[Vec3], facets: &[Facet], spacing_mm: Vec3) -> Vec3 {
    let directions = directions(facets, spacing_mm);
    let solid = Solid::new(corners, facets, spacing_mm);
    let boxes = if directions.len() < MANY {
        (0..directions.len()).into_par_iter().map(|i| (i, box_along(&solid, directions[i]))).collect()
    } else {
        boxes_in_question(&solid, &directions)
    };
    let smallest = boxes.into_iter().min_by(|(i, a), (j, b)| volume(a).total_cmp(&volume(b)).then(i.cmp(j)));
    let mut sides = smallest.map_or([0.0; 3], |(_, sides)| sides);
    sides.sort_unstable_by(|a, b| b.total_cmp(a));
    sides
}

fn volume(sides: &Vec3) -> f64 {
    sides.iter().product()
}

/// The boxes along those directions that may have the smallest, by number of the direction.
fn boxes_in_question(solid: &Solid, directions: &[Vec3]) -> Vec<(usize, Vec3)> {
    let chords = Chords::new(solid);
    let bound = |(i, along): (usize, &Vec3)| (height(solid, *along) * chords.rectangle(across(*along)), i);
    let mut bounds: Vec<(f64, usize)> = directions.par_iter().enumerate().map(bound).collect();
    bounds.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut boxes: Vec<(usize, Vec3)> = Vec::new();
    let mut smallest = f64::INFINITY;
    for together in bounds.chunks(TOGETHER) {
        if together.first().is_some_and(|(bound, _)| *bound * (1.0 - ROUNDING) > smallest) {
            break;
        }
        let searched = together.par_iter().map(|(_, i)| (*i, box_along(solid, directions[*i])));
        boxes.extend(searched.collect::<Vec<_>>());
        smallest = boxes.iter().map(|(_, sides)| volume(sides)).fold(f64::INFINITY, f64::min);
    }
    boxes
}

/// How high the hull is along a unit vector.
fn height(solid: &Solid, along: Vec3) -> f64 {
    solid.reach(along) + solid.reach(scale(-1.0, along))
}

/// Two unit vectors across another: from the grid axis that is most across.
fn across(along: Vec3) -> [Vec3; 2] {
    let axis = (0..3).fold(0, |least, axis| if along[axis].abs() < along[least].abs() { axis } else { least });
    let mut unit = [0.0; 3];
    unit[axis] = 1.0;
    let u = cross(along, unit);
    let u = scale(1.0 / norm(u), u);
    [u, cross(along, u)]
}

/// The smallest box with a face across the unit vector `along`.
fn box_along(solid: &Solid, along: Vec3) -> Vec3 {
    let outline = solid.outline(along, across(along));
    let [a, b] = smallest_rectangle(&outline);
    [height(solid, along), a, b]
}

/// Unit vectors across the facets in mm, each once.
fn directions(facets: &[Facet], spacing_mm: Vec3) -> Vec<Vec3> {
    let directions: BTreeSet<[i64; 3]> = facets.iter().map(|facet| direction(facet.normal)).collect();
    let along = |direction: &[i64; 3]| {
        let along = [0, 1, 2].map(|axis| direction[axis] as f64 / spacing_mm[axis]);
        scale(1.0 / norm(along), along)
    };
    directions.iter().map(along).collect()
}

/// A normal without its length and its sign: parallel facets share one.
fn direction(normal: [i64; 3]) -> [i64; 3] {
    let divisor = normal.iter().fold(0, |a, b| common_divisor(a, b.abs())).max(1);
    let sign = if normal < [0; 3] { -1 } else { 1 };
    normal.map(|v| sign * v / divisor)
}

fn common_divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Sides of the smallest rectangle around a convex polygon given counter-clockwise.
fn smallest_rectangle(polygon: &[[f64; 2]]) -> [f64; 2] {
    let n = polygon.len();
    // Twice around, so that no corner's number has to be divided by theirs.
    let ring: Vec<[f64; 2]> = [polygon, polygon, polygon.get(..1).unwrap_or_default()].concat();
    let reach = |d: [f64; 2], k: usize| d[0] * ring[k][0] + d[1] * ring[k][1];
    let mut best = Rectangle { sides: [0.0; 2], unit: 1.0, area: f64::INFINITY };
    // Supports: the farthest corner along the side, across it, and back along it.
    let mut support = [1, 1, 1];
    for k in 0..n {
        let (p, q) = (ring[k], ring[k + 1]);
        // As long as the polygon's side: all lengths along it are in this unit.
        let d = [q[0] - p[0], q[1] - p[1]];
        let square = d[0] * d[0] + d[1] * d[1];
        if square <= 0.0 {
            continue;
        }
        let across = [-d[1], d[0]];
        let mut least = k + 1;
        let mut far = [0.0; 3];
        for (i, direction) in [d, across, [-d[0], -d[1]]].into_iter().enumerate() {
            let mut at = support[i].max(least);
            let mut farthest = reach(direction, at);
            // No support goes around more than once, whatever rounding says about equal corners.
            while at < k + n {
                let next = reach(direction, at + 1);
                if next <= farthest {
                    break;
                }
                (at, farthest) = (at + 1, next);
            }
            (support[i], far[i], least) = (at, farthest, at);
        }
        let sides = [far[0] + far[2], far[1] - reach(across, k)];
        let area = sides[0] * sides[1] / square;
        if area < best.area {
            best = Rectangle { sides, unit: square, area };
        }
    }
    best.sides.map(|side| side / best.unit.sqrt())
}

/// A rectangle whose sides are in units of the root of `unit`.
struct Rectangle {
    sides: [f64; 2],
    unit: f64,
    area: f64,
}

#[cfg(test)]
mod tests {
    use super::super::Hull;
    use super::super::polygon::outline_mm;
    use super::*;
    use crate::image::packed::PackedMask;
    use approx::assert_relative_eq;
    use ndarray::Array3;

    #[test]
    fn a_bound_is_never_above_its_rectangle_and_leaves_out_no_smallest_box() {
        for (axes, spacing) in [([15.0, 15.0, 15.5], [1.0; 3]), ([17.0, 11.0, 9.0], [0.9, 1.3, 1.7])] {
            let mask = Array3::from_shape_fn((39, 40, 41), |(z, y, x)| {
                let [x, y, z] = [x as f64 - 20.3, y as f64 - 19.6, z as f64 - 19.1];
                let turned = [0.8 * x + 0.6 * y, 0.8 * y - 0.6 * x, z + 0.1 * x];
                turned.iter().zip(axes).map(|(at, axis)| (at / axis).powi(2)).sum::<f64>() <= 1.0
            });
            let hull = Hull::around(&PackedMask::new(&mask), spacing).unwrap();
            let corners = hull.corners_mm();
            let solid = Solid::new(&corners, &hull.facets, spacing);
            let directions = directions(&hull.facets, spacing);
            assert!(directions.len() >= MANY);
            let chords = Chords::new(&solid);
            let boxes: Vec<Vec3> = directions.iter().map(|along| box_along(&solid, *along)).collect();
            for (along, [_, a, b]) in directions.iter().zip(&boxes) {
                let bound = chords.rectangle(across(*along));
                assert!(bound <= a * b * (1.0 + ROUNDING), "{bound} > {}", a * b);
                assert!(bound > 0.9 * a * b, "{bound} << {}", a * b);
            }
            let smallest = |volumes: &mut dyn Iterator<Item = f64>| volumes.fold(f64::INFINITY, f64::min).to_bits();
            let all = smallest(&mut boxes.iter().map(volume));
            let searched = boxes_in_question(&solid, &directions);
            assert!(searched.len() < boxes.len());
            assert_eq!(smallest(&mut searched.iter().map(|(_, sides)| volume(sides))), all);
        }
    }

    #[test]
    fn a_turned_square_is_its_own_rectangle() {
        let corner = |angle: f64| [3.0 + 2.0 * angle.cos(), 1.0 + 2.0 * angle.sin()];
        let polygon: Vec<[f64; 2]> = (0..4).map(|k| corner(0.3 + f64::from(k) * std::f64::consts::FRAC_PI_2)).collect();
        let [a, b] = smallest_rectangle(&polygon);
        assert_relative_eq!(a, 8f64.sqrt(), epsilon = 1e-12);
        assert_relative_eq!(b, 8f64.sqrt(), epsilon = 1e-12);
    }

    #[test]
    fn the_calipers_find_what_trying_every_side_finds() {
        for n in [3, 5, 8, 31] {
            let polygon: Vec<[f64; 2]> = (0..n)
                .map(|k| {
                    let angle =
                        std::f64::consts::TAU * (f64::from(k) + 0.4 * f64::from(k * 7 % 5) / 5.0) / f64::from(n);
                    [5.0 * angle.cos() + angle.sin(), 2.0 * angle.sin()]
                })
                .collect();
            let polygon = outline_mm(polygon);
            let area = |k: usize| {
                let (p, q) = (polygon[k], polygon[(k + 1) % polygon.len()]);
                let length = (q[0] - p[0]).hypot(q[1] - p[1]);
                let d = [(q[0] - p[0]) / length, (q[1] - p[1]) / length];
                let width = |d: [f64; 2]| {
                    let at = polygon.iter().map(|p| d[0] * p[0] + d[1] * p[1]);
                    at.clone().fold(f64::MIN, f64::max) - at.fold(f64::MAX, f64::min)
                };
                width(d) * width([-d[1], d[0]])
            };
            let expected = (0..polygon.len()).map(area).fold(f64::MAX, f64::min);
            assert_relative_eq!(smallest_rectangle(&polygon).iter().product::<f64>(), expected, epsilon = 1e-9);
        }
    }
}

//! The smallest box around a hull that has a face in the plane of a facet.
//!
//! For each direction of a facet's normal the hull is projected along it; the smallest rectangle around a convex polygon
//! has a side along one of the polygon's (Freeman and Shapira 1975), found by turning four supports around it (Toussaint's
//! rotating calipers, 1983). The smallest box of all may, in rare shapes, touch two edges and no facet (O'Rourke 1985); it is not
//! searched.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::quickhull::Facet;
use super::silhouette::Solid;
use crate::math::linalg::{Vec3, cross, norm, scale};

/// Sides from long to short.
pub(super) fn smallest_box(corners: &[Vec3], facets: &[Facet], spacing_mm: Vec3) -> Vec3 {
    let directions: BTreeSet<[i64; 3]> = facets.iter().map(|facet| direction(facet.normal)).collect();
    let directions: Vec<[i64; 3]> = directions.into_iter().collect();
    let solid = Solid::new(corners, facets, spacing_mm);
    let boxes = directions.par_iter().map(|direction| {
        let along = [0, 1, 2].map(|axis| direction[axis] as f64 / spacing_mm[axis]);
        box_along(&solid, scale(1.0 / norm(along), along))
    });
    let boxes: Vec<Vec3> = boxes.collect();
    let volume = |sides: &Vec3| sides.iter().product::<f64>();
    let mut sides = boxes.into_iter().min_by(|a, b| volume(a).total_cmp(&volume(b))).unwrap_or([0.0; 3]);
    sides.sort_unstable_by(|a, b| b.total_cmp(a));
    sides
}

/// The smallest box with a face across the unit vector `along`.
fn box_along(solid: &Solid, along: Vec3) -> Vec3 {
    let height = solid.reach(along) + solid.reach(scale(-1.0, along));
    // Two unit vectors across: from the grid axis that is most across.
    let axis = (0..3).fold(0, |least, axis| if along[axis].abs() < along[least].abs() { axis } else { least });
    let mut unit = [0.0; 3];
    unit[axis] = 1.0;
    let u = cross(along, unit);
    let u = scale(1.0 / norm(u), u);
    let v = cross(along, u);
    let outline = solid.outline(along, [u, v]);
    let [a, b] = smallest_rectangle(&outline);
    [height, a, b]
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
    let at = |k: usize| polygon[k % n];
    let along = |d: [f64; 2], k: usize| d[0] * at(k)[0] + d[1] * at(k)[1];
    let mut best = [f64::INFINITY; 2];
    // Supports: the farthest corner along the side, across it, and back along it.
    let mut support = [1, 1, 1];
    for k in 0..n {
        let (p, q) = (at(k), at(k + 1));
        let length = (q[0] - p[0]).hypot(q[1] - p[1]);
        if length <= 0.0 {
            continue;
        }
        let d = [(q[0] - p[0]) / length, (q[1] - p[1]) / length];
        let across = [-d[1], d[0]];
        let directions = [d, across, [-d[0], -d[1]]];
        let mut least = k + 1;
        for (support, direction) in support.iter_mut().zip(directions) {
            *support = (*support).max(least);
            // No support goes around more than once, whatever rounding says about equal corners.
            while *support < k + n && along(direction, *support + 1) > along(direction, *support) {
                *support += 1;
            }
            least = *support;
        }
        let sides = [along(d, support[0]) - along(d, support[2]), along(across, support[1]) - along(across, k)];
        if sides[0] * sides[1] < best[0] * best[1] {
            best = sides;
        }
    }
    if best[0].is_finite() { best } else { [0.0; 2] }
}

#[cfg(test)]
mod tests {
    use super::super::polygon::outline_mm;
    use super::*;
    use approx::assert_relative_eq;

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

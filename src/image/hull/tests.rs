#![allow(clippy::cast_possible_truncation, reason = "indices of a small grid")]

use approx::assert_relative_eq;
use ndarray::Array3;

use super::*;
use crate::math::linalg::{IDENTITY, mul_vec, rotation};
use crate::math::random::Stream;

fn hull(mask: &Array3<bool>, spacing: Vec3) -> Hull {
    Hull::around(&PackedMask::new(mask), spacing).unwrap()
}

fn blob(seed: u64) -> Array3<bool> {
    let mut stream = Stream::new(seed, 0, 0);
    let axes = [0, 1, 2].map(|_| 4.0 + 3.0 * stream.uniform());
    let turn = rotation([stream.normal(), stream.normal(), stream.normal()]);
    Array3::from_shape_fn((17, 18, 70), |(z, y, x)| {
        let p = mul_vec(&turn, [x as f64 - 33.0, y as f64 - 8.6, z as f64 - 8.3]);
        (0..3).map(|k| (p[k] / axes[k]).powi(2)).sum::<f64>() < 1.0 || stream.uniform() < 0.001
    })
}

/// Every mesh vertex of a mask, the slow way.
fn vertices(mask: &Array3<bool>) -> Vec<Point> {
    let (nz, ny, nx) = mask.dim();
    let at = |p: Point| {
        let inside = |v: i64, n: usize| v >= 0 && v < n as i64;
        inside(p[0], nx) && inside(p[1], ny) && inside(p[2], nz) && mask[[p[2] as usize, p[1] as usize, p[0] as usize]]
    };
    let mut found = Vec::new();
    for ((z, y, x), _) in mask.indexed_iter().filter(|(_, inside)| **inside) {
        for axis in 0..3 {
            for step in [-1, 1] {
                let mut next = [x as i64, y as i64, z as i64];
                next[axis] += step;
                if !at(next) {
                    let mut vertex = [2 * x as i64, 2 * y as i64, 2 * z as i64];
                    vertex[axis] += step;
                    found.push(vertex);
                }
            }
        }
    }
    found
}

#[test]
fn a_voxel_is_an_octahedron_and_a_box_of_voxels_a_bevelled_box() {
    let one = hull(&Array3::from_elem((1, 1, 1), true), [2.0, 2.0, 2.0]);
    assert_eq!(one.corners.len(), 6);
    assert_relative_eq!(one.volume_mm3(), 8.0 / 6.0, epsilon = 1e-12);
    assert_relative_eq!(one.area_mm2(), 4.0 * 3f64.sqrt(), epsilon = 1e-12);
    assert_relative_eq!(one.diameter_mm(), 2.0, epsilon = 1e-12);
    let full = Array3::from_elem((4, 6, 9), true);
    let found = hull(&full, [1.0, 1.0, 3.0]);
    let mesh = crate::image::mesh::mesh_measures(&PackedMask::new(&full), [1.0, 1.0, 3.0]);
    assert_relative_eq!(found.volume_mm3(), mesh.volume_mm3, epsilon = 1e-9);
    assert_relative_eq!(found.area_mm2(), mesh.area_mm2, epsilon = 1e-9);
    let [a, b, c] = found.oriented_box_mm();
    assert_relative_eq!(a * b * c, 9.0 * 6.0 * 12.0, epsilon = 1e-9);
}

#[test]
fn no_mesh_vertex_is_outside_and_every_facet_has_its_neighbours() {
    for seed in 0..8 {
        let mask = blob(seed);
        let Hull { corners, facets, .. } = hull(&mask, [1.0; 3]);
        let all = vertices(&mask);
        for (index, facet) in facets.iter().enumerate() {
            let level = facet.volume_from_origin(&corners);
            let height = |p: &Point| (0..3).map(|k| p[k] * facet.normal[k]).sum::<i64>() - level;
            assert!(all.iter().all(|vertex| height(vertex) <= 0));
            for side in 0..3 {
                let other = &facets[facet.neighbours[side] as usize];
                let back = other.neighbours.iter().position(|neighbour| *neighbour as usize == index);
                assert_eq!(other.corners[back.unwrap()], facet.corners[(side + 1) % 3]);
            }
        }
        assert!(corners.iter().all(|corner| all.contains(corner)));
        // Euler: a triangulated sphere.
        assert_eq!(facets.len(), 2 * corners.len() - 4);
    }
}

#[test]
fn the_diameter_is_the_greatest_distance_of_all_mesh_vertices() {
    let spacing = [0.8, 1.1, 2.0];
    for seed in 0..4 {
        let mask = blob(seed);
        let all: Vec<Vec3> =
            vertices(&mask).iter().map(|p| [0, 1, 2].map(|k| 0.5 * p[k] as f64 * spacing[k])).collect();
        let mut greatest: f64 = 0.0;
        for (k, a) in all.iter().enumerate() {
            greatest = all[k..].iter().fold(greatest, |greatest, b| greatest.max(norm(sub(*a, *b))));
        }
        assert_relative_eq!(hull(&mask, spacing).diameter_mm(), greatest, epsilon = 1e-12);
    }
}

#[test]
fn a_turned_slab_fits_its_oriented_box_better_than_the_grid() {
    let turn = rotation([0.3, -0.2, 0.5]);
    let mask = Array3::from_shape_fn((40, 40, 40), |(z, y, x)| {
        let p = mul_vec(&turn, [x as f64 - 19.5, y as f64 - 19.5, z as f64 - 19.5]);
        p[0].abs() < 14.0 && p[1].abs() < 9.0 && p[2].abs() < 5.0
    });
    let found = hull(&mask, [1.0; 3]);
    let sides = found.oriented_box_mm();
    for (side, expected) in sides.iter().zip([28.0, 18.0, 10.0]) {
        assert!((side - expected).abs() < 1.5, "{sides:?}");
    }
    assert!(found.volume_mm3() <= sides.iter().product::<f64>());
}

#[test]
fn the_oriented_box_is_the_smallest_of_those_found_by_projecting_every_corner() {
    let spacing = [0.8, 1.1, 2.0];
    let ball = Array3::from_shape_fn((21, 21, 21), |(z, y, x)| {
        [x, y, z].map(|i| (i as f64 - 10.0).powi(2)).iter().sum::<f64>() <= 97.0
    });
    let masks = (0..6).map(blob).chain([ball, Array3::from_elem((3, 4, 5), true)]);
    for mask in masks {
        let found = hull(&mask, spacing);
        let corners = found.corners_mm();
        let mut best = f64::INFINITY;
        for facet in &found.facets {
            let along = [0, 1, 2].map(|axis| facet.normal[axis] as f64 / spacing[axis]);
            let along = along.map(|v| v / norm(along));
            let axis = (0..3).min_by(|a, b| along[*a].abs().total_cmp(&along[*b].abs())).unwrap();
            let u = cross(along, [0, 1, 2].map(|k| f64::from(u8::from(k == axis))));
            let u = u.map(|v| v / norm(u));
            let v = cross(along, u);
            let reach = |d: Vec3| {
                corners.iter().map(|c| (0..3).map(|k| c[k] * d[k]).sum::<f64>()).fold(f64::NEG_INFINITY, f64::max)
            };
            let width = |d: Vec3| reach(d) + reach(d.map(|v| -v));
            // A side of the rectangle lies along a side of the outline: along an edge of the hull.
            for side in 0..3 {
                let [a, b] = [side, (side + 1) % 3].map(|k| corners[facet.corners[k] as usize]);
                let edge = sub(b, a);
                let (x, y) = ((0..3).map(|k| edge[k] * u[k]).sum::<f64>(), (0..3).map(|k| edge[k] * v[k]).sum::<f64>());
                let d = [0, 1, 2].map(|k| (x * u[k] + y * v[k]) / x.hypot(y));
                let e = cross(along, d);
                best = best.min(width(along) * width(d) * width(e));
            }
        }
        let volume = found.oriented_box_mm().iter().product::<f64>();
        // Edges elsewhere on the outline may give a smaller rectangle, never a larger one.
        assert!(volume <= best * (1.0 + 1e-12), "{volume} > {best}");
        assert!(volume >= found.volume_mm3());
    }
}

#[test]
fn the_smallest_ellipsoid_of_points_on_an_ellipsoid_is_that_ellipsoid() {
    let mut stream = Stream::new(5, 0, 0);
    let turn = rotation([0.4, 1.0, -0.3]);
    let points: Vec<Vec3> = (0..4000)
        .map(|_| {
            let p = [stream.normal(), stream.normal(), stream.normal()];
            let p = mul_vec(&turn, [0, 1, 2].map(|k| [9.0, 4.0, 1.5][k] * p[k] / norm(p)));
            [p[0] + 100.0, p[1] - 7.0, p[2] + 3.0]
        })
        .collect();
    let found = enclosing_ellipsoid(&points).unwrap();
    for (found, expected) in found.iter().zip([9.0, 4.0, 1.5]) {
        assert_relative_eq!(*found, expected, max_relative = 1e-3);
    }
}

#[test]
fn the_smallest_ellipsoid_of_a_box_passes_through_its_corners() {
    let corners: Vec<Vec3> = (0..8).map(|k| [0, 1, 2].map(|a| [3.0, 2.0, 1.0][a] * f64::from(k >> a & 1))).collect();
    let found = enclosing_ellipsoid(&corners).unwrap();
    for (found, side) in found.iter().zip([3.0, 2.0, 1.0]) {
        assert_relative_eq!(*found, side * 3f64.sqrt() / 2.0, max_relative = 1e-7);
    }
    assert!(enclosing_ellipsoid(&[[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).is_none());
    assert!(enclosing_ellipsoid(&IDENTITY[..1]).is_none());
}

//! The transverse, coronal and sagittal plane through a point of the patient, as grids of one layer.
//!
//! They are seen as radiology sees them: the transverse plane from the feet, the others with the head up; the patient's left
//! is on the right of the picture, the sagittal plane is seen from the left.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // pixels

use crate::image::Geometry;
use crate::math::linalg::{self, Vec3};

/// The names of the planes, in their order.
pub(in crate::report) const NAMES: [&str; 3] = ["transverse", "coronal", "sagittal"];

/// The patient directions at the left, right, upper and lower edge of each plane (PS3.3 C.7.6.1.1.1).
pub(in crate::report) const EDGES: [[char; 4]; 3] = [['R', 'L', 'A', 'P'], ['R', 'L', 'H', 'F'], ['A', 'P', 'H', 'F']];

/// The planes through a point within a box of patient space, in pixels of `step_mm`.
pub(in crate::report) fn through(point: Vec3, low: Vec3, high: Vec3, step_mm: f64) -> [Geometry; 3] {
    // Whole pixels inside the box; the small number keeps rounding from taking one away.
    let pixels = |axis: usize| (((high[axis] - low[axis]) / step_mm + 1e-6).floor() as usize).max(1);
    let [x, y, z] = linalg::IDENTITY;
    let [half_x, half_y] = [low[0] + 0.5 * step_mm, low[1] + 0.5 * step_mm];
    let top = high[2] - 0.5 * step_mm;
    let down = linalg::scale(-1.0, z);
    let plane = |size: [usize; 2], origin_mm: Vec3, directions| Geometry {
        size: [size[0], size[1], 1],
        spacing_mm: [step_mm; 3],
        origin_mm,
        directions,
    };
    [
        plane([pixels(0), pixels(1)], [half_x, half_y, point[2]], [x, y, z]),
        plane([pixels(0), pixels(2)], [half_x, point[1], top], [x, down, y]),
        plane([pixels(1), pixels(2)], [point[0], half_y, top], [y, down, linalg::scale(-1.0, x)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planes_show_the_head_up_and_the_left_side_on_the_right() {
        let planes = through([4.0, 9.0, 14.0], [-0.5; 3], [9.5, 19.5, 29.5], 1.0);
        let corner = |plane: &Geometry| plane.voxel_to_world([0.0; 3]);
        assert!(corner(&planes[0])[0].abs() < 1e-9 && (corner(&planes[0])[2] - 14.0).abs() < 1e-9);
        assert!((corner(&planes[1])[2] - 29.0).abs() < 1e-9 && (corner(&planes[1])[1] - 9.0).abs() < 1e-9);
        assert!((corner(&planes[2])[2] - 29.0).abs() < 1e-9 && (corner(&planes[2])[0] - 4.0).abs() < 1e-9);
        assert!(planes.iter().all(|plane| plane.size[2] == 1));
        // The letters say where the pixels at the edges lie (LPS: left, posterior and head are positive).
        for (plane, [left, right, top, bottom]) in planes.iter().zip(EDGES) {
            let ends = [[0.0; 3], [plane.size[0] as f64, 0.0, 0.0], [0.0, plane.size[1] as f64, 0.0]];
            let [first, across, down] = ends.map(|index| plane.voxel_to_world(index));
            let towards = |from: Vec3, to: Vec3| {
                let step = linalg::sub(to, from);
                let axis = (0..3).max_by(|a, b| step[*a].abs().total_cmp(&step[*b].abs())).unwrap();
                [['R', 'L'], ['A', 'P'], ['F', 'H']][axis][usize::from(step[axis] > 0.0)]
            };
            assert_eq!([towards(across, first), towards(first, across)], [left, right]);
            assert_eq!([towards(down, first), towards(first, down)], [top, bottom]);
        }
    }
}

//! Two images laid on each other, before and after a registration, as pictures for a person to judge.
//!
//! The upper row shows both where their headers place them, the lower row after the map; the columns are the transverse,
//! coronal and sagittal planes through the middle of what both show. On the checkerboard every other field is of the moving
//! image, so that edges go on across the fields where the map is right. On the overlay the fixed image is grey and the
//! moving one red where it is bright. What one of them does not show stays dark.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // pixels

use super::picture::planes::through;
use super::picture::window::{Window, byte};
use super::png::Rgb;
use crate::image::{Geometry, Interpolation, Transform, Volume, resample};
use crate::math::linalg::{self, Vec3};

/// The files of a comparison (PNG).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Fields of both images in turn.
    pub checkerboard: Vec<u8>,
    /// One image in red on the other in grey.
    pub overlay: Vec<u8>,
}

/// Pixels along the longer side of a panel.
const PANEL_PIXELS: f64 = 320.0;
/// Pixels between panels.
const GAP_PIXELS: usize = 6;
/// Fields of the checkerboard along the longer side.
const FIELDS: f64 = 12.0;
/// Points along each axis at which the common field of view is looked for.
const LATTICE: usize = 25;

/// The pictures of a pair under a map from the fixed to the moving space.
///
/// # Errors
/// When a picture is too large for its format.
pub fn compare(fixed: &Volume<f32>, moving: &Volume<f32>, map: &Transform) -> std::io::Result<Comparison> {
    let windows = [Window::of(fixed), Window::of(moving)];
    let middle = middle_of_both(&fixed.geometry, &moving.geometry, map);
    let planes = planes(&fixed.geometry, middle);
    let rows: Vec<Vec<[Rgb; 2]>> = [&Transform::Identity, map]
        .into_iter()
        .map(|map| planes.iter().map(|plane| panel(fixed, moving, plane, map, &windows)).collect())
        .collect();
    let arranged = |kind: usize| {
        let size = |axis: fn(&Rgb) -> usize| rows[0].iter().map(|panel| axis(&panel[kind])).collect::<Vec<_>>();
        let (widths, heights) = (size(|p| p.width), size(|p| p.height));
        let height = heights.iter().copied().max().unwrap_or(0);
        let width = widths.iter().sum::<usize>() + GAP_PIXELS * (widths.len() - 1);
        let mut sheet = Rgb::filled(width, 2 * height + GAP_PIXELS, [255; 3]);
        for (row, panels) in rows.iter().enumerate() {
            let mut left = 0;
            for panel in panels {
                sheet.put(&panel[kind], left, row * (height + GAP_PIXELS));
                left += panel[kind].width + GAP_PIXELS;
            }
        }
        sheet.encode()
    };
    Ok(Comparison { checkerboard: arranged(0)?, overlay: arranged(1)? })
}

/// The mean of the points of the fixed field of view that the map takes into the moving one.
fn middle_of_both(fixed: &Geometry, moving: &Geometry, map: &Transform) -> Vec3 {
    let (mut sum, mut n) = ([0.0; 3], 0.0);
    for k in 0..LATTICE.pow(3) {
        let cell = [k % LATTICE, k / LATTICE % LATTICE, k / LATTICE / LATTICE];
        let index = [0, 1, 2].map(|axis| cell[axis] as f64 / (LATTICE as f64 - 1.0) * (fixed.size[axis] as f64 - 1.0));
        let point = fixed.voxel_to_world(index);
        let at = moving.world_to_voxel(map.apply(point));
        if (0..3).all(|axis| at[axis] >= 0.0 && at[axis] <= moving.size[axis] as f64 - 1.0) {
            sum = linalg::add(sum, point);
            n += 1.0;
        }
    }
    if n > 0.0 { linalg::scale(1.0 / n, sum) } else { fixed.centre_mm() }
}

/// The planes through a point over the box of the fixed image.
fn planes(fixed: &Geometry, point: Vec3) -> [Geometry; 3] {
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for corner in 0..8usize {
        let index = [0, 1, 2].map(|axis| if corner >> axis & 1 == 1 { fixed.size[axis] as f64 - 0.5 } else { -0.5 });
        let at = fixed.voxel_to_world(index);
        for axis in 0..3 {
            (low[axis], high[axis]) = (low[axis].min(at[axis]), high[axis].max(at[axis]));
        }
    }
    let longest = (0..3).map(|axis| high[axis] - low[axis]).fold(0.0, f64::max);
    through(point, low, high, (longest / PANEL_PIXELS).max(1e-3))
}

/// Checkerboard and overlay of one plane.
fn panel(
    fixed: &Volume<f32>,
    moving: &Volume<f32>,
    plane: &Geometry,
    map: &Transform,
    windows: &[Window; 2],
) -> [Rgb; 2] {
    let a = resample(fixed, plane, &Transform::Identity, Interpolation::Linear);
    let b = resample(moving, plane, map, Interpolation::Linear);
    let (width, height) = (plane.size[0], plane.size[1]);
    let field = (PANEL_PIXELS / FIELDS).ceil() as usize;
    let (mut checkerboard, mut overlay) = (Vec::new(), Vec::new());
    for (k, (a, b)) in a.voxels.iter().zip(&b.voxels).enumerate() {
        let (a, b) = (windows[0].share(*a), windows[1].share(*b));
        let of_moving = (k % width / field + k / width / field) % 2 == 1;
        let grey = byte(if of_moving { b } else { a });
        checkerboard.push(if of_moving { [grey, grey, byte(0.8 * b)] } else { [grey; 3] });
        overlay.push([byte(a * (1.0 - b) + b), byte(a * (1.0 - b)), byte(a * (1.0 - b))]);
    }
    [checkerboard, overlay].map(|pixels| Rgb { width, height, pixels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_map_makes_the_moving_fields_go_on_and_a_wrong_one_does_not() {
        let grid = |x: f64| Geometry::new([30, 20, 10], [2.0, 2.0, 4.0], [x, 0.0, 0.0], linalg::IDENTITY).unwrap();
        let mut fixed = Volume::filled(grid(0.0), 0.0f32);
        for ((_, _, x), value) in fixed.voxels.indexed_iter_mut() {
            *value = if x < 15 { 0.0 } else { 100.0 };
        }
        let moving = Volume { geometry: grid(20.0), ..fixed.clone() };
        let windows = [Window::of(&fixed), Window::of(&moving)];
        let plane = &planes(&fixed.geometry, fixed.geometry.centre_mm())[0];
        let [right, _] = panel(&fixed, &moving, plane, &Transform::translation([20.0, 0.0, 0.0]), &windows);
        let [wrong, _] = panel(&fixed, &moving, plane, &Transform::Identity, &windows);
        let bright_on_the_left = |picture: &Rgb| {
            let left = picture.pixels.iter().enumerate().filter(|(k, _)| k % picture.width < picture.width / 2 - 6);
            left.filter(|(_, pixel)| pixel[0] > 100).count()
        };
        assert_eq!(bright_on_the_left(&right), 0);
        let dark_on_the_right = |picture: &Rgb| {
            let right = picture.pixels.iter().enumerate().filter(|(k, _)| k % picture.width > picture.width / 2 + 6);
            right.filter(|(_, pixel)| pixel[0] < 100).count()
        };
        assert_eq!(dark_on_the_right(&right), 0);
        assert!(dark_on_the_right(&wrong) > 1000);
        let files = compare(&fixed, &moving, &Transform::Identity).unwrap();
        assert!(files.checkerboard.starts_with(b"\x89PNG") && files.overlay != files.checkerboard);
    }
}

//! The planes that a region was drawn on where they are not the slices of the image.

#![allow(clippy::cast_precision_loss)] // contour counts are small

use super::rtstruct::{Contour, Roi};
use crate::dicom::geometry::Orientation;
use crate::image::Geometry;
use crate::math::linalg::{self, Vec3};

/// A contour that reaches over more of the image's slices than this lies on none of them.
const WITHIN_ONE_SLICE: f64 = 1.0;

/// Points may lie this far from their contour's plane, and planes from their place in the stack, in steps of the stack.
const OFF_PLANE_MAX: f64 = 0.05;

/// Planes nearer than this are one.
const SAME_PLANE_MM: f64 = 0.01;

/// Planes of one stack.
const PLANES_MAX: f64 = 4096.0;

/// A grid whose slices are the planes of a region's contours; `None` where these lie on the slices of the image, are not
/// planar, parallel and evenly spaced, or are but one (which has no thickness).
pub(super) fn planes(roi: &Roi, image: &Geometry) -> Option<Geometry> {
    let closed: Vec<&Contour> = roi.contours.iter().filter(|contour| contour.has_inside()).collect();
    let reach = |contour: &Contour| {
        let slices = contour.points_mm.iter().map(|point| image.world_to_voxel(*point)[2]);
        let (low, high) = slices.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), z| (low.min(z), high.max(z)));
        high - low
    };
    if !closed.iter().any(|contour| reach(contour) > WITHIN_ONE_SLICE) {
        return None;
    }
    let normal =
        closed.iter().map(|contour| area(contour)).max_by(|a, b| linalg::norm(*a).total_cmp(&linalg::norm(*b)))?;
    let length = linalg::norm(normal);
    if !(length > 0.0 && length.is_finite()) {
        return None;
    }
    let normal = linalg::scale(1.0 / length, normal);
    let mut heights: Vec<f64> = closed.iter().map(|contour| height(contour, normal)).collect();
    heights.sort_by(f64::total_cmp);
    heights.dedup_by(|b, a| *b - *a < SAME_PLANE_MM);
    let (first, last) = (*heights.first()?, *heights.last()?);
    let gap = heights.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    let n_steps = ((last - first) / gap).round();
    if !(1.0..PLANES_MAX).contains(&n_steps) {
        return None;
    }
    let spacing = (last - first) / n_steps;
    let is_on_a_plane = |point: &Vec3| {
        let place = (linalg::dot(*point, normal) - first) / spacing;
        (place - place.round()).abs() <= OFF_PLANE_MAX
    };
    if !closed.iter().flat_map(|contour| &contour.points_mm).all(is_on_a_plane) {
        return None;
    }
    let (row, column) = axes(normal)?;
    let origin = linalg::scale(first, normal);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded above
    let n_planes = n_steps as usize + 1;
    // Along the rows and columns the grid is a ruler in millimetres: contours do not know pixels.
    Geometry::new([1, 1, n_planes], [1.0, 1.0, spacing], origin, [row, column, normal]).ok()
}

/// The area of a closed polygon as a vector along its normal (Newell).
fn area(contour: &Contour) -> Vec3 {
    let points = &contour.points_mm;
    let Some(origin) = points.first() else { return [0.0; 3] };
    let pairs = points.iter().zip(points.iter().cycle().skip(1));
    pairs.fold([0.0; 3], |sum, (a, b)| {
        let cross = linalg::cross(linalg::sub(*a, *origin), linalg::sub(*b, *origin));
        linalg::add(sum, linalg::scale(0.5, cross))
    })
}

fn height(contour: &Contour, normal: Vec3) -> f64 {
    contour.points_mm.iter().map(|point| linalg::dot(*point, normal)).sum::<f64>() / contour.points_mm.len() as f64
}

/// Two axes at right angles to a normal and to each other.
fn axes(normal: Vec3) -> Option<(Vec3, Vec3)> {
    let least = (0..3).min_by(|a, b| normal[*a].abs().total_cmp(&normal[*b].abs()))?;
    let mut start = [0.0; 3];
    start[least] = 1.0;
    let row = linalg::cross(start, normal);
    let row = linalg::scale(1.0 / linalg::norm(row), row);
    let column = linalg::cross(normal, row);
    let turned = Orientation::new([row[0], row[1], row[2], column[0], column[1], column[2]]).ok()?;
    Some((turned.row, turned.column))
}

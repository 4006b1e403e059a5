//! The top of a cube of scores, with parts of a cell, and how sharp it is.

#![allow(clippy::cast_precision_loss)] // cubes of a few cells

use crate::math::linalg::{self, Mat3, Vec3};

/// The highest place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Peak {
    /// Distance from the middle of the cube, in cells.
    pub shift: Vec3,
    /// Minus the second derivatives there, made positive definite: how much the score falls over a step.
    pub curvature: Mat3,
}

/// How much flatter than along its sharpest direction a peak may be taken for.
const FLATTEST: f64 = 1e-3;
/// How far the vertex of the paraboloid may lie from the highest cell, in cells.
const FROM_CELL_MAX: f64 = 0.7;

/// The top of `width`^3 scores, x fastest; `None` where the highest score lies on the surface of the cube or beside a score
/// that is not a number: what lies beyond might be higher.
pub(super) fn find(scores: &[f32], width: usize) -> Option<Peak> {
    let mut best: Option<(usize, f32)> = None;
    for (k, score) in scores.iter().enumerate() {
        if !score.is_nan() && best.is_none_or(|(_, highest)| *score > highest) {
            best = Some((k, *score));
        }
    }
    let (k, highest) = best?;
    let cell = [k % width, k / width % width, k / width / width];
    if cell.iter().any(|c| *c == 0 || c + 1 == width) {
        return None;
    }
    let stride = [1, width, width * width];
    let score = |steps: [(usize, bool); 2]| -> f64 {
        let at = steps.iter().fold(k, |at, (axis, up)| if *up { at + stride[*axis] } else { at - stride[*axis] });
        f64::from(scores[at])
    };
    let along = |axis: usize, up: bool| f64::from(scores[if up { k + stride[axis] } else { k - stride[axis] }]);
    let slope = [0, 1, 2].map(|a| 0.5 * (along(a, true) - along(a, false)));
    let twice = |a: usize| 2.0 * f64::from(highest) - along(a, true) - along(a, false);
    let mixed = |a: usize, b: usize| {
        let corner = |up_a: bool, up_b: bool| score([(a, up_a), (b, up_b)]);
        -0.25 * (corner(true, true) - corner(true, false) - corner(false, true) + corner(false, false))
    };
    let curvature = [0, 1, 2].map(|a| [0, 1, 2].map(|b| if a == b { twice(a) } else { mixed(a.max(b), a.min(b)) }));
    if !slope.iter().chain(curvature.iter().flatten()).all(|value| value.is_finite()) {
        return None;
    }
    let (values, axes) = linalg::symmetric_eigen(&curvature);
    let sharpest = values.iter().copied().fold(0.0, f64::max);
    if sharpest <= 1e-6 {
        return None;
    }
    let values = values.map(|value| value.max(FLATTEST * sharpest));
    let to_vertex = linalg::mul_vec(&linalg::from_axes(values.map(|value| 1.0 / value), &axes), slope);
    let middle = (width as f64 - 1.0) / 2.0;
    let shift = [0, 1, 2].map(|axis| cell[axis] as f64 - middle + to_vertex[axis].clamp(-FROM_CELL_MAX, FROM_CELL_MAX));
    Some(Peak { shift, curvature: linalg::from_axes(values, &axes) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn cube(score: impl Fn(Vec3) -> f64) -> Vec<f32> {
        #[allow(clippy::cast_possible_truncation)]
        (0..343).map(|k| score([k % 7, k / 7 % 7, k / 49].map(|c| f64::from(c) - 3.0)) as f32).collect()
    }

    #[test]
    fn the_top_of_a_paraboloid_is_found_between_the_cells() {
        let peak =
            find(&cube(|p| 1.0 - 0.02 * (p[0] - 1.3).powi(2) - 0.05 * (p[1] + 0.4).powi(2) - 0.01 * p[2] * p[2]), 7);
        let peak = peak.unwrap();
        for (found, expected) in peak.shift.iter().zip([1.3, -0.4, 0.0]) {
            assert_relative_eq!(*found, expected, epsilon = 1e-4);
        }
        for (axis, expected) in [0.04, 0.1, 0.02].into_iter().enumerate() {
            assert_relative_eq!(peak.curvature[axis][axis], expected, epsilon = 1e-5);
        }
    }

    #[test]
    fn a_ridge_is_sharp_across_and_flat_along() {
        let ridge = find(&cube(|p| 1.0 - 0.05 * (p[0] - p[1]).powi(2) - 1e-5 * linalg::dot(p, p)), 7).unwrap();
        let across = [0.5f64.sqrt(), -0.5f64.sqrt(), 0.0];
        let along = [0.5f64.sqrt(), 0.5f64.sqrt(), 0.0];
        let curvature = |d: Vec3| linalg::dot(d, linalg::mul_vec(&ridge.curvature, d));
        assert!(curvature(across) > 100.0 * curvature(along) && curvature(along) > 0.0);
    }

    #[test]
    fn a_top_on_the_surface_a_flat_cube_and_missing_scores_are_no_peak() {
        assert_eq!(find(&cube(|p| p[0]), 7), None);
        assert_eq!(find(&cube(|_| 0.5), 7), None);
        let mut beside = cube(|p| -linalg::dot(p, p));
        beside[3 + 7 * 3 + 49 * 3 + 1] = f32::NAN;
        assert_eq!(find(&beside, 7), None);
        assert_eq!(find(&[f32::NAN; 343], 7), None);
    }
}

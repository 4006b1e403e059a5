//! Transforms of each intensity on its own, and the gradient, as PyRadiomics defines them; not part of the IBSI.
//!
//! Scales are chosen by the greatest magnitude m of the image, so that it is kept: square (x / sqrt(m))^2, square root
//! sqrt(m |x|), logarithm m ln(|x| + 1) / ln(m + 1), each with the sign of x but the first; exponential e^(x ln(m) / m). The gradient
//! is its magnitude in units per mm, by central differences.

use ndarray::{Array3, Zip};
use serde::{Deserialize, Serialize};

use super::boundary::Boundary;
use super::convolve::{Along, Taps, convolve};
use crate::math::linalg::Vec3;

/// A filter without settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {}

/// The greatest magnitude of the voxels that have one.
fn greatest(image: &Array3<f32>) -> f64 {
    image.iter().filter(|value| value.is_finite()).fold(0.0, |greatest, value| f64::from(value.abs()).max(greatest))
}

fn mapped(image: &Array3<f32>, of: impl Fn(f64) -> f64 + Sync) -> Array3<f32> {
    let mut response = image.clone();
    response.par_mapv_inplace(|value| of(f64::from(value)) as f32);
    response
}

pub(super) fn square(image: &Array3<f32>) -> Array3<f32> {
    let scale = greatest(image).max(f64::MIN_POSITIVE);
    mapped(image, |x| x * x / scale)
}

pub(super) fn square_root(image: &Array3<f32>) -> Array3<f32> {
    let scale = greatest(image);
    mapped(image, |x| (scale * x.abs()).sqrt().copysign(x))
}

pub(super) fn logarithm(image: &Array3<f32>) -> Array3<f32> {
    let scale = greatest(image);
    let factor = if scale > 0.0 { scale / scale.ln_1p() } else { 1.0 };
    mapped(image, |x| (factor * x.abs().ln_1p()).copysign(x))
}

pub(super) fn exponential(image: &Array3<f32>) -> Array3<f32> {
    let scale = greatest(image);
    // Of magnitudes up to one the logarithm is no scale.
    let factor = if scale > 1.0 { scale.ln() / scale } else { 1.0 };
    mapped(image, |x| (factor * x).exp())
}

pub(super) fn gradient(image: &Array3<f32>, spacing_mm: Vec3) -> Array3<f32> {
    let mut squares = Array3::zeros(image.dim());
    for (along, spacing) in Along::ALL.into_iter().zip(spacing_mm) {
        let difference = Taps::new(&[0.5 / spacing, 0.0, -0.5 / spacing], 1);
        let slope = convolve(&[(image, &difference)], along, Boundary::Nearest);
        Zip::from(&mut squares).and(&slope).par_for_each(|sum, slope| *sum += slope * slope);
    }
    squares.par_mapv_inplace(f32::sqrt);
    squares
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn the_greatest_magnitude_is_kept_and_signs_stay() {
        let image = Array3::from_shape_fn((1, 1, 5), |(_, _, x)| [-100.0, -1.0, 0.0, 4.0, 25.0][x]);
        let last = |image: Array3<f32>| [image[[0, 0, 0]], image[[0, 0, 3]]];
        let [low, high] = last(square(&image));
        assert_relative_eq!(low, 100.0);
        assert_relative_eq!(high, 0.16);
        let [low, high] = last(square_root(&image));
        assert_relative_eq!(low, -100.0);
        assert_relative_eq!(high, 20.0);
        assert_relative_eq!(logarithm(&image)[[0, 0, 0]], -100.0, epsilon = 1e-4);
        assert_relative_eq!(exponential(&image)[[0, 0, 4]], 100f32.powf(0.25), epsilon = 1e-4);
        let zero = Array3::zeros((1, 1, 2));
        assert!([square, square_root, logarithm, exponential].iter().all(|of| of(&zero).iter().all(|v| v.is_finite())));
    }

    #[test]
    fn the_gradient_of_a_ramp_is_its_slope_per_mm() {
        let image = Array3::from_shape_fn((5, 5, 5), |(z, y, x)| (3 * x + 8 * y + 2 * z) as f32);
        assert_relative_eq!(gradient(&image, [1.0, 2.0, 0.5])[[2, 2, 2]], 41f32.sqrt(), epsilon = 1e-5);
    }
}

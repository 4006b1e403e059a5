//! Laplacian of Gaussian (IBSI 2, L6PA).
//!
//! The sampled kernel, sigma being in voxels and cut at `truncate` sigma along each axis:
//! g(k) = -(sqrt(2 pi) sigma)^-D (D - |k|^2 / sigma^2) / sigma^2 exp(-|k|^2 / (2 sigma^2)). It is a sum of products of
//! one-dimensional kernels, one term for each axis, so no kernel in space is ever applied.

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::boundary::{Boundary, Dimensions};
use super::convolve::{Along, Taps, convolve};
use crate::math::linalg::Vec3;

/// The second derivative of the image at one scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaplacianOfGaussian {
    /// Scale (41LN).
    pub sigma_mm: f64,
    /// Where the kernel ends, in sigma (WGPM).
    #[serde(default = "four")]
    pub truncate: f64,
    /// Slices or volume.
    #[serde(default)]
    pub dimensions: Dimensions,
    /// Beyond the edges.
    #[serde(default)]
    pub boundary: Boundary,
}

pub(super) const fn four() -> f64 {
    4.0
}

impl LaplacianOfGaussian {
    pub(super) fn label(&self) -> String {
        let cut = super::unless(self.truncate, four(), "-cut");
        format!("log-{}d-{}mm{cut}{}", self.dimensions.count(), super::number(self.sigma_mm), self.boundary.label())
    }

    pub(super) fn reach(&self, spacing_mm: Vec3) -> [usize; 3] {
        self.dimensions.reach(spacing_mm.map(|d| radius(self.sigma_mm / d, self.truncate)))
    }

    pub(super) fn apply(&self, image: &Array3<f32>, spacing_mm: Vec3) -> Array3<f32> {
        let n = self.dimensions.count();
        let sigma: Vec<f64> = spacing_mm[..n].iter().map(|d| self.sigma_mm / d).collect();
        let size: f64 = sigma.iter().map(|sigma| (2.0 * std::f64::consts::PI).sqrt() * sigma).product();
        let kernels: Vec<[Taps; 2]> = sigma
            .iter()
            .enumerate()
            .map(|(axis, sigma)| {
                // The sign and the size of the whole once, on the last axis.
                let scale = if axis + 1 == n { -1.0 / size } else { 1.0 };
                pair(*sigma, self.truncate, scale)
            })
            .collect();
        let mut smooth = convolve(&[(image, &kernels[0][0])], Along::X, self.boundary);
        let mut curved = convolve(&[(image, &kernels[0][1])], Along::X, self.boundary);
        for (axis, [gauss, second]) in kernels.iter().enumerate().skip(1) {
            let along = Along::ALL[axis];
            curved = convolve(&[(&curved, gauss), (&smooth, second)], along, self.boundary);
            if axis + 1 < n {
                smooth = convolve(&[(&smooth, gauss)], along, self.boundary);
            }
        }
        curved
    }
}

fn radius(sigma: f64, truncate: f64) -> usize {
    (truncate * sigma + 0.5).floor().min(1e6) as usize
}

/// The Gaussian and (1 - k^2 / sigma^2) / sigma^2 times the Gaussian, both times `scale`.
fn pair(sigma: f64, truncate: f64, scale: f64) -> [Taps; 2] {
    let gauss: Vec<f64> =
        (0..=radius(sigma, truncate)).map(|k| scale * (-0.5 * (k as f64 / sigma).powi(2)).exp()).collect();
    let second = |(k, g): (usize, &f64)| (1.0 - (k as f64 / sigma).powi(2)) / (sigma * sigma) * g;
    let second: Vec<f64> = gauss.iter().enumerate().map(second).collect();
    [Taps::symmetric(&gauss), Taps::symmetric(&second)]
}

/// A Gaussian of sum one, cut at four sigma.
pub(super) fn gaussian(sigma: f64) -> Taps {
    let half: Vec<f64> = (0..=radius(sigma, four())).map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp()).collect();
    let total = 2.0 * half.iter().sum::<f64>() - half[0];
    Taps::symmetric(&half.iter().map(|weight| weight / total).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn the_response_to_a_paraboloid_is_its_laplacian_per_voxel() {
        let image = Array3::from_shape_fn((61, 61, 61), |(z, y, x)| {
            let [x, y, z] = [x, y, z].map(|v| v as f32 - 30.0);
            0.01 * (x * x + 2.0 * y * y + 3.0 * z * z)
        });
        let filter =
            |dimensions| LaplacianOfGaussian { sigma_mm: 6.0, truncate: 6.0, dimensions, boundary: Boundary::Zero };
        let volume = filter(Dimensions::Volume).apply(&image, [2.0; 3]);
        assert_relative_eq!(volume[[30, 30, 30]], 0.12, epsilon = 1e-4);
        let slices = filter(Dimensions::Slices).apply(&image, [2.0, 2.0, 9.0]);
        assert_relative_eq!(slices[[5, 30, 30]], 0.06, epsilon = 1e-4);
    }
}

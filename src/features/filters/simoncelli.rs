//! The isotropic wavelet of Simoncelli and Portilla (IBSI 2, PRT7): a band of spatial frequencies of every direction.
//!
//! cos(pi/2 log2(2 |nu| / m)) for m/4 < |nu| <= m, and zero elsewhere; m = 2^(1 - level), and |nu| = 1 at half the sampling
//! rate along an axis. As in the reference response maps, the frequencies of n voxels are n numbers from -1 to 1 with both
//! ends. The image is periodic: the filter is defined by its spectrum.

use ndarray::Array3;
use rustfft::num_complex::Complex;
use serde::{Deserialize, Serialize};

use super::boundary::Dimensions;
use crate::math::fft::{Spectrum, Transformed};

/// The band-pass map of one level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simoncelli {
    /// Level (GCEK), from 1: the highest frequencies.
    pub level: u8,
    /// Slices or volume.
    #[serde(default)]
    pub dimensions: Dimensions,
}

impl Simoncelli {
    pub(super) fn label(&self) -> String {
        format!("simoncelli-{}d-{}", self.dimensions.count(), self.level)
    }

    pub(super) fn apply(&self, image: &Array3<f32>) -> Array3<f32> {
        let (nz, ny, nx) = image.dim();
        let transfer = |frequency| Complex::new(band(frequency, [nx, ny, nz], self), 0.0);
        Spectrum::of(image, transformed(self.dimensions)).filtered(transfer)
    }
}

/// Which axes are transformed.
pub(super) const fn transformed(dimensions: Dimensions) -> Transformed {
    match dimensions {
        Dimensions::Slices => Transformed::Slices,
        Dimensions::Volume => Transformed::Volume,
    }
}

/// The transfer function at a frequency of a grid.
pub(super) fn band(frequency: [i64; 3], size: [usize; 3], filter: &Simoncelli) -> f64 {
    // Of an even number of frequencies none is zero: they lie half a step beside.
    let scaled = |axis: usize| {
        let n = size[axis];
        let beside = if n.is_multiple_of(2) { 0.5 } else { 0.0 };
        if n > 1 { 2.0 * (frequency[axis] as f64 + beside) / (n as f64 - 1.0) } else { 0.0 }
    };
    let radius = (0..filter.dimensions.count()).map(|axis| scaled(axis).powi(2)).sum::<f64>().sqrt();
    let greatest = 2f64.powi(1 - i32::from(filter.level));
    if radius > greatest / 4.0 && radius <= greatest {
        (std::f64::consts::FRAC_PI_2 * (2.0 * radius / greatest).log2()).cos()
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_has_no_response_and_each_level_is_an_octave_lower() {
        let image = Array3::from_elem((15, 16, 15), 3.0);
        for level in 1..4 {
            let response = Simoncelli { level, dimensions: Dimensions::Volume }.apply(&image);
            assert!(level > 2 || response.iter().all(|value| value.abs() < 1e-5));
        }
        let size = [101; 3];
        let at = |level, k| band([k, 0, 0], size, &Simoncelli { level, dimensions: Dimensions::Volume });
        assert!((at(1, 25) - 1.0).abs() < 1e-12 && at(1, 50).abs() < 1e-12);
        assert!((at(2, 12) - at(1, 24)).abs() < 1e-12);
    }
}

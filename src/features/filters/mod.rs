//! Filters of the image before features are computed: the eight classes of the IBSI 2 manual (Zwanenburg et al. 2020), and what
//! users of PyRadiomics know beside them.
//!
//! A filter gives a response map on the image's grid; features are then those of the map, under the masks of the image.
//! Voxels without a value are filled with the nearest one along x, then y, then z while the image is filtered, and have no
//! response. One file per class: its settings, its formula, its bounds.

mod average;
mod binary_pattern;
mod boundary;
mod convolve;
mod gabor;
mod laws;
mod log;
mod mean;
mod missing;
mod presets;
mod riesz;
mod rotate;
mod simoncelli;
mod transform;
mod wavelet;
mod wavelet_tables;

pub use average::{AVERAGE_LEVELS_MAX, BandAverage};
pub use binary_pattern::BinaryPattern;
pub use boundary::{Boundary, Dimensions};
pub use gabor::Gabor;
pub use laws::{Kernels, Laws};
pub use log::LaplacianOfGaussian;
pub use mean::Mean;
pub use presets::{PHASE_1, PHASE_2};
pub(super) use presets::{phase_1, phase_2};
pub use riesz::{Band, Riesz};
pub use rotate::Pooling;
pub use simoncelli::Simoncelli;
pub use transform::Plain;
pub use wavelet::{Pattern, Wavelet, WaveletFamily};

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::image::Volume;
use crate::math::linalg::Vec3;

/// One filter, as `[[filter]]` with its `kind` in a settings file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Filter {
    /// The image as it is, beside filtered ones.
    None(Plain),
    /// Mean.
    Mean(Mean),
    /// Laplacian of Gaussian.
    Log(LaplacianOfGaussian),
    /// Laws' kernels.
    Laws(Laws),
    /// Gabor.
    Gabor(Gabor),
    /// Separable wavelets.
    Wavelet(Wavelet),
    /// Simoncelli's isotropic wavelet.
    Simoncelli(Simoncelli),
    /// Riesz transforms.
    Riesz(Riesz),
    /// Square.
    Square(Plain),
    /// Square root.
    SquareRoot(Plain),
    /// Logarithm.
    Logarithm(Plain),
    /// Exponential.
    Exponential(Plain),
    /// Magnitude of the gradient.
    Gradient(Plain),
    /// Local binary patterns.
    Lbp(BinaryPattern),
}

/// The most voxels of an image that is filtered as a whole, with what is put around it.
pub const MAX_WHOLE_VOXELS: usize = 1 << 27;

/// The widest filter, in voxels on each side.
const REACH_MAX: usize = 1024;

/// Why there is no response map.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// The image is too large for a filter that needs all of it.
    #[error("the filter needs the whole image, which would have {voxels:.3e} voxels; at most {limit:.3e} are filtered")]
    TooLarge {
        /// Voxels with what is put around the image.
        voxels: f64,
        /// How many there may be.
        limit: f64,
    },
    /// The filter is wider than any sensible image.
    #[error("the filter reaches {voxels} voxels far, at most {limit} are looked at")]
    TooWide {
        /// Voxels from its middle to its end.
        voxels: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl Filter {
    /// The name in columns, tables and reports: the same for equal settings only. Free of dots.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::None(_) => "none".to_owned(),
            Self::Mean(filter) => filter.label(),
            Self::Log(filter) => filter.label(),
            Self::Laws(filter) => filter.label(),
            Self::Gabor(filter) => filter.label(),
            Self::Wavelet(filter) => filter.label(),
            Self::Simoncelli(filter) => filter.label(),
            Self::Riesz(filter) => filter.label(),
            Self::Square(_) => "square".to_owned(),
            Self::SquareRoot(_) => "square-root".to_owned(),
            Self::Logarithm(_) => "logarithm".to_owned(),
            Self::Exponential(_) => "exponential".to_owned(),
            Self::Gradient(_) => "gradient".to_owned(),
            Self::Lbp(filter) => filter.label(),
        }
    }

    /// Whether intensities of the response are in the unit of the image: whether the filter is homogeneous.
    #[must_use]
    pub const fn keeps_unit(&self) -> bool {
        !matches!(
            self,
            Self::Square(_)
                | Self::SquareRoot(_)
                | Self::Logarithm(_)
                | Self::Exponential(_)
                | Self::Gradient(_)
                | Self::Lbp(_)
        )
    }

    /// How far the response at a voxel looks along x, y, z; `None` when it depends on the whole image.
    pub(crate) fn reach(&self, spacing_mm: Vec3) -> Option<[usize; 3]> {
        let periodic = |boundary: Boundary| boundary == Boundary::Periodic;
        let (reach, whole) = match self {
            Self::None(_) => ([0; 3], false),
            Self::Mean(filter) => (filter.reach(), periodic(filter.boundary)),
            Self::Log(filter) => (filter.reach(spacing_mm), periodic(filter.boundary)),
            Self::Laws(filter) => (filter.reach(), periodic(filter.boundary)),
            Self::Gabor(filter) => (filter.reach(spacing_mm), periodic(filter.boundary)),
            Self::Wavelet(filter) => (filter.reach(), periodic(filter.boundary)),
            Self::Gradient(_) => ([1; 3], false),
            Self::Lbp(filter) => (filter.reach(), periodic(filter.boundary)),
            Self::Simoncelli(_)
            | Self::Riesz(_)
            | Self::Square(_)
            | Self::SquareRoot(_)
            | Self::Logarithm(_)
            | Self::Exponential(_) => ([0; 3], true),
        };
        (!whole).then_some(reach)
    }

    /// Whether the filter can be applied to an image of this size.
    pub(super) fn bounds(&self, size: [usize; 3], spacing_mm: Vec3) -> Result<(), FilterError> {
        match self.reach(spacing_mm) {
            Some(reach) => {
                let voxels = reach.into_iter().max().unwrap_or(0);
                if voxels > REACH_MAX { Err(FilterError::TooWide { voxels, limit: REACH_MAX }) } else { Ok(()) }
            }
            None => {
                let total = if let Self::Riesz(filter) = self { filter.extended(size).0 } else { size };
                let voxels: f64 = total.iter().map(|n| *n as f64).product();
                let limit = MAX_WHOLE_VOXELS as f64;
                if voxels > limit { Err(FilterError::TooLarge { voxels, limit }) } else { Ok(()) }
            }
        }
    }

    /// The response map, on the image's grid; missing where the image is.
    ///
    /// # Errors
    /// When the filter is wider, or the image that it needs as a whole larger, than the bounds.
    pub fn apply(&self, image: &Volume<f32>) -> Result<Volume<f32>, FilterError> {
        let Volume { voxels, geometry } = image;
        self.bounds(geometry.size, geometry.spacing_mm)?;
        let filled = missing::filled(voxels);
        let mut response = self.response(filled.as_ref().unwrap_or(voxels), geometry.spacing_mm);
        if filled.is_some() {
            response.zip_mut_with(voxels, |response, value| {
                if !value.is_finite() {
                    *response = f32::NAN;
                }
            });
        }
        Ok(Volume { voxels: response, geometry: *geometry })
    }

    fn response(&self, image: &Array3<f32>, spacing_mm: Vec3) -> Array3<f32> {
        match self {
            Self::None(_) => image.clone(),
            Self::Mean(filter) => filter.apply(image),
            Self::Log(filter) => filter.apply(image, spacing_mm),
            Self::Laws(filter) => filter.apply(image),
            Self::Gabor(filter) => filter.apply(image, spacing_mm),
            Self::Wavelet(filter) => filter.apply(image),
            Self::Simoncelli(filter) => filter.apply(image),
            Self::Riesz(filter) => filter.apply(image, spacing_mm),
            Self::Square(_) => transform::square(image),
            Self::SquareRoot(_) => transform::square_root(image),
            Self::Logarithm(_) => transform::logarithm(image),
            Self::Exponential(_) => transform::exponential(image),
            Self::Gradient(_) => transform::gradient(image, spacing_mm),
            Self::Lbp(filter) => filter.apply(image),
        }
    }

    /// What is wrong with the settings, as a sentence of what was expected.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let size = |mm: f64| mm.is_finite() && mm > 0.0;
        let cut = |sigma: f64| (1.0..=20.0).contains(&sigma);
        let levels = 1..=wavelet::LEVEL_MAX;
        let rules: &[(bool, &'static str)] = match self {
            Self::Mean(f) => &[(f.size % 2 == 1, "an odd size")],
            Self::Log(f) => &[(size(f.sigma_mm), "a positive sigma_mm"), (cut(f.truncate), "truncate from 1 to 20")],
            Self::Laws(f) => {
                &[(f.energy_distance.is_none_or(|d| (1..=100).contains(&d)), "energy_distance from 1 to 100")]
            }
            Self::Gabor(f) => &[
                (
                    size(f.sigma_mm) && size(f.wavelength_mm) && size(f.aspect),
                    "positive sigma_mm, wavelength_mm and aspect",
                ),
                (f.angle_deg.is_finite(), "a finite angle_deg"),
                (
                    f.angle_step_deg.is_none_or(|step| (360.0 / gabor::ANGLES_MAX..=360.0).contains(&step)),
                    "angle_step_deg from 0.5 to 360",
                ),
            ],
            Self::Wavelet(f) => &[(levels.contains(&f.level), "level from 1 to 6")],
            Self::Simoncelli(f) => &[((1..=16).contains(&f.level), "level from 1 to 16")],
            Self::Riesz(f) => &[
                (
                    (1..=riesz::ORDER_MAX).contains(&f.order.iter().fold(0, |sum, l| sum.saturating_add(*l))),
                    "an order from 1 to 4",
                ),
                (
                    f.dimensions == Dimensions::Volume || f.order[2] == 0,
                    "an order of 0 along z where slices are filtered",
                ),
                (f.steer_mm.is_none_or(size), "a positive steer_mm"),
                (
                    match f.of {
                        Band::Image => true,
                        Band::Log { sigma_mm, truncate } => size(sigma_mm) && cut(truncate),
                        Band::Simoncelli { level } => (1..=16).contains(&level),
                    },
                    "a positive sigma_mm, truncate from 1 to 20, level from 1 to 16",
                ),
            ],
            Self::Lbp(f) => &[
                (size(f.radius) && f.radius <= 100.0, "a positive radius of at most 100"),
                ((3..=64).contains(&f.samples), "3 to 64 samples"),
            ],
            _ => &[],
        };
        rules.iter().find(|(holds, _)| !holds).map(|(_, expected)| *expected)
    }
}

/// A number in a label, without a dot.
fn number(value: f64) -> String {
    value.to_string().replace('.', "_")
}

/// A setting in a label where it is not the usual one.
fn unless(value: f64, usual: f64, name: &str) -> String {
    if (value - usual).abs() > 0.0 { format!("{name}{}", number(value)) } else { String::new() }
}

#[cfg(test)]
mod tests;

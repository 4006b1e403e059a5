//! Point spread functions.

use serde::{Deserialize, Serialize};

use super::{Geometry, Modality};
use crate::math::linalg::{self, Mat3, Vec3};

/// Full width at half maximum of a Gaussian in standard deviations: 2 sqrt(2 ln 2).
pub const FWHM_PER_SIGMA: f64 = 2.354_820_045_030_949_3;

/// The resolution of an image as a Gaussian along the image's own axes x, y (in plane) and z (through plane).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Psf {
    /// Full widths at half maximum.
    pub fwhm_mm: Vec3,
}

impl Psf {
    /// sigma = FWHM / (2 sqrt(2 ln 2)) per axis.
    #[must_use]
    pub fn sigma_mm(&self) -> Vec3 {
        self.fwhm_mm.map(|fwhm| fwhm / FWHM_PER_SIGMA)
    }

    /// The point spread function of these standard deviations.
    #[must_use]
    pub fn from_sigma_mm(sigma_mm: Vec3) -> Self {
        Self { fwhm_mm: sigma_mm.map(|sigma| sigma * FWHM_PER_SIGMA) }
    }

    /// The covariance (mm2) in patient space for an image on this grid.
    #[must_use]
    pub fn covariance_mm2(&self, geometry: &Geometry) -> Mat3 {
        linalg::from_axes(self.sigma_mm().map(|s| s * s), &geometry.directions)
    }

    /// Whether all widths are numbers from zero up.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.fwhm_mm.iter().all(|fwhm| fwhm.is_finite() && *fwhm >= 0.0)
    }

    /// What is assumed where nothing is known but the modality and the grid. Its use is a finding (`resolution_assumed`).
    ///
    /// No width is less than the grid can carry: a sampled image is at best as sharp as its voxels.
    /// - CT, in plane: 1.2 mm. Soft-tissue kernels pass half of the contrast at about 0.35 to 0.4 line pairs per mm; a
    ///   Gaussian whose modulation transfer is one half at f has sigma = sqrt(ln 2 / 2) / (pi f), which is 1.1 to 1.3 mm
    ///   FWHM. Through plane: the slice distance, the full width of a slice sensitivity profile being the slice's nominal
    ///   thickness.
    /// - PET: 6 mm along all axes: detector resolution of 4 to 5 mm and the usual post-filter of 4 to 5 mm, added in
    ///   quadrature.
    /// - MR, in plane: 1.2 voxels, the full width of the sinc that sampling k-space to its edge leaves. Through plane: the
    ///   slice distance.
    /// - Else: the voxels' spacing.
    #[must_use]
    pub fn assumed(modality: Modality, geometry: &Geometry) -> Self {
        let h = geometry.spacing_mm;
        let fwhm_mm = match modality {
            Modality::Ct => [h[0].max(1.2), h[1].max(1.2), h[2]],
            Modality::Pet => h.map(|spacing| spacing.max(6.0)),
            Modality::Mr => [1.2 * h[0], 1.2 * h[1], h[2]],
            Modality::Other => h,
        };
        Self { fwhm_mm }
    }
}

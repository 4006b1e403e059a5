//! What is known of a synthetic patient because it was made so.

use serde::{Deserialize, Serialize};

use super::anatomy::{Lesion, Tissue};
use super::sample::FWHM_PER_SIGMA;
use super::settings::{GridSettings, Scan};
use crate::image::{Affine, Geometry, Mask, Volume};
use crate::math::linalg::Vec3;

/// The truth of one patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// One per lesion, in the settings' order.
    pub lesions: Vec<LesionTruth>,
    /// One per scanner, in the order of [`Scan::ALL`].
    pub scans: [ScanTruth; 3],
}

/// The truth of one lesion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LesionTruth {
    /// Its name.
    pub name: String,
    /// Its volume, exact.
    pub volume_mm3: f64,
    /// The centre of the shape in the body's space.
    pub centre_mm: Vec3,
    /// Its mean values before blur, partial volume and noise; exact.
    pub mean: Tissue,
    /// Its standard deviations before blur, partial volume and noise; exact.
    pub sd: Tissue,
    /// What each image holds of it, in the order of [`Scan::ALL`].
    pub in_scans: [LesionInScan; 3],
}

/// One lesion in one image as it was sampled, before it is rounded to the integers of a file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LesionInScan {
    /// Voxels whose centre is inside.
    pub n_voxels: usize,
    /// Their mean: HU, SUV or signal.
    pub mean: f64,
    /// Their standard deviation (divided by n).
    pub sd: f64,
}

/// The truth of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanTruth {
    /// Its grid.
    pub geometry: Geometry,
    /// Gaussian blur before sampling, FWHM along the grid's axes.
    pub blur_fwhm_mm: Vec3,
    /// The Gaussian that is as wide as blur and voxel box together: `sqrt(blur^2 + 8 ln 2 / 12 spacing^2)`.
    pub effective_fwhm_mm: Vec3,
    /// From a point of the CT's space to the same anatomy in this image's space.
    pub from_ct: Affine,
}

impl Truth {
    /// The truth of one image.
    #[must_use]
    pub const fn scan(&self, scan: Scan) -> &ScanTruth {
        let [ct, pet, mr] = &self.scans;
        match scan {
            Scan::Ct => ct,
            Scan::Pet => pet,
            Scan::Mr => mr,
        }
    }
}

impl LesionTruth {
    /// What one image holds of it.
    #[must_use]
    pub const fn in_scan(&self, scan: Scan) -> &LesionInScan {
        let [ct, pet, mr] = &self.in_scans;
        match scan {
            Scan::Ct => ct,
            Scan::Pet => pet,
            Scan::Mr => mr,
        }
    }
}

/// The width of blur and voxel box together.
pub(super) fn effective_fwhm_mm(grid: &GridSettings) -> Vec3 {
    [0, 1, 2].map(|axis| {
        let blur = grid.blur_fwhm_mm[axis];
        let voxel = grid.spacing_mm[axis];
        (blur * blur + FWHM_PER_SIGMA * FWHM_PER_SIGMA / 12.0 * voxel * voxel).sqrt()
    })
}

/// The voxels whose centre lies in a lesion; `to_body` brings the image's space to the body's.
pub(super) fn mask(lesion: &Lesion, geometry: Geometry, to_body: &Affine) -> Mask {
    let mut mask = Mask::filled(geometry, false);
    for ((k, j, i), inside) in mask.voxels.indexed_iter_mut() {
        #[allow(clippy::cast_precision_loss)]
        let index = [i as f64, j as f64, k as f64];
        *inside = lesion.shape.contains(to_body.apply(geometry.voxel_to_world(index)));
    }
    mask
}

/// What one image holds of a lesion.
#[allow(clippy::cast_precision_loss)]
pub(super) fn lesion_in_scan(image: &Volume<f32>, mask: &Mask) -> LesionInScan {
    let inside = || image.voxels.iter().zip(&mask.voxels).filter(|(_, inside)| **inside).map(|(v, _)| f64::from(*v));
    let n_voxels = inside().count();
    let n = n_voxels.max(1) as f64;
    let mean = inside().sum::<f64>() / n;
    let variance = inside().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    LesionInScan { n_voxels, mean, sd: variance.sqrt() }
}

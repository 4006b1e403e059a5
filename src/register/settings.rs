//! What the registration may do.

use serde::{Deserialize, Serialize};

/// The kind of map that is sought between the reference and another role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransformKind {
    /// None is sought: only images that share a Frame of Reference can be aligned.
    None,
    /// Rotation and translation.
    #[default]
    Rigid,
    /// Any linear map and translation.
    Affine,
    /// Affine, then a cubic B-spline displacement field.
    Bspline,
}

/// What images that share a Frame of Reference UID are taken for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameFrame {
    /// The identity stands unless the images contradict it.
    #[default]
    Verify,
    /// The identity stands.
    Trust,
    /// The estimate is used.
    Refine,
}

/// What the first estimator maximises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Similarity {
    /// Normalised mutual information (Studholme, Hill and Hawkes 1999).
    #[default]
    Nmi,
    /// Mutual information, not normalised (Mattes et al. 2003).
    Mattes,
}

/// Every setting of the stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What is sought.
    pub transform: TransformKind,
    /// What a common Frame of Reference is taken for.
    pub same_frame: SameFrame,
    /// How it is estimated.
    pub estimation: Estimation,
}

/// The numbers of the estimators.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Estimation {
    /// What the first estimator maximises.
    pub measure: Similarity,
    /// Histogram bins along each axis at the finest resolution.
    pub bins: usize,
    /// Histogram bins at coarser resolutions, where there are fewer samples.
    pub bins_coarse: usize,
    /// Resolutions, each twice as coarse as the next.
    pub levels: usize,
    /// Samples that the smaller field of view should have at the finest resolution.
    pub n_samples: usize,
    /// Distance of samples at least, mm.
    pub spacing_min_mm: f64,
    /// Standard deviation of a coarse level's blur in units of its spacing.
    pub blur_per_spacing: f64,
    /// The share of the coarser image's point spread function to which the sharper one is blurred.
    pub blur_share: f64,
    /// How far around the body the images are compared, mm.
    pub margin_mm: f64,
    /// Share of the possible overlap below which a map is penalised.
    pub overlap_floor: f64,
    /// How far from their middle the two estimators may be and still be said to agree, mm.
    pub agreement_mm: f64,
    /// Share of the block pairs that the second estimator keeps.
    pub blocks_kept: f64,
    /// Distance of the control points of a map that bends, mm.
    pub control_spacing_mm: f64,
    /// What bending costs: the measure that a mean squared second derivative of 1 per mm2 is worth, mm2.
    pub bending_weight_mm2: f64,
    /// What compression costs: the measure that a mean squared divergence of 1 is worth.
    pub compression_weight: f64,
    /// The standard deviation to which both images are blurred at least for a map that bends, in longest edges of their voxels.
    pub bending_blur_per_voxel: f64,
    /// Histogram bins at the finest resolution for a map that bends: within wide ones an edge moves unseen.
    pub bins_bending: usize,
    /// Samples for a map that bends: several for each control point.
    pub n_samples_bending: usize,
    /// Draws of the bootstrap behind the covariance; 0 leaves it out.
    pub bootstrap_draws: usize,
    /// The least standard deviation of a shift along any axis that is claimed, mm.
    pub sigma_floor_mm: f64,
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl Default for Estimation {
    fn default() -> Self {
        Self {
            measure: Similarity::Nmi,
            bins: 96,
            bins_coarse: 32,
            levels: 3,
            n_samples: 100_000,
            spacing_min_mm: 2.0,
            blur_per_spacing: 0.6,
            blur_share: 0.8,
            margin_mm: 60.0,
            overlap_floor: 0.6,
            agreement_mm: 3.0,
            blocks_kept: 0.7,
            control_spacing_mm: 20.0,
            bending_weight_mm2: 400.0,
            compression_weight: 1.0,
            bending_blur_per_voxel: 0.5,
            bins_bending: 256,
            n_samples_bending: 400_000,
            bootstrap_draws: 20,
            sigma_floor_mm: 0.5,
            seed: 1,
        }
    }
}

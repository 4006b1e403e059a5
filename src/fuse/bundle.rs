//! What is trained once and asked for years: the model, its ensemble, where its training patients lie, what was measured of
//! it, and the baselines beside it. Asking it never fits anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::body::Body;
use super::bootstrap::quantile;
use super::derived::Derived;
use super::error::FuseError;
use super::fitted::{Fitted, Scale};
use super::space::{ROBUST_Z_MAX, Space, TAIL_MIN};
use crate::harmonise::{Covariate, RawReason};

/// A trained model with everything that asking it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// What it predicts.
    pub endpoint: String,
    /// The model.
    pub fitted: Fitted,
    /// The model's body fitted to resamples of the patients: their spread is the interval.
    pub ensemble: Vec<Body>,
    /// Where the training patients lie, one per part.
    pub spaces: Vec<Space>,
    /// How far predictions for patients left out were from what happened.
    pub conformal: Conformal,
    /// Performance by the blocks that are there.
    pub patterns: Vec<Pattern>,
    /// Baselines, each with its own model.
    pub baselines: Vec<(Derived, Fitted)>,
    /// Frobenius norm of the blocks' cross-covariance over the training patients, where there are several blocks.
    pub synergy: Option<f64>,
}

/// Conformal prediction from predictions for rows left out (Vovk, Gammerman and Shafer 2005; Barber et al. 2021).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Conformal {
    /// The part of patients whose outcome the set should hold.
    pub level: f64,
    /// A class belongs to the set when its probability is at least one less this; none for survival.
    pub threshold: Option<f64>,
}

/// How the model does with some blocks alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// The blocks that are there.
    pub blocks: Vec<String>,
    /// Patients that it was judged by.
    pub n: usize,
    /// Those with the event.
    pub events: usize,
    /// Discrimination.
    pub auc: Option<f64>,
    /// Lower end of its interval.
    pub auc_low: Option<f64>,
    /// Upper end of its interval.
    pub auc_high: Option<f64>,
    /// Whether the model may be asked with these blocks: all of them, or better than chance by the interval.
    pub validated: bool,
}

/// A patient as a bundle is asked about it.
#[derive(Debug, Clone, Default)]
pub struct Patient {
    /// The blocks that are there.
    pub blocks: BTreeMap<String, PatientBlock>,
    /// Covariates, one row each, for the bundle's harmonisation.
    pub covariates: Vec<Covariate>,
}

/// One block of a patient.
#[derive(Debug, Clone, Default)]
pub struct PatientBlock {
    /// Raw values by feature.
    pub features: BTreeMap<String, f64>,
    /// The scanner; empty where it is not known.
    pub batch: String,
    /// Voxels of the region on the images' own grid, where they are known.
    pub n_voxels: Option<usize>,
}

/// Fewer voxels in a region than this have no texture to speak of.
pub const VOXELS_MIN: usize = 16;

/// Why nothing is predicted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Measured in another way than the training patients.
    #[error("the features were measured under other settings or numerics than the model's")]
    OtherSettings,
    /// A block that must be harmonised and cannot be.
    #[error("block {block} cannot be harmonised: {reason}")]
    NotHarmonised {
        /// Which block.
        block: String,
        /// Why.
        reason: RawReason,
    },
    /// Outside the training data.
    #[error("block {block} lies outside the training data: {what}")]
    OutOfDistribution {
        /// Which block.
        block: String,
        /// By which measure.
        what: String,
    },
    /// Too small a region.
    #[error("the region of block {block} has {n_voxels} voxels, fewer than {VOXELS_MIN}")]
    SmallRegion {
        /// Which block.
        block: String,
        /// Its voxels.
        n_voxels: usize,
    },
    /// Blocks that the model was not judged with alone.
    #[error("the model was not validated with {} alone", blocks.join(", "))]
    Pattern {
        /// The blocks that are there.
        blocks: Vec<String>,
    },
    /// Nothing to go by.
    #[error("none of the model's blocks is there")]
    NoBlock,
    /// The model fails on these values.
    #[error("the model gives no finite number for these values")]
    NoNumber,
    /// A feature that the model needs was not measured.
    #[error("block {block} lacks feature {feature}")]
    Feature {
        /// Which block.
        block: String,
        /// Which feature.
        feature: String,
    },
}

impl Refusal {
    /// A word for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OtherSettings => "other_settings",
            Self::NotHarmonised { .. } => "not_harmonised",
            Self::OutOfDistribution { .. } => "out_of_distribution",
            Self::SmallRegion { .. } => "small_region",
            Self::Pattern { .. } => "pattern_not_validated",
            Self::NoBlock => "no_block",
            Self::NoNumber => "no_number",
            Self::Feature { .. } => "feature_missing",
        }
    }
}

/// What a bundle says of a patient.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The blocks that were used.
    pub blocks: Vec<String>,
    /// The probability of the event; for survival by the bundle's horizon.
    pub probability: f64,
    /// The 95 % interval of the ensemble.
    pub interval: Option<(f64, f64)>,
    /// The linear predictor.
    pub linear: f64,
    /// For survival the hazard relative to the training median, and whether it is above it.
    pub relative_hazard: Option<f64>,
    /// For a binary endpoint the conformal set: whether it holds the event, and its absence.
    pub set: Option<[bool; 2]>,
    /// What each block added to the linear predictor.
    pub contributions: Vec<(String, f64)>,
    /// What the baselines say.
    pub baselines: Vec<(String, f64)>,
}

impl Bundle {
    /// Asks the bundle about a patient.
    ///
    /// # Errors
    /// With the reason why nothing is predicted.
    pub fn predict(&self, patient: &Patient) -> Result<Prediction, Refusal> {
        let mut rows = Vec::new();
        for (part, space) in self.fitted.parts.iter().zip(&self.spaces) {
            let Some(block) = patient.blocks.get(&part.block) else {
                rows.push(None);
                continue;
            };
            if let Some(n_voxels) = block.n_voxels.filter(|n| *n < VOXELS_MIN) {
                return Err(Refusal::SmallRegion { block: part.block.clone(), n_voxels });
            }
            let raw: Vec<f64> =
                part.features.iter().map(|name| block.features.get(name).copied().unwrap_or(f64::NAN)).collect();
            // A single value may be missing; a column that was not measured at all is other settings.
            if raw.iter().all(|value| value.is_nan()) {
                let feature = part.features.first().cloned().unwrap_or_default();
                return Err(Refusal::Feature { block: part.block.clone(), feature });
            }
            let row = part
                .harmonise_one(&raw, &block.batch, &patient.covariates)
                .map_err(|reason| Refusal::NotHarmonised { block: part.block.clone(), reason })?;
            inside(part, space, &row, self.needs_file().is_some())?;
            rows.push(Some(row));
        }
        self.score(patient, &rows)
    }

    fn score(&self, patient: &Patient, rows: &[Option<Vec<f64>>]) -> Result<Prediction, Refusal> {
        let parts = self.fitted.parts.iter().zip(rows);
        let blocks: Vec<String> =
            parts.clone().filter(|(_, row)| row.is_some()).map(|(part, _)| part.block.clone()).collect();
        if blocks.is_empty() {
            return Err(Refusal::NoBlock);
        }
        if !self.patterns.iter().any(|pattern| pattern.blocks == blocks && pattern.validated) {
            return Err(Refusal::Pattern { blocks });
        }
        let scored = self.fitted.score(rows).ok().flatten().ok_or(Refusal::NoBlock)?;
        if !scored.linear.is_finite() {
            return Err(Refusal::NoNumber);
        }
        let scale = self.fitted.scale;
        let members = self.ensemble.iter().filter_map(|body| self.fitted.score_by(body, rows).ok().flatten());
        let mut members: Vec<f64> = members.map(|member| scale.probability(member.linear)).collect();
        members.sort_by(f64::total_cmp);
        let probability = scale.probability(scored.linear);
        // The model itself lies within: resamples of few patients are pulled to either side.
        let interval = (members.len() > 1)
            .then(|| (quantile(&members, 0.025).min(probability), quantile(&members, 0.975).max(probability)));
        let set = self.conformal.threshold.map(|threshold| [1.0 - probability <= threshold, probability <= threshold]);
        let relative_hazard = match scale {
            Scale::Logistic => None,
            Scale::Hazard { median, .. } => Some((scored.linear - median).exp()),
        };
        let contributions = parts.map(|(part, _)| part.block.clone()).zip(scored.contributions).collect();
        let baselines = self.baselines.iter().filter_map(|(derived, fitted)| {
            let value = |block: &str, feature: &str| patient.blocks.get(block)?.features.get(feature).copied();
            let row = derived.row(&value)?;
            let scored = fitted.score(&[Some(row)]).ok().flatten()?;
            Some((derived.name.clone(), fitted.scale.probability(scored.linear)))
        });
        let baselines = baselines.collect();
        Ok(Prediction {
            blocks,
            probability,
            interval,
            linear: scored.linear,
            relative_hazard,
            set,
            contributions,
            baselines,
        })
    }

    /// The blocks that the model can use.
    pub fn blocks(&self) -> impl Iterator<Item = &String> {
        self.fitted.parts.iter().map(|part| &part.block)
    }
}

/// Whether a block lies where the model was trained. Of a model that was brought along only the ranges of its features are
/// known, and nothing beyond them was trained for certain.
fn inside(part: &super::part::Part, space: &Space, row: &[f64], brought: bool) -> Result<(), Refusal> {
    let outside = |what: String| Err(Refusal::OutOfDistribution { block: part.block.clone(), what });
    let beyond = |feature: &&super::prepare::ChosenFeature| {
        let [low, high] = feature.range;
        row.get(feature.index).is_some_and(|value| value.is_finite() && !(low..=high).contains(value))
    };
    if let Some(feature) = part.chosen.features.iter().filter(|_| brought).find(beyond) {
        let ([low, high], value) = (feature.range, row.get(feature.index).copied().unwrap_or(f64::NAN));
        return outside(format!("{} is {value:.6}, beyond its training range of {low:.6} to {high:.6}", feature.name));
    }
    let z = part.chosen.robust_z(row);
    if z > ROBUST_Z_MAX {
        return outside(format!("a selected feature has a robust z of {z:.1}, over {ROBUST_Z_MAX}"));
    }
    let values = part
        .chosen
        .apply(row)
        .map_err(|error: FuseError| Refusal::Feature { block: part.block.clone(), feature: error.to_string() })?;
    let tail = space.tail(&values);
    if tail < TAIL_MIN {
        return outside(format!("its Mahalanobis distance has a tail of {tail:.1e}, under {TAIL_MIN}"));
    }
    Ok(())
}

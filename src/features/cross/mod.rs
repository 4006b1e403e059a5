//! Features of two images on one grid: what one modality says of the other within a region. The project's own, without IBSI
//! codes.
//!
//! Both images are brought to one grid before; here they are only compared. Voxels where either has no value take no part.

mod gaussian;
mod habitats;
mod joint;
mod means;
mod region;
mod relation;

#[cfg(test)]
mod tests;

pub use self::habitats::{HabitatMethod, HabitatSettings, Habitats, MAX_HABITATS, habitats, habitats_near};

use serde::{Deserialize, Serialize};

use self::joint::Joint;
use self::region::Pair;
use self::relation::Relation;
use super::results::Results;
use super::table::{Feature, Row, Unit};
use super::{Discretise, Family, FeatureError, FeatureValue, Omission, RoiStep};
use crate::image::{Mask, Volume};

/// How two images are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossSettings {
    /// Grey levels of each image over its range in the region: of the joint histogram and the cross co-occurrence matrix.
    pub bins: u32,
    /// Voxels that the window of the local correlation reaches to each side.
    pub window: u8,
}

impl Default for CrossSettings {
    fn default() -> Self {
        Self { bins: 32, window: 1 }
    }
}

/// The most grey levels of one image: the table of both has the square of it.
pub const MAX_CROSS_BINS: u32 = 512;

/// The farthest that the window of the local correlation may reach.
pub const MAX_WINDOW: u8 = 5;

impl CrossSettings {
    fn validate(self) -> Result<(), FeatureError> {
        let bins = (2..=MAX_CROSS_BINS).contains(&self.bins);
        super::settings::check("cross.bins", bins, "2 to 512 grey levels")?;
        super::settings::check("cross.window", (1..=MAX_WINDOW).contains(&self.window), "1 to 5 voxels")
    }

    /// In the words of the results.
    fn label(self) -> String {
        Discretise::Bins(self.bins).label()
    }
}

/// Values of two images, or of sub-regions, and what has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossed {
    /// The values; all finite.
    pub values: Vec<FeatureValue>,
    /// Features without a value.
    pub omitted: Vec<Omission>,
}

impl From<Results> for Crossed {
    fn from(results: Results) -> Self {
        Self { values: results.values, omitted: results.omitted }
    }
}

/// Compares two images in a region.
///
/// # Errors
/// When a setting is out of range, images and mask are not on one grid, or no voxel of the region has both values.
pub fn cross(
    first: &Volume<f32>,
    second: &Volume<f32>,
    mask: &Mask,
    settings: CrossSettings,
) -> Result<Crossed, FeatureError> {
    settings.validate()?;
    let pair = Pair::of(first, second, mask)?;
    let mut results = Results::default();
    let (levels, relation) = rayon::join(
        || pair.levels(settings.bins).map(|levels| (levels.joint(), levels.neighbours())),
        || Relation::of(&pair, usize::from(settings.window)),
    );
    match levels {
        Ok((joint, neighbours)) => {
            results.add_mean(&JOINT_ROWS, joint.as_slice(), "", "", &settings.label());
            results.add_mean(&PAIR_ROWS, neighbours.as_slice(), "", "", &settings.label());
        }
        Err(reason) => results.omit(Family::Cross, &reason),
    }
    results.add_plain(&RELATION_ROWS, &relation);
    Ok(results.into())
}

/// Where no voxel is left.
const fn empty() -> FeatureError {
    FeatureError::EmptyRoi(RoiStep::Resegmented)
}

const FLAT: &str = "one of the images is flat in the region";
const NO_PAIRS: &str = "no two voxels of the region are neighbours, or one of the images is flat";

const fn joint_row(tag: &'static str, name: &'static str, eval: fn(&Joint) -> f64) -> Row<Joint> {
    Row::new(Family::Cross, "", tag, name, Unit::One, eval)
}

/// Of the two levels of each voxel.
static JOINT_ROWS: [Row<Joint>; 3] = [
    joint_row("cross_joint_entropy", "Joint histogram entropy", |j| j.entropy),
    joint_row("cross_mi", "Mutual information", |j| j.mutual),
    joint_row("cross_nmi", "Normalised mutual information", Joint::normalised_mutual).undefined_when(FLAT),
];

/// Of the levels of neighbours, one in each image.
static PAIR_ROWS: [Row<Joint>; 7] = [
    joint_row("cross_cm_joint_max", "Cross co-occurrence joint maximum", |j| j.max).undefined_when(NO_PAIRS),
    joint_row("cross_cm_joint_entr", "Cross co-occurrence joint entropy", |j| j.entropy).undefined_when(NO_PAIRS),
    joint_row("cross_cm_energy", "Cross co-occurrence angular second moment", |j| j.energy).undefined_when(NO_PAIRS),
    joint_row("cross_cm_contrast", "Cross co-occurrence contrast", |j| j.contrast).undefined_when(NO_PAIRS),
    joint_row("cross_cm_inv_diff", "Cross co-occurrence inverse difference", |j| j.inverse).undefined_when(NO_PAIRS),
    joint_row("cross_cm_corr", "Cross co-occurrence correlation", |j| j.correlation).undefined_when(NO_PAIRS),
    joint_row("cross_cm_mi", "Cross co-occurrence mutual information", |j| j.mutual).undefined_when(NO_PAIRS),
];

const fn relation_row(tag: &'static str, name: &'static str, eval: fn(&Relation) -> f64) -> Row<Relation> {
    Row::new(Family::Cross, "", tag, name, Unit::One, eval).undefined_when(FLAT)
}

/// Of the intensities themselves.
static RELATION_ROWS: [Row<Relation>; 6] = [
    relation_row("cross_pearson", "Pearson correlation", |r| r.pearson),
    relation_row("cross_spearman", "Spearman rank correlation", |r| r.spearman),
    relation_row("cross_local_corr", "Mean local correlation", |r| r.local),
    relation_row("cross_dice_p50", "Dice of the voxels above each median", |r| r.dice[0]),
    relation_row("cross_dice_p75", "Dice of the voxels above each 75th percentile", |r| r.dice[1]),
    relation_row("cross_dice_p90", "Dice of the voxels above each 90th percentile", |r| r.dice[2]),
];

/// Every feature of the family.
pub(super) fn rows() -> impl Iterator<Item = (&'static Feature, &'static str)> {
    let joint = JOINT_ROWS.iter().chain(&PAIR_ROWS).map(Row::told);
    joint.chain(RELATION_ROWS.iter().map(Row::told)).chain(habitats::rows())
}

//! Radiomic features by the definitions of the Image Biomarker Standardisation Initiative (IBSI).
//!
//! [`extract`] takes an image and a region to feature values: interpolation, rounding, re-segmentation, discretisation,
//! then one family after the other. Every choice is in [`Settings`]; every feature is a row of the [`table`].
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "counts and grid indices become numbers and back; all are bounded by the size of an image"
)]

pub mod cross;
mod diagnostics;
mod discretise;
mod error;
mod extract;
mod family;
pub mod filters;
mod formulas;
mod histogram;
mod intensity;
mod ivh;
mod local;
mod morphology;
mod page;
pub mod perturb;
mod prepare;
mod presets;
mod regrid;
mod response;
mod results;
mod roi;
mod settings;
mod statistics;
pub mod table;
mod texture;

pub use diagnostics::{Diagnostics, GreyLevels, ImageDiagnostics, Omission, RoiDiagnostics, StepDiagnostics, Summary};
pub use error::{FeatureError, RoiStep};
pub use extract::{Extraction, PAIRED_VOXELS, extract, values, values_of_intensities};
pub use family::Family;
pub use morphology::is_shape;
pub use page::{formula, page};
pub use presets::{PRESETS, SettingsError};
pub use response::response_map;
pub use results::FeatureValue;
pub use settings::{
    Aggregation, BinAnchor, Discretise, GridAlign, Kurtosis, MAX_BINS, MAX_DISTANCE, Resample, Resegment, Settings,
    Spacing, Texture, WeightNorm,
};
pub use table::{Feature, Unit};

#[cfg(test)]
mod bounds_tests;

//! What a normalisation does to one value.

use serde::{Deserialize, Serialize};

use crate::image::Volume;

/// A strictly increasing function of the intensity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// y = x
    Unchanged,
    /// y = sign(x) log(1 + |x|): the logarithm of 1 + x where x is not negative, and its mirror image below, so that the
    /// small negative values that reconstructions produce keep their order.
    Log,
    /// y = (x - offset) / divisor
    Linear {
        /// What becomes zero.
        offset: f64,
        /// What becomes one; positive.
        divisor: f64,
    },
}

impl Scale {
    /// The new value of one intensity, in double precision.
    #[must_use]
    pub fn of(&self, value: f64) -> f64 {
        match self {
            Self::Unchanged => value,
            Self::Log => value.abs().ln_1p().copysign(value),
            Self::Linear { offset, divisor } => (value - offset) / divisor,
        }
    }

    /// Replaces every value of an image; missing voxels stay missing.
    pub fn apply(&self, image: &mut Volume<f32>) {
        if matches!(self, Self::Unchanged) {
            return;
        }
        #[allow(clippy::cast_possible_truncation)] // images are single precision
        image.voxels.par_mapv_inplace(|value| self.of(f64::from(value)) as f32);
    }
}

//! Which values are black and which are white.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // shares of a list

use crate::image::Volume;

/// A range of values that is shown as a ramp of grey.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Window {
    pub low: f32,
    pub high: f32,
}

impl Window {
    /// Soft tissue in CT: level 40, width 400 HU.
    pub const SOFT_TISSUE: Self = Self { low: -160.0, high: 240.0 };
    /// Lung in CT: level -600, width 1500 HU.
    pub const LUNG: Self = Self { low: -1350.0, high: 150.0 };
    /// Uptake in PET, whatever its normalisation.
    pub const SUV: Self = Self { low: 0.0, high: 10.0 };

    /// Without a scale that means something: the shares of the values that are black and white are fixed.
    pub fn of(image: &Volume<f32>) -> Self {
        const BLACK_AND_WHITE: [f64; 2] = [0.02, 0.995];
        // Some hundred thousand values tell as much as all.
        let every = (image.voxels.len() / 300_000).max(1);
        let mut values: Vec<f32> = image.voxels.iter().step_by(every).copied().filter(|v| v.is_finite()).collect();
        let Some(last) = values.len().checked_sub(1) else { return Self { low: 0.0, high: 1.0 } };
        values.sort_unstable_by(f32::total_cmp);
        let [low, high] = BLACK_AND_WHITE.map(|share| values[(share * last as f64) as usize]);
        Self { low, high }
    }

    /// 0 (black) to 1 (white); black where a value is missing.
    pub fn share(&self, value: f32) -> f32 {
        let share = (value - self.low) / (self.high - self.low).max(f32::MIN_POSITIVE);
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// A share as a channel of a pixel.
pub(in crate::report) fn byte(share: f32) -> u8 {
    (255.0 * share.clamp(0.0, 1.0)).round() as u8
}

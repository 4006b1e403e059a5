//! What a normalisation does to one value.

use serde::{Deserialize, Serialize};

use super::NormaliseError;
use crate::image::Volume;

/// A strictly increasing function of the intensity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one per image, and it is copied freely")]
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
    /// Straight between knots, and beyond the outermost ones with the slope of the last piece.
    Piecewise(Knots),
}

/// Knots that one scale may have.
pub(super) const KNOTS_MAX: usize = 16;

/// A strictly increasing function by its knots.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(f64, f64)>", into = "Vec<(f64, f64)>")]
pub struct Knots {
    from: [f64; KNOTS_MAX],
    to: [f64; KNOTS_MAX],
    n: usize,
}

impl Knots {
    /// A function that takes each of `from` to its partner in `to`. Of knots that do not increase from the one before, the
    /// later ones are left out; the last one stays.
    pub(super) fn new(from: &[f64], to: &[f64]) -> Result<Self, NormaliseError> {
        let mut knots = Self { from: [0.0; KNOTS_MAX], to: [0.0; KNOTS_MAX], n: 0 };
        let (Some(end), Some(end_to)) = (from.last(), to.last()) else { return Err(NormaliseError::Standard) };
        for (at, value) in from.iter().zip(to).take(KNOTS_MAX) {
            let after_last = knots.last().is_none_or(|(last, last_to)| *at > last && *value > last_to);
            let is_end = at >= end || value >= end_to;
            if after_last && !is_end {
                knots.push(*at, *value);
            }
        }
        if knots.last().is_none_or(|(last, last_to)| !(last < *end && last_to < *end_to)) || from.len() > KNOTS_MAX {
            return Err(NormaliseError::Standard);
        }
        knots.push(*end, *end_to);
        Ok(knots)
    }

    fn last(&self) -> Option<(f64, f64)> {
        let last = self.n.checked_sub(1)?;
        Some((self.from[last], self.to[last]))
    }

    fn push(&mut self, at: f64, value: f64) {
        if self.n < KNOTS_MAX {
            (self.from[self.n], self.to[self.n]) = (at, value);
            self.n += 1;
        }
    }

    fn of(&self, value: f64) -> f64 {
        let from = &self.from[..self.n];
        // The piece that holds the value; the outermost ones go on.
        let piece = from.partition_point(|knot| *knot <= value).clamp(1, self.n.saturating_sub(1).max(1)) - 1;
        let slope = (self.to[piece + 1] - self.to[piece]) / (self.from[piece + 1] - self.from[piece]);
        self.to[piece] + (value - self.from[piece]) * slope
    }
}

impl TryFrom<Vec<(f64, f64)>> for Knots {
    type Error = NormaliseError;
    fn try_from(pairs: Vec<(f64, f64)>) -> Result<Self, NormaliseError> {
        let (from, to): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        Self::new(&from, &to)
    }
}

impl From<Knots> for Vec<(f64, f64)> {
    fn from(knots: Knots) -> Self {
        (0..knots.n).map(|index| (knots.from[index], knots.to[index])).collect()
    }
}

impl Scale {
    /// The new value of one intensity, in double precision.
    #[must_use]
    pub fn of(&self, value: f64) -> f64 {
        match self {
            Self::Unchanged => value,
            Self::Log => value.abs().ln_1p().copysign(value),
            Self::Linear { offset, divisor } => (value - offset) / divisor,
            Self::Piecewise(knots) => knots.of(value),
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

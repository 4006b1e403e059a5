//! Transforms of heavy-tailed features: harmonised on a scale where shifts and scales make sense, and brought back.

use serde::{Deserialize, Serialize};

use super::design::Design;
use super::settings::Transform;
use crate::math::qr::dot;
use crate::math::stats::skewness_and_kurtosis;

/// The transform of one feature.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum FeatureTransform {
    /// None.
    #[default]
    None,
    /// ln y
    Log,
    /// ((y / scale)^lambda - 1) / lambda (Box and Cox, J. R. Stat. Soc. B 1964).
    BoxCox {
        /// The exponent.
        lambda: f64,
        /// The geometric mean of the training values.
        scale: f64,
    },
}

/// A feature this skew, or with this much excess kurtosis, has a heavy tail.
const SKEWNESS_MIN: f64 = 1.0;
const KURTOSIS_MIN: f64 = 3.0;
/// Exponents that are tried.
const LAMBDA_RANGE: (f64, f64) = (-2.0, 2.0);
const LAMBDA_STEPS: usize = 40;
/// Below this the power is the logarithm.
const LAMBDA_ZERO: f64 = 1e-6;

impl FeatureTransform {
    /// The transform that a feature gets: none where it has no heavy tail within the batches, or a value that is not
    /// positive.
    pub(super) fn choose(kind: Transform, y: &[f64], design: &Design) -> Self {
        if kind == Transform::None || !y.iter().all(|value| *value > 0.0) {
            return Self::None;
        }
        let (skewness, kurtosis) = skewness_and_kurtosis(&design.residual(y));
        if skewness.abs() < SKEWNESS_MIN && kurtosis < KURTOSIS_MIN {
            return Self::None;
        }
        match kind {
            Transform::None => Self::None,
            Transform::Log => Self::Log,
            Transform::BoxCox => box_cox(y, design),
        }
    }

    /// The transformed value; none where it has none.
    #[must_use]
    pub fn forward(self, y: f64) -> Option<f64> {
        let transformed = match self {
            Self::None => return Some(y),
            Self::Log | Self::BoxCox { .. } if y <= 0.0 => return None,
            Self::Log => y.ln(),
            Self::BoxCox { lambda, scale } if lambda.abs() < LAMBDA_ZERO => (y / scale).ln(),
            Self::BoxCox { lambda, scale } => (y / scale).powf(lambda).mul_add(1.0, -1.0) / lambda,
        };
        transformed.is_finite().then_some(transformed)
    }

    /// The value of a transformed one; none where no value has it.
    #[must_use]
    pub fn inverse(self, t: f64) -> Option<f64> {
        let value = match self {
            Self::None => return Some(t),
            Self::Log => t.exp(),
            Self::BoxCox { lambda, scale } if lambda.abs() < LAMBDA_ZERO => scale * t.exp(),
            Self::BoxCox { lambda, scale } => {
                let base = 1.0 + lambda * t;
                if base <= 0.0 {
                    return None;
                }
                scale * base.powf(1.0 / lambda)
            }
        };
        value.is_finite().then_some(value)
    }
}

/// The exponent with the largest profile likelihood under the design: with values divided by their geometric mean, the
/// one with the smallest residual sum of squares. By golden section.
#[allow(clippy::cast_precision_loss)]
fn box_cox(y: &[f64], design: &Design) -> FeatureTransform {
    let scale = (y.iter().map(|value| value.ln()).sum::<f64>() / y.len() as f64).exp();
    let cost = |lambda: f64| {
        let transform = FeatureTransform::BoxCox { lambda, scale };
        let t: Vec<f64> = y.iter().map(|value| transform.forward(*value).unwrap_or(f64::INFINITY)).collect();
        let residual = design.residual(&t);
        dot(&residual, &residual)
    };
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    let (mut low, mut high) = LAMBDA_RANGE;
    let mut inner = [high - golden * (high - low), low + golden * (high - low)];
    let mut costs = inner.map(cost);
    for _ in 0..LAMBDA_STEPS {
        if costs[0] <= costs[1] {
            high = inner[1];
            inner = [high - golden * (high - low), inner[0]];
            costs = [cost(inner[0]), costs[0]];
        } else {
            low = inner[0];
            inner = [inner[1], low + golden * (high - low)];
            costs = [costs[1], cost(inner[1])];
        }
    }
    FeatureTransform::BoxCox { lambda: 0.5 * (low + high), scale }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;

    fn log_normal(n: usize) -> (Vec<f64>, Design) {
        let mut stream = Stream::new(2, 0, 0);
        let y = (0..n).map(|i| (stream.normal() + if i % 2 == 0 { 0.5 } else { 0.0 } + 7.0).exp()).collect();
        let batch_of = (0..n).map(|i| i % 2).collect();
        (y, Design::new(batch_of, 2, &[], None).unwrap())
    }

    #[test]
    fn the_exponent_of_log_normal_values_is_near_zero_and_the_transform_can_be_undone() {
        let (y, design) = log_normal(400);
        let chosen = FeatureTransform::choose(Transform::BoxCox, &y, &design);
        let FeatureTransform::BoxCox { lambda, .. } = chosen else { panic!("{chosen:?}") };
        assert!(lambda.abs() < 0.1, "{lambda}");
        for value in &y {
            assert_relative_eq!(chosen.inverse(chosen.forward(*value).unwrap()).unwrap(), *value, max_relative = 1e-10);
        }
        assert_eq!(FeatureTransform::choose(Transform::Log, &y, &design), FeatureTransform::Log);
    }

    #[test]
    fn values_that_are_not_positive_or_not_heavy_tailed_stay_as_they_are() {
        let (mut y, design) = log_normal(400);
        let logarithms: Vec<f64> = y.iter().map(|value| value.ln()).collect();
        assert_eq!(FeatureTransform::choose(Transform::Log, &logarithms, &design), FeatureTransform::None);
        y[0] = 0.0;
        assert_eq!(FeatureTransform::choose(Transform::BoxCox, &y, &design), FeatureTransform::None);
        assert_eq!(FeatureTransform::Log.forward(-1.0), None);
        assert_eq!(FeatureTransform::BoxCox { lambda: 0.5, scale: 1.0 }.inverse(-3.0), None);
    }
}

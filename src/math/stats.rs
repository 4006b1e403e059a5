//! Moments, quantiles and the Kolmogorov-Smirnov test.

use super::special::kolmogorov_tail;

/// The arithmetic mean; NaN of nothing.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sum of squared deviations from the mean.
#[must_use]
pub fn sum_of_squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean) * (value - mean)).sum()
}

/// The variance with divisor n - 1; NaN of fewer than two values.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn sample_variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    sum_of_squares(values) / (values.len() - 1) as f64
}

/// Skewness m3 / m2^1.5 and excess kurtosis m4 / m2^2 - 3 from central moments with divisor n; zeros where all are equal.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn skewness_and_kurtosis(values: &[f64]) -> (f64, f64) {
    let mean = mean(values);
    let moment = |power: i32| values.iter().map(|v| (v - mean).powi(power)).sum::<f64>() / values.len() as f64;
    let second = moment(2);
    if second.is_nan() || second <= 0.0 {
        return (0.0, 0.0);
    }
    (moment(3) / second.powf(1.5), moment(4) / (second * second) - 3.0)
}

/// A quantile of sorted values, linear between neighbours.
#[must_use]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn quantile(sorted: &[f64], level: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = level.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

/// The one-sample Kolmogorov-Smirnov test: the largest distance between the values' distribution and `cdf`, and its p value
/// by Stephens' approximation (J. R. Stat. Soc. B 1970), good from five values on.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn kolmogorov_smirnov(values: &[f64], cdf: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let mut distance = 0.0f64;
    for (idx, value) in sorted.iter().enumerate() {
        let p = cdf(*value);
        let (below, above) = (idx as f64 / n, (idx + 1) as f64 / n);
        distance = distance.max(p - below).max(above - p);
    }
    let root = n.sqrt();
    (distance, kolmogorov_tail((root + 0.12 + 0.11 / root) * distance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn moments_are_those_of_their_definitions() {
        // scipy.stats: skew, kurtosis
        let values = [0.1, 0.4, 1.7, -0.3, 2.2, 0.9];
        let (skewness, kurtosis) = skewness_and_kurtosis(&values);
        assert_relative_eq!(skewness, 0.312_517_352_705_690_87, epsilon = 1e-13);
        assert_relative_eq!(kurtosis, -1.315_509_549_195_174_8, epsilon = 1e-13);
        assert_relative_eq!(sample_variance(&[1.0, 2.0, 4.0]), 7.0 / 3.0, epsilon = 1e-15);
        assert!(sample_variance(&[1.0]).is_nan());
        assert_eq!(skewness_and_kurtosis(&[2.0; 4]), (0.0, 0.0));
    }

    #[test]
    fn quantiles_are_linear_between_values() {
        let sorted = [1.0, 2.0, 4.0];
        assert_relative_eq!(quantile(&sorted, 0.5), 2.0);
        assert_relative_eq!(quantile(&sorted, 0.75), 3.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_distance_between_distributions_has_its_p_value() {
        // scipy.stats.ks_1samp against the uniform distribution: D = 0.3, exact p = 0.2705
        let values = [0.05, 0.2, 0.33, 0.35, 0.61, 0.8, 0.83, 0.9, 0.95, 0.99];
        let (distance, p) = kolmogorov_smirnov(&values, |x| x.clamp(0.0, 1.0));
        assert_relative_eq!(distance, 0.3, epsilon = 1e-12);
        assert_relative_eq!(p, 0.2705, epsilon = 0.02);
    }
}

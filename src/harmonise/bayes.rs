//! Empirical Bayes: the shift and scale of one batch, each feature's estimate drawn towards what all features say.
//!
//! Johnson, Li, Rabinovic, Biostatistics 2007: for feature f of a batch of n samples, standardised values s, with
//! `gamma_hat` their mean and `delta_hat` their variance (divisor n - 1), priors gamma ~ N(`gamma_bar`, tau2) and
//! delta ~ inverse gamma(a, b) by the moments of the estimates over the features. The posterior means solve
//!
//! ```text
//! gamma* = (n tau2 gamma_hat + delta* gamma_bar) / (n tau2 + delta*)
//! delta* = (b + 1/2 sum (s - gamma*)^2) / (n/2 + a - 1)
//! ```
//!
//! Sums over samples are not needed again: sum (s - g)^2 = ss + n (`gamma_hat` - g)^2.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::math::stats::{mean, sample_variance};

/// What is known of one batch, one entry per feature.
#[derive(Debug, Clone, Default)]
pub(super) struct BatchStatistics {
    /// Means of the standardised values.
    pub gamma_hat: Vec<f64>,
    /// Their variances, or ones where the batch is only shifted.
    pub delta_hat: Vec<f64>,
    /// Their sums of squared deviations.
    pub ss: Vec<f64>,
    /// Samples that have a value.
    pub n: Vec<f64>,
}

/// The prior of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// Mean of the shifts.
    pub gamma_bar: f64,
    /// Variance of the shifts.
    pub tau2: f64,
    /// Shape of the scales' inverse gamma distribution; none where the batch is only shifted.
    pub a: Option<f64>,
    /// Its scale.
    pub b: Option<f64>,
}

/// The estimates of one batch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Posterior {
    pub gamma: Vec<f64>,
    pub delta: Vec<f64>,
    pub prior: Option<Prior>,
    /// Rounds of the fixed point; 0 where there is none.
    pub n_iterations: usize,
    pub converged: bool,
}

/// Rounds, at most: the published loop has no limit; real data settle within twenty.
const ITERATIONS_MAX: usize = 10_000;

/// The parametric estimate by the published fixed point. It ends when the largest change of any feature's shift or scale,
/// divided by the old value *with its sign* as in the published code, is at most `convergence`.
pub(super) fn parametric(batch: &BatchStatistics, convergence: f64) -> Posterior {
    let (gamma_bar, tau2) = (mean(&batch.gamma_hat), sample_variance(&batch.gamma_hat));
    let (m, s2) = (mean(&batch.delta_hat), sample_variance(&batch.delta_hat));
    // All scales alike: the prior is a point, and every posterior is that point.
    let point = s2.is_nan() || s2 <= f64::EPSILON * f64::EPSILON * m * m;
    let (a, b) = ((2.0 * s2 + m * m) / s2, (m * s2 + m * m * m) / s2);
    let mut gamma = batch.gamma_hat.clone();
    let mut delta = batch.delta_hat.clone();
    let (mut n_iterations, mut change) = (0, f64::INFINITY);
    while change > convergence && n_iterations < ITERATIONS_MAX {
        change = f64::NEG_INFINITY;
        for (idx, (g, d)) in gamma.iter_mut().zip(&mut delta).enumerate() {
            let (n, hat) = (batch.n[idx], batch.gamma_hat[idx]);
            let new_gamma = shifted(n, hat, *d, gamma_bar, tau2);
            let sum = batch.ss[idx] + n * (hat - new_gamma) * (hat - new_gamma);
            let new_delta = if point { m } else { (b + 0.5 * sum) / (0.5 * n + a - 1.0) };
            change = change.max((new_gamma - *g).abs() / *g).max((new_delta - *d).abs() / *d);
            (*g, *d) = (new_gamma, new_delta);
        }
        n_iterations += 1;
    }
    let prior = Prior { gamma_bar, tau2, a: (!point).then_some(a), b: (!point).then_some(b) };
    Posterior { gamma, delta, prior: Some(prior), n_iterations, converged: change <= convergence }
}

/// The parametric estimate of a shift alone. As published, it weighs every estimate as one sample of variance 1.
pub(super) fn parametric_mean_only(batch: &BatchStatistics) -> Posterior {
    let (gamma_bar, tau2) = (mean(&batch.gamma_hat), sample_variance(&batch.gamma_hat));
    let gamma = batch.gamma_hat.iter().map(|hat| shifted(1.0, *hat, 1.0, gamma_bar, tau2)).collect();
    let prior = Prior { gamma_bar, tau2, a: None, b: None };
    let delta = vec![1.0; batch.gamma_hat.len()];
    Posterior { gamma, delta, prior: Some(prior), n_iterations: 0, converged: true }
}

fn shifted(n: f64, hat: f64, delta: f64, gamma_bar: f64, tau2: f64) -> f64 {
    (n * tau2 * hat + delta * gamma_bar) / (n * tau2 + delta)
}

/// The non-parametric estimate: the mean of the *other* features' estimates, each weighted by how likely it makes this
/// feature's values. Weights are handled as logarithms: at some hundred samples the likelihoods themselves are all zero in
/// double precision.
pub(super) fn nonparametric(batch: &BatchStatistics) -> Posterior {
    let estimate = |feature: usize| {
        let (n, hat, ss) = (batch.n[feature], batch.gamma_hat[feature], batch.ss[feature]);
        let others = batch.gamma_hat.iter().zip(&batch.delta_hat).enumerate().filter(|(idx, _)| *idx != feature);
        let ln_weight = |g: f64, d: f64| {
            let sum = ss + n * (hat - g) * (hat - g);
            -0.5 * n * (2.0 * std::f64::consts::PI * d).ln() - 0.5 * sum / d
        };
        let weights: Vec<(f64, f64, f64)> = others.map(|(_, (g, d))| (ln_weight(*g, *d), *g, *d)).collect();
        let largest = weights.iter().map(|(weight, _, _)| *weight).fold(f64::NEG_INFINITY, f64::max);
        let (mut total, mut gamma, mut delta) = (0.0, 0.0, 0.0);
        for (weight, g, d) in weights {
            let weight = (weight - largest).exp();
            total += weight;
            gamma += weight * g;
            delta += weight * d;
        }
        (gamma / total, delta / total)
    };
    let (gamma, delta) = (0..batch.gamma_hat.len()).into_par_iter().map(estimate).unzip();
    Posterior { gamma, delta, prior: None, n_iterations: 0, converged: true }
}

/// The estimates as they are.
pub(super) fn unshrunken(batch: &BatchStatistics) -> Posterior {
    let (gamma, delta) = (batch.gamma_hat.clone(), batch.delta_hat.clone());
    Posterior { gamma, delta, prior: None, n_iterations: 0, converged: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn batch(n: f64) -> BatchStatistics {
        let gamma_hat = vec![0.4, -0.2, 0.9, 0.1];
        let delta_hat = vec![1.3, 0.7, 1.1, 0.9];
        let ss = delta_hat.iter().map(|delta| delta * (n - 1.0)).collect();
        BatchStatistics { gamma_hat, delta_hat, ss, n: vec![n; 4] }
    }

    #[test]
    fn the_fixed_point_solves_both_equations() {
        let batch = batch(12.0);
        let found = parametric(&batch, 1e-13);
        let prior = found.prior.unwrap();
        for idx in 0..4 {
            let (g, d, n) = (found.gamma[idx], found.delta[idx], 12.0);
            let gamma = (n * prior.tau2 * batch.gamma_hat[idx] + d * prior.gamma_bar) / (n * prior.tau2 + d);
            let sum = batch.ss[idx] + n * (batch.gamma_hat[idx] - g).powi(2);
            assert_relative_eq!(g, gamma, epsilon = 1e-10);
            let delta = (prior.b.unwrap() + 0.5 * sum) / (0.5 * n + prior.a.unwrap() - 1.0);
            assert_relative_eq!(d, delta, epsilon = 1e-10);
        }
        assert!(found.converged && found.n_iterations > 2);
    }

    #[test]
    fn many_samples_do_not_underflow() {
        let found = nonparametric(&batch(5000.0));
        assert!(found.gamma.iter().chain(&found.delta).all(|value| value.is_finite()));
        // The nearest other feature takes all the weight.
        assert_relative_eq!(found.gamma[2], 0.4, epsilon = 1e-6);
    }

    #[test]
    fn equal_scales_leave_a_point_for_a_prior() {
        let mut batch = batch(8.0);
        batch.delta_hat = vec![1.5; 4];
        let found = parametric(&batch, 1e-4);
        assert!(found.delta.iter().all(|delta| (delta - 1.5).abs() < 1e-12));
        assert!(found.gamma.iter().all(|gamma| gamma.is_finite()));
    }
}

//! A mixture of Gaussian distributions, fitted by expectation-maximisation from the clusters of k-means.

use rayon::prelude::*;

use super::means::{Clusters, Points};
use crate::features::diagnostics::CHUNK;
use crate::math::cholesky::Cholesky;

/// Rounds after which the fit ends all the same.
const ROUNDS_MAX: usize = 200;

/// The gain in mean log-likelihood below which it has ended.
const GAIN_MIN: f64 = 1e-7;

/// What is added to each variance, in units of the whole image's: a component never shrinks to a point.
const RIDGE: f64 = 1e-4;

/// One Gaussian distribution.
struct Component {
    mean: Vec<f64>,
    /// Inverse of the covariance, row by row.
    precision: Vec<f64>,
    /// Logarithm of weight / sqrt(det(2 pi covariance)).
    scale: f64,
}

impl Component {
    /// From its share of `n` points and their first and second moments about the old mean.
    fn new(share: f64, mean: Vec<f64>, mut covariance: Vec<Vec<f64>>) -> Option<Self> {
        let d = mean.len();
        (0..d).for_each(|i| covariance[i][i] += RIDGE);
        let factor = Cholesky::new(&covariance)?;
        let unit = |at: usize| (0..d).map(|i| if i == at { 1.0 } else { 0.0 }).collect::<Vec<f64>>();
        // The diagonal of the factor's inverse has the reciprocal roots of the determinant's factors.
        let half_log_det: f64 = (0..d).map(|i| -factor.solve_lower(&unit(i))[i].ln()).sum();
        let scale = share.ln() - half_log_det - 0.5 * d as f64 * std::f64::consts::TAU.ln();
        Some(Self { mean, precision: factor.inverse().concat(), scale })
    }

    fn log_density(&self, point: &[f64]) -> f64 {
        let d = self.mean.len();
        let mut square = 0.0;
        for (row, (at, mean)) in self.precision.chunks_exact(d).zip(point.iter().zip(&self.mean)) {
            for (precision, (other, other_mean)) in row.iter().zip(point.iter().zip(&self.mean)) {
                square += (at - mean) * precision * (other - other_mean);
            }
        }
        self.scale - 0.5 * square
    }
}

/// The most likely component of each point, starting from clusters; the clusters where no mixture can be fitted.
pub(super) fn refine(points: Points, clusters: Clusters) -> Vec<u8> {
    let k = clusters.centres.len();
    let hard = |at: usize, label: usize| f64::from(u8::from(usize::from(clusters.labels[at]) == label));
    let Some(mut components) = maximise(points, k, &hard) else { return clusters.labels };
    let mut last = f64::NEG_INFINITY;
    for _ in 0..ROUNDS_MAX {
        let parts: Vec<(Vec<f64>, f64)> = points.chunks().map(|chunk| expect(chunk, points.d, &components)).collect();
        let likelihood = parts.iter().map(|(_, sum)| sum).sum::<f64>() / points.len() as f64;
        let shares: Vec<f64> = parts.into_iter().flat_map(|(shares, _)| shares).collect();
        let Some(next) = maximise(points, k, &|at, label| shares[at * k + label]) else { break };
        components = next;
        if likelihood - last < GAIN_MIN {
            break;
        }
        last = likelihood;
    }
    let likeliest = |point: &[f64]| {
        let densities = components.iter().map(|component| component.log_density(point));
        let best = (0u8..).zip(densities).reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or(0, |(label, _)| label)
    };
    let parts: Vec<Vec<u8>> =
        points.chunks().map(|chunk| chunk.chunks_exact(points.d).map(likeliest).collect()).collect();
    parts.concat()
}

/// The share of each component in each point, and the sum of the points' log-likelihoods.
fn expect(chunk: &[f64], d: usize, components: &[Component]) -> (Vec<f64>, f64) {
    let (mut shares, mut sum) = (Vec::with_capacity(chunk.len() / d * components.len()), 0.0);
    for point in chunk.chunks_exact(d) {
        let first = shares.len();
        shares.extend(components.iter().map(|component| component.log_density(point)));
        let most = shares[first..].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        shares[first..].iter_mut().for_each(|share| *share = (*share - most).exp());
        let total: f64 = shares[first..].iter().sum();
        shares[first..].iter_mut().for_each(|share| *share /= total);
        sum += most + total.ln();
    }
    (shares, sum)
}

/// The components that fit best to shares of the points; `None` where one of them has none.
fn maximise(points: Points, k: usize, share: &(dyn Fn(usize, usize) -> f64 + Sync)) -> Option<Vec<Component>> {
    let (d, width) = (points.d, 1 + points.d + points.d * points.d);
    let parts: Vec<Vec<f64>> = points
        .chunks()
        .enumerate()
        .map(|(chunk, values)| {
            let mut sums = vec![0.0; k * width];
            for (at, point) in values.chunks_exact(d).enumerate() {
                for (label, sums) in sums.chunks_exact_mut(width).enumerate() {
                    let weight = share(chunk * CHUNK + at, label);
                    sums[0] += weight;
                    for i in 0..d {
                        sums[1 + i] += weight * point[i];
                        for j in 0..d {
                            sums[1 + d + i * d + j] += weight * point[i] * point[j];
                        }
                    }
                }
            }
            sums
        })
        .collect();
    let sum = |at: usize| parts.iter().map(|part| part[at]).sum::<f64>();
    (0..k)
        .map(|label| {
            let weight = sum(label * width);
            if weight <= 0.0 {
                return None;
            }
            let mean: Vec<f64> = (0..d).map(|i| sum(label * width + 1 + i) / weight).collect();
            let second = |i: usize, j: usize| sum(label * width + 1 + d + i * d + j) / weight - mean[i] * mean[j];
            let covariance = (0..d).map(|i| (0..d).map(|j| second(i, j)).collect()).collect();
            Component::new(weight / points.len() as f64, mean, covariance)
        })
        .collect()
}

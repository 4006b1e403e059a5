//! What blocks share before any model: not what they predict together.
//!
//! For two blocks with standardised columns A and B of n patients, the cross-covariance is C = A'B / n. Its Frobenius norm
//! is compared with that after B's patients are permuted (z and p), once as it is and once with log volume regressed out of
//! both: size alone makes most radiomic features go together. The RV coefficient (Robert and Escoufier 1976) is
//! |A'B|^2 / (|A'A| |B'B|); canonical correlations are those of the blocks' first principal components.
//!
//! A large norm says that blocks carry the same information. It does not say that a model of both predicts better: that is
//! the difference of their cross-validated discrimination.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::design::mean_and_sd;
use crate::math::eigen::symmetric_eigen;
use crate::math::qr::{add_scaled, dot};
use crate::math::random::Stream;

/// What two blocks share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Synergy {
    /// The blocks' names.
    pub blocks: [String; 2],
    /// Patients who have both.
    pub n: usize,
    /// Frobenius norm of the cross-covariance.
    pub frobenius: f64,
    /// Against the permutation null: how many standard deviations above its mean.
    pub z: f64,
    /// The part of permutations that reach it.
    pub p: f64,
    /// The same with log volume regressed out, where it is known.
    pub without_volume: Option<Shared>,
    /// RV coefficient.
    pub rv: f64,
    /// Leading canonical correlations.
    pub canonical: Vec<f64>,
    /// The part of permutations whose first canonical correlation reaches the first.
    pub canonical_p: f64,
}

/// A norm and its permutation null.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shared {
    /// Frobenius norm.
    pub frobenius: f64,
    /// Against the null.
    pub z: f64,
    /// Against the null.
    pub p: f64,
}

const PURPOSE: u64 = 230;
/// Principal components that canonical correlations are made of.
const N_COMPONENTS: usize = 3;

/// Columns of one block, one value per patient.
pub type Columns = Vec<Vec<f64>>;

/// Compares two blocks of the same patients; missing values must have been replaced. The result depends on the seed alone.
#[must_use]
pub fn synergy(
    blocks: [&str; 2],
    [a, b]: [&Columns; 2],
    log_volume: Option<&[f64]>,
    n_permutations: usize,
    seed: u64,
) -> Synergy {
    let (a, b) = (standardised(a.clone()), standardised(b.clone()));
    let n = a.first().map_or(0, Vec::len);
    let orders: Vec<Vec<usize>> = (0..n_permutations)
        .map(|idx| {
            let mut order: Vec<usize> = (0..n).collect();
            Stream::new(seed, PURPOSE, idx as u64).shuffle(&mut order);
            order
        })
        .collect();
    let whole = shared(&a, &b, &orders);
    let without_volume = log_volume.map(|volume| {
        let volume = standardised(vec![volume.to_vec()]);
        let out = |columns: &Columns| standardised(columns.iter().map(|column| residual(column, &volume)).collect());
        shared(&out(&a), &out(&b), &orders)
    });
    let (x, y) = (components(&a), components(&b));
    let canonical = canonical(&x, &y);
    let first = canonical.first().copied().unwrap_or(0.0);
    let reached = |order: &Vec<usize>| self::canonical(&x, &permuted(&y, order)).first().is_some_and(|r| *r >= first);
    let n_reached = orders.par_iter().filter(|order| reached(order)).count();
    Synergy {
        blocks: blocks.map(str::to_owned),
        n,
        frobenius: whole.frobenius,
        z: whole.z,
        p: whole.p,
        without_volume,
        rv: rv(&a, &b),
        canonical,
        canonical_p: part(n_reached, orders.len()),
    }
}

/// Frobenius norm of the cross-covariance of standardised columns.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn cross_covariance(a: &Columns, b: &Columns) -> f64 {
    let n = a.first().map_or(1, Vec::len).max(1) as f64;
    a.iter().map(|x| b.iter().map(|y| (dot(x, y) / n).powi(2)).sum::<f64>()).sum::<f64>().sqrt()
}

#[allow(clippy::cast_precision_loss)]
fn part(n: usize, of: usize) -> f64 {
    (n as f64 + 1.0) / (of as f64 + 1.0)
}

fn shared(a: &Columns, b: &Columns, orders: &[Vec<usize>]) -> Shared {
    let frobenius = cross_covariance(a, b);
    let null: Vec<f64> = orders.par_iter().map(|order| cross_covariance(a, &permuted(b, order))).collect();
    let (mean, sd) = mean_and_sd(&null);
    let z = if sd > 0.0 { (frobenius - mean) / sd } else { 0.0 };
    Shared { frobenius, z, p: part(null.iter().filter(|value| **value >= frobenius).count(), null.len()) }
}

fn permuted(columns: &Columns, order: &[usize]) -> Columns {
    columns.iter().map(|column| order.iter().map(|row| column[*row]).collect()).collect()
}

/// Mean 0, variance 1; columns without spread are left out.
#[must_use]
pub fn standardised(columns: Columns) -> Columns {
    let one = |mut column: Vec<f64>| {
        let (mean, sd) = mean_and_sd(&column);
        if sd <= 1e-12 * mean.abs() || sd <= 0.0 {
            return None;
        }
        column.iter_mut().for_each(|value| *value = (*value - mean) / sd);
        Some(column)
    };
    columns.into_iter().filter_map(one).collect()
}

#[allow(clippy::cast_precision_loss)]
fn residual(column: &[f64], on: &Columns) -> Vec<f64> {
    let mut left = column.to_vec();
    for other in on {
        add_scaled(&mut left, -dot(column, other) / column.len() as f64, other);
    }
    left
}

fn rv(a: &Columns, b: &Columns) -> f64 {
    let scale = cross_covariance(a, a) * cross_covariance(b, b);
    if scale > 0.0 { cross_covariance(a, b).powi(2) / scale } else { 0.0 }
}

/// The first principal components at length 1.
fn components(columns: &Columns) -> Columns {
    let n = columns.first().map_or(0, Vec::len);
    let gram: Vec<Vec<f64>> = columns.iter().map(|x| columns.iter().map(|y| dot(x, y)).collect()).collect();
    let eigen = symmetric_eigen(&gram);
    let largest = eigen.values.first().copied().unwrap_or(0.0);
    let kept = eigen.values.iter().zip(&eigen.vectors).take(N_COMPONENTS).filter(|(value, _)| **value > 1e-9 * largest);
    kept.map(|(value, vector)| {
        let mut score = vec![0.0; n];
        columns.iter().zip(vector).for_each(|(column, factor)| add_scaled(&mut score, *factor, column));
        score.iter_mut().for_each(|x| *x /= value.sqrt());
        score
    })
    .collect()
}

/// Canonical correlations of two sets of orthonormal columns: the singular values of X'Y.
fn canonical(x: &Columns, y: &Columns) -> Vec<f64> {
    let product: Vec<Vec<f64>> = x.iter().map(|a| y.iter().map(|b| dot(a, b)).collect()).collect();
    let gram: Vec<Vec<f64>> = product.iter().map(|a| product.iter().map(|b| dot(a, b)).collect()).collect();
    symmetric_eigen(&gram).values.iter().take(y.len()).map(|value| value.clamp(0.0, 1.0).sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(shared: f64, by_volume: f64) -> (Columns, Columns, Vec<f64>) {
        let mut stream = Stream::new(6, 0, 0);
        let mut normal = |n: usize| (0..n).map(|_| stream.normal()).collect::<Vec<f64>>();
        let (factor, volume) = (normal(120), normal(120));
        let mut block = |n: usize| -> Columns {
            let one = |noise: Vec<f64>| {
                noise.iter().zip(&factor).zip(&volume).map(|((e, f), v)| e + shared * f + by_volume * v).collect()
            };
            (0..n).map(|_| one(normal(120))).collect()
        };
        let (a, b) = (block(8), block(6));
        (a, b, volume)
    }

    #[test]
    fn blocks_that_share_a_factor_are_told_from_blocks_that_share_only_size() {
        let (a, b, volume) = blocks(1.0, 0.0);
        let found = synergy(["CT", "PT"], [&a, &b], Some(&volume), 99, 1);
        assert!(found.p <= 0.01 && found.z > 5.0 && found.canonical[0] > 0.7 && found.canonical_p <= 0.01, "{found:?}");
        assert!(found.without_volume.unwrap().p <= 0.01);
        let (a, b, volume) = blocks(0.0, 1.0);
        let found = synergy(["CT", "PT"], [&a, &b], Some(&volume), 99, 1);
        assert!(found.p <= 0.01 && found.without_volume.unwrap().p > 0.05, "{found:?}");
        let (a, b, _) = blocks(0.0, 0.0);
        let found = synergy(["CT", "PT"], [&a, &b], None, 99, 1);
        assert!(found.p > 0.05 && found.rv < 0.2, "{found:?}");
        assert_eq!(found, synergy(["CT", "PT"], [&a, &b], None, 99, 1));
    }
}

//! Intermediate fusion with linear encoders: each block becomes a few components, and these one prediction.
//!
//! Principal components are the directions of most variance, whatever the outcome. Partial least squares (Wold's PLS1) takes
//! the direction of most covariance with the outcome's residual, and the next in what the first leaves. Codes have variance
//! 1 in training; a missing block has the code 0, its mean.

use serde::{Deserialize, Serialize};

use super::body::{Method, Row, Scored};
use super::design::{Design, mean_and_sd};
use super::elastic_net::gradient;
use super::error::FuseError;
use super::head::{Head, InnerDesign, base};
use super::nest::{Nest, Table};
use super::outcome::Outcome;
use crate::math::eigen::symmetric_eigen;
use crate::math::qr::{add_scaled, dot};

/// A fitted intermediate fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intermediate {
    /// One encoder per block.
    pub encoders: Vec<Encoder>,
    /// The linear predictor over all codes.
    pub head: Head,
}

/// From a block's standardised features to its code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    /// One row per component: its weight on each feature.
    pub components: Vec<Vec<f64>>,
}

/// Components per block.
const N_COMPONENTS: usize = 2;

impl Intermediate {
    pub(super) fn fit(method: Method, nest: &Nest, blocks: &[usize]) -> Result<Self, FuseError> {
        let encoders = encoders(method, &nest.train, blocks);
        let inner = nest.inner.iter().map(|fold| {
            let encoders = self::encoders(method, &fold.train, blocks);
            Ok(InnerDesign {
                train: codes(&encoders, &fold.train, blocks)?,
                train_outcome: &fold.train.outcome,
                train_rows: &fold.train_rows,
                test: codes(&encoders, &fold.test, blocks)?,
                test_rows: &fold.test_rows,
            })
        });
        let inner = inner.collect::<Result<Vec<_>, FuseError>>()?;
        let (head, _) = Head::fit(&codes(&encoders, &nest.train, blocks)?, &nest.train.outcome, &inner)?;
        Ok(Self { encoders, head })
    }

    pub(super) fn refit(&self, table: &Table, blocks: &[usize]) -> Result<Self, FuseError> {
        let head = self.head.refit(&codes(&self.encoders, table, blocks)?, &table.outcome)?;
        Ok(Self { head, ..self.clone() })
    }

    pub(super) fn score(&self, row: Row<'_>) -> Scored {
        let mut slopes = self.head.slopes.iter();
        let mut contributions = Vec::with_capacity(row.len());
        for (encoder, values) in self.encoders.iter().zip(row) {
            let code = encoder.code(values.as_deref());
            contributions.push(code.iter().zip(slopes.by_ref()).map(|(code, slope)| code * slope).sum());
        }
        Scored { linear: self.head.intercept + contributions.iter().sum::<f64>(), contributions }
    }
}

impl Encoder {
    /// The code of a block; zeros where it is missing.
    fn code(&self, values: Option<&[f64]>) -> Vec<f64> {
        self.components.iter().map(|component| values.map_or(0.0, |values| dot(component, values))).collect()
    }

    /// Scales each component to codes of variance 1.
    fn scaled(mut self, rows: &[&Vec<f64>]) -> Self {
        for component in &mut self.components {
            let scores: Vec<f64> = rows.iter().map(|row| dot(component, row)).collect();
            let (_, sd) = mean_and_sd(&scores);
            if sd > 0.0 {
                component.iter_mut().for_each(|weight| *weight /= sd);
            }
        }
        self
    }
}

fn encoders(method: Method, table: &Table, blocks: &[usize]) -> Vec<Encoder> {
    let encoder = |block: &usize| {
        let rows: Vec<&Vec<f64>> = table.all[*block].rows.iter().flatten().collect();
        let outcome = table.outcome.of(&table.present(*block));
        let components = match method {
            Method::IntermediatePls => least_squares(&rows, &outcome),
            _ => principal(&rows),
        };
        Encoder { components }.scaled(&rows)
    };
    blocks.iter().map(encoder).collect()
}

fn codes(encoders: &[Encoder], table: &Table, blocks: &[usize]) -> Result<Design, FuseError> {
    let mut columns = Vec::new();
    for (encoder, block) in encoders.iter().zip(blocks) {
        let codes: Vec<Vec<f64>> =
            table.all[*block].rows.iter().map(|values| encoder.code(values.as_deref())).collect();
        columns.extend((0..encoder.components.len()).map(|k| codes.iter().map(|code| code[k]).collect()));
    }
    Design::new(table.n_rows(), columns)
}

/// The first principal components, by the smaller of the two Gram matrices.
fn principal(rows: &[&Vec<f64>]) -> Vec<Vec<f64>> {
    let p = rows.first().map_or(0, |row| row.len());
    if rows.len() < p {
        let gram: Vec<Vec<f64>> = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
        let eigen = symmetric_eigen(&gram);
        let of = |vector: &Vec<f64>| {
            let mut component = vec![0.0; p];
            vector.iter().zip(rows).for_each(|(factor, row)| add_scaled(&mut component, *factor, row));
            component
        };
        return eigen.vectors.iter().take(N_COMPONENTS).map(of).collect();
    }
    let mut gram = vec![vec![0.0; p]; p];
    for row in rows {
        for (sums, value) in gram.iter_mut().zip(row.iter()) {
            add_scaled(sums, *value, row);
        }
    }
    symmetric_eigen(&gram).vectors.into_iter().take(N_COMPONENTS).collect()
}

/// PLS1: weights w = X'r, scores t = X w, and X less its projection on t for the next. The weights returned apply to the
/// block as it is, not as deflated.
fn least_squares(rows: &[&Vec<f64>], outcome: &Outcome) -> Vec<Vec<f64>> {
    let p = rows.first().map_or(0, |row| row.len());
    let residual = gradient(&vec![base(outcome); rows.len()], outcome);
    let mut deflated: Vec<Vec<f64>> = rows.iter().map(|row| (*row).clone()).collect();
    let (mut components, mut loadings): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
    for _ in 0..N_COMPONENTS.min(p) {
        let mut weights = vec![0.0; p];
        deflated.iter().zip(&residual).for_each(|(row, r)| add_scaled(&mut weights, *r, row));
        let length = dot(&weights, &weights).sqrt();
        if length <= 1e-12 {
            break;
        }
        weights.iter_mut().for_each(|weight| *weight /= length);
        let scores: Vec<f64> = deflated.iter().map(|row| dot(row, &weights)).collect();
        let square = dot(&scores, &scores);
        let mut loading = vec![0.0; p];
        deflated.iter().zip(&scores).for_each(|(row, t)| add_scaled(&mut loading, *t / square, row));
        deflated.iter_mut().zip(&scores).for_each(|(row, t)| add_scaled(row, -t, &loading));
        // r_k = w_k less what the components before it already take.
        let mut component = weights;
        for (before, p_before) in components.iter().zip(&loadings).rev() {
            let part = dot(p_before, &component);
            add_scaled(&mut component, -part, before);
        }
        components.push(component);
        loadings.push(loading);
    }
    components
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;

    #[test]
    fn the_first_component_of_either_kind_is_the_factor_that_all_features_share() {
        let mut stream = Stream::new(3, 0, 0);
        for (n, p) in [(200, 12), (20, 30)] {
            let factor: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
            let rows: Vec<Vec<f64>> =
                factor.iter().map(|z| (0..p).map(|_| z + 0.7 * stream.normal()).collect()).collect();
            let rows: Vec<&Vec<f64>> = rows.iter().collect();
            let outcome = Outcome::Binary(factor.iter().map(|z| *z > 0.0).collect());
            for components in [principal(&rows), least_squares(&rows, &outcome)] {
                let code: Vec<f64> = rows.iter().map(|row| dot(&components[0], row)).collect();
                let (mean, sd) = mean_and_sd(&code);
                let (factor_mean, factor_sd) = mean_and_sd(&factor);
                let both: f64 = code.iter().zip(&factor).map(|(a, b)| (a - mean) * (b - factor_mean)).sum();
                assert!((both / (n as f64 * sd * factor_sd)).abs() > 0.95);
            }
        }
    }

    #[test]
    fn scores_of_partial_least_squares_are_orthogonal() {
        let mut stream = Stream::new(4, 0, 0);
        let rows: Vec<Vec<f64>> = (0..80).map(|_| (0..6).map(|_| stream.normal()).collect()).collect();
        let rows: Vec<&Vec<f64>> = rows.iter().collect();
        let outcome = Outcome::Binary((0..80).map(|i| i % 3 == 0).collect());
        let components = least_squares(&rows, &outcome);
        let scores = |k: usize| rows.iter().map(|row| dot(&components[k], row)).collect::<Vec<f64>>();
        let (a, b) = (scores(0), scores(1));
        assert_relative_eq!(dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt(), 0.0, epsilon = 1e-10);
    }
}

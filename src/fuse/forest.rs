//! Early fusion by a random forest (Breiman 2001): all blocks side by side, a missing block as its training medians and an
//! indicator.
//!
//! Trees are grown by the crate `smartcore` with a seed and kept as plain nodes: a bundle does not depend on the crate that
//! grew it. Each tree predicts the outcome as 0 and 1, or for survival the martingale residual of the model without
//! covariates (Therneau, Grambsch and Fleming 1990). The mean over the trees becomes a linear predictor by a regression of
//! the outcome on what each training row gets from the trees that did not see it (out of bag; Platt 1999); a slope below 0 is
//! 0: the forest knows nothing then.
//!
//! A forest has no coefficients. What a block contributed is its Shapley value.

use serde::{Deserialize, Serialize};
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

use super::body::{Row, Scored};
use super::design::Design;
use super::elastic_net::{ElasticNet, Lambdas, LinearModel, cox_path, logistic_path};
use super::error::FuseError;
use super::head::base;
use super::nest::Table;
use super::outcome::{Outcome, Survival};
use super::shapley::shapley;

/// A fitted forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// The trees.
    pub trees: Vec<Tree>,
    /// From the mean over the trees to the linear predictor: intercept and slope.
    pub link: [f64; 2],
    /// What stands in for each block.
    pub fills: Vec<Vec<f64>>,
    /// Whether a block has an indicator.
    pub indicators: Vec<bool>,
}

/// One tree; its first node is the root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree(Vec<Node>);

/// One node: the value of a leaf, or a column, a threshold, and where rows go that are not above it and that are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Node {
    Leaf(f64),
    Split(usize, f64, usize, usize),
}

const N_TREES: usize = 200;
/// Trees of a member of the ensemble: their spread is what counts, not the last digit of each.
const N_TREES_OF_MEMBER: usize = 50;
const LEAF_MIN: usize = 3;

impl Forest {
    pub(super) fn fit(table: &Table, blocks: &[usize], seed: u64) -> Result<Self, FuseError> {
        let indicators: Vec<bool> = blocks.iter().map(|block| table.present(*block).len() < table.n_rows()).collect();
        let fills = blocks.iter().map(|block| table.chosen[*block].fill.clone()).collect();
        let design = table.design(blocks, &indicators)?;
        let targets = targets(&table.outcome);
        let (trees, out_of_bag) = grown(&design, &targets, N_TREES, seed)?;
        Ok(Self { trees, link: link(&out_of_bag, &table.outcome)?, fills, indicators })
    }

    /// Trees of other rows, with the link as it is: of rows that are there twice none is out of a bag.
    pub(super) fn refit(&self, table: &Table, blocks: &[usize], seed: u64) -> Result<Self, FuseError> {
        let design = table.design(blocks, &self.indicators)?;
        let (trees, _) = grown(&design, &targets(&table.outcome), N_TREES_OF_MEMBER, seed)?;
        Ok(Self { trees, ..self.clone() })
    }

    pub(super) fn score(&self, row: Row<'_>) -> Scored {
        let linear = self.linear(row, &|block| row[block].is_some());
        let present: Vec<usize> = (0..row.len()).filter(|block| row[*block].is_some()).collect();
        Scored { linear, contributions: shapley(&present, row.len(), |counts| self.linear(row, counts)) }
    }

    /// The linear predictor with those blocks that count; the others are missing.
    #[allow(clippy::cast_precision_loss)]
    fn linear(&self, row: Row<'_>, counts: &dyn Fn(usize) -> bool) -> f64 {
        let mut values = Vec::new();
        for (block, (known, fill)) in row.iter().zip(&self.fills).enumerate() {
            let known = known.as_ref().filter(|_| counts(block));
            values.extend(known.unwrap_or(fill));
            if self.indicators.get(block).copied().unwrap_or(false) {
                values.push(f64::from(u8::from(known.is_none())));
            }
        }
        let sum: f64 = self.trees.iter().map(|tree| tree.value(&values)).sum();
        let [intercept, slope] = self.link;
        intercept + slope * sum / self.trees.len().max(1) as f64
    }
}

impl Tree {
    fn value(&self, row: &[f64]) -> f64 {
        let mut at = 0;
        // A path is no longer than the tree.
        for _ in 0..=self.0.len() {
            match self.0.get(at) {
                Some(Node::Leaf(value)) => return *value,
                Some(Node::Split(column, threshold, below, above)) => {
                    let is_below = row.get(*column).is_some_and(|value| value <= threshold);
                    at = if is_below { *below } else { *above };
                }
                None => break,
            }
        }
        f64::NAN
    }
}

/// What the trees learn: 0 and 1, or the events of each patient less those expected by its follow-up (Nelson and Aalen).
fn targets(outcome: &Outcome) -> Vec<f64> {
    match outcome {
        Outcome::Binary(events) => events.iter().map(|event| f64::from(u8::from(*event))).collect(),
        Outcome::Survival(follow_up) => {
            let steps = super::metrics::baseline_hazard(&vec![0.0; follow_up.len()], follow_up);
            let expected = |patient: &Survival| {
                steps.iter().take_while(|(time, _)| *time <= patient.time).last().map_or(0.0, |(_, hazard)| *hazard)
            };
            follow_up.iter().map(|patient| f64::from(u8::from(patient.event)) - expected(patient)).collect()
        }
    }
}

/// The trees as the crate writes them.
#[derive(Deserialize)]
struct Written {
    forest_regressor: WrittenForest,
}

#[derive(Deserialize)]
struct WrittenForest {
    trees: Vec<WrittenTree>,
}

#[derive(Deserialize)]
struct WrittenTree {
    nodes: Vec<WrittenNode>,
}

#[derive(Deserialize)]
struct WrittenNode {
    output: f64,
    split_feature: usize,
    split_value: Option<f64>,
    true_child: Option<usize>,
    false_child: Option<usize>,
}

impl From<WrittenNode> for Node {
    fn from(node: WrittenNode) -> Self {
        match (node.split_value, node.true_child, node.false_child) {
            (Some(threshold), Some(below), Some(above)) => Self::Split(node.split_feature, threshold, below, above),
            _ => Self::Leaf(node.output),
        }
    }
}

/// Trees grown from rows, and what each row gets from those that did not see it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn grown(design: &Design, targets: &Vec<f64>, n_trees: usize, seed: u64) -> Result<(Vec<Tree>, Vec<f64>), FuseError> {
    let n_rows = design.n_rows();
    let n_columns = design.columns().len();
    if n_columns == 0 {
        let mean = targets.iter().sum::<f64>() / n_rows.max(1) as f64;
        return Ok((vec![Tree(vec![Node::Leaf(mean)])], vec![mean; n_rows]));
    }
    let failed = |_| FuseError::NoConvergence("the random forest");
    let rows: Vec<Vec<f64>> =
        (0..n_rows).map(|row| design.columns().iter().map(|column| column[row]).collect()).collect();
    let x = DenseMatrix::from_2d_vec(&rows).map_err(failed)?;
    let parameters = RandomForestRegressorParameters::default()
        .with_n_trees(n_trees)
        .with_m(((n_columns as f64).sqrt().ceil() as usize).clamp(1, n_columns))
        .with_min_samples_leaf(LEAF_MIN)
        .with_keep_samples(true)
        .with_seed(seed);
    let forest = RandomForestRegressor::fit(&x, targets, parameters).map_err(failed)?;
    let out_of_bag = forest.predict_oob(&x).map_err(failed)?;
    let unread = |_| FuseError::NoConvergence("the random forest, whose trees cannot be read,");
    let written: Written = serde_json::from_value(serde_json::to_value(&forest).map_err(unread)?).map_err(unread)?;
    let tree = |tree: WrittenTree| Tree(tree.nodes.into_iter().map(Node::from).collect());
    Ok((written.forest_regressor.trees.into_iter().map(tree).collect(), out_of_bag))
}

/// The regression of the outcome on out-of-bag values.
fn link(out_of_bag: &[f64], outcome: &Outcome) -> Result<[f64; 2], FuseError> {
    /// Keeps the slope finite where the values separate the outcome.
    const LAMBDA: f64 = 1e-3;
    let known: Vec<usize> = (0..out_of_bag.len()).filter(|row| out_of_bag[*row].is_finite()).collect();
    let outcome = outcome.of(&known);
    let x = Design::new(known.len(), vec![known.iter().map(|row| out_of_bag[*row]).collect()])?;
    let settings = ElasticNet { alpha: 0.0, lambdas: Lambdas::Given(vec![LAMBDA]), tolerance: 1e-7 };
    let steps = match &outcome {
        Outcome::Binary(events) => logistic_path(&x, events, &settings)?,
        Outcome::Survival(follow_up) => cox_path(&x, follow_up, &settings)?,
    };
    let model = steps.into_iter().next_back().map(|step| step.model);
    Ok(match model {
        Some(LinearModel { intercept, slopes }) if slopes.first().is_some_and(|slope| *slope > 0.0) => {
            [intercept, slopes[0]]
        }
        _ => [base(&outcome), 0.0],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;

    /// An outcome that needs two columns at once, and noise.
    fn data(n: usize) -> (Design, Vec<f64>) {
        let mut stream = Stream::new(1, 2, 3);
        let columns: Vec<Vec<f64>> = (0..4).map(|_| (0..n).map(|_| stream.normal()).collect()).collect();
        let target = |row: usize| f64::from(u8::from((columns[0][row] > 0.0) != (columns[1][row] > 0.0)));
        let targets = (0..n).map(target).collect();
        (Design::new(n, columns).unwrap(), targets)
    }

    #[test]
    fn trees_that_were_kept_say_what_the_crate_says() {
        let (design, targets) = data(120);
        let (trees, out_of_bag) = grown(&design, &targets, 30, 7).unwrap();
        let rows: Vec<Vec<f64>> =
            (0..120).map(|row| design.columns().iter().map(|column| column[row]).collect()).collect();
        let parameters = RandomForestRegressorParameters::default()
            .with_n_trees(30)
            .with_m(2)
            .with_min_samples_leaf(LEAF_MIN)
            .with_seed(7);
        let x = DenseMatrix::from_2d_vec(&rows).unwrap();
        let theirs = RandomForestRegressor::fit(&x, &targets, parameters).unwrap().predict(&x).unwrap();
        for (row, theirs) in rows.iter().zip(theirs) {
            let mean = trees.iter().map(|tree| tree.value(row)).sum::<f64>() / 30.0;
            assert_relative_eq!(mean, theirs, epsilon = 1e-12);
        }
        // What no straight line tells, trees do; on rows that they did not see.
        let right = out_of_bag.iter().zip(&targets).filter(|(value, target)| (**value > 0.5) == (**target > 0.5));
        assert!(right.count() > 90);
        let text = serde_json::to_string(&trees).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Tree>>(&text).unwrap(), trees);
    }

    #[test]
    fn contributions_and_base_are_the_linear_predictor_and_a_missing_block_adds_nothing() {
        let (design, targets) = data(100);
        let (trees, _) = grown(&design, &targets, 20, 1).unwrap();
        let forest = Forest {
            trees,
            link: [-1.0, 2.5],
            fills: vec![vec![0.0], vec![0.1, -0.2], vec![0.3]],
            indicators: vec![false; 3],
        };
        let base = forest.linear(&[None, None, None], &|_| true);
        for row in [
            vec![Some(vec![1.5]), Some(vec![-1.0, 0.3]), Some(vec![0.2])],
            vec![Some(vec![-0.4]), None, Some(vec![2.0])],
        ] {
            let scored = forest.score(&row);
            assert_relative_eq!(base + scored.contributions.iter().sum::<f64>(), scored.linear, epsilon = 1e-12);
            assert!(row.iter().zip(&scored.contributions).all(|(known, part)| known.is_some() || part.abs() < 1e-15));
        }
    }

    #[test]
    fn noise_is_known_to_be_noise() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i % 5)).collect();
        let events = (0..40).map(|i| i % 5 < 2).collect();
        let [intercept, slope] = link(&values, &Outcome::Binary(events)).unwrap();
        assert_relative_eq!(slope, 0.0);
        assert_relative_eq!(intercept, (16.5f64 / 24.5).ln(), epsilon = 1e-12);
    }
}

//! Late fusion: one elastic net per block, their predictions brought together. Blocks that are missing leave their weight
//! to those that are there.

use serde::{Deserialize, Serialize};

use super::body::{Method, Row, Scored};
use super::design::Design;
use super::elastic_net::{ElasticNet, Lambdas, cox_path, logistic_path};
use super::error::FuseError;
use super::head::{Head, InnerDesign, base};
use super::metrics::{Pairing, discrimination};
use super::nest::{Inner, Nest, Table};
use super::outcome::Outcome;

/// A fitted late fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Late {
    /// How predictions are brought together.
    pub method: Method,
    /// The linear predictor of a patient of whom nothing is known.
    pub base: f64,
    /// One per block.
    pub members: Vec<Member>,
}

/// The model of one block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its linear predictor.
    pub head: Head,
    /// Its weight; over all members they sum to 1, except for stacking.
    pub weight: f64,
    /// The linear predictor from which on it votes for the event: the training median.
    pub vote_from: f64,
}

/// Penalty of the regression on predictions: small, it only keeps weights finite.
const STACKING_LAMBDA: f64 = 0.01;

/// The rows of one block as a matrix, of those patients who have it.
fn member_design(table: &Table, block: usize) -> Result<(Design, Vec<usize>), FuseError> {
    let rows = table.present(block);
    let picked = table.of(&rows);
    Ok((picked.design(&[block], &[false])?, rows))
}

impl Late {
    pub(super) fn fit(method: Method, nest: &Nest, blocks: &[usize]) -> Result<Self, FuseError> {
        let base = base(&nest.train.outcome);
        let n_rows = nest.train.n_rows();
        let (mut members, mut left_out) = (Vec::new(), Vec::new());
        for block in blocks {
            let LeftOutMember { member, rows, scores } = nest.member(*block)?;
            // Where the block is missing it says nothing: the base.
            let mut all = vec![0.0; n_rows];
            rows.iter().zip(&scores).for_each(|(row, eta)| all[*row] = eta - base);
            left_out.push((rows, all));
            members.push(member);
        }
        let weights = match method {
            Method::LateWeighted => performance(&left_out, &nest.train.outcome),
            Method::LateStacking => stacked(&left_out, &nest.train.outcome)?,
            _ => vec![1.0; members.len()],
        };
        let total: f64 = if method == Method::LateStacking { 1.0 } else { weights.iter().sum() };
        members.iter_mut().zip(&weights).for_each(|(member, weight)| member.weight = weight / total);
        Ok(Self { method, base, members })
    }

    pub(super) fn refit(&self, table: &Table, blocks: &[usize]) -> Result<Self, FuseError> {
        let mut refitted = self.clone();
        for (member, block) in refitted.members.iter_mut().zip(blocks) {
            let (design, rows) = member_design(table, *block)?;
            member.head = member.head.refit(&design, &table.outcome.of(&rows))?;
        }
        Ok(refitted)
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn score(&self, row: Row<'_>) -> Option<Scored> {
        let eta = |member: &Member, values: &Vec<f64>| {
            member.head.intercept
                + member.head.slopes.iter().zip(values).map(|(slope, value)| slope * value).sum::<f64>()
        };
        let there: Vec<Option<f64>> =
            self.members.iter().zip(row).map(|(member, values)| values.as_ref().map(|v| eta(member, v))).collect();
        let n_present = there.iter().flatten().count();
        let all: f64 = self.members.iter().map(|member| member.weight).sum();
        let present: f64 = self.members.iter().zip(&there).filter(|(_, e)| e.is_some()).map(|(m, _)| m.weight).sum();
        if n_present == 0 {
            return None;
        }
        if self.method == Method::LateVote {
            return Some(self.voted(&there, n_present as f64));
        }
        // All that is there may have no weight at all: then nothing is known.
        let scale = if present > 0.0 { all / present } else { 0.0 };
        let contributions: Vec<f64> = self
            .members
            .iter()
            .zip(&there)
            .map(|(member, eta)| eta.map_or(0.0, |eta| scale * member.weight * (eta - self.base)))
            .collect();
        Some(Scored { linear: self.base + contributions.iter().sum::<f64>(), contributions })
    }

    /// The logit of the part of votes for the event, with half a vote more on either side.
    fn voted(&self, there: &[Option<f64>], n: f64) -> Scored {
        let vote = |(member, eta): (&Member, &Option<f64>)| match eta {
            Some(eta) if *eta > member.vote_from => 1.0,
            Some(_) => -1.0,
            None => 0.0,
        };
        let votes: Vec<f64> = self.members.iter().zip(there).map(vote).collect();
        let part = (0.5 * (n + votes.iter().sum::<f64>()) + 0.5) / (n + 1.0);
        let linear = (part / (1.0 - part)).ln();
        Scored { linear, contributions: votes.iter().map(|vote| vote * linear.abs() / n).collect() }
    }
}

/// A member before it has a weight.
#[derive(Debug, Clone)]
pub(super) struct LeftOutMember {
    pub(super) member: Member,
    /// The rows that have the block.
    rows: Vec<usize>,
    /// What each of them gets from the fold that left it out.
    scores: Vec<f64>,
}

impl LeftOutMember {
    pub(super) fn fit(nest: &Nest, block: usize) -> Result<Self, FuseError> {
        let (design, rows) = member_design(&nest.train, block)?;
        let outcome = nest.train.outcome.of(&rows);
        let place = |row: usize| rows.binary_search(&row).ok();
        let folds = nest.inner.iter().map(|fold| InnerBlock::new(fold, block, &place));
        let folds = folds.collect::<Result<Vec<_>, FuseError>>()?;
        let inner: Vec<InnerDesign<'_>> = folds.iter().map(InnerBlock::design).collect();
        let (head, scores) = Head::fit(&design, &outcome, &inner)?;
        let mut fitted = design.linear(head.intercept, &head.slopes);
        fitted.sort_by(f64::total_cmp);
        let vote_from = crate::math::stats::quantile(&fitted, 0.5);
        Ok(Self { member: Member { head, weight: 0.0, vote_from }, rows, scores })
    }
}

/// An inner fold of the patients who have one block.
struct InnerBlock {
    train: Design,
    outcome: Outcome,
    train_rows: Vec<usize>,
    test: Design,
    test_rows: Vec<usize>,
}

impl InnerBlock {
    fn new(fold: &Inner, block: usize, place: &dyn Fn(usize) -> Option<usize>) -> Result<Self, FuseError> {
        let (train, train_at) = member_design(&fold.train, block)?;
        let (test, test_at) = member_design(&fold.test, block)?;
        let places = |at: &[usize], rows: &[usize]| at.iter().filter_map(|at| place(rows[*at])).collect();
        Ok(Self {
            outcome: fold.train.outcome.of(&train_at),
            train_rows: places(&train_at, &fold.train_rows),
            test_rows: places(&test_at, &fold.test_rows),
            train,
            test,
        })
    }

    fn design(&self) -> InnerDesign<'_> {
        InnerDesign {
            train: self.train.clone(),
            train_outcome: &self.outcome,
            train_rows: &self.train_rows,
            test: self.test.clone(),
            test_rows: &self.test_rows,
        }
    }
}

/// How far each block's discrimination of rows left out lies above chance; all alike where none does.
fn performance(left_out: &[(Vec<usize>, Vec<f64>)], outcome: &Outcome) -> Vec<f64> {
    let above = |(rows, scores): &(Vec<usize>, Vec<f64>)| {
        let scores: Vec<f64> = rows.iter().map(|row| scores[*row]).collect();
        let found = discrimination(&scores, &outcome.of(rows), Pairing::default());
        (found.unwrap_or(0.5) - 0.5).max(0.0)
    };
    let weights: Vec<f64> = left_out.iter().map(above).collect();
    if weights.iter().sum::<f64>() > 0.0 { weights } else { vec![1.0; weights.len()] }
}

/// Weights by regression of the outcome on predictions for rows left out; none is negative: a block that does worse than
/// chance is not turned round.
fn stacked(left_out: &[(Vec<usize>, Vec<f64>)], outcome: &Outcome) -> Result<Vec<f64>, FuseError> {
    let columns: Vec<Vec<f64>> = left_out.iter().map(|(_, scores)| scores.clone()).collect();
    let mut used: Vec<usize> = (0..columns.len()).collect();
    // Dropping the negative ones and fitting again ends after as many rounds as there are blocks.
    for _ in 0..=columns.len() {
        let x = Design::new(outcome.n_patients(), used.iter().map(|idx| columns[*idx].clone()).collect())?;
        let settings = ElasticNet { alpha: 0.0, lambdas: Lambdas::Given(vec![STACKING_LAMBDA]), tolerance: 1e-7 };
        let steps = match outcome {
            Outcome::Binary(events) => logistic_path(&x, events, &settings)?,
            Outcome::Survival(follow_up) => cox_path(&x, follow_up, &settings)?,
        };
        let slopes = steps.into_iter().next_back().map(|step| step.model.slopes).unwrap_or_default();
        if slopes.iter().all(|slope| *slope >= 0.0) {
            let mut weights = vec![0.0; columns.len()];
            used.iter().zip(&slopes).for_each(|(idx, slope)| weights[*idx] = *slope);
            return Ok(weights);
        }
        let kept = used.iter().zip(&slopes).filter(|(_, slope)| **slope > 0.0).map(|(idx, _)| *idx).collect();
        used = kept;
    }
    Ok(vec![0.0; columns.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn late(method: Method, weights: [f64; 3]) -> Late {
        let head = |slope: f64| Head { intercept: 0.0, slopes: vec![slope], lambda: 0.1 };
        let member = |(weight, slope)| Member { head: head(slope), weight, vote_from: 0.0 };
        Late { method, base: 0.0, members: weights.into_iter().zip([1.0, 2.0, -1.0]).map(member).collect() }
    }

    fn row(there: [bool; 3]) -> Vec<Option<Vec<f64>>> {
        there.map(|there| there.then(|| vec![1.0])).to_vec()
    }

    #[test]
    fn the_weight_of_a_missing_block_goes_to_those_that_are_there() {
        let mean = late(Method::LateWeighted, [0.5, 0.3, 0.2]);
        let whole = mean.score(&row([true; 3])).unwrap();
        assert_relative_eq!(whole.linear, 0.5 * 1.0 + 0.3 * 2.0 - 0.2, epsilon = 1e-12);
        let without = mean.score(&row([true, true, false])).unwrap();
        assert_relative_eq!(without.linear, (0.5 * 1.0 + 0.3 * 2.0) / 0.8, epsilon = 1e-12);
        assert_relative_eq!(without.contributions.iter().sum::<f64>(), without.linear, epsilon = 1e-12);
        assert!(without.contributions[2].abs() < 1e-12);
        assert!(mean.score(&row([false; 3])).is_none());
        // What has no weight says nothing by itself.
        let blind = late(Method::LateWeighted, [1.0, 0.0, 0.0]).score(&row([false, true, true])).unwrap();
        assert!(blind.linear.abs() < 1e-12);
    }

    #[test]
    fn votes_are_counted_among_the_blocks_that_are_there() {
        let vote = late(Method::LateVote, [0.0; 3]);
        let odds = |there| vote.score(&row(there)).unwrap().linear.exp();
        // Two for, one against, half a vote more on either side.
        assert_relative_eq!(odds([true; 3]), 2.5 / 1.5, epsilon = 1e-12);
        assert_relative_eq!(odds([true, true, false]), 2.5 / 0.5, epsilon = 1e-12);
        assert_relative_eq!(odds([false, false, true]), 0.5 / 1.5, epsilon = 1e-12);
    }
}

//! The linear head of a model: elastic net, its penalty chosen by inner folds.

use serde::{Deserialize, Serialize};

use super::design::Design;
use super::elastic_net::{ElasticNet, Lambdas, PathStep, cox_path, log_likelihood, logistic_path};
use super::error::FuseError;
use super::outcome::Outcome;

/// A linear predictor and the penalty that it was fitted with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// 0 for Cox regression.
    pub intercept: f64,
    /// One per column.
    pub slopes: Vec<f64>,
    /// The penalty.
    pub lambda: f64,
}

/// One inner fold as matrices.
pub(super) struct InnerDesign<'a> {
    pub train: Design,
    pub train_outcome: &'a Outcome,
    pub train_rows: &'a [usize],
    pub test: Design,
    pub test_rows: &'a [usize],
}

const ALPHA: f64 = 0.5;
const N_LAMBDAS: usize = 25;
const TOLERANCE: f64 = 1e-5;

fn path(x: &Design, outcome: &Outcome, lambdas: Lambdas) -> Result<Vec<PathStep>, FuseError> {
    let settings = ElasticNet { alpha: ALPHA, lambdas, tolerance: TOLERANCE };
    match outcome {
        Outcome::Binary(events) => logistic_path(x, events, &settings),
        Outcome::Survival(follow_up) => cox_path(x, follow_up, &settings),
    }
}

impl Head {
    /// Fits the head, and returns with it what each training row gets from the inner fold that left it out.
    ///
    /// The penalty is the one with the largest likelihood of the rows left out; for Cox regression by the difference of
    /// the partial likelihoods of all rows and of those trained on (Verweij and van Houwelingen 1993).
    ///
    /// # Errors
    /// When a class is empty.
    pub(super) fn fit(x: &Design, outcome: &Outcome, inner: &[InnerDesign<'_>]) -> Result<(Self, Vec<f64>), FuseError> {
        let steps = path(x, outcome, Lambdas::Count(N_LAMBDAS))?;
        let lambdas: Vec<f64> = steps.iter().map(|step| step.lambda).collect();
        let mut likelihoods = vec![0.0; steps.len()];
        let mut left_out = vec![vec![0.0; x.n_rows()]; steps.len()];
        for fold in inner {
            let fits = path(&fold.train, fold.train_outcome, Lambdas::Given(lambdas.clone()))?;
            for (at, fit) in fits.iter().enumerate().take(steps.len()) {
                let test = fold.test.linear(fit.model.intercept, &fit.model.slopes);
                fold.test_rows.iter().zip(&test).for_each(|(row, eta)| left_out[at][*row] = *eta);
                likelihoods[at] += match outcome {
                    Outcome::Binary(_) => log_likelihood(&test, &outcome.of(fold.test_rows)),
                    Outcome::Survival(_) => {
                        let train = fold.train.linear(fit.model.intercept, &fit.model.slopes);
                        let mut whole = vec![0.0; x.n_rows()];
                        fold.train_rows.iter().zip(&train).for_each(|(row, eta)| whole[*row] = *eta);
                        fold.test_rows.iter().zip(&test).for_each(|(row, eta)| whole[*row] = *eta);
                        log_likelihood(&whole, outcome) - log_likelihood(&train, fold.train_outcome)
                    }
                };
            }
        }
        // Of equals the larger penalty, which comes first.
        let mut best = 0;
        for (at, likelihood) in likelihoods.iter().enumerate() {
            if *likelihood > likelihoods[best] + 1e-9 {
                best = at;
            }
        }
        let step = steps.into_iter().nth(best).ok_or(FuseError::NoConvergence("the path of penalties"))?;
        let head = Self { intercept: step.model.intercept, slopes: step.model.slopes, lambda: step.lambda };
        Ok((head, left_out.swap_remove(best)))
    }

    /// The same head fitted to other rows, with the penalty as it is.
    pub(super) fn refit(&self, x: &Design, outcome: &Outcome) -> Result<Self, FuseError> {
        let step = path(x, outcome, Lambdas::Given(vec![self.lambda]))?.pop();
        let model = step.ok_or(FuseError::NoConvergence("the path of penalties"))?.model;
        Ok(Self { intercept: model.intercept, slopes: model.slopes, lambda: self.lambda })
    }
}

/// The linear predictor of a patient of whom nothing is known: the logit of the prevalence, 0 for survival.
#[allow(clippy::cast_precision_loss)]
pub(super) fn base(outcome: &Outcome) -> f64 {
    match outcome {
        Outcome::Survival(_) => 0.0,
        Outcome::Binary(events) => {
            let n_events = events.iter().filter(|event| **event).count() as f64;
            ((n_events + 0.5) / (events.len() as f64 - n_events + 0.5)).ln()
        }
    }
}

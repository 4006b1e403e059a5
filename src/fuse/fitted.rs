//! A model fitted to a whole cohort, and what it takes to ask it about a patient.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::body::{Body, Method, Scored};
use super::data::Dataset;
use super::error::FuseError;
use super::metrics::baseline_hazard;
use super::nest::{Nest, NestSettings, Table};
use super::outcome::Outcome;
use super::part::{Level, Part};
use super::validate::sigmoid;
use crate::math::random::Stream;

/// A fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// How blocks become one prediction.
    pub method: Method,
    /// One per block.
    pub parts: Vec<Part>,
    /// The model over them.
    pub body: Body,
    /// How a linear predictor becomes a probability.
    pub scale: Scale,
}

/// How a linear predictor becomes a probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// By the logistic function.
    Logistic,
    /// One less the survival at a time: `1 - exp(-H exp(eta))`.
    Hazard {
        /// The time, in the unit of the follow-up: half of the training patients were followed longer.
        horizon: f64,
        /// The baseline's cumulative hazard then (Breslow).
        cumulative: f64,
        /// The training median of the linear predictor: above it is the group of high risk.
        median: f64,
    },
}

impl Scale {
    /// The probability of the event.
    #[must_use]
    pub fn probability(self, eta: f64) -> f64 {
        match self {
            Self::Logistic => sigmoid(eta),
            Self::Hazard { cumulative, .. } => 1.0 - (-cumulative * eta.exp()).exp(),
        }
    }

    /// The linear predictor of a probability.
    #[must_use]
    pub fn linear(self, probability: f64) -> f64 {
        match self {
            Self::Logistic => (probability / (1.0 - probability)).ln(),
            Self::Hazard { cumulative, .. } => (-(1.0 - probability).ln() / cumulative).ln(),
        }
    }
}

const PURPOSE: u64 = 220;

impl Fitted {
    /// Fits a model to all blocks of a cohort, and an ensemble of bodies to resamples of its patients.
    ///
    /// # Errors
    /// When a class has fewer patients than inner folds, or a block is there for too few patients.
    pub fn fit(
        data: &Dataset,
        method: Method,
        settings: &NestSettings,
        n_ensemble: usize,
    ) -> Result<(Self, Vec<Body>), FuseError> {
        let nest = Nest::new(data, settings, u64::MAX)?;
        let blocks: Vec<usize> = (0..data.blocks.len()).collect();
        let body = Body::fit(method, &nest, &blocks, settings.seed)?;
        let strata = super::bootstrap::strata(&data.patients, &data.outcome.events());
        let resampled = |member: usize| {
            let mut stream = Stream::new(settings.seed, PURPOSE, member as u64);
            let mut rows = Vec::new();
            for stratum in &strata {
                (0..stratum.len()).for_each(|_| rows.extend(&stratum[stream.below(stratum.len())]));
            }
            body.refit(&nest.train.of(&rows), &blocks, settings.seed.wrapping_add(member as u64 + 1))
        };
        // A resample without a block or a class says nothing and is left out.
        let members: Vec<Body> = (0..n_ensemble).into_par_iter().filter_map(|member| resampled(member).ok()).collect();
        let scale = scale(&body, &nest.train, &blocks, horizon(&data.outcome));
        Ok((Self { method, parts: nest.parts, body, scale }, members))
    }

    /// What the model says of harmonised rows, one per part; `None` where no block is there.
    ///
    /// # Errors
    /// When a row has too few features.
    pub fn score(&self, rows: &[Option<Vec<f64>>]) -> Result<Option<Scored>, FuseError> {
        self.score_by(&self.body, rows)
    }

    /// The same by another body over the same parts.
    ///
    /// # Errors
    /// When a row has too few features.
    pub fn score_by(&self, body: &Body, rows: &[Option<Vec<f64>>]) -> Result<Option<Scored>, FuseError> {
        let ready = |level: Level| {
            let one =
                |(part, row): (&Part, &Option<Vec<f64>>)| row.as_ref().map(|row| part.one(row, level)).transpose();
            self.parts.iter().zip(rows).map(one).collect::<Result<Vec<_>, _>>()
        };
        Ok(body.score(&ready(Level::Chosen)?, &ready(Level::All)?))
    }
}

/// The time that probabilities of survival are told for: half of the patients were followed longer. None for yes and no.
pub(super) fn horizon(outcome: &Outcome) -> Option<f64> {
    let Outcome::Survival(follow_up) = outcome else { return None };
    let mut times: Vec<f64> = follow_up.iter().map(|patient| patient.time).collect();
    times.sort_by(f64::total_cmp);
    Some(crate::math::stats::quantile(&times, 0.5))
}

/// How the body's linear predictors become probabilities by a horizon, by the rows that it learned from.
pub(super) fn scale(body: &Body, table: &Table, blocks: &[usize], horizon: Option<f64>) -> Scale {
    let (Outcome::Survival(follow_up), Some(horizon)) = (&table.outcome, horizon) else { return Scale::Logistic };
    let row = |level, row| super::body::row_of(table.level(level), blocks, row);
    let linear: Vec<f64> = (0..table.n_rows())
        .map(|at| body.score(&row(Level::Chosen, at), &row(Level::All, at)).map_or(0.0, |scored| scored.linear))
        .collect();
    let steps = baseline_hazard(&linear, follow_up);
    let cumulative = steps.iter().take_while(|(time, _)| *time <= horizon).last().map_or(0.0, |(_, hazard)| *hazard);
    let mut sorted = linear;
    sorted.sort_by(f64::total_cmp);
    Scale::Hazard { horizon, cumulative, median: crate::math::stats::quantile(&sorted, 0.5) }
}

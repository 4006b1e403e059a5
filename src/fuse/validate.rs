//! Nested repeated cross-validation: every prediction that counts is for a patient whom nothing has seen.
//!
//! Outer folds are stratified and keep patients whole; within each, harmonisation, imputation, scaling, choice of features
//! and penalties are learned anew from the training rows, with inner folds for what must be tuned. Scores of different folds
//! come from different models, so discrimination is counted over pairs of one fold (Airola et al. 2011): pooled scores of
//! permuted labels would lie below one half.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::body::{Body, Method, row_of};
use super::bootstrap::{BootstrapSettings, Interval, bootstrap_interval};
use super::censored::{brier_censored, calibration_at};
use super::data::Dataset;
use super::error::FuseError;
use super::fitted::{Scale, horizon, scale};
use super::folds::{folds, split};
use super::leaks::check_folds;
use super::metrics::{NetBenefit, brier, calibration, decision_curve};
use super::nest::{Nest, NestSettings, Table};
use super::outcome::Outcome;

/// How models are judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ValidateSettings {
    /// Outer folds.
    pub n_folds: usize,
    /// Repetitions with other folds.
    pub n_repeats: usize,
    /// What is done within a fold.
    pub nest: NestSettings,
    /// How intervals are drawn.
    pub bootstrap: BootstrapSettings,
}

impl Default for ValidateSettings {
    fn default() -> Self {
        Self { n_folds: 5, n_repeats: 20, nest: NestSettings::default(), bootstrap: BootstrapSettings::default() }
    }
}

/// One model that is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub model: String,
    /// `early`, `late`, `intermediate`, `baseline` or `control`.
    pub fusion: String,
    /// How it is made.
    pub method: Method,
    /// Its blocks, by their places in the cohort.
    pub blocks: Vec<usize>,
    /// Whether it is also asked with blocks left out.
    pub by_pattern: bool,
}

/// What a model said of patients whom it had not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// For every repetition the fold of every row.
    pub folds: Vec<Vec<usize>>,
    /// For every repetition the linear predictor of every row; NaN where the model says nothing.
    pub linear: Vec<Vec<f64>>,
    /// For survival the probability of the event by the horizon, from the baseline hazard of the fold; else empty.
    pub probability: Vec<Vec<f64>>,
    /// The same with some blocks alone: which of the candidate's blocks, and the linear predictors.
    pub patterns: Vec<(Vec<bool>, Vec<Vec<f64>>)>,
}

/// How good a model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The model.
    pub model: String,
    /// The kind of fusion.
    pub fusion: String,
    /// Its blocks.
    pub blocks: Vec<String>,
    /// Area under the ROC curve; for survival the C-index.
    pub auc: Option<f64>,
    /// Lower end of its interval.
    pub auc_low: Option<f64>,
    /// Upper end of its interval.
    pub auc_high: Option<f64>,
    /// Brier score; for survival that of the event by the median of follow-up, weighed by the inverse probability of
    /// censoring (Graf et al. 1999).
    pub brier: Option<f64>,
    /// Calibration slope.
    pub calibration_slope: Option<f64>,
    /// Calibration in the large: what must be added to every logit, for survival to every logarithm of the cumulative hazard
    /// at the median of follow-up.
    pub calibration_intercept: Option<f64>,
    /// Patients with a prediction.
    pub n: usize,
    /// Those of them with the event.
    pub events: usize,
    /// Net benefit by threshold; empty for survival.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decision_curve: Vec<NetBenefit>,
    /// The .632+ estimate of the AUC, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc_632_plus: Option<f64>,
}

/// Judges candidates over the same folds. `progress` is told of every fold that is done.
///
/// # Errors
/// When a class has fewer patients than folds, or a block is there for too few patients of a fold.
pub fn cross_validate(
    data: &Dataset,
    candidates: &[Candidate],
    settings: &ValidateSettings,
    progress: &(dyn Fn() + Sync),
) -> Result<Vec<LeftOut>, FuseError> {
    let mut fold_of = Vec::new();
    for repeat in 0..settings.n_repeats.max(1) {
        let folds = folds(data, settings.n_folds, settings.nest.seed, repeat as u64)?;
        check_folds(&data.patients, &folds)?;
        fold_of.push(folds);
    }
    let horizon = horizon(&data.outcome);
    let jobs: Vec<(usize, usize)> =
        (0..fold_of.len()).flat_map(|repeat| (0..settings.n_folds).map(move |fold| (repeat, fold))).collect();
    let done: Vec<Vec<FoldScores>> = jobs
        .par_iter()
        .map(|(repeat, fold)| {
            let stream = (repeat * settings.n_folds + fold) as u64;
            let done = one_fold(data, candidates, &settings.nest, &split(&fold_of[*repeat], *fold), (stream, horizon));
            progress();
            done
        })
        .collect::<Result<_, _>>()?;
    let n = data.patients.len();
    let empty = || vec![vec![f64::NAN; n]; fold_of.len()];
    let mut all: Vec<LeftOut> = candidates
        .iter()
        .map(|candidate| LeftOut {
            folds: fold_of.clone(),
            linear: empty(),
            probability: if horizon.is_some() { empty() } else { Vec::new() },
            patterns: patterns(candidate).into_iter().map(|pattern| (pattern, empty())).collect(),
        })
        .collect();
    for ((repeat, fold), scores) in jobs.iter().zip(done) {
        let (_, test) = split(&fold_of[*repeat], *fold);
        for (left_out, scores) in all.iter_mut().zip(scores) {
            test.iter().zip(&scores.linear).for_each(|(row, eta)| left_out.linear[*repeat][*row] = *eta);
            if let (Some(scale), Some(probability)) = (scores.scale, left_out.probability.get_mut(*repeat)) {
                test.iter().zip(&scores.linear).for_each(|(row, eta)| probability[*row] = scale.probability(*eta));
            }
            for ((_, linear), scores) in left_out.patterns.iter_mut().zip(&scores.patterns) {
                test.iter().zip(scores).for_each(|(row, eta)| linear[*repeat][*row] = *eta);
            }
        }
    }
    Ok(all)
}

/// The linear predictors of one candidate for the test rows of one fold.
struct FoldScores {
    linear: Vec<f64>,
    /// For survival.
    scale: Option<Scale>,
    patterns: Vec<Vec<f64>>,
}

fn one_fold(
    data: &Dataset,
    candidates: &[Candidate],
    settings: &NestSettings,
    (train, test): &(Vec<usize>, Vec<usize>),
    (stream, horizon): (u64, Option<f64>),
) -> Result<Vec<FoldScores>, FuseError> {
    let nest = Nest::new(&data.of(train), settings, stream)?;
    let table = Table::new(&nest.parts, &data.of(test))?;
    let score = |candidate: &Candidate| {
        let body = Body::fit(candidate.method, &nest, &candidate.blocks, settings.seed ^ stream)?;
        let of = |pattern: Option<&Vec<bool>>| scores(&body, &table, &candidate.blocks, pattern);
        let patterns = patterns(candidate).iter().map(|pattern| of(Some(pattern))).collect();
        let scale = horizon.map(|_| scale(&body, &nest.train, &candidate.blocks, horizon));
        Ok(FoldScores { linear: of(None), scale, patterns })
    };
    candidates.iter().map(score).collect()
}

/// The linear predictors of all rows of a table; with a pattern, of those rows that have its blocks, as if they had no other.
fn scores(body: &Body, table: &Table, blocks: &[usize], pattern: Option<&Vec<bool>>) -> Vec<f64> {
    let score = |row: usize| {
        let (mut chosen, mut all) = (row_of(&table.chosen, blocks, row), row_of(&table.all, blocks, row));
        if let Some(pattern) = pattern {
            let complete = chosen.iter().zip(pattern).all(|(values, used)| values.is_some() || !used);
            for (idx, used) in pattern.iter().enumerate() {
                if !used || !complete {
                    (chosen[idx], all[idx]) = (None, None);
                }
            }
        }
        body.score(&chosen, &all).map_or(f64::NAN, |scored| scored.linear)
    };
    (0..table.n_rows()).map(score).collect()
}

/// Blocks that may be there: every part of a few, else all and all but one.
fn patterns(candidate: &Candidate) -> Vec<Vec<bool>> {
    const EVERY: usize = 4;
    let n = candidate.blocks.len();
    if !candidate.by_pattern {
        return Vec::new();
    }
    if n <= EVERY {
        return (1..1usize << n).map(|bits| (0..n).map(|block| bits >> block & 1 == 1).collect()).collect();
    }
    let without = |absent: Option<usize>| (0..n).map(|block| Some(block) != absent).collect();
    std::iter::once(without(None)).chain((0..n).map(|block| without(Some(block)))).collect()
}

impl LeftOut {
    /// The mean linear predictor of every row over the repetitions.
    #[must_use]
    pub fn mean(&self) -> Vec<f64> {
        mean_of(&self.linear)
    }
}

/// The mean of every row over repetitions; NaN where one is.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn mean_of(linear: &[Vec<f64>]) -> Vec<f64> {
    let n = linear.first().map_or(0, Vec::len);
    (0..n).map(|row| linear.iter().map(|repeat| repeat[row]).sum::<f64>() / linear.len() as f64).collect()
}

/// Pairs of patients of whom one is known to have had the event first, over all repetitions.
struct Pairs(Vec<(usize, usize, f64, f64)>);

impl Pairs {
    fn new(linear: &[Vec<f64>], folds: &[Vec<usize>], outcome: &Outcome) -> Self {
        let n = outcome.n_patients();
        let mut pairs = Vec::new();
        for i in 0..n {
            for j in (0..n).filter(|j| super::metrics::earlier(outcome, i, *j)) {
                let (mut right, mut count) = (0.0, 0.0);
                for (linear, folds) in linear.iter().zip(folds) {
                    if folds[i] != folds[j] || !linear[i].is_finite() || !linear[j].is_finite() {
                        continue;
                    }
                    count += 1.0;
                    right += match linear[i].total_cmp(&linear[j]) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
                if count > 0.0 {
                    pairs.push((i, j, right, count));
                }
            }
        }
        Self(pairs)
    }

    fn discrimination(&self, weight: impl Fn(usize) -> f64) -> Option<f64> {
        let (mut right, mut count) = (0.0, 0.0);
        for (i, j, r, c) in &self.0 {
            let w = weight(*i) * weight(*j);
            right += w * r;
            count += w * c;
        }
        (count > 0.0).then(|| right / count)
    }
}

/// Discrimination of predictions for rows left out, with its interval over patients.
#[must_use]
pub fn discriminate(
    linear: &[Vec<f64>],
    folds: &[Vec<usize>],
    data: &Dataset,
    settings: BootstrapSettings,
) -> (Option<f64>, Option<Interval>) {
    let pairs = Pairs::new(linear, folds, &data.outcome);
    let events = data.outcome.events();
    let interval =
        bootstrap_interval(&data.patients, &events, settings, |weights| pairs.discrimination(|row| weights[row]));
    (pairs.discrimination(|_| 1.0), interval)
}

/// Judges what a candidate said.
#[must_use]
pub fn evaluate(candidate: &Candidate, left_out: &LeftOut, data: &Dataset, settings: BootstrapSettings) -> Evaluation {
    let names = candidate.blocks.iter().filter_map(|block| data.blocks.get(*block)).map(|block| block.name.clone());
    let (auc, interval) = discriminate(&left_out.linear, &left_out.folds, data, settings);
    let probability = (!left_out.probability.is_empty()).then(|| mean_of(&left_out.probability));
    let by_horizon = probability.as_deref().zip(horizon(&data.outcome));
    let judged = judge(&left_out.mean(), by_horizon, &data.outcome);
    Evaluation {
        model: candidate.model.clone(),
        fusion: candidate.fusion.clone(),
        blocks: names.collect(),
        auc,
        auc_low: interval.map(|interval| interval.low),
        auc_high: interval.map(|interval| interval.high),
        ..judged
    }
}

/// Brier score, calibration and decision curve of linear predictors; rows without one are left out. For survival
/// `by_horizon` holds the probabilities of the event by a time, and that time, where they are known.
#[must_use]
pub fn judge(linear: &[f64], by_horizon: Option<(&[f64], f64)>, outcome: &Outcome) -> Evaluation {
    let rows: Vec<usize> = (0..linear.len()).filter(|row| linear[*row].is_finite()).collect();
    let picked = |values: &[f64]| rows.iter().filter_map(|row| values.get(*row)).copied().collect::<Vec<f64>>();
    let by_horizon = by_horizon.map(|(probability, horizon)| (picked(probability), horizon));
    let (linear, outcome) = (picked(linear), outcome.of(&rows));
    let events = outcome.events();
    let told = |value: f64| Some(value).filter(|value| value.is_finite());
    let mut judged = Evaluation {
        model: String::new(),
        fusion: String::new(),
        blocks: Vec::new(),
        auc: None,
        auc_low: None,
        auc_high: None,
        brier: None,
        calibration_slope: None,
        calibration_intercept: None,
        n: rows.len(),
        events: events.iter().filter(|event| **event).count(),
        decision_curve: Vec::new(),
        auc_632_plus: None,
    };
    let calibrated = calibration(&linear, &outcome);
    judged.calibration_slope = calibrated.and_then(|calibrated| told(calibrated.slope));
    match &outcome {
        Outcome::Binary(events) => {
            let probabilities: Vec<f64> = linear.iter().map(|eta| sigmoid(*eta)).collect();
            let thresholds: Vec<f64> = (1..20).map(|step| f64::from(step) * 0.05).collect();
            judged.brier = brier(&probabilities, events);
            judged.calibration_intercept = calibrated.and_then(|calibrated| told(calibrated.intercept));
            judged.decision_curve = decision_curve(&probabilities, events, &thresholds);
        }
        Outcome::Survival(follow_up) => {
            let known = by_horizon.as_ref();
            judged.brier = known.and_then(|(p, horizon)| brier_censored(p, follow_up, *horizon));
            judged.calibration_intercept = known.and_then(|(p, horizon)| calibration_at(p, follow_up, *horizon));
        }
    }
    judged
}

/// The probability of a logit.
#[must_use]
pub fn sigmoid(eta: f64) -> f64 {
    1.0 / (1.0 + (-eta).exp())
}

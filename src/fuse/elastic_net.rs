//! Elastic-net logistic regression and Cox regression by cyclic coordinate descent along a path of penalties.
//!
//! Minimised over the coefficients b of columns that are standardised to mean 0 and variance 1 (divided by n):
//!
//! ```text
//! -(1/n) log L(b) + lambda ( alpha |b|_1 + (1 - alpha)/2 |b|_2^2 )
//! ```
//!
//! L is the binomial likelihood with a free intercept, or Cox's partial likelihood with Breslow's handling of ties.
//! This is the objective of R's `glmnet` (Friedman, Hastie and Tibshirani 2010; Simon et al. 2011), so coefficients, given
//! on the columns' own scale, are the same at the same lambda. Each step of the path starts from the one before.
//!
//! The likelihood is replaced by a quadratic about the present fit, which coordinate descent minimises; where the true
//! objective rises the step is halved. The curvature is the binomial variance, or for Cox the upper bound
//! `exp(eta_i) sum d_k / R_k`, whose minimiser never overshoots. The partial likelihood does not depend on an intercept;
//! one is fitted all the same because it takes the common shift out of the bound.

use serde::{Deserialize, Serialize};

use super::design::{Design, add_scaled, mean_and_sd};
use super::error::FuseError;
use super::outcome::{Outcome, Survival};

/// Settings of a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ElasticNet {
    /// 1: lasso, 0: ridge.
    pub alpha: f64,
    /// The penalties.
    pub lambdas: Lambdas,
    /// The path goes on to the next penalty when no standardised coefficient moves by more than this.
    pub tolerance: f64,
}

/// Which penalties.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lambdas {
    /// From the smallest penalty that leaves no coefficient down to a part of it (1e-4 with more rows than columns, else
    /// 0.01), in equal ratios. The path ends early where the deviance is explained to 99.9 %.
    Count(usize),
    /// These, from large to small.
    Given(Vec<f64>),
}

impl Default for ElasticNet {
    fn default() -> Self {
        Self { alpha: 0.5, lambdas: Lambdas::Count(50), tolerance: 1e-7 }
    }
}

/// A linear predictor on the columns' own scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearModel {
    /// 0 for Cox regression.
    pub intercept: f64,
    /// One per column.
    pub slopes: Vec<f64>,
}

/// The fit at one penalty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathStep {
    /// The penalty.
    pub lambda: f64,
    /// The fit.
    pub model: LinearModel,
    /// The part of the null deviance that it explains.
    pub deviance_ratio: f64,
}

/// Rounds of the outer loop, and of one coordinate descent, at most.
const OUTER_MAX: usize = 2000;
const INNER_MAX: usize = 5000;

/// The path of logistic regression.
///
/// # Errors
/// When rows do not match, a class is empty, or a setting is outside its range.
pub fn logistic_path(x: &Design, y: &[bool], settings: &ElasticNet) -> Result<Vec<PathStep>, FuseError> {
    let n_events = y.iter().filter(|event| **event).count();
    if n_events == 0 || n_events == y.len() {
        return Err(FuseError::TooFew { what: "patients of one class", found: 0, expected: 1 });
    }
    path(x, y.len(), &Loss::Logistic(y), settings)
}

/// The path of Cox regression.
///
/// # Errors
/// When rows do not match, there is no event, or a setting is outside its range.
pub fn cox_path(x: &Design, follow_up: &[Survival], settings: &ElasticNet) -> Result<Vec<PathStep>, FuseError> {
    if !follow_up.iter().any(|patient| patient.event) {
        return Err(FuseError::TooFew { what: "events", found: 0, expected: 1 });
    }
    path(x, follow_up.len(), &Loss::Cox(RiskSets::new(follow_up)), settings)
}

/// The log (partial) likelihood of linear predictors.
pub(super) fn log_likelihood(eta: &[f64], outcome: &Outcome) -> f64 {
    loss_of(outcome).log_likelihood(eta)
}

/// Its derivative by each linear predictor.
pub(super) fn gradient(eta: &[f64], outcome: &Outcome) -> Vec<f64> {
    loss_of(outcome).working(eta).gradient
}

fn loss_of(outcome: &Outcome) -> Loss<'_> {
    match outcome {
        Outcome::Binary(events) => Loss::Logistic(events),
        Outcome::Survival(follow_up) => Loss::Cox(RiskSets::new(follow_up)),
    }
}

fn path(x: &Design, n_rows: usize, loss: &Loss<'_>, settings: &ElasticNet) -> Result<Vec<PathStep>, FuseError> {
    if x.n_rows() != n_rows {
        return Err(FuseError::Rows { what: "the outcome".into(), found: n_rows, expected: x.n_rows() });
    }
    if !(0.0..=1.0).contains(&settings.alpha) {
        return Err(FuseError::Setting { what: "alpha", found: settings.alpha, expected: "0 to 1" });
    }
    let scaled = Standardised::new(x);
    let mut state = State::new(&scaled, loss);
    let null_deviance = state.deviance(loss);
    let generated = matches!(settings.lambdas, Lambdas::Count(_));
    let lambdas = lambdas(&scaled, &state, loss, settings)?;
    let mut steps = Vec::with_capacity(lambdas.len());
    for lambda in lambdas {
        state.descend(&scaled, loss, &Penalty { lambda, alpha: settings.alpha }, settings.tolerance);
        let explained = 1.0 - state.deviance(loss) / null_deviance;
        let deviance_ratio = if explained.is_finite() { explained } else { 0.0 };
        steps.push(PathStep { lambda, model: scaled.model(&state, loss), deviance_ratio });
        if generated && deviance_ratio > 0.999 {
            break;
        }
    }
    Ok(steps)
}

/// The penalties of the path, from large to small.
fn lambdas(x: &Standardised, state: &State, loss: &Loss<'_>, settings: &ElasticNet) -> Result<Vec<f64>, FuseError> {
    let n_lambdas = match &settings.lambdas {
        Lambdas::Given(given) => {
            if let Some(bad) = given.iter().find(|lambda| !(lambda.is_finite() && **lambda >= 0.0)) {
                return Err(FuseError::Setting { what: "lambda", found: *bad, expected: "0 or more" });
            }
            let mut given = given.clone();
            given.sort_by(|a, b| b.total_cmp(a));
            return Ok(given);
        }
        Lambdas::Count(n) => (*n).clamp(1, 10_000),
    };
    let working = loss.working(&state.eta);
    // Ridge never sets a coefficient to 0: its path starts where a nearly-ridge one would.
    let alpha = settings.alpha.max(1e-3);
    let largest = x.columns.iter().map(|column| dot(column, &working.gradient).abs() / x.n).fold(0.0, f64::max) / alpha;
    let last = if x.columns.len() < state.eta.len() { 1e-4f64 } else { 1e-2 };
    #[allow(clippy::cast_precision_loss)]
    let ratio = |step: usize| last.powf(step as f64 / (n_lambdas.max(2) - 1) as f64);
    Ok((0..n_lambdas).map(|step| largest * ratio(step)).collect())
}

struct Penalty {
    lambda: f64,
    alpha: f64,
}

/// The columns at mean 0 and variance 1; a constant column stays at 0 and gets no coefficient.
struct Standardised {
    n: f64,
    columns: Vec<Vec<f64>>,
    means: Vec<f64>,
    sds: Vec<f64>,
}

impl Standardised {
    #[allow(clippy::cast_precision_loss)]
    fn new(x: &Design) -> Self {
        let moments: Vec<(f64, f64)> = x.columns().iter().map(|column| mean_and_sd(column)).collect();
        let columns = x
            .columns()
            .iter()
            .zip(&moments)
            .map(|(column, (mean, sd))| {
                // Spread that is only rounding is none.
                let varies = *sd > 1e-12 * mean.abs().max(f64::MIN_POSITIVE);
                column.iter().map(|value| if varies { (value - mean) / sd } else { 0.0 }).collect()
            })
            .collect();
        let (means, sds) = moments.into_iter().unzip();
        Self { n: x.n_rows() as f64, columns, means, sds }
    }

    /// The fit on the columns' own scale.
    fn model(&self, state: &State, loss: &Loss<'_>) -> LinearModel {
        let slopes: Vec<f64> =
            state.slopes.iter().zip(&self.sds).map(|(b, sd)| if b.abs() > 0.0 { b / sd } else { 0.0 }).collect();
        let shift: f64 = slopes.iter().zip(&self.means).map(|(slope, mean)| slope * mean).sum();
        let intercept = match loss {
            Loss::Logistic(_) => state.intercept - shift,
            Loss::Cox(_) => 0.0,
        };
        LinearModel { intercept, slopes }
    }
}

/// The present fit on standardised columns.
struct State {
    intercept: f64,
    slopes: Vec<f64>,
    eta: Vec<f64>,
}

impl State {
    fn new(x: &Standardised, loss: &Loss<'_>) -> Self {
        let intercept = match loss {
            Loss::Logistic(y) => {
                let p = y.iter().map(|event| if *event { 1.0 } else { 0.0 }).sum::<f64>() / x.n;
                (p / (1.0 - p)).ln()
            }
            Loss::Cox(_) => 0.0,
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let n = x.n as usize;
        Self { intercept, slopes: vec![0.0; x.columns.len()], eta: vec![intercept; n] }
    }

    fn deviance(&self, loss: &Loss<'_>) -> f64 {
        -2.0 * loss.log_likelihood(&self.eta) + 2.0 * loss.saturated()
    }

    fn objective(&self, x: &Standardised, loss: &Loss<'_>, penalty: &Penalty) -> f64 {
        let ridge: f64 = self.slopes.iter().map(|b| b * b).sum();
        let lasso: f64 = self.slopes.iter().map(|b| b.abs()).sum();
        -loss.log_likelihood(&self.eta) / x.n
            + penalty.lambda * (penalty.alpha * lasso + 0.5 * (1.0 - penalty.alpha) * ridge)
    }

    /// Minimises the objective at one penalty from where it stands.
    fn descend(&mut self, x: &Standardised, loss: &Loss<'_>, penalty: &Penalty, tolerance: f64) {
        let mut before = self.objective(x, loss, penalty);
        for _ in 0..OUTER_MAX {
            let (intercept, slopes, eta) = (self.intercept, self.slopes.clone(), self.eta.clone());
            self.quadratic_step(x, &loss.working(&eta), penalty, tolerance);
            let mut after = self.objective(x, loss, penalty);
            for _ in 0..30 {
                if after <= before + 1e-13 * before.abs() {
                    break;
                }
                self.intercept = 0.5 * (self.intercept + intercept);
                self.slopes.iter_mut().zip(&slopes).for_each(|(b, old)| *b = 0.5 * (*b + old));
                self.eta.iter_mut().zip(&eta).for_each(|(e, old)| *e = 0.5 * (*e + old));
                after = self.objective(x, loss, penalty);
            }
            before = after;
            let moved = self.slopes.iter().zip(&slopes).map(|(b, old)| (b - old).abs()).fold(0.0, f64::max);
            let shifted = match loss {
                Loss::Logistic(_) => (self.intercept - intercept).abs(),
                Loss::Cox(_) => 0.0,
            };
            if moved.max(shifted) < tolerance {
                break;
            }
        }
    }

    /// Minimises the quadratic about the present fit by cyclic coordinate descent: all columns once, then those in use
    /// until they rest, and again, until a round over all moves nothing.
    fn quadratic_step(&mut self, x: &Standardised, working: &Working, penalty: &Penalty, tolerance: f64) {
        let curvature: Vec<f64> = x.columns.iter().map(|c| weighted_square(c, &working.weights) / x.n).collect();
        let total: f64 = working.weights.iter().sum();
        let mut residual = working.gradient.clone();
        let all: Vec<usize> = (0..x.columns.len()).collect();
        for _ in 0..INNER_MAX {
            let largest = self.round(x, &all, &curvature, &mut residual, working, total, penalty);
            if largest < 0.1 * tolerance {
                break;
            }
            let used: Vec<usize> = all.iter().copied().filter(|j| self.slopes[*j].abs() > 0.0).collect();
            for _ in 0..INNER_MAX {
                if self.round(x, &used, &curvature, &mut residual, working, total, penalty) < 0.1 * tolerance {
                    break;
                }
            }
        }
    }

    /// One round over some columns and the intercept; the largest move.
    #[allow(clippy::too_many_arguments)]
    fn round(
        &mut self,
        x: &Standardised,
        columns: &[usize],
        curvature: &[f64],
        residual: &mut [f64],
        working: &Working,
        total: f64,
        penalty: &Penalty,
    ) -> f64 {
        let mut largest = 0.0f64;
        for j in columns.iter().copied() {
            let column = &x.columns[j];
            let old = self.slopes[j];
            let pull = dot(column, residual) / x.n + curvature[j] * old;
            let scale = curvature[j] + penalty.lambda * (1.0 - penalty.alpha);
            let new = if scale > 0.0 { soft_threshold(pull, penalty.lambda * penalty.alpha) / scale } else { 0.0 };
            let change = new - old;
            if change.abs() > 0.0 {
                self.slopes[j] = new;
                add_scaled(&mut self.eta, change, column);
                for ((r, w), value) in residual.iter_mut().zip(&working.weights).zip(column) {
                    *r -= change * w * value;
                }
                largest = largest.max(change.abs());
            }
        }
        if total > 0.0 {
            let change = residual.iter().sum::<f64>() / total;
            self.intercept += change;
            self.eta.iter_mut().for_each(|e| *e += change);
            residual.iter_mut().zip(&working.weights).for_each(|(r, w)| *r -= change * w);
            largest = largest.max(change.abs());
        }
        largest
    }
}

/// The quadratic about a fit: gradient of the log likelihood by the linear predictor, and its (bounded) curvature.
struct Working {
    gradient: Vec<f64>,
    weights: Vec<f64>,
}

enum Loss<'a> {
    Logistic(&'a [bool]),
    Cox(RiskSets),
}

impl Loss<'_> {
    fn log_likelihood(&self, eta: &[f64]) -> f64 {
        match self {
            // log p = -log(1 + exp(-eta)), log(1 - p) = -log(1 + exp(eta)).
            Self::Logistic(y) => {
                eta.iter().zip(*y).map(|(e, event)| -softplus(if *event { -*e } else { *e })).sum::<f64>()
            }
            Self::Cox(sets) => sets.log_likelihood(eta),
        }
    }

    /// The log likelihood of the model that fits every patient: 0, or with tied events less.
    fn saturated(&self) -> f64 {
        match self {
            Self::Logistic(_) => 0.0,
            Self::Cox(sets) => sets.saturated(),
        }
    }

    fn working(&self, eta: &[f64]) -> Working {
        match self {
            Self::Logistic(y) => {
                let p: Vec<f64> = eta.iter().map(|e| 1.0 / (1.0 + (-e).exp())).collect();
                let gradient = p.iter().zip(*y).map(|(p, event)| if *event { 1.0 - p } else { -p }).collect();
                // With a fitted probability of 0 or 1 the curvature vanishes and a Newton step would have no end.
                let weights = p.iter().map(|p| (p * (1.0 - p)).max(1e-9)).collect();
                Working { gradient, weights }
            }
            Self::Cox(sets) => sets.working(eta),
        }
    }
}

/// Who is at risk when: patients by falling time, in groups of equal time.
struct RiskSets {
    /// Each group: its patients, and which of them had the event.
    groups: Vec<(Vec<usize>, Vec<usize>)>,
    n: usize,
}

impl RiskSets {
    fn new(follow_up: &[Survival]) -> Self {
        let mut order: Vec<usize> = (0..follow_up.len()).collect();
        order.sort_by(|a, b| follow_up[*b].time.total_cmp(&follow_up[*a].time));
        let groups = order
            .chunk_by(|a, b| follow_up[*a].time.total_cmp(&follow_up[*b].time).is_eq())
            .map(|group| (group.to_vec(), group.iter().copied().filter(|i| follow_up[*i].event).collect()))
            .collect();
        Self { groups, n: follow_up.len() }
    }

    /// exp(eta) without overflow, and the shift that was taken out of eta.
    fn relative_risks(eta: &[f64]) -> (Vec<f64>, f64) {
        let shift = eta.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
        (eta.iter().map(|e| (e - shift).exp()).collect(), shift)
    }

    fn log_likelihood(&self, eta: &[f64]) -> f64 {
        let (risks, shift) = Self::relative_risks(eta);
        let (mut at_risk, mut sum) = (0.0, 0.0);
        for (members, events) in &self.groups {
            at_risk += members.iter().map(|i| risks[*i]).sum::<f64>();
            if !events.is_empty() {
                sum += events.iter().map(|i| eta[*i] - shift - at_risk.ln()).sum::<f64>();
            }
        }
        sum
    }

    /// Breslow: d patients who die together can at best share the risk set evenly.
    #[allow(clippy::cast_precision_loss)]
    fn saturated(&self) -> f64 {
        -self.groups.iter().map(|(_, events)| events.len() as f64).filter(|d| *d > 1.0).map(|d| d * d.ln()).sum::<f64>()
    }

    #[allow(clippy::cast_precision_loss)]
    fn working(&self, eta: &[f64]) -> Working {
        let (risks, _) = Self::relative_risks(eta);
        let mut at_risk = 0.0;
        let hazard_steps: Vec<f64> = self
            .groups
            .iter()
            .map(|(members, events)| {
                at_risk += members.iter().map(|i| risks[*i]).sum::<f64>();
                if events.is_empty() { 0.0 } else { events.len() as f64 / at_risk }
            })
            .collect();
        let (mut gradient, mut weights) = (vec![0.0; self.n], vec![0.0; self.n]);
        let mut hazard = 0.0;
        for ((members, events), step) in self.groups.iter().zip(&hazard_steps).rev() {
            hazard += step;
            for i in members {
                weights[*i] = risks[*i] * hazard;
                gradient[*i] = -weights[*i];
            }
            for i in events {
                gradient[*i] += 1.0;
            }
        }
        Working { gradient, weights }
    }
}

/// log(1 + exp(x)) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn soft_threshold(x: f64, by: f64) -> f64 {
    if x > by {
        x - by
    } else if x < -by {
        x + by
    } else {
        0.0
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn weighted_square(column: &[f64], weights: &[f64]) -> f64 {
    column.iter().zip(weights).map(|(x, w)| w * x * x).sum()
}

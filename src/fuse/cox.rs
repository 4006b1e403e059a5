//! Cox regression by Newton's method, with Efron's or Breslow's handling of ties and an optional ridge penalty.
//!
//! Maximised is `log PL(b) - theta/2 |b|^2`, the objective of R's `survival::coxph` without and with
//! `ridge(theta = .., scale = FALSE)`. For d tied events with total risk D in a risk set of total R, Efron (1977) takes
//! the denominators `R - (l/d) D`, l = 0 .. d-1; Breslow takes R for each.

use serde::{Deserialize, Serialize};

use super::design::{Design, mean_and_sd};
use super::error::FuseError;
use super::outcome::Survival;
use crate::math::cholesky::Cholesky;

/// How tied events share their risk set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// As if each of the tied events left the risk set in part.
    Efron,
    /// As if none left it.
    Breslow,
}

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CoxSettings {
    /// Ties.
    pub ties: Ties,
    /// Ridge penalty theta on the columns' own scale; 0: none.
    pub ridge: f64,
}

/// A fit.
#[derive(Debug, Clone, PartialEq)]
pub struct CoxFit {
    /// Log hazard ratio per unit of each column.
    pub slopes: Vec<f64>,
    /// Their standard errors, from the inverse of the (penalised) information.
    pub standard_errors: Vec<f64>,
    /// Log partial likelihood with all slopes 0, and at the fit; without the penalty.
    pub log_likelihood: [f64; 2],
}

/// Newton rounds at most, and the change of the objective, relative to it, at which they end.
const ROUNDS_MAX: usize = 60;
const TOLERANCE: f64 = 1e-13;

/// Fits the model.
///
/// # Errors
/// When rows do not match, there is no event, the penalty is negative, or the likelihood has no finite maximum.
pub fn cox(x: &Design, follow_up: &[Survival], settings: CoxSettings) -> Result<CoxFit, FuseError> {
    if x.n_rows() != follow_up.len() {
        return Err(FuseError::Rows { what: "the outcome".into(), found: follow_up.len(), expected: x.n_rows() });
    }
    if !follow_up.iter().any(|patient| patient.event) {
        return Err(FuseError::TooFew { what: "events", found: 0, expected: 1 });
    }
    if !(settings.ridge >= 0.0 && settings.ridge.is_finite()) {
        return Err(FuseError::Setting { what: "the ridge penalty", found: settings.ridge, expected: "0 or more" });
    }
    // Columns at mean 0 and standard deviation 1 keep the information matrix well conditioned; slopes are scaled back.
    let scales: Vec<(f64, f64)> = x.columns().iter().map(|column| mean_and_sd(column)).collect();
    if scales.iter().any(|(mean, sd)| *sd <= 1e-12 * mean.abs() || *sd <= 0.0) {
        return Err(FuseError::NoConvergence("Cox regression"));
    }
    let rows: Vec<Vec<f64>> = (0..x.n_rows())
        .map(|row| x.columns().iter().zip(&scales).map(|(c, (mean, sd))| (c[row] - mean) / sd).collect())
        .collect();
    let model = Model { rows, groups: groups(follow_up), ties: settings.ties };
    let penalties: Vec<f64> = scales.iter().map(|(_, sd)| settings.ridge / (sd * sd)).collect();
    let (slopes, information, log_likelihood) = newton(&model, &penalties)?;
    let inverse = information.inverse();
    Ok(CoxFit {
        slopes: slopes.iter().zip(&scales).map(|(b, (_, sd))| b / sd).collect(),
        standard_errors: scales.iter().enumerate().map(|(j, (_, sd))| inverse[j][j].sqrt() / sd).collect(),
        log_likelihood,
    })
}

fn newton(model: &Model, penalties: &[f64]) -> Result<(Vec<f64>, Cholesky, [f64; 2]), FuseError> {
    let failed = FuseError::NoConvergence("Cox regression");
    let penalty = |slopes: &[f64]| 0.5 * slopes.iter().zip(penalties).map(|(b, theta)| theta * b * b).sum::<f64>();
    let mut slopes = vec![0.0; penalties.len()];
    let mut at = model.evaluate(&slopes);
    let null = at.log_likelihood;
    for _ in 0..ROUNDS_MAX {
        let objective = at.log_likelihood - penalty(&slopes);
        let gradient: Vec<f64> =
            at.gradient.iter().zip(&slopes).zip(penalties).map(|((g, b), theta)| g - theta * b).collect();
        let mut information = at.information;
        for (j, theta) in penalties.iter().enumerate() {
            information[j][j] += theta;
        }
        let factor = Cholesky::new(&information).ok_or(failed.clone())?;
        let mut step = factor.solve(&gradient);
        let mut halvings = 0;
        let (next, evaluated) = loop {
            let next: Vec<f64> = slopes.iter().zip(&step).map(|(b, s)| b + s).collect();
            let evaluated = model.evaluate(&next);
            let better = evaluated.log_likelihood - penalty(&next) >= objective - 1e-12 * objective.abs();
            if better || halvings == 40 {
                break (next, evaluated);
            }
            halvings += 1;
            step.iter_mut().for_each(|s| *s *= 0.5);
        };
        let moved = step.iter().fold(0.0f64, |largest, s| largest.max(s.abs()));
        let gained = evaluated.log_likelihood - penalty(&next) - objective;
        slopes = next;
        at = evaluated;
        // A slope of 50 standard deviations is a hazard ratio of 1e21: the maximum is at infinity.
        if slopes.iter().any(|b| b.abs() > 50.0) {
            return Err(failed);
        }
        if moved < 1e-10 && gained.abs() <= TOLERANCE * (objective.abs() + 1.0) {
            let mut information = at.information;
            for (j, theta) in penalties.iter().enumerate() {
                information[j][j] += theta;
            }
            let factor = Cholesky::new(&information).ok_or(failed)?;
            return Ok((slopes, factor, [null, at.log_likelihood]));
        }
    }
    Err(failed)
}

/// Patients by falling time, in groups of equal time: all, and those with the event.
fn groups(follow_up: &[Survival]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let mut order: Vec<usize> = (0..follow_up.len()).collect();
    order.sort_by(|a, b| follow_up[*b].time.total_cmp(&follow_up[*a].time));
    order
        .chunk_by(|a, b| follow_up[*a].time.total_cmp(&follow_up[*b].time).is_eq())
        .map(|group| (group.to_vec(), group.iter().copied().filter(|i| follow_up[*i].event).collect()))
        .collect()
}

struct Model {
    rows: Vec<Vec<f64>>,
    groups: Vec<(Vec<usize>, Vec<usize>)>,
    ties: Ties,
}

struct Evaluated {
    log_likelihood: f64,
    gradient: Vec<f64>,
    information: Vec<Vec<f64>>,
}

/// Sums over a set of patients: of the risk, of risk times x, of risk times x x'.
#[derive(Clone)]
struct Sums {
    risk: f64,
    first: Vec<f64>,
    second: Vec<Vec<f64>>,
}

impl Sums {
    fn zero(p: usize) -> Self {
        Self { risk: 0.0, first: vec![0.0; p], second: vec![vec![0.0; p]; p] }
    }

    fn add(&mut self, risk: f64, row: &[f64]) {
        self.risk += risk;
        for (j, xj) in row.iter().enumerate() {
            self.first[j] += risk * xj;
            for (k, xk) in row.iter().enumerate().take(j + 1) {
                self.second[j][k] += risk * xj * xk;
            }
        }
    }
}

impl Model {
    #[allow(clippy::cast_precision_loss)]
    fn evaluate(&self, slopes: &[f64]) -> Evaluated {
        let p = slopes.len();
        let eta: Vec<f64> = self.rows.iter().map(|row| row.iter().zip(slopes).map(|(x, b)| x * b).sum()).collect();
        let shift = eta.iter().fold(f64::NEG_INFINITY, |a: f64, b| a.max(*b));
        let mut out = Evaluated { log_likelihood: 0.0, gradient: vec![0.0; p], information: vec![vec![0.0; p]; p] };
        let mut at_risk = Sums::zero(p);
        for (members, events) in &self.groups {
            let mut tied = Sums::zero(p);
            for i in members {
                at_risk.add((eta[*i] - shift).exp(), &self.rows[*i]);
            }
            for i in events {
                tied.add((eta[*i] - shift).exp(), &self.rows[*i]);
                out.log_likelihood += eta[*i] - shift;
                out.gradient.iter_mut().zip(&self.rows[*i]).for_each(|(g, x)| *g += x);
            }
            for l in 0..events.len() {
                let left = match self.ties {
                    Ties::Efron => l as f64 / events.len() as f64,
                    Ties::Breslow => 0.0,
                };
                out.leave(&at_risk, &tied, left);
            }
        }
        for j in 0..p {
            for k in 0..j {
                out.information[k][j] = out.information[j][k];
            }
        }
        out
    }
}

impl Evaluated {
    /// One denominator: the risk set less a part of the tied events.
    fn leave(&mut self, at_risk: &Sums, tied: &Sums, left: f64) {
        let denominator = at_risk.risk - left * tied.risk;
        self.log_likelihood -= denominator.ln();
        let p = self.gradient.len();
        let mean: Vec<f64> = (0..p).map(|j| (at_risk.first[j] - left * tied.first[j]) / denominator).collect();
        for j in 0..p {
            self.gradient[j] -= mean[j];
            for k in 0..=j {
                let second = (at_risk.second[j][k] - left * tied.second[j][k]) / denominator;
                self.information[j][k] += second - mean[j] * mean[k];
            }
        }
    }
}

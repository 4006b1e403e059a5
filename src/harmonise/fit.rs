//! Fitting: rules first, then the linear model of every feature, then each batch's effects from all features together.
//!
//! Johnson, Li, Rabinovic, Biostatistics 2007; for images Fortin et al., NeuroImage 2018. For feature f of sample i in
//! batch b with covariates x:
//!
//! ```text
//! y = alpha + x beta + sigma gamma_b + sigma sqrt(delta_b) noise
//! ```
//!
//! alpha is the mean of the batches' levels, weighted by their sizes, or the level of the reference batch; sigma^2 the mean
//! squared residual over all samples (divisor N), or over those of the reference. The results equal those of R's sva and of
//! neuroCombat to rounding.

use rayon::prelude::*;

use super::bayes::{self, BatchStatistics, Posterior};
use super::checks::{self, Checked};
use super::coding::{Coding, CodingKind};
use super::data::{Covariate, Samples};
use super::design::{Design, sums_of_squares};
use super::error::HarmoniseError;
use super::model::{BatchEstimate, BatchModel, FeatureFit, FeatureModel, FeatureState, LeftOut, Model, Standing};
use super::remark::{Remark, Rule};
use super::settings::{Estimator, FitSettings, SAMPLES_FULL, SAMPLES_MIN};
use super::spline::Knots;
use super::transform::FeatureTransform;

/// Fits a harmonisation.
///
/// Rows without a batch or a protected covariate take no part, nor do batches that are too small; the model's remarks say
/// so. A feature that is constant within a batch, or has too few values in one, is left unchanged, and takes no part in
/// what is learned from all features.
///
/// # Errors
/// When the tables do not belong together, or a protective rule refuses.
pub fn fit(samples: &Samples<'_>, settings: &FitSettings) -> Result<Model, HarmoniseError> {
    settings.check()?;
    samples.check()?;
    let plan = Plan::new(samples, settings)?;
    let linear: Vec<Result<Linear, String>> = (0..samples.features.n_features())
        .into_par_iter()
        .map_init(Scratch::default, |scratch, idx| plan.linear(samples.features.column(idx), settings, scratch))
        .collect();
    let mut model = plan.model;
    let n_usable = linear.iter().filter(|feature| feature.is_ok()).count();
    let estimator = effective_estimator(settings.estimator, n_usable, &mut model.remarks)?;
    let posteriors: Vec<Posterior> = (0..model.batches.len())
        .into_par_iter()
        .map(|batch| posterior(batch, &linear, estimator, model.batches[batch].estimate, settings.convergence))
        .collect();
    for (batch, posterior) in model.batches.iter_mut().zip(&posteriors) {
        batch.prior = posterior.prior;
        batch.n_iterations = posterior.n_iterations;
        if !posterior.converged {
            let sentence = format!("the estimate of batch \"{}\" did not settle", batch.label);
            model.remarks.push(Remark::new(Rule::W5, sentence));
        }
    }
    let mut place = 0;
    for (name, linear) in samples.features.names().iter().zip(linear) {
        let state = match linear {
            Err(reason) => FeatureState::Unchanged { reason },
            Ok(linear) => {
                place += 1;
                FeatureState::Harmonised(linear.with(&posteriors, place - 1))
            }
        };
        model.features.push(FeatureModel { name: name.clone(), state });
    }
    Ok(model)
}

/// What is common to all features.
struct Plan {
    /// Everything but the features.
    model: Model,
    /// The rows that take part.
    rows: Vec<usize>,
    design: Design,
    reference: Option<usize>,
    curve: Option<Knots>,
    directions: Vec<Vec<f64>>,
}

/// The linear model of one feature.
struct Linear {
    transform: FeatureTransform,
    alpha: f64,
    variance: f64,
    beta: Vec<f64>,
    spline: Vec<f64>,
    gamma_hat: Vec<f64>,
    delta_hat: Vec<f64>,
    ss: Vec<f64>,
    n: Vec<f64>,
}

#[derive(Default)]
struct Scratch {
    y: Vec<f64>,
    residual: Vec<f64>,
}

impl Plan {
    fn new(samples: &Samples<'_>, settings: &FitSettings) -> Result<Self, HarmoniseError> {
        let mut remarks = Vec::new();
        let known = known_rows(samples, &mut remarks);
        let (labels, left_out) = batches(samples, &known, settings, &mut remarks)?;
        let place = |row: &usize| labels.iter().position(|label| *label == samples.batches.labels[*row]);
        let (rows, batch_of): (Vec<usize>, Vec<usize>) =
            known.iter().filter_map(|row| Some((*row, place(row)?))).unzip();
        let covariates: Vec<Covariate> = samples.covariates.iter().map(|covariate| covariate.of(&rows)).collect();
        let undeclared: Vec<Covariate> = samples.undeclared.iter().map(|covariate| covariate.of(&rows)).collect();
        let codings = codings(&covariates, settings)?;
        let columns = columns(&codings, &covariates, rows.len());
        let curve = curve(&codings);
        let checked = Checked {
            batch_column: &samples.batches.name,
            labels: &labels,
            batch_of: &batch_of,
            covariates: &covariates,
            undeclared: &undeclared,
            features: samples.features.names(),
            columns: &columns,
        };
        remarks.extend(checks::check(&checked));
        let design = design(batch_of.clone(), &labels, &columns, curve);
        let design = refuse(design, &remarks, settings)?;
        let reference = settings.reference.as_ref().and_then(|name| labels.iter().position(|label| label == name));
        let batches = labels.into_iter().zip(design.sizes()).enumerate();
        let batches =
            batches.map(|(idx, (label, n))| batch_model(label, *n, Some(idx) == reference, settings)).collect();
        let model = Model {
            settings: settings.clone(),
            batch_column: samples.batches.name.clone(),
            covariates: codings,
            batches,
            left_out,
            features: Vec::new(),
            remarks,
            n_samples: rows.len(),
        };
        let directions = curve.map(|(knots, _)| knots.directions()).unwrap_or_default();
        Ok(Self { model, rows, design, reference, curve: curve.map(|(knots, _)| knots), directions })
    }

    /// Fits one feature; the error is the sentence why it stays unchanged.
    fn linear(&self, column: &[f64], settings: &FitSettings, scratch: &mut Scratch) -> Result<Linear, String> {
        scratch.y.clear();
        scratch.y.extend(self.rows.iter().map(|row| column[*row]));
        let fewer;
        let design = if !scratch.y.iter().any(|value| value.is_nan()) {
            &self.design
        } else {
            let present: Vec<usize> = (0..scratch.y.len()).filter(|row| !scratch.y[*row].is_nan()).collect();
            scratch.y.retain(|value| !value.is_nan());
            fewer = self.design.of(&present);
            fewer.as_ref().ok_or("the patients who have a value do not determine the covariates' effects")?
        };
        self.enough(design)?;
        let transform = FeatureTransform::choose(settings.transform, &scratch.y, design);
        if transform != FeatureTransform::None {
            // Chosen only where all values are positive.
            scratch.y.iter_mut().for_each(|value| *value = transform.forward(*value).unwrap_or(f64::NAN));
        }
        self.standardised(design, transform, scratch)
    }

    /// Whether every batch has the values that its estimate needs.
    fn enough(&self, design: &Design) -> Result<(), String> {
        for (batch, n) in self.model.batches.iter().zip(design.sizes()) {
            let needed = if batch.estimate == BatchEstimate::Shift { 1.0 } else { 2.0 };
            if *n < needed {
                return Err(format!("batch \"{}\" has {n} values of it", batch.label));
            }
        }
        Ok(())
    }

    #[allow(clippy::cast_precision_loss)]
    fn standardised(
        &self,
        design: &Design,
        transform: FeatureTransform,
        scratch: &mut Scratch,
    ) -> Result<Linear, String> {
        let n_batches = self.model.batches.len();
        let Scratch { y, residual } = scratch;
        let solution = design.solve(y, residual);
        for (batch, label) in self.model.batches.iter().map(|batch| &batch.label).enumerate() {
            if design.sizes()[batch] > 1.0 && is_constant(&solution.spread, &solution.means, batch, y, design) {
                return Err(format!("it is constant in batch \"{label}\""));
            }
        }
        let ss = sums_of_squares(residual, design.batch_of(), n_batches);
        let (alpha, variance) = match self.reference {
            Some(reference) => (solution.batches[reference], ss[reference] / design.sizes()[reference]),
            None => {
                let n = design.n_rows() as f64;
                let weighted = solution.batches.iter().zip(self.design.sizes()).map(|(level, size)| level * size);
                (weighted.sum::<f64>() / self.design.n_rows() as f64, ss.iter().sum::<f64>() / n)
            }
        };
        let spread: f64 = solution.spread.iter().sum();
        if variance.is_nan() || variance <= 1e-20 * spread || variance <= 0.0 {
            return Err("nothing is left of it beside batches and covariates".to_owned());
        }
        let gamma_hat = solution.batches.iter().map(|level| (level - alpha) / variance.sqrt()).collect();
        let ss: Vec<f64> = ss.into_iter().map(|ss| ss / variance).collect();
        let delta_hat = self.model.batches.iter().zip(&ss).zip(design.sizes());
        let delta_hat = delta_hat
            .map(|((batch, ss), n)| if batch.estimate == BatchEstimate::Shift { 1.0 } else { ss / (n - 1.0) })
            .collect();
        let spline = self.curve.map(|knots| knots.coefficients(&self.directions, &solution.curve)).unwrap_or_default();
        let n = design.sizes().to_vec();
        Ok(Linear { transform, alpha, variance, beta: solution.beta, spline, gamma_hat, delta_hat, ss, n })
    }
}

impl Linear {
    fn with(self, posteriors: &[Posterior], place: usize) -> FeatureFit {
        FeatureFit {
            transform: self.transform,
            alpha: self.alpha,
            variance: self.variance,
            beta: self.beta,
            spline: self.spline,
            gamma_hat: self.gamma_hat,
            delta_hat: self.delta_hat,
            gamma_star: posteriors.iter().map(|posterior| posterior.gamma[place]).collect(),
            delta_star: posteriors.iter().map(|posterior| posterior.delta[place]).collect(),
        }
    }
}

/// The rows whose batch and covariates are all known.
fn known_rows(samples: &Samples<'_>, remarks: &mut Vec<Remark>) -> Vec<usize> {
    let n_rows = samples.features.n_rows();
    let mut told = |what: String, n: usize| {
        if n > 0 {
            remarks.push(Remark::new(Rule::W5, format!("{n} rows without {what} take no part")));
        }
    };
    let without = samples.batches.labels.iter().filter(|label| label.is_empty()).count();
    told(format!("a value of batch column \"{}\"", samples.batches.name), without);
    for covariate in samples.covariates {
        let without = (0..n_rows).filter(|row| !covariate.is_known(*row)).count();
        told(format!("protected covariate \"{}\"", covariate.name), without);
    }
    let known = |row: &usize| {
        !samples.batches.labels[*row].is_empty() && samples.covariates.iter().all(|covariate| covariate.is_known(*row))
    };
    (0..n_rows).filter(known).collect()
}

/// The labels of the batches that take part, sorted, and those that do not (rule E3).
fn batches(
    samples: &Samples<'_>,
    rows: &[usize],
    settings: &FitSettings,
    remarks: &mut Vec<Remark>,
) -> Result<(Vec<String>, Vec<LeftOut>), HarmoniseError> {
    let mut sizes: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    rows.iter().for_each(|row| *sizes.entry(samples.batches.labels[*row].as_str()).or_default() += 1);
    let auto = settings.estimator == Estimator::Auto;
    let needed = |label: &str| match auto {
        true => SAMPLES_MIN,
        false if settings.mean_only && settings.reference.as_deref() != Some(label) => 1,
        false => 2,
    };
    let (mut labels, mut left_out) = (Vec::new(), Vec::new());
    for (label, n_samples) in sizes {
        let (label, needed) = (label.to_owned(), needed(label));
        if n_samples >= needed {
            if auto && !settings.mean_only && n_samples < SAMPLES_FULL && settings.reference.as_ref() != Some(&label) {
                let sentence = format!(
                    "batch \"{label}\" has {n_samples} samples, fewer than {SAMPLES_FULL}: it is shifted and not scaled"
                );
                remarks.push(Remark::new(Rule::W5, sentence));
            }
            labels.push(label);
        } else if auto && settings.reference.as_ref() != Some(&label) {
            let sentence = format!(
                "batch \"{label}\" has {n_samples} samples, fewer than {SAMPLES_MIN}: it is left out and stays raw"
            );
            remarks.push(Remark::new(Rule::W5, sentence));
            left_out.push(LeftOut { label, n_samples });
        } else {
            let sentence = format!("batch \"{label}\" has {n_samples} samples, expected at least {needed}");
            return Err(HarmoniseError::Refused(vec![Remark::new(Rule::E3, sentence)]));
        }
    }
    if let Some(reference) = settings.reference.as_ref().filter(|reference| !labels.contains(reference)) {
        let reason = "is to be the reference and does not occur".to_owned();
        return Err(HarmoniseError::Batch { label: reference.clone(), reason });
    }
    if labels.len() < 2 {
        let what = format!("batches in column \"{}\" that have enough samples", samples.batches.name);
        return Err(HarmoniseError::TooFew { what, found: labels.len(), expected: 2 });
    }
    Ok((labels, left_out))
}

/// The columns of the design, each with its name.
fn columns(codings: &[Coding], covariates: &[Covariate], n_rows: usize) -> Vec<(String, Vec<f64>)> {
    let mut columns = Vec::new();
    for (coding, covariate) in codings.iter().zip(covariates) {
        let names = coding.columns();
        let mut values = vec![Vec::with_capacity(n_rows); names.len()];
        for row in 0..n_rows {
            // Every value is known, and the coding was learned from these very values.
            if let Ok(code) = coding.row(covariate, row) {
                values.iter_mut().zip(code).for_each(|(column, value)| column.push(value));
            }
        }
        columns.extend(names.into_iter().zip(values));
    }
    columns
}

fn codings(covariates: &[Covariate], settings: &FitSettings) -> Result<Vec<Coding>, HarmoniseError> {
    let smooth = |covariate: &Covariate| settings.spline.as_ref() == Some(&covariate.name);
    let codings: Vec<Coding> = covariates.iter().map(|covariate| Coding::learn(covariate, smooth(covariate))).collect();
    match &settings.spline {
        Some(name) if curve(&codings).is_none() => Err(HarmoniseError::Setting {
            what: "spline",
            found: name.clone(),
            expected: "the name of a protected covariate of numbers that differ",
        }),
        _ => Ok(codings),
    }
}

/// The curve of the model, and which covariate's it is.
fn curve(codings: &[Coding]) -> Option<(Knots, usize)> {
    let mut column = 0;
    for coding in codings {
        if let CodingKind::Spline(knots) = coding.kind {
            return Some((knots, column));
        }
        column += coding.columns().len();
    }
    None
}

fn design(
    batch_of: Vec<usize>,
    labels: &[String],
    columns: &[(String, Vec<f64>)],
    curve: Option<(Knots, usize)>,
) -> Result<Design, Vec<Remark>> {
    let values: Vec<Vec<f64>> = columns.iter().map(|(_, values)| values.clone()).collect();
    let curve = curve.map(|(knots, column)| knots.columns(&values[column]));
    Design::new(batch_of, labels.len(), &values, curve.as_deref()).map_err(|found| {
        let sentences = found.iter().map(|found| checks::combination(found, columns, labels));
        sentences.map(|sentence| Remark::new(Rule::E1, sentence)).collect()
    })
}

/// The design, unless it has no unique solution or a rule is against it; all that is against it is told at once.
fn refuse(
    design: Result<Design, Vec<Remark>>,
    remarks: &[Remark],
    settings: &FitSettings,
) -> Result<Design, HarmoniseError> {
    let allowed = |rule: Rule| rule == Rule::E4 && settings.allow_confounded;
    let (design, mut against) = match design {
        Ok(design) => (Some(design), Vec::new()),
        Err(against) => (None, against),
    };
    against.extend(remarks.iter().filter(|remark| remark.rule.refuses() && !allowed(remark.rule)).cloned());
    match design {
        Some(design) if against.is_empty() => Ok(design),
        _ => Err(HarmoniseError::Refused(against)),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn batch_model(label: String, n: f64, reference: bool, settings: &FitSettings) -> BatchModel {
    let n_samples = n as usize;
    let small = settings.estimator == Estimator::Auto && n_samples < SAMPLES_FULL;
    let estimate = if reference {
        BatchEstimate::Reference
    } else if settings.mean_only || small {
        BatchEstimate::Shift
    } else {
        BatchEstimate::ShiftAndScale
    };
    BatchModel { label, n_samples, estimate, standing: Standing::Fitted, prior: None, n_iterations: 0 }
}

/// Whether a feature has one value in a batch, up to rounding.
fn is_constant(spread: &[f64], means: &[f64], batch: usize, y: &[f64], design: &Design) -> bool {
    let n = design.sizes()[batch];
    if spread[batch] > n * (1e-9 * means[batch]).powi(2) {
        return false;
    }
    let values = y.iter().zip(design.batch_of()).filter(|(_, of)| **of == batch).map(|(value, _)| *value);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    values.for_each(|value| (low, high) = (low.min(value), high.max(value)));
    high - low <= 1e-12 * low.abs().max(high.abs())
}

/// What all features together say is asked only where there are several.
fn effective_estimator(
    asked: Estimator,
    n_usable: usize,
    remarks: &mut Vec<Remark>,
) -> Result<Estimator, HarmoniseError> {
    match asked {
        Estimator::None => Ok(asked),
        _ if n_usable >= 2 || n_usable == 0 => Ok(asked),
        Estimator::Auto => {
            let sentence = "one feature can be harmonised: its estimates are used as they are".to_owned();
            remarks.push(Remark::new(Rule::W5, sentence));
            Ok(Estimator::None)
        }
        Estimator::Parametric | Estimator::NonParametric => {
            let what = "features that can be harmonised by empirical Bayes".to_owned();
            Err(HarmoniseError::TooFew { what, found: n_usable, expected: 2 })
        }
    }
}

/// The estimates of one batch for all usable features.
fn posterior(
    batch: usize,
    linear: &[Result<Linear, String>],
    estimator: Estimator,
    estimate: BatchEstimate,
    convergence: f64,
) -> Posterior {
    let mut statistics = BatchStatistics::default();
    for feature in linear.iter().flatten() {
        statistics.gamma_hat.push(feature.gamma_hat[batch]);
        statistics.delta_hat.push(feature.delta_hat[batch]);
        statistics.ss.push(feature.ss[batch]);
        statistics.n.push(feature.n[batch]);
    }
    match (estimate, estimator) {
        (BatchEstimate::Reference, _) => {
            let n = statistics.gamma_hat.len();
            Posterior { gamma: vec![0.0; n], delta: vec![1.0; n], prior: None, n_iterations: 0, converged: true }
        }
        (_, Estimator::None) => bayes::unshrunken(&statistics),
        (_, Estimator::NonParametric) => bayes::nonparametric(&statistics),
        (BatchEstimate::Shift, _) => bayes::parametric_mean_only(&statistics),
        (BatchEstimate::ShiftAndScale, _) => bayes::parametric(&statistics, convergence),
    }
}

//! From a cohort to a bundle: guards, nested validation of every model and baseline, then one fit to all.

use super::body::Method;
use super::bundle::{Bundle, Conformal, Pattern};
use super::data::Dataset;
use super::derived::{Derived, baselines};
use super::error::FuseError;
use super::fitted::Fitted;
use super::leaks::{check_covariates, check_features};
use super::nest::{Nest, Table};
use super::outcome::Outcome;
use super::part::fit_harmonisation;
use super::space::Space;
use super::synergy::{Columns, Synergy, synergy};
use super::validate::{
    Candidate, Evaluation, LeftOut, ValidateSettings, cross_validate, discriminate, evaluate, mean_of, sigmoid,
};
use crate::harmonise::Values;
use crate::math::random::Stream;

/// How a bundle is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSettings {
    /// The methods that are tried, in the order of preference: of equals the first is taken.
    pub methods: Vec<Method>,
    /// How they are judged.
    pub validate: ValidateSettings,
    /// Bodies of the ensemble.
    pub n_ensemble: usize,
    /// Permutations for what blocks share.
    pub n_permutations: usize,
    /// Train although there are few events.
    pub force: bool,
}

impl Default for TrainSettings {
    fn default() -> Self {
        let methods = Method::ALL.to_vec();
        Self { methods, validate: ValidateSettings::default(), n_ensemble: 50, n_permutations: 199, force: false }
    }
}

/// Fewer events than these are refused without force.
pub const EVENTS_MIN: usize = 20;
/// The block of clinical values.
pub const CLINICAL: &str = "clinical";
/// The part of patients whose outcome a conformal set should hold.
const CONFORMAL_LEVEL: f64 = 0.9;
const PERMUTED: u64 = 240;

/// What training gave.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The bundle.
    pub bundle: Bundle,
    /// Its method.
    pub method: Method,
    /// Every model, baseline and the control.
    pub evaluations: Vec<Evaluation>,
    /// The mean linear predictor of every patient by the bundle's method, when left out.
    pub left_out: Vec<f64>,
    /// What blocks share.
    pub synergy: Vec<Synergy>,
    /// Events per chosen feature of the bundle's model.
    pub events_per_variable: f64,
}

/// Trains a bundle. `progress` is told of every fold that is done, of [`n_steps`].
///
/// # Errors
/// When a guard refuses, or a model cannot be fitted.
pub fn train(
    data: &Dataset,
    endpoint: &str,
    settings: &TrainSettings,
    progress: &(dyn Fn() + Sync),
) -> Result<Trained, FuseError> {
    guard(data, endpoint, settings)?;
    let (whole, derived) = with_baselines(data);
    let candidates = candidates(data, &whole, settings);
    let left_out = cross_validate(&whole, &candidates, &settings.validate, progress)?;
    let bootstrap = settings.validate.bootstrap;
    let mut evaluations: Vec<Evaluation> = candidates
        .iter()
        .zip(&left_out)
        .map(|(candidate, left_out)| evaluate(candidate, left_out, &whole, bootstrap))
        .collect();
    evaluations.push(control(data, &candidates, settings, progress)?);
    let best = best(&evaluations[..settings.methods.len()]);
    let method = settings.methods[best];
    let nest = &settings.validate.nest;
    let (fitted, ensemble) = Fitted::fit(data, method, nest, settings.n_ensemble)?;
    let n_variables: usize = fitted.parts.iter().map(|part| part.chosen.features.len()).sum();
    #[allow(clippy::cast_precision_loss)]
    let events_per_variable = data.outcome.n_events() as f64 / n_variables.max(1) as f64;
    let table = Table::new(&fitted.parts, data)?;
    let spaces = (0..data.blocks.len()).map(|block| Space::fit(&table, block)).collect::<Result<_, _>>()?;
    let shared = all_synergies(data, &table, settings);
    let baselines = derived.iter().map(|derived| baseline(data, derived, settings)).collect::<Result<_, _>>()?;
    let bundle = Bundle {
        endpoint: endpoint.to_owned(),
        fitted,
        ensemble,
        spaces,
        conformal: conformal(&left_out[best], &data.outcome),
        patterns: patterns(&left_out[best], data, settings),
        baselines,
        synergy: shared.first().map(|synergy| synergy.frobenius),
    };
    let left_out = left_out[best].mean();
    Ok(Trained { bundle, method, evaluations, left_out, synergy: shared, events_per_variable })
}

/// Folds that training goes through.
#[must_use]
pub fn n_steps(settings: &TrainSettings) -> usize {
    2 * settings.validate.n_folds * settings.validate.n_repeats.max(1)
}

fn guard(data: &Dataset, endpoint: &str, settings: &TrainSettings) -> Result<(), FuseError> {
    if settings.methods.is_empty() || data.blocks.is_empty() {
        return Err(FuseError::TooFew { what: "methods and blocks", found: 0, expected: 1 });
    }
    let n_events = data.outcome.n_events();
    if n_events < EVENTS_MIN && !settings.force {
        return Err(FuseError::TooFew {
            what: "events (--force trains all the same)",
            found: n_events,
            expected: EVENTS_MIN,
        });
    }
    check_features(data, endpoint)?;
    let Some(harmonising) = &data.harmonising else { return Ok(()) };
    let numbers = |values: &Values| match values {
        Values::Continuous(values) => values.clone(),
        // Levels are compared as numbers: equal levels, equal numbers.
        Values::Categorical(values) => {
            let place =
                |value: &String| values.iter().position(|first| first == value).map_or(f64::NAN, |at| at as f64);
            #[allow(clippy::cast_precision_loss)]
            values.iter().map(place).collect()
        }
    };
    let covariates: Vec<(String, Vec<f64>)> =
        harmonising.covariates.iter().map(|known| (known.name.clone(), numbers(&known.values))).collect();
    check_covariates(&covariates, endpoint, &data.outcome)?;
    // A design that would lie is refused before a fold happens to hide it.
    data.blocks.iter().try_for_each(|block| fit_harmonisation(data, block).map(drop))
}

/// The cohort with the baselines' values as blocks of their own; only those that are there for most patients.
fn with_baselines(data: &Dataset) -> (Dataset, Vec<Derived>) {
    let mut whole = data.clone();
    let mut kept = Vec::new();
    for derived in baselines(data) {
        let block = derived.block(data);
        if 2 * block.n_present() >= data.patients.len() {
            whole.blocks.push(block);
            kept.push(derived);
        }
    }
    (whole, kept)
}

fn candidates(data: &Dataset, whole: &Dataset, settings: &TrainSettings) -> Vec<Candidate> {
    let all: Vec<usize> = (0..data.blocks.len()).collect();
    let one = |model: &str, fusion: &str, method: Method, blocks: Vec<usize>, by_pattern: bool| Candidate {
        model: model.to_owned(),
        fusion: fusion.to_owned(),
        method,
        blocks,
        by_pattern,
    };
    let fused = settings.methods.iter().map(|method| one(method.name(), method.fusion(), *method, all.clone(), true));
    let mut candidates: Vec<Candidate> = fused.collect();
    for (idx, block) in whole.blocks.iter().enumerate() {
        let model = match idx < data.blocks.len() {
            true if block.name == CLINICAL => "clinical alone".to_owned(),
            true => format!("{} alone", block.name),
            false => block.name.clone(),
        };
        candidates.push(one(&model, "baseline", Method::Early, vec![idx], false));
    }
    candidates
}

/// The first method again with permuted outcomes: what chance gives.
fn control(
    data: &Dataset,
    candidates: &[Candidate],
    settings: &TrainSettings,
    progress: &(dyn Fn() + Sync),
) -> Result<Evaluation, FuseError> {
    let permuted = permuted(data, settings.validate.nest.seed);
    let first = candidates.first().ok_or(FuseError::TooFew { what: "methods", found: 0, expected: 1 })?;
    let control = Candidate {
        model: format!("{}, permuted outcomes", first.model),
        fusion: "control".to_owned(),
        by_pattern: false,
        ..first.clone()
    };
    let left_out = cross_validate(&permuted, std::slice::from_ref(&control), &settings.validate, progress)?;
    Ok(evaluate(&control, &left_out[0], &permuted, settings.validate.bootstrap))
}

/// The cohort with its outcomes dealt anew among the patients. A patient's rows share one outcome's place.
#[must_use]
pub fn permuted(data: &Dataset, seed: u64) -> Dataset {
    let mut patients: Vec<&String> = data.patients.iter().collect();
    patients.sort();
    patients.dedup();
    let first = |patient: &&String| data.patients.iter().position(|known| known == *patient).unwrap_or(0);
    let mut sources: Vec<usize> = patients.iter().map(first).collect();
    Stream::new(seed, PERMUTED, 0).shuffle(&mut sources);
    let source = |patient: &String| patients.binary_search(&patient).map_or(0, |at| sources[at]);
    let rows: Vec<usize> = data.patients.iter().map(source).collect();
    Dataset { outcome: data.outcome.of(&rows), ..data.clone() }
}

/// The place of the best; of equals the first.
fn best(evaluations: &[Evaluation]) -> usize {
    let mut best = 0;
    for (at, evaluation) in evaluations.iter().enumerate() {
        if evaluation.auc.unwrap_or(0.0) > evaluations[best].auc.unwrap_or(0.0) {
            best = at;
        }
    }
    best
}

/// The smallest threshold under which enough patients' outcomes were in the set.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn conformal(left_out: &LeftOut, outcome: &Outcome) -> Conformal {
    let Outcome::Binary(events) = outcome else { return Conformal { level: CONFORMAL_LEVEL, threshold: None } };
    let mean = left_out.mean();
    let known = mean.iter().zip(events).filter(|(eta, _)| eta.is_finite());
    let mut misses: Vec<f64> = known.map(|(eta, event)| sigmoid(if *event { -*eta } else { *eta })).collect();
    misses.sort_by(f64::total_cmp);
    let rank = (CONFORMAL_LEVEL * (misses.len() as f64 + 1.0)).ceil() as usize;
    // With too few patients no threshold is high enough: every set holds both.
    let threshold = misses.get(rank.saturating_sub(1)).copied().unwrap_or(1.0);
    Conformal { level: CONFORMAL_LEVEL, threshold: Some(threshold) }
}

fn patterns(left_out: &LeftOut, data: &Dataset, settings: &TrainSettings) -> Vec<Pattern> {
    let all = data.blocks.len();
    let pattern = |(used, linear): &(Vec<bool>, Vec<Vec<f64>>)| {
        let names = data.blocks.iter().zip(used).filter(|(_, used)| **used).map(|(block, _)| block.name.clone());
        let mean = mean_of(linear);
        let rows: Vec<usize> = (0..mean.len()).filter(|row| mean[*row].is_finite()).collect();
        let (auc, interval) = discriminate(linear, &left_out.folds, data, settings.validate.bootstrap);
        let better = interval.is_some_and(|interval| interval.low > 0.5);
        Pattern {
            blocks: names.collect(),
            n: rows.len(),
            events: data.outcome.of(&rows).n_events(),
            auc,
            auc_low: interval.map(|interval| interval.low),
            auc_high: interval.map(|interval| interval.high),
            validated: better || used.iter().filter(|used| **used).count() == all,
        }
    };
    left_out.patterns.iter().map(pattern).collect()
}

fn baseline(data: &Dataset, derived: &Derived, settings: &TrainSettings) -> Result<(Derived, Fitted), FuseError> {
    let alone = Dataset::new(data.patients.clone(), vec![derived.block(data)], data.outcome.clone())?;
    let (fitted, _) = Fitted::fit(&alone, Method::Early, &settings.validate.nest, 0)?;
    Ok((derived.clone(), fitted))
}

/// Every pair of blocks of features, over the patients who have both.
fn all_synergies(data: &Dataset, table: &Table, settings: &TrainSettings) -> Vec<Synergy> {
    let volume = baselines(data).into_iter().next().map(|derived| derived.block(data));
    let mut found = Vec::new();
    for (i, first) in data.blocks.iter().enumerate() {
        for (j, second) in data.blocks.iter().enumerate().skip(i + 1) {
            if first.name == CLINICAL || second.name == CLINICAL {
                continue;
            }
            let volume_of = |row: usize| volume.as_ref().and_then(|block| block.rows[row].as_ref()).map(|row| row[0]);
            let both = |row: &usize| table.all[i].rows[*row].is_some() && table.all[j].rows[*row].is_some();
            let rows: Vec<usize> = (0..table.n_rows()).filter(both).collect();
            let volumes: Vec<f64> = rows.iter().filter_map(|row| volume_of(*row)).collect();
            let columns = |block: usize| -> Columns {
                let values = rows.iter().filter_map(|row| table.all[block].rows[*row].as_ref());
                let values: Vec<&Vec<f64>> = values.collect();
                (0..table.all[block].fill.len()).map(|idx| values.iter().map(|row| row[idx]).collect()).collect()
            };
            let volumes = (volumes.len() == rows.len()).then_some(volumes.as_slice());
            let names = [first.name.as_str(), second.name.as_str()];
            let seed = settings.validate.nest.seed;
            found.push(synergy(names, [&columns(i), &columns(j)], volumes, settings.n_permutations, seed));
        }
    }
    found
}

/// The .632+ estimate of a method's discrimination: the error is one less the AUC.
///
/// # Errors
/// When no resample can be fitted.
#[allow(clippy::cast_precision_loss)]
pub fn auc_632_plus(
    data: &Dataset,
    method: Method,
    settings: &TrainSettings,
    n_samples: usize,
) -> Result<f64, FuseError> {
    use rayon::prelude::*;
    let nest = settings.validate.nest;
    let blocks: Vec<usize> = (0..data.blocks.len()).collect();
    let error = |train: &Dataset, test: &Dataset, stream: u64| -> Option<f64> {
        let nest = Nest::new(train, &nest, stream).ok()?;
        let body = super::body::Body::fit(method, &nest, &blocks, settings.validate.nest.seed ^ stream).ok()?;
        let table = Table::new(&nest.parts, test).ok()?;
        let row = |row| {
            let (chosen, all) =
                (super::body::row_of(&table.chosen, &blocks, row), super::body::row_of(&table.all, &blocks, row));
            body.score(&chosen, &all).map_or(f64::NAN, |scored| scored.linear)
        };
        let linear: Vec<f64> = (0..table.n_rows()).map(row).collect();
        super::metrics::discrimination(&linear, &test.outcome, super::metrics::Pairing::default()).map(|auc| 1.0 - auc)
    };
    let apparent = error(data, data, u64::MAX - 1).ok_or(FuseError::NoConvergence("the model"))?;
    let strata = super::bootstrap::strata(&data.patients, &data.outcome.events());
    let left_out: Vec<f64> = (0..n_samples)
        .into_par_iter()
        .filter_map(|sample| {
            let mut stream = Stream::new(nest.seed, PERMUTED + 1, sample as u64);
            let mut rows = Vec::new();
            for stratum in &strata {
                (0..stratum.len()).for_each(|_| rows.extend(&stratum[stream.below(stratum.len())]));
            }
            let absent: Vec<usize> = (0..data.patients.len()).filter(|row| !rows.contains(row)).collect();
            error(&data.of(&rows), &data.of(&absent), sample as u64)
        })
        .collect();
    if left_out.is_empty() {
        return Err(FuseError::TooFew { what: "resamples that could be fitted", found: 0, expected: 1 });
    }
    let mean = left_out.iter().sum::<f64>() / left_out.len() as f64;
    Ok(1.0 - super::metrics::point_632_plus(apparent, mean, 0.5))
}

//! `fusion predict` and `fusion evaluate`: a bundle asked about the patients of tables. Nothing is fitted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::super::error::TableError;
use super::super::json::write_json;
use super::super::wide::{WideTable, number_text};
use super::files::BundleFile;
use super::load::{Cohorts, Inputs, outcomes};
use crate::fuse::{
    BootstrapSettings, Dataset, Evaluation, Outcome, Prediction, Refusal, Scale, Survival, discriminate, judge,
};
use crate::store::write_whole;

/// What `fusion predict` is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictOptions {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// The blocks.
    pub inputs: Inputs,
    /// A further table in which covariates are looked for.
    pub covariates: Option<PathBuf>,
    /// The settings under which the features were measured, where they are known.
    pub settings_sha256: Option<String>,
    /// Where predictions go.
    pub out: PathBuf,
}

/// What `fusion predict` did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictOutcome {
    /// The bundle's id.
    pub id: String,
    /// Patients with a prediction.
    pub n_predicted: usize,
    /// Patients without one, by the code of the reason.
    pub refused: BTreeMap<String, usize>,
}

/// What `fusion evaluate` is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateOptions {
    /// The bundle's folder, and the blocks.
    pub predict: PredictOptions,
    /// The table of outcomes.
    pub outcome: PathBuf,
    /// Its column that says whether the event happened.
    pub endpoint: String,
    /// Its column of times, for survival.
    pub time: Option<String>,
}

/// What `fusion evaluate` found.
#[derive(Debug, Clone, Serialize)]
pub struct EvaluateOutcome {
    /// What was predicted for whom.
    #[serde(flatten)]
    pub predicted: PredictOutcome,
    /// The bundle's model, then its baselines.
    pub evaluations: Vec<Evaluation>,
}

/// Probabilities of the event by a time, and that time.
type ByHorizon = Option<(Vec<f64>, f64)>;

type Asked = Vec<(String, Result<Prediction, Refusal>)>;

fn ask(options: &PredictOptions, more: Option<WideTable>) -> Result<(BundleFile, Asked), TableError> {
    let file = BundleFile::read_to_ask(&options.bundle)?;
    let mut cohorts = Cohorts::read(&options.inputs)?;
    let ids = cohorts.ids();
    if let Some(path) = &options.covariates {
        cohorts.also_known(WideTable::read(path)?);
    }
    if let Some(table) = more {
        cohorts.also_known(table);
    }
    let measured = options.settings_sha256.as_ref().or(cohorts.settings_sha256.as_ref());
    let other = matches!((&file.settings_sha256, measured), (Some(trained), Some(now)) if trained != now);
    let one = |id: String| {
        let asked =
            if other { Err(Refusal::OtherSettings) } else { file.predict(&cohorts.patient(&id, &file.protect)) };
        (id, asked)
    };
    let asked = ids.into_iter().map(one).collect();
    Ok((file, asked))
}

impl BundleFile {
    /// Asks the bundle about a patient whose levels of text may lack columns that training had: another level is not this one.
    ///
    /// # Errors
    /// With the reason why nothing is predicted.
    pub fn predict(&self, patient: &crate::fuse::Patient) -> Result<Prediction, Refusal> {
        let mut patient = patient.clone();
        for part in &self.bundle.fitted.parts {
            let Some(block) = patient.blocks.get_mut(&part.block) else { continue };
            for (name, (column, _)) in part.features.iter().filter_map(|name| Some((name, name.split_once('=')?))) {
                let known = block.features.keys().any(|known| known.split_once('=').is_some_and(|(c, _)| c == column));
                if known && !block.features.contains_key(name) {
                    block.features.insert(name.clone(), 0.0);
                }
            }
        }
        self.bundle.predict(&patient)
    }
}

fn outcome_of(file: &BundleFile, asked: &Asked) -> PredictOutcome {
    let mut refused = BTreeMap::new();
    for reason in asked.iter().filter_map(|(_, asked)| asked.as_ref().err()) {
        *refused.entry(reason.code().to_owned()).or_default() += 1;
    }
    let n_predicted = asked.iter().filter(|(_, asked)| asked.is_ok()).count();
    PredictOutcome { id: file.id.clone(), n_predicted, refused }
}

/// Writes `id, probability, low, high, status, reason, contribution_<block>…` for every patient.
///
/// # Errors
/// When a file cannot be read or written.
pub fn predict(options: &PredictOptions) -> Result<PredictOutcome, TableError> {
    let (file, asked) = ask(options, None)?;
    let blocks: Vec<String> = file.bundle.blocks().cloned().collect();
    let failed = |error: &dyn std::error::Error| TableError::Content(format!("the table cannot be encoded: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["id", "probability", "low", "high", "status", "reason"].map(str::to_owned);
    let contributions = blocks.iter().map(|block| format!("contribution_{block}"));
    writer.write_record(header.into_iter().chain(contributions)).map_err(|error| failed(&error))?;
    for (id, asked) in &asked {
        let cells = match asked {
            Err(reason) => {
                let told = format!("{}: {reason}", reason.code());
                let mut cells =
                    vec![id.clone(), String::new(), String::new(), String::new(), "refused".to_owned(), told];
                cells.resize(cells.len() + blocks.len(), String::new());
                cells
            }
            Ok(found) => {
                let (low, high) = found.interval.map_or((f64::NAN, f64::NAN), |interval| interval);
                let mut cells = vec![id.clone()];
                cells.extend([found.probability, low, high].map(number_text));
                cells.extend(["predicted".to_owned(), String::new()]);
                cells.extend(found.contributions.iter().map(|(_, value)| number_text(*value)));
                cells
            }
        };
        writer.write_record(&cells).map_err(|error| failed(&error))?;
    }
    let text = writer.into_inner().map_err(|error| failed(&error))?;
    write_whole(&options.out, &text).map_err(TableError::write(&options.out))?;
    Ok(outcome_of(&file, &asked))
}

/// Judges a bundle on other patients, and writes the list of evaluations.
///
/// # Errors
/// When a file cannot be read or written, or no patient has both a prediction and an outcome.
pub fn evaluate(options: &EvaluateOptions) -> Result<EvaluateOutcome, TableError> {
    let table = WideTable::read(&options.outcome)?;
    let known = outcomes(&table, &options.endpoint, options.time.as_deref(), None, &BTreeMap::new())?;
    let (file, asked) = ask(&options.predict, Some(table))?;
    let known: BTreeMap<&String, _> = known.iter().map(|(id, outcome)| (id, outcome)).collect();
    let both = asked.iter().filter_map(|(id, asked)| Some((id, asked.as_ref().ok()?, *known.get(id)?)));
    let both: Vec<_> = both.collect();
    if both.is_empty() {
        return Err(TableError::Content("no patient has both a prediction and an outcome".to_owned()));
    }
    let outcome = match options.time {
        None => Outcome::Binary(both.iter().map(|(_, _, outcome)| outcome.event).collect()),
        Some(_) => Outcome::Survival(
            both.iter().map(|(_, _, o)| Survival { time: o.time.unwrap_or(f64::NAN), event: o.event }).collect(),
        ),
    };
    let data = Dataset::new(both.iter().map(|(id, ..)| (*id).clone()).collect(), Vec::new(), outcome)?;
    let judged = |linear: Vec<f64>, by_horizon: ByHorizon, model: &str, fusion: &str, blocks: Vec<String>| {
        let one_fold = [vec![0; linear.len()]];
        let all = [linear];
        let (auc, interval) = discriminate(&all, &one_fold, &data, BootstrapSettings::default());
        Evaluation {
            model: model.to_owned(),
            fusion: fusion.to_owned(),
            blocks,
            auc,
            auc_low: interval.map(|interval| interval.low),
            auc_high: interval.map(|interval| interval.high),
            ..judge(&all[0], by_horizon.as_ref().map(|(p, horizon)| (p.as_slice(), *horizon)), &data.outcome)
        }
    };
    let method = file.bundle.fitted.method;
    let linear = both.iter().map(|(_, found, _)| found.linear).collect();
    let by_horizon: ByHorizon = match file.bundle.fitted.scale {
        Scale::Logistic => None,
        Scale::Hazard { horizon, .. } => Some((both.iter().map(|(_, found, _)| found.probability).collect(), horizon)),
    };
    let mut evaluations =
        vec![judged(linear, by_horizon, method.name(), method.fusion(), file.bundle.blocks().cloned().collect())];
    for (derived, fitted) in &file.bundle.baselines {
        let of = |found: &Prediction| found.baselines.iter().find(|(name, _)| *name == derived.name).map(|(_, p)| *p);
        let probability: Vec<f64> = both.iter().map(|(_, found, _)| of(found).unwrap_or(f64::NAN)).collect();
        let linear = probability.iter().map(|p| fitted.scale.linear(*p)).collect();
        let by_horizon = match fitted.scale {
            Scale::Logistic => None,
            Scale::Hazard { horizon, .. } => Some((probability, horizon)),
        };
        evaluations.push(judged(linear, by_horizon, &derived.name, "baseline", vec![derived.name.clone()]));
    }
    write_json(&options.predict.out, &evaluations)?;
    Ok(EvaluateOutcome { predicted: outcome_of(&file, &asked), evaluations })
}

//! `fusion train`: tables in, a bundle's folder out.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::error::TableError;
use super::super::json::write_json;
use super::super::wide::{WideTable, number_text};
use super::files::{BundleContent, BundleFile};
use super::load::{Cohorts, Inputs, outcomes};
use super::repeatable::Repeatable;
use super::{card, plots};
use crate::clock::Timestamp;
use crate::fuse::{self, Dataset, Evaluation, Synergy, TrainSettings, Trained};
use crate::store::write_whole;

/// What `fusion train` is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// The blocks.
    pub inputs: Inputs,
    /// The table of outcomes.
    pub outcome: PathBuf,
    /// Its column that says whether the event happened.
    pub endpoint: String,
    /// Its column of times, for survival.
    pub time: Option<String>,
    /// Its column of the dates at which the outcome was known.
    pub outcome_date: Option<String>,
    /// A further table in which protected covariates are looked for.
    pub covariates: Option<PathBuf>,
    /// The covariates that harmonisation keeps.
    pub protect: Vec<String>,
    /// The settings under which the features were measured, where the tables do not tell.
    pub settings_sha256: Option<String>,
    /// Which features may be learned from, where not all.
    pub repeatable: Option<Repeatable>,
    /// How it is trained.
    pub settings: TrainSettings,
    /// Resamples of the .632+ estimate; none: it is not made.
    pub n_632: Option<usize>,
    /// The bundle's folder.
    pub out: PathBuf,
}

/// What `fusion train` did.
#[derive(Debug, Clone, Serialize)]
pub struct TrainOutcome {
    /// The bundle's id.
    pub id: String,
    /// The model that the bundle ships.
    pub model: String,
    /// Patients.
    pub n: usize,
    /// Those with the event.
    pub events: usize,
    /// Features that were left out as not repeatable.
    pub n_not_repeatable: usize,
    /// Events per chosen feature.
    pub events_per_variable: f64,
    /// Every model, baseline and the control.
    pub evaluations: Vec<Evaluation>,
    /// What blocks share.
    pub synergy: Vec<Synergy>,
}

/// Trains a bundle and writes its folder. `begun` is told the number of folds, `step` of every one that is done.
///
/// # Errors
/// When a table cannot be read, a guard refuses, or the folder cannot be written.
pub fn train(options: &TrainOptions, now: Timestamp, step: &(dyn Fn() + Sync)) -> Result<TrainOutcome, TableError> {
    let data = dataset(options)?;
    let Cohort { data, settings_sha256, n_not_repeatable } = data;
    let mut trained = fuse::train(&data, &options.endpoint, &options.settings, step)?;
    let place = trained.evaluations.iter().position(|evaluation| {
        evaluation.fusion == trained.method.fusion() && evaluation.model == trained.method.name()
    });
    let place = place.unwrap_or(0);
    if let Some(n_samples) = options.n_632 {
        let estimate = fuse::auc_632_plus(&data, trained.method, &options.settings, n_samples)?;
        trained.evaluations[place].auc_632_plus = Some(estimate);
    }
    let content = BundleContent {
        settings_sha256: options.settings_sha256.clone().or(settings_sha256),
        protect: options.protect.clone(),
        evaluation: trained.evaluations[place].clone(),
        bundle: trained.bundle.clone(),
    };
    let file = BundleFile::new(content, now)?;
    write_folder(&options.out, &file, &data, &trained, options)?;
    Ok(TrainOutcome {
        id: file.id,
        model: format!("{} {}", trained.method.fusion(), trained.method.name()),
        n: data.patients.len(),
        events: data.outcome.n_events(),
        n_not_repeatable,
        events_per_variable: trained.events_per_variable,
        evaluations: trained.evaluations,
        synergy: trained.synergy,
    })
}

struct Cohort {
    data: Dataset,
    settings_sha256: Option<String>,
    n_not_repeatable: usize,
}

fn dataset(options: &TrainOptions) -> Result<Cohort, TableError> {
    let mut cohorts = Cohorts::read(&options.inputs)?;
    // Before any outcome is read: what is left out owes nothing to it.
    let repeatable = options.repeatable.as_ref().map(|repeatable| repeatable.keep(&mut cohorts.blocks));
    let n_not_repeatable = repeatable.transpose()?.unwrap_or(0);
    let table = WideTable::read(&options.outcome)?;
    let date = options.outcome_date.as_deref();
    let outcomes = outcomes(&table, &options.endpoint, options.time.as_deref(), date, &cohorts.scanned)?;
    if let Some(path) = &options.covariates {
        cohorts.also_known(WideTable::read(path)?);
    }
    cohorts.also_known(table);
    let data = cohorts.dataset(&outcomes, &options.protect)?;
    Ok(Cohort { data, settings_sha256: cohorts.settings_sha256, n_not_repeatable })
}

fn write_folder(
    folder: &Path,
    file: &BundleFile,
    data: &Dataset,
    trained: &Trained,
    options: &TrainOptions,
) -> Result<(), TableError> {
    std::fs::create_dir_all(folder).map_err(TableError::io("making", folder))?;
    let text = |name: &str, text: &str| {
        let path = folder.join(name);
        write_whole(&path, text.as_bytes()).map_err(TableError::write(&path))
    };
    write_json(&folder.join("evaluation.json"), &trained.evaluations)?;
    write_json(&folder.join("synergy.json"), &trained.synergy)?;
    let card = card::Card::new(file, data, trained, options);
    write_json(&folder.join("card.json"), &card)?;
    text("card.md", &card.markdown())?;
    text("predictions.csv", &left_out(data, trained))?;
    let outcome = &data.outcome;
    text("roc.svg", &plots::roc(&trained.left_out, outcome, &file.evaluation))?;
    text("calibration.svg", &plots::calibration(&trained.left_out, outcome))?;
    text("decision.svg", &plots::decision(&file.evaluation))?;
    text("contributions.svg", &plots::contributions(&file.bundle, data)?)?;
    // The model comes last: a folder with it is whole.
    file.write(folder)
}

/// The predictions for every patient when left out.
fn left_out(data: &Dataset, trained: &Trained) -> String {
    let mut text = "id,event,linear\n".to_owned();
    for ((id, event), linear) in data.patients.iter().zip(data.outcome.events()).zip(&trained.left_out) {
        let id = if id.contains([',', '"', '\n']) { format!("\"{}\"", id.replace('"', "\"\"")) } else { id.clone() };
        text.push_str(&format!("{id},{},{}\n", u8::from(event), number_text(*linear)));
    }
    text
}

//! `combat fit` and `combat apply` on tables: what the commands do, without their arguments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::cohort::{Cohort, PATIENT_COLUMN, table_of};
use super::combat_file::{CombatContent, CombatFile};
use super::error::TableError;
use super::wide::{CovariateKind, WideTable, features_text};
use crate::clock::Timestamp;
use crate::harmonise::{
    Applied, Batches, Covariate, Explained, Features, FitSettings, Remark, Resampling, Samples, Values, baseline,
    bootstrap, explained, fit_nested, picture,
};
use crate::store::write_whole;

/// Where the training data are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FitInput {
    /// In two tables.
    Tables {
        /// The features, wide.
        features: PathBuf,
        /// Batches and covariates, wide.
        covariates: PathBuf,
    },
    /// In the cohort of a storage directory: one block of it, with the columns `batch`, `age` and `sex`, and those of the
    /// site's clinical table.
    Cohort {
        /// The storage directory.
        storage: PathBuf,
        /// The role.
        role: String,
        /// The clinical table, wide.
        clinical: Option<PathBuf>,
    },
}

/// What `combat fit` is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct FitOptions {
    /// Where the training data are.
    pub input: FitInput,
    /// The batch columns, from the outermost to the innermost: usually one.
    pub batch: Vec<String>,
    /// The covariates whose effect is kept.
    pub protect: Vec<String>,
    /// Those of them that are levels, whatever they look like.
    pub categorical: Vec<String>,
    /// How it is fitted.
    pub settings: FitSettings,
    /// How the spread of the effects is found; none: it is not.
    pub resampling: Option<Resampling>,
    /// The role whose features they are.
    pub block: Option<String>,
    /// The settings under which they were measured.
    pub settings_sha256: Option<String>,
    /// Where the model goes.
    pub model: PathBuf,
    /// Where the harmonised features go.
    pub out: Option<PathBuf>,
    /// Where the picture goes.
    pub picture: Option<PathBuf>,
}

/// What `combat fit` did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FitOutcome {
    /// The model's id.
    pub id: String,
    /// Patients in the table of features.
    pub n_patients: usize,
    /// Patients that the model was fitted to.
    pub n_fitted: usize,
    /// Features that are harmonised.
    pub n_harmonised: usize,
    /// Features that stay as they are, each with the reason.
    pub unchanged: Vec<(String, String)>,
    /// Patients whose values stay raw, by reason.
    pub raw: BTreeMap<String, usize>,
    /// The batches of each stage.
    pub batches: Vec<BatchLine>,
    /// What the protective rules said.
    pub remarks: Vec<Remark>,
    /// What the batch explains, before and after.
    pub explained: Explained,
}

/// One batch of a fitted model, for a person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchLine {
    /// Its label.
    pub label: String,
    /// Its patients.
    pub n_samples: usize,
    /// How it is treated.
    pub estimate: crate::harmonise::BatchEstimate,
}

/// What `combat apply` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyOptions {
    /// The fitted model.
    pub model: PathBuf,
    /// The features, wide.
    pub features: PathBuf,
    /// Batches and covariates, wide.
    pub covariates: PathBuf,
    /// Where the harmonised features go.
    pub out: PathBuf,
    /// Where the model goes with the batches added that it does not know, as proposals.
    pub propose: Option<PathBuf>,
}

/// What `combat apply` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApplyOutcome {
    /// The model's id.
    pub id: String,
    /// Patients in the table of features.
    pub n_patients: usize,
    /// Patients whose values are harmonised.
    pub n_harmonised: usize,
    /// Patients whose values stay raw, by reason.
    pub raw: BTreeMap<String, usize>,
    /// Features that stay as they are, each with the reason.
    pub unchanged: Vec<(String, String)>,
    /// Features of the model that the table does not have.
    pub absent: Vec<String>,
    /// Single values that stay raw because their transform has none for them.
    pub n_untransformed: usize,
    /// Batches that were added to the proposal.
    pub proposed: Vec<String>,
    /// Batches that could not be, each with the reason.
    pub not_proposed: Vec<String>,
}

/// Fits a model to tables, writes it, and what else is asked for.
///
/// Patients are matched by the first columns of both tables. One without a row of covariates takes no part and stays raw.
/// Every other column of the covariates' table is known and not protected: its association with the batch is told.
///
/// # Errors
/// When a table cannot be read, a column is not there, a protective rule refuses, or a file cannot be written.
pub fn fit(options: &FitOptions, now: Timestamp) -> Result<FitOutcome, TableError> {
    let Training { id_name, ids, features, known, rows, settings_sha256 } = training(&options.input)?;
    let levels = options.batch.iter().map(|name| batches(&known, name, &rows)).collect::<Result<Vec<_>, _>>()?;
    let (covariates, undeclared) = covariates(&known, &rows, options)?;
    let outer = levels.first().ok_or_else(|| TableError::Content("no batch column is named".to_owned()))?;
    let samples = Samples { features: &features, batches: outer, covariates: &covariates, undeclared: &undeclared };
    let model = fit_nested(&samples, &levels, &options.settings)?;
    let applied = model.apply(&samples, &levels)?;
    let (inner_features, inner_batches) = model.last_input(&samples, &levels)?;
    let inner = Samples { features: &inner_features, batches: &inner_batches, ..samples };
    let last = model.stages.last().ok_or_else(|| TableError::Content("no batch column is named".to_owned()))?;
    let explained = explained(last, &Samples { batches: &inner_batches, ..samples }, &applied.features)?;
    let baseline = baseline(last, &inner)?;
    let spread = options.resampling.map(|how| bootstrap(last, &inner, how)).transpose()?;
    let content = CombatContent {
        block: options.block.clone(),
        settings_sha256: options.settings_sha256.clone().or(settings_sha256),
        model,
        baseline: Some(baseline),
        spread,
    };
    let file = CombatFile::new(content, now)?;
    if let Some(path) = &options.out {
        write_features(path, &id_name, &ids, &applied.features)?;
    }
    if let Some(path) = &options.picture {
        let title = picture_title(&file);
        let svg = picture(&title, &features, &applied.features, &inner_batches, &explained);
        write_whole(path, svg.as_bytes()).map_err(TableError::write(path))?;
    }
    file.write(&options.model)?;
    Ok(fit_outcome(&file, &applied, explained))
}

/// Harmonises tables with a fitted model.
///
/// # Errors
/// When a file cannot be read or written, or a column that the model needs is not there.
pub fn apply(options: &ApplyOptions) -> Result<ApplyOutcome, TableError> {
    let file = CombatFile::read(&options.model)?;
    let table = WideTable::read(&options.features)?;
    let features = table.features()?;
    let known = WideTable::read(&options.covariates)?;
    let rows = joined(&table, &known)?;
    let levels = file.batch_columns().iter().map(|name| batches(&known, name, &rows)).collect::<Result<Vec<_>, _>>()?;
    let codings = file.model.stages.first().map_or(&[][..], |model| &model.covariates);
    let covariates = codings
        .iter()
        .map(|coding| known.covariate(&coding.name, kind_of(&coding.kind)).map(|covariate| picked(&covariate, &rows)))
        .collect::<Result<Vec<_>, _>>()?;
    let outer = levels.first().ok_or_else(|| TableError::Content("the model names no batch column".to_owned()))?;
    let samples = Samples { features: &features, batches: outer, covariates: &covariates, undeclared: &[] };
    let applied = file.model.apply(&samples, &levels)?;
    write_features(&options.out, &table.id_name, &table.ids, &applied.features)?;
    let (proposed, not_proposed) = match &options.propose {
        None => (Vec::new(), Vec::new()),
        Some(path) => propose(&file, &samples, &applied, path)?,
    };
    let absent = file.model.feature_names().filter(|name| !features.names().contains(name)).cloned().collect();
    Ok(ApplyOutcome {
        id: file.id,
        n_patients: applied.rows.len(),
        n_harmonised: applied.rows.iter().filter(|row| row.is_ok()).count(),
        raw: raw_counts(&applied),
        unchanged: applied.unchanged,
        absent,
        n_untransformed: applied.n_untransformed,
        proposed,
        not_proposed,
    })
}

/// Accepts a proposed batch of a model file; the file gets a new id.
///
/// # Errors
/// When the file cannot be read or written, has no such proposal, or holds a nested model.
pub fn accept(path: &Path, batch: &str, now: Timestamp) -> Result<String, TableError> {
    let mut file = CombatFile::read(path)?;
    only_stage(&mut file)?.accept(batch)?;
    let file = renewed(file, now)?;
    file.write(path)?;
    Ok(file.id)
}

fn only_stage(file: &mut CombatFile) -> Result<&mut crate::harmonise::Model, TableError> {
    match file.model.stages.as_mut_slice() {
        [model] => Ok(model),
        _ => Err(TableError::Content("a nested model takes no further batches: fit it anew".to_owned())),
    }
}

/// The same content under the id that it has now. The spread of the old batches does not fit the new ones.
fn renewed(file: CombatFile, now: Timestamp) -> Result<CombatFile, TableError> {
    let CombatFile { block, settings_sha256, model, baseline, .. } = file;
    CombatFile::new(CombatContent { block, settings_sha256, model, baseline, spread: None }, now)
}

/// Adds every batch that the model does not know, where its samples allow it.
fn propose(
    file: &CombatFile,
    samples: &Samples<'_>,
    applied: &Applied,
    path: &Path,
) -> Result<(Vec<String>, Vec<String>), TableError> {
    use crate::harmonise::RawReason;
    let mut file = file.clone();
    let created_at = file.created_at;
    let mut unknown: Vec<&String> = applied
        .rows
        .iter()
        .filter_map(|row| match row {
            Err(RawReason::UnknownBatch(label) | RawReason::LeftOut(label)) => Some(label),
            _ => None,
        })
        .collect();
    unknown.sort();
    unknown.dedup();
    let (mut proposed, mut refused) = (Vec::new(), Vec::new());
    for label in unknown {
        let model = only_stage(&mut file)?;
        match model.propose(samples, label) {
            Ok(extended) => {
                *model = extended;
                proposed.push(label.clone());
            }
            Err(error) => refused.push(error.to_string()),
        }
    }
    renewed(file, created_at)?.write(path)?;
    Ok((proposed, refused))
}

/// Training data as they were read.
struct Training {
    id_name: String,
    ids: Vec<String>,
    features: Features,
    known: WideTable,
    /// For every patient, the row of `known`.
    rows: Vec<Option<usize>>,
    settings_sha256: Option<String>,
}

fn training(input: &FitInput) -> Result<Training, TableError> {
    match input {
        FitInput::Tables { features, covariates } => {
            let table = WideTable::read(features)?;
            let known = WideTable::read(covariates)?;
            let rows = joined(&table, &known)?;
            let features = table.features()?;
            Ok(Training { id_name: table.id_name, ids: table.ids, features, known, rows, settings_sha256: None })
        }
        FitInput::Cohort { storage, role, clinical } => {
            let table = table_of(&Cohort::of_storage(storage).rows()?, role)?;
            let known = table.known(clinical.as_deref())?;
            let rows = (0..table.patients.len()).map(Some).collect();
            Ok(Training {
                id_name: PATIENT_COLUMN.to_owned(),
                ids: table.patients,
                features: table.features,
                known,
                rows,
                settings_sha256: Some(table.settings_sha256),
            })
        }
    }
}

/// For every patient of the features, the row of the covariates' table.
fn joined(features: &WideTable, known: &WideTable) -> Result<Vec<Option<usize>>, TableError> {
    let rows = known.rows_of(&features.ids);
    if rows.iter().all(Option::is_none) {
        return Err(TableError::Content(format!(
            "{} and {} have no patient in common: patients are matched by the first column of each",
            features.path.display(),
            known.path.display()
        )));
    }
    Ok(rows)
}

fn batches(known: &WideTable, name: &str, rows: &[Option<usize>]) -> Result<Batches, TableError> {
    let texts = known.texts(name)?;
    let labels = rows.iter().map(|row| row.map(|row| texts[row].clone()).unwrap_or_default()).collect();
    Ok(Batches { name: name.to_owned(), labels })
}

/// The protected covariates, and the other columns.
fn covariates(
    known: &WideTable,
    rows: &[Option<usize>],
    options: &FitOptions,
) -> Result<(Vec<Covariate>, Vec<Covariate>), TableError> {
    let mut protected: Vec<&String> = Vec::new();
    for name in options.protect.iter().chain(&options.categorical) {
        if options.batch.contains(name) {
            return Err(TableError::Content(format!("column \"{name}\" is the batch and cannot be protected from it")));
        }
        if !protected.contains(&name) {
            protected.push(name);
        }
    }
    let kind = |name: &String| match options.categorical.contains(name) {
        true => CovariateKind::Categorical,
        false => CovariateKind::AsWritten,
    };
    let column = |name: &String| known.covariate(name, kind(name)).map(|covariate| picked(&covariate, rows));
    let declared = protected.iter().map(|name| column(name)).collect::<Result<Vec<_>, _>>()?;
    let others = known.names().iter().filter(|name| !protected.contains(name) && !options.batch.contains(name));
    Ok((declared, others.map(column).collect::<Result<Vec<_>, _>>()?))
}

/// The values of some rows; unknown where there is no row.
fn picked(covariate: &Covariate, rows: &[Option<usize>]) -> Covariate {
    let values = match &covariate.values {
        Values::Continuous(values) => {
            Values::Continuous(rows.iter().map(|row| row.map_or(f64::NAN, |row| values[row])).collect())
        }
        Values::Categorical(values) => {
            Values::Categorical(rows.iter().map(|row| row.map(|row| values[row].clone()).unwrap_or_default()).collect())
        }
    };
    Covariate { name: covariate.name.clone(), values }
}

fn kind_of(kind: &crate::harmonise::CodingKind) -> CovariateKind {
    match kind {
        crate::harmonise::CodingKind::Categorical { .. } => CovariateKind::Categorical,
        _ => CovariateKind::AsWritten,
    }
}

fn write_features(path: &Path, id_name: &str, ids: &[String], features: &Features) -> Result<(), TableError> {
    let text = features_text(id_name, ids, features)?;
    write_whole(path, &text).map_err(TableError::write(path))
}

fn picture_title(file: &CombatFile) -> String {
    let block = file.block.as_ref().map_or_else(String::new, |block| format!(" of block {block}"));
    format!("Harmonisation{block} by {}, model {}", file.batch_columns().join(", "), file.id)
}

fn raw_counts(applied: &Applied) -> BTreeMap<String, usize> {
    applied.raw_rows().into_iter().map(|(reason, n)| (reason.to_string(), n)).collect()
}

fn fit_outcome(file: &CombatFile, applied: &Applied, explained: Explained) -> FitOutcome {
    let stages = &file.model.stages;
    let batches = stages.iter().flat_map(|model| &model.batches).map(|batch| BatchLine {
        label: batch.label.clone(),
        n_samples: batch.n_samples,
        estimate: batch.estimate,
    });
    FitOutcome {
        id: file.id.clone(),
        n_patients: applied.rows.len(),
        n_fitted: stages.last().map_or(0, |model| model.n_samples),
        n_harmonised: stages.last().map_or(0, |model| model.harmonised().count()),
        unchanged: applied.unchanged.clone(),
        raw: raw_counts(applied),
        batches: batches.collect(),
        remarks: stages.iter().flat_map(|model| model.remarks.clone()).collect(),
        explained,
    }
}

impl FitOutcome {
    /// What a person reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "model {}: {} of {} patients, {} features harmonised, {} unchanged\n",
            self.id,
            self.n_fitted,
            self.n_patients,
            self.n_harmonised,
            self.unchanged.len()
        );
        for batch in &self.batches {
            let how = match batch.estimate {
                crate::harmonise::BatchEstimate::ShiftAndScale => "shift and scale",
                crate::harmonise::BatchEstimate::Shift => "shift only",
                crate::harmonise::BatchEstimate::Reference => "reference",
            };
            text.push_str(&format!("  batch {}  {} patients, {how}\n", batch.label, batch.n_samples));
        }
        text.push_str(&lists("raw", self.raw.iter().map(|(reason, n)| format!("{n} patients: {reason}"))));
        text.push_str(&lists("unchanged", self.unchanged.iter().map(|(name, reason)| format!("{name}: {reason}"))));
        text.push_str(&lists("remarks", self.remarks.iter().map(ToString::to_string)));
        text.push_str(&self.explained.text());
        text
    }
}

impl ApplyOutcome {
    /// What a person reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("model {}: {} of {} patients harmonised\n", self.id, self.n_harmonised, self.n_patients);
        text.push_str(&lists("raw", self.raw.iter().map(|(reason, n)| format!("{n} patients: {reason}"))));
        text.push_str(&lists("unchanged", self.unchanged.iter().map(|(name, reason)| format!("{name}: {reason}"))));
        text.push_str(&lists("features of the model that the table does not have", self.absent.iter().cloned()));
        if self.n_untransformed > 0 {
            text.push_str(&format!("{} values stay raw: their transform has none for them\n", self.n_untransformed));
        }
        text.push_str(&lists("proposed batches, not used before they are accepted", self.proposed.iter().cloned()));
        text.push_str(&lists("not proposed", self.not_proposed.iter().cloned()));
        text
    }
}

/// A heading and its lines; nothing where there are none. Of many the first are shown.
fn lists(heading: &str, lines: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 20;
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("{heading}\n");
    lines.iter().take(SHOWN).for_each(|line| text.push_str(&format!("  {line}\n")));
    if lines.len() > SHOWN {
        text.push_str(&format!("  and {} more\n", lines.len() - SHOWN));
    }
    text
}

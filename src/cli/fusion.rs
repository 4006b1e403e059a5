//! `radiomicsd fusion`: trains a model of several blocks, judges it, asks it, puts it in force.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::table::table;
use super::{CliError, process, progress, say, say_json};
use crate::clock;
use crate::config::Config;
use crate::error::{Duty, Fault};
use crate::fuse::{self, Choice, Evaluation, Method, TrainSettings};
use crate::table::TableError;
use crate::table::fusion::{
    self, EvaluateOptions, ImportOptions, Inputs, PredictOptions, Repeatable, TrainOptions, TrainOutcome,
};

/// Where the configuration is when nothing else is said.
const CONFIG: &str = "/etc/radiomicsd/radiomicsd.toml";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model of one or several blocks, with its baselines and a control of permuted outcomes beside it
    Train(Box<TrainArguments>),
    /// Judge a trained model on other patients
    Evaluate(EvaluateArguments),
    /// Ask a trained model about the patients of tables
    Predict(PredictArguments),
    /// Make a bundle of an ONNX model that was trained elsewhere, by the manifest that came with it
    Import(ImportArguments),
    /// List the bundles of a storage directory and which are in force
    List(ListArguments),
    /// Put a trained model in force under the name that protocols use; the one before is kept
    Activate(ActivateArguments),
}

#[derive(Debug, Args)]
struct BlockArguments {
    /// A block and its table (CSV, first column the patient): CT=ct.csv; given again for each block
    #[arg(long = "block", value_name = "NAME=FILE", value_parser = named_file, required_unless_present_any = ["cohort", "patients"])]
    blocks: Vec<(String, PathBuf)>,
    /// Instead of tables: what the daemon accumulated, one block per role and a clinical one
    #[arg(long, conflicts_with = "blocks")]
    cohort: bool,
    /// Instead of tables: a folder of patients (DICOM), measured first; the results stay beside --out
    #[arg(long, value_name = "DIR", conflicts_with_all = ["blocks", "cohort"])]
    patients: Option<PathBuf>,
    /// The configuration: where the cohort and the clinical table are (default /etc/radiomicsd/radiomicsd.toml), or how
    /// --patients are measured (default: as by `process`)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A further table (CSV) in which protected covariates are looked for
    #[arg(long, value_name = "FILE")]
    covariates: Option<PathBuf>,
    /// The settings under which the features were measured (settings_sha256 of report.json)
    #[arg(long, value_name = "HASH")]
    settings_sha256: Option<String>,
}

#[derive(Debug, Args)]
struct OutcomeArguments {
    /// The table of outcomes (CSV, first column the patient)
    #[arg(long, value_name = "FILE")]
    outcome: PathBuf,
    /// Its column that says whether the event happened
    #[arg(long, value_name = "COLUMN")]
    endpoint: String,
    /// Its column of times to the event or to the end of follow-up: survival instead of yes and no
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
}

#[derive(Debug, Args)]
struct TrainArguments {
    #[command(flatten)]
    blocks: BlockArguments,
    #[command(flatten)]
    outcome: OutcomeArguments,
    /// Its column of the dates at which outcomes were known: a scan after one is refused (with --cohort)
    #[arg(long, value_name = "COLUMN", requires = "cohort")]
    outcome_date: Option<String>,
    /// Covariates whose effect harmonisation keeps
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    protect: Vec<String>,
    /// Learn only from features that repeat: a table of the command `icc`
    #[arg(long, value_name = "FILE")]
    icc: Option<PathBuf>,
    /// What the lower end of the 95 % interval of a feature's ICC(2,1) must reach
    #[arg(long, value_name = "ICC", default_value_t = 0.75, requires = "icc")]
    icc_min: f64,
    /// Which kinds of fusion are tried; the best of them is shipped
    #[arg(long, value_enum, default_value = "all")]
    fusion: Kind,
    /// How features of a block are chosen
    #[arg(long, value_enum, default_value = "univariate")]
    choice: ChoiceName,
    /// Outer folds
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Repetitions with other folds
    #[arg(long, default_value_t = 20)]
    repeats: usize,
    /// Seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also the .632+ estimate of the shipped model, by so many resamples
    #[arg(long, value_name = "N")]
    bootstrap_632: Option<usize>,
    /// Train although there are under 20 events
    #[arg(long)]
    force: bool,
    /// The bundle's folder
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct EvaluateArguments {
    /// The bundle's folder
    #[arg(long, value_name = "FOLDER")]
    bundle: PathBuf,
    #[command(flatten)]
    blocks: BlockArguments,
    #[command(flatten)]
    outcome: OutcomeArguments,
    /// Where the evaluation goes (JSON)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct PredictArguments {
    /// The bundle's folder
    #[arg(long, value_name = "FOLDER")]
    bundle: PathBuf,
    #[command(flatten)]
    blocks: BlockArguments,
    /// Where predictions go (CSV)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ImportArguments {
    /// The model (ONNX)
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Its manifest (JSON): features in their order, imputation, ranges, blocks, SHA-256 (docs/fusion.md)
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// The bundle's folder
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ListArguments {
    /// The configuration that says where the storage is
    #[arg(long, value_name = "FILE", default_value = "/etc/radiomicsd/radiomicsd.toml")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ActivateArguments {
    /// The bundle's folder
    #[arg(long, value_name = "FOLDER")]
    bundle: PathBuf,
    /// The name that protocols use: fusion = { bundle = "NAME" }
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The configuration that says where the storage is
    #[arg(long, value_name = "FILE", default_value = "/etc/radiomicsd/radiomicsd.toml")]
    config: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Blocks side by side in one model
    Early,
    /// One model per block, brought together
    Late,
    /// One encoder per block into one model
    Intermediate,
    /// All of them
    All,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ChoiceName {
    /// The most relevant ones, redundant ones left out
    Univariate,
    /// The most relevant ones that are least like those chosen before
    Mrmr,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    match &arguments.command {
        Command::Train(arguments) => train(arguments),
        Command::Evaluate(arguments) => evaluate(arguments),
        Command::Predict(arguments) => predict(arguments),
        Command::Import(arguments) => import(arguments),
        Command::List(arguments) => list(arguments),
        Command::Activate(arguments) => activate(arguments),
    }
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), PathBuf::from(file))),
        _ => Err("expected NAME=FILE, such as CT=ct.csv".to_owned()),
    }
}

/// Where blocks come from; `out` is where the command's answer goes, measured patients stay beside it.
fn inputs(arguments: &BlockArguments, out: &Path) -> Result<Inputs, CliError> {
    if let Some(patients) = &arguments.patients {
        let mut measured = out.as_os_str().to_owned();
        measured.push(".measured");
        let measured = PathBuf::from(measured);
        process::measure_cohort(patients, arguments.config.as_deref(), &measured)?;
        let config = arguments.config.as_deref().map(Config::load).transpose()?;
        return Ok(Inputs::Cohort { storage: measured, clinical: config.and_then(|config| config.clinical.table) });
    }
    if !arguments.cohort {
        return Ok(Inputs::Tables(arguments.blocks.clone()));
    }
    let config = Config::load(arguments.config.as_deref().unwrap_or(Path::new(CONFIG)))?;
    Ok(Inputs::Cohort { storage: config.storage.directory.clone(), clinical: config.clinical.table.clone() })
}

fn train(arguments: &TrainArguments) -> Result<(), CliError> {
    let wanted = |method: &Method| match arguments.fusion {
        Kind::All => true,
        Kind::Early => method.fusion() == "early",
        Kind::Late => method.fusion() == "late",
        Kind::Intermediate => method.fusion() == "intermediate",
    };
    let mut settings = TrainSettings {
        methods: Method::ALL.into_iter().filter(wanted).collect(),
        force: arguments.force,
        ..TrainSettings::default()
    };
    settings.validate.n_folds = arguments.folds;
    settings.validate.n_repeats = arguments.repeats;
    settings.validate.nest.seed = arguments.seed;
    settings.validate.nest.prepare.choice = match arguments.choice {
        ChoiceName::Univariate => Choice::Univariate,
        ChoiceName::Mrmr => Choice::Mrmr,
    };
    let inputs = inputs(&arguments.blocks, &arguments.out)?;
    let bar = progress::bar(fuse::n_steps(&settings), "folds");
    let OutcomeArguments { outcome, endpoint, time } = &arguments.outcome;
    let options = TrainOptions {
        inputs,
        outcome: outcome.clone(),
        endpoint: endpoint.clone(),
        time: time.clone(),
        outcome_date: arguments.outcome_date.clone(),
        covariates: arguments.blocks.covariates.clone(),
        protect: arguments.protect.clone(),
        settings_sha256: arguments.blocks.settings_sha256.clone(),
        repeatable: arguments.icc.clone().map(|table| Repeatable { table, icc_min: arguments.icc_min }),
        settings,
        n_632: arguments.bootstrap_632,
        out: arguments.out.clone(),
    };
    let trained = fusion::train(&options, clock::now(), &|| bar.inc(1));
    bar.finish_and_clear();
    let trained = trained.map_err(failed)?;
    if arguments.json { say_json(&trained) } else { say(&text(&trained)) }
}

fn text(trained: &TrainOutcome) -> String {
    let left_out = match trained.n_not_repeatable {
        0 => String::new(),
        n => format!("{n} features were left out as not repeatable\n"),
    };
    format!(
        "bundle {}: {}\n{left_out}{} patients, {} with the event, {:.1} events per variable\n{}For research use only.\n",
        trained.id,
        trained.model,
        trained.n,
        trained.events,
        trained.events_per_variable,
        evaluations(&trained.evaluations)
    )
}

fn evaluations(evaluations: &[Evaluation]) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let row = |e: &Evaluation| {
        let cells = [e.auc, e.auc_low, e.auc_high, e.brier, e.calibration_slope].map(number);
        let mut row = vec![e.fusion.clone(), e.model.clone(), e.blocks.join("+")];
        row.extend(cells);
        row.push(format!("{}/{}", e.events, e.n));
        row
    };
    let rows: Vec<Vec<String>> = evaluations.iter().map(row).collect();
    table(&["fusion", "model", "blocks", "AUC", "low", "high", "Brier", "slope", "events"], &rows)
}

fn predict_options(bundle: &Path, blocks: &BlockArguments, out: &Path) -> Result<PredictOptions, CliError> {
    Ok(PredictOptions {
        bundle: bundle.to_owned(),
        inputs: inputs(blocks, out)?,
        covariates: blocks.covariates.clone(),
        settings_sha256: blocks.settings_sha256.clone(),
        out: out.to_owned(),
    })
}

fn evaluate(arguments: &EvaluateArguments) -> Result<(), CliError> {
    let OutcomeArguments { outcome, endpoint, time } = &arguments.outcome;
    let options = EvaluateOptions {
        predict: predict_options(&arguments.bundle, &arguments.blocks, &arguments.out)?,
        outcome: outcome.clone(),
        endpoint: endpoint.clone(),
        time: time.clone(),
    };
    let found = fusion::evaluate(&options).map_err(failed)?;
    if arguments.json {
        return say_json(&found);
    }
    let refused = refused(&found.predicted.refused);
    say(&format!("{} patients predicted\n{refused}{}", found.predicted.n_predicted, evaluations(&found.evaluations)))
}

fn refused(reasons: &std::collections::BTreeMap<String, usize>) -> String {
    reasons.iter().map(|(reason, n)| format!("{n} patients refused: {reason}\n")).collect()
}

fn predict(arguments: &PredictArguments) -> Result<(), CliError> {
    let options = predict_options(&arguments.bundle, &arguments.blocks, &arguments.out)?;
    let found = fusion::predict(&options).map_err(failed)?;
    if arguments.json {
        return say_json(&found);
    }
    say(&format!("{} patients predicted by bundle {}\n{}", found.n_predicted, found.id, refused(&found.refused)))
}

fn import(arguments: &ImportArguments) -> Result<(), CliError> {
    let ImportArguments { model, manifest, out, .. } = arguments;
    let options = ImportOptions { model: model.clone(), manifest: manifest.clone(), out: out.clone() };
    let found = fusion::import(&options, clock::now()).map_err(failed)?;
    if arguments.json {
        return say_json(&found);
    }
    let blocks: Vec<String> = found.blocks.iter().map(|(name, n)| format!("{name} ({n} features)")).collect();
    say(&format!(
        "bundle {} for {}: {}\n{} answers of the manifest were given here too\nFor research use only.\n",
        found.id,
        found.endpoint,
        blocks.join(", "),
        found.n_checked
    ))
}

fn list(arguments: &ListArguments) -> Result<(), CliError> {
    let config = Config::load(&arguments.config)?;
    let listed = fusion::list(&config.storage.directory).map_err(failed)?;
    if arguments.json {
        return say_json(&listed);
    }
    let row = |line: &fusion::Listed| {
        let auc = line.evaluation.auc.map_or_else(|| "-".to_owned(), |auc| format!("{auc:.3}"));
        let state = line.state.name().to_owned();
        vec![line.name.clone(), line.id.clone(), state, line.since.to_string(), line.endpoint.clone(), auc]
    };
    let rows: Vec<Vec<String>> = listed.iter().map(row).collect();
    say(&table(&["name", "bundle", "state", "since", "endpoint", "AUC"], &rows))
}

fn activate(arguments: &ActivateArguments) -> Result<(), CliError> {
    let config = Config::load(&arguments.config)?;
    let storage = &config.storage.directory;
    let file = fusion::activate(storage, &arguments.bundle, &arguments.name, clock::now()).map_err(failed)?;
    say(&format!("bundle {} is active as {}\n", file.id, arguments.name))
}

/// What the tables and the options do not allow is failed work; a setting out of its range is wrong usage.
fn failed(error: TableError) -> CliError {
    if error.fault() == Fault::Config {
        CliError::Usage(error.to_string())
    } else {
        CliError::Failed(error.to_string())
    }
}

//! `radiomicsd combat`: fits a harmonisation to tables, applies it, accepts a batch that came later.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{CliError, progress, say, say_json};
use crate::clock;
use crate::config::Config;
use crate::error::{Duty, Fault};
use crate::harmonise::{Estimator, FitSettings, Resampling, Transform};
use crate::table::combat::{self, ApplyOptions, FitInput, FitOptions};
use crate::table::{BATCH_COLUMN, TableError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fit a harmonisation to tables: first column the patient, one row per patient
    Fit(Box<FitArguments>),
    /// Harmonise tables by a fitted model and the patients' own covariates
    Apply(ApplyArguments),
    /// Accept a batch that was proposed for a model, so that it is used from now on
    Accept(AcceptArguments),
}

#[derive(Debug, Args)]
struct FitArguments {
    /// The features (CSV)
    #[arg(long, value_name = "FILE", required_unless_present = "cohort", requires = "covariates")]
    features: Option<PathBuf>,
    /// Batches and covariates (CSV); columns that are not protected are looked at and warned of
    #[arg(long, value_name = "FILE", requires = "features")]
    covariates: Option<PathBuf>,
    /// Instead of tables: what the daemon accumulated of the role --block; columns are batch, age, sex and those of the
    /// clinical table
    #[arg(long, conflicts_with_all = ["features", "covariates"], requires = "block")]
    cohort: bool,
    /// The configuration that says where the cohort and the clinical table are
    #[arg(long, value_name = "FILE", default_value = "/etc/radiomicsd/radiomicsd.toml")]
    config: PathBuf,
    /// The column that names the batch; given again, a batch within the one before
    #[arg(long, value_name = "COLUMN", required_unless_present = "cohort", value_delimiter = ',')]
    batch: Vec<String>,
    /// Covariates whose effect is kept
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    protect: Vec<String>,
    /// Those of them that are levels, whatever they look like
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    categorical: Vec<String>,
    /// How the effects of a batch are estimated
    #[arg(long, value_enum, default_value = "auto")]
    eb: Eb,
    /// Batches differ by a shift alone
    #[arg(long)]
    mean_only: bool,
    /// This batch stays as it is, the others are brought to it
    #[arg(long, value_name = "BATCH")]
    reference: Option<String>,
    /// Fit although a covariate is confounded with the batch; written into the model
    #[arg(long)]
    allow_confounded: bool,
    /// What is done to heavy-tailed features first, and undone after
    #[arg(long, value_enum, default_value = "none")]
    transform: TransformName,
    /// A protected covariate that acts by a smooth curve (penalised B-spline)
    #[arg(long, value_name = "COLUMN")]
    spline: Option<String>,
    /// Resampled cohorts for the spread of the effects
    #[arg(long, value_name = "N")]
    bootstrap: Option<usize>,
    /// Seed of the resampling
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The role whose features these are: the model then serves that block in the daemon
    #[arg(long, value_name = "ROLE")]
    block: Option<String>,
    /// The settings under which the features were measured (settings_sha256 of report.json); others then stay raw
    #[arg(long, value_name = "HASH")]
    settings_sha256: Option<String>,
    /// Where the model goes (JSON)
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Where the harmonised features go (CSV)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where a picture of the batches before and after goes (SVG); else it stands beside the model, by its name
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ApplyArguments {
    /// The fitted model (JSON)
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The features (CSV)
    #[arg(long, value_name = "FILE")]
    features: PathBuf,
    /// Batches and covariates (CSV)
    #[arg(long, value_name = "FILE")]
    covariates: PathBuf,
    /// Where the harmonised features go (CSV)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where a model goes that has the unknown batches added as proposals; nothing uses them before they are accepted
    #[arg(long, value_name = "FILE")]
    propose: Option<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct AcceptArguments {
    /// The model with the proposal (JSON); it is changed
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The proposed batch
    #[arg(long, value_name = "BATCH")]
    batch: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Eb {
    /// By the size of each batch: under 3 left out, 3 to 9 shifted only, from 10 on parametric
    Auto,
    /// Empirical Bayes, the published fixed point
    Parametric,
    /// Empirical Bayes without a form for the prior
    Nonparametric,
    /// Each feature by itself
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TransformName {
    /// Nothing
    None,
    /// The logarithm
    Log,
    /// Box and Cox's power
    BoxCox,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    match &arguments.command {
        Command::Fit(arguments) => fit(arguments),
        Command::Apply(arguments) => apply(arguments),
        Command::Accept(arguments) => {
            let id = combat::accept(&arguments.model, &arguments.batch, clock::now()).map_err(failed)?;
            say(&format!("batch {} is accepted; the model is now {id}\n", arguments.batch))
        }
    }
}

fn fit(arguments: &FitArguments) -> Result<(), CliError> {
    let estimator = match arguments.eb {
        Eb::Auto => Estimator::Auto,
        Eb::Parametric => Estimator::Parametric,
        Eb::Nonparametric => Estimator::NonParametric,
        Eb::None => Estimator::None,
    };
    let transform = match arguments.transform {
        TransformName::None => Transform::None,
        TransformName::Log => Transform::Log,
        TransformName::BoxCox => Transform::BoxCox,
    };
    let options = FitOptions {
        input: input(arguments)?,
        batch: if arguments.batch.is_empty() { vec![BATCH_COLUMN.to_owned()] } else { arguments.batch.clone() },
        protect: arguments.protect.clone(),
        categorical: arguments.categorical.clone(),
        settings: FitSettings {
            estimator,
            mean_only: arguments.mean_only,
            reference: arguments.reference.clone(),
            transform,
            spline: arguments.spline.clone(),
            allow_confounded: arguments.allow_confounded,
            ..FitSettings::default()
        },
        resampling: arguments.bootstrap.map(|n_replicates| Resampling { n_replicates, seed: arguments.seed }),
        block: arguments.block.clone(),
        settings_sha256: arguments.settings_sha256.clone(),
        model: arguments.model.clone(),
        out: arguments.out.clone(),
        picture: Some(arguments.picture.clone().unwrap_or_else(|| arguments.model.with_extension("svg"))),
    };
    let spinner = progress::spinner("fitting");
    let outcome = combat::fit(&options, clock::now());
    spinner.finish_and_clear();
    let outcome = outcome.map_err(failed)?;
    if !arguments.json {
        return say(&outcome.text());
    }
    // What a person must know is told beside an answer for machines, too.
    for remark in &outcome.remarks {
        eprintln!("radiomicsd: {remark}");
    }
    say_json(&outcome)
}

fn input(arguments: &FitArguments) -> Result<FitInput, CliError> {
    match (&arguments.features, &arguments.covariates, &arguments.block) {
        (Some(features), Some(covariates), _) => {
            Ok(FitInput::Tables { features: features.clone(), covariates: covariates.clone() })
        }
        (None, None, Some(role)) => {
            let config = Config::load(&arguments.config)?;
            Ok(FitInput::Cohort {
                storage: config.storage.directory.clone(),
                role: role.clone(),
                clinical: config.clinical.table.clone(),
            })
        }
        _ => Err(CliError::Usage("expected --features and --covariates, or --cohort and --block".to_owned())),
    }
}

fn apply(arguments: &ApplyArguments) -> Result<(), CliError> {
    let options = ApplyOptions {
        model: arguments.model.clone(),
        features: arguments.features.clone(),
        covariates: arguments.covariates.clone(),
        out: arguments.out.clone(),
        propose: arguments.propose.clone(),
    };
    let outcome = combat::apply(&options).map_err(failed)?;
    if !arguments.json {
        return say(&outcome.text());
    }
    for (reason, n) in &outcome.raw {
        eprintln!("radiomicsd: {n} patients stay raw: {reason}");
    }
    say_json(&outcome)
}

/// What the tables and the options do not allow is failed work; a setting out of its range is wrong usage.
fn failed(error: TableError) -> CliError {
    if error.fault() == Fault::Config {
        CliError::Usage(error.to_string())
    } else {
        CliError::Failed(error.to_string())
    }
}

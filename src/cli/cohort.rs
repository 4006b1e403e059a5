//! `radiomicsd cohort`: what the cases gave, as a table for other programs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CliError, say};
use crate::config::Config;
use crate::table::{Cohort, ExportValues, export_columns, table_of, write_block, write_columns};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the accumulated features as CSV or Parquet, by the file's ending
    Export(ExportArguments),
}

#[derive(Debug, Args)]
struct ExportArguments {
    /// The configuration file: it says where the storage is
    #[arg(long, value_name = "FILE", default_value = "/etc/radiomicsd/radiomicsd.toml")]
    config: PathBuf,
    /// The table; one line per case, lesion and role, or with --block one line per patient
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only this role, as a table for `combat fit` and `fusion train`: the patient, then the features (CSV)
    #[arg(long, value_name = "ROLE")]
    block: Option<String>,
    /// Where batch, age, sex and the clinical table's columns go (CSV)
    #[arg(long, value_name = "FILE", requires = "block")]
    covariates: Option<PathBuf>,
    /// The values as they were reported after harmonisation
    #[arg(long, conflicts_with = "block")]
    harmonised: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let Command::Export(arguments) = &arguments.command;
    let config = Config::load(&arguments.config)?;
    let failed = |error: crate::table::TableError| CliError::Failed(error.to_string());
    let rows = Cohort::of_storage(&config.storage.directory).rows().map_err(failed)?;
    let Some(role) = &arguments.block else {
        let which = if arguments.harmonised { ExportValues::Harmonised } else { ExportValues::Raw };
        write_columns(&arguments.out, &export_columns(&rows, which)).map_err(failed)?;
        return say(&format!("{} cases\n", rows.len()));
    };
    let table = table_of(&rows, role).map_err(failed)?;
    let clinical = config.clinical.table.as_deref();
    write_block(&table, &arguments.out, arguments.covariates.as_deref(), clinical).map_err(failed)?;
    let mut text = format!("{} patients measured under settings {}\n", table.patients.len(), table.settings_sha256);
    if table.n_automatic > 0 {
        let n = table.n_automatic;
        text.push_str(&format!("{n} regions were made by a rule and are left out: the others were drawn\n"));
    }
    if table.n_other_settings > 0 {
        text.push_str(&format!(
            "{} cases were measured under other settings and are left out\n",
            table.n_other_settings
        ));
    }
    if table.n_further > 0 {
        text.push_str(&format!("{} further studies and lesions of these patients are left out\n", table.n_further));
    }
    say(&text)
}

//! `radiomicsd reindex` and `radiomicsd verify`: the storage of a daemon that is stopped.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, progress, say, say_json};
use crate::config::Config;
use crate::daemon::store_settings;
use crate::store::Store;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/radiomicsd/radiomicsd.toml")]
    config: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn open(arguments: &Arguments) -> Result<Store, CliError> {
    let config = Config::load(&arguments.config)?;
    let opened = Store::open(&store_settings(&config));
    opened.map(|(store, _)| store).map_err(|error| CliError::failed("the storage cannot be opened", error))
}

pub(super) fn reindex(arguments: &Arguments) -> Result<(), CliError> {
    let store = open(arguments)?;
    let spinner = progress::spinner("reading every stored file");
    let report = store.reindex().map_err(|error| CliError::failed("the index cannot be rebuilt", error))?;
    spinner.finish_and_clear();
    if arguments.json {
        return say_json(&report);
    }
    say(&format!(
        "{} instances indexed ({} added, {} entries without a file removed), {} damaged files set aside, {} unreadable\n",
        report.instances, report.added, report.removed, report.damaged, report.unreadable
    ))
}

pub(super) fn verify(arguments: &Arguments) -> Result<(), CliError> {
    let store = open(arguments)?;
    let spinner = progress::spinner("reading every stored file");
    let report = store.verify().map_err(|error| CliError::failed("the storage cannot be verified", error))?;
    spinner.finish_and_clear();
    if arguments.json {
        say_json(&report)?;
    } else {
        report.missing.iter().try_for_each(|path| say(&format!("missing  {}\n", path.display())))?;
        report.altered.iter().try_for_each(|path| say(&format!("altered  {}\n", path.display())))?;
        let (n_missing, n_altered) = (report.missing.len(), report.altered.len());
        say(&format!("{} instances checked, {n_missing} missing, {n_altered} altered\n", report.checked))?;
    }
    if report.missing.is_empty() && report.altered.is_empty() {
        Ok(())
    } else {
        Err(CliError::Failed("the storage does not hold what was received".to_owned()))
    }
}

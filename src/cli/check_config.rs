//! `radiomicsd check-config`: what is in force, or what is wrong.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, say, say_json};
use crate::config::Config;
use crate::table::unusable_models;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/radiomicsd/radiomicsd.toml")]
    config: PathBuf,
    /// Print the commented example of a configuration instead
    #[arg(long)]
    example: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    if arguments.example {
        return say(Config::example());
    }
    let config = Config::load(&arguments.config)?;
    let (combat, bundles) = config.models();
    let unusable = unusable_models(&config.storage.directory, combat, bundles);
    let remarks = config.unsupported().into_iter().chain(config.missing_files()).chain(unusable);
    let remarks: Vec<String> = remarks.collect();
    if arguments.json {
        return say_json(&serde_json::json!({ "settings": config.effective_json(), "remarks": remarks }));
    }
    say(&config.effective())?;
    for remark in remarks {
        eprintln!("radiomicsd: {remark}");
    }
    Ok(())
}

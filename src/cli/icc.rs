//! `radiomicsd icc`: intraclass correlations of features over the perturbed lesions of many reports.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, say};
use crate::table::agreement::{Agreements, write_agreements};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Reports (`report.json`) of lesions that were measured under perturbations
    #[arg(required = true, value_name = "REPORT")]
    reports: Vec<PathBuf>,
    /// The table of correlations (CSV); default: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let mut agreements = Agreements::default();
    for path in &arguments.reports {
        let failed = |error: &dyn std::fmt::Display| CliError::Failed(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        let report = serde_json::from_str(&text).map_err(|error| failed(&error))?;
        agreements.add(&report);
    }
    if agreements.n_lesions() < 2 {
        let found = agreements.n_lesions();
        let why = "expected two at least; features.perturb of a protocol or [perturb] of a settings file asks for them";
        return Err(CliError::Failed(format!("the reports hold {found} lesions measured under perturbations, {why}")));
    }
    let table = write_agreements(&agreements.all());
    match &arguments.out {
        Some(path) => std::fs::write(path, table).map_err(|error| CliError::failed("--out", error)),
        None => say(&table),
    }
}

//! `radiomicsd features`: one image, one region, one table of values.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, progress, say, say_json};
use crate::features::Settings;
use crate::finding::Policies;
use crate::pipeline::{SingleJob, measure_files, response_of_files};
use crate::report;
use crate::volume::nifti;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The image: a NIfTI file, a DICOM file, or a folder with the DICOM files of one series
    #[arg(long, value_name = "PATH")]
    image: PathBuf,
    /// The region: a NIfTI mask, an RTSTRUCT or a SEG
    #[arg(long, value_name = "PATH")]
    roi: PathBuf,
    /// The ROI's name or the segment's label, where there are several; of a NIfTI mask the number of a label
    #[arg(long, value_name = "NAME")]
    roi_name: Option<String>,
    /// The settings (TOML), such as `preset = "ibsi-c"`; default: the image as it is, every family
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The table of values (CSV); default: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also write the image as the settings' filter sees it (NIfTI): interpolated, rounded and filtered
    #[arg(long, value_name = "FILE")]
    response_map: Option<PathBuf>,
    /// Print the values with the diagnostics of each step as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let settings = match &arguments.settings {
        Some(path) => {
            let usage = |error: &dyn std::fmt::Display| CliError::Usage(format!("{}: {error}", path.display()));
            let text = std::fs::read_to_string(path).map_err(|error| usage(&error))?;
            Settings::from_toml(&text).map_err(|error| usage(&error))?
        }
        None => Settings::default(),
    };
    let job = SingleJob {
        image: &arguments.image,
        region: &arguments.roi,
        region_name: arguments.roi_name.as_deref(),
        settings: &settings,
        policies: &Policies::default(),
    };
    let spinner = progress::spinner("measuring");
    let response = arguments.response_map.as_ref().map(|path| (path, response_of_files(&job)));
    let measured = measure_files(&job);
    spinner.finish_and_clear();
    if let Some((path, response)) = response {
        let response = response.map_err(|error| CliError::Failed(error.to_string()))?;
        nifti::write_image(path, &response).map_err(|error| CliError::failed("--response-map", error))?;
    }
    let case = measured.map_err(|error| CliError::Failed(error.to_string()))?.case;
    for finding in &case.findings {
        eprintln!("radiomicsd: {finding}");
    }
    let table = report::features_csv(&case).map_err(|error| CliError::failed("the table", error))?;
    match &arguments.out {
        Some(path) => std::fs::write(path, table).map_err(|error| CliError::failed("--out", error))?,
        None if !arguments.json => say(&table)?,
        None => {}
    }
    if arguments.json { say_json(&report::report_json(&case)) } else { Ok(()) }
}

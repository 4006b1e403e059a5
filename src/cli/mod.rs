//! The commands and their arguments, one file per command.
//!
//! Answers go to standard output, everything else to standard error. Exit codes: 0, 1 failed, 64 usage or configuration.

mod cases;
mod check_config;
mod cohort;
mod combat;
mod demo;
mod error;
mod features;
mod files;
mod fusion;
mod icc;
mod logging;
mod process;
mod progress;
mod register;
mod serve;
mod standard;
mod storage;
mod suv;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::CliError;

/// A DICOM node that measures what it is sent: CT, MR and PET in, IBSI radiomics as DICOM Structured Reports out.
///
/// Results are for research use only.
#[derive(Debug, Parser)]
#[command(name = "radiomicsd", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve(serve::Arguments),
    /// Show the whole path on a synthetic patient: send it by C-STORE, wait for the report, print it
    Demo(demo::Arguments),
    /// Run the same pipeline over a folder of DICOM files
    Process(process::Arguments),
    /// Measure one region of one image, NIfTI or DICOM
    Features(features::Arguments),
    /// Say how the PET series of a folder become SUV: the rule, every candidate, one factor per slice
    Suv(suv::Arguments),
    /// Train the histogram standard of one class of MR sequences, to which their intensities are brought
    Standard(standard::Arguments),
    /// Find the map between two images of one patient, and say how far it can be trusted
    Register(register::Arguments),
    /// Intraclass correlations of features over the perturbed lesions of many reports
    Icc(icc::Arguments),
    /// Read and check a configuration, print what is in force
    CheckConfig(check_config::Arguments),
    /// Print the DICOM conformance statement
    Conformance,
    /// List the cases of a running daemon
    Cases(cases::ListArguments),
    /// Show one case of a running daemon: its inputs, findings, results and deliveries
    Case(cases::CaseArguments),
    /// Have a running daemon try a case again, and what could not be delivered of it
    Retry(cases::RetryArguments),
    /// Harmonise feature tables between scanners: fit, apply, accept a batch that came later
    Combat(combat::Arguments),
    /// Predict from several blocks: train, judge, ask, put in force
    Fusion(fusion::Arguments),
    /// What the cases gave, as a table for other programs
    Cohort(cohort::Arguments),
    /// Withdraw instances, series or cases from a running daemon: sources go, results are taken back
    Reject(cases::RejectArguments),
    /// Rebuild the index of a stopped daemon's storage from its files
    Reindex(storage::Arguments),
    /// Check every stored file of a stopped daemon against the digest of what was received
    Verify(storage::Arguments),
}

impl Cli {
    /// The arguments of this process. Help and version are printed here, and so is what is wrong with the arguments.
    ///
    /// # Errors
    /// With the exit code when there is nothing to run.
    pub fn from_arguments() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            // Nobody reads it when the stream is closed.
            let _ = error.print();
            if error.use_stderr() { error::usage() } else { ExitCode::SUCCESS }
        })
    }
}

/// Runs one command.
///
/// # Errors
/// When the command failed; [`CliError::exit_code`] tells how.
pub fn run(cli: Cli) -> Result<(), CliError> {
    match cli.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Process(arguments) => process::run(&arguments),
        Command::Features(arguments) => features::run(&arguments),
        Command::Suv(arguments) => suv::run(&arguments),
        Command::Standard(arguments) => standard::run(&arguments),
        Command::Register(arguments) => register::run(&arguments),
        Command::Icc(arguments) => icc::run(&arguments),
        Command::CheckConfig(arguments) => check_config::run(&arguments),
        Command::Conformance => say(&crate::net::conformance::statement()),
        Command::Cases(arguments) => cases::list(&arguments),
        Command::Case(arguments) => cases::case(&arguments),
        Command::Retry(arguments) => cases::retry(&arguments),
        Command::Combat(arguments) => combat::run(&arguments),
        Command::Fusion(arguments) => fusion::run(&arguments),
        Command::Cohort(arguments) => cohort::run(&arguments),
        Command::Reject(arguments) => cases::reject(&arguments),
        Command::Reindex(arguments) => storage::reindex(&arguments),
        Command::Verify(arguments) => storage::verify(&arguments),
    }
}

/// Writes an answer to standard output. A reader that went away (`| head`) is no failure.
fn say(text: &str) -> Result<(), CliError> {
    use std::io::Write as _;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(CliError::failed("standard output", error)),
        _ => Ok(()),
    }
}

/// Writes an answer as JSON.
fn say_json<T: serde::Serialize>(value: &T) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::failed("the answer", error))?;
    say(&format!("{text}\n"))
}

//! `radiomicsd process`: the daemon's pipeline over a folder of DICOM files.
//!
//! ```text
//! OUT/features.csv            every case, one row per feature
//! OUT/report.json             every case, and what was not processed and why
//! OUT/CASE/NN-name.dcm        the SEG and SR objects of one case
//! OUT/CASE/features.csv, report.json
//! OUT/CASE/picture-….png, summary.pdf   with `--also picture,pdf`: what the secondary captures and the PDF hold
//! OUT/cohort/CASE.json        the case as a row of a cohort, for `fusion` and `combat`
//! ```

mod folder;
mod protocol;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::folder::Folder;
use super::logging::{self, LogFormat};
use super::{CliError, progress, say, say_json};
use crate::case::{CaseChange, CaseSpec, Grouper, Standing};
use crate::clock::{self, Timestamp};
use crate::config::{Config, Protocol};
use crate::daemon::wanted;
use crate::finding::Finding;
use crate::pipeline::{self, Job};
use crate::report::{self, CaseResult, Document, DocumentKind, Earlier, Wanted};
use crate::table::{Cohort, CohortRow, batch_rules};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder with DICOM files, searched with its sub-folders
    directory: PathBuf,
    /// The folder for the results; made where it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A configuration with protocols; default: all drawn regions on CT, PET and MR, as far as they are there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this protocol of the configuration
    #[arg(long, value_name = "NAME", requires = "config")]
    protocol: Option<String>,
    /// Documents beside those that the configuration's destinations take (SR and SEG where it has none)
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    also: Vec<Also>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    /// How log lines are written
    #[arg(long, value_enum, default_value = "text")]
    log: LogFormat,
}

/// A kind of document that is made where it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Also {
    /// Registrations
    Reg,
    /// Each lesion in three planes and its numbers, as secondary captures
    Picture,
    /// A summary of one to three pages
    Pdf,
    /// A key object selection that points to the other documents
    KeyObjects,
}

impl From<Also> for DocumentKind {
    fn from(also: Also) -> Self {
        match also {
            Also::Reg => Self::Reg,
            Also::Picture => Self::Picture,
            Also::Pdf => Self::Pdf,
            Also::KeyObjects => Self::KeyObjects,
        }
    }
}

/// What became of one case.
struct Done {
    change: CaseChange,
    outcome: Result<CaseResult, (String, Vec<Finding>)>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    logging::start(arguments.log, "warn");
    let mut config = arguments.config.as_deref().map(Config::load).transpose()?;
    if let (Some(config), Some(name)) = (&mut config, &arguments.protocol) {
        config.protocols.retain(|protocol| protocol.name == *name);
        if config.protocols.is_empty() {
            return Err(CliError::Usage(format!("--protocol: the configuration has no protocol {name:?}")));
        }
    }
    let (folder, cases) = measure(&arguments.directory, config, &arguments.also, &arguments.out)?;
    write_summary(&cases, &folder, arguments)?;
    if cases.iter().any(|case| case.outcome.is_ok()) {
        return Ok(());
    }
    let reasons: Vec<&str> =
        cases.iter().filter_map(|case| case.outcome.as_ref().err()).map(|e| e.0.as_str()).collect();
    Err(CliError::Failed(if reasons.is_empty() {
        format!("{}: no DICOM images to process", arguments.directory.display())
    } else {
        format!("no case could be processed: {}", reasons.join("; "))
    }))
}

/// Measures all patients of a folder as a cohort: what `fusion --patients` asks for. The results stay in `out`.
pub(super) fn measure_cohort(directory: &Path, config: Option<&Path>, out: &Path) -> Result<(), CliError> {
    let config = config.map(Config::load).transpose()?;
    let (_, cases) = measure(directory, config, &[], out)?;
    for (case, reason) in cases.iter().filter_map(|case| Some((&case.change.id, &case.outcome.as_ref().err()?.0))) {
        eprintln!("radiomicsd: case {}: not measured: {reason}", case.0);
    }
    if cases.iter().any(|case| case.outcome.is_ok()) {
        return Ok(());
    }
    Err(CliError::Failed(format!("{}: no patient could be measured", directory.display())))
}

/// Every case of a folder through the pipeline, its results written.
fn measure(
    directory: &Path,
    config: Option<Config>,
    also: &[Also],
    out: &Path,
) -> Result<(Folder, Vec<Done>), CliError> {
    let keywords = config.iter().flat_map(Config::keywords).collect::<Vec<_>>();
    let folder = Folder::read(directory, &keywords)?;
    let config = match config {
        Some(config) => config,
        None => protocol::of_modalities(&folder, out)?,
    };
    std::fs::create_dir_all(out).map_err(|error| CliError::failed("--out", error))?;
    let now = created_at()?;
    let wanted = wanted(&config).with(&also.iter().map(|kind| (*kind).into()).collect::<Vec<DocumentKind>>());
    let changes = group(&folder, &config, now);
    let mut cases = Vec::new();
    for change in changes {
        let outcome = match &change.standing {
            Standing::Ready(spec) => process(spec, &folder, (&config, &wanted), now, out)?,
            Standing::Parked { reason } => Err((reason.clone(), Vec::new())),
            Standing::Collecting { waits_for } => Err((waits_for.clone(), Vec::new())),
        };
        cases.push(Done { change, outcome });
    }
    Ok((folder, cases))
}

/// The moment that documents carry: now, or `SOURCE_DATE_EPOCH` (seconds) so that a run can be repeated to the byte.
pub(super) fn created_at() -> Result<Timestamp, CliError> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(clock::now()) };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .ok_or_else(|| CliError::Usage("SOURCE_DATE_EPOCH is no number of seconds".to_owned()))
}

/// The cases of the folder: what the daemon would find when everything had come and nothing more was waited for.
fn group(folder: &Folder, config: &Config, now: Timestamp) -> Vec<CaseChange> {
    let mut grouper = Grouper::new(config.case, config.protocols.iter().map(Protocol::rules).collect());
    for file in folder.instances.values() {
        grouper.add(&file.facts, now);
    }
    let mut last = BTreeMap::new();
    for change in grouper.finish(now) {
        last.insert(change.id.clone(), change);
    }
    let mut changes: Vec<CaseChange> = last.into_values().collect();
    // Earlier studies first: later ones are compared with them.
    changes.sort_by_key(|change| {
        let of = |instance: &folder::Instance| change.series.contains(&instance.facts.series);
        folder
            .instances
            .values()
            .filter(|instance| of(instance))
            .map(|instance| instance.facts.study_date.clone())
            .max()
    });
    changes
}

/// One case: its result, or why there is none. Files that cannot be written end the command.
fn process(
    spec: &CaseSpec,
    folder: &Folder,
    (config, wanted): (&Config, &Wanted),
    now: Timestamp,
    out: &Path,
) -> Result<Result<CaseResult, (String, Vec<Finding>)>, CliError> {
    let files = spec
        .instances()
        .filter_map(|uid| folder.instances.get(uid).map(|file| (uid.clone(), file.source.clone())))
        .collect();
    // Objects of two runs are two contents: the moment is part of what their identifiers are made from.
    let installation = format!("offline {now}");
    let job = Job {
        spec,
        config,
        files: &files,
        installation: &installation,
        created_at: now,
        utc_offset_s: jiff::tz::TimeZone::system().to_offset(now).seconds(),
        previous: Vec::new(),
        keeps_images: wanted.shows_images(),
    };
    let spinner = progress::spinner(&format!("case {}", spec.id.0));
    let result = pipeline::run(&job, &|stage| spinner.set_message(format!("case {}: {}", spec.id.0, stage.name())));
    spinner.finish_and_clear();
    let mut result = match result {
        Ok(result) => result,
        Err(error) => return Ok(Err((error.to_string(), error.findings().to_vec()))),
    };
    let rules = batch_rules(config.batch.rules.as_deref()).map_err(|error| CliError::failed("batch.rules", error))?;
    let (cohort, row) = (Cohort::of_storage(out), CohortRow::of(&result, &rules));
    result.changes = report::changes(&result, &earlier(&cohort, &row, out)?);
    let documents = report::documents_wanted(&result, wanted)
        .map_err(|error| CliError::failed("the documents could not be made", error))?;
    write_case(&result, &documents, wanted, &out.join(&spec.id.0)).map_err(|error| CliError::failed("--out", error))?;
    cohort.put(&row).map_err(|error| CliError::failed("--out", error))?;
    Ok(Ok(result))
}

/// The results of earlier studies of the same patient, of this run or of one before it into the same folder.
fn earlier(cohort: &Cohort, row: &CohortRow, out: &Path) -> Result<Vec<Earlier>, CliError> {
    let rows = cohort.earlier(row).map_err(|error| CliError::failed("--out", error))?;
    let reports = rows.iter().filter_map(|other| {
        let json = std::fs::read(out.join(&other.case).join("report.json")).ok()?;
        Some(Earlier::read(&json, &other.study_date))
    });
    reports.collect::<Result<_, _>>().map_err(|error| CliError::failed("report.json of an earlier study", error))
}

fn write_case(result: &CaseResult, documents: &[Document], wanted: &Wanted, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (index, document) in documents.iter().enumerate() {
        std::fs::write(folder.join(format!("{:02}-{}.dcm", index + 1, document.name)), &document.bytes)?;
    }
    for (name, bytes) in report::plain_files(result, wanted)? {
        std::fs::write(folder.join(name), bytes)?;
    }
    let features = report::features_csv(result).map_err(std::io::Error::other)?;
    std::fs::write(folder.join("features.csv"), features)?;
    std::fs::write(folder.join("report.json"), serde_json::to_vec_pretty(&report::report_json(result))?)
}

fn write_summary(cases: &[Done], folder: &Folder, arguments: &Arguments) -> Result<(), CliError> {
    let out = |error: &dyn std::fmt::Display| CliError::failed("--out", error);
    let mut table = String::new();
    for result in cases.iter().filter_map(|case| case.outcome.as_ref().ok()) {
        let rows = report::features_csv(result).map_err(|error| out(&error))?;
        let rows = if table.is_empty() { rows.as_str() } else { rows.split_once('\n').map_or("", |(_, rows)| rows) };
        table.push_str(rows);
    }
    std::fs::write(arguments.out.join("features.csv"), table).map_err(|error| out(&error))?;
    let reports: Vec<Value> =
        cases.iter().filter_map(|case| case.outcome.as_ref().ok()).map(report::report_json).collect();
    let not_processed: Vec<Value> = cases
        .iter()
        .filter_map(|case| {
            let (reason, findings) = case.outcome.as_ref().err()?;
            let all: Vec<&Finding> = case.change.findings.iter().chain(findings).collect();
            Some(json!({
                "case": case.change.id,
                "protocol": case.change.protocol,
                "reason": reason,
                "findings": all,
            }))
        })
        .collect();
    let summary = json!({ "cases": reports, "not_processed": not_processed, "files": folder.counts });
    let text = serde_json::to_vec_pretty(&summary).map_err(|error| out(&error))?;
    std::fs::write(arguments.out.join("report.json"), text).map_err(|error| out(&error))?;
    if arguments.json {
        return say_json(&json!({ "files": folder.counts, "cases": cases.iter().map(brief).collect::<Vec<_>>() }));
    }
    say(&folder.counts.sentence())?;
    cases.iter().try_for_each(|case| say(&sentence(case)))
}

fn brief(case: &Done) -> Value {
    match &case.outcome {
        Ok(result) => json!({
            "case": case.change.id,
            "protocol": case.change.protocol,
            "lesions": result.lesions.len(),
            "features": result.groups.iter().map(|group| group.values.len()).sum::<usize>(),
            "findings": result.findings,
        }),
        Err((reason, findings)) => json!({
            "case": case.change.id,
            "protocol": case.change.protocol,
            "reason": reason,
            "findings": findings,
        }),
    }
}

fn sentence(case: &Done) -> String {
    let id = &case.change.id.0;
    match &case.outcome {
        Ok(result) => {
            let roles: Vec<&str> = result.images.iter().map(|image| image.role.as_str()).collect();
            let n_values: usize = result.groups.iter().map(|group| group.values.len()).sum();
            let seconds: f64 = result.timings.iter().map(|timing| timing.seconds).sum();
            let mut text = format!(
                "case {id} ({}): {} of {} lesions, {n_values} values in {seconds:.1} s\n",
                case.change.protocol,
                roles.join(" + "),
                result.lesions.len()
            );
            for finding in &result.findings {
                text += &format!("  {finding}\n");
            }
            text
        }
        Err((reason, findings)) => {
            let mut text = format!("case {id}: not processed: {reason}\n");
            for finding in case.change.findings.iter().chain(findings) {
                text += &format!("  {finding}\n");
            }
            text
        }
    }
}

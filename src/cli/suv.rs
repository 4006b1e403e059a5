//! `radiomicsd suv`: how the PET series of a folder become standardised uptake values.

use std::path::PathBuf;

use clap::Args;

use super::table::table;
use super::{CliError, files, progress, say, say_json};
use crate::volume::suv::{self, Suv, SuvRule, SuvSeries, SuvSettings};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder with the DICOM files of one or several series; other files are counted and left alone
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// A dose below 1e5 is taken as becquerels, as it stands, and not as MBq
    #[arg(long)]
    dose_as_written: bool,
    /// As JSON, with one factor per slice (this is the default)
    #[arg(long, conflicts_with = "table")]
    json: bool,
    /// As tables for people: the rule, the candidates of the reference time, the range of the factors
    #[arg(long)]
    table: bool,
}

/// Says what the headers say; fails when there is no PET, or one of them gives no SUV.
pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let paths = files::below(&arguments.directory)?;
    let settings = SuvSettings { small_dose_is_mbq: !arguments.dose_as_written };
    let spinner = progress::spinner("reading headers");
    let report = suv::report(&paths, &settings);
    spinner.finish_and_clear();
    let report = report.map_err(|error| CliError::failed("a file cannot be read", error))?;
    if arguments.table {
        let texts: Vec<String> = report.series.iter().map(told).collect();
        say(&texts.join("\n"))?;
    } else {
        say_json(&report)?;
    }
    let n_failed = report.series.iter().filter(|series| series.error.is_some()).count();
    match (report.series.len(), n_failed) {
        (0, _) => Err(CliError::Failed(format!("no PET series in {}", arguments.directory.display()))),
        (_, 0) => Ok(()),
        (n, n_failed) => Err(CliError::Failed(format!("{n_failed} of {n} PET series give no SUV"))),
    }
}

/// One series as a person reads it.
fn told(series: &SuvSeries) -> String {
    let mut text = format!("series {}, {} slices\n", series.series, series.slices.len());
    let or_none = |value: &str| if value.is_empty() { "absent".to_owned() } else { value.to_owned() };
    let mut rows = vec![
        vec!["units".to_owned(), or_none(&series.units)],
        vec!["decay correction".to_owned(), or_none(&series.decay_correction)],
    ];
    if let Some(error) = &series.error {
        rows.push(vec!["no SUV".to_owned(), error.clone()]);
    }
    if let Some(suv) = &series.suv {
        rows.extend(facts(suv));
    }
    rows.extend(series.other_kinds.iter().map(|(kind, ratio)| {
        let name = serde_json::to_value(kind).ok();
        let name = name.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        vec![format!("SUV {name} / SUV bw"), format!("{ratio:.6}")]
    }));
    text += &table(&["", ""], &rows).lines().skip(1).map(|line| format!("  {line}\n")).collect::<String>();
    text
}

fn facts(suv: &Suv) -> Vec<Vec<String>> {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let (low, high) = suv
        .factors
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), factor| (low.min(*factor), high.max(*factor)));
    let mut rows = vec![row("rule", rule(suv.rule)), row("factor", format!("{low:.9e} to {high:.9e}"))];
    rows.extend(suv.dose_bq.map(|dose| row("dose", format!("{dose} Bq"))));
    rows.extend(suv.uptake_s.map(|uptake| row("uptake", format!("{uptake:.3} s"))));
    for candidate in &suv.candidates {
        let value = format!("{:.3} s, factor {:.9e}", candidate.uptake_s, candidate.factor);
        rows.push(row(&format!("candidate {}", candidate.source.name()), value));
    }
    rows.extend(suv.remarks.iter().map(|(kind, detail)| row(kind.name(), detail.clone())));
    rows
}

fn rule(rule: SuvRule) -> String {
    match rule {
        SuvRule::Stored(_) => "the values are SUV already".to_owned(),
        SuvRule::PhilipsFactor => "Philips' SUV factor".to_owned(),
        SuvRule::Administration => "corrected to the administration: the dose as it is".to_owned(),
        SuvRule::BySlice => "not corrected for decay: slice by slice".to_owned(),
        SuvRule::Start(time) => format!("corrected to the start of the scan: {}", time.name()),
    }
}

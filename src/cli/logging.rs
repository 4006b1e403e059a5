//! Where log lines go: to the journal under systemd, to standard error elsewhere. Never patient data: the lines
//! themselves hold none.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// The journal where systemd started this process, else text.
    Auto,
    /// Lines for people, on standard error.
    Text,
    /// One JSON object a line, on standard error.
    Json,
    /// The journal, with fields.
    Journald,
}

/// Starts logging. `RADIOMICSD_LOG` chooses levels, as in `info,radiomicsd::net=debug`.
pub(super) fn start(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_env("RADIOMICSD_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let journal = match format {
        LogFormat::Journald => true,
        LogFormat::Auto => std::env::var_os("JOURNAL_STREAM").is_some(),
        LogFormat::Text | LogFormat::Json => false,
    };
    let layer = match (journal.then(tracing_journald::layer), format) {
        (Some(Ok(layer)), _) => layer.boxed(),
        (_, LogFormat::Json) => tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).boxed(),
        _ => {
            let ansi = std::io::stderr().is_terminal();
            tracing_subscriber::fmt::layer().with_ansi(ansi).with_target(false).with_writer(std::io::stderr).boxed()
        }
    };
    // A second start (the demo's daemon in this process) keeps the first.
    let _ = tracing_subscriber::registry().with(layer).with(filter).try_init();
}

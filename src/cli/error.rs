//! How a command fails, and with which exit code.

use std::fmt::Display;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::daemon::DaemonError;
use crate::error::{Duty, Fault};

/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration is not what it must be.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The daemon could not start or stopped by itself.
    #[error("{0}")]
    Daemon(#[from] DaemonError),
    /// An argument is not what it must be.
    #[error("{0}")]
    Usage(String),
    /// Something else.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    /// What failed, and why.
    pub(super) fn failed(what: &str, why: impl Display) -> Self {
        Self::Failed(format!("{what}: {why}"))
    }

    /// 64 for usage and configuration, 1 for everything else.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        let is_usage = match self {
            Self::Config(_) | Self::Usage(_) => true,
            Self::Daemon(error) => error.fault() == Fault::Config,
            Self::Failed(_) => false,
        };
        if is_usage { usage() } else { ExitCode::FAILURE }
    }
}

/// The exit code of wrong arguments and configurations.
pub(super) fn usage() -> ExitCode {
    ExitCode::from(USAGE)
}

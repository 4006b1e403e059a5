//! Why a case has no result.

use crate::dicom::part10::FormatError;
use crate::error::{Duty, Fault, Retry};
use crate::finding::Finding;
use crate::table::TableError;
use crate::volume::VolumeError;

/// Why a case has no result. What was found out until then goes with it.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The configuration changed since the case was grouped.
    #[error("the configuration has no protocol {0:?}")]
    Protocol(String),
    /// An instance of the case is not among the files.
    #[error("the {owner} names an instance that has no file (hash of its UID {uid})")]
    FileMissing {
        /// Who names it: `case`, a role, or `annotation`.
        owner: String,
        /// [`crate::dicom::uid::Uid::short_hash`].
        uid: String,
    },
    /// The reference did not come.
    #[error("the case has no series for its reference role {role:?}")]
    NoReference {
        /// The role.
        role: String,
        /// Everything found until then.
        findings: Vec<Finding>,
    },
    /// A role that the protocol requires cannot be used.
    #[error("role {role:?} is required and its series is not usable: {reason}")]
    RoleRefused {
        /// The role.
        role: String,
        /// Why.
        reason: String,
        /// Everything found until then.
        findings: Vec<Finding>,
    },
    /// A series could not be read this time.
    #[error("the series of role {role:?} could not be read: {error}")]
    Series {
        /// The role.
        role: String,
        /// Why.
        error: VolumeError,
    },
    /// A structure set or segmentation could not be read this time.
    #[error("a structure set or segmentation could not be read: {0}")]
    Annotation(FormatError),
    /// The site's table of resolutions.
    #[error("psf.table: {0}")]
    ResolutionTable(#[from] TableError),
    /// A lesion's side is not where the lesion is, or not what the images say.
    #[error("the side of a lesion is in doubt{}", names(findings))]
    SideConflict {
        /// Everything found until then.
        findings: Vec<Finding>,
    },
    /// Nothing at all.
    #[error("nothing could be measured{}", names(findings))]
    NothingMeasured {
        /// Everything found.
        findings: Vec<Finding>,
    },
}

/// The findings' names in a sentence.
fn names(findings: &[Finding]) -> String {
    let mut names: Vec<&str> = findings.iter().map(|finding| finding.kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { String::new() } else { format!(", found {}", names.join(", ")) }
}

impl PipelineError {
    /// Everything that was found until the case was given up.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::NoReference { findings, .. }
            | Self::RoleRefused { findings, .. }
            | Self::SideConflict { findings }
            | Self::NothingMeasured { findings } => findings,
            Self::Protocol(_)
            | Self::FileMissing { .. }
            | Self::Series { .. }
            | Self::Annotation(_)
            | Self::ResolutionTable(_) => &[],
        }
    }
}

impl Duty for PipelineError {
    fn fault(&self) -> Fault {
        match self {
            Self::Protocol(_) | Self::ResolutionTable(_) => Fault::Config,
            Self::FileMissing { .. } => Fault::Internal,
            Self::NoReference { .. }
            | Self::RoleRefused { .. }
            | Self::SideConflict { .. }
            | Self::NothingMeasured { .. } => Fault::Data,
            Self::Series { error, .. } => error.fault(),
            Self::Annotation(error) => error.fault(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Series { error, .. } => error.retry(),
            Self::Annotation(error) => error.retry(),
            Self::ResolutionTable(error) => error.retry(),
            _ => Retry::Never,
        }
    }
}

//! What can go wrong with the store, and what the caller owes.
//!
//! No message holds a path or a UID: both may lead to a patient.

use std::io;

use crate::error::{Duty, Fault, Retry};

/// An operation on the store failed; nothing was claimed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Less is free than `storage.reserve_bytes` keeps back, or the file system is full.
    #[error("out of space: {available} bytes are free, {reserve} are kept in reserve")]
    OutOfSpace {
        /// Free for this process.
        available: u64,
        /// What the configuration keeps back.
        reserve: u64,
    },
    /// The file system, or this user's share of it, filled up in the middle of a write.
    #[error("{doing} failed: the file system is full")]
    Full {
        /// What was being done.
        doing: &'static str,
    },
    /// Another process has the directory.
    #[error("the storage directory is used by another process")]
    Locked,
    /// A newer version wrote the directory.
    #[error("the storage directory has layout {found}, expected {expected}")]
    Layout {
        /// What the `layout` file says.
        found: String,
        /// What this version writes.
        expected: &'static str,
    },
    /// The operating system refused.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being done, as "renaming an instance into place".
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The index engine refused.
    #[error("the index failed while {doing}: {reason}")]
    Index {
        /// What was being done.
        doing: &'static str,
        /// The engine's words.
        reason: String,
    },
    /// A record, marker or manifest cannot be understood.
    #[error("{what} cannot be read: {reason}")]
    Damaged {
        /// Which file or record.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A name that may not become a file name.
    #[error("a {what} name may hold 1 to 100 letters, digits, '-', '_' and '.', and starts with none of the last")]
    Name {
        /// What was to be named.
        what: &'static str,
    },
    /// Something that should be there is not.
    #[error("no such {what}")]
    Unknown {
        /// What was asked for.
        what: &'static str,
    },
    /// More of something than is kept waiting.
    #[error("too many {what}")]
    TooMany {
        /// What waits.
        what: &'static str,
    },
    /// An object was handed over in parts out of order.
    #[error("the file meta information was written after the data set")]
    MetaAfterData,
}

impl StoreError {
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { doing }
            }
            _ => Self::Io { doing, source },
        }
    }

    /// Whether freeing space would help: a sender is told to come back later (A700H).
    #[must_use]
    pub const fn is_out_of_space(&self) -> bool {
        matches!(self, Self::OutOfSpace { .. } | Self::Full { .. })
    }

    pub(super) fn damaged(what: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |error| Self::Damaged { what, reason: describe(&error) }
    }
}

/// Position and category only: the words of a JSON error may repeat values.
fn describe(error: &serde_json::Error) -> String {
    format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column())
}

impl Duty for StoreError {
    fn fault(&self) -> Fault {
        match self {
            Self::Layout { .. } | Self::Locked => Fault::Config,
            _ => Fault::Internal,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::OutOfSpace { .. } | Self::Full { .. } | Self::Io { .. } | Self::Index { .. } => Retry::Later,
            _ => Retry::Never,
        }
    }
}

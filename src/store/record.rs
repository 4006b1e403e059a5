//! What the index knows of one instance.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::clock::Timestamp;
use crate::dicom::facts::InstanceFacts;

/// Where an instance came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The calling AE title. The file's Source Application Entity Title (0002,0016) holds the same, so that the index
    /// can be rebuilt.
    pub calling_ae: String,
    /// When it came. Kept as the file's modification time for the same reason.
    pub received_at: Timestamp,
    /// Whether its sender may correct the header of what is stored.
    pub may_correct: bool,
}

/// An instance that is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredInstance {
    /// What it says of itself.
    pub facts: InstanceFacts,
    /// The whole Part-10 file.
    pub path: PathBuf,
    /// Of the data set as it was received, without preamble and file meta information.
    pub digest: Digest,
    /// Size of the whole file in bytes.
    pub size: u64,
    /// Where in the file the data set begins.
    pub data_set_offset: u64,
    /// When it came.
    pub received_at: Timestamp,
    /// Who sent it.
    pub calling_ae: String,
}

/// What became of an object that was handed over whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is stored, durably, and indexed.
    New,
    /// The same bytes were stored before: nothing changed.
    Duplicate,
    /// Other content is stored under its UID: it was kept aside and must not be acknowledged as stored.
    Conflict,
    /// Its header was corrected: it is stored, durably, in the place of the one that was there, which is kept aside.
    Corrected,
    /// It was rejected before: it is kept aside, durably, and not used.
    Refused,
}

/// The index' own form of a [`StoredInstance`]: the path follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) facts: InstanceFacts,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) data_set_offset: u64,
    pub(super) received_at: Timestamp,
    pub(super) calling_ae: String,
}

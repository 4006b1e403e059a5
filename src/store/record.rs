//! What the index knows of one instance.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;
use crate::dicom::facts::InstanceFacts;

/// SHA-256 of a data set, as 32 bytes; 64 hexadecimal digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub(super) fn finish(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// The digest of a file's data set, without preamble and file meta information; of the whole file where it has none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_data_set(path: &std::path::Path) -> std::io::Result<Self> {
        let offset = super::part10::read_meta(path)?.map_or(0, |meta| meta.data_set_offset);
        super::compare::digest_of_data_set(path, offset)
    }

    /// Reads 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut bytes = [0; 32];
        for (idx, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * idx..2 * idx + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("expected 64 lower-case hexadecimal digits")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

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
    /// SHA-256 of the data set as it was received, without preamble and file meta information.
    pub sha256: Digest,
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
    pub(super) sha256: Digest,
    pub(super) size: u64,
    pub(super) data_set_offset: u64,
    pub(super) received_at: Timestamp,
    pub(super) calling_ae: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_its_own_text_and_nothing_else() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse(&digest.to_string().to_uppercase()), None);
        assert_eq!(Digest::parse("ba78"), None);
    }
}

//! Where things lie under the storage directory.
//!
//! ```text
//! lock layout clean checkpoint        who has it, what wrote it, how it was left
//! incoming/N.part                     objects on their way in; emptied at start
//! instances/HH/STUDY/SERIES/INSTANCE.DIGEST.dcm
//! conflicts/HH/STUDY/SERIES/INSTANCE.DIGEST.dcm
//! withdrawn/HH/STUDY/SERIES/INSTANCE.DIGEST.dcm       what was rejected
//! damaged/                            files that a power cut left torn
//! cases/CASE.json
//! results/CASE/REVISION/              documents, features.csv, report.json, manifest.json
//! outbox/open/CASE.REVISION.json  outbox/done/
//! commitments/open/TRANSACTION.json  commitments/done/
//! index/                              the engine's own; may be deleted at any time while nobody runs
//! ```
//!
//! HH are the first two hexadecimal digits of the SHA-256 of the study's UID, so that no directory holds more than a
//! few thousand studies; below it a person finds the study by its UID. A file's name carries the BLAKE3 digest of its
//! data set (without preamble and file meta information): the truth that the index is rebuilt from includes what the bytes
//! should be. The longest name is 64 + 1 + 64 + 4 characters. Every component is a `Uid` or hexadecimal: no name can
//! lead out of the directory.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::digest::Digest;
use super::error::StoreError;
use crate::dicom::facts::InstanceFacts;
use crate::dicom::uid::Uid;

/// The paths of one storage directory.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn directories(&self) -> [PathBuf; 11] {
        [
            self.incoming(),
            self.instances(),
            self.conflicts(),
            self.withdrawn_instances(),
            self.damaged(),
            self.cases(),
            self.results(),
            self.outbox_open(),
            self.outbox_done(),
            self.commitments_open(),
            self.commitments_done(),
        ]
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }
    pub(super) fn layout(&self) -> PathBuf {
        self.root.join("layout")
    }
    pub(super) fn clean(&self) -> PathBuf {
        self.root.join("clean")
    }
    pub(super) fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoint")
    }
    pub(super) fn index(&self) -> PathBuf {
        self.root.join("index")
    }
    pub(super) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }
    pub(super) fn instances(&self) -> PathBuf {
        self.root.join("instances")
    }
    pub(super) fn conflicts(&self) -> PathBuf {
        self.root.join("conflicts")
    }
    pub(super) fn withdrawn_instances(&self) -> PathBuf {
        self.root.join("withdrawn")
    }
    pub(super) fn damaged(&self) -> PathBuf {
        self.root.join("damaged")
    }
    pub(super) fn cases(&self) -> PathBuf {
        self.root.join("cases")
    }
    pub(super) fn results(&self) -> PathBuf {
        self.root.join("results")
    }
    pub(super) fn outbox_open(&self) -> PathBuf {
        self.root.join("outbox/open")
    }
    pub(super) fn outbox_done(&self) -> PathBuf {
        self.root.join("outbox/done")
    }

    pub(super) fn commitments_open(&self) -> PathBuf {
        self.root.join("commitments/open")
    }
    pub(super) fn commitments_done(&self) -> PathBuf {
        self.root.join("commitments/done")
    }

    /// The final place of an instance.
    pub(super) fn instance(&self, facts: &InstanceFacts, digest: &Digest) -> PathBuf {
        place(&self.instances(), facts, digest)
    }

    /// The folders of a study's series.
    pub(super) fn study(&self, study: &Uid) -> PathBuf {
        study_directory(&self.instances(), study)
    }

    /// The place of an instance that was rejected.
    pub(super) fn withdrawn(&self, facts: &InstanceFacts, digest: &Digest) -> PathBuf {
        place(&self.withdrawn_instances(), facts, digest)
    }

    /// The place of an object whose UID is known with other bytes.
    pub(super) fn conflict(&self, facts: &InstanceFacts, digest: &Digest) -> PathBuf {
        place(&self.conflicts(), facts, digest)
    }
}

fn study_directory(top: &Path, study: &Uid) -> PathBuf {
    let shard = Sha256::digest(study.as_str().as_bytes()).first().copied().unwrap_or(0);
    top.join(format!("{shard:02x}")).join(study.as_str())
}

fn place(top: &Path, facts: &InstanceFacts, digest: &Digest) -> PathBuf {
    study_directory(top, &facts.study).join(facts.series.as_str()).join(format!("{}.{digest}.dcm", facts.sop_instance))
}

/// Reads an instance's UID and digest back from its file's name; nothing where the name is not one of ours.
pub(super) fn parse_name(name: &str) -> Option<(Uid, Digest)> {
    let (uid, digest) = name.strip_suffix(".dcm")?.rsplit_once('.')?;
    Some((Uid::parse(uid).ok()?, Digest::parse(digest)?))
}

/// Refuses names that could be anything but one plain component of a path.
pub(super) fn checked_name<'a>(what: &'static str, name: &'a str) -> Result<&'a str, StoreError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(StoreError::Name { what });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_back_what_it_was_made_of() {
        let uid = Uid::parse("1.2.840.113619.2.55.3").unwrap();
        let digest = Digest::of(b"data set");
        assert_eq!(parse_name(&format!("{uid}.{digest}.dcm")), Some((uid, digest)));
        assert_eq!(parse_name("1.2.3.dcm"), None);
        assert_eq!(parse_name("../1.dcm"), None);
    }

    #[test]
    fn a_case_name_cannot_leave_its_directory() {
        for hostile in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "a\0", &"a".repeat(101)] {
            assert!(checked_name("case", hostile).is_err(), "{hostile:?}");
        }
        assert!(checked_name("case", "c-0123abcd.1_x").is_ok());
    }
}

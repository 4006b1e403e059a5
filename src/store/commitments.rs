//! Storage commitment (PS3.4 annex J): what we gave our word for.
//!
//! One file per transaction, written before anyone is told. What it names is marked in the index and never expires; the
//! marks can be made again from the files. An open transaction still has to be reported to the one who asked.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::disk::{TEMPORARY_SUFFIX, lock, rename};
use super::error::StoreError;
use super::layout::{Layout, checked_name};
use super::{Inner, Store};
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;

/// Transactions that wait to be reported, at most.
const OPEN_MAX: usize = 10_000;

/// An instance that somebody names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SopReference {
    /// SOP Class UID.
    pub sop_class: Uid,
    /// SOP Instance UID.
    pub sop_instance: Uid,
}

/// Why we do not commit to an instance; the numbers are those of Failure Reason (0008,1197), PS3.3 C.14.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitFailure {
    /// It could not be checked.
    ProcessingFailure,
    /// It is not stored.
    NoSuchInstance,
    /// It is stored with another SOP class.
    ClassConflict,
}

impl CommitFailure {
    /// Failure Reason (0008,1197).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::ProcessingFailure => 0x0110,
            Self::NoSuchInstance => 0x0112,
            Self::ClassConflict => 0x0119,
        }
    }
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// Transaction UID (0008,1195).
    pub transaction: Uid,
    /// AE title of the one who asked.
    pub peer: String,
    /// When it asked.
    pub requested_at: Timestamp,
    /// What we keep.
    pub committed: Vec<SopReference>,
    /// What we do not keep, and why.
    pub failed: Vec<(SopReference, CommitFailure)>,
    /// Failed attempts to report it.
    pub attempts: u32,
    /// The report is not tried before this time.
    pub next_attempt_at: Timestamp,
    /// When it was reported.
    pub reported_at: Option<Timestamp>,
}

/// Transactions that are not reported yet.
pub(super) type OpenCommitments = BTreeMap<Uid, Commitment>;

impl Store {
    /// Checks each instance against its digest, and gives our word for those that are whole; durable when this returns.
    ///
    /// # Errors
    /// When too many transactions wait to be reported, or the file system or the index refuses. Nothing may be promised
    /// then.
    pub fn commit_to(
        &self,
        transaction: &Uid,
        peer: &str,
        references: &[SopReference],
        now: Timestamp,
    ) -> Result<Commitment, StoreError> {
        if OPEN_MAX <= lock(&self.inner.commitments).len() {
            return Err(StoreError::TooMany { what: "commitments that wait to be reported" });
        }
        let checked: Vec<_> = references.iter().map(|reference| self.check_whole(reference)).collect();
        // What was whole a moment ago stays: retention waits until the marks are set.
        let _not_while_expiring = self.inner.gate.read().unwrap_or_else(PoisonError::into_inner);
        let index = self.index()?;
        let mut commitment = Commitment {
            transaction: transaction.clone(),
            peer: peer.to_owned(),
            requested_at: now,
            committed: Vec::new(),
            failed: Vec::new(),
            attempts: 0,
            next_attempt_at: now,
            reported_at: None,
        };
        for (reference, checked) in references.iter().zip(checked) {
            let still_there = || Ok::<_, StoreError>(index.record(&reference.sop_instance)?.is_some());
            match checked {
                Ok(()) if still_there()? => commitment.committed.push(reference.clone()),
                Ok(()) => commitment.failed.push((reference.clone(), CommitFailure::NoSuchInstance)),
                Err(failure) => commitment.failed.push((reference.clone(), failure)),
            }
        }
        let mut open = lock(&self.inner.commitments);
        write(&self.inner, &commitment)?;
        for reference in &commitment.committed {
            index.put_committed(&reference.sop_instance)?;
        }
        open.insert(transaction.clone(), commitment.clone());
        Ok(commitment)
    }

    fn check_whole(&self, reference: &SopReference) -> Result<(), CommitFailure> {
        let instance = match self.instance(&reference.sop_instance) {
            Ok(Some(instance)) => instance,
            Ok(None) => return Err(CommitFailure::NoSuchInstance),
            Err(_) => return Err(CommitFailure::ProcessingFailure),
        };
        if instance.facts.sop_class != reference.sop_class {
            return Err(CommitFailure::ClassConflict);
        }
        match Digest::of_file_from(&instance.path, instance.data_set_offset) {
            Ok(digest) if digest == instance.digest => Ok(()),
            Ok(_) => Err(CommitFailure::ProcessingFailure),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(CommitFailure::NoSuchInstance),
            Err(_) => Err(CommitFailure::ProcessingFailure),
        }
    }

    /// The transactions that are to be reported now, longest waiting first.
    #[must_use]
    pub fn commitments_due(&self, now: Timestamp) -> Vec<Commitment> {
        let open = lock(&self.inner.commitments);
        let mut due: Vec<_> = open.values().filter(|open| open.next_attempt_at <= now).cloned().collect();
        due.sort_by(|a, b| (a.next_attempt_at, &a.transaction).cmp(&(b.next_attempt_at, &b.transaction)));
        due
    }

    /// All transactions of a peer that are not reported yet.
    #[must_use]
    pub fn open_commitments_of(&self, peer: &str) -> Vec<Commitment> {
        lock(&self.inner.commitments).values().filter(|open| open.peer == peer).cloned().collect()
    }

    /// Notes, durably, that the one who asked knows the outcome; or that it could not be told and is not told any more.
    ///
    /// # Errors
    /// When there is no such transaction, or the file system refuses: it is then reported again.
    pub fn commitment_done(&self, transaction: &Uid, reported_at: Option<Timestamp>) -> Result<(), StoreError> {
        let mut open = lock(&self.inner.commitments);
        let commitment = open.get(transaction).ok_or(StoreError::Unknown { what: "commitment" })?;
        write(&self.inner, &Commitment { reported_at, ..commitment.clone() })?;
        let name = file_name(transaction)?;
        let layout = &self.inner.layout;
        rename(&layout.commitments_open().join(&name), &layout.commitments_done().join(&name))
            .map_err(StoreError::io("moving a commitment to the done ones"))?;
        open.remove(transaction);
        Ok(())
    }

    /// Notes a failed report.
    ///
    /// # Errors
    /// When there is no such transaction or the file system refuses.
    pub fn commitment_not_reported(&self, transaction: &Uid, next_attempt_at: Timestamp) -> Result<(), StoreError> {
        let mut open = lock(&self.inner.commitments);
        let commitment = open.get_mut(transaction).ok_or(StoreError::Unknown { what: "commitment" })?;
        let changed =
            Commitment { attempts: commitment.attempts.saturating_add(1), next_attempt_at, ..commitment.clone() };
        write(&self.inner, &changed)?;
        *commitment = changed;
        Ok(())
    }

    /// Whether we committed to keep an instance.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn is_committed(&self, instance: &Uid) -> Result<bool, StoreError> {
        self.index()?.is_committed(instance)
    }
}

fn file_name(transaction: &Uid) -> Result<String, StoreError> {
    Ok(format!("{}.json", checked_name("transaction", transaction.as_str())?))
}

fn write(inner: &Inner, commitment: &Commitment) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(commitment).map_err(StoreError::damaged(WHAT))?;
    let path = inner.layout.commitments_open().join(file_name(&commitment.transaction)?);
    inner.disk.write_whole(&path, &bytes)
}

const WHAT: &str = "a commitment file";

/// Reads the open transactions.
pub(super) fn reload_open(layout: &Layout) -> Result<OpenCommitments, StoreError> {
    let mut open = OpenCommitments::new();
    for_each(&layout.commitments_open(), &mut |commitment| {
        open.insert(commitment.transaction.clone(), commitment);
        Ok(())
    })?;
    Ok(open)
}

/// Sets the marks of all transactions again.
pub(super) fn mark_again(inner: &Inner) -> Result<(), StoreError> {
    let index = inner.index()?;
    index.clear_committed()?;
    for directory in [inner.layout.commitments_open(), inner.layout.commitments_done()] {
        for_each(&directory, &mut |commitment| {
            commitment.committed.iter().try_for_each(|reference| index.put_committed(&reference.sop_instance))
        })?;
    }
    Ok(())
}

fn for_each(directory: &Path, visit: &mut dyn FnMut(Commitment) -> Result<(), StoreError>) -> Result<(), StoreError> {
    for entry in fs::read_dir(directory).map_err(StoreError::io("listing the commitments"))? {
        let path = entry.map_err(StoreError::io("listing the commitments"))?.path();
        if path.to_string_lossy().ends_with(TEMPORARY_SUFFIX) {
            fs::remove_file(&path).map_err(StoreError::io("removing a temporary file"))?;
            continue;
        }
        let bytes = fs::read(&path).map_err(StoreError::io("reading a commitment"))?;
        visit(serde_json::from_slice(&bytes).map_err(StoreError::damaged(WHAT))?)?;
    }
    Ok(())
}

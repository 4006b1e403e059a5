//! The outbox: which document still has to reach which destination.
//!
//! One small file per revision of a case holds an entry for each document and destination, and is replaced as a whole at
//! each change, so that enqueueing is one step. A crash between a peer's success and [`Store::mark_sent`] makes the same
//! bytes go out again under the same UID, which a storage SCP takes as the instance that it has: still one document.
//! Deliveries that are sent in full, and committed to where that was asked for, move to another folder and out of memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::disk::{TEMPORARY_SUFFIX, lock, rename, sync_now};
use super::error::StoreError;
use super::layout::{Layout, checked_name};
use super::{Inner, Store};
use crate::case::CaseId;
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;
use crate::report::{Document, DocumentKind};

/// Names one entry of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryId {
    /// The case.
    pub case: CaseId,
    /// The revision.
    pub revision: u32,
    /// The document.
    pub sop_instance: Uid,
    /// The destination's AE title.
    pub destination: String,
}

/// One document on its way to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Which.
    pub id: EntryId,
    /// What it is.
    pub kind: DocumentKind,
    /// SOP Class UID of the document.
    pub sop_class: Uid,
    /// Transfer syntax of the document.
    pub transfer_syntax: Uid,
    /// Where it stands.
    pub state: DeliveryState,
    /// Failed attempts so far.
    pub attempts: u32,
    /// Not before this time.
    pub next_attempt_at: Timestamp,
    /// When it was handed over.
    pub enqueued_at: Timestamp,
    /// When the peer said success.
    pub sent_at: Option<Timestamp>,
    /// Why the last attempt failed, without patient data; empty before the first.
    pub reason: String,
    /// Where the destination is asked to commit to what it got: how far that is. Of an entry that is sent.
    #[serde(default)]
    pub commitment: Option<CommitmentState>,
    /// Documents that say the same in another SOP class, in the order of preference: one of them goes in this one's place if
    /// the destination takes it and not this one. Empty once it is decided.
    #[serde(default)]
    pub alternatives: Vec<Alternative>,
}

/// A document that may go in the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// The document.
    pub sop_instance: Uid,
    /// Its SOP Class UID.
    pub sop_class: Uid,
}

/// How far a destination's commitment to a document is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitmentState {
    /// It is to be asked.
    Wanted {
        /// Not before this time.
        ask_at: Timestamp,
    },
    /// It was asked and has not reported yet.
    Asked {
        /// Transaction UID of the question.
        transaction: Uid,
        /// When it is asked again.
        ask_at: Timestamp,
    },
    /// It gave its word.
    Committed {
        /// When.
        at: Timestamp,
    },
}

impl OutboxEntry {
    /// Whether something is still to be done for it, by us or by the destination.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.state {
            DeliveryState::Pending => true,
            DeliveryState::GivenUp => false,
            DeliveryState::Sent => !matches!(self.commitment, None | Some(CommitmentState::Committed { .. })),
        }
    }

    fn is_done(&self) -> bool {
        self.state == DeliveryState::Sent && !self.is_open()
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Still to be sent.
    Pending,
    /// The peer has it.
    Sent,
    /// Tried until `give_up_after`; stays visible until somebody retries it.
    GivenUp,
}

/// A revision's entries, as in its file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Delivery {
    entries: Vec<OutboxEntry>,
}

/// Deliveries that are not sent in full, by case and revision.
pub(super) type Open = BTreeMap<(CaseId, u32), Delivery>;

impl Store {
    /// Hands the named documents of a saved revision over for one destination; durable when this returns. What is
    /// already there, sent or not, stays as it is.
    ///
    /// # Errors
    /// When the revision or a document of it is not saved, or the file system refuses.
    pub fn enqueue(
        &self,
        case: &CaseId,
        revision: u32,
        destination: &str,
        documents: &[Uid],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let each: Vec<&[Uid]> = documents.iter().map(std::slice::from_ref).collect();
        self.enqueue_one_of_each(case, revision, destination, &each, now)
    }

    /// The same for documents of which one of several is to go, whichever the destination takes first in their order. Which
    /// one is decided when it is sent, for good.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub fn enqueue_one_of_each(
        &self,
        case: &CaseId,
        revision: u32,
        destination: &str,
        documents: &[&[Uid]],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let saved = self.result(case, revision)?.ok_or(StoreError::Unknown { what: "result" })?;
        let find = |uid: &Uid| {
            let found = saved.documents.iter().find(|document| document.reference.sop_instance == *uid);
            found.ok_or(StoreError::Unknown { what: "document of the result" })
        };
        self.change(case, revision, |delivery| {
            for choice in documents {
                let known = |entry: &OutboxEntry| {
                    entry.id.destination == destination && choice.contains(&entry.id.sop_instance)
                };
                let Some((first, others)) = choice.split_first() else { continue };
                if delivery.entries.iter().any(known) {
                    continue;
                }
                let document = find(first)?;
                let alternatives = others.iter().map(|uid| {
                    let sop_class = find(uid)?.reference.sop_class.clone();
                    Ok(Alternative { sop_instance: uid.clone(), sop_class })
                });
                delivery.entries.push(OutboxEntry {
                    id: EntryId {
                        case: case.clone(),
                        revision,
                        sop_instance: first.clone(),
                        destination: destination.to_owned(),
                    },
                    kind: document.reference.kind,
                    sop_class: document.reference.sop_class.clone(),
                    transfer_syntax: document.transfer_syntax.clone(),
                    state: DeliveryState::Pending,
                    attempts: 0,
                    next_attempt_at: now,
                    enqueued_at: now,
                    sent_at: None,
                    reason: String::new(),
                    commitment: None,
                    alternatives: alternatives.collect::<Result<_, StoreError>>()?,
                });
            }
            Ok(())
        })
    }

    /// Decides, durably, which of an entry's documents goes: the entry as it is then.
    ///
    /// # Errors
    /// When there is no such entry, the document is none of its own, or the file system refuses.
    pub fn decide(&self, id: &EntryId, sop_instance: &Uid) -> Result<OutboxEntry, StoreError> {
        let mut decided = None;
        self.change_entry(id, |entry| {
            let others = std::mem::take(&mut entry.alternatives);
            if let Some(chosen) = others.into_iter().find(|other| other.sop_instance == *sop_instance) {
                entry.id.sop_instance = chosen.sop_instance;
                entry.sop_class = chosen.sop_class;
            }
            decided = Some(entry.clone());
        })?;
        let decided = decided.filter(|entry| entry.id.sop_instance == *sop_instance);
        decided.ok_or(StoreError::Unknown { what: "document of the outbox entry" })
    }

    /// The entries whose time has come, longest waiting first; those of one revision in the order of its documents, so that
    /// what a document refers to goes before it.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<OutboxEntry> {
        let mut due = self.open_entries(|entry| entry.state == DeliveryState::Pending && entry.next_attempt_at <= now);
        due.sort_by(|a, b| {
            let key = |entry: &OutboxEntry| (entry.next_attempt_at, entry.id.case.clone(), entry.id.revision);
            key(a).cmp(&key(b))
        });
        due
    }

    /// When the next pending entry is due, if any is pending.
    #[must_use]
    pub fn next_due_at(&self) -> Option<Timestamp> {
        let pending = self.open_entries(|entry| entry.state == DeliveryState::Pending);
        pending.iter().map(|entry| entry.next_attempt_at).min()
    }

    /// Everything that is not sent in full: pending, given up, and what was sent of the same revisions.
    #[must_use]
    pub fn outbox(&self) -> Vec<OutboxEntry> {
        self.open_entries(|_| true)
    }

    /// The entries of one revision, also when all of them are sent.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn deliveries(&self, case: &CaseId, revision: u32) -> Result<Vec<OutboxEntry>, StoreError> {
        let open = lock(&self.inner.outbox);
        Ok(load(&self.inner, &open, case, revision)?.map(|delivery| delivery.entries).unwrap_or_default())
    }

    /// The bytes of an entry's document, as saved.
    ///
    /// # Errors
    /// When the document is gone or damaged.
    pub fn document(&self, id: &EntryId) -> Result<Document, StoreError> {
        let saved = self.result(&id.case, id.revision)?.ok_or(StoreError::Unknown { what: "result" })?;
        saved
            .documents
            .iter()
            .find(|document| document.reference.sop_instance == id.sop_instance)
            .ok_or(StoreError::Unknown { what: "document of the result" })?
            .read()
    }

    /// Notes, durably, that the destination has the document.
    ///
    /// # Errors
    /// When there is no such entry or the file system refuses: the document is then sent again.
    pub fn mark_sent(&self, id: &EntryId, now: Timestamp) -> Result<(), StoreError> {
        self.change_entry(id, |entry| {
            entry.state = DeliveryState::Sent;
            entry.sent_at = Some(now);
            entry.reason.clear();
        })
    }

    /// Notes, durably, that the destination has the document, and that it is to be asked to commit to it.
    ///
    /// # Errors
    /// As [`mark_sent`](Self::mark_sent).
    pub fn mark_sent_to_be_committed(&self, id: &EntryId, now: Timestamp) -> Result<(), StoreError> {
        self.change_entry(id, |entry| {
            entry.state = DeliveryState::Sent;
            entry.sent_at = Some(now);
            entry.reason.clear();
            entry.commitment = Some(CommitmentState::Wanted { ask_at: now });
        })
    }

    /// The entries of a destination that it is to be asked about now.
    #[must_use]
    pub fn to_be_committed(&self, destination: &str, now: Timestamp) -> Vec<OutboxEntry> {
        self.open_entries(|entry| {
            entry.id.destination == destination
                && entry.state == DeliveryState::Sent
                && match &entry.commitment {
                    Some(CommitmentState::Wanted { ask_at } | CommitmentState::Asked { ask_at, .. }) => *ask_at <= now,
                    _ => false,
                }
        })
    }

    /// Notes the question before it is asked: its answer may come at any time, over another association.
    ///
    /// # Errors
    /// When there is no such entry or the file system refuses.
    pub fn mark_asked(&self, id: &EntryId, transaction: &Uid, ask_at: Timestamp) -> Result<(), StoreError> {
        let asked = CommitmentState::Asked { transaction: transaction.clone(), ask_at };
        self.change_entry(id, |entry| entry.commitment = Some(asked))
    }

    /// Gives an entry up whose destination does not commit.
    ///
    /// # Errors
    /// When there is no such entry or the file system refuses.
    pub fn mark_not_committed(&self, id: &EntryId, reason: &str) -> Result<(), StoreError> {
        self.change_entry(id, |entry| {
            entry.state = DeliveryState::GivenUp;
            entry.commitment = None;
            reason.clone_into(&mut entry.reason);
        })
    }

    /// Notes a destination's report on a question: what it keeps is done, what it does not have is sent again. How many
    /// entries it was about.
    ///
    /// # Errors
    /// When the file system refuses: the destination is then asked again.
    pub fn commitment_reported(
        &self,
        transaction: &Uid,
        committed: &[Uid],
        failed: &[Uid],
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let is_about = |entry: &OutboxEntry| matches!(&entry.commitment, Some(CommitmentState::Asked { transaction: asked, .. }) if asked == transaction);
        let entries = self.open_entries(is_about);
        for entry in &entries {
            let uid = &entry.id.sop_instance;
            self.change_entry(&entry.id, |entry| {
                if committed.contains(uid) {
                    entry.commitment = Some(CommitmentState::Committed { at: now });
                } else if failed.contains(uid) {
                    "the destination does not have it any more".clone_into(&mut entry.reason);
                    entry.state = DeliveryState::Pending;
                    entry.attempts = entry.attempts.saturating_add(1);
                    entry.next_attempt_at = now;
                    entry.commitment = None;
                }
            })?;
        }
        Ok(entries.len())
    }

    /// Notes a failed attempt; without a next attempt the entry is given up.
    ///
    /// # Errors
    /// When there is no such entry or the file system refuses.
    pub fn mark_failed(
        &self,
        id: &EntryId,
        next_attempt_at: Option<Timestamp>,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.change_entry(id, |entry| {
            entry.attempts = entry.attempts.saturating_add(1);
            entry.reason = reason.to_owned();
            match next_attempt_at {
                Some(at) => entry.next_attempt_at = at,
                None => entry.state = DeliveryState::GivenUp,
            }
        })
    }

    /// Makes everything of a case that is not sent due now: how many entries.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn retry_deliveries(&self, case: &CaseId, now: Timestamp) -> Result<usize, StoreError> {
        let revisions: Vec<u32> =
            lock(&self.inner.outbox).keys().filter(|key| key.0 == *case).map(|key| key.1).collect();
        let mut n_entries = 0;
        for revision in revisions {
            self.change(case, revision, |delivery| {
                for entry in delivery.entries.iter_mut().filter(|entry| !entry.is_done()) {
                    if entry.state == DeliveryState::Sent {
                        entry.commitment = Some(CommitmentState::Wanted { ask_at: now });
                        n_entries += 1;
                        continue;
                    }
                    entry.state = DeliveryState::Pending;
                    entry.next_attempt_at = now;
                    entry.enqueued_at = now;
                    n_entries += 1;
                }
                Ok(())
            })?;
        }
        Ok(n_entries)
    }

    fn open_entries(&self, keep: impl Fn(&OutboxEntry) -> bool) -> Vec<OutboxEntry> {
        let open = lock(&self.inner.outbox);
        open.values().flat_map(|delivery| &delivery.entries).filter(|entry| keep(entry)).cloned().collect()
    }

    fn change_entry(&self, id: &EntryId, change: impl FnOnce(&mut OutboxEntry)) -> Result<(), StoreError> {
        self.change(&id.case, id.revision, |delivery| {
            let entry = delivery.entries.iter_mut().find(|entry| entry.id == *id);
            change(entry.ok_or(StoreError::Unknown { what: "outbox entry" })?);
            Ok(())
        })
    }

    fn change(
        &self,
        case: &CaseId,
        revision: u32,
        change: impl FnOnce(&mut Delivery) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut open = lock(&self.inner.outbox);
        let before = load(&self.inner, &open, case, revision)?;
        let mut delivery = before.clone().unwrap_or(Delivery { entries: Vec::new() });
        change(&mut delivery)?;
        if before.as_ref().map_or(&[][..], |before| &before.entries) == delivery.entries {
            return Ok(());
        }
        let path = open_path(&self.inner.layout, case, revision)?;
        let bytes = serde_json::to_vec(&delivery).map_err(StoreError::damaged(WHAT))?;
        self.inner.disk.write_whole(&path, &bytes)?;
        let key = (case.clone(), revision);
        if delivery.entries.iter().all(OutboxEntry::is_done) {
            let done = done_path(&self.inner.layout, case, revision)?;
            // Not synced: found open after a power cut, it is moved again.
            rename(&path, &done).map_err(StoreError::io("moving a delivery to the done ones"))?;
            open.remove(&key);
        } else {
            open.insert(key, delivery);
        }
        Ok(())
    }
}

const WHAT: &str = "an outbox file";

fn file_name(case: &CaseId, revision: u32) -> Result<String, StoreError> {
    Ok(format!("{}.{revision}.json", checked_name("case", &case.0)?))
}

fn open_path(layout: &Layout, case: &CaseId, revision: u32) -> Result<PathBuf, StoreError> {
    Ok(layout.outbox_open().join(file_name(case, revision)?))
}

fn done_path(layout: &Layout, case: &CaseId, revision: u32) -> Result<PathBuf, StoreError> {
    Ok(layout.outbox_done().join(file_name(case, revision)?))
}

fn load(inner: &Inner, open: &Open, case: &CaseId, revision: u32) -> Result<Option<Delivery>, StoreError> {
    if let Some(delivery) = open.get(&(case.clone(), revision)) {
        return Ok(Some(delivery.clone()));
    }
    match fs::read(done_path(&inner.layout, case, revision)?) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(StoreError::damaged(WHAT)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("reading an outbox file")(error)),
    }
}

/// Reads the open deliveries, and moves those away that were sent in full when the process ended.
pub(super) fn reload(layout: &Layout) -> Result<Open, StoreError> {
    let mut open = Open::new();
    let entries = fs::read_dir(layout.outbox_open()).map_err(StoreError::io("listing the outbox"))?;
    let mut moved = false;
    for entry in entries {
        let entry = entry.map_err(StoreError::io("listing the outbox"))?;
        let path = entry.path();
        if path.to_string_lossy().ends_with(TEMPORARY_SUFFIX) {
            fs::remove_file(&path).map_err(StoreError::io("removing a temporary file"))?;
            continue;
        }
        let bytes = fs::read(&path).map_err(StoreError::io("reading an outbox file"))?;
        let delivery: Delivery = serde_json::from_slice(&bytes).map_err(StoreError::damaged(WHAT))?;
        let Some(first) = delivery.entries.first() else { continue };
        if delivery.entries.iter().all(OutboxEntry::is_done) {
            rename(&path, &layout.outbox_done().join(entry.file_name()))
                .map_err(StoreError::io("moving a delivery to the done ones"))?;
            moved = true;
            continue;
        }
        open.insert((first.id.case.clone(), first.id.revision), delivery);
    }
    if moved {
        sync_now(&layout.outbox_done())?;
    }
    Ok(open)
}

//! Case records: what became of each case. Each is a small file; the index holds them for listing.

use std::collections::BTreeMap;
use std::fs;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::disk::{TEMPORARY_SUFFIX, lock};
use super::error::StoreError;
use super::layout::checked_name;
use super::{Inner, Store};
use crate::case::{CaseId, CaseSpec};
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;
use crate::finding::Finding;

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseState {
    /// Series are still coming.
    Collecting,
    /// Complete, waits for its turn.
    Ready,
    /// In the pipeline. Found so after a restart, it begins again: processing is idempotent.
    Processing,
    /// Its result is saved and handed to the outbox.
    Done,
    /// Cannot be processed as it is; the reason says what would help.
    Parked,
    /// Processing failed and is not tried again by itself.
    Failed,
}

impl CaseState {
    /// Every state, in the order in which a case goes through them.
    pub const ALL: [Self; 6] =
        [Self::Collecting, Self::Ready, Self::Processing, Self::Done, Self::Parked, Self::Failed];

    /// The published name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Collecting => "collecting",
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Done => "done",
            Self::Parked => "parked",
            Self::Failed => "failed",
        }
    }

    /// Whether the case still waits for data or for its turn.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Collecting | Self::Ready | Self::Processing)
    }
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// Which case.
    pub id: CaseId,
    /// Where it stands.
    pub state: CaseState,
    /// The protocol that took it; empty where none did.
    pub protocol: String,
    /// The revision that is being made or was made last, from 1; 0 before the first.
    pub revision: u32,
    /// Every series that belongs to it, used or not: retention keeps them while it is open.
    pub series: Vec<Uid>,
    /// Why it is parked or failed, in a sentence without patient data; empty else.
    pub reason: String,
    /// Remarks of grouping and processing.
    pub findings: Vec<Finding>,
    /// Attempts at processing this revision.
    pub attempts: u32,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// When its first instance came.
    pub created_at: Timestamp,
    /// When this record was last changed.
    pub updated_at: Timestamp,
    /// Whether what this revision was made of was corrected or withdrawn, and no other one is made yet.
    #[serde(default)]
    pub lapsed: bool,
    /// When grouping handed out what the pipeline gets.
    #[serde(default)]
    pub handed_at: Option<Timestamp>,
    /// What the pipeline gets; absent in lists.
    #[serde(default)]
    pub spec: Option<CaseSpec>,
}

/// The states of all cases: what is asked often and should not read every record.
#[derive(Debug, Default)]
pub(super) struct CaseTable {
    states: BTreeMap<CaseId, (CaseState, Timestamp)>,
}

impl Store {
    /// Writes a case record, durably.
    ///
    /// # Errors
    /// When the id cannot be a file name, or the file system or the index refuses.
    pub fn put_case(&self, record: &CaseRecord) -> Result<(), StoreError> {
        let name = checked_name("case", &record.id.0)?;
        let bytes = serde_json::to_vec(record).map_err(StoreError::damaged("a case record"))?;
        let _not_while_expiring = self.inner.gate.read().unwrap_or_else(PoisonError::into_inner);
        let mut table = lock(&self.inner.cases);
        self.inner.cases_generation.fetch_add(1, Ordering::Release);
        self.inner.disk.write_whole(&self.inner.layout.cases().join(format!("{name}.json")), &bytes)?;
        index_case(&self.inner, record)?;
        table.states.insert(record.id.clone(), (record.state, record.updated_at));
        Ok(())
    }

    /// How many cases are in each state, in the order of [`CaseState::ALL`]; cheap.
    #[must_use]
    pub fn case_counts(&self) -> [(CaseState, u64); CaseState::ALL.len()] {
        let table = lock(&self.inner.cases);
        CaseState::ALL
            .map(|state| (state, table.states.values().filter(|(found, _)| *found == state).map(|_| 1_u64).sum()))
    }

    /// The cases that changed last, newest first, at most so many, of one state or of all; without specifications.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn recent_cases(&self, state: Option<CaseState>, n_max: usize) -> Result<Vec<CaseRecord>, StoreError> {
        let mut newest: Vec<_> = lock(&self.inner.cases)
            .states
            .iter()
            .filter(|(_, (found, _))| state.is_none_or(|state| state == *found))
            .map(|(id, (_, updated_at))| (*updated_at, id.clone()))
            .collect();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        let index = self.index()?;
        let mut records = Vec::new();
        for (_, id) in newest.into_iter().take(n_max) {
            if let Some(record) = index.case(&id)? {
                records.push(parse(&record)?);
            }
        }
        Ok(records)
    }

    /// One case with its specification.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn case(&self, id: &CaseId) -> Result<Option<CaseRecord>, StoreError> {
        let index = self.index()?;
        let Some(record) = index.case(id)? else { return Ok(None) };
        let mut record = parse(&record)?;
        record.spec =
            index.spec(id)?.as_deref().map(serde_json::from_slice).transpose().map_err(StoreError::damaged(WHAT))?;
        Ok(Some(record))
    }

    /// All cases in the order of their ids, without specifications.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn cases(&self) -> Result<Vec<CaseRecord>, StoreError> {
        let mut all = Vec::new();
        self.index()?.for_each_case(&mut |record| {
            all.push(parse(record)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// The cases in one state in the order of their ids, without specifications.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn cases_in(&self, state: CaseState) -> Result<Vec<CaseRecord>, StoreError> {
        Ok(self.cases()?.into_iter().filter(|record| record.state == state).collect())
    }
}

const WHAT: &str = "a case record";

fn parse(bytes: &[u8]) -> Result<CaseRecord, StoreError> {
    serde_json::from_slice(bytes).map_err(StoreError::damaged(WHAT))
}

fn index_case(inner: &Inner, record: &CaseRecord) -> Result<(), StoreError> {
    let spec = record.spec.as_ref().map(serde_json::to_vec).transpose().map_err(StoreError::damaged(WHAT))?;
    let bare = serde_json::to_vec(&CaseRecord { spec: None, ..record.clone() }).map_err(StoreError::damaged(WHAT))?;
    inner.index()?.put_case(&record.id, &bare, spec.as_deref())
}

/// Learns the states of all cases from an index that agrees with the files.
pub(super) fn fill_table(inner: &Inner) -> Result<(), StoreError> {
    let mut table = lock(&inner.cases);
    inner.index()?.for_each_case(&mut |record| {
        let record = parse(record)?;
        table.states.insert(record.id, (record.state, record.updated_at));
        Ok(())
    })
}

/// Reads every case file into the index: how many, and how many could not be read.
pub(super) fn reload(inner: &Inner) -> Result<(u64, u64), StoreError> {
    let mut table = lock(&inner.cases);
    inner.index()?.clear_cases()?;
    table.states.clear();
    let (mut read, mut unreadable) = (0, 0);
    let entries = fs::read_dir(inner.layout.cases()).map_err(StoreError::io("listing the cases"))?;
    for entry in entries {
        let path = entry.map_err(StoreError::io("listing the cases"))?.path();
        if path.to_string_lossy().ends_with(TEMPORARY_SUFFIX) {
            fs::remove_file(&path).map_err(StoreError::io("removing a temporary file"))?;
            continue;
        }
        let bytes = fs::read(&path).map_err(StoreError::io("reading a case"))?;
        match parse(&bytes) {
            Ok(record) => {
                index_case(inner, &record)?;
                table.states.insert(record.id, (record.state, record.updated_at));
                read += 1;
            }
            Err(_) => unreadable += 1,
        }
    }
    Ok((read, unreadable))
}

//! Storage: Part-10 files are the truth, beside them an index that can be made from them again; cases, results and the
//! outbox, which are files too.
//!
//! Every call blocks: call it from a thread of its own or by `spawn_blocking`. A [`Store`] is a handle; clones share one
//! directory, which belongs to one process at a time. The engine of the index is known to `sled.rs` alone, syncs and
//! renames to `disk.rs`.
//!
//! What survives what: an instance whose [`Incoming::commit`] returned [`Stored::New`] survives a power cut under
//! [`Durability::Full`], and a killed process under any. Case records, results, outbox entries and sent markers survive
//! a power cut under every durability.

mod cases;
mod commitments;
mod compare;
mod digest;
mod disk;
mod error;
mod group_sync;
mod holdings;
mod layout;
mod outbox;
mod part10;
mod receive;
mod record;
mod recover;
mod results;
mod retention;
mod sled;
#[cfg(test)]
pub(crate) mod tests;
mod withdraw;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use cases::{CaseRecord, CaseState};
pub use commitments::{CommitFailure, Commitment, SopReference};
pub use digest::Digest;
pub use disk::{Durability, write_whole};
pub use error::StoreError;
pub use holdings::{Holding, StudyHeld};
pub use outbox::{Alternative, CommitmentState, DeliveryState, EntryId, OutboxEntry};
pub use receive::Incoming;
pub use record::{Origin, Stored, StoredInstance};
pub use recover::{OpenReport, Recovery, VerifyReport};
pub use results::{SavedDocument, SavedResult};
pub use retention::Expired;
pub use withdraw::Withdrawn;

use disk::{DirectoryLock, Disk};
use layout::Layout;

use self::sled::Index;
use crate::dicom::facts::InstanceFacts;
use crate::dicom::likeness::Likeness;
use crate::dicom::uid::Uid;

/// Reads the facts of a stored file again, when the index is rebuilt. The reason of a failure holds no patient data.
pub type FactsReader = Arc<dyn Fn(&Path) -> Result<InstanceFacts, String> + Send + Sync>;

/// Says how alike the files of two objects with one UID are.
pub type Comparer = fn(&Path, &Path) -> Likeness;

/// Where and how to store.
#[derive(Clone)]
pub struct StoreSettings {
    /// `storage.directory`.
    pub directory: PathBuf,
    /// `storage.reserve_bytes`: nothing new is taken while less than this is free.
    pub reserve_bytes: u64,
    /// `storage.durability`.
    pub durability: Durability,
    /// Reads the facts of a file when the index is rebuilt.
    pub read_facts: FactsReader,
    /// Changes whenever `read_facts` gives other facts for the same file, as when the configuration names another
    /// attribute to match on: the facts of all instances are then read again at the next start.
    pub facts_version: String,
    /// Tells another encoding and a corrected header from another content.
    pub compare: Comparer,
}

impl std::fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreSettings")
            .field("directory", &self.directory)
            .field("reserve_bytes", &self.reserve_bytes)
            .field("durability", &self.durability)
            .field("facts_version", &self.facts_version)
            .finish_non_exhaustive()
    }
}

/// What is stored, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Instances in the index.
    pub instances: u64,
    /// Their files' bytes.
    pub bytes: u64,
    /// Free bytes of the file system.
    pub available_bytes: u64,
    /// What is kept back.
    pub reserve_bytes: u64,
}

/// A handle to the storage directory.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: StoreSettings,
    layout: Layout,
    disk: Disk,
    /// Empty only while the last handle is being dropped.
    index: RwLock<Option<Arc<Index>>>,
    /// UIDs that are being committed right now: a second one with the same UID waits.
    in_flight: receive::InFlight,
    /// Names of temporary files.
    next_part: AtomicU64,
    instances: AtomicU64,
    bytes: AtomicU64,
    /// One writer of case files at a time, so that file and index agree.
    cases: Mutex<cases::CaseTable>,
    /// Counts changes of case records: retention looks again when it moved.
    cases_generation: AtomicU64,
    /// Read by whoever adds an instance or changes a case, written by retention.
    gate: RwLock<()>,
    results: Mutex<()>,
    outbox: Mutex<outbox::Open>,
    commitments: Mutex<commitments::OpenCommitments>,
    /// Instances that were rejected for good: kept aside when they come again.
    refused: Mutex<HashSet<Uid>>,
    /// What peers said that they hold.
    holdings: Mutex<holdings::Holdings>,
    /// Held as long as anything above may be written: the last field to go.
    _lock: DirectoryLock,
}

impl Store {
    /// Opens the directory, makes it where it is not there, and brings the index into agreement with the files.
    ///
    /// # Errors
    /// When another process has the directory, a newer version wrote it, or the file system refuses. A damaged index is
    /// no error: it is rebuilt.
    pub fn open(settings: &StoreSettings) -> Result<(Self, OpenReport), StoreError> {
        recover::open(settings)
    }

    /// One stored instance.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn instance(&self, uid: &Uid) -> Result<Option<StoredInstance>, StoreError> {
        Ok(self.index()?.record(uid)?.map(|record| record.stored(&self.inner.layout)))
    }

    /// The stored instances of one series, in the order of their UIDs.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn instances_of_series(&self, series: &Uid) -> Result<Vec<StoredInstance>, StoreError> {
        let index = self.index()?;
        let mut found = Vec::new();
        for uid in index.series(series)? {
            if let Some(record) = index.record(&uid)? {
                found.push(record.stored(&self.inner.layout));
            }
        }
        Ok(found)
    }

    /// Hands over every stored instance in the order of receipt. Instances that come meanwhile may or may not be among
    /// them.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn for_each_instance(&self, visit: &mut dyn FnMut(StoredInstance)) -> Result<(), StoreError> {
        let index = self.index()?;
        index.for_each_in_order(&mut |uid, _| {
            if let Some(record) = index.record(&uid)? {
                visit(record.stored(&self.inner.layout));
            }
            Ok(())
        })
    }

    /// What is stored, in numbers; cheap.
    ///
    /// # Errors
    /// When the file system does not tell its free space.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        Ok(Counts {
            instances: self.inner.instances.load(Ordering::Relaxed),
            bytes: self.inner.bytes.load(Ordering::Relaxed),
            available_bytes: disk::available_bytes(self.inner.layout.root())?,
            reserve_bytes: self.inner.settings.reserve_bytes,
        })
    }

    /// The durability in force.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.inner.disk.durability()
    }

    /// The storage directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.inner.layout.root()
    }

    fn index(&self) -> Result<Arc<Index>, StoreError> {
        self.inner.index()
    }
}

impl Inner {
    fn index(&self) -> Result<Arc<Index>, StoreError> {
        let guard = self.index.read().unwrap_or_else(PoisonError::into_inner);
        guard.clone().ok_or(StoreError::Unknown { what: "open index" })
    }

    fn count_removed(&self, size: u64) {
        self.instances.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }

    fn count_added(&self, size: u64) {
        self.instances.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let index = self.index.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(index) = index {
            recover::leave_clean(
                &self.layout,
                &self.disk,
                index,
                recover::Totals {
                    instances: self.instances.load(Ordering::Relaxed),
                    bytes: self.bytes.load(Ordering::Relaxed),
                },
            );
        }
    }
}

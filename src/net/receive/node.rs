//! What all associations share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::admission::Places;
use crate::audit::Audit;
use crate::clock::{self, Timestamp};
use crate::dicom::facts::InstanceFacts;
use crate::net::commitment::report_due;
use crate::net::query::{self, Wishes};
use crate::net::settings::NodeSettings;
use crate::store::Store;

/// Reports of commitments that failed are looked at this often.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// A new instance, durably stored: what the grouping is told.
#[derive(Debug, Clone, PartialEq)]
pub struct NewInstance {
    /// What it says of itself.
    pub facts: InstanceFacts,
    /// When it came.
    pub received_at: Timestamp,
    /// Who sent it.
    pub calling_ae: String,
    /// Whether it took the place of one with the same UID and another header.
    pub is_correction: bool,
}

/// The receiving node: its settings, the store that it fills and the grouping that it tells.
#[derive(Debug)]
pub struct Node {
    settings: RwLock<Arc<NodeSettings>>,
    /// Where objects go.
    pub(super) store: Store,
    /// Told of every new instance before its success is answered. Bounded: while it is full, nothing more is taken.
    pub(super) on_stored: mpsc::Sender<NewInstance>,
    pub(super) places: Arc<Places>,
    pub(super) counters: Counters,
    /// What objects name and that may have to be asked for.
    pub(super) wishes: Wishes,
    /// Notified when a commitment is to be reported over a new association.
    pub(super) committed: Notify,
    /// Told who sent what, and who was refused.
    pub(super) audit: Audit,
}

/// What happened since the start. Each only grows.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicU64,
    pub(super) associations: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) aborted: AtomicU64,
    pub(super) stored: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) corrected: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) received_bytes: AtomicU64,
}

/// What the node did since its start, for metrics and the status page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct NodeCounts {
    /// Associations that are open now.
    pub open_associations: u64,
    /// TCP connections.
    pub connections: u64,
    /// Associations that were accepted.
    pub associations: u64,
    /// Association requests that were rejected.
    pub rejected: u64,
    /// Connections that ended by an abort of either side, a time-out, or without a word.
    pub aborted: u64,
    /// New instances.
    pub stored: u64,
    /// Instances that were stored before, with the same content.
    pub duplicates: u64,
    /// Instances whose header was corrected.
    pub corrected: u64,
    /// Instances kept aside as conflicts.
    pub conflicts: u64,
    /// C-STORE requests that were answered with a failure, conflicts among them.
    pub failed: u64,
    /// Bytes received.
    pub received_bytes: u64,
}

impl Node {
    /// A node that stores into `store` and tells `on_stored`.
    #[must_use]
    pub fn new(settings: NodeSettings, store: Store, on_stored: mpsc::Sender<NewInstance>) -> Self {
        Self {
            settings: RwLock::new(Arc::new(settings)),
            store,
            on_stored,
            places: Arc::new(Places::default()),
            counters: Counters::default(),
            wishes: Wishes::default(),
            committed: Notify::new(),
            audit: Audit::none(),
        }
    }

    /// Has peers send what objects name and did not come, until the shutdown.
    pub async fn retrieve_missing(&self, shutdown: CancellationToken) {
        query::run(self.store.clone(), || self.settings(), &self.wishes, &self.audit, shutdown).await;
    }

    /// Reports what we committed to, to peers that have an address, until the shutdown.
    pub async fn report_commitments(&self, shutdown: CancellationToken) {
        loop {
            report_due(&self.store, &self.settings(), clock::now()).await;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.committed.notified() => {}
                () = tokio::time::sleep(REPORT_EVERY) => {}
            }
        }
    }

    /// With audit messages.
    #[must_use]
    pub fn with_audit(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<NodeSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts new settings in force. Open associations go on as they were negotiated, but a peer that may not call any
    /// more is refused its next C-STORE.
    pub fn reload(&self, settings: NodeSettings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> NodeCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        NodeCounts {
            open_associations: self.places.n_open() as u64,
            connections: of(&counters.connections),
            associations: of(&counters.associations),
            rejected: of(&counters.rejected),
            aborted: of(&counters.aborted),
            stored: of(&counters.stored),
            duplicates: of(&counters.duplicates),
            corrected: of(&counters.corrected),
            conflicts: of(&counters.conflicts),
            failed: of(&counters.failed),
            received_bytes: of(&counters.received_bytes),
        }
    }
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

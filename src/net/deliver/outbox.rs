//! The delivery loop: what the store's outbox holds goes to its destinations, each at its own pace.
//!
//! Nothing here is a source of truth: what is due, what was sent and what failed is in the store, durably, so that a
//! restart goes on where the last process stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Backoff, Delivered, Destination, Item, ItemFailure, Session, Source, web};
use crate::audit::{Audit, Party};
use crate::clock::Timestamp;
use crate::dicom::facts::{self, InstanceFacts};
use crate::dicom::uid::Uid;
use crate::error::{Duty, Retry};
use crate::metrics::{DeliveryOutcome, Metrics};
use crate::net::Stream;
use crate::net::commitment::ask_due;
use crate::net::stow::WebServer;
use crate::net::tally::{Tally, Told};
use crate::store::{EntryId, OutboxEntry, Store, StoreError};

/// Documents of one association.
const BATCH: usize = 32;
/// The outbox is looked at this often even when nobody says that it changed: entries are made due again by hand.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Who gets what is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receiver {
    /// Another application entity, by C-STORE.
    Dimse(Destination),
    /// A `DICOMweb` server, by STOW-RS.
    Web(WebServer),
}

impl Receiver {
    /// Its name in the outbox: the AE title, or the name of the server.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Dimse(destination) => destination.ae_title.as_str(),
            Self::Web(server) => &server.name,
        }
    }

    /// Who it is in the audit.
    pub(super) fn party(&self) -> Party {
        match self {
            Self::Dimse(destination) => Party::of_destination(destination.ae_title.as_str(), &destination.address),
            Self::Web(server) => Party::of_destination(server.name.as_str(), &server.address),
        }
    }
}

impl From<Destination> for Receiver {
    fn from(destination: Destination) -> Self {
        Self::Dimse(destination)
    }
}

/// A destination with its schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlet {
    /// Where to.
    pub to: Receiver,
    /// When a failed delivery is tried again.
    pub backoff: Backoff,
    /// Whether it is asked to commit to what it got.
    pub storage_commitment: bool,
}

/// Delivers what is due until `shutdown`. `changed` is notified (`notify_waiters`) when something was handed over.
///
/// Each destination has a task of its own: one that does not answer holds up no other. What is being sent at the
/// shutdown is cut off and sent again at the next start.
pub async fn run(
    store: Store,
    outlets: Vec<Outlet>,
    clock: fn() -> Timestamp,
    changed: Arc<Notify>,
    metrics: Arc<Metrics>,
    audit: Audit,
    shutdown: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    for outlet in outlets {
        let (store, changed, metrics) = (store.clone(), Arc::clone(&changed), Arc::clone(&metrics));
        let audit = audit.clone();
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(async move {
            loop {
                let woken = changed.notified();
                deliver_due(&Way { store: &store, outlet: &outlet, clock, metrics: &metrics, audit: &audit }).await;
                if outlet.storage_commitment {
                    ask_due(&store, &outlet, clock).await;
                }
                let pause = pause(&store, clock()).min(LOOK_EVERY);
                let _ = tokio::time::timeout(pause, woken).await;
            }
        }));
    }
    while tasks.join_next().await.is_some() {}
}

/// Until the next entry is due; not at once again, whatever is due: it was just tried.
fn pause(store: &Store, now: Timestamp) -> Duration {
    const SHORTEST: Duration = Duration::from_secs(1);
    let Some(due_at) = store.next_due_at() else { return LOOK_EVERY };
    Duration::try_from(due_at.duration_since(now)).unwrap_or(SHORTEST).max(SHORTEST)
}

/// What every step of one destination's deliveries needs.
pub(super) struct Way<'a> {
    pub(super) store: &'a Store,
    pub(super) outlet: &'a Outlet,
    pub(super) clock: fn() -> Timestamp,
    pub(super) metrics: &'a Metrics,
    pub(super) audit: &'a Audit,
}

/// Tries everything that is due for one destination once.
async fn deliver_due(way: &Way<'_>) {
    let due = way.store.due((way.clock)());
    let mine: Vec<OutboxEntry> = due.into_iter().filter(|entry| entry.id.destination == way.outlet.to.name()).collect();
    match &way.outlet.to {
        Receiver::Dimse(destination) => deliver_by_associations(way, destination, &mine).await,
        Receiver::Web(server) => web::deliver(way, server, &mine).await,
    }
}

async fn deliver_by_associations(way: &Way<'_>, destination: &Destination, due: &[OutboxEntry]) {
    for batch in due.chunks(BATCH) {
        let kinds: Vec<(&Uid, &Uid)> = batch.iter().flat_map(kinds_of).collect();
        match Session::open(destination, kinds.into_iter()).await {
            Ok(session) => deliver_batch(way, session, batch).await,
            Err(failure) => {
                let reason = failure.to_string();
                warn!(destination = %destination.ae_title, n_documents = batch.len(), reason, "no association for delivery");
                let failure = ItemFailure { reason, status: None, retry: failure.retry() };
                for entry in batch {
                    note(way, entry, Err(failure.clone())).await;
                }
            }
        }
    }
}

/// What is told of deliveries, and to whom.
pub(super) struct Telling {
    to: Party,
    sent: Tally,
    failed: Tally,
}

impl Telling {
    pub(super) fn to(receiver: &Receiver) -> Self {
        Self { to: receiver.party(), sent: Tally::default(), failed: Tally::default() }
    }

    /// Before a document goes: whose it is, and of which study.
    pub(super) fn begin(&self, way: &Way<'_>, document: &[u8]) -> Option<InstanceFacts> {
        let facts = facts::from_bytes(document, &[]).ok()?;
        Tally::of(&facts).tell(way.audit, &self.to, (way.clock)(), Told::Begin);
        Some(facts)
    }

    pub(super) fn count(&mut self, facts: Option<&InstanceFacts>, is_sent: bool) {
        if let Some(facts) = facts {
            if is_sent { self.sent.add(facts) } else { self.failed.add(facts) }
        }
    }

    /// When all of them went or did not.
    pub(super) fn end(mut self, way: &Way<'_>) {
        self.sent.tell(way.audit, &self.to, (way.clock)(), Told::Sent);
        self.failed.tell(way.audit, &self.to, (way.clock)(), Told::NotSent);
    }
}

/// A failure of ours in the words of a delivery.
pub(super) fn own_failure(error: &StoreError) -> ItemFailure {
    ItemFailure { reason: error.to_string(), status: None, retry: error.retry() }
}

/// An entry's document, ready to be sent.
pub(super) fn item_of(entry: &OutboxEntry, bytes: Vec<u8>) -> Item {
    Item {
        sop_class: entry.sop_class.clone(),
        sop_instance: entry.id.sop_instance.clone(),
        transfer_syntax: entry.transfer_syntax.clone(),
        source: Source::Bytes(bytes),
    }
}

async fn deliver_batch(way: &Way<'_>, mut session: Session<Stream>, batch: &[OutboxEntry]) {
    let mut telling = Telling::to(&way.outlet.to);
    for entry in batch {
        let decided = match choose(way, &session, entry).await {
            Ok(entry) => entry,
            Err(failure) => {
                note(way, entry, Err(own_failure(&failure))).await;
                continue;
            }
        };
        let entry = decided.as_ref().unwrap_or(entry);
        let (result, facts) = match document(way.store, &entry.id).await {
            Ok(bytes) => {
                let facts = telling.begin(way, &bytes);
                (session.store(&item_of(entry, bytes)).await, facts)
            }
            Err(failure) => (Err(own_failure(&failure)), None),
        };
        telling.count(facts.as_ref(), result.is_ok());
        note(way, entry, result).await;
    }
    session.close().await;
    telling.end(way);
}

/// The SOP classes and transfer syntaxes that an entry may be sent in.
fn kinds_of(entry: &OutboxEntry) -> Vec<(&Uid, &Uid)> {
    let classes = std::iter::once(&entry.sop_class).chain(entry.alternatives.iter().map(|other| &other.sop_class));
    classes.map(|class| (class, &entry.transfer_syntax)).collect()
}

/// The first document of an entry that the destination takes.
fn first_taken(session: &Session<Stream>, entry: &OutboxEntry) -> Option<Uid> {
    if session.takes(&entry.sop_class, &entry.transfer_syntax) {
        return Some(entry.id.sop_instance.clone());
    }
    let other = entry.alternatives.iter().find(|other| session.takes(&other.sop_class, &entry.transfer_syntax));
    other.map(|other| other.sop_instance.clone())
}

/// The entry after it was decided which of its documents goes: the first that the destination takes. Nothing where there was
/// nothing to decide, or it takes none of them.
async fn choose(
    way: &Way<'_>,
    session: &Session<Stream>,
    entry: &OutboxEntry,
) -> Result<Option<OutboxEntry>, StoreError> {
    if entry.alternatives.is_empty() {
        return Ok(None);
    }
    let Some(taken) = first_taken(session, entry) else { return Ok(None) };
    decide(way.store, &entry.id, taken).await.map(Some)
}

/// Decides, durably, which of an entry's documents goes.
pub(super) async fn decide(store: &Store, id: &EntryId, taken: Uid) -> Result<OutboxEntry, StoreError> {
    let (store, id) = (store.clone(), id.clone());
    let decided = tokio::task::spawn_blocking(move || store.decide(&id, &taken)).await;
    decided.unwrap_or(Err(StoreError::Unknown { what: "outbox entry" }))
}

/// The document's bytes, checked against what was saved.
pub(super) async fn document(store: &Store, id: &EntryId) -> Result<Vec<u8>, StoreError> {
    let (store, id) = (store.clone(), id.clone());
    let read = tokio::task::spawn_blocking(move || store.document(&id).map(|document| document.bytes));
    read.await.unwrap_or(Err(StoreError::Unknown { what: "document" }))
}

/// Writes down what became of an entry.
pub(super) async fn note(way: &Way<'_>, entry: &OutboxEntry, result: Result<Delivered, ItemFailure>) {
    let Way { store, outlet, metrics, .. } = *way;
    let now = (way.clock)();
    let destination = outlet.to.name();
    let instance = entry.id.sop_instance.short_hash();
    match &result {
        Ok(Delivered { status }) => info!(destination, instance, %status, "document delivered"),
        Err(failure) => {
            warn!(destination, instance, reason = failure.reason, "document not delivered");
        }
    }
    let next = match &result {
        Err(failure) if failure.retry != Retry::Never => {
            outlet.backoff.next_attempt(entry.attempts.saturating_add(1), entry.enqueued_at, now)
        }
        _ => None,
    };
    metrics.delivery(match (&result, next) {
        (Ok(_), _) => DeliveryOutcome::Sent,
        (Err(_), Some(_)) => DeliveryOutcome::Failed,
        (Err(_), None) => DeliveryOutcome::GivenUp,
    });
    let (store, id, wants_commitment) = (store.clone(), entry.id.clone(), outlet.storage_commitment);
    let written = tokio::task::spawn_blocking(move || match result {
        Ok(_) if wants_commitment => store.mark_sent_to_be_committed(&id, now),
        Ok(_) => store.mark_sent(&id, now),
        Err(failure) => store.mark_failed(&id, next, &failure.reason),
    });
    match written.await {
        Ok(Ok(())) => {}
        // It is then sent again: the peer has it already and says so.
        Ok(Err(error)) => error!(%error, "the outcome of a delivery could not be written down"),
        Err(error) => error!(%error, "the outcome of a delivery could not be written down"),
    }
}

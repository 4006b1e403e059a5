//! The delivery loop: what the store's outbox holds goes to its destinations, each at its own pace.
//!
//! Nothing here is a source of truth: what is due, what was sent and what failed is in the store, durably, so that a
//! restart goes on where the last process stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Backoff, Delivered, Destination, Item, ItemFailure, Session, Source};
use crate::clock::Timestamp;
use crate::error::{Duty, Retry};
use crate::metrics::{DeliveryOutcome, Metrics};
use crate::store::{EntryId, OutboxEntry, Store, StoreError};

/// Documents of one association.
const BATCH: usize = 32;
/// The outbox is looked at this often even when nobody says that it changed: entries are made due again by hand.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A destination with its schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlet {
    /// Where to.
    pub destination: Destination,
    /// When a failed delivery is tried again.
    pub backoff: Backoff,
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
    shutdown: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    for outlet in outlets {
        let (store, changed, metrics) = (store.clone(), Arc::clone(&changed), Arc::clone(&metrics));
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(async move {
            loop {
                let woken = changed.notified();
                deliver_due(&store, &outlet, clock, &metrics).await;
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

/// Tries everything that is due for one destination once, in batches.
async fn deliver_due(store: &Store, outlet: &Outlet, clock: fn() -> Timestamp, metrics: &Metrics) {
    let title = outlet.destination.ae_title.as_str();
    let due = store.due(clock());
    let mine: Vec<OutboxEntry> = due.into_iter().filter(|entry| entry.id.destination == title).collect();
    for batch in mine.chunks(BATCH) {
        let kinds = batch.iter().map(|entry| (&entry.sop_class, &entry.transfer_syntax));
        match Session::open(&outlet.destination, kinds).await {
            Ok(session) => deliver_batch(store, outlet, clock, metrics, session, batch).await,
            Err(failure) => {
                let reason = failure.to_string();
                warn!(destination = title, n_documents = batch.len(), reason, "no association for delivery");
                let failure = ItemFailure { reason, status: None, retry: failure.retry() };
                for entry in batch {
                    note(store, outlet, clock, metrics, entry, Err(failure.clone())).await;
                }
            }
        }
    }
}

async fn deliver_batch(
    store: &Store,
    outlet: &Outlet,
    clock: fn() -> Timestamp,
    metrics: &Metrics,
    mut session: Session<TcpStream>,
    batch: &[OutboxEntry],
) {
    for entry in batch {
        let result = match document(store, &entry.id).await {
            Ok(bytes) => {
                let item = Item {
                    sop_class: entry.sop_class.clone(),
                    sop_instance: entry.id.sop_instance.clone(),
                    transfer_syntax: entry.transfer_syntax.clone(),
                    source: Source::Bytes(bytes),
                };
                session.store(&item).await
            }
            Err(failure) => Err(ItemFailure { reason: failure.to_string(), status: None, retry: failure.retry() }),
        };
        note(store, outlet, clock, metrics, entry, result).await;
    }
    session.close().await;
}

/// The document's bytes, checked against what was saved.
async fn document(store: &Store, id: &EntryId) -> Result<Vec<u8>, StoreError> {
    let (store, id) = (store.clone(), id.clone());
    let read = tokio::task::spawn_blocking(move || store.document(&id).map(|document| document.bytes));
    read.await.unwrap_or(Err(StoreError::Unknown { what: "document" }))
}

/// Writes down what became of an entry.
async fn note(
    store: &Store,
    outlet: &Outlet,
    clock: fn() -> Timestamp,
    metrics: &Metrics,
    entry: &OutboxEntry,
    result: Result<Delivered, ItemFailure>,
) {
    let now = clock();
    let destination = outlet.destination.ae_title.clone();
    let instance = entry.id.sop_instance.short_hash();
    match &result {
        Ok(Delivered { status }) => info!(%destination, instance, %status, "document delivered"),
        Err(failure) => {
            warn!(%destination, instance, reason = failure.reason, "document not delivered");
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
    let (store, id) = (store.clone(), entry.id.clone());
    let written = tokio::task::spawn_blocking(move || match result {
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

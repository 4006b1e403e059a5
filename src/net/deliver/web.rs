//! Deliveries by STOW-RS: several documents in one request, as many as its size allows.
//!
//! A server says only in its answer which classes it takes. A document that it refuses for its class goes once more in the
//! next class that the destination may get, in a request after that; which one it was is decided when the server has it.

use tracing::warn;

use super::outbox::{Telling, Way, decide, document, item_of, note, own_failure};
use super::{Delivered, Item, ItemFailure, Source};
use crate::dicom::facts::InstanceFacts;
use crate::dicom::uid::Uid;
use crate::error::Retry;
use crate::net::Status;
use crate::net::stow::{self, WebServer};
use crate::store::OutboxEntry;

/// Documents of one request.
const DOCUMENTS_MAX: usize = 32;
/// Their bytes, from which on no further document is added: they stay in memory until the answer is there.
const REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// An entry on its way, in one of its classes.
struct Offer<'a> {
    entry: &'a OutboxEntry,
    /// The entry as if the document that goes now were its own.
    now: OutboxEntry,
    /// How many of its alternatives were offered.
    n_refused: usize,
    item: Item,
    facts: Option<InstanceFacts>,
}

/// Tries everything that is due for one server once.
pub(super) async fn deliver(way: &Way<'_>, server: &WebServer, due: &[OutboxEntry]) {
    let mut telling = Telling::to(&way.outlet.to);
    let (mut offers, mut n_bytes): (Vec<Offer>, usize) = (Vec::new(), 0);
    for entry in due {
        let Some(offer) = offer(way, &telling, entry, entry.clone(), 0).await else { continue };
        n_bytes = n_bytes.saturating_add(size(&offer.item));
        offers.push(offer);
        if offers.len() >= DOCUMENTS_MAX || n_bytes >= REQUEST_BYTES {
            send(way, server, &mut telling, std::mem::take(&mut offers)).await;
            n_bytes = 0;
        }
    }
    send(way, server, &mut telling, offers).await;
    telling.end(way);
}

fn size(item: &Item) -> usize {
    match &item.source {
        Source::Bytes(bytes) => bytes.len(),
        Source::File(_) => 0,
    }
}

/// An entry with its document; nothing where that cannot be read, which is then noted.
async fn offer<'a>(
    way: &Way<'_>,
    telling: &Telling,
    entry: &'a OutboxEntry,
    now: OutboxEntry,
    n_refused: usize,
) -> Option<Offer<'a>> {
    match document(way.store, &now.id).await {
        Ok(bytes) => {
            let facts = telling.begin(way, &bytes);
            let item = item_of(&now, bytes);
            Some(Offer { entry, now, n_refused, item, facts })
        }
        Err(error) => {
            note(way, entry, Err(own_failure(&error))).await;
            None
        }
    }
}

/// Sends offers until each is delivered, or refused in every class; notes what became of them.
async fn send<'a>(way: &Way<'_>, server: &WebServer, telling: &mut Telling, mut offers: Vec<Offer<'a>>) {
    while !offers.is_empty() {
        let items: Vec<Item> = offers.iter().map(|offer| offer.item.clone()).collect();
        let results: Vec<Result<Delivered, ItemFailure>> = match stow::store(server, &items).await {
            Ok(outcomes) => outcomes.into_iter().map(|outcome| outcome.result).collect(),
            Err(error) => {
                warn!(destination = server.name, n_documents = items.len(), reason = %error, "no delivery over the Web");
                vec![Err(stow::failure(&error)); items.len()]
            }
        };
        let mut again = Vec::new();
        for (offer, result) in std::mem::take(&mut offers).into_iter().zip(results) {
            telling.count(offer.facts.as_ref(), result.is_ok());
            let other = result.as_ref().err().filter(|failure| is_about_the_class(failure));
            match other.and_then(|_| next_class(&offer)) {
                Some(now) => again.extend(self::offer(way, telling, offer.entry, now, offer.n_refused + 1).await),
                None => settle(way, &offer, result).await,
            }
        }
        offers = again;
    }
}

fn is_about_the_class(failure: &ItemFailure) -> bool {
    matches!(failure.status, Some(Status::SOP_CLASS_NOT_SUPPORTED | Status::NO_SUCH_SOP_CLASS))
}

/// The entry with its next alternative in the place of its document.
fn next_class(offer: &Offer<'_>) -> Option<OutboxEntry> {
    let other = offer.entry.alternatives.get(offer.n_refused)?;
    let mut now = offer.entry.clone();
    now.id.sop_instance = other.sop_instance.clone();
    now.sop_class = other.sop_class.clone();
    Some(now)
}

async fn settle(way: &Way<'_>, offer: &Offer<'_>, result: Result<Delivered, ItemFailure>) {
    let result = result.map_err(|failure| match is_about_the_class(&failure) {
        // As by C-STORE: whoever set the server up may still make it take the class, and the schedule has an end.
        true => ItemFailure { retry: Retry::Later, ..failure },
        false => failure,
    });
    if result.is_err() || offer.entry.alternatives.is_empty() {
        note(way, offer.entry, result).await;
        return;
    }
    let taken: Uid = offer.now.id.sop_instance.clone();
    match decide(way.store, &offer.entry.id, taken).await {
        Ok(entry) => note(way, &entry, result).await,
        // It is sent again: the server has it already and says so.
        Err(error) => note(way, offer.entry, Err(own_failure(&error))).await,
    }
}

//! Query and retrieve as a client (PS3.4 annex C): what an RTSTRUCT, SEG or REG names and did not come.
//!
//! ```text
//! wishes        what is missing, once for each reference, bounded
//! scu           C-FIND and C-MOVE at the series level of the study root, C-FIND at the study level
//! run           the loop: waits until the reference had time to come, asks, has it sent
//! completeness  how much of the study the peer has, told beside what came
//! ```
//!
//! What is retrieved comes by C-STORE like everything else. The numbers of instances that a peer says it has are hints:
//! a series that is named and here in part is asked for again as a whole, once; of the study it is told and no more.

mod completeness;
mod references;
mod scu;
mod wishes;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use scu::{QueryError, SeriesFound, count_instances, find_series, find_study, move_series};
pub(super) use wishes::Wishes;
use wishes::{About, Wish};

use super::requestor::{Destination, Timeouts};
use super::settings::{NodeSettings, Peer};
use crate::audit::{Audit, Event, Outcome, Party};
use crate::clock::{self, Timestamp};
use crate::dicom::facts::{AnnotationFacts, InstanceFacts, InstanceKind};
use crate::dicom::uid::Uid;
use crate::dicom::write::WriteError;
use crate::store::{Store, StoredInstance};

/// A peer may need this long to find a series on its slowest archive, and to send a large one.
const PATIENCE: Duration = Duration::from_secs(600);
/// Annotations that came within this time before the start are looked at again: the last process may have been stopped
/// while it waited.
const LOOK_BACK: Duration = Duration::from_secs(24 * 3_600);

/// What an object names, if it is one that names others.
pub(super) fn annotation(facts: &InstanceFacts) -> Option<&AnnotationFacts> {
    match &facts.kind {
        InstanceKind::StructureSet(named) | InstanceKind::Segmentation(named) | InstanceKind::Registration(named) => {
            Some(named).filter(|named| !named.references.is_empty() && !facts.own_product)
        }
        InstanceKind::Image { .. } | InstanceKind::Other => None,
    }
}

/// Asks for what is missing until the shutdown. `settings` are asked for anew each time: they may be read again.
pub(super) async fn run(
    store: Store,
    settings: impl Fn() -> std::sync::Arc<NodeSettings>,
    wishes: &Wishes,
    audit: &Audit,
    shutdown: CancellationToken,
) {
    if settings().peers.iter().any(|peer| peer.retrieve) {
        look_back(&store, wishes, settings().retrieve_after).await;
    }
    while let Some(Some(wish)) = shutdown.run_until_cancelled(async { Some(wishes.next().await) }).await {
        let settings = settings();
        let granted = async {
            match &wish.about {
                About::Series(series) => fulfil(&store, &settings, audit, &wish, series).await,
                About::Studies => completeness::compare(&store, &settings, audit, wishes, &wish).await,
            }
        };
        if shutdown.run_until_cancelled(granted).await.is_none() {
            return;
        }
    }
}

async fn look_back(store: &Store, wishes: &Wishes, after: Duration) {
    let since = clock::now().checked_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
    let from = store.clone();
    let found = tokio::task::spawn_blocking(move || {
        let mut found: Vec<StoredInstance> = Vec::new();
        let outcome = from.for_each_instance(&mut |instance| {
            if instance.received_at >= since && annotation(&instance.facts).is_some() {
                found.push(instance);
            }
        });
        outcome.map(|()| found)
    });
    match found.await {
        Ok(Ok(found)) => found.iter().for_each(|instance| wishes.add(&instance.facts, &instance.calling_ae, after)),
        Ok(Err(error)) => warn!(%error, "the references of stored objects could not be looked at"),
        Err(_) => warn!("the references of stored objects could not be looked at"),
    }
}

/// Asks the peers, the sender first, until one of them has it and sends it.
async fn fulfil(store: &Store, settings: &NodeSettings, audit: &Audit, wish: &Wish, series: &Uid) {
    let Some(missing) = missing(store, wish, series).await else { return };
    let series = missing.series.short_hash();
    for peer in asked_peers(settings, wish) {
        let Some(destination) = destination(settings, peer) else { continue };
        let found = find_series(&destination, &missing.study, &missing.series).await;
        let keys = scu::series_keys(&missing.study, &missing.series, &scu::explicit());
        tell(audit, &destination, keys, found.as_ref().err());
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                warn!(peer = %peer.ae_title, series, reason = %error, "a series that is named could not be asked for");
                continue;
            }
        };
        let Some(found) = found.into_iter().find(|found| found.series == missing.series) else {
            info!(peer = %peer.ae_title, series, "a series that is named is not there");
            continue;
        };
        let n_there = match found.n_instances {
            None if missing.n_here > 0 => count_instances(&destination, &missing.study, &missing.series).await.ok(),
            said => said,
        };
        if n_there.is_some_and(|n_there| n_there <= missing.n_here) {
            return;
        }
        match move_series(&destination, &missing.study, &missing.series, &settings.ae_title).await {
            Ok(counts) => {
                let (n_completed, n_failed) = (counts.n_completed.unwrap_or(0), counts.n_failed.unwrap_or(0));
                info!(peer = %peer.ae_title, series, n_completed, n_failed, "a series that was missing was sent");
                return;
            }
            Err(error) => {
                warn!(peer = %peer.ae_title, series, reason = %error, "a series that is named was not sent");
            }
        }
    }
}

/// The peers that may be asked, who sent the object first.
fn asked_peers<'a>(settings: &'a NodeSettings, wish: &Wish) -> Vec<&'a Peer> {
    let mut peers: Vec<&Peer> = settings.peers.iter().filter(|peer| peer.retrieve).collect();
    peers.sort_by_key(|peer| peer.ae_title.as_str() != wish.sender);
    peers
}

/// A series that is named, with what is here of it.
struct Missing {
    study: Uid,
    series: Uid,
    n_here: u64,
}

/// Where the series is by its object's own words, and how much of it is here.
async fn missing(store: &Store, wish: &Wish, series: &Uid) -> Option<Missing> {
    let (store, instance, series) = (store.clone(), wish.instance.clone(), series.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let here = store.instances_of_series(&series)?;
        let study = store.instance(&instance)?.map(|object| {
            let named = references::study_of(&object.path, &series);
            named.unwrap_or(object.facts.study)
        });
        Ok::<_, crate::store::StoreError>(study.map(|study| Missing {
            study: here.first().map_or(study, |first| first.facts.study.clone()),
            series,
            n_here: here.len() as u64,
        }))
    });
    match looked.await {
        Ok(Ok(missing)) => missing,
        Ok(Err(error)) => {
            warn!(%error, "a reference could not be looked at");
            None
        }
        Err(_) => None,
    }
}

fn destination(settings: &NodeSettings, peer: &Peer) -> Option<Destination> {
    Some(Destination {
        ae_title: peer.ae_title.clone(),
        address: peer.address.clone()?,
        calling_ae_title: settings.ae_title.clone(),
        timeouts: Timeouts { response: PATIENCE, ..Timeouts::default() },
        tls: peer.tls.clone(),
    })
}

fn tell(audit: &Audit, to: &Destination, keys: Result<Vec<u8>, WriteError>, failure: Option<&QueryError>) {
    let event = Event::Query {
        peer: Party::of_destination(to.ae_title.as_str(), &to.address),
        sop_class: scu::FIND.to_owned(),
        query: keys.unwrap_or_default(),
        transfer_syntax: scu::explicit().to_string(),
        outcome: failure.map_or(Outcome::Success, |error| Outcome::MinorFailure(error.to_string())),
    };
    audit.record(&event, clock::now());
}

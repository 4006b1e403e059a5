//! How much of a study a peer has: a hint beside what came, asked once for each object that names something.
//!
//! It is told in the log and beside the cases of the study. Nothing waits for it and nothing is retrieved by it: a study
//! has series that nobody routes here, and what came may be from elsewhere.

use std::collections::BTreeSet;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Wish, Wishes, asked_peers, destination, references, scu, tell};
use crate::audit::Audit;
use crate::clock;
use crate::dicom::uid::Uid;
use crate::net::settings::NodeSettings;
use crate::store::{Holding, Store, StoreError};

/// Studies that one object may have asked about: its own, and those that hold what it names.
const STUDIES_MAX: usize = 16;

/// Asks the peers, the sender first, until one of them says how much it has of each study that the object has to do with.
pub(super) async fn compare(store: &Store, settings: &NodeSettings, audit: &Audit, wishes: &Wishes, wish: &Wish) {
    for study in studies(store, wish).await {
        if wishes.may_ask_about(&study, Instant::now()) {
            ask(store, settings, audit, wish, &study).await;
        }
    }
}

async fn ask(store: &Store, settings: &NodeSettings, audit: &Audit, wish: &Wish, study: &Uid) {
    let hash = study.short_hash();
    for peer in asked_peers(settings, wish) {
        let Some(destination) = destination(settings, peer) else { continue };
        let found = scu::find_study(&destination, study).await;
        let keys = scu::study_keys(study, &scu::explicit());
        tell(audit, &destination, keys, found.as_ref().err());
        match found {
            Ok(Some(n_there)) => {
                note(
                    store,
                    study,
                    Holding { peer: peer.ae_title.to_string(), n_instances: n_there, said_at: clock::now() },
                )
                .await;
                return;
            }
            Ok(None) => debug!(peer = %peer.ae_title, study = hash, "it does not say how much it has of a study"),
            Err(error) => {
                info!(peer = %peer.ae_title, study = hash, reason = %error, "how much there is of a study was not told");
            }
        }
    }
}

async fn note(store: &Store, study: &Uid, there: Holding) {
    let (into, about) = (store.clone(), study.clone());
    let counted = tokio::task::spawn_blocking(move || {
        let n_received = into.n_instances_of_study(&about)?;
        info!(
            peer = there.peer,
            study = about.short_hash(),
            n_there = there.n_instances,
            n_received,
            "instances of a study"
        );
        into.note_holding(&about, there);
        Ok::<_, StoreError>(())
    });
    match counted.await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => warn!(%error, "the instances of a study could not be counted"),
    }
}

/// The study of the object, and those of the series that it names.
async fn studies(store: &Store, wish: &Wish) -> BTreeSet<Uid> {
    let (store, instance) = (store.clone(), wish.instance.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let Some(object) = store.instance(&instance)? else { return Ok(BTreeSet::new()) };
        let named = super::annotation(&object.facts).map(|named| named.references.as_slice()).unwrap_or_default();
        let mut studies = BTreeSet::from([object.facts.study.clone()]);
        for series in named {
            if STUDIES_MAX <= studies.len() {
                break;
            }
            let here = store.instances_of_series(series)?;
            let here = here.first().map(|first| first.facts.study.clone());
            studies.extend(here.or_else(|| references::study_of(&object.path, series)));
        }
        Ok::<_, StoreError>(studies)
    });
    match looked.await {
        Ok(Ok(studies)) => studies,
        Ok(Err(error)) => {
            warn!(%error, "a reference could not be looked at");
            BTreeSet::new()
        }
        Err(_) => BTreeSet::new(),
    }
}

//! From saved results to destinations: which documents are made, which of them each destination gets, and the loop that
//! sends them.

use std::sync::Arc;

use dicom_dictionary_std::uids;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::now;
use super::settings::{self, Live};
use crate::audit::Audit;
use crate::case::CaseId;
use crate::clock;
use crate::config::{Config, Destination};
use crate::dicom::sr::SrClass;
use crate::dicom::uid::Uid;
use crate::metrics::Metrics;
use crate::net::deliver;
use crate::report::{DocumentKind, DocumentReference, Wanted};
use crate::store::{Store, StoreError};

/// What the destinations of a configuration take between them; the usual documents where there is none.
#[must_use]
pub fn wanted(config: &Config) -> Wanted {
    if config.destinations.is_empty() {
        return Wanted::default();
    }
    let mut wanted = Wanted { kinds: Vec::new(), sr_classes: Vec::new() };
    for destination in &config.destinations {
        add_new(&mut wanted.kinds, &destination.send);
        if destination.send.contains(&DocumentKind::Sr) {
            add_new(&mut wanted.sr_classes, &destination.sr_classes);
        }
    }
    wanted
}

fn add_new<T: PartialEq + Copy>(to: &mut Vec<T>, from: &[T]) {
    for item in from {
        if !to.contains(item) {
            to.push(*item);
        }
    }
}

/// Puts a saved revision into the outbox of every destination.
///
/// # Errors
/// When the revision is not saved or the outbox cannot be written.
pub(super) async fn hand_over(store: &Store, config: &Config, case: &CaseId, revision: u32) -> Result<(), StoreError> {
    for destination in &config.destinations {
        let class = sr_class(destination).await;
        let (store, case, destination) = (store.clone(), case.clone(), destination.clone());
        let put = tokio::task::spawn_blocking(move || {
            let saved = store.result(&case, revision)?.ok_or(StoreError::Unknown { what: "result" })?;
            let documents: Vec<Uid> = saved
                .documents
                .iter()
                .map(|document| &document.reference)
                .filter(|document| goes_to(document, &destination, class))
                .map(|document| document.sop_instance.clone())
                .collect();
            store.enqueue(&case, revision, destination.ae_title.as_str(), &documents, now())
        });
        put.await.unwrap_or(Err(StoreError::Unknown { what: "result" }))?;
    }
    Ok(())
}

/// Whether a destination gets a document. A report is made in several classes; each destination gets one of them.
fn goes_to(document: &DocumentReference, destination: &Destination, class: SrClass) -> bool {
    destination.send.contains(&document.kind)
        && (document.kind != DocumentKind::Sr || document.sop_class.as_str() == class.sop_class())
}

/// The first class, in the destination's order of preference, that it accepts; the first of all where it cannot be asked.
async fn sr_class(destination: &Destination) -> SrClass {
    let preferred = destination.sr_classes.first().copied().unwrap_or(SrClass::Comprehensive3d);
    if destination.sr_classes.len() < 2 {
        return preferred;
    }
    let Ok(outlet) = settings::outlet(destination) else { return preferred };
    let known = |uid: &str| Uid::parse(uid).ok();
    let classes: Vec<Uid> = destination.sr_classes.iter().filter_map(|class| known(class.sop_class())).collect();
    let syntaxes: Vec<Uid> = known(uids::EXPLICIT_VR_LITTLE_ENDIAN).into_iter().collect();
    match deliver::accepts(&outlet.destination, &classes, &syntaxes).await {
        Ok(accepted) => destination
            .sr_classes
            .iter()
            .copied()
            .find(|class| accepted.iter().any(|uid| uid.as_str() == class.sop_class()))
            .unwrap_or(preferred),
        Err(error) => {
            info!(destination = %destination.ae_title, %error, "the destination could not be asked for its SR classes");
            preferred
        }
    }
}

/// Delivers what is due until `stop`; begins again with other destinations when the configuration changes.
pub(super) async fn deliver(
    store: Store,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    audit: Audit,
    outbox_changed: Arc<Notify>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let reloaded = live.changed.notified();
        let outlets = match settings::outlets(&live.config()) {
            Ok(outlets) => outlets,
            Err(error) => {
                // Checked before it came into force.
                error!(%error, "no destination can be used");
                Vec::new()
            }
        };
        let round = stop.child_token();
        let running = deliver::run(
            store.clone(),
            outlets,
            clock::now,
            Arc::clone(&outbox_changed),
            Arc::clone(&metrics),
            audit.clone(),
            round.clone(),
        );
        let running = tokio::spawn(running);
        tokio::select! {
            () = stop.cancelled() => {}
            () = reloaded => {}
        }
        round.cancel();
        let _ = running.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(destinations: &str) -> Config {
        Config::from_toml(&format!("[storage]\ndirectory = \"/tmp/x\"\n{destinations}"), "test.toml").unwrap()
    }

    #[test]
    fn documents_are_made_for_all_destinations_together() {
        let both = config(
            "[[destination]]\nae_title = \"A\"\naddress = \"h:1\"\nsend = [\"sr\"]\nsr_classes = [\"enhanced\"]\n\
             [[destination]]\nae_title = \"B\"\naddress = \"h:1\"\nsend = [\"seg\", \"sr\"]\nsr_classes = [\"comprehensive\", \"enhanced\"]\n",
        );
        let wanted = wanted(&both);
        assert_eq!(wanted.kinds, [DocumentKind::Sr, DocumentKind::Seg]);
        assert_eq!(wanted.sr_classes, [SrClass::Enhanced, SrClass::Comprehensive]);
        assert_eq!(super::wanted(&config("")), Wanted::default());
    }

    #[test]
    fn a_destination_gets_each_report_in_one_class_only() {
        let config = config("[[destination]]\nae_title = \"A\"\naddress = \"h:1\"\n");
        let destination = &config.destinations[0];
        let document = |kind, class: &str| DocumentReference {
            kind,
            name: "x".to_owned(),
            study: Uid::derived(&["study"]),
            series: Uid::derived(&["series"]),
            sop_class: Uid::parse(class).unwrap(),
            sop_instance: Uid::derived(&["instance"]),
        };
        let report = |class: SrClass| document(DocumentKind::Sr, class.sop_class());
        assert!(goes_to(&report(SrClass::Comprehensive), destination, SrClass::Comprehensive));
        assert!(!goes_to(&report(SrClass::Enhanced), destination, SrClass::Comprehensive));
        assert!(goes_to(&document(DocumentKind::Seg, uids::SEGMENTATION_STORAGE), destination, SrClass::Enhanced));
        assert!(!goes_to(
            &document(DocumentKind::Reg, uids::SPATIAL_REGISTRATION_STORAGE),
            destination,
            SrClass::Enhanced
        ));
    }
}

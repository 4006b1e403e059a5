//! From saved results to destinations: which documents are made, which of them each destination gets, and the loop that
//! sends them.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::error;

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
use crate::report::{DocumentKind, DocumentReference, KeySelection, Wanted};
use crate::store::{Store, StoreError};

/// What the destinations of a configuration take between them; the usual documents where there is none.
#[must_use]
pub fn wanted(config: &Config) -> Wanted {
    if config.destinations.is_empty() {
        return Wanted::default();
    }
    let mut wanted = Wanted { kinds: Vec::new(), sr_classes: Vec::new(), key_objects: Vec::new() };
    for destination in &config.destinations {
        add_new(&mut wanted.kinds, &destination.send);
        if destination.send.contains(&DocumentKind::Sr) {
            add_new(&mut wanted.sr_classes, &destination.sr_classes);
        }
        add_new(&mut wanted.key_objects, &selection(destination).into_iter().collect::<Vec<_>>());
    }
    wanted
}

fn add_new<T: PartialEq + Clone>(to: &mut Vec<T>, from: &[T]) {
    for item in from {
        if !to.contains(item) {
            to.push(item.clone());
        }
    }
}

/// The key objects of a destination that takes any. With reports it takes them in one class: the configuration sees to it.
fn selection(destination: &Destination) -> Option<KeySelection> {
    let takes = destination.send.contains(&DocumentKind::KeyObjects);
    takes.then(|| KeySelection::new(&destination.send, destination.sr_classes.first().copied()))
}

/// Puts a saved revision into the outbox of every destination.
///
/// # Errors
/// When the revision is not saved or the outbox cannot be written.
pub(super) async fn hand_over(store: &Store, config: &Config, case: &CaseId, revision: u32) -> Result<(), StoreError> {
    for destination in &config.destinations {
        let (store, case, destination) = (store.clone(), case.clone(), destination.clone());
        let put = tokio::task::spawn_blocking(move || {
            let saved = store.result(&case, revision)?.ok_or(StoreError::Unknown { what: "result" })?;
            let choices = choices(saved.documents.iter().map(|document| &document.reference), &destination);
            let choices: Vec<&[Uid]> = choices.iter().map(Vec::as_slice).collect();
            store.enqueue_one_of_each(&case, revision, destination.name(), &choices, now())
        });
        put.await.unwrap_or(Err(StoreError::Unknown { what: "result" }))?;
    }
    Ok(())
}

/// What a destination gets of a revision's documents: each of the kinds that it wants, and of a report that is made in several
/// classes those that it may take, in its order of preference.
fn choices<'a>(documents: impl Iterator<Item = &'a DocumentReference>, destination: &Destination) -> Vec<Vec<Uid>> {
    let wanted: Vec<_> = documents.filter(|document| destination.send.contains(&document.kind)).collect();
    let others = wanted.iter().filter(|document| !matches!(document.kind, DocumentKind::Sr | DocumentKind::KeyObjects));
    let mut choices: Vec<Vec<Uid>> = others.map(|document| vec![document.sop_instance.clone()]).collect();
    let of_class = |class: &SrClass| -> Vec<Uid> {
        let is_of = |document: &&DocumentReference| {
            document.kind == DocumentKind::Sr && document.sop_class.as_str() == class.sop_class()
        };
        wanted.iter().copied().filter(is_of).map(|document| document.sop_instance.clone()).collect()
    };
    // Each report is made in every class, in the same order.
    let classes: Vec<Vec<Uid>> = destination.sr_classes.iter().map(of_class).collect();
    let n_reports = classes.iter().map(Vec::len).max().unwrap_or(0);
    choices.extend((0..n_reports).map(|n| classes.iter().filter_map(|class| class.get(n).cloned()).collect()));
    // Last what says that all the rest is there: its own, not those of other destinations.
    let own = selection(destination);
    let is_own = |document: &&&DocumentReference| own.as_ref().is_some_and(|own| own.is_named(&document.name));
    let selections = wanted.iter().filter(|document| document.kind == DocumentKind::KeyObjects).filter(is_own);
    choices.extend(selections.map(|document| vec![document.sop_instance.clone()]));
    choices
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
    fn a_destination_gets_its_own_key_objects_last() {
        let config = config(
            "[[destination]]\nae_title = \"A\"\naddress = \"h:1\"\nsend = [\"key-objects\", \"seg\"]\n\
             [[destination]]\nae_title = \"B\"\naddress = \"h:1\"\nsend = [\"pdf\", \"seg\", \"key-objects\"]\n",
        );
        let wanted = wanted(&config);
        let names: Vec<String> = wanted.key_objects.iter().map(KeySelection::name).collect();
        assert_eq!(names, ["key-objects-seg", "key-objects-seg-pdf"]);
        let document = |kind, name: &str| DocumentReference {
            kind,
            name: name.to_owned(),
            study: Uid::derived(&["study"]),
            series: Uid::derived(&["series"]),
            sop_class: Uid::derived(&["class"]),
            sop_instance: Uid::derived(&[name]),
        };
        let mut all: Vec<_> = names.iter().map(|name| document(DocumentKind::KeyObjects, name)).collect();
        all.push(document(DocumentKind::KeyObjects, "key-objects-seg-study-2"));
        all.push(document(DocumentKind::Seg, "seg-CT"));
        let expected = ["seg-CT", "key-objects-seg", "key-objects-seg-study-2"].map(|name| vec![Uid::derived(&[name])]);
        assert_eq!(choices(all.iter(), &config.destinations[0]), expected);
    }

    #[test]
    fn a_destination_gets_each_report_in_one_class_only() {
        let config = config("[[destination]]\nae_title = \"A\"\naddress = \"h:1\"\n");
        let destination = &config.destinations[0];
        let document = |kind, class: &str, number: &str| DocumentReference {
            kind,
            name: "x".to_owned(),
            study: Uid::derived(&["study"]),
            series: Uid::derived(&["series"]),
            sop_class: Uid::parse(class).unwrap(),
            sop_instance: Uid::derived(&[class, number]),
        };
        let report = |class: SrClass, number| document(DocumentKind::Sr, class.sop_class(), number);
        let [seg, reg] = [(DocumentKind::Seg, "1.2.66.4"), (DocumentKind::Reg, "1.2.66.1")];
        let mut all = vec![document(seg.0, seg.1, "1"), document(reg.0, reg.1, "1")];
        for number in ["1", "2"] {
            all.extend(
                [SrClass::Enhanced, SrClass::Comprehensive, SrClass::Comprehensive3d].map(|c| report(c, number)),
            );
        }
        let reports = |number: &'static str| -> Vec<Uid> {
            destination.sr_classes.iter().map(|class| report(*class, number).sop_instance).collect()
        };
        assert_eq!(destination.sr_classes.first(), Some(&SrClass::Comprehensive3d));
        assert_eq!(choices(all.iter(), destination), [vec![all[0].sop_instance.clone()], reports("1"), reports("2")]);
    }
}

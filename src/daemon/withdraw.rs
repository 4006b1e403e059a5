//! Withdrawal: what somebody rejected goes out of the store, the cases and the cohort, and its results are taken back.
//!
//! A rejection is a key object selection (IHE IOCM), from a PACS or written by `radiomicsd reject`, and is stored like any
//! object: at each start all of them are applied again, so that what was cut off is finished and what comes again stays
//! out. Results are taken back by a rejection note of our own to every destination that has them.

use std::collections::BTreeMap;

use dicom_object::InMemDicomObject;
use tracing::{error, info, warn};

use super::correct;
use super::installation::installation;
use super::now;
use crate::audit::{Audit, Event, Party, PatientObjects, SopClassCount, StudyObjects};
use crate::case::{CaseId, CaseSpec};
use crate::dicom::facts;
use crate::dicom::part10::{Keep, Part10};
use crate::dicom::rejection::{self, RejectionNote, RejectionReason};
use crate::dicom::uid::Uid;
use crate::report::{Document, Rejected, Rejecting, rejection_note};
use crate::store::{
    CaseRecord, CaseState, DeliveryState, Origin, OutboxEntry, Store, StoreError, StoredInstance, Withdrawn,
};
use crate::table::Cohort;

/// A rejection note that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejection {
    pub note: RejectionNote,
    /// AE title of who sent it.
    pub sender: String,
}

/// Reads a stored key object; nothing where it rejects nothing.
pub(super) fn read(instance: &StoredInstance) -> Option<Rejection> {
    if !rejection::may_reject(&instance.facts.sop_class) {
        return None;
    }
    match Part10::open(&instance.path, Keep::All) {
        Ok(file) => rejection::read(&file.object).map(|note| Rejection { note, sender: instance.calling_ae.clone() }),
        Err(error) => {
            warn!(%error, "a key object cannot be read");
            None
        }
    }
}

/// Takes what a note names out of the store, and keeps it out.
pub(super) fn take_out(store: &Store, rejection: &Rejection, audit: &Audit) -> Result<Withdrawn, StoreError> {
    let RejectionNote { reason, instances } = &rejection.note;
    if !reason.may_come_back() {
        store.refuse(instances);
    }
    let withdrawn = store.withdraw(instances)?;
    if !withdrawn.instances.is_empty() {
        let (n_named, n_instances) = (instances.len(), withdrawn.instances.len());
        info!(sender = rejection.sender, reason = reason.sentence(), n_named, n_instances, "instances withdrawn");
        tell(audit, rejection, &withdrawn.instances);
    }
    Ok(withdrawn)
}

/// Applies every stored note again, as at each start.
pub(super) fn again(store: &Store, audit: &Audit) -> Result<(), StoreError> {
    let mut notes = Vec::new();
    store.for_each_instance(&mut |instance| notes.extend(read(&instance)))?;
    for rejection in &notes {
        let withdrawn = take_out(store, rejection, audit)?;
        if withdrawn.instances.is_empty() {
            continue;
        }
        for record in supersede_all(store, &withdrawn, rejection.note.reason)? {
            store.put_case(&CaseRecord { updated_at: now(), ..record })?;
        }
    }
    Ok(())
}

/// Every case that is made of something that was withdrawn, as it is after that.
pub(super) fn supersede_all(
    store: &Store,
    withdrawn: &Withdrawn,
    reason: RejectionReason,
) -> Result<Vec<CaseRecord>, StoreError> {
    let made_of = correct::cases_made_of(store, withdrawn.instances.iter().map(|instance| &instance.facts))?;
    made_of.into_iter().map(|record| supersede(store, record, reason)).collect()
}

/// Takes the case out of the cohort, and its results back: the case as it is after that.
pub(super) fn supersede(
    store: &Store,
    mut record: CaseRecord,
    reason: RejectionReason,
) -> Result<CaseRecord, StoreError> {
    let id = record.id.clone();
    if let Err(error) = Cohort::of_storage(store.directory()).remove(&id.0) {
        error!(case = %id.0, %error, "a case could not be taken out of the cohort");
    }
    for revision in (1..=record.revision).rev() {
        if take_back(store, &id, revision, reason)? {
            break;
        }
    }
    record.lapsed = true;
    if !record.state.is_open() {
        record.state = CaseState::Parked;
        record.reason = format!("an input was withdrawn: {}", reason.sentence());
    }
    Ok(record)
}

/// The case whose only result is the note that takes a revision of another back.
fn case_of_note(case: &CaseId) -> CaseId {
    CaseId(format!("{}-withdrawn", case.0))
}

/// Sends a note about the documents of a revision to everyone who has them, or will; whether there was such a revision.
fn take_back(store: &Store, case: &CaseId, revision: u32, reason: RejectionReason) -> Result<bool, StoreError> {
    let Some(saved) = store.result(case, revision)? else { return Ok(false) };
    let entries = store.deliveries(case, revision)?;
    let out: Vec<&OutboxEntry> = entries.iter().filter(|entry| entry.state != DeliveryState::GivenUp).collect();
    let mut destinations: Vec<&str> = out.iter().map(|entry| entry.id.destination.as_str()).collect();
    destinations.sort_unstable();
    destinations.dedup();
    let Some(first) = saved.documents.first() else { return Ok(true) };
    if destinations.is_empty() {
        return Ok(true);
    }
    let header = first.read().ok().and_then(|document| header(&document.bytes));
    let Some(header) = header else {
        warn!(case = %case.0, revision, "a result cannot be read: it is not taken back");
        return Ok(true);
    };
    let installation = installation(store.directory()).unwrap_or_default();
    let rejecting = rejecting(&installation, reason);
    let rejected: Vec<Rejected> = saved
        .documents
        .iter()
        // A report is made in several classes: nobody has to hear of those that nobody got.
        .filter(|document| out.iter().any(|entry| entry.id.sop_instance == document.reference.sop_instance))
        .map(|document| Rejected {
            series: document.reference.series.clone(),
            sop_class: document.reference.sop_class.clone(),
            sop_instance: document.reference.sop_instance.clone(),
        })
        .collect();
    let note = match rejection_note(&rejecting, &header, &first.reference.study, &rejected) {
        Ok(note) => note,
        Err(error) => {
            error!(case = %case.0, revision, %error, "no rejection note could be made");
            return Ok(true);
        }
    };
    let id = case_of_note(case);
    store.save_result(&id, revision, std::slice::from_ref(&note), b"", b"{}")?;
    for destination in destinations {
        store.enqueue(&id, revision, destination, std::slice::from_ref(&note.sop_instance), now())?;
    }
    info!(case = %case.0, revision, n_documents = rejected.len(), "results are taken back");
    Ok(true)
}

fn header(bytes: &[u8]) -> Option<InMemDicomObject> {
    crate::dicom::part10::header_of(bytes, Keep::Facts).ok().map(|(object, _)| object)
}

fn tell(audit: &Audit, rejection: &Rejection, instances: &[StoredInstance]) {
    for objects in objects_of(instances) {
        let requestor = Party::Peer { ae_title: rejection.sender.clone(), address: String::new() };
        audit.record(&Event::Deleted { requestor: Some(requestor), objects }, now());
    }
}

/// What was removed, by patient and study.
fn objects_of(instances: &[StoredInstance]) -> Vec<PatientObjects> {
    let mut patients: Vec<PatientObjects> = Vec::new();
    for instance in instances {
        let facts = &instance.facts;
        let patient = entry(
            &mut patients,
            |known| known.patient_id == facts.patient.id,
            || PatientObjects { patient_id: facts.patient.id.clone(), studies: Vec::new() },
        );
        let Some(patient) = patient else { continue };
        let study = entry(
            &mut patient.studies,
            |known| known.study == facts.study.as_str(),
            || StudyObjects { study: facts.study.to_string(), sop_classes: Vec::new() },
        );
        let Some(study) = study else { continue };
        let class = entry(
            &mut study.sop_classes,
            |known| known.sop_class == facts.sop_class.as_str(),
            || SopClassCount { sop_class: facts.sop_class.to_string(), n_instances: 0 },
        );
        if let Some(class) = class {
            class.n_instances += 1;
        }
    }
    patients
}

fn entry<T>(of: &mut Vec<T>, is: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> Option<&mut T> {
    let place = of.iter().position(is).unwrap_or_else(|| {
        of.push(new());
        of.len() - 1
    });
    of.get_mut(place)
}

/// Stores the rejection notes that an administrator's word makes, one for each study of what it names: UIDs of instances
/// and series, and ids of cases. What is not known is left out.
pub(super) fn store_notes(
    store: &Store,
    our_title: &str,
    names: &[String],
    reason: RejectionReason,
) -> Result<Vec<Rejection>, StoreError> {
    let mut by_study: BTreeMap<Uid, BTreeMap<Uid, StoredInstance>> = BTreeMap::new();
    for name in names {
        for instance in named(store, name)? {
            let study = by_study.entry(instance.facts.study.clone()).or_default();
            study.insert(instance.facts.sop_instance.clone(), instance);
        }
    }
    let installation = installation(store.directory()).unwrap_or_default();
    let rejecting = rejecting(&installation, reason);
    let mut rejections = Vec::new();
    for (study, instances) in by_study {
        let header = instances.values().next().and_then(|first| Part10::open(&first.path, Keep::Facts).ok());
        let Some(header) = header else { continue };
        let rejected: Vec<Rejected> = instances
            .values()
            .map(|instance| Rejected {
                series: instance.facts.series.clone(),
                sop_class: instance.facts.sop_class.clone(),
                sop_instance: instance.facts.sop_instance.clone(),
            })
            .collect();
        match rejection_note(&rejecting, &header.object, &study, &rejected) {
            Ok(note) => {
                keep(store, our_title, &note)?;
                let instances = rejected.into_iter().map(|instance| instance.sop_instance).collect();
                rejections.push(Rejection { note: RejectionNote { reason, instances }, sender: our_title.to_owned() });
            }
            Err(error) => error!(%error, "no rejection note could be made"),
        }
    }
    Ok(rejections)
}

fn named(store: &Store, name: &str) -> Result<Vec<StoredInstance>, StoreError> {
    let mut found = Vec::new();
    if let Some(record) = store.case(&CaseId(name.to_owned()))? {
        for uid in record.spec.iter().flat_map(CaseSpec::instances) {
            found.extend(store.instance(uid)?);
        }
    } else if let Ok(uid) = Uid::parse(name) {
        found.extend(store.instance(&uid)?);
        found.extend(store.instances_of_series(&uid)?);
    }
    Ok(found)
}

/// Stores a document of our own like one that was received.
fn keep(store: &Store, our_title: &str, document: &Document) -> Result<(), StoreError> {
    let Ok(facts) = facts::from_bytes(&document.bytes, &[]) else {
        return Err(StoreError::Unknown { what: "document" });
    };
    let meta_bytes =
        document.bytes.get(140..144).and_then(|length| length.try_into().ok()).map_or(0, u32::from_le_bytes);
    let offset = 144 + usize::try_from(meta_bytes).unwrap_or(0);
    let (meta, data_set) = document.bytes.split_at_checked(offset).ok_or(StoreError::Unknown { what: "document" })?;
    let mut incoming = store.begin()?;
    incoming.write_meta(meta)?;
    incoming.write(data_set)?;
    incoming
        .commit(facts, Origin { calling_ae: our_title.to_owned(), received_at: now(), may_correct: false })
        .map(drop)
}

fn rejecting(installation: &str, reason: RejectionReason) -> Rejecting<'_> {
    let utc_offset_s = jiff::tz::TimeZone::system().to_offset(now()).seconds();
    Rejecting { reason, installation, at: now(), utc_offset_s }
}

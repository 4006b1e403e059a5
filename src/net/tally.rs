//! What one association moved, for the audit: by patient, study and SOP class.

use std::collections::BTreeMap;

use crate::audit::{Audit, Event, Outcome, Party, PatientObjects, SopClassCount, StudyObjects, Transfer};
use crate::clock::Timestamp;
use crate::dicom::facts::InstanceFacts;

/// Studies that are counted before they are told: an association may bring any number of them.
const STUDIES_MAX: usize = 64;

/// Instances by patient and study, then by SOP class.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<(String, String), BTreeMap<String, u64>>);

impl Tally {
    /// Of one instance.
    pub(super) fn of(facts: &InstanceFacts) -> Self {
        let mut tally = Self::default();
        tally.add(facts);
        tally
    }

    /// Counts an instance.
    pub(super) fn add(&mut self, facts: &InstanceFacts) {
        let study = self.0.entry((facts.patient.id.clone(), facts.study.to_string())).or_default();
        *study.entry(facts.sop_class.to_string()).or_default() += 1;
    }

    /// Whether it is time to tell.
    pub(super) fn is_full(&self) -> bool {
        STUDIES_MAX <= self.0.len()
    }

    /// Tells what moved between us and the peer, one message for each patient, and begins anew.
    pub(super) fn tell(&mut self, audit: &Audit, peer: &Party, at: Timestamp, told: Told) {
        let mut patients: BTreeMap<String, Vec<StudyObjects>> = BTreeMap::new();
        for ((patient_id, study), classes) in std::mem::take(&mut self.0) {
            let sop_classes =
                classes.into_iter().map(|(sop_class, n_instances)| SopClassCount { sop_class, n_instances }).collect();
            patients.entry(patient_id).or_default().push(StudyObjects { study, sop_classes });
        }
        for (patient_id, studies) in patients {
            let (from, to) = match told {
                Told::Received => (peer.clone(), Party::Ourselves),
                Told::Begin | Told::Sent | Told::NotSent => (Party::Ourselves, peer.clone()),
            };
            let outcome = match told {
                Told::NotSent => Outcome::MinorFailure("not stored by the destination".to_owned()),
                Told::Received | Told::Begin | Told::Sent => Outcome::Success,
            };
            let objects = PatientObjects { patient_id, studies };
            let transfer = Transfer { from, to, is_requested_by_sender: true, objects, outcome };
            let event =
                if told == Told::Begin { Event::BeginTransferring(transfer) } else { Event::Transferred(transfer) };
            audit.record(&event, at);
        }
    }
}

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The peer sent it, and it is stored.
    Received,
    /// We begin to send it.
    Begin,
    /// The peer has it.
    Sent,
    /// The peer does not have it.
    NotSent,
}

//! One DICOM study: its series, whose it is, and when something came for it.

use std::collections::BTreeMap;

use super::CaseId;
use super::id::digest;
use super::identity::Owner;
use super::patients::Place;
use super::rules::CaseSettings;
use super::series::{Added, Series};
use crate::clock::Timestamp;
use crate::dicom::facts::InstanceFacts;
use crate::dicom::uid::Uid;

/// A study.
#[derive(Debug)]
pub(super) struct Study {
    /// Names it in sums over studies.
    pub key: u64,
    /// Its series, by UID.
    pub series: BTreeMap<Uid, Series>,
    /// Whose it is, and of which day.
    pub place: Place,
    /// When its first instance came.
    pub first_received_at: Timestamp,
    /// When its last instance came.
    pub last_received_at: Timestamp,
    /// Since when instances come without a pause of `case_settle`.
    pub busy_since: Timestamp,
    /// Counts what came and what went.
    pub n_changes: u64,
    /// The number of the last arrival: each one has a greater number than all before it, in any study.
    pub arrival: u64,
    /// The cases that were seen in it, of any protocol.
    pub cases: Vec<CaseId>,
    /// When it is looked at again.
    pub alarm: Option<Timestamp>,
}

impl Study {
    pub(super) fn new(uid: &Uid, received_at: Timestamp) -> Self {
        Self {
            key: digest(&["study", uid.as_str()]),
            series: BTreeMap::new(),
            place: Place::default(),
            first_received_at: received_at,
            last_received_at: received_at,
            busy_since: received_at,
            n_changes: 0,
            arrival: 0,
            cases: Vec::new(),
            alarm: None,
        }
    }

    /// Takes in one instance.
    pub(super) fn add(&mut self, facts: &InstanceFacts, received_at: Timestamp, settings: &CaseSettings) -> Added {
        let series = match self.series.get_mut(&facts.series) {
            Some(series) => series,
            None => self.series.entry(facts.series.clone()).or_insert_with(|| Series::new(&facts.series, received_at)),
        };
        let added = series.add(facts, received_at);
        if added == Added::Known {
            return added;
        }
        self.n_changes += 1;
        if received_at > later(self.last_received_at, settings.case_settle) {
            self.busy_since = received_at;
        }
        self.first_received_at = self.first_received_at.min(received_at);
        self.last_received_at = self.last_received_at.max(received_at);
        if added == Added::News {
            self.find_place();
        }
        added
    }

    /// Takes a series out: `false` where it was not there.
    pub(super) fn remove(&mut self, series: &Uid) -> bool {
        let is_gone = self.series.remove(series).is_some();
        if is_gone {
            self.n_changes += 1;
            self.find_place();
        }
        is_gone
    }

    /// Nothing can have come later than now.
    pub(super) fn clamp(&mut self, now: Timestamp) {
        if self.last_received_at > now {
            self.first_received_at = self.first_received_at.min(now);
            self.last_received_at = now;
            self.busy_since = self.busy_since.min(now);
            self.series.values_mut().for_each(|series| series.clamp(now));
        }
    }

    fn find_place(&mut self) {
        let identities = self.series.values().flat_map(|series| &series.identities);
        let date = self.series.values().filter_map(|series| series.study_date).min();
        self.place = Place { owner: Owner::of(identities), date };
    }
}

/// A moment and a duration after it; the end of time where there is no such moment.
pub(super) fn later(at: Timestamp, duration: std::time::Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

//! The state machine: instances and the clock go in, changes of cases come out.
//!
//! It keeps a few bytes of each instance and a few hundred of each series that the store holds, and about as much of each case
//! that ever was as the store's own table. It does nothing on its own: only studies for which something came, and those whose
//! alarm has gone off, are looked at by [`Grouper::poll`], together with the studies that can be linked with them.

use std::collections::{BTreeMap, BTreeSet};

use super::handed::{self, Handed};
use super::id::untaken_id;
use super::judge::{Case, Judge};
use super::patients::{Patients, Place};
use super::rules::{CaseSettings, ProtocolRules};
use super::series::Added;
use super::study::{Study, later};
use super::{CaseChange, CaseId, CaseSpec};
use crate::clock::Timestamp;
use crate::dicom::facts::InstanceFacts;
use crate::dicom::uid::Uid;

/// Groups instances into cases.
#[derive(Debug)]
pub struct Grouper {
    settings: CaseSettings,
    protocols: Vec<ProtocolRules>,
    studies: BTreeMap<Uid, Study>,
    patients: Patients,
    /// The studies of each series; one, if all is well.
    places: BTreeMap<Uid, Vec<Uid>>,
    /// What is stored that a case may be made of.
    stored: BTreeSet<u64>,
    /// Cases that were seen or remembered. Those that were handed out stay for good, so that their revisions go on.
    cases: BTreeMap<CaseId, Case>,
    /// Studies that must be judged at the next poll.
    changed: BTreeSet<Uid>,
    /// When the others must be.
    alarms: BTreeSet<(Timestamp, Uid)>,
    /// Changes of cases whose study is gone, to be reported by the next poll.
    bereft: Vec<CaseChange>,
    /// Instances that came.
    n_arrivals: u64,
    /// The latest moment that was heard of.
    latest: Timestamp,
}

impl Grouper {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(settings: CaseSettings, protocols: Vec<ProtocolRules>) -> Self {
        Self {
            settings,
            protocols,
            studies: BTreeMap::new(),
            patients: Patients::default(),
            places: BTreeMap::new(),
            stored: BTreeSet::new(),
            cases: BTreeMap::new(),
            changed: BTreeSet::new(),
            alarms: BTreeSet::new(),
            bereft: Vec::new(),
            n_arrivals: 0,
            latest: Timestamp::MIN,
        }
    }

    /// After a restart, before any instance: a case as it was left, with the specification that was handed out last.
    ///
    /// Everything that is stored must then be added before the first poll: of half a case another revision would be made.
    pub fn remember(&mut self, id: CaseId, created_at: Timestamp, last: Option<CaseSpec>) {
        self.cases.insert(id, Case::new(created_at, last.as_ref().map(Handed::of)));
    }

    /// An instance is stored. One that is known changes nothing; one that this product made is not looked at.
    ///
    /// An instance whose header was corrected under its UID is known: its series must be removed and added again.
    pub fn add(&mut self, facts: &InstanceFacts, received_at: Timestamp) {
        if facts.own_product {
            return;
        }
        let study = match self.studies.get_mut(&facts.study) {
            Some(study) => study,
            None => self.studies.entry(facts.study.clone()).or_insert_with(|| Study::new(&facts.study, received_at)),
        };
        let n_series = study.series.len();
        let place = study.place.clone();
        let added = study.add(facts, received_at, &self.settings);
        if added == Added::Known {
            return;
        }
        self.n_arrivals += 1;
        study.arrival = self.n_arrivals;
        self.latest = self.latest.max(received_at);
        if study.series.len() > n_series {
            self.places.entry(facts.series.clone()).or_default().push(facts.study.clone());
        }
        if added == Added::News {
            self.stored.extend(handed::sources(facts));
        }
        let is_moved = study.place != place;
        let alarm = study.alarm;
        if is_moved {
            self.replace(&facts.study, &place);
            self.part(&facts.study, &place);
        }
        if added == Added::News || alarm.is_none() {
            self.changed.insert(facts.study.clone());
        } else {
            // One more slice: nothing to say before it has settled.
            let settle = self.settings.series_settle.max(self.settings.case_settle);
            let settled_at = later(received_at, settle);
            if alarm.is_some_and(|alarm| settled_at < alarm) {
                self.set_alarm(&facts.study, Some(settled_at));
            }
        }
    }

    /// The store removed a series (retention, withdrawal). By itself this never makes a revision.
    pub fn remove_series(&mut self, series: &Uid) {
        for uid in self.places.remove(series).unwrap_or_default() {
            let Some(study) = self.studies.get_mut(&uid) else { continue };
            let place = study.place.clone();
            for gone in study.series.get(series).into_iter().flat_map(handed::sources_of_series) {
                self.stored.remove(&gone);
            }
            study.remove(series);
            if study.series.is_empty() {
                self.forget(&uid, &place);
            } else {
                self.changed.insert(uid.clone());
                self.replace(&uid, &place);
            }
        }
    }

    /// Something that a case was made of was corrected or withdrawn: it is made again, if it still can be. The series
    /// itself is removed, and what is left of it added again, before this.
    pub fn lapse(&mut self, id: &CaseId) {
        if let Some(case) = self.cases.get_mut(id) {
            case.lapse();
            self.changed.extend(self.studies.keys().cloned());
        }
    }

    /// What changed until `now`. Each case is reported only when its standing, series, findings or specification changed
    /// since the last report. Of a case that was handed out nothing is reported but its next revision, or that it cannot be
    /// made; once what was in the way is gone, the revision that there was is reported again.
    pub fn poll(&mut self, now: Timestamp) -> Vec<CaseChange> {
        self.latest = self.latest.max(now);
        let mut due = std::mem::take(&mut self.changed);
        while let Some((at, study)) = self.alarms.pop_first() {
            if at > now {
                self.alarms.insert((at, study));
                break;
            }
            if let Some(study) = self.studies.get_mut(&study) {
                study.alarm = None;
            }
            due.insert(study);
        }
        self.judge(due, Some(now))
    }

    /// When [`Grouper::poll`] may next have something to say without anything being added.
    #[must_use]
    pub fn next_poll_at(&self) -> Option<Timestamp> {
        if !self.changed.is_empty() || !self.bereft.is_empty() {
            return Some(self.latest);
        }
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Everything has come: nothing settles any more and every deadline is over.
    pub fn finish(&mut self, now: Timestamp) -> Vec<CaseChange> {
        self.latest = self.latest.max(now);
        self.changed.clear();
        self.judge(self.studies.keys().cloned().collect(), None)
    }

    /// New rules: cases that were not handed out yet are judged again, the others when something comes for them.
    pub fn reload(&mut self, settings: CaseSettings, protocols: Vec<ProtocolRules>) {
        self.settings = settings;
        self.protocols = protocols;
        self.changed = self.studies.keys().cloned().collect();
    }

    /// Judges some studies and those that can be linked with them.
    fn judge(&mut self, due: BTreeSet<Uid>, now: Option<Timestamp>) -> Vec<CaseChange> {
        let mut changes = std::mem::take(&mut self.bereft);
        if due.is_empty() {
            return changes;
        }
        let mut all: BTreeSet<Uid> = BTreeSet::new();
        for uid in due {
            if let Some(study) = self.studies.get(&uid) {
                all.extend(self.patients.linked(&study.place, &uid, self.settings.link_window).cloned());
                all.insert(uid);
            }
        }
        self.settle(&all, now);
        let mut next: BTreeMap<Uid, Option<Timestamp>> = BTreeMap::new();
        let mut lenders = BTreeSet::new();
        for uid in all {
            let mut judged = self.split(now, |judge, cases| judge.study(&uid, cases));
            changes.append(&mut judged.changes);
            lenders.append(&mut judged.lenders);
            if let Some(study) = self.studies.get_mut(&uid) {
                study.cases = judged.cases;
            }
            next.insert(uid, judged.next);
        }
        for uid in lenders {
            let alarm = self.studies.get(&uid).and_then(|study| study.alarm);
            next.entry(uid).or_insert(alarm);
        }
        for (uid, alarm) in next {
            let (change, quiet_at) = self.split(now, |judge, cases| judge.untaken(&uid, cases));
            changes.extend(change);
            self.set_alarm(&uid, alarm.into_iter().chain(quiet_at).min());
        }
        changes
    }

    /// The cases, which change, and all that they are judged by, which does not.
    fn split<T>(
        &mut self,
        now: Option<Timestamp>,
        ask: impl FnOnce(&Judge<'_>, &mut BTreeMap<CaseId, Case>) -> T,
    ) -> T {
        let Self { settings, protocols, studies, patients, places, stored, cases, .. } = self;
        ask(&Judge { settings, protocols, studies, patients, places, stored, now }, cases)
    }

    /// Makes small what has settled.
    fn settle(&mut self, studies: &BTreeSet<Uid>, now: Option<Timestamp>) {
        for uid in studies {
            let Some(study) = self.studies.get_mut(uid) else { continue };
            if let Some(now) = now {
                study.clamp(now);
            }
            for series in study.series.values_mut() {
                let settled_at = later(series.last_received_at, self.settings.series_settle);
                if now.is_none_or(|now| settled_at <= now) {
                    series.settle();
                }
            }
        }
    }

    /// Lists a study anew whose patient or date is not what it was, and has those judged that it could be linked with.
    fn replace(&mut self, uid: &Uid, before: &Place) {
        let window = self.settings.link_window;
        self.changed.extend(self.patients.linked(before, uid, window).cloned());
        self.patients.remove(before, uid);
        if let Some(study) = self.studies.get(uid) {
            self.patients.insert(&study.place, uid);
            self.changed.extend(self.patients.linked(&study.place, uid, window).cloned());
        }
    }

    /// What came for a study may show that it is not the patient's: that is news for those that it can be linked with no more.
    fn part(&mut self, uid: &Uid, before: &Place) {
        let window = self.settings.link_window;
        let linked = |place| self.patients.linked(place, uid, window).cloned().collect::<BTreeSet<_>>();
        let now = self.studies.get(uid).map(|study| linked(&study.place)).unwrap_or_default();
        for parted in &linked(before) - &now {
            if let Some(study) = self.studies.get_mut(&parted) {
                study.arrival = self.n_arrivals;
            }
        }
    }

    /// A study that has no series any more.
    fn forget(&mut self, uid: &Uid, place: &Place) {
        self.set_alarm(uid, None);
        let Some(study) = self.studies.remove(uid) else { return };
        self.replace(uid, place);
        self.changed.remove(uid);
        for id in study.cases.iter().chain([&untaken_id(uid)]) {
            if let Some(mut case) = self.cases.remove(id) {
                self.bereft.extend(case.bereft(id));
                if case.is_handed() {
                    self.cases.insert(id.clone(), case);
                }
            }
        }
    }

    fn set_alarm(&mut self, uid: &Uid, at: Option<Timestamp>) {
        let Some(study) = self.studies.get_mut(uid) else { return };
        if let Some(before) = study.alarm.take() {
            self.alarms.remove(&(before, uid.clone()));
        }
        study.alarm = at;
        self.alarms.extend(at.map(|at| (at, uid.clone())));
    }
}

//! Judges the cases of one study: those of each protocol, and the one that stands for a study which none takes.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{Draft, Scene};
use super::handed::Handed;
use super::id::{case_id, digest, untaken_id};
use super::patients::Patients;
use super::rules::{CaseSettings, ProtocolRules};
use super::study::Study;
use super::verdict::{Clock, Outcome, is_quiet, verdict};
use super::{CaseChange, CaseId, Standing};
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;
use crate::finding::Finding;

/// What is known of one case beside its study.
#[derive(Debug)]
pub(super) struct Case {
    /// The protocol that takes it; empty while it is only remembered, and for what none takes.
    protocol: String,
    /// When its first instance came.
    created_at: Timestamp,
    /// The last revision that was handed out.
    handed: Option<Handed>,
    /// Whether it was parked, after that where it was handed out.
    is_parked: bool,
    /// What was reported last, as a digest.
    reported: Option<u64>,
    /// Studies other than its own from which it takes series.
    lenders: BTreeSet<Uid>,
    /// The state of its studies that was decided upon.
    decided: Option<State>,
    /// Whether what the last revision was made of is not what it was: another one is to be made, if one can.
    lapsed: bool,
}

/// What came for the studies of a case, and what went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// Another number whenever anything came or went.
    changes: u64,
    /// The number of the last arrival.
    arrival: u64,
}

impl Case {
    pub(super) fn new(created_at: Timestamp, handed: Option<Handed>) -> Self {
        let protocol = String::new();
        let (reported, lenders, decided) = (None, BTreeSet::new(), None);
        Self { protocol, created_at, handed, is_parked: false, reported, lenders, decided, lapsed: false }
    }

    /// What the last revision was made of was corrected or withdrawn.
    pub(super) const fn lapse(&mut self) {
        self.lapsed = self.handed.is_some();
        self.decided = None;
    }

    /// Whether it must be kept though its study is gone: a result has its number for good.
    pub(super) const fn is_handed(&self) -> bool {
        self.handed.is_some()
    }
}

/// All that cases are judged by.
pub(super) struct Judge<'a> {
    pub settings: &'a CaseSettings,
    pub protocols: &'a [ProtocolRules],
    pub studies: &'a BTreeMap<Uid, Study>,
    pub patients: &'a Patients,
    /// The studies of each series.
    pub places: &'a BTreeMap<Uid, Vec<Uid>>,
    /// What is stored that a case may be made of, in any study.
    pub stored: &'a BTreeSet<u64>,
    /// `None`: everything that is waited for is over.
    pub now: Option<Timestamp>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub changes: Vec<CaseChange>,
    /// When the study must be judged again.
    pub next: Option<Timestamp>,
    /// The cases of protocols that there are in it.
    pub cases: Vec<CaseId>,
    /// Studies that lend, or do not lend any more.
    pub lenders: BTreeSet<Uid>,
}

impl Judge<'_> {
    /// Judges the cases of every protocol that are anchored in a study.
    pub(super) fn study(&self, uid: &Uid, cases: &mut BTreeMap<CaseId, Case>) -> Judged {
        let mut judged = Judged::default();
        let Some((uid, study)) = self.studies.get_key_value(uid) else { return judged };
        let studies: Vec<_> = std::iter::once((uid, study)).chain(self.linked(uid, study)).collect();
        let is_contradicted = self.patients.is_contradicted(&study.place, self.settings.link_window);
        let mut scene = None;
        for protocol in self.protocols {
            let id = case_id(&protocol.name, uid);
            let scene = scene.get_or_insert_with(|| Scene {
                protocol,
                studies: studies.clone(),
                places: self.places,
                is_contradicted,
            });
            scene.protocol = protocol;
            self.case(scene, &id, cases, &mut judged);
            if cases.contains_key(&id) {
                judged.cases.push(id);
            }
        }
        for id in &study.cases {
            if judged.cases.contains(id) {
                continue;
            }
            if let Some(case) = cases.get_mut(id) {
                let reason = "its protocol is no longer configured";
                judged.changes.extend(case.forsaken(id, own_series(study), reason));
                judged.cases.push(id.clone());
            }
        }
        judged
    }

    /// Judges the case that stands for a study which no protocol takes.
    pub(super) fn untaken(
        &self,
        uid: &Uid,
        cases: &mut BTreeMap<CaseId, Case>,
    ) -> (Option<CaseChange>, Option<Timestamp>) {
        let Some(study) = self.studies.get(uid) else { return (None, None) };
        let id = untaken_id(uid);
        let is_taken = study.cases.iter().any(|id| cases.contains_key(id));
        let lends_to =
            |other: &Study| other.cases.iter().filter_map(|id| cases.get(id)).any(|case| case.lenders.contains(uid));
        if is_taken || self.linked(uid, study).any(|(_, other)| lends_to(other)) {
            // It was reported, now or before a restart: it must not keep the series that another case has.
            let gone = cases.remove(&id).map(|case| CaseChange {
                id,
                protocol: String::new(),
                series: Vec::new(),
                created_at: case.created_at,
                standing: Standing::Parked { reason: "the case of a protocol took its series".to_owned() },
                findings: Vec::new(),
            });
            return (gone, None);
        }
        let mut clock = Clock::new(self.now);
        if !is_quiet(study, self.settings, &mut clock) {
            return (None, clock.next());
        }
        let case = cases.entry(id.clone()).or_insert_with(|| Case::new(study.first_received_at, None));
        let standing = Standing::Parked { reason: "no protocol takes it".to_owned() };
        (case.report(&id, own_series(study), standing, Vec::new()), None)
    }

    /// The studies that are linked with another one.
    fn linked(&self, uid: &Uid, study: &Study) -> impl Iterator<Item = (&Uid, &Study)> {
        let linked = self.patients.linked(&study.place, uid, self.settings.link_window);
        linked.filter_map(|uid| self.studies.get_key_value(uid))
    }

    fn case(&self, scene: &Scene<'_>, id: &CaseId, cases: &mut BTreeMap<CaseId, Case>, judged: &mut Judged) {
        let Some((anchor, study)) = scene.studies.first() else { return };
        let state = state_of(scene);
        if cases.get(id).is_some_and(|case| case.handed.is_some() && !case.lapsed && case.decided == Some(state)) {
            return;
        }
        let Some(draft) = Draft::new(scene) else {
            if let Some(case) = cases.get_mut(id) {
                judged.lenders.append(&mut case.lenders);
                case.decided = Some(state);
                let reason = format!("no series fits its role {} any more", scene.protocol.reference);
                case.protocol.clone_from(&scene.protocol.name);
                judged.changes.extend(case.forsaken(id, own_series(study), &reason));
            }
            return;
        };
        let case = cases.entry(id.clone()).or_insert_with(|| Case::new(draft.first_received_at, None));
        case.protocol.clone_from(&scene.protocol.name);
        let lenders = draft.lenders(anchor);
        judged.lenders.extend(lenders.symmetric_difference(&case.lenders).cloned());
        case.lenders = lenders;

        let Some((since, revision)) = case.next_revision(scene, &draft, state, self.stored) else {
            case.decided = Some(state);
            return;
        };
        let mut clock = Clock::new(self.now);
        let (outcome, findings) = verdict(scene, &draft, since, self.settings, &mut clock);
        judged.next = judged.next.into_iter().chain(clock.next()).min();
        let standing = match outcome {
            // A result is there: what comes late is not worth a word before it changes something.
            Outcome::Collecting(_) if case.handed.is_some() && !case.lapsed => return,
            Outcome::Collecting(waits_for) => {
                case.is_parked = false;
                Standing::Collecting { waits_for }
            }
            Outcome::Parked(reason) => {
                case.is_parked = true;
                Standing::Parked { reason }
            }
            Outcome::Ready => {
                let spec = draft.spec(id, revision, findings.clone());
                case.handed = Some(Handed::of(&spec));
                case.is_parked = false;
                case.lapsed = false;
                Standing::Ready(Box::new(spec))
            }
        };
        case.decided = Some(state);
        let mut series = own_series(study);
        series.extend(draft.used().map(|(_, _, uid, _)| uid.clone()));
        judged.changes.extend(case.report(id, series, standing, findings));
    }
}

impl Case {
    /// The revision that is to be made and since when it waits; `None` where there is no reason for one.
    fn next_revision(
        &self,
        scene: &Scene<'_>,
        draft: &Draft<'_>,
        state: State,
        stored: &BTreeSet<u64>,
    ) -> Option<(Timestamp, u32)> {
        let Some(handed) = &self.handed else { return Some((self.created_at, 1)) };
        if self.lapsed {
            return Some((self.created_at, handed.revision.saturating_add(1)));
        }
        let dated = draft.items();
        let items: Vec<_> = dated.iter().map(|(item, _)| *item).collect();
        if self.is_parked && handed.is_made_of(&items) {
            return Some((self.created_at, handed.revision));
        }
        // Sources that expire may leave another choice among the rest: that is no reason either.
        let has_news = self.decided.is_none_or(|decided| decided.arrival < state.arrival);
        let is_doubted = scene.studies.first().is_some_and(|(_, study)| study.place.owner.is_ambiguous());
        if !has_news || !is_doubted && !handed.differs(&items, stored) {
            return None;
        }
        let new = dated.iter().filter(|(item, _)| !handed.has(item)).map(|(_, at)| *at).min();
        let last = scene.studies.first().map(|(_, study)| study.last_received_at);
        Some((new.or(last).unwrap_or(self.created_at), handed.revision.saturating_add(1)))
    }

    /// What is to be said of a case that nothing makes any more; of one that has results, nothing.
    fn forsaken(&mut self, id: &CaseId, series: BTreeSet<Uid>, reason: &str) -> Option<CaseChange> {
        self.lenders.clear();
        if self.handed.is_some() {
            return None;
        }
        self.is_parked = true;
        self.report(id, series, Standing::Parked { reason: reason.to_owned() }, Vec::new())
    }

    /// What is to be said of a case all of whose study was removed; nothing of one that waits for nothing.
    pub(super) fn bereft(&mut self, id: &CaseId) -> Option<CaseChange> {
        if self.is_parked || self.reported.is_none() {
            return None;
        }
        self.forsaken(id, BTreeSet::new(), "its series were removed")
    }

    /// The change to report, `None` where it was reported before.
    fn report(
        &mut self,
        id: &CaseId,
        series: BTreeSet<Uid>,
        standing: Standing,
        findings: Vec<Finding>,
    ) -> Option<CaseChange> {
        let all: Vec<&str> = series.iter().map(Uid::as_str).collect();
        let said = match &standing {
            Standing::Ready(spec) => format!("ready {}", spec.revision),
            Standing::Collecting { waits_for } => format!("collecting {waits_for}"),
            Standing::Parked { reason } => format!("parked {reason}"),
        };
        let remarks = format!("{findings:?}");
        let reported = digest(&[&said, &all.join(" "), &remarks]);
        if self.reported.replace(reported) == Some(reported) {
            return None;
        }
        let (protocol, created_at) = (self.protocol.clone(), self.created_at);
        let series = series.into_iter().collect();
        Some(CaseChange { id: id.clone(), protocol, series, created_at, standing, findings })
    }
}

fn own_series(study: &Study) -> BTreeSet<Uid> {
    study.series.keys().cloned().collect()
}

fn state_of(scene: &Scene<'_>) -> State {
    let studies = || scene.studies.iter().map(|(_, study)| study);
    let changes = studies().map(|study| study.key.wrapping_mul(2 * study.n_changes + 1)).fold(0, u64::wrapping_add);
    State { changes, arrival: studies().map(|study| study.arrival).max().unwrap_or(0) }
}

//! A node over weeks at random: what must hold after every step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::catalogue::{PIECES, PROTOCOLS, piece, protocols};
use super::fixture::*;
use crate::case::{CaseChange, CaseId, CaseSpec, Grouper, ProtocolRules, Standing};
use crate::dicom::facts::InstanceFacts;
use crate::finding::FindingKind;

#[derive(Debug, Clone)]
enum Step {
    /// Some instances of a piece come, from the first or the last on.
    Add { piece: usize, n: usize, backwards: bool },
    /// Time passes, with polls when they are asked for.
    Wait(i64),
    /// The store removes the series of a piece.
    Remove(usize),
    /// The daemon starts anew, with what it stored and what it wrote down.
    Restart,
    /// Other protocols.
    Reload(usize),
    /// Everything is taken as come.
    Finish,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..PIECES - 1, 1..9_usize, any::<bool>()).prop_map(|(piece, n, backwards)| Step::Add { piece, n, backwards }),
        6 => prop::sample::select(vec![1, 9, 70, 3000, 7300, 90_000]).prop_map(Step::Wait),
        1 => (0..PIECES).prop_map(Step::Remove),
        1 => Just(Step::Restart),
        1 => (0..PROTOCOLS).prop_map(Step::Reload),
        1 => Just(Step::Finish),
    ]
}

/// What a daemon would write down of one case.
#[derive(Debug, Clone)]
struct Record {
    last: CaseChange,
    handed: Option<CaseSpec>,
    was_parked: bool,
}

struct World {
    grouper: Grouper,
    rules: Vec<ProtocolRules>,
    now: i64,
    stored: Vec<(InstanceFacts, i64)>,
    records: BTreeMap<CaseId, Record>,
}

impl World {
    fn new(rules: usize) -> Self {
        let rules = protocols(rules);
        let grouper = Grouper::new(settings(), rules.clone());
        Self { grouper, rules, now: 0, stored: Vec::new(), records: BTreeMap::new() }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Add { piece: number, n, backwards } => {
                let mut instances = piece(*number);
                if *backwards {
                    instances.reverse();
                }
                for facts in instances.into_iter().take(*n) {
                    self.grouper.add(&facts, at(self.now));
                    if self.stored.iter().all(|(known, _)| known.sop_instance != facts.sop_instance) {
                        self.stored.push((facts, self.now));
                    }
                }
                let changes = self.grouper.poll(at(self.now));
                self.take(changes);
            }
            Step::Wait(seconds) => {
                self.now += seconds;
                let mut polled_at = crate::clock::Timestamp::MIN;
                while let Some(next) = self.grouper.next_poll_at().filter(|next| *next <= at(self.now)) {
                    polled_at = polled_at.max(next);
                    let changes = self.grouper.poll(polled_at);
                    self.take(changes);
                    let next = self.grouper.next_poll_at();
                    assert!(next.is_none_or(|next| next > polled_at), "it asks for the past");
                }
            }
            Step::Remove(number) => {
                for facts in piece(*number) {
                    self.grouper.remove_series(&facts.series);
                    self.stored.retain(|(known, _)| known.series != facts.series);
                }
            }
            Step::Restart => {
                self.grouper = Grouper::new(settings(), self.rules.clone());
                for (id, record) in &self.records {
                    self.grouper.remember(id.clone(), record.last.created_at, record.handed.clone());
                }
                for (facts, second) in self.stored.iter().rev() {
                    self.grouper.add(facts, at(*second));
                }
            }
            Step::Reload(number) => {
                self.rules = protocols(*number);
                self.grouper.reload(settings(), self.rules.clone());
            }
            Step::Finish => {
                let changes = self.grouper.finish(at(self.now));
                self.take(changes);
                let open =
                    self.records.values().filter(|record| matches!(record.last.standing, Standing::Collecting { .. }));
                for record in open {
                    // Only what is configured and stored can be decided.
                    let is_configured = self.rules.iter().any(|rules| rules.name == record.last.protocol);
                    let is_stored = record.last.series.iter().any(|series| self.holds_series(series));
                    assert!(!is_configured || !is_stored, "still open: {record:#?}");
                }
            }
        }
        let changes = self.grouper.poll(at(self.now));
        self.take(changes);
        assert_eq!(self.grouper.poll(at(self.now)), [], "a second poll says something");
    }

    fn holds_series(&self, series: &crate::dicom::uid::Uid) -> bool {
        self.stored.iter().any(|(facts, _)| facts.series == *series && !facts.own_product)
    }

    fn take(&mut self, changes: Vec<CaseChange>) {
        for change in changes {
            self.check(&change);
            let before = self.records.remove(&change.id);
            let (mut handed, mut was_parked) =
                before.map_or((None, false), |record| (record.handed, record.was_parked));
            if let Standing::Ready(spec) = &change.standing {
                self.check_spec(spec);
                check_revision(spec, handed.as_ref(), was_parked);
                handed = Some((**spec).clone());
            }
            was_parked = matches!(change.standing, Standing::Parked { .. });
            assert!(
                handed.is_none() || !matches!(change.standing, Standing::Collecting { .. }),
                "a result is not taken back"
            );
            self.records.insert(change.id.clone(), Record { last: change, handed, was_parked });
        }
    }

    fn check(&self, change: &CaseChange) {
        assert!(change.series.is_sorted() && change.series.iter().all(|series| self.holds_series(series)));
        if let Some(before) = self.records.get(&change.id) {
            let names = [before.last.protocol.as_str(), change.protocol.as_str()];
            assert!(names[0] == names[1] || names[1].is_empty(), "one id for {names:?}");
            // Later only where all that it was made of had gone.
            assert!(before.last.created_at <= change.created_at);
        }
        let text = format!("{:?}", change.findings);
        let said = match &change.standing {
            Standing::Collecting { waits_for: said } | Standing::Parked { reason: said } => said.as_str(),
            Standing::Ready(spec) => {
                assert_eq!(spec.findings, change.findings);
                "ready"
            }
        };
        assert!(!said.is_empty());
        for secret in ["P1", "P2", "1.2.", "19600101"] {
            assert!(!text.contains(secret) && !said.contains(secret), "{said} {text}");
        }
    }

    fn check_spec(&self, spec: &CaseSpec) {
        let rules = self.rules.iter().find(|rules| rules.name == spec.protocol).unwrap();
        let has_finding = |kind, role: &str| spec.findings.iter().any(|f| f.kind == kind && f.subject == role);
        for input in &rules.inputs {
            let is_there = spec.inputs.iter().any(|found| found.role == input.role);
            let is_excused = has_finding(FindingKind::RoleMissing, &input.role);
            let must_be_there = input.required && rules.at_deadline == crate::case::AtDeadline::Park;
            assert!(is_there != is_excused && (is_there || !must_be_there), "{} in {spec:#?}", input.role);
        }
        assert!(spec.inputs.iter().any(|input| input.role == rules.reference));
        assert!(!rules.roi.required || !spec.annotations.is_empty());
        let mut roles: Vec<&str> = spec.inputs.iter().map(|input| input.role.as_str()).collect();
        roles.dedup();
        assert_eq!(roles.len(), spec.inputs.len());
        for input in &spec.inputs {
            let stored = self.stored.iter().filter(|(facts, _)| facts.series == input.series);
            let stored: BTreeSet<_> = stored.map(|(facts, _)| facts.sop_instance.clone()).collect();
            assert_eq!(input.instances.iter().cloned().collect::<BTreeSet<_>>(), stored);
        }
        for instance in spec.annotations.iter().map(|a| &a.instance).chain(&spec.registrations) {
            assert!(self.stored.iter().any(|(facts, _)| facts.sop_instance == *instance && !facts.own_product));
        }
    }
}

fn check_revision(spec: &CaseSpec, last: Option<&CaseSpec>, was_parked: bool) {
    let Some(last) = last else {
        assert_eq!(spec.revision, 1);
        return;
    };
    let made_of = |spec: &CaseSpec| {
        let annotations: Vec<_> = spec.annotations.iter().map(|a| a.instance.clone()).collect();
        (spec.inputs.clone(), annotations, spec.registrations.clone())
    };
    if spec.revision == last.revision {
        assert!(was_parked, "revision {} twice", spec.revision);
        assert_eq!(made_of(spec), made_of(last));
    } else {
        assert_eq!(spec.revision, last.revision + 1);
        assert_ne!(made_of(spec), made_of(last), "the same inputs under two revisions");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_breaks_what_must_hold(rules in 0..PROTOCOLS, steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(rules);
        for step in steps.iter().chain([&Step::Finish]) {
            world.apply(step);
        }
    }
}

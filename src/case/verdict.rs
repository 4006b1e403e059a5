//! Whether a case is ready: what there is, against the clock.
//!
//! First the studies must be quiet, then every role must have one series, then what is missing must have come or the deadline
//! must be over. Instances that never stop coming are cut off after `case_deadline` as well.

use super::draft::{Draft, Lack, Scene};
use super::rules::{AtDeadline, CaseSettings};
use super::series::Series;
use super::study::{Study, later};
use crate::clock::Timestamp;
use crate::finding::{Finding, FindingKind};

/// The clock, and the next moment at which it can change the verdict.
#[derive(Debug)]
pub(super) struct Clock {
    /// `None`: everything that is waited for is over.
    now: Option<Timestamp>,
    next: Option<Timestamp>,
}

impl Clock {
    pub(super) const fn new(now: Option<Timestamp>) -> Self {
        Self { now, next: None }
    }

    /// Whether that moment has come.
    pub(super) fn has_come(&mut self, at: Timestamp) -> bool {
        let is_future = self.now.is_some_and(|now| now < at);
        if is_future {
            self.next = self.next.into_iter().chain([at]).min();
        }
        !is_future
    }

    /// The earliest moment that was asked for and has not come.
    pub(super) const fn next(&self) -> Option<Timestamp> {
        self.next
    }
}

/// Where a case stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// It waits for this.
    Collecting(String),
    /// It can be processed.
    Ready,
    /// It cannot, for this reason.
    Parked(String),
}

/// Whether a study is quiet: nothing came for `case_settle`, or it came without a pause for `case_deadline`.
pub(super) fn is_quiet(study: &Study, settings: &CaseSettings, clock: &mut Clock) -> bool {
    let is_over = clock.has_come(later(study.last_received_at, settings.case_settle));
    is_over || clock.has_come(later(study.busy_since, settings.case_deadline))
}

/// The verdict on a case that waits since then, with the remarks that go with it.
pub(super) fn verdict(
    scene: &Scene<'_>,
    draft: &Draft<'_>,
    since: Timestamp,
    settings: &CaseSettings,
    clock: &mut Clock,
) -> (Outcome, Vec<Finding>) {
    let mut findings = identity_findings(scene);
    if scene.studies.first().is_some_and(|(_, study)| study.place.owner.is_ambiguous()) {
        return (Outcome::Parked("the study holds instances of different patients".to_owned()), findings);
    }
    if !scene.studies.iter().all(|(_, study)| is_quiet(study, settings, clock)) {
        return (Outcome::Collecting("the end of the transfer of its studies".to_owned()), Vec::new());
    }
    if draft.ambiguous().next().is_some() {
        findings.extend(ambiguous_findings(draft));
        let roles: Vec<&str> = draft.ambiguous().map(|role| role.rules.role.as_str()).collect();
        let reason = format!("several series fit the role {}, and no rule prefers one", roles.join(", "));
        return (Outcome::Parked(reason), findings);
    }
    let mut is_settled = |study: &Study, series: &Series| {
        let is_over = clock.has_come(later(series.last_received_at, settings.series_settle));
        is_over || clock.has_come(later(study.busy_since, settings.case_deadline))
    };
    if !draft.used().all(|(_, study, _, series)| is_settled(study, series)) {
        return (Outcome::Collecting("the end of the transfer of its series".to_owned()), Vec::new());
    }
    let lacks = draft.lacks();
    if !lacks.is_empty() && !clock.has_come(later(since, settings.case_deadline)) {
        return (Outcome::Collecting(sentences(&lacks)), Vec::new());
    }
    findings.extend(draft.findings());
    findings.extend(lacks.iter().filter_map(Lack::finding));
    let outcome = if lacks.is_empty() || scene.protocol.at_deadline == AtDeadline::Process && draft.is_measurable() {
        Outcome::Ready
    } else {
        Outcome::Parked(format!("at the deadline it still waited for {}", sentences(&lacks)))
    };
    (outcome, findings)
}

fn sentences(lacks: &[Lack]) -> String {
    lacks.iter().map(Lack::sentence).collect::<Vec<_>>().join(", ")
}

fn ambiguous_findings<'a>(draft: &'a Draft<'_>) -> impl Iterator<Item = Finding> + 'a {
    draft.ambiguous().map(|role| {
        let hashes: Vec<String> = role.left.iter().map(|candidate| candidate.uid.short_hash()).collect();
        let detail = format!("{} series fit: {}", hashes.len(), hashes.join(", "));
        Finding::new(FindingKind::AmbiguousSeries, role.rules.role.as_str(), detail)
    })
}

fn identity_findings(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut note = |detail: &str| findings.push(Finding::new(FindingKind::PatientIdentityConflict, "", detail));
    if scene.studies.first().is_some_and(|(_, study)| study.place.owner.is_ambiguous()) {
        note("instances of the study differ in Patient ID, issuer, birth date or sex");
    }
    if scene.is_contradicted {
        note("another study under the same Patient ID differs in birth date or sex and was not linked");
    }
    findings
}

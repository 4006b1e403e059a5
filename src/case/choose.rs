//! Which series plays which role.

use std::cmp::Ordering;

use super::draft::Scene;
use super::rules::{InputRules, Prefer};
use super::series::Series;
use super::study::Study;
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;

/// A series that fits a role.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// Its study's UID.
    pub study_uid: &'a Uid,
    /// Its study.
    pub study: &'a Study,
    /// Its UID.
    pub uid: &'a Uid,
    /// The series.
    pub series: &'a Series,
}

/// A role and the series that are left for it: none, the chosen one, or several that nothing tells apart.
#[derive(Debug)]
pub(super) struct Role<'a> {
    /// What it asks for.
    pub rules: &'a InputRules,
    /// What is left.
    pub left: Vec<Candidate<'a>>,
}

impl<'a> Role<'a> {
    /// The one series that plays it.
    pub(super) fn chosen(&self) -> Option<&Candidate<'a>> {
        match self.left.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }
}

/// The roles of a case in the order of the protocol, and when the first image came of what can be its reference; `None` where
/// no series of the anchor study can.
///
/// The reference is of the anchor study. Another role is looked for there first: what was scanned in one session belongs
/// together. Only where that study has nothing for it do the linked ones count, all alike.
pub(super) fn roles<'a>(scene: &Scene<'a>) -> Option<(Vec<Role<'a>>, Timestamp)> {
    let protocol = scene.protocol;
    let (anchor, linked) = scene.studies.split_first()?;
    let reference = protocol.inputs.iter().find(|input| input.role == protocol.reference)?;
    let mut references = candidates(reference, *anchor);
    references.retain(|candidate| candidate.series.attributes.all_match(&protocol.matches));
    let first_received_at = references.iter().map(|candidate| candidate.series.first_received_at).min()?;
    let fitting = |input: &'a InputRules| {
        if input.role == protocol.reference {
            return references.clone();
        }
        let own = candidates(input, *anchor);
        if own.is_empty() { linked.iter().flat_map(|study| candidates(input, *study)).collect() } else { own }
    };
    let left = |input| preferred(fitting(input), input);
    Some((protocol.inputs.iter().map(|rules| Role { rules, left: left(rules) }).collect(), first_received_at))
}

fn candidates<'a>(input: &InputRules, (study_uid, study): (&'a Uid, &'a Study)) -> Vec<Candidate<'a>> {
    let fits = |series: &Series| {
        series.images.len() > 0
            && series.modality == input.modality
            && series.attributes.all_match(&input.matches)
            && !series.attributes.any_match(&input.exclude)
    };
    let all = study.series.iter().filter(|(_, series)| fits(series));
    all.map(|(uid, series)| Candidate { study_uid, study, uid, series }).collect()
}

/// Those that the preferences leave: each decides only between what the one before left equal.
fn preferred<'a>(mut left: Vec<Candidate<'a>>, input: &InputRules) -> Vec<Candidate<'a>> {
    for rule in &input.prefer {
        let Some(best) = left.iter().copied().max_by(|a, b| rank(*rule, a.series, b.series)) else { break };
        left.retain(|candidate| rank(*rule, candidate.series, best.series).is_eq());
    }
    left
}

/// The greater one is preferred. What does not say its thickness or its time comes last.
fn rank(rule: Prefer, a: &Series, b: &Series) -> Ordering {
    let thickness = |series: &Series| series.thickness_mm.unwrap_or(f64::INFINITY);
    match rule {
        Prefer::Thinnest => thickness(b).total_cmp(&thickness(a)),
        Prefer::Newest => a.made_at.cmp(&b.made_at),
        Prefer::Largest => a.n_frames.cmp(&b.n_frames),
    }
}

//! Which RTSTRUCT, SEG and REG objects are part of a case, and which series they name.
//!
//! An object belongs to the case when it names a series that plays a role. One that names no series belongs when an image of
//! its own study that plays a role has its Frame of Reference, and so does one whose series did not come: its regions are in
//! patient space, and where they fit is judged by geometry later. What names other series of its study was drawn on these,
//! and what names series of other patients or of studies that cannot be linked is not of this case.

use std::collections::{BTreeMap, BTreeSet};

use super::choose::Role;
use super::draft::Scene;
use super::marking::{Marking, MarkingKind};
use super::series::Series;
use super::study::Study;
use super::{Annotation, AnnotationKind};
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;
use crate::finding::{Finding, FindingKind, Policy};

/// The objects of a case, and what they ask for.
#[derive(Debug, Default)]
pub(super) struct Annotations<'a> {
    /// Regions to take, with the moment when each came.
    pub regions: Vec<(Annotation, Timestamp)>,
    /// Whether one of them is to be measured.
    pub has_measured: bool,
    /// Drawings that hold a region to measure, on series of the case's studies that play no role.
    pub n_on_others: usize,
    /// REG objects, with the moment when each came.
    pub registrations: Vec<(Uid, Timestamp)>,
    /// Series that all these lie in or name, and that are there.
    pub there: BTreeMap<&'a Uid, (&'a Uid, &'a Study, &'a Series)>,
    /// Series that they name and that did not come, with the role that it concerns.
    pub absent: BTreeMap<&'a Uid, &'a str>,
    /// Remarks that hold whatever comes.
    pub findings: Vec<Finding>,
}

/// What a marking is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target<'a> {
    /// A series that plays a role.
    Series(&'a Uid),
    /// Any series of this Frame of Reference.
    Frame(&'a Uid),
}

/// A marking and what it has to do with the case.
struct Link<'a> {
    marking: &'a Marking,
    study: (&'a Uid, &'a Study),
    series: (&'a Uid, &'a Series),
    targets: Vec<Target<'a>>,
    named: Named<'a>,
    is_measured: bool,
    is_used: bool,
}

/// The series that a marking names.
#[derive(Default)]
struct Named<'a> {
    in_roles: Vec<&'a Uid>,
    there: Vec<(&'a Uid, &'a Study, &'a Uid, &'a Series)>,
    absent: Vec<&'a Uid>,
    outside: Vec<&'a Uid>,
}

/// Finds them.
pub(super) fn annotations<'a>(scene: &Scene<'a>, roles: &[Role<'a>]) -> Annotations<'a> {
    let mut found = Annotations::default();
    let mut regions = Vec::new();
    let mut registrations = Vec::new();
    for link in links(scene, roles, &mut found.n_on_others) {
        match link.marking.kind {
            MarkingKind::Annotation(kind) => regions.push((kind, link)),
            MarkingKind::Registration => registrations.push(link),
        }
    }
    for ((kind, link), targets) in regions.iter().zip(newest(&regions)) {
        found.take_region(*kind, link, targets.as_deref(), roles);
    }
    // Of several REG objects of one label for the same series the newest counts, as for drawings.
    registrations.sort_by(|a, b| b.marking.age().cmp(&a.marking.age()));
    let mut seen = BTreeSet::new();
    for link in &registrations {
        let mut named: Vec<&Uid> = link.marking.facts.references.iter().collect();
        named.sort_unstable();
        if !link.marking.is_rejected() && seen.insert((named, &link.marking.facts.label)) {
            found.registrations.push((link.marking.instance.clone(), link.marking.received_at));
            found.take_names(link, roles);
        }
    }
    found.regions.sort_by(|a, b| a.0.instance.cmp(&b.0.instance));
    found.registrations.sort();
    found.findings.sort_by(|a, b| (a.kind, &a.subject, &a.detail).cmp(&(b.kind, &b.subject, &b.detail)));
    found.findings.dedup();
    found
}

impl<'a> Annotations<'a> {
    /// `targets`: what no newer drawing took from it; `None` where nothing was known to take.
    fn take_region(
        &mut self,
        kind: AnnotationKind,
        link: &Link<'a>,
        targets: Option<&[Target<'a>]>,
        roles: &[Role<'a>],
    ) {
        let marking = link.marking;
        if !link.is_used || targets.is_some_and(<[_]>::is_empty) {
            return;
        }
        let role = targets.unwrap_or_default().first().map_or("", |target| role_of(target, roles));
        if marking.is_rejected() {
            if targets.is_some() {
                let detail = "the newest drawing is REJECTED and not used";
                let finding = Finding::new(FindingKind::StructureSetNotApproved, role, detail);
                self.findings.push(Finding { policy: Policy::Reject, ..finding });
            }
            return;
        }
        self.take_names(link, roles);
        let Some(targets) = targets else { return };
        if kind == AnnotationKind::StructureSet && marking.facts.approval != "APPROVED" {
            let detail = match marking.facts.approval.as_str() {
                "UNAPPROVED" => "approval status is UNAPPROVED",
                "" => "approval status is absent",
                _ => "approval status is unknown",
            };
            self.findings.push(Finding::new(FindingKind::StructureSetNotApproved, role, detail));
        }
        self.has_measured |= link.is_measured;
        let references = targets.iter().filter_map(|target| match target {
            Target::Series(uid) => Some((*uid).clone()),
            Target::Frame(_) => None,
        });
        let annotation = Annotation {
            instance: marking.instance.clone(),
            series: link.series.0.clone(),
            study: link.study.0.clone(),
            kind,
            references: references.collect(),
            approval: marking.facts.approval.clone(),
        };
        self.regions.push((annotation, marking.received_at));
    }

    /// Closure: every series that it names must be there.
    fn take_names(&mut self, link: &Link<'a>, roles: &[Role<'a>]) {
        self.there.insert(link.series.0, (link.study.0, link.study.1, link.series.1));
        for (study_uid, study, uid, series) in &link.named.there {
            self.there.insert(uid, (study_uid, study, series));
        }
        let role = link.named.in_roles.first().map_or("", |uid| role_of(&Target::Series(uid), roles));
        for uid in &link.named.absent {
            self.absent.entry(uid).or_insert(role);
        }
        for uid in &link.named.outside {
            let detail = format!("series {} is in a study that cannot be linked", uid.short_hash());
            self.findings.push(Finding::new(FindingKind::ReferencedSeriesMissing, role, detail));
        }
    }
}

fn links<'a>(scene: &Scene<'a>, roles: &[Role<'a>], n_on_others: &mut usize) -> Vec<Link<'a>> {
    let mut links = Vec::new();
    for study in &scene.studies {
        for series in &study.1.series {
            for marking in &series.1.markings {
                let named = named(scene, roles, marking);
                let roi = &scene.protocol.roi;
                let is_measured = marking.facts.roi_names.iter().any(|name| roi.takes(name));
                let is_used = is_measured || marking.facts.roi_names.iter().any(|name| roi.uses(name));
                let targets = match targets(roles, study.0, marking, &named) {
                    Some(targets) => targets,
                    None => {
                        *n_on_others += usize::from(is_measured && !named.there.is_empty());
                        continue;
                    }
                };
                links.push(Link { marking, study: *study, series, targets, named, is_measured, is_used });
            }
        }
    }
    links
}

/// What the marking is drawn on, nothing while it may still come; `None`: it is not of this case.
fn targets<'a>(roles: &[Role<'a>], study: &Uid, marking: &'a Marking, named: &Named<'a>) -> Option<Vec<Target<'a>>> {
    if !named.in_roles.is_empty() {
        return Some(named.in_roles.iter().copied().map(Target::Series).collect());
    }
    let has_frame = |frame: &Uid| {
        let mut images = roles.iter().filter_map(Role::chosen).filter(|image| image.study_uid == study);
        images.any(|image| image.series.frame_of_reference.as_ref() == Some(frame))
    };
    let frame = marking.frame_of_reference.as_ref().filter(|frame| has_frame(frame)).map(Target::Frame);
    let names_none = marking.facts.references.is_empty();
    let may_come = !named.absent.is_empty() && marking.kind != MarkingKind::Registration;
    (names_none && frame.is_some() || may_come).then(|| frame.into_iter().collect())
}

fn named<'a>(scene: &Scene<'a>, roles: &[Role<'a>], marking: &'a Marking) -> Named<'a> {
    let mut named = Named::default();
    for uid in &marking.facts.references {
        let Some(places) = scene.places.get(uid) else {
            named.absent.push(uid);
            continue;
        };
        let here = places.iter().find_map(|place| {
            let study = scene.studies.iter().find(|(study, _)| *study == place)?;
            Some((study.0, study.1, uid, study.1.series.get(uid)?))
        });
        let Some(here) = here else {
            named.outside.push(uid);
            continue;
        };
        named.there.push(here);
        if roles.iter().filter_map(Role::chosen).any(|image| image.uid == uid && image.study_uid == here.0) {
            named.in_roles.push(uid);
        }
    }
    named
}

fn role_of<'a>(target: &Target<'_>, roles: &[Role<'a>]) -> &'a str {
    let has = |role: &&Role<'a>| role.chosen().is_some_and(|image| *target == Target::Series(image.uid));
    roles.iter().find(has).map_or("", |role| role.rules.role.as_str())
}

/// For each drawing what it is the newest of: per target and label the newest structure set, and the newest segmentation of
/// each segment. `None` for one that has no target.
///
/// A structure set replaces the one before as a whole. Segmentations of one label that share no segment are no versions of
/// each other: many writers make one object per segment and label them all alike. A rejected drawing replaces nothing.
fn newest<'a>(regions: &[(AnnotationKind, Link<'a>)]) -> Vec<Option<Vec<Target<'a>>>> {
    let mut lines: BTreeMap<(Target<'a>, &str), Vec<usize>> = BTreeMap::new();
    for (index, (_, link)) in regions.iter().enumerate() {
        for target in &link.targets {
            lines.entry((*target, &link.marking.facts.label)).or_default().push(index);
        }
    }
    let mut newest: Vec<_> = regions.iter().map(|(_, link)| (!link.targets.is_empty()).then(Vec::new)).collect();
    for ((target, _), mut line) in lines {
        line.sort_by(|a, b| regions[*b].1.marking.age().cmp(&regions[*a].1.marking.age()));
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut has_set = false;
        for index in line {
            let (kind, link) = &regions[index];
            let is_set = *kind == AnnotationKind::StructureSet;
            let own = &link.marking.facts.roi_names;
            let is_replaced = has_set && is_set || own.iter().any(|name| names.contains(name.as_str()));
            if !link.marking.is_rejected() {
                has_set |= is_set;
                names.extend(own.iter().map(String::as_str));
            }
            if !is_replaced && let Some(targets) = &mut newest[index] {
                targets.push(target);
            }
        }
    }
    newest
}

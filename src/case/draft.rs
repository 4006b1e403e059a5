//! A case as it stands at one moment: which series play its roles, what is drawn on them, what is still missing. No clock.

use std::collections::{BTreeMap, BTreeSet};

use super::annotations::{Annotations, annotations};
use super::choose::{Role, roles};
use super::handed::Item;
use super::rules::ProtocolRules;
use super::series::Series;
use super::study::Study;
use super::{CaseId, CaseSpec, RoleInput};
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;
use crate::finding::{Finding, FindingKind, Policy};

/// What a case is made from.
pub(super) struct Scene<'a> {
    /// The protocol that takes it.
    pub protocol: &'a ProtocolRules,
    /// The anchor study, then those that are linked with it.
    pub studies: Vec<(&'a Uid, &'a Study)>,
    /// The studies of every series that is stored, of these and of others.
    pub places: &'a BTreeMap<Uid, Vec<Uid>>,
    /// Whether another study contradicts the anchor's identity.
    pub is_contradicted: bool,
}

/// A case at one moment.
pub(super) struct Draft<'a> {
    /// Its roles, in the order of the protocol.
    pub roles: Vec<Role<'a>>,
    /// What is drawn and registered.
    pub annotations: Annotations<'a>,
    /// When the first image came of what can be its reference.
    pub first_received_at: Timestamp,
    protocol: &'a ProtocolRules,
}

/// Something that a case waits for until its deadline.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Lack {
    /// A required role that no series fits.
    Role(String),
    /// A region to measure; drawings of one lie on so many series that play no role.
    Region(usize),
    /// A series that an annotation names: its short hash, and the role that it concerns.
    Series(String, String),
    /// Slices of a role.
    Slices { role: String, n: u64, spacing_mm: f64 },
}

impl<'a> Draft<'a> {
    /// The case of a protocol that is anchored in the scene's first study; `None` where the protocol does not take it.
    pub(super) fn new(scene: &Scene<'a>) -> Option<Self> {
        let (roles, first_received_at) = roles(scene)?;
        let annotations = annotations(scene, &roles);
        Some(Self { roles, annotations, first_received_at, protocol: scene.protocol })
    }

    /// The series that it is made from, each with its study: those chosen, those among which there is no choice, what is drawn
    /// on them, what that names.
    pub(super) fn used(&self) -> impl Iterator<Item = (&'a Uid, &'a Study, &'a Uid, &'a Series)> {
        let in_roles = self.roles.iter().flat_map(|role| &role.left);
        let in_roles = in_roles.map(|found| (found.study_uid, found.study, found.uid, found.series));
        let named =
            self.annotations.there.iter().map(|(uid, (study_uid, study, series))| (*study_uid, *study, *uid, *series));
        in_roles.chain(named)
    }

    /// Roles that several series fit.
    pub(super) fn ambiguous(&self) -> impl Iterator<Item = &Role<'a>> {
        self.roles.iter().filter(|role| role.left.len() > 1)
    }

    /// What is missing as long as it does not come.
    pub(super) fn lacks(&self) -> Vec<Lack> {
        let mut lacks = Vec::new();
        for role in &self.roles {
            let name = role.rules.role.clone();
            match role.chosen() {
                None if role.rules.required && role.left.is_empty() => lacks.push(Lack::Role(name)),
                None => {}
                Some(image) => {
                    if let Some(missing) = image.series.missing_slices() {
                        lacks.push(Lack::Slices { role: name, n: missing.n, spacing_mm: missing.spacing_mm });
                    }
                }
            }
        }
        if !self.is_measurable() {
            lacks.push(Lack::Region(self.annotations.n_on_others));
        }
        let absent = self.annotations.absent.iter();
        lacks.extend(absent.map(|(uid, role)| Lack::Series(uid.short_hash(), (*role).to_owned())));
        lacks
    }

    /// Whether there is a region to measure, or a rule that makes one.
    pub(super) fn is_measurable(&self) -> bool {
        self.annotations.has_measured || !self.protocol.roi.required
    }

    /// The remarks on what did not come, besides what is lacking.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let absent = |role: &&Role<'_>| role.left.is_empty() && !role.rules.required;
        let missing = self.roles.iter().filter(absent).map(|role| {
            Finding::new(FindingKind::RoleMissing, role.rules.role.as_str(), "no series fits this optional role")
        });
        missing.chain(self.annotations.findings.iter().cloned()).collect()
    }

    /// What it is made of, in a form that can be compared with what was handed out before, and when each came.
    pub(super) fn items(&self) -> Vec<(Item, Timestamp)> {
        let inputs = self.roles.iter().filter_map(|role| {
            let image = role.chosen()?;
            let item = Item::input(&role.rules.role, image.series.key, image.series.images.digest());
            Some((item, image.series.last_received_at))
        });
        let regions = self.annotations.regions.iter().map(|(annotation, at)| (Item::annotation(annotation), *at));
        let registrations = self.annotations.registrations.iter().map(|(uid, at)| (Item::registration(uid), *at));
        inputs.chain(regions).chain(registrations).collect()
    }

    /// The case as the pipeline gets it.
    pub(super) fn spec(&self, id: &CaseId, revision: u32, findings: Vec<Finding>) -> CaseSpec {
        let inputs = self.roles.iter().filter_map(|role| {
            let image = role.chosen()?;
            Some(RoleInput {
                role: role.rules.role.clone(),
                series: image.uid.clone(),
                study: image.study_uid.clone(),
                instances: image.series.images.uids(),
            })
        });
        CaseSpec {
            id: id.clone(),
            revision,
            protocol: self.protocol.name.clone(),
            inputs: inputs.collect(),
            annotations: self.annotations.regions.iter().map(|(annotation, _)| annotation.clone()).collect(),
            registrations: self.annotations.registrations.iter().map(|(uid, _)| uid.clone()).collect(),
            findings,
        }
    }

    /// The studies from which it takes series, without the anchor.
    pub(super) fn lenders(&self, anchor: &Uid) -> BTreeSet<Uid> {
        self.used().map(|(study, ..)| study).filter(|study| *study != anchor).cloned().collect()
    }
}

impl Lack {
    /// What is waited for.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Role(role) => format!("a series for the role {role}"),
            Self::Region(0) => "a drawn region that the protocol measures".to_owned(),
            Self::Region(n) => {
                format!("a drawn region that the protocol measures on a series of its roles ({n} are on other series)")
            }
            Self::Series(hash, _) => format!("series {hash}, which an annotation names"),
            Self::Slices { role, n: 1, .. } => format!("a missing slice of the role {role}"),
            Self::Slices { role, n, .. } => format!("{n} missing slices of the role {role}"),
        }
    }

    /// The remark on it, once it is no longer waited for.
    pub(super) fn finding(&self) -> Option<Finding> {
        let finding = match self {
            Self::Role(role) => Finding::new(
                FindingKind::RoleMissing,
                role,
                "no series that fits this required role came until the deadline",
            ),
            Self::Region(_) => return None,
            Self::Series(hash, role) => {
                let detail = format!("series {hash}, which an annotation names, did not come until the deadline");
                Finding::new(FindingKind::ReferencedSeriesMissing, role, detail)
            }
            Self::Slices { role, n, spacing_mm } => {
                let detail = format!("{n} missing at a spacing of {spacing_mm:.4} mm, none came until the deadline");
                // Grouping lets it through: whether a volume can be made of it is decided by the site's policy there.
                Finding { policy: Policy::Accept, ..Finding::new(FindingKind::MissingSlice, role, detail) }
            }
        };
        Some(finding)
    }
}

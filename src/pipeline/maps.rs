//! The maps between the roles' spaces.

use rayon::prelude::*;

use super::given;
use super::remarks::Remarks;
use super::roles::Role;
use crate::config::Protocol;
use crate::finding::{FindingKind, Policy};
use crate::image::Transform;
use crate::register::{self, Estimation, Pair, Registration, RegistrationSource, Settings};
use crate::report::{RegistrationResult, Space};
use crate::volume::RegistrationObject;

/// The map from the reference's space to one role's.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) registration: Registration,
    /// Whether features may be measured through it.
    pub(super) usable: bool,
    /// Whether regions may be compared through it: an overlap of one half forgives the millimetres that a feature does not,
    /// but not a frame of reference that has nothing to do with the other.
    pub(super) comparable: bool,
}

/// One map per role, in their order.
/// `given` are the registration objects of the case: where one tells of a role, its map comes before an estimate.
pub(super) fn between(
    roles: &[Role<'_>],
    given: &[RegistrationObject],
    protocol: &Protocol,
    remarks: &mut Remarks<'_>,
) -> Vec<Map> {
    let Some(reference) = roles.iter().find(|role| role.name() == protocol.reference) else { return Vec::new() };
    remark_on_assumed_resolutions(roles, protocol, remarks);
    let settings = Settings {
        transform: protocol.registration.transform,
        same_frame: protocol.registration.same_frame_of_reference,
        estimation: Estimation { measure: protocol.registration.measure, ..Estimation::default() },
    };
    let told: Vec<Option<Transform>> = roles.iter().map(|role| given::map(given, reference, role, remarks)).collect();
    let registrations: Vec<(Registration, bool)> = roles
        .par_iter()
        .zip(told)
        .map(|(role, told)| {
            if role.name() == reference.name() {
                return (Registration::of_reference(), true);
            }
            let frame = &role.series.frame_of_reference;
            let same_frame = frame.is_some() && *frame == reference.series.frame_of_reference;
            let pair = Pair { given: told, ..pair(reference, role, same_frame) };
            (register::register(&pair, &settings), same_frame)
        })
        .collect();
    for (role, (registration, _)) in roles.iter().zip(&registrations) {
        let quality = registration.quality.words();
        if role.name() != reference.name() && !quality.is_empty() {
            remarks.note(format!("{} to {}: {quality}", role.name(), reference.name()));
        }
    }
    registrations.into_iter().map(|(registration, same_frame)| map(registration, same_frame, remarks)).collect()
}

fn pair<'a>(reference: &'a Role<'_>, role: &'a Role<'_>, same_frame: bool) -> Pair<'a> {
    Pair {
        fixed: &reference.volume,
        moving: &role.volume,
        fixed_modality: reference.input.modality,
        moving_modality: role.input.modality,
        fixed_psf: reference.psf,
        moving_psf: role.psf,
        same_frame,
        given: None,
        subject: role.name(),
    }
}

/// A map that is not trusted is used all the same where the site accepts the finding that says so.
fn map(registration: Registration, same_frame: bool, remarks: &mut Remarks<'_>) -> Map {
    let mut accepted = false;
    for finding in &registration.findings {
        let finding = remarks.policies().finding(finding.kind, finding.subject.clone(), finding.detail.clone());
        let says_so = matches!(finding.kind, FindingKind::RegistrationNotTrusted | FindingKind::NoCommonFrame);
        accepted |= says_so && finding.policy != Policy::Reject;
        remarks.extend([finding]);
    }
    let usable = registration.trusted || accepted;
    Map { usable, comparable: usable || same_frame, registration }
}

/// A resolution that nothing tells is remarked on where it decides something: between two images.
fn remark_on_assumed_resolutions(roles: &[Role<'_>], protocol: &Protocol, remarks: &mut Remarks<'_>) {
    let decides = roles.len() > 1 && protocol.features.space.contains(&Space::Aligned);
    for role in roles.iter().filter(|role| decides && role.known_psf.is_assumed()) {
        remarks.find(FindingKind::ResolutionAssumed, role.name(), role.known_psf.words());
    }
}

/// The map from the space of one role to that of another; `None` where one has no inverse.
pub(super) fn from_to(maps: &[Map], from: usize, to: usize) -> Option<Transform> {
    if from == to {
        return Some(Transform::Identity);
    }
    let to_reference = maps.get(from)?.registration.fixed_to_moving.inverse()?;
    Some(to_reference.then(&maps.get(to)?.registration.fixed_to_moving))
}

/// The map from the reference's space to that of a role.
pub(super) fn from_reference(maps: &[Map], role: usize) -> Option<&Transform> {
    maps.get(role).map(|map| &map.registration.fixed_to_moving)
}

/// The maps as the documents tell them: one per role that is not the reference.
pub(super) fn results(roles: &[Role<'_>], maps: &[Map], protocol: &Protocol) -> Vec<RegistrationResult> {
    let others = roles.iter().zip(maps).filter(|(role, _)| role.name() != protocol.reference);
    let result = |(role, map): (&Role<'_>, &Map)| RegistrationResult {
        role: role.name().to_owned(),
        fixed_to_moving: map.registration.fixed_to_moving.clone(),
        estimated: map.registration.source == RegistrationSource::Estimate,
        trusted: map.registration.trusted,
        quality: map.registration.quality.clone(),
        note: map.registration.note.clone(),
    };
    others.map(result).collect()
}

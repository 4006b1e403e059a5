//! One pair of images: which map is used, where it comes from, and whether it can be trusted.

use serde::{Deserialize, Serialize};

use super::quality::overlap;
use super::{Quality, SameFrame, Settings};
use crate::finding::{Finding, FindingKind};
use crate::image::{Modality, Psf, Transform, Volume};

/// What is known of a pair.
#[derive(Debug, Clone)]
pub struct Pair<'a> {
    /// The reference's image.
    pub fixed: &'a Volume<f32>,
    /// The image that is brought to it.
    pub moving: &'a Volume<f32>,
    /// What physics made the fixed image.
    pub fixed_modality: Modality,
    /// What physics made the moving image.
    pub moving_modality: Modality,
    /// Resolution of the fixed image.
    pub fixed_psf: Psf,
    /// Resolution of the moving image.
    pub moving_psf: Psf,
    /// Whether both name one Frame of Reference UID (0020,0052).
    pub same_frame: bool,
    /// The map of a registration object of the case, fixed to moving, where there is one.
    pub given: Option<Transform>,
    /// The moving role's name, for findings.
    pub subject: &'a str,
}

/// Where a map comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationSource {
    /// The common Frame of Reference.
    Identity,
    /// A registration object of the case.
    RegObject,
    /// The images.
    Estimate,
}

/// The map between the reference and one other role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Reference space to the role's space, LPS mm.
    pub fixed_to_moving: Transform,
    /// Where it comes from.
    pub source: RegistrationSource,
    /// Whether features may be measured through it.
    pub trusted: bool,
    /// What was measured on it.
    pub quality: Quality,
    /// Remarks.
    pub findings: Vec<Finding>,
    /// One sentence on what was done and what was not.
    pub note: String,
}

impl Registration {
    /// The reference to itself.
    #[must_use]
    pub fn of_reference() -> Self {
        Self {
            fixed_to_moving: Transform::Identity,
            source: RegistrationSource::Identity,
            trusted: true,
            quality: Quality::default(),
            findings: Vec::new(),
            note: "the reference itself".to_owned(),
        }
    }
}

/// The map between the spaces of a pair.
///
/// Without a registration object and without a common Frame of Reference the result is an identity that is not trusted.
#[must_use]
pub fn register(pair: &Pair<'_>, settings: &Settings) -> Registration {
    if let Some(given) = &pair.given {
        let note = "registration object of the case; not verified against the images".to_owned();
        return found(pair, given.clone(), RegistrationSource::RegObject, note);
    }
    if pair.same_frame {
        let asked = match settings.same_frame {
            SameFrame::Trust => "as configured",
            SameFrame::Verify => "verification asked for but no estimate was made",
            SameFrame::Refine => "refinement asked for but no estimate was made",
        };
        let note = format!("identity: the images share a Frame of Reference ({asked})");
        return found(pair, Transform::Identity, RegistrationSource::Identity, note);
    }
    let detail = "the images name different frames of reference and the case holds no registration object";
    let mut registration = found(pair, Transform::Identity, RegistrationSource::Identity, detail.to_owned());
    registration.trusted = false;
    registration.findings.push(Finding::new(FindingKind::NoCommonFrame, pair.subject, detail));
    registration
}

fn found(pair: &Pair<'_>, map: Transform, source: RegistrationSource, note: String) -> Registration {
    let share = overlap(&pair.fixed.geometry, &pair.moving.geometry, &map);
    Registration {
        fixed_to_moving: map,
        source,
        trusted: true,
        quality: Quality { overlap: Some(share) },
        findings: Vec::new(),
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;

    fn volume() -> Volume<f32> {
        Volume::filled(Geometry::new([4, 4, 4], [1.0; 3], [0.0; 3], IDENTITY).unwrap(), 0.0)
    }

    fn pair(image: &Volume<f32>, same_frame: bool) -> Pair<'_> {
        let psf = Psf { fwhm_mm: [1.0; 3] };
        Pair {
            fixed: image,
            moving: image,
            fixed_modality: Modality::Ct,
            moving_modality: Modality::Pet,
            fixed_psf: psf,
            moving_psf: psf,
            same_frame,
            given: None,
            subject: "PT",
        }
    }

    #[test]
    fn a_common_frame_gives_the_identity_and_says_that_nobody_verified_it() {
        let image = volume();
        let found = register(&pair(&image, true), &Settings::default());
        assert!(found.trusted && found.fixed_to_moving.is_identity());
        assert_eq!(found.source, RegistrationSource::Identity);
        assert!(found.note.contains("no estimate"));
    }

    #[test]
    fn images_without_a_common_frame_are_not_trusted() {
        let image = volume();
        let found = register(&pair(&image, false), &Settings::default());
        assert!(!found.trusted);
        assert_eq!(found.findings[0].kind, FindingKind::NoCommonFrame);
        assert_eq!(found.findings[0].subject, "PT");
    }

    #[test]
    fn a_registration_object_comes_before_the_frame() {
        let image = volume();
        let shift = Transform::translation([1.0, 0.0, 0.0]);
        let found = register(&Pair { given: Some(shift.clone()), ..pair(&image, false) }, &Settings::default());
        assert!(found.trusted);
        assert_eq!(found.fixed_to_moving, shift);
        assert_eq!(found.source, RegistrationSource::RegObject);
        assert!(found.quality.overlap.unwrap() < 1.0);
    }
}

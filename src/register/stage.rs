//! One pair of images: which map is used, where it comes from, and whether it can be trusted.

use serde::{Deserialize, Serialize};

use super::estimate::{self, Estimate};
use super::pyramid::{Level, NoEstimate, Pyramid};
use super::quality::{dice, overlap};
use super::{Quality, SameFrame, Settings, TransformKind, deform, search, uncertainty};
use crate::finding::{Finding, FindingKind};
use crate::image::{Affine, Modality, Psf, Transform, Volume};
use crate::math::linalg;

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

/// By how much the normalised mutual information of the inverse has to be higher before an object is called inverted: more
/// than noise, less than what a misfit of a few millimetres costs.
const INVERTED_NMI: f64 = 0.002;

/// The map between the spaces of a pair.
///
/// A registration object of the case comes first; its inverse is taken where the images fit only so. Images that share a
/// Frame of Reference are verified, trusted or refined as configured. All others are estimated. What is estimated is trusted
/// only where both estimators lie within [`Estimation::agreement_mm`](super::Estimation::agreement_mm) of their middle.
#[must_use]
pub fn register(pair: &Pair<'_>, settings: &Settings) -> Registration {
    if let Some(given) = &pair.given {
        return of_object(pair, given, settings);
    }
    let sought = settings.transform != TransformKind::None;
    if pair.same_frame && (!sought || settings.same_frame == SameFrame::Trust) {
        let note = "identity: the images share a Frame of Reference (as configured, not verified)".to_owned();
        return found(pair, Transform::Identity, RegistrationSource::Identity, note);
    }
    if !sought {
        return without_map(pair, "the images name different frames of reference and no estimate is asked for");
    }
    let estimated = Pyramid::new(pair, &settings.estimation).and_then(|pyramid| {
        let estimate = estimate::estimate(&pyramid, &settings.estimation)?;
        Ok((pyramid, estimate))
    });
    match estimated {
        Ok((pyramid, estimate)) => judged(pair, &pyramid, &estimate, settings),
        Err(reason) => without_estimate(pair, reason),
    }
}

/// What becomes of an estimate.
fn judged(pair: &Pair<'_>, pyramid: &Pyramid, estimate: &Estimate, settings: &Settings) -> Registration {
    let apart = estimate.disagreement_mm();
    let near = apart.is_some_and(|apart| 0.5 * apart <= settings.estimation.agreement_mm);
    let agree = near && estimate.most_met;
    let from_header = estimate.frame.distance_mm(&estimate.map, &Affine::IDENTITY);
    let tolerance = 0.5 * target_fwhm_mm(pair);
    let opinion = match apart {
        Some(apart) if estimate.most_met => format!("the estimators differ by {apart:.1} mm"),
        Some(apart) => {
            format!("the estimators differ by {apart:.1} mm, and most starts of the second one end elsewhere")
        }
        None => "the second estimator found nothing to match".to_owned(),
    };
    if pair.same_frame && settings.same_frame == SameFrame::Verify && from_header <= tolerance {
        let note = format!(
            "identity: verified, the images place it {from_header:.1} mm off, up to {tolerance:.1} mm stand; {opinion}"
        );
        let mut registration = found(pair, Transform::Identity, RegistrationSource::Identity, note);
        measure(&mut registration, pyramid, estimate, settings);
        return registration;
    }
    let bent = bent(pair, pyramid, estimate, agree, settings);
    let note = format!("estimated from the images, {from_header:.1} mm from the header; {opinion}{}", bent.note);
    let mut registration = found(pair, bent.map, RegistrationSource::Estimate, note);
    measure(&mut registration, pyramid, estimate, settings);
    if let Some((range, folded)) = bent.jacobian {
        (registration.quality.jacobian, registration.quality.folded_share) = (Some(range), Some(folded));
    }
    if let Some([before, after]) = bent.nmi {
        (registration.quality.nmi_before, registration.quality.nmi_after) = (Some(before), Some(after));
    }
    if !agree {
        registration.trusted = false;
        let detail = format!("{opinion}, each may lie {:.1} mm from their middle", settings.estimation.agreement_mm);
        registration.findings.push(Finding::new(FindingKind::RegistrationNotTrusted, pair.subject, detail));
    }
    if pair.same_frame && from_header > tolerance {
        let detail = format!("the images place it {from_header:.1} mm from the common frame of reference; {opinion}");
        registration.findings.push(Finding::new(FindingKind::FrameOfReferenceMisaligned, pair.subject, detail));
    }
    registration
}

/// A map that goes on from the rigid one.
struct Bent {
    map: Transform,
    /// Range of the Jacobian over the body and the share that folds, of a map that bends.
    jacobian: Option<((f64, f64), f64)>,
    /// Normalised mutual information before and after, where it was measured on the way.
    nmi: Option<[f64; 2]>,
    /// How it came about, to be added to a sentence.
    note: &'static str,
}

/// Frees the rigid map as far as is asked for, where both estimators agree on it: a bend can make any two images alike.
fn bent(pair: &Pair<'_>, pyramid: &Pyramid, estimate: &Estimate, agree: bool, settings: &Settings) -> Bent {
    let rigid = |note| Bent { map: Transform::Affine(estimate.map), jacobian: None, nmi: None, note };
    let (TransformKind::Affine | TransformKind::Bspline) = settings.transform else { return rigid("") };
    let Some(finest) = pyramid.levels.last().filter(|_| agree) else { return rigid("; left rigid") };
    let affine = search::refine_affine(finest, &estimate.map, &settings.estimation).map;
    let stretched = linalg::determinant(affine.linear());
    // Bodies of one patient do not differ by half of their volume.
    let linear = if (2.0 / 3.0..=1.5).contains(&stretched) { affine } else { estimate.map };
    if settings.transform == TransformKind::Affine {
        let determinant = linalg::determinant(linear.linear());
        let jacobian = Some(((determinant, determinant), 0.0));
        return Bent { map: Transform::Affine(linear), jacobian, nmi: None, note: "; then freed to be affine" };
    }
    let finer = Pyramid::bending(pair, &settings.estimation).ok();
    let field = finer.and_then(|finer| deform::deform(&finer, &estimate.map, &settings.estimation));
    let Some(field) = field else { return rigid("; left rigid: every field that was found folds") };
    let map = Transform::Chain(vec![Transform::Displacement(field.displacement), Transform::Affine(estimate.map)]);
    let jacobian = Some((field.jacobian, field.folded_share));
    Bent { map, jacobian, nmi: Some(field.nmi), note: "; then freed to bend" }
}

/// Full width of the coarser image along its coarsest axis: what both will be blurred to.
fn target_fwhm_mm(pair: &Pair<'_>) -> f64 {
    pair.fixed_psf.fwhm_mm.iter().chain(&pair.moving_psf.fwhm_mm).copied().fold(0.0, f64::max)
}

/// Fills in what can be measured on a map at the finest resolution.
fn measure(registration: &mut Registration, pyramid: &Pyramid, estimate: &Estimate, settings: &Settings) {
    let Some(finest) = pyramid.levels.last() else { return };
    let map = registration.fixed_to_moving.as_affine().unwrap_or(estimate.map);
    let frame = &estimate.frame;
    let nmi = |map: &Affine| {
        let value = search::value_at(finest, map);
        (value.overlap > 0.05).then_some(value.nmi)
    };
    let near: Vec<f64> = estimate
        .coarse
        .iter()
        .map(|candidate| frame.distance_mm(&candidate.map, &estimate.map))
        .filter(|distance| *distance <= search::REACH_MM)
        .collect();
    #[allow(clippy::cast_precision_loss)] // a few candidates
    let (n_near, n) = (near.len() as f64, estimate.coarse.len() as f64);
    registration.quality = Quality {
        nmi_before: nmi(&Affine::IDENTITY),
        nmi_after: nmi(&map),
        body_dice: dice(&finest.fixed_body, &finest.moving_body, &registration.fixed_to_moving),
        from_header_mm: Some(frame.distance_mm(&estimate.map, &Affine::IDENTITY)),
        disagreement_mm: estimate.disagreement_mm(),
        inverse_consistency_mm: estimate.inverse_consistency_mm(finest, &settings.estimation),
        multi_start_spread_mm: (n_near > 0.0).then(|| near.iter().sum::<f64>() / n_near),
        multi_start_share: (n > 0.0).then(|| n_near / n),
        uncertainty: (settings.estimation.bootstrap_draws > 0)
            .then(|| uncertainty::of_estimate(finest, estimate, &map, &settings.estimation)),
        ..registration.quality.clone()
    };
}

/// A registration object, its matrix checked against the images in both directions: published exporters invert it.
fn of_object(pair: &Pair<'_>, given: &Transform, settings: &Settings) -> Registration {
    let used = |map: Transform, note: &str| found(pair, map, RegistrationSource::RegObject, note.to_owned());
    let (Some(map), Ok(pyramid)) = (given.as_affine(), Pyramid::new(pair, &settings.estimation)) else {
        return used(given.clone(), "registration object of the case; not verified against the images");
    };
    let Some(finest) = pyramid.levels.last() else { return used(given.clone(), "registration object of the case") };
    let [as_given, inverted, before] = [map, map.inverse(), Affine::IDENTITY].map(|map| in_overlap(finest, &map));
    let by = inverted.unwrap_or(0.0) - as_given.unwrap_or(0.0);
    let mut registration = if by > INVERTED_NMI {
        let mut registration =
            used(Transform::Affine(map.inverse()), "registration object of the case, inverted: the images fit only so");
        let detail = format!("normalised mutual information is {by:.4} higher with the inverse of its matrix");
        registration.findings.push(Finding::new(FindingKind::RegistrationObjectInverted, pair.subject, detail));
        registration
    } else {
        used(given.clone(), "registration object of the case, compared with the images in both directions")
    };
    registration.quality.nmi_before = before;
    registration.quality.nmi_after = if by > INVERTED_NMI { inverted } else { as_given };
    registration.quality.body_dice = dice(&finest.fixed_body, &finest.moving_body, &registration.fixed_to_moving);
    registration
}

/// Normalised mutual information where there is enough overlap to say anything.
fn in_overlap(level: &Level, map: &Affine) -> Option<f64> {
    let value = search::value_at(level, map);
    (value.overlap > 0.2).then_some(value.nmi)
}

/// Nothing could be estimated: a common frame of reference stands unverified, and without one there is no map.
fn without_estimate(pair: &Pair<'_>, reason: NoEstimate) -> Registration {
    if pair.same_frame {
        let note =
            format!("identity: the images share a Frame of Reference, but no estimate could verify it: {reason}");
        let mut registration = found(pair, Transform::Identity, RegistrationSource::Identity, note);
        let detail = format!("no estimate could be made: {reason}");
        registration.findings.push(Finding::new(FindingKind::FrameOfReferenceUnverified, pair.subject, detail));
        return registration;
    }
    without_map(pair, &format!("the images name different frames of reference and no estimate can be made: {reason}"))
}

fn without_map(pair: &Pair<'_>, detail: &str) -> Registration {
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
        quality: Quality { overlap: Some(share), ..Quality::default() },
        findings: Vec::new(),
        note,
    }
}

//! The stage on images whose true map is known.

use super::testing::{ct, distance, image, pair, pet};
use super::{Estimation, Pair, RegistrationSource, SameFrame, Settings, Similarity, TransformKind, register};
use crate::finding::FindingKind;
use crate::image::{Affine, Transform, Volume};

const CENTRE: [f64; 3] = [6.0, -6.0, 358.0];

fn quick() -> Settings {
    Settings { estimation: Estimation { bootstrap_draws: 4, ..Estimation::default() }, ..Settings::default() }
}

fn kinds(registration: &super::Registration) -> Vec<FindingKind> {
    registration.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_known_motion_between_two_contrasts_is_found_to_a_third_of_a_millimetre() {
    let fixed = image(&Affine::IDENTITY, ct);
    for (turn, shift) in
        [([0.0; 3], [0.0; 3]), ([0.2, -0.1, 0.3], [15.0, -12.0, 9.0]), ([0.0, 0.4, 0.0], [-20.0, 4.0, 25.0])]
    {
        let truth = Affine::rigid(turn, CENTRE, shift);
        let moving = image(&truth, pet);
        let found = register(&pair(&fixed, &moving), &quick());
        let error = distance(&found.fixed_to_moving, &Transform::Affine(truth));
        assert!(error < 0.35, "{error} {}", found.note);
        assert!(found.trusted && found.findings.is_empty(), "{}", found.note);
        assert_eq!(found.source, RegistrationSource::Estimate);
        let quality = found.quality;
        assert!(quality.nmi_after.unwrap() > quality.nmi_before.unwrap() - 0.01, "{quality:?}");
        assert!(quality.body_dice.unwrap() > 0.6, "{quality:?}");
        assert!(quality.inverse_consistency_mm.unwrap() < 0.5, "{quality:?}");
        let sigma = quality.uncertainty.unwrap().sigma_mm_at(CENTRE);
        assert!((0.5..3.0).contains(&sigma), "{sigma}");
    }
}

#[test]
fn mutual_information_that_is_not_normalised_finds_the_motion_too() {
    let truth = Affine::rigid([0.2, -0.1, 0.3], CENTRE, [15.0, -12.0, 9.0]);
    let (fixed, moving) = (image(&Affine::IDENTITY, ct), image(&truth, pet));
    let estimation = Estimation { measure: Similarity::Mattes, bootstrap_draws: 0, ..Estimation::default() };
    let found = register(&pair(&fixed, &moving), &Settings { estimation, ..Settings::default() });
    let error = distance(&found.fixed_to_moving, &Transform::Affine(truth));
    assert!(found.trusted && error < 0.5, "{error} {}", found.note);
}

#[test]
fn the_result_is_the_same_bits_for_any_number_of_threads() {
    let fixed = image(&Affine::IDENTITY, ct);
    let moving = image(&Affine::rigid([0.1, 0.0, 0.1], CENTRE, [8.0, 3.0, -5.0]), pet);
    let run = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| register(&pair(&fixed, &moving), &quick()))
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_common_frame_stands_when_the_images_agree_with_it_and_is_corrected_when_they_do_not() {
    let fixed = image(&Affine::IDENTITY, ct);
    let moving = image(&Affine::translation([0.5, 0.5, 0.0]), pet);
    let stands = register(&Pair { same_frame: true, ..pair(&fixed, &moving) }, &quick());
    assert!(stands.trusted && stands.fixed_to_moving.is_identity() && stands.findings.is_empty(), "{}", stands.note);
    assert!(stands.note.contains("verified"));
    assert!(stands.quality.from_header_mm.unwrap() > 0.3);
    let refine = Settings { same_frame: SameFrame::Refine, ..quick() };
    let refined = register(&Pair { same_frame: true, ..pair(&fixed, &moving) }, &refine);
    assert_eq!(refined.source, RegistrationSource::Estimate);

    let off = Affine::translation([9.0, -7.0, 4.0]);
    let moving = image(&off, pet);
    let corrected = register(&Pair { same_frame: true, ..pair(&fixed, &moving) }, &quick());
    assert!(corrected.trusted);
    assert_eq!(kinds(&corrected), [FindingKind::FrameOfReferenceMisaligned]);
    assert!(distance(&corrected.fixed_to_moving, &Transform::Affine(off)) < 0.5);
    let trusting = Settings { same_frame: SameFrame::Trust, ..quick() };
    let trusted = register(&Pair { same_frame: true, ..pair(&fixed, &moving) }, &trusting);
    assert!(trusted.trusted && trusted.fixed_to_moving.is_identity() && trusted.note.contains("not verified"));
}

#[test]
fn an_image_of_noise_alone_is_flagged_in_all_but_one_of_twenty_four_draws() {
    let settings = Settings { estimation: Estimation { bootstrap_draws: 0, ..Estimation::default() }, ..quick() };
    let fixed = image(&Affine::IDENTITY, ct);
    let mut trusted = Vec::new();
    for number in 0..24 {
        let mut moving = image(&Affine::IDENTITY, pet);
        let mut stream = crate::math::random::Stream::new(1, 2, number);
        #[allow(clippy::cast_possible_truncation)]
        moving.voxels.mapv_inplace(|_| stream.normal() as f32);
        let found = register(&pair(&fixed, &moving), &settings);
        if found.trusted {
            trusted.push(format!("draw {number}: {}", found.note));
        } else {
            assert_eq!(kinds(&found), [FindingKind::RegistrationNotTrusted]);
        }
    }
    // Some place of a small image of noise resembles the other one by chance, and both estimators find it.
    assert!(trusted.len() <= 1, "{trusted:?}");
}

#[test]
fn without_an_estimate_a_common_frame_stands_unverified_and_no_frame_is_no_map() {
    let flat = Volume::filled(super::testing::grid(), 0.0);
    let stands = register(&Pair { same_frame: true, ..pair(&flat, &flat) }, &quick());
    assert!(stands.trusted && stands.fixed_to_moving.is_identity());
    assert_eq!(kinds(&stands), [FindingKind::FrameOfReferenceUnverified]);
    assert!(stands.note.contains("no estimate could verify it: an image has no contrast"), "{}", stands.note);
    let none = register(&pair(&flat, &flat), &quick());
    assert!(!none.trusted);
    assert_eq!(kinds(&none), [FindingKind::NoCommonFrame]);
    assert_eq!(none.findings[0].subject, "PT");
    let image = image(&Affine::IDENTITY, ct);
    let not_asked = register(&pair(&image, &image), &Settings { transform: TransformKind::None, ..quick() });
    assert_eq!(kinds(&not_asked), [FindingKind::NoCommonFrame]);
}

#[test]
fn a_registration_object_comes_first_and_one_that_is_inverted_is_turned_round() {
    let truth = Affine::rigid([0.1, -0.05, 0.1], CENTRE, [12.0, -9.0, 6.0]);
    let (fixed, moving) = (image(&Affine::IDENTITY, ct), image(&truth, pet));
    let given = |map: Affine| Pair { given: Some(Transform::Affine(map)), ..pair(&fixed, &moving) };
    let right = register(&given(truth), &quick());
    assert!(right.trusted && right.findings.is_empty());
    assert_eq!(right.fixed_to_moving, Transform::Affine(truth));
    assert_eq!(right.source, RegistrationSource::RegObject);
    assert!(right.quality.nmi_after > right.quality.nmi_before);
    let turned = register(&given(truth.inverse()), &quick());
    assert_eq!(kinds(&turned), [FindingKind::RegistrationObjectInverted]);
    assert!(distance(&turned.fixed_to_moving, &Transform::Affine(truth)) < 1e-9);
}

//! Registration of the synthetic patient, whose motion is known: three contrasts of one body, on three grids.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::cast_possible_truncation)]

mod shared;

use radiomicsd::finding::{FindingKind, Policies};
use radiomicsd::image::{Displacement, Geometry, Interpolation, Modality, Psf, Transform, Volume, resample};
use radiomicsd::math::linalg::{self, Vec3};
use radiomicsd::math::random::Stream;
use radiomicsd::phantom::{GridSettings, Offset, Phantom, PhantomSettings, Scan};
use radiomicsd::pipeline::{PairJob, register_files};
use radiomicsd::register::{Estimation, Pair, Registration, Settings, TransformKind, register};
use radiomicsd::table::ResolutionTable;

/// The body on grids of a few millimetres; PET and MR see more of it than the CT.
fn settings() -> PhantomSettings {
    let mut settings = PhantomSettings::default();
    settings.ct.grid = GridSettings::new([76, 62, 46], [2.0, 2.0, 3.0], [2, 2, 2]);
    settings.pet.grid =
        GridSettings { blur_fwhm_mm: [6.0; 3], ..GridSettings::new([60, 56, 64], [4.0, 4.0, 3.27], [2, 2, 2]) };
    settings.mr.grid = GridSettings {
        tilt_turns: settings.mr.grid.tilt_turns,
        ..GridSettings::new([84, 80, 52], [2.2, 2.2, 4.0], [2, 2, 2])
    };
    settings
}

fn modality(scan: Scan) -> Modality {
    match scan {
        Scan::Ct => Modality::Ct,
        Scan::Pet => Modality::Pet,
        Scan::Mr => Modality::Mr,
    }
}

/// What the program makes of two images with so many samples.
fn found(phantom: &Phantom, scan: Scan, n_samples: usize) -> Registration {
    let estimation = Estimation { n_samples, bootstrap_draws: 0, ..Estimation::default() };
    registered(phantom, phantom.image(scan), scan, &Settings { estimation, ..Settings::default() })
}

/// What the program makes of the CT and an image that is that of the scan, or was made of it.
fn registered(phantom: &Phantom, moving: &Volume<f32>, scan: Scan, settings: &Settings) -> Registration {
    let psf = |scan: Scan| Psf { fwhm_mm: phantom.truth.scan(scan).effective_fwhm_mm };
    let pair = Pair {
        fixed: phantom.image(Scan::Ct),
        moving,
        fixed_modality: Modality::Ct,
        moving_modality: modality(scan),
        fixed_psf: psf(Scan::Ct),
        moving_psf: psf(scan),
        same_frame: false,
        given: None,
        subject: "moving",
    };
    register(&pair, settings)
}

/// The mean distance between the found and the true place, over points of the body that both images hold.
fn error_mm(registration: &Registration, truth: impl Fn(Vec3) -> Vec3, fixed: &Geometry, moving: &Geometry) -> f64 {
    let holds = |grid: &Geometry, at: Vec3| {
        let index = grid.world_to_voxel(at);
        (0..3).all(|axis| index[axis] >= 0.0 && index[axis] <= grid.size[axis] as f64 - 1.0)
    };
    let (mut sum, mut n) = (0.0, 0.0);
    for k in 0..17 * 13 * 25 {
        let at = [k % 17, k / 17 % 13, k / 17 / 13].map(f64::from);
        let point = [8.0 * at[0] - 64.0, 8.0 * at[1] - 48.0, 8.0 * at[2] - 96.0];
        let in_body = (0..3).map(|axis| (point[axis] / [66.0, 52.0, 105.0][axis]).powi(2)).sum::<f64>() <= 1.0;
        let there = truth(point);
        if in_body && holds(fixed, point) && holds(moving, there) {
            sum += linalg::norm(linalg::sub(registration.fixed_to_moving.apply(point), there));
            n += 1.0;
        }
    }
    assert!(n > 100.0, "{n} points are seen by both");
    sum / n
}

fn moved(scan: Scan, offset: Offset) -> Phantom {
    let mut settings = settings();
    match scan {
        Scan::Mr => settings.mr.offset = offset,
        _ => settings.pet.offset = offset,
    }
    Phantom::new(&settings).unwrap()
}

#[test]
fn motions_of_up_to_thirty_degrees_and_sixty_millimetres_are_found_or_flagged() {
    let motions: [(Vec3, f64, Vec3); 7] = [
        ([1.0, 0.0, 0.0], 30.0, [0.0, 60.0, 0.0]),
        ([0.0, 1.0, 0.0], 30.0, [60.0, 0.0, 0.0]),
        ([0.0, 0.0, 1.0], 30.0, [0.0, 0.0, 60.0]),
        ([0.6, -0.64, 0.48], 30.0, [-34.6, 34.6, -34.6]),
        ([-0.48, 0.6, 0.64], 25.0, [20.0, -45.0, 10.0]),
        ([0.0, 0.0, -1.0], 20.0, [-40.0, -10.0, 25.0]),
        ([0.8, 0.0, 0.6], 15.0, [5.0, 20.0, -45.0]),
    ];
    let mut n_found = 0;
    for (k, (axis, degrees, shift_mm)) in motions.into_iter().enumerate() {
        let scan = if k % 2 == 0 { Scan::Pet } else { Scan::Mr };
        let phantom = moved(scan, Offset { rotation_rad: linalg::scale(degrees.to_radians(), axis), shift_mm });
        let moving = phantom.image(scan);
        let registration = found(&phantom, scan, 20_000);
        let truth = phantom.truth.scan(scan).from_ct;
        let error = error_mm(&registration, |p| truth.apply(p), &phantom.ct.geometry, &moving.geometry);
        println!("{scan:?}: {degrees} degrees and {shift_mm:?} mm: {error:.2} mm, {}", registration.note);
        assert!(error <= 2.0 || !registration.trusted, "{scan:?} {degrees} {shift_mm:?}: {error} mm and trusted");
        n_found += usize::from(error <= 2.0 && registration.trusted);
    }
    assert!(n_found >= 5, "{n_found} of seven were found");
}

#[test]
fn small_motions_are_found_to_three_tenths_of_a_millimetre() {
    let n_samples = Estimation::default().n_samples;
    for scan in [Scan::Pet, Scan::Mr] {
        let errors: Vec<f64> = (0..4)
            .map(|k| {
                let mut stream = Stream::new(42, 1, k);
                let rotation_rad = linalg::scale((2.0 + 13.0 * stream.uniform()).to_radians(), stream.direction());
                let shift_mm = linalg::scale(5.0 + 25.0 * stream.uniform(), stream.direction());
                let phantom = moved(scan, Offset { rotation_rad, shift_mm });
                let registration = found(&phantom, scan, n_samples);
                assert!(registration.trusted, "{}", registration.note);
                let truth = phantom.truth.scan(scan).from_ct;
                let moving = phantom.image(scan).geometry;
                error_mm(&registration, |p| truth.apply(p), &phantom.ct.geometry, &moving)
            })
            .collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        println!("{scan:?}: {mean:.3} mm of {errors:.2?}");
        assert!(mean <= 0.3, "{scan:?}: {mean} mm of {errors:?}");
    }
}

/// A smooth displacement: bumps of 30 mm all over the body, the greatest displacement in it 8 mm.
fn bend(number: u64) -> impl Fn(Vec3) -> Vec3 {
    let mut stream = Stream::new(77, 1, number);
    let mut within = |reach: f64| reach * (2.0 * stream.uniform() - 1.0);
    let centres: Vec<Vec3> = (0..12).map(|_| [within(66.0), within(52.0), within(70.0)]).collect();
    let bumps: Vec<(Vec3, Vec3)> = centres.into_iter().map(|at| (at, stream.direction())).collect();
    let displacement = move |at: Vec3| {
        bumps.iter().fold([0.0; 3], |sum, (centre, along)| {
            let distance = linalg::norm(linalg::sub(at, *centre)) / 30.0;
            linalg::add(sum, linalg::scale((-0.5 * distance * distance).exp(), *along))
        })
    };
    let body = (0..17 * 13 * 17).map(|k| [k % 17, k / 17 % 13, k / 17 / 13].map(f64::from));
    let body = body.map(|at| [8.0 * at[0] - 64.0, 8.0 * at[1] - 48.0, 8.0 * at[2] - 64.0]);
    let most = body.map(|at| linalg::norm(displacement(at))).fold(0.0, f64::max);
    move |at: Vec3| linalg::scale(8.0 / most, displacement(at))
}

/// The image as if the body had been bent before it was scanned.
fn bent(image: &Volume<f32>, displacement: impl Fn(Vec3) -> Vec3) -> Volume<f32> {
    let grid = Geometry::new([120, 112, 106], [2.0; 3], [-119.0, -111.0, -105.0], linalg::IDENTITY).unwrap();
    let [nx, ny, _] = grid.size;
    let at = |k: usize| grid.voxel_to_world([k % nx, k / nx % ny, k / nx / ny].map(|index| index as f64));
    let vectors = (0..grid.n_voxels()).map(|k| displacement(at(k)).map(|part| part as f32)).collect();
    let back = Transform::Displacement(Displacement::new(grid, vectors).unwrap().inverse());
    let mut bent = resample(image, &image.geometry, &back, Interpolation::Cubic);
    bent.voxels.mapv_inplace(|value| if value.is_finite() { value } else { 0.0 });
    bent
}

#[test]
fn half_of_a_bend_of_eight_millimetres_is_found_and_nothing_folds() {
    let phantom = Phantom::new(&settings()).unwrap();
    let estimation = Estimation { bootstrap_draws: 0, ..Estimation::default() };
    let bending = Settings { transform: TransformKind::Bspline, estimation, ..Settings::default() };
    for scan in [Scan::Pet, Scan::Mr] {
        let base = phantom.truth.scan(scan).from_ct;
        let errors: Vec<[f64; 2]> = (0..3)
            .map(|number| {
                let displacement = bend(number);
                let moving = bent(phantom.image(scan), &displacement);
                let registration = registered(&phantom, &moving, scan, &bending);
                let (least, _) = registration.quality.jacobian.unwrap();
                assert!(least > 0.0 && registration.quality.folded_share == Some(0.0), "{:?}", registration.quality);
                let truth = |p: Vec3| base.apply(linalg::add(p, displacement(p)));
                let fixed = phantom.ct.geometry;
                let rigid = Registration {
                    fixed_to_moving: Transform::Affine(registration.fixed_to_moving.linear_part()),
                    ..registration.clone()
                };
                [&registration, &rigid].map(|found| error_mm(found, truth, &fixed, &moving.geometry))
            })
            .collect();
        let mean = |kind: usize| errors.iter().map(|error| error[kind]).sum::<f64>() / errors.len() as f64;
        println!("{scan:?}: {:.2} mm, left rigid {:.2} mm, of {errors:.2?}", mean(0), mean(1));
        assert!(mean(0) < 0.6 * mean(1), "{scan:?}: {errors:?}");
        assert!(mean(0) <= 1.5, "{scan:?}: {errors:?}");
    }
}

/// Patients after each one whose PET his CT is compared with.
const STRANGERS: usize = 3;

#[test]
fn the_images_of_two_different_patients_are_never_trusted() {
    let Some(reference) = shared::reference() else { return };
    let entries = std::fs::read_dir(reference.join("data/sts")).unwrap().map(|entry| entry.unwrap().path());
    let mut patients: Vec<_> = entries.filter(|path| path.join("PET/image").is_dir()).collect();
    patients.sort();
    assert!(patients.len() > STRANGERS, "{} patients", patients.len());
    let estimation = Estimation { bootstrap_draws: 0, ..Estimation::default() };
    for (k, patient) in patients.iter().enumerate() {
        for next in 1..=STRANGERS {
            let stranger = &patients[(k + next) % patients.len()];
            let job = PairJob {
                fixed: &patient.join("CT/image"),
                moving: &stranger.join("PET/image"),
                fixed_modality: None,
                moving_modality: None,
                resolutions: &ResolutionTable::default(),
                settings: &Settings { estimation, ..Settings::default() },
                policies: &Policies::default(),
            };
            let found = register_files(&job).unwrap().registration;
            assert!(!found.trusted, "the CT of {patient:?} with the PET of {stranger:?}: {}", found.note);
            assert!(found.findings.iter().any(|finding| finding.kind == FindingKind::RegistrationNotTrusted));
        }
    }
}

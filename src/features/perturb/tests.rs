use approx::assert_relative_eq;

use super::*;
use crate::features::{Discretise, Family, Resample, Spacing};
use crate::math::linalg::IDENTITY;

/// A ball of radius 9 mm and 60 units, with noise of so much, in a background of -20.
fn ball(noise: f64) -> (Volume<f32>, Mask) {
    let geometry = Geometry::new([40, 38, 22], [1.0, 1.0, 2.0], [5.0, -7.0, 11.0], IDENTITY).unwrap();
    let mut image = Volume::filled(geometry, 0.0f32);
    let mut mask = Mask::filled(geometry, false);
    let mut stream = Stream::new(3, 5, 7);
    for ((z, y, x), value) in image.voxels.indexed_iter_mut() {
        let at = geometry.voxel_to_world([x as f64, y as f64, z as f64]);
        let inside = linalg::norm(linalg::sub(at, geometry.centre_mm())) <= 9.0;
        mask.voxels[[z, y, x]] = inside;
        *value = (if inside { 60.0 } else { -20.0 } + noise * stream.normal()) as f32;
    }
    (image, mask)
}

fn settings(perturb: Perturb) -> Settings {
    Settings {
        resample: Some(Resample::new(Spacing::Isotropic(1.0), Interpolation::Linear)),
        discretise: Discretise::BinWidth(5.0),
        families: vec![Family::Morphology, Family::Intensity, Family::Glcm],
        autocorrelation: false,
        perturb: Some(perturb),
        ..Settings::default()
    }
}

const STILL: Perturb =
    Perturb { count: 3, shift_voxels: 0.0, rotation_deg: 0.0, noise: false, contour: false, growth: 0.0, seed: 1 };

#[test]
fn draws_that_change_nothing_give_the_features_of_the_image() {
    let (image, mask) = ball(4.0);
    let settings = settings(STILL);
    let found = perturb(&image, &mask, &settings).unwrap().unwrap();
    let plain = extract(&image, &mask, &settings).unwrap();
    assert_eq!((found.draws.len(), found.empty), (3, 0));
    for value in &plain.values {
        let spread = found.spreads()[&(value.filter.clone(), value.tag.clone())];
        assert_relative_eq!(spread.mean, value.value, epsilon = 1e-4, max_relative = 1e-4);
        assert!(spread.sd <= 1e-9 * spread.mean.abs().max(1.0), "{} {}", value.tag, spread.sd);
    }
    assert_eq!(perturb(&image, &mask, &Settings { perturb: None, ..settings }).unwrap(), None);
}

#[test]
fn the_noise_of_an_image_is_found_and_doubles_its_variance() {
    let (image, mask) = ball(4.0);
    let bounds = BoundingBox::around(mask.voxels.view()).unwrap();
    let level = noise::level(&image, &bounds);
    assert!((level - 4.0).abs() < 0.5, "{level}");
    let noisy = noise::added(&image, level, 1, 2);
    let differences: Vec<f64> =
        noisy.voxels.iter().zip(&image.voxels).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
    assert_relative_eq!(sample_variance(&differences).sqrt(), level, max_relative = 0.03);
    assert!(mean(&differences).abs() < 0.1);
}

#[test]
fn a_region_grows_and_shrinks_by_exactly_the_share_and_around_its_border() {
    let (_, mask) = ball(0.0);
    let n = mask.count() as f64;
    for share in [-0.2, -0.05, 0.1, 0.4] {
        let mut changed = mask.clone();
        contour::grow(&mut changed, share, &mut Stream::new(1, 2, 3));
        assert_relative_eq!(changed.count() as f64, (n * (1.0 + share)).round());
        let (small, large) = if share < 0.0 { (&changed, &mask) } else { (&mask, &changed) };
        assert!(small.voxels.iter().zip(&large.voxels).all(|(small, large)| *large || !*small));
    }
    let mut one = Mask::filled(mask.geometry, false);
    one.voxels[[4, 4, 4]] = true;
    contour::grow(&mut one, -0.5, &mut Stream::new(1, 2, 3));
    assert_eq!(one.count(), 1);
}

#[test]
fn a_redrawn_contour_keeps_to_a_sharp_border_and_differs_between_draws_of_a_blurred_one() {
    let (image, mask) = ball(0.5);
    let dice = |a: &Mask, b: &Mask| {
        let both = a.voxels.iter().zip(&b.voxels).filter(|(a, b)| **a && **b).count();
        2.0 * both as f64 / (a.count() + b.count()) as f64
    };
    let redrawn = |image: &Volume<f32>, k: u64| {
        let mut redrawn = mask.clone();
        supervoxels::redraw(image, &mut redrawn, &mut Stream::new(1, 2, k));
        redrawn
    };
    assert!(dice(&redrawn(&image, 0), &mask) > 0.97);
    let flat = Volume::filled(image.geometry, 1.0f32);
    let (a, b) = (redrawn(&flat, 0), redrawn(&flat, 1));
    assert_ne!(a.voxels, b.voxels);
    assert!(dice(&a, &mask) > 0.7 && dice(&b, &mask) > 0.7, "{} {}", dice(&a, &mask), dice(&b, &mask));
}

#[test]
fn a_stable_feature_has_a_smaller_spread_than_an_unstable_one_and_draws_are_reproducible() {
    let (image, mask) = ball(4.0);
    let settings = settings(Perturb { count: 6, ..Perturb::default() });
    let found = perturb(&image, &mask, &settings).unwrap().unwrap();
    assert_eq!(found.draws.len(), 6);
    let spreads = found.spreads();
    let relative = |tag: &str| {
        let spread = spreads[&("none".to_owned(), tag.to_owned())];
        spread.sd / spread.mean.abs()
    };
    assert!(relative("stat_median") < 0.02, "{}", relative("stat_median"));
    assert!(relative("morph_volume") > 0.02 && relative("morph_volume") < 0.3, "{}", relative("morph_volume"));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(pool.install(|| perturb(&image, &mask, &settings)).unwrap().unwrap(), found);
}

#[test]
fn regions_at_the_edge_of_one_voxel_and_in_one_slice_are_perturbed_without_failure() {
    let (image, mask) = ball(4.0);
    let settings = settings(Perturb { count: 3, ..Perturb::default() });
    let mut one = Mask::filled(mask.geometry, false);
    one.voxels[[0, 0, 0]] = true;
    let found = perturb(&image, &one, &settings).unwrap().unwrap();
    assert_eq!(found.draws.len() + found.empty, 3);
    assert!(found.draws.iter().flat_map(|(_, values)| values).all(|value| value.value.is_finite()));
    let slice = Settings { resample: None, ..settings.clone() };
    let geometry = Geometry::new([40, 38, 1], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
    let one = |slices: std::ops::Range<usize>| ndarray::Slice::from(slices);
    let flat = Volume { voxels: image.voxels.slice_axis(ndarray::Axis(0), one(10..11)).to_owned(), geometry };
    let drawn = Mask { voxels: mask.voxels.slice_axis(ndarray::Axis(0), one(10..11)).to_owned(), geometry };
    let found = perturb(&flat, &drawn, &slice).unwrap().unwrap();
    assert_eq!(found.draws.len(), 3);
    let wrong = Settings { perturb: Some(Perturb { count: 1, ..Perturb::default() }), ..settings };
    assert!(perturb(&image, &mask, &wrong).is_err());
}

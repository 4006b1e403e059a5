use super::super::{Aids, HistogramStandard, Method, fit};
use super::*;
use crate::image::Geometry;
use crate::math::linalg::IDENTITY;

const SIZE: [usize; 3] = [48, 40, 24];

struct Phantom {
    biased: Volume<f32>,
    image: Volume<f32>,
    log_field: Vec<f64>,
    body: Mask,
}

/// The phantom of `tests/reference/normalise/make.py`.
fn phantom() -> Phantom {
    let grid = Geometry::new(SIZE, [1.0; 3], [0.0; 3], IDENTITY).unwrap();
    let (mut image, mut biased) = (Volume::filled(grid, 0.0), Volume::filled(grid, 0.0));
    let mut body = Mask::filled(grid, false);
    let mut log_field = Vec::new();
    for ((zi, yi, xi), voxel) in image.voxels.indexed_iter_mut() {
        let [x, y, z] = [xi as f64, yi as f64, zi as f64];
        let (u, v, w) = ((x - 23.5) / 24.0, (y - 19.5) / 20.0, (z - 11.5) / 12.0);
        let radius = (u / 0.85).powi(2) + (v / 0.85).powi(2) + (w / 0.9).powi(2);
        let mut value = if radius <= 0.7 {
            400.0
        } else if radius <= 1.0 {
            900.0
        } else {
            5.0
        };
        if (u + 0.3).powi(2) + v * v + w * w <= 0.35 * 0.35 {
            value = 700.0;
        }
        if (u - 0.35).powi(2) + (v - 0.1).powi(2) + w * w <= 0.3 * 0.3 {
            value = 250.0;
        }
        if radius <= 1.0 {
            value += 12.0 * (1.7 * x + 0.3 * z).sin() * (1.3 * y).cos();
            body.voxels[[zi, yi, xi]] = true;
        }
        let log = 0.35 * u + 0.25 * v * w - 0.3 * u * u + 0.2 * (2.0 * v).sin();
        log_field.push(log);
        *voxel = value as f32;
        biased.voxels[[zi, yi, xi]] = (value * log.exp()) as f32;
    }
    Phantom { biased, image, log_field, body }
}

fn reference() -> serde_json::Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/normalise/reference.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Voxel `[z, y, x]` and value of one row of a table.
fn row(entry: &serde_json::Value) -> ([usize; 3], f64) {
    let at = |axis: usize| usize::try_from(entry[axis].as_u64().unwrap()).unwrap();
    ([at(2), at(1), at(0)], entry[3].as_f64().unwrap())
}

/// Root mean square over the body of a log field against the true one, means taken out.
fn rms_error(phantom: &Phantom, found: &Volume<f32>) -> f64 {
    let pairs: Vec<f64> = found
        .voxels
        .iter()
        .zip(&phantom.log_field)
        .zip(&phantom.body.voxels)
        .filter(|(_, inside)| **inside)
        .map(|((found, truth), _)| f64::from(*found) - truth)
        .collect();
    let mean = pairs.iter().sum::<f64>() / pairs.len() as f64;
    (pairs.iter().map(|error| (error - mean).powi(2)).sum::<f64>() / pairs.len() as f64).sqrt()
}

fn every_voxel() -> BiasSettings {
    BiasSettings { shrink: 1, ..BiasSettings::default() }
}

#[test]
fn the_field_is_that_of_the_reference_implementation_and_as_far_from_the_truth() {
    let (phantom, reference) = (phantom(), reference());
    assert_eq!(Some(phantom.body.count() as u64), reference["n_body"].as_u64());
    let found = correct(&phantom.biased, Some(&phantom.body), &every_voxel()).unwrap();
    let error = rms_error(&phantom, &found.log_field);
    let its_error = reference["n4_rms_error"].as_f64().unwrap();
    assert!((error - its_error).abs() < 1e-4, "{error}, reference {its_error}");
    let table = reference["n4_log_field"].as_array().unwrap();
    let distances = table.iter().map(|entry| {
        let (at, expected) = row(entry);
        (f64::from(found.log_field.voxels[at]) - expected).abs()
    });
    let furthest = distances.fold(0.0, f64::max);
    assert!(furthest < 1e-3, "{furthest}, {:?}", found.rounds);
}

#[test]
fn fewer_sites_give_the_same_field_but_for_a_little() {
    let phantom = phantom();
    let settings = BiasSettings { shrink: 3, ..BiasSettings::default() };
    let found = correct(&phantom.biased, Some(&phantom.body), &settings).unwrap();
    let its_error = reference()["n4_rms_error"].as_f64().unwrap();
    let error = rms_error(&phantom, &found.log_field);
    assert!(error <= 2.0 * its_error, "{error}, reference {its_error}");
    assert!(found.note.starts_with("N4 bias field over"), "{}", found.note);
    // What is multiplied by the field again is what came.
    for ((corrected, log), original) in
        found.volume.voxels.iter().zip(&found.log_field.voxels).zip(&phantom.biased.voxels)
    {
        assert!((corrected * log.exp() - original).abs() <= 1e-4 * original.abs());
    }
}

#[test]
fn an_image_without_a_field_gets_the_small_one_that_the_reference_implementation_finds() {
    let phantom = phantom();
    let found = correct(&phantom.image, Some(&phantom.body), &every_voxel()).unwrap();
    let inside = found.log_field.voxels.iter().zip(&phantom.body.voxels).filter(|(_, inside)| **inside);
    let rms = (inside.map(|(log, _)| f64::from(log * log)).sum::<f64>() / phantom.body.count() as f64).sqrt();
    let expected = reference()["n4_rms_without_field"].as_f64().unwrap();
    assert!((rms - expected).abs() < 1e-4, "{rms}, reference {expected}");
}

#[test]
fn images_without_contrast_or_body_and_foreign_masks_are_refused() {
    let phantom = phantom();
    let flat = Volume::filled(phantom.image.geometry, 7.0);
    assert!(matches!(correct(&flat, Some(&phantom.body), &every_voxel()), Err(NormaliseError::Flat { .. })));
    let nobody = Mask::filled(phantom.image.geometry, false);
    assert!(matches!(correct(&phantom.image, Some(&nobody), &every_voxel()), Err(NormaliseError::EmptyBody)));
    let small = Mask::filled(Geometry::new([2, 2, 2], [1.0; 3], [0.0; 3], IDENTITY).unwrap(), true);
    assert!(matches!(correct(&phantom.image, Some(&small), &every_voxel()), Err(NormaliseError::Grid)));
}

#[test]
fn landmarks_map_as_histogram_matching_of_the_reference_implementation() {
    let (phantom, reference) = (phantom(), reference());
    let whole = Mask::filled(phantom.image.geometry, true);
    let other = Volume {
        voxels: phantom.image.voxels.mapv(|value| (1.7 * f64::from(value) + 50.0) as f32),
        geometry: phantom.image.geometry,
    };
    // Its landmarks are the extremes and nine quantiles between them.
    let percentiles: Vec<f64> = (0..=10).map(|k| 10.0 * f64::from(k)).collect();
    let mut sorted: Vec<f32> = other.voxels.iter().copied().collect();
    sorted.sort_by(f32::total_cmp);
    let mut landmarks: Vec<f64> =
        percentiles.iter().map(|percent| super::super::landmarks::quantile(&sorted, percent / 100.0)).collect();
    // Most of the phantom is air of one value, which is one landmark to us: they must increase a little to be written.
    for k in 1..landmarks.len() {
        landmarks[k] = landmarks[k].max(landmarks[k - 1] + 1e-6);
    }
    let standard = HistogramStandard::new(percentiles, landmarks, 1).unwrap();
    let aids = Aids { body: Some(&whole), standard: Some(&standard), ..Aids::default() };
    let scale = fit(&phantom.biased, &Method::Histogram { standard: String::new() }, &aids).unwrap().scale;
    let bin = 1.7 * 930.0 / 4096.0;
    for entry in reference["matched"].as_array().unwrap() {
        let (at, expected) = row(entry);
        let found = scale.of(f64::from(phantom.biased.voxels[at]));
        assert!((found - expected).abs() < 10.0 * bin, "{at:?}: {found}, {expected}");
    }
}

//! The filters of IBSI 2: response maps of digital phantoms (phase 1), and statistics of filtered CT (phase 2).

use std::collections::BTreeMap;
use std::path::Path;

use radiomicsd::features::filters::{PHASE_1, PHASE_2};
use radiomicsd::features::{Settings, extract, response_map};
use radiomicsd::volume::nifti;

use crate::page::documented;
use crate::support::{nifti_phantom, reference};

/// A row of the table of phase 1.
#[derive(Debug, serde::Deserialize)]
struct Map {
    test_id: String,
    phantom: String,
    filter: String,
    reference_map: String,
}

/// The largest difference from the reference map, as a share of its range.
fn worst(reference: &Path, map: &Map) -> f64 {
    let phantom = &map.phantom;
    let path = format!("data/ibsi_2_digital_phantom/nifti/{phantom}/image/{phantom}.nii.gz");
    let image = nifti::read_image(&reference.join(path)).unwrap();
    let settings = Settings::preset(&format!("ibsi2-phase1-{}", map.test_id)).unwrap();
    let response = response_map(&image, &settings.filter[0], &settings).unwrap();
    let expected = nifti::read_image(&reference.join(&map.reference_map)).unwrap();
    assert_eq!(response.voxels.dim(), expected.voxels.dim());
    let range = |of: fn(f64, f64) -> f64, from: f64| expected.voxels.iter().map(|v| f64::from(*v)).fold(from, of);
    let width = range(f64::max, f64::NEG_INFINITY) - range(f64::min, f64::INFINITY);
    let pairs = response.voxels.iter().zip(&expected.voxels);
    pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).fold(0.0, f64::max) / width
}

#[test]
fn every_response_map_is_within_a_hundredth_of_the_range_of_its_reference() {
    let Some(reference) = reference() else { return };
    let mut table = csv::Reader::from_path(reference.join("reference/ibsi2_phase1_tests.csv")).unwrap();
    let maps: Vec<Map> = table.deserialize().map(Result::unwrap).collect();
    assert_eq!(maps.iter().map(|map| map.test_id.as_str()).collect::<Vec<_>>(), PHASE_1);
    let mut classes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for map in &maps {
        let worst = worst(&reference, map);
        let counts = classes.entry(&map.filter).or_default();
        counts.1 += 1;
        if worst <= 0.01 {
            counts.0 += 1;
        } else {
            wrong.push(format!("{} {}: {worst:.4} of the range", map.test_id, map.filter));
        }
    }
    print("IBSI 2 phase 1, response maps", &classes, &wrong);
}

/// A row of the table of phase 2; one feature has no reference value.
#[derive(Debug, serde::Deserialize)]
struct Row {
    test_id: String,
    feature_tag: String,
    value: Option<f64>,
    tolerance: Option<f64>,
}

#[test]
fn filtered_ct_has_the_reference_values_of_every_filter() {
    let Some(reference) = reference() else { return };
    let (image, mask) = nifti_phantom(&reference, "ibsi_1_ct_radiomics_phantom");
    let mut table = csv::Reader::from_path(reference.join("reference/ibsi2_reference.csv")).unwrap();
    let rows: Vec<Row> = table.deserialize().map(Result::unwrap).collect();
    let mut tests: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for test in PHASE_2 {
        let settings = Settings::preset(&format!("ibsi2-phase2-{test}")).unwrap();
        let found = extract(&image, &mask, &settings).unwrap();
        for row in rows.iter().filter(|row| row.test_id == *test) {
            let (Some(expected), Some(tolerance)) = (row.value, row.tolerance) else { continue };
            let counts = tests.entry(test).or_default();
            counts.1 += 1;
            let value = found.values.iter().find(|value| value.tag == row.feature_tag).map(|value| value.value);
            if value.is_some_and(|value| (value - expected).abs() <= tolerance) {
                counts.0 += 1;
            } else {
                wrong.push(format!("{test} {}: {value:?} is not {expected} +- {tolerance}", row.feature_tag));
            }
        }
    }
    print("IBSI 2 phase 2, statistics of filtered CT", &tests, &wrong);
    assert_eq!(tests.values().map(|(_, all)| all).sum::<usize>(), 323);
}

/// Prints the counts and fails unless all match.
fn print(title: &str, counts: &BTreeMap<&str, (usize, usize)>, wrong: &[String]) {
    eprintln!("{title}");
    for (name, (matched, all)) in counts {
        eprintln!("{matched:5} of {all:5}  {name}");
    }
    let sum = counts.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    eprintln!("{:5} of {:5}  in all", sum.0, sum.1);
    wrong.iter().for_each(|line| eprintln!("wrong: {line}"));
    assert!(wrong.is_empty(), "{title}");
    let rows = counts.iter().map(|(name, (matched, all))| ((*name).to_owned(), *matched, *all));
    documented(title, &rows.chain([("in all".to_owned(), sum.0, sum.1)]).collect::<Vec<_>>());
}

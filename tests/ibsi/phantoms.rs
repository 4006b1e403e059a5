//! The digital phantom and the CT phantom in the five configurations of the reference manual.

use radiomicsd::features::{Settings, extract};
use radiomicsd::finding::Policies;
use radiomicsd::pipeline::{SingleJob, measure_files};

use crate::support::{Tally, nifti_phantom, reference, rows};

#[test]
fn the_digital_phantom_has_its_reference_values() {
    let Some(reference) = reference() else { return };
    let (image, mask) = nifti_phantom(&reference, "ibsi_1_digital_phantom");
    let found = extract(&image, &mask, &Settings::preset("ibsi-digital-phantom").unwrap()).unwrap();
    let mut tally = Tally::default();
    tally.add("digital", &rows(&reference, "digital phantom"), &found);
    tally.finish("IBSI 1 digital phantom through NIfTI");
}

#[test]
fn the_ct_phantom_has_its_reference_values_in_five_configurations() {
    let Some(reference) = reference() else { return };
    let (image, mask) = nifti_phantom(&reference, "ibsi_1_ct_radiomics_phantom");
    let mut tally = Tally::default();
    for config in ["A", "B", "C", "D", "E"] {
        let settings = Settings::preset(&format!("ibsi-{}", config.to_lowercase())).unwrap();
        let found = extract(&image, &mask, &settings).unwrap();
        tally.add(config, &rows(&reference, config), &found);
    }
    tally.finish("IBSI 1 CT phantom through NIfTI");
}

#[test]
fn the_ct_phantom_has_its_reference_values_through_dicom_and_rtstruct() {
    let Some(reference) = reference() else { return };
    let folder = reference.join("data/ibsi_1_ct_radiomics_phantom/dicom");
    let policies = Policies::default();
    let mut tally = Tally::default();
    for config in ["A", "B", "C", "D", "E"] {
        let settings = Settings::preset(&format!("ibsi-{}", config.to_lowercase())).unwrap();
        let (image, region) = (folder.join("image"), folder.join("mask"));
        let job = SingleJob {
            image: &image,
            region: &region,
            region_name: Some("GTV-1"),
            settings: &settings,
            policies: &policies,
        };
        let found = measure_files(&job).unwrap_or_else(|error| panic!("{error}"));
        assert!(found.case.groups[0].values.iter().any(|value| value.unit == "[hnsf'U]"));
        tally.add(config, &rows(&reference, config), &found.extraction);
    }
    tally.finish("IBSI 1 CT phantom through DICOM and RTSTRUCT");
}

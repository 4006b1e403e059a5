//! The digital phantom and the CT phantom in the five configurations of the reference manual.

use radiomicsd::features::{Settings, extract};

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

//! PET images (PS3.3 A.21): signed 16-bit integers with a Rescale Slope of each slice's own.
//!
//! SUV by body weight is `C w / D`: C the activity concentration (Bq/ml), w the weight (g, a gram of tissue being a
//! millilitre), D the dose as it was at the time to which C is corrected. So C is `SUV D / w`, and D is the injected dose
//! for ADMIN, the dose decayed from injection to the start of the series for START.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::exact::exp;
use super::super::patient::Phantom;
use super::super::settings::{PetDecay, PetSettings, PetUnits, Scan};
use super::modules::{self, Stored};
use super::plan::{self, Plan};
use crate::dicom::write::{
    WriteError, decimal_string, put_decimals, put_integer, put_items, put_text, put_texts, put_u16s,
};

/// Actual Frame Duration (0018,1242).
const FRAME_MS: i32 = 240_000;

/// All slices of the PET.
pub(super) fn images(phantom: &Phantom, plan: &Plan<'_>) -> Result<Vec<InMemDicomObject>, WriteError> {
    let image = &phantom.pet;
    let per_suv = units_per_suv(&plan.settings.pet, plan.settings.patient.weight_kg);
    let n_slices = image.geometry.size[2];
    let mut slices = Vec::with_capacity(n_slices);
    for (k, plane) in image.voxels.outer_iter().enumerate() {
        let mut object = InMemDicomObject::new_empty();
        modules::put_patient_and_study(&mut object, plan, Scan::Pet)?;
        modules::put_series(&mut object, plan, Scan::Pet, "PET AC");
        modules::put_slice(&mut object, plan, Scan::Pet, &image.geometry, k)?;
        put_pet_series(&mut object, plan, n_slices)?;
        put_isotope(&mut object, plan)?;
        put_orientation(&mut object);
        put_texts(&mut object, tags::IMAGE_TYPE, ["ORIGINAL", "PRIMARY"].map(str::to_owned));
        put_decimals(&mut object, tags::FRAME_REFERENCE_TIME, &[frame_reference_ms(&plan.settings.pet)])?;
        put_integer(&mut object, tags::ACTUAL_FRAME_DURATION, FRAME_MS);
        put_decimals(&mut object, tags::DECAY_FACTOR, &[decay_factor(&plan.settings.pet)])?;
        put_u16s(&mut object, tags::IMAGE_INDEX, [u16::try_from(n_slices - k).unwrap_or(u16::MAX)]);
        let values: Vec<f64> = plane.iter().map(|suv| f64::from(*suv) * per_suv).collect();
        let slope = slope(&values)?;
        put_decimals(&mut object, tags::RESCALE_INTERCEPT, &[0.0])?;
        put_decimals(&mut object, tags::RESCALE_SLOPE, &[slope])?;
        let pixels: Vec<u16> = values.iter().map(|value| stored_value(value / slope)).collect();
        modules::put_pixels(&mut object, &image.geometry, Stored { bits: 16, signed: true }, &pixels);
        slices.push(object);
    }
    Ok(slices)
}

/// Activity concentration (Bq/ml) of tissue with SUV 1; 1 where SUV itself is stored.
fn units_per_suv(pet: &PetSettings, weight_kg: f64) -> f64 {
    match pet.units {
        PetUnits::Gml => 1.0,
        PetUnits::Bqml => {
            let dose_bq = match pet.decay {
                PetDecay::Admin => pet.dose_bq,
                PetDecay::Start => pet.dose_bq * remaining(pet, f64::from(pet.uptake_s)),
            };
            dose_bq / (weight_kg * 1000.0)
        }
    }
}

/// The part of the activity that is left after some seconds.
fn remaining(pet: &PetSettings, seconds: f64) -> f64 {
    exp(-std::f64::consts::LN_2 * seconds / pet.half_life_s)
}

/// PET Series (C.8.9.1).
fn put_pet_series(object: &mut InMemDicomObject, plan: &Plan<'_>, n_slices: usize) -> Result<(), WriteError> {
    let pet = &plan.settings.pet;
    match pet.units {
        PetUnits::Bqml => put_text(object, tags::UNITS, "BQML"),
        PetUnits::Gml => {
            put_text(object, tags::UNITS, "GML");
            put_text(object, tags::SUV_TYPE, "BW");
        }
    }
    put_text(object, tags::COUNTS_SOURCE, "EMISSION");
    put_texts(object, tags::SERIES_TYPE, ["STATIC", "IMAGE"].map(str::to_owned));
    put_u16s(object, tags::NUMBER_OF_SLICES, [u16::try_from(n_slices).unwrap_or(u16::MAX)]);
    put_texts(object, tags::CORRECTED_IMAGE, ["DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"].map(str::to_owned));
    put_text(object, tags::RANDOMS_CORRECTION_METHOD, "DLYD");
    put_text(object, tags::ATTENUATION_CORRECTION_METHOD, "CT");
    put_text(object, tags::SCATTER_CORRECTION_METHOD, "Model based");
    let decay = match pet.decay {
        PetDecay::Start => "START",
        PetDecay::Admin => "ADMIN",
    };
    put_text(object, tags::DECAY_CORRECTION, decay);
    put_text(object, tags::CONVOLUTION_KERNEL, pet.scanner.reconstruction.clone());
    put_text(object, tags::RECONSTRUCTION_METHOD, "OSEM 3i 21s");
    put_text(object, tags::COLLIMATOR_TYPE, "NONE");
    put_decimals(object, tags::GANTRY_DETECTOR_TILT, &[0.0])
}

/// PET Isotope (C.8.9.2).
fn put_isotope(object: &mut InMemDicomObject, plan: &Plan<'_>) -> Result<(), WriteError> {
    let pet = &plan.settings.pet;
    let injected_at = plan.injected_at();
    let mut item = InMemDicomObject::new_empty();
    put_text(&mut item, tags::RADIOPHARMACEUTICAL, "Fluorodeoxyglucose");
    put_text(&mut item, tags::RADIOPHARMACEUTICAL_START_TIME, plan::time_text(injected_at));
    let date_time = plan::date_text(injected_at) + &plan::time_text(injected_at);
    put_text(&mut item, tags::RADIOPHARMACEUTICAL_START_DATE_TIME, date_time);
    put_decimals(&mut item, tags::RADIONUCLIDE_TOTAL_DOSE, &[pet.dose_bq])?;
    put_decimals(&mut item, tags::RADIONUCLIDE_HALF_LIFE, &[pet.half_life_s])?;
    put_decimals(&mut item, tags::RADIONUCLIDE_POSITRON_FRACTION, &[0.9673])?;
    put_items(&mut item, tags::RADIONUCLIDE_CODE_SEQUENCE, vec![code("77004003", "SCT", "^18^Fluorine")]);
    let tracer = code("35321007", "SCT", "Fluorodeoxyglucose F^18^");
    put_items(&mut item, tags::RADIOPHARMACEUTICAL_CODE_SEQUENCE, vec![tracer]);
    put_items(object, tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, vec![item]);
    Ok(())
}

/// NM/PET Patient Orientation (C.8.4.6): head first, supine.
fn put_orientation(object: &mut InMemDicomObject) {
    let mut recumbent = code("102538003", "SCT", "recumbent");
    put_items(
        &mut recumbent,
        tags::PATIENT_ORIENTATION_MODIFIER_CODE_SEQUENCE,
        vec![code("40199007", "SCT", "supine")],
    );
    put_items(object, tags::PATIENT_ORIENTATION_CODE_SEQUENCE, vec![recumbent]);
    let headfirst = code("102540008", "SCT", "headfirst");
    put_items(object, tags::PATIENT_GANTRY_RELATIONSHIP_CODE_SEQUENCE, vec![headfirst]);
}

fn code(value: &str, scheme: &str, meaning: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    put_text(&mut item, tags::CODE_VALUE, value);
    put_text(&mut item, tags::CODING_SCHEME_DESIGNATOR, scheme);
    put_text(&mut item, tags::CODE_MEANING, meaning);
    item
}

/// Frame Reference Time (0054,1300): when the activity had its mean over the frame, ms from the start of the series.
///
/// With decay constant l and frame length T the mean activity is `(1 - exp(-l T)) / (l T)` of that at the start; it was
/// reached `ln(l T / (1 - exp(-l T))) / l` after the start, about T / 2. The series of that logarithm is
/// `x / 2 - x^2 / 24 + x^4 / 2880`, x = l T.
fn frame_reference_ms(pet: &PetSettings) -> f64 {
    let lambda = std::f64::consts::LN_2 / pet.half_life_s;
    let x = lambda * f64::from(FRAME_MS) / 1000.0;
    modules::rounded((x / 2.0 - x * x / 24.0 + x * x * x * x / 2880.0) / lambda * 1000.0, 1.0)
}

/// Decay Factor (0054,1321): what the frame's mean activity was multiplied by to bring it to the reference time.
fn decay_factor(pet: &PetSettings) -> f64 {
    let from_start = frame_reference_ms(pet) / 1000.0;
    let seconds = match pet.decay {
        PetDecay::Start => from_start,
        PetDecay::Admin => from_start + f64::from(pet.uptake_s),
    };
    modules::rounded(1.0 / remaining(pet, seconds), 1e6)
}

/// The slope that lets the largest value of a slice fill the integers, as it will be read back from its decimal string.
fn slope(values: &[f64]) -> Result<f64, WriteError> {
    let largest = values.iter().fold(0.0f64, |largest, value| largest.max(*value));
    let wanted = if largest > 0.0 { largest / 32_767.0 } else { 1.0 };
    let text = decimal_string(wanted)?;
    text.parse().map_err(|_| WriteError::NotFinite(wanted))
}

#[allow(clippy::cast_possible_truncation)]
fn stored_value(value: f64) -> u16 {
    u16::from_ne_bytes((value.round().clamp(-32_768.0, 32_767.0) as i16).to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::PhantomSettings;
    use approx::assert_relative_eq;

    #[test]
    fn activity_of_suv_one_is_the_dose_spread_over_the_body() {
        let mut pet = PhantomSettings::default().pet;
        pet.decay = PetDecay::Admin;
        assert_relative_eq!(units_per_suv(&pet, 75.0), 3.7e8 / 75_000.0, max_relative = 1e-12);
        pet.decay = PetDecay::Start;
        pet.uptake_s = 6586;
        let halved = 3.7e8 / 75_000.0 / 2.0;
        assert_relative_eq!(units_per_suv(&pet, 75.0), halved, max_relative = 1e-4);
        pet.units = PetUnits::Gml;
        assert_relative_eq!(units_per_suv(&pet, 75.0), 1.0);
    }

    #[test]
    fn the_frame_reference_time_is_that_of_the_mean_activity() {
        let pet = PhantomSettings::default().pet;
        let lambda = std::f64::consts::LN_2 / pet.half_life_s;
        let x = lambda * 240.0;
        let expected = (x / (1.0 - (-x).exp())).ln() / lambda * 1000.0;
        assert_relative_eq!(frame_reference_ms(&pet), expected, epsilon = 1.0);
        assert!(frame_reference_ms(&pet) < 120_000.0);
        assert_relative_eq!(decay_factor(&pet), (lambda * 119.75).exp(), max_relative = 1e-4);
    }
}

//! MR images (PS3.3 A.4): a T1-weighted spin echo, signal in twelve bits without rescale, as most scanners store it.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::patient::Phantom;
use super::super::settings::Scan;
use super::modules::{self, Stored};
use super::plan::Plan;
use crate::dicom::write::{WriteError, put_decimals, put_empty, put_integer, put_text, put_texts};

/// All slices of the MR.
pub(super) fn images(phantom: &Phantom, plan: &Plan<'_>) -> Result<Vec<InMemDicomObject>, WriteError> {
    let image = &phantom.mr;
    let mut slices = Vec::with_capacity(image.geometry.size[2]);
    for (k, plane) in image.voxels.outer_iter().enumerate() {
        let mut object = InMemDicomObject::new_empty();
        modules::put_patient_and_study(&mut object, plan, Scan::Mr)?;
        modules::put_series(&mut object, plan, Scan::Mr, "MR T1 SE");
        modules::put_slice(&mut object, plan, Scan::Mr, &image.geometry, k)?;
        put_texts(&mut object, tags::IMAGE_TYPE, ["ORIGINAL", "PRIMARY", "OTHER"].map(str::to_owned));
        put_text(&mut object, tags::SCANNING_SEQUENCE, "SE");
        put_text(&mut object, tags::SEQUENCE_VARIANT, "NONE");
        put_empty(&mut object, tags::SCAN_OPTIONS);
        put_text(&mut object, tags::MR_ACQUISITION_TYPE, "2D");
        put_text(&mut object, tags::SEQUENCE_NAME, "se2d1");
        put_text(&mut object, tags::PROTOCOL_NAME, plan.settings.mr.scanner.reconstruction.clone());
        put_decimals(&mut object, tags::REPETITION_TIME, &[550.0])?;
        put_decimals(&mut object, tags::ECHO_TIME, &[11.0])?;
        put_integer(&mut object, tags::ECHO_TRAIN_LENGTH, 1);
        put_decimals(&mut object, tags::MAGNETIC_FIELD_STRENGTH, &[1.5])?;
        put_decimals(&mut object, tags::FLIP_ANGLE, &[90.0])?;
        put_decimals(&mut object, tags::WINDOW_CENTER, &[350.0])?;
        put_decimals(&mut object, tags::WINDOW_WIDTH, &[700.0])?;
        let pixels: Vec<u16> = plane.iter().map(|signal| stored_value(f64::from(*signal))).collect();
        modules::put_pixels(&mut object, &image.geometry, Stored { bits: 12, signed: false }, &pixels);
        slices.push(object);
    }
    Ok(slices)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn stored_value(signal: f64) -> u16 {
    signal.round().clamp(0.0, 4095.0) as u16
}

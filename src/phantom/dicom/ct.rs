//! CT images (PS3.3 A.3): Hounsfield units plus 1024 in twelve bits, as most scanners store them.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::patient::Phantom;
use super::super::settings::Scan;
use super::modules::{self, Stored};
use super::plan::Plan;
use crate::dicom::write::{WriteError, put_decimals, put_text, put_texts};

/// Rescale Intercept (0028,1052).
const INTERCEPT_HU: f64 = -1024.0;

/// All slices of the CT.
pub(super) fn images(phantom: &Phantom, plan: &Plan<'_>) -> Result<Vec<InMemDicomObject>, WriteError> {
    let image = &phantom.ct;
    let mut slices = Vec::with_capacity(image.geometry.size[2]);
    for (k, plane) in image.voxels.outer_iter().enumerate() {
        let mut object = InMemDicomObject::new_empty();
        modules::put_patient_and_study(&mut object, plan, Scan::Ct)?;
        modules::put_series(&mut object, plan, Scan::Ct, "CT 3.0 STANDARD");
        modules::put_slice(&mut object, plan, Scan::Ct, &image.geometry, k)?;
        put_texts(&mut object, tags::IMAGE_TYPE, ["ORIGINAL", "PRIMARY", "AXIAL"].map(str::to_owned));
        put_decimals(&mut object, tags::KVP, &[120.0])?;
        put_text(&mut object, tags::CONVOLUTION_KERNEL, plan.settings.ct.scanner.reconstruction.clone());
        put_decimals(&mut object, tags::RECONSTRUCTION_DIAMETER, &[reconstruction_diameter_mm(phantom)])?;
        put_decimals(&mut object, tags::RESCALE_INTERCEPT, &[INTERCEPT_HU])?;
        put_decimals(&mut object, tags::RESCALE_SLOPE, &[1.0])?;
        put_text(&mut object, tags::RESCALE_TYPE, "HU");
        put_decimals(&mut object, tags::WINDOW_CENTER, &[40.0])?;
        put_decimals(&mut object, tags::WINDOW_WIDTH, &[400.0])?;
        let pixels: Vec<u16> = plane.iter().map(|hu| stored_value(f64::from(*hu))).collect();
        modules::put_pixels(&mut object, &image.geometry, Stored { bits: 12, signed: false }, &pixels);
        slices.push(object);
    }
    Ok(slices)
}

fn reconstruction_diameter_mm(phantom: &Phantom) -> f64 {
    let geometry = &phantom.ct.geometry;
    #[allow(clippy::cast_precision_loss)]
    let width_mm = geometry.size[0] as f64 * geometry.spacing_mm[0];
    modules::rounded(width_mm, 1000.0)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn stored_value(hu: f64) -> u16 {
    (hu - INTERCEPT_HU).round().clamp(0.0, 4095.0) as u16
}

//! The modules that all objects share (PS3.3 C.7).

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::settings::Scan;
use super::plan::{self, Plan};
use crate::dicom::uid::Uid;
use crate::dicom::write::{WriteError, put_decimals, put_empty, put_integer, put_text, put_u16s, put_uid};
use crate::image::Geometry;
use crate::math::linalg;

/// Patient, General Study and Patient Study (C.7.1.1, C.7.2.1, C.7.2.2).
pub(super) fn put_patient_and_study(
    object: &mut InMemDicomObject,
    plan: &Plan<'_>,
    scan: Scan,
) -> Result<(), WriteError> {
    let patient = &plan.settings.patient;
    put_text(object, tags::SPECIFIC_CHARACTER_SET, patient.character_set.clone());
    put_text(object, tags::PATIENT_NAME, patient.name.clone());
    put_text(object, tags::PATIENT_ID, patient.id.clone());
    if !patient.issuer.is_empty() {
        put_text(object, tags::ISSUER_OF_PATIENT_ID, patient.issuer.clone());
    }
    let born = patient.birth_date;
    put_text(object, tags::PATIENT_BIRTH_DATE, plan::date_text(born.into()));
    put_text(object, tags::PATIENT_SEX, patient.sex.clone());
    let at = plan.study_at(scan);
    let birthday_to_come = (at.month(), at.day()) < (born.month(), born.day());
    let years = (i32::from(at.year()) - i32::from(born.year()) - i32::from(birthday_to_come)).clamp(0, 999);
    put_text(object, tags::PATIENT_AGE, format!("{years:03}Y"));
    put_decimals(object, tags::PATIENT_SIZE, &[patient.size_m])?;
    put_decimals(object, tags::PATIENT_WEIGHT, &[patient.weight_kg])?;

    put_uid(object, tags::STUDY_INSTANCE_UID, &plan.study(scan));
    put_text(object, tags::STUDY_DATE, plan::date_text(at));
    put_text(object, tags::STUDY_TIME, plan::time_text(at));
    put_text(object, tags::STUDY_ID, "1");
    put_text(object, tags::STUDY_DESCRIPTION, "Synthetic multimodal study");
    put_empty(object, tags::REFERRING_PHYSICIAN_NAME);
    put_empty(object, tags::ACCESSION_NUMBER);
    Ok(())
}

/// General Series, Frame of Reference and General Equipment (C.7.3.1, C.7.4.1, C.7.5.1) of an image series.
pub(super) fn put_series(object: &mut InMemDicomObject, plan: &Plan<'_>, scan: Scan, description: &str) {
    let at = plan.scan_at(scan);
    put_text(object, tags::MODALITY, scan.modality());
    put_uid(object, tags::SERIES_INSTANCE_UID, &plan.series(scan));
    let number = match scan {
        Scan::Ct => 2,
        Scan::Pet => 3,
        Scan::Mr => 4,
    };
    put_integer(object, tags::SERIES_NUMBER, number);
    put_text(object, tags::SERIES_DATE, plan::date_text(at));
    put_text(object, tags::SERIES_TIME, plan::time_text(at));
    put_text(object, tags::SERIES_DESCRIPTION, description);
    put_text(object, tags::BODY_PART_EXAMINED, plan.settings.body_part.clone());
    if scan != Scan::Pet {
        // PET says it in Patient Orientation Code Sequence (0054,0410), and must not say it twice.
        put_text(object, tags::PATIENT_POSITION, "HFS");
    }
    put_uid(object, tags::FRAME_OF_REFERENCE_UID, &plan.frame_of_reference(scan));
    put_empty(object, tags::POSITION_REFERENCE_INDICATOR);
    let scanner = plan.settings.scanner(scan);
    put_text(object, tags::MANUFACTURER, scanner.manufacturer.clone());
    put_text(object, tags::MANUFACTURER_MODEL_NAME, scanner.model.clone());
    put_text(object, tags::STATION_NAME, format!("SYNTH{}", scan.modality()));
    put_text(object, tags::SOFTWARE_VERSIONS, "1");
    put_text(object, tags::DEVICE_SERIAL_NUMBER, "1");
}

/// SOP Common, General Image and Image Plane (C.12.1, C.7.6.1, C.7.6.2) of one slice.
pub(super) fn put_slice(
    object: &mut InMemDicomObject,
    plan: &Plan<'_>,
    scan: Scan,
    geometry: &Geometry,
    slice: usize,
) -> Result<(), WriteError> {
    put_text(object, tags::SOP_CLASS_UID, plan::sop_class(scan));
    put_uid(object, tags::SOP_INSTANCE_UID, &plan.instance(scan, slice));
    put_integer(object, tags::INSTANCE_NUMBER, i32::try_from(slice + 1).unwrap_or(i32::MAX));
    let at = plan.scan_at(scan);
    for (date, time) in [(tags::ACQUISITION_DATE, tags::ACQUISITION_TIME), (tags::CONTENT_DATE, tags::CONTENT_TIME)] {
        put_text(object, date, plan::date_text(at));
        put_text(object, time, plan::time_text(at));
    }
    put_integer(object, tags::ACQUISITION_NUMBER, 1);
    put_plane(object, geometry, slice)
}

/// Image Plane (C.7.6.2): where the slice lies.
pub(super) fn put_plane(object: &mut InMemDicomObject, geometry: &Geometry, slice: usize) -> Result<(), WriteError> {
    #[allow(clippy::cast_precision_loss)]
    let position = geometry.voxel_to_world([0.0, 0.0, slice as f64]);
    let [x, y, z] = geometry.directions;
    let [dx, dy, dz] = geometry.spacing_mm;
    put_decimals(object, tags::IMAGE_POSITION_PATIENT, &position.map(|v| rounded(v, 1e9)))?;
    put_decimals(
        object,
        tags::IMAGE_ORIENTATION_PATIENT,
        &[x[0], x[1], x[2], y[0], y[1], y[2]].map(|v| rounded(v, 1e12)),
    )?;
    // Rows first: the distance of rows is along y.
    put_decimals(object, tags::PIXEL_SPACING, &[dy, dx])?;
    put_decimals(object, tags::SLICE_THICKNESS, &[dz])?;
    put_decimals(object, tags::SPACING_BETWEEN_SLICES, &[dz])?;
    put_decimals(object, tags::SLICE_LOCATION, &[rounded(linalg::dot(position, z), 1e6)])
}

/// How integers are stored.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub(super) bits: u16,
    pub(super) signed: bool,
}

/// Image Pixel (C.7.6.3): the integers of one slice.
pub(super) fn put_pixels(object: &mut InMemDicomObject, geometry: &Geometry, stored: Stored, pixels: &[u16]) {
    let [columns, rows] = [geometry.size[0], geometry.size[1]].map(|n| u16::try_from(n).unwrap_or(u16::MAX));
    put_u16s(object, tags::SAMPLES_PER_PIXEL, [1]);
    put_text(object, tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2");
    put_u16s(object, tags::ROWS, [rows]);
    put_u16s(object, tags::COLUMNS, [columns]);
    put_u16s(object, tags::BITS_ALLOCATED, [16]);
    put_u16s(object, tags::BITS_STORED, [stored.bits]);
    put_u16s(object, tags::HIGH_BIT, [stored.bits - 1]);
    put_u16s(object, tags::PIXEL_REPRESENTATION, [u16::from(stored.signed)]);
    put_u16s(object, tags::PIXEL_DATA, pixels.iter().copied());
}

/// Creation of an object by a workstation: date, time and UIDs that name the instance.
pub(super) fn put_instance(object: &mut InMemDicomObject, sop_class: &str, instance: &Uid) {
    put_text(object, tags::SOP_CLASS_UID, sop_class);
    put_uid(object, tags::SOP_INSTANCE_UID, instance);
}

/// `value` on a lattice of `1 / per_unit`: no noise of the last bits in a header, and no minus before a zero.
pub(super) fn rounded(value: f64, per_unit: f64) -> f64 {
    (value * per_unit).round() / per_unit + 0.0
}

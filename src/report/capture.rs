//! Secondary captures (PS3.3 A.8.1): single frames in true colour, uncompressed, which every PACS takes.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::header::{self, Own};
use super::identity;
use super::picture::{self, Picture};
use super::{CaseResult, ImageSeries, ReportError};
use crate::dicom::codes::{code_item, concepts as c};
use crate::dicom::product;
use crate::dicom::uid::Uid;
use crate::dicom::write::{plain_text, put_bytes, put_empty, put_items, put_text, put_texts, put_u16s, reference_item};

/// One capture, not yet encoded.
pub(super) struct Capture {
    pub(super) name: String,
    pub(super) object: InMemDicomObject,
    pub(super) series: Uid,
    pub(super) sop_instance: Uid,
}

/// Instance numbers of one revision: more than it has pages.
const NUMBERS_PER_REVISION: u32 = 100;

/// The pages of a case, in one series of the reference's study.
///
/// # Errors
/// When a page is larger than its attributes can say.
pub(super) fn captures(case: &CaseResult, reference: &ImageSeries) -> Result<Vec<Capture>, ReportError> {
    let pages = picture::pictures(case).into_iter().zip(1u32..);
    pages.map(|(picture, page)| capture(case, reference, &picture, page)).collect()
}

fn capture(case: &CaseResult, reference: &ImageSeries, picture: &Picture, page: u32) -> Result<Capture, ReportError> {
    let sop_instance = identity::instance(case, &picture.name);
    let series = identity::series(case, "pictures");
    let mut object = InMemDicomObject::new_empty();
    let own = Own {
        sop_class: uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
        sop_instance: &sop_instance,
        series: &series,
        modality: "OT",
        series_number: 9300,
        series_description: "Radiomics pictures (research use)".to_owned(),
    };
    header::put_own(&mut object, case, &own);
    header::put_patient_and_study(&mut object, reference);
    put_text(&mut object, tags::INSTANCE_NUMBER, (case.revision * NUMBERS_PER_REVISION + page).to_string());
    // PS3.3 C.8.6.1.
    put_text(&mut object, tags::CONVERSION_TYPE, "WSD");
    put_text(&mut object, tags::SECONDARY_CAPTURE_DEVICE_MANUFACTURER, product::MANUFACTURER);
    put_text(&mut object, tags::SECONDARY_CAPTURE_DEVICE_MANUFACTURER_MODEL_NAME, product::MODEL);
    put_text(&mut object, tags::SECONDARY_CAPTURE_DEVICE_SOFTWARE_VERSIONS, product::VERSION);
    // PS3.3 C.7.6.1: letters in the pixels say where right and left are; several planes have no one orientation.
    put_texts(&mut object, tags::IMAGE_TYPE, ["DERIVED", "SECONDARY"].map(String::from));
    put_empty(&mut object, tags::PATIENT_ORIENTATION);
    put_empty(&mut object, tags::LATERALITY);
    put_text(&mut object, tags::IMAGE_COMMENTS, plain_text(&picture.title, 1024));
    put_text(&mut object, tags::DERIVATION_DESCRIPTION, "Planes through a measured lesion, for research use only");
    // Neither name nor identifier nor date of the patient is in the pixels.
    put_text(&mut object, tags::BURNED_IN_ANNOTATION, "NO");
    let shown = picture.shown.iter().map(|(class, instance)| {
        let mut item = reference_item(class, instance);
        let purpose = vec![code_item(&c::SOURCE_IMAGE_FOR_PROCESSING)];
        put_items(&mut item, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, purpose);
        item
    });
    if !picture.shown.is_empty() {
        put_items(&mut object, tags::SOURCE_IMAGE_SEQUENCE, shown.collect());
    }
    put_pixels(&mut object, picture)?;
    Ok(Capture { name: picture.name.clone(), object, series, sop_instance })
}

/// PS3.3 C.7.6.3: red, green and blue of each pixel together, eight bits each.
fn put_pixels(object: &mut InMemDicomObject, picture: &Picture) -> Result<(), ReportError> {
    let count = |found: usize, what| {
        u16::try_from(found).map_err(|_| ReportError::TooMany { what, found, most: usize::from(u16::MAX) })
    };
    put_u16s(object, tags::SAMPLES_PER_PIXEL, [3]);
    put_text(object, tags::PHOTOMETRIC_INTERPRETATION, "RGB");
    put_u16s(object, tags::PLANAR_CONFIGURATION, [0]);
    put_u16s(object, tags::ROWS, [count(picture.pixels.height, "rows")?]);
    put_u16s(object, tags::COLUMNS, [count(picture.pixels.width, "columns")?]);
    put_u16s(object, tags::BITS_ALLOCATED, [8]);
    put_u16s(object, tags::BITS_STORED, [8]);
    put_u16s(object, tags::HIGH_BIT, [7]);
    put_u16s(object, tags::PIXEL_REPRESENTATION, [0]);
    put_text(object, tags::LOSSY_IMAGE_COMPRESSION, "00");
    let mut bytes = picture.pixels.pixels.as_flattened().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    put_bytes(object, tags::PIXEL_DATA, VR::OB, bytes);
    Ok(())
}

//! What holds for every document: attributes that must be there, values of the right form, codes, schemes.

use std::collections::BTreeSet;

use dicom_core::header::Header;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{DefaultDicomObject, InMemDicomObject};

use super::Violation;
use crate::dicom::attributes::{Named, has_value, items, texts};
use crate::dicom::sr::SrClass;
use crate::dicom::uid::Uid;
use crate::report::header::{legal_date, legal_time};

/// Must have a value in every document.
const TYPE_1: &[Tag] = &[
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::MODALITY,
    tags::SERIES_NUMBER,
    tags::INSTANCE_NUMBER,
    tags::SPECIFIC_CHARACTER_SET,
];

/// Must be there, if only empty.
const TYPE_2: &[Tag] = &[
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_ID,
    tags::MANUFACTURER,
];

const SR_TYPE_1: &[Tag] = &[
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::COMPLETION_FLAG,
    tags::VERIFICATION_FLAG,
    tags::VALUE_TYPE,
    tags::CONCEPT_NAME_CODE_SEQUENCE,
    tags::CONTINUITY_OF_CONTENT,
    tags::CONTENT_TEMPLATE_SEQUENCE,
    tags::CONTENT_SEQUENCE,
];

const SR_TYPE_2: &[Tag] =
    &[tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE];

const SEG_TYPE_1: &[Tag] = &[
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::DEVICE_SERIAL_NUMBER,
    tags::SOFTWARE_VERSIONS,
    tags::FRAME_OF_REFERENCE_UID,
    tags::IMAGE_TYPE,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::LOSSY_IMAGE_COMPRESSION,
    tags::SEGMENTATION_TYPE,
    tags::CONTENT_LABEL,
    tags::NUMBER_OF_FRAMES,
    tags::SEGMENT_SEQUENCE,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::DIMENSION_ORGANIZATION_SEQUENCE,
    tags::DIMENSION_INDEX_SEQUENCE,
    tags::REFERENCED_SERIES_SEQUENCE,
    tags::PIXEL_DATA,
];

const SEG_TYPE_2: &[Tag] = &[tags::POSITION_REFERENCE_INDICATOR, tags::CONTENT_CREATOR_NAME, tags::CONTENT_DESCRIPTION];

const REG_TYPE_1: &[Tag] = &[
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::DEVICE_SERIAL_NUMBER,
    tags::SOFTWARE_VERSIONS,
    tags::FRAME_OF_REFERENCE_UID,
    tags::CONTENT_LABEL,
    tags::REFERENCED_SERIES_SEQUENCE,
];

const CAPTURE_TYPE_1: &[Tag] = &[
    tags::CONVERSION_TYPE,
    tags::IMAGE_TYPE,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::PLANAR_CONFIGURATION,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::BURNED_IN_ANNOTATION,
    tags::PIXEL_DATA,
];

const CAPTURE_TYPE_2: &[Tag] = &[tags::PATIENT_ORIENTATION];

const PDF_TYPE_1: &[Tag] = &[
    tags::CONVERSION_TYPE,
    tags::BURNED_IN_ANNOTATION,
    tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT,
    tags::ENCAPSULATED_DOCUMENT,
];

const PDF_TYPE_2: &[Tag] = &[
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::ACQUISITION_DATE_TIME,
    tags::DOCUMENT_TITLE,
    tags::CONCEPT_NAME_CODE_SEQUENCE,
];

const SELECTION_TYPE_1: &[Tag] = &[
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
    tags::VALUE_TYPE,
    tags::CONCEPT_NAME_CODE_SEQUENCE,
    tags::CONTINUITY_OF_CONTENT,
    tags::CONTENT_TEMPLATE_SEQUENCE,
    tags::CONTENT_SEQUENCE,
];

const SELECTION_TYPE_2: &[Tag] = &[tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE];

/// Adds what the attributes of a document break.
pub(super) fn check(file: &DefaultDicomObject, violations: &mut Vec<Violation>) {
    let class = file.meta().media_storage_sop_class_uid().trim_end_matches('\0').to_owned();
    let (type_1, type_2): (&[Tag], &[Tag]) = match class.as_str() {
        report if SrClass::from_sop_class(report).is_some() => (SR_TYPE_1, SR_TYPE_2),
        uids::SEGMENTATION_STORAGE => (SEG_TYPE_1, SEG_TYPE_2),
        uids::SPATIAL_REGISTRATION_STORAGE | uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE => (REG_TYPE_1, SEG_TYPE_2),
        uids::SECONDARY_CAPTURE_IMAGE_STORAGE => (CAPTURE_TYPE_1, CAPTURE_TYPE_2),
        uids::ENCAPSULATED_PDF_STORAGE => (PDF_TYPE_1, PDF_TYPE_2),
        uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE => (SELECTION_TYPE_1, SELECTION_TYPE_2),
        _ => (&[], &[]),
    };
    // The two kinds of registrations differ in where the transform is.
    let transform = match class.as_str() {
        uids::SPATIAL_REGISTRATION_STORAGE => Some(&tags::REGISTRATION_SEQUENCE),
        uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE => Some(&tags::DEFORMABLE_REGISTRATION_SEQUENCE),
        _ => None,
    };
    let missing = TYPE_1.iter().chain(type_1).chain(transform).filter(|tag| !has_value(file, **tag));
    let absent = TYPE_2.iter().chain(type_2).filter(|tag| file.get(**tag).is_none());
    violations.extend(missing.chain(absent).map(|tag| Violation::Missing(Named(*tag).to_string())));
    for (tag, meta) in [
        (tags::SOP_CLASS_UID, class.as_str()),
        (tags::SOP_INSTANCE_UID, file.meta().media_storage_sop_instance_uid().trim_end_matches('\0')),
    ] {
        if texts(file, tag).first().map(String::as_str) != Some(meta) {
            violations.push(Violation::Uid(Named(tag).to_string()));
        }
    }
    let mut walk = Walk { path: Vec::new(), schemes: BTreeSet::new(), violations };
    walk.object(file);
    let used = walk.schemes;
    let declared = items(file, tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE);
    let declared: BTreeSet<String> =
        declared.iter().flat_map(|item| texts(item, tags::CODING_SCHEME_DESIGNATOR)).collect();
    let private = used.difference(&declared).filter(|scheme| scheme.starts_with("99"));
    violations.extend(private.map(|scheme| Violation::Scheme(scheme.clone())));
}

/// Every element of every item.
struct Walk<'v> {
    path: Vec<(Tag, usize)>,
    schemes: BTreeSet<String>,
    violations: &'v mut Vec<Violation>,
}

impl Walk<'_> {
    fn object(&mut self, object: &InMemDicomObject) {
        for element in object.iter() {
            match element.items() {
                Some(items) => self.sequence(element.tag(), items),
                None => self.element(element),
            }
        }
    }

    fn sequence(&mut self, tag: Tag, items: &[InMemDicomObject]) {
        for (index, item) in items.iter().enumerate() {
            self.path.push((tag, index + 1));
            if is_code_sequence(tag) {
                self.code(item);
            }
            self.object(item);
            self.path.pop();
        }
    }

    fn code(&mut self, item: &InMemDicomObject) {
        let value = has_value(item, tags::CODE_VALUE) || has_value(item, tags::LONG_CODE_VALUE);
        let scheme = texts(item, tags::CODING_SCHEME_DESIGNATOR);
        if !value || scheme.is_empty() || !has_value(item, tags::CODE_MEANING) {
            self.violations.push(Violation::Code(self.place(None)));
        }
        for scheme in scheme {
            if !self.schemes.contains(&scheme) {
                self.schemes.insert(scheme);
            }
        }
    }

    fn element(&mut self, element: &InMemElement) {
        let (tag, vr) = (element.tag(), element.vr());
        if !matches!(vr, VR::UI | VR::DS | VR::IS | VR::SH | VR::LO | VR::CS | VR::PN | VR::DA | VR::TM) {
            return;
        }
        let Ok(text) = element.to_raw_str() else {
            return self.violations.push(Violation::Value(self.place(Some(tag))));
        };
        for value in text.split('\\') {
            let value = value.trim_end_matches([' ', '\0']);
            if value.is_empty() {
                continue;
            }
            if vr == VR::UI {
                if Uid::parse(value).is_err() {
                    self.violations.push(Violation::Uid(self.place(Some(tag))));
                }
            } else if !legal(vr, value) {
                self.violations.push(Violation::Value(self.place(Some(tag))));
            }
        }
    }

    fn place(&self, last: Option<Tag>) -> String {
        let path = self.path.iter().map(|(tag, item)| format!("{} item {item}", Named(*tag)));
        path.chain(last.map(|tag| Named(tag).to_string())).collect::<Vec<_>>().join(" > ")
    }
}

/// PS3.5 6.2.
fn legal(vr: VR, value: &str) -> bool {
    let characters = value.chars().count();
    match vr {
        VR::DS => characters <= 16 && value.trim().parse::<f64>().is_ok_and(f64::is_finite),
        VR::IS => characters <= 12 && value.trim().parse::<i32>().is_ok(),
        VR::SH => characters <= 16,
        VR::LO => characters <= 64,
        VR::CS => {
            characters <= 16
                && value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b' ' | b'_'))
        }
        VR::PN => value.split('=').all(|group| group.chars().count() <= 64),
        VR::DA => legal_date(value).is_some(),
        VR::TM => legal_time(value).is_some(),
        _ => true,
    }
}

fn is_code_sequence(tag: Tag) -> bool {
    matches!(
        tag,
        tags::CONCEPT_NAME_CODE_SEQUENCE
            | tags::CONCEPT_CODE_SEQUENCE
            | tags::MEASUREMENT_UNITS_CODE_SEQUENCE
            | tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE
            | tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE
            | tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE
            | tags::ANATOMIC_REGION_SEQUENCE
            | tags::ANATOMIC_REGION_MODIFIER_SEQUENCE
            | tags::DERIVATION_CODE_SEQUENCE
            | tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE
    )
}

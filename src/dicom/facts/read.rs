//! From a data set to its facts.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use dicom_core::header::HasLength;
use dicom_core::{DataDictionary, Tag, dictionary::DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_object::InMemDicomObject;

use super::{AnnotationFacts, InstanceFacts, InstanceKind, PatientIdentity};
use crate::dicom::attributes::{self, AttributeError};
use crate::dicom::part10::{self, FormatError, Keep, Part10};
use crate::dicom::product;
use crate::dicom::uid::Uid;
use crate::error::{Duty, Fault, Retry};

/// What protocols usually match on. None of them identifies a patient.
const USUAL_KEYWORDS: [&str; 27] = [
    "Modality",
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "ImageType",
    "BodyPartExamined",
    "Manufacturer",
    "ManufacturerModelName",
    "StationName",
    "ConvolutionKernel",
    "ReconstructionMethod",
    "CorrectedImage",
    "Units",
    "SequenceName",
    "ScanningSequence",
    "ContrastBolusAgent",
    "SliceThickness",
    "SeriesNumber",
    "InstanceNumber",
    "AcquisitionNumber",
    "Rows",
    "Columns",
    "PixelSpacing",
    "EchoTime",
    "RepetitionTime",
    "DiffusionBValue",
    "KVP",
];

/// A value in the index is cut here: no attribute that protocols match on is longer.
const VALUE_CHARS_MAX: usize = 1024;

/// Names and references of one annotation beyond this are left out: no real structure set has as many.
const LIST_MAX: usize = 4096;

/// Why an instance has no facts.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// Not a readable DICOM file.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// An attribute that every instance must have is absent or malformed; the error names it.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
}

impl FactsError {
    /// The attribute that is absent or malformed.
    #[must_use]
    pub fn tag(&self) -> Option<Tag> {
        match self {
            Self::Attribute(error) => Some(error.tag()),
            Self::Format(_) => None,
        }
    }
}

impl Duty for FactsError {
    fn fault(&self) -> Fault {
        match self {
            Self::Format(error) => error.fault(),
            Self::Attribute(_) => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Format(error) => error.retry(),
            Self::Attribute(_) => Retry::Never,
        }
    }
}

/// Reads the facts of a Part-10 file of any object class; its pixels are not read.
///
/// `extra_keywords` are attributes by keyword that the configuration matches on beside the usual ones.
///
/// # Errors
/// When the file cannot be read as DICOM, or lacks one of its four UIDs, or one is malformed.
pub fn read(path: &Path, extra_keywords: &[String]) -> Result<InstanceFacts, FactsError> {
    let file = Part10::open(path, Keep::Facts)?;
    from_object(&file.object, &file.transfer_syntax, extra_keywords)
}

/// The same for a Part-10 file in memory.
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: &[u8], extra_keywords: &[String]) -> Result<InstanceFacts, FactsError> {
    let (object, transfer_syntax) = part10::header_of(bytes, Keep::Facts)?;
    from_object(&object, &transfer_syntax, extra_keywords)
}

/// The same for a Part-10 file of this length that is read from its beginning.
///
/// # Errors
/// As [`read`].
pub fn from_reader(mut reader: impl Read, length: u64, extra_keywords: &[String]) -> Result<InstanceFacts, FactsError> {
    let (object, transfer_syntax) = part10::read_header(&mut reader, length, Keep::Facts)?;
    from_object(&object, &transfer_syntax, extra_keywords)
}

/// The same for a data set that is open already.
///
/// # Errors
/// When it lacks one of its four UIDs, or one is malformed.
pub fn from_object(
    object: &InMemDicomObject,
    transfer_syntax: &Uid,
    extra_keywords: &[String],
) -> Result<InstanceFacts, FactsError> {
    let sop_class = attributes::required_uid(object, tags::SOP_CLASS_UID)?;
    let sop_instance = attributes::required_uid(object, tags::SOP_INSTANCE_UID)?;
    let study = attributes::required_uid(object, tags::STUDY_INSTANCE_UID)?;
    let series = attributes::required_uid(object, tags::SERIES_INSTANCE_UID)?;
    let kind = kind_of(object, &sop_class);
    Ok(InstanceFacts {
        sop_instance,
        series,
        study,
        transfer_syntax: transfer_syntax.clone(),
        patient: PatientIdentity {
            id: bounded(object, tags::PATIENT_ID),
            issuer: bounded(object, tags::ISSUER_OF_PATIENT_ID),
            birth_date: bounded(object, tags::PATIENT_BIRTH_DATE),
            sex: bounded(object, tags::PATIENT_SEX),
        },
        modality: attributes::code_string(object, tags::MODALITY),
        frame_of_reference: frame_of_reference(object),
        made_at: made_at(object),
        study_date: bounded(object, tags::STUDY_DATE),
        own_product: product::made_by_us(object),
        attributes: match_attributes(object, extra_keywords),
        kind,
        sop_class,
    })
}

fn kind_of(object: &InMemDicomObject, sop_class: &Uid) -> InstanceKind {
    match sop_class.as_str() {
        uids::CT_IMAGE_STORAGE
        | uids::ENHANCED_CT_IMAGE_STORAGE
        | uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE
        | uids::MR_IMAGE_STORAGE
        | uids::ENHANCED_MR_IMAGE_STORAGE
        | uids::LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE
        | uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE
        | uids::ENHANCED_PET_IMAGE_STORAGE
        | uids::LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE => image(object),
        uids::RT_STRUCTURE_SET_STORAGE => InstanceKind::StructureSet(structure_set(object)),
        uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE => {
            InstanceKind::Segmentation(AnnotationFacts {
                roi_names: names(object, tags::SEGMENT_SEQUENCE, tags::SEGMENT_LABEL),
                ..content(object)
            })
        }
        uids::SPATIAL_REGISTRATION_STORAGE | uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE => {
            InstanceKind::Registration(content(object))
        }
        _ => InstanceKind::Other,
    }
}

/// A defect in these attributes does not stop the instance from being stored: the volume stage names it.
fn image(object: &InMemDicomObject) -> InstanceKind {
    InstanceKind::Image {
        position_mm: attributes::array(object, tags::IMAGE_POSITION_PATIENT).ok().flatten(),
        orientation: attributes::array(object, tags::IMAGE_ORIENTATION_PATIENT).ok().flatten(),
        thickness_mm: attributes::number(object, tags::SLICE_THICKNESS).ok().flatten(),
        n_frames: attributes::count(object, tags::NUMBER_OF_FRAMES).ok().flatten().unwrap_or(1),
    }
}

fn structure_set(object: &InMemDicomObject) -> AnnotationFacts {
    let mut references = Vec::new();
    for frame in attributes::items(object, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE) {
        for study in attributes::items(frame, tags::RT_REFERENCED_STUDY_SEQUENCE) {
            add_series(&mut references, study, tags::RT_REFERENCED_SERIES_SEQUENCE);
        }
    }
    AnnotationFacts {
        references,
        label: bounded(object, tags::STRUCTURE_SET_LABEL),
        drawn_at: attributes::date_time_text(object, tags::STRUCTURE_SET_DATE, tags::STRUCTURE_SET_TIME),
        approval: attributes::code_string(object, tags::APPROVAL_STATUS),
        roi_names: names(object, tags::STRUCTURE_SET_ROI_SEQUENCE, tags::ROI_NAME),
    }
}

/// What SEG and REG share: content identification and the Common Instance Reference Module (PS3.3 C.12.2).
fn content(object: &InMemDicomObject) -> AnnotationFacts {
    let mut references = Vec::new();
    add_series(&mut references, object, tags::REFERENCED_SERIES_SEQUENCE);
    for study in attributes::items(object, tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE) {
        add_series(&mut references, study, tags::REFERENCED_SERIES_SEQUENCE);
    }
    AnnotationFacts {
        references,
        label: bounded(object, tags::CONTENT_LABEL),
        drawn_at: attributes::date_time_text(object, tags::CONTENT_DATE, tags::CONTENT_TIME),
        approval: attributes::code_string(object, tags::APPROVAL_STATUS),
        roi_names: Vec::new(),
    }
}

/// Adds the series that the items of a sequence name, each once. A malformed UID names nothing that can be stored here.
fn add_series(references: &mut Vec<Uid>, object: &InMemDicomObject, sequence: Tag) {
    for item in attributes::items(object, sequence) {
        if let Ok(Some(series)) = attributes::uid(item, tags::SERIES_INSTANCE_UID)
            && references.len() < LIST_MAX
            && !references.contains(&series)
        {
            references.push(series);
        }
    }
}

fn names(object: &InMemDicomObject, sequence: Tag, name: Tag) -> Vec<String> {
    attributes::items(object, sequence).iter().take(LIST_MAX).map(|item| bounded(item, name)).collect()
}

/// Frame of Reference UID; a structure set names it in its sequences.
fn frame_of_reference(object: &InMemDicomObject) -> Option<Uid> {
    let own = attributes::uid(object, tags::FRAME_OF_REFERENCE_UID).ok().flatten();
    let in_sequence = |sequence, tag| {
        attributes::items(object, sequence).iter().find_map(|item| attributes::uid(item, tag).ok().flatten())
    };
    own.or_else(|| in_sequence(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, tags::FRAME_OF_REFERENCE_UID))
        .or_else(|| in_sequence(tags::STRUCTURE_SET_ROI_SEQUENCE, tags::REFERENCED_FRAME_OF_REFERENCE_UID))
}

fn made_at(object: &InMemDicomObject) -> String {
    let series = attributes::date_time_text(object, tags::SERIES_DATE, tags::SERIES_TIME);
    if series.is_empty() { attributes::date_time_text(object, tags::STUDY_DATE, tags::STUDY_TIME) } else { series }
}

fn match_attributes(object: &InMemDicomObject, extra_keywords: &[String]) -> BTreeMap<String, String> {
    USUAL_KEYWORDS
        .into_iter()
        .chain(extra_keywords.iter().map(String::as_str))
        .filter_map(|keyword| {
            let tag = StandardDataDictionary.by_name(keyword)?.tag();
            let element = object.get(tag)?;
            if element.items().is_some() || element.is_empty() {
                return None;
            }
            Some((keyword.to_owned(), bounded(object, tag)))
        })
        .collect()
}

fn bounded(object: &InMemDicomObject, tag: Tag) -> String {
    attributes::text(object, tag).chars().take(VALUE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, VR, dicom_value, value::DataSetSequence};
    use dicom_object::meta::FileMetaTableBuilder;

    fn ct() -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        object.put_str(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE);
        object.put_str(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4\0");
        object.put_str(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3");
        object.put_str(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.1");
        object.put_str(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.9");
        object.put_str(tags::MODALITY, VR::CS, "CT");
        object.put_str(tags::PATIENT_ID, VR::LO, "P1 ");
        object.put_str(tags::STUDY_DATE, VR::DA, "20240131");
        object.put_str(tags::STUDY_TIME, VR::TM, "101500");
        object.put(DataElement::new(tags::IMAGE_TYPE, VR::CS, dicom_value!(Strs, ["ORIGINAL", "PRIMARY", "AXIAL "])));
        object.put_str(tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\2\\-3.5");
        object.put_str(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
        object
    }

    fn explicit() -> Uid {
        Uid::parse(uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    }

    fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
        DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
    }

    fn item(tag: Tag, vr: VR, value: &str) -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        object.put_str(tag, vr, value);
        object
    }

    #[test]
    fn an_image_tells_where_it_lies_and_what_protocols_match_on() {
        let facts = from_object(&ct(), &explicit(), &["PatientPosition".into(), "StudyDate".into()]).unwrap();
        assert_eq!(facts.sop_instance.as_str(), "1.2.3.4");
        assert_eq!(facts.patient.id, "P1");
        assert_eq!(facts.made_at, "20240131101500.000000");
        assert_eq!(facts.attributes["ImageType"], "ORIGINAL\\PRIMARY\\AXIAL");
        assert_eq!(facts.attributes["StudyDate"], "20240131");
        assert!(!facts.attributes.contains_key("PatientPosition") && !facts.attributes.contains_key("PatientID"));
        assert_eq!(
            facts.kind,
            InstanceKind::Image {
                position_mm: Some([1.0, 2.0, -3.5]),
                orientation: Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
                thickness_mm: None,
                n_frames: 1
            }
        );
    }

    #[test]
    fn an_instance_without_a_uid_is_refused_by_the_name_of_the_attribute() {
        for tag in [tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID, tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID] {
            let mut object = ct();
            object.remove_element(tag);
            assert_eq!(from_object(&object, &explicit(), &[]).unwrap_err().tag(), Some(tag));
            object.put_str(tag, VR::UI, "../../etc/passwd");
            assert_eq!(from_object(&object, &explicit(), &[]).unwrap_err().tag(), Some(tag));
        }
    }

    #[test]
    fn a_structure_set_names_its_series_rois_and_approval() {
        let mut object = ct();
        object.remove_element(tags::FRAME_OF_REFERENCE_UID);
        object.put_str(tags::SOP_CLASS_UID, VR::UI, uids::RT_STRUCTURE_SET_STORAGE);
        object.put_str(tags::STRUCTURE_SET_LABEL, VR::SH, "PLAN ");
        object.put_str(tags::STRUCTURE_SET_DATE, VR::DA, "20240202");
        object.put_str(tags::APPROVAL_STATUS, VR::CS, "UNAPPROVED");
        let series = vec![
            item(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.1"),
            item(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.1"),
        ];
        let study = InMemDicomObject::from_element_iter([sequence(tags::RT_REFERENCED_SERIES_SEQUENCE, series)]);
        let mut frame = item(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.9");
        frame.put(sequence(tags::RT_REFERENCED_STUDY_SEQUENCE, vec![study]));
        object.put(sequence(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, vec![frame]));
        let rois = vec![item(tags::ROI_NAME, VR::LO, "GTV 1 "), item(tags::ROI_NAME, VR::LO, "GTV 2")];
        object.put(sequence(tags::STRUCTURE_SET_ROI_SEQUENCE, rois));
        let facts = from_object(&object, &explicit(), &[]).unwrap();
        assert_eq!(facts.frame_of_reference.unwrap().as_str(), "1.2.3.9");
        let InstanceKind::StructureSet(found) = facts.kind else { panic!("{:?}", facts.kind) };
        assert_eq!(found.references, [Uid::parse("1.2.3.1").unwrap()]);
        assert_eq!(found.roi_names, ["GTV 1", "GTV 2"]);
        assert_eq!((found.label.as_str(), found.approval.as_str()), ("PLAN", "UNAPPROVED"));
        assert_eq!(found.drawn_at, "20240202000000.000000");
    }

    #[test]
    fn a_file_gives_the_same_facts_as_its_data_set() {
        let mut object = ct();
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, dicom_value!(U16, [1, 2, 3, 4])));
        let expected = from_object(&object, &explicit(), &[]).unwrap();
        let file =
            object.with_meta(FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)).unwrap();
        let mut bytes = Vec::new();
        file.write_all(&mut bytes).unwrap();
        assert_eq!(from_bytes(&bytes, &[]).unwrap(), expected);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.dcm");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path, &[]).unwrap(), expected);
        assert!(from_bytes(b"GET / HTTP/1.1\r\n\r\n", &[]).is_err());
    }
}

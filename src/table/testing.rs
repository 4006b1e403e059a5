//! Small results of cases, for tests.

use std::sync::Arc;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ndarray::Array3;

use crate::dicom::uid::Uid;
use crate::image::{Geometry, Mask};
use crate::report::{CaseResult, ImageSeries, Measured, MeasurementGroup, RoiOrigin, Space};

/// A CT of one lesion with two features: the value, and twice the value.
pub(super) fn case(id: &str, patient: &str, manufacturer: &str, revision: u32, value: f64) -> CaseResult {
    let texts = [
        (tags::MODALITY, VR::CS, "CT"),
        (tags::MANUFACTURER, VR::LO, manufacturer),
        (tags::MANUFACTURER_MODEL_NAME, VR::LO, "Discovery ST"),
        (tags::CONVOLUTION_KERNEL, VR::SH, "SOFT"),
        (tags::PATIENT_ID, VR::LO, patient),
        (tags::PATIENT_AGE, VR::AS, "059Y"),
        (tags::PATIENT_SEX, VR::CS, "M"),
        (tags::STUDY_DATE, VR::DA, "20200101"),
    ];
    let header = InMemDicomObject::from_element_iter(
        texts.iter().map(|(tag, vr, text)| DataElement::new(*tag, *vr, PrimitiveValue::from(*text))),
    );
    let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let geometry = Geometry::new([2, 2, 2], [1.0; 3], [0.0; 3], identity).unwrap();
    let mask = Mask { geometry, voxels: Array3::from_elem((2, 2, 2), true) };
    let image = ImageSeries {
        role: "CT".to_owned(),
        modality: "CT".to_owned(),
        study: Uid::derived(&["study"]),
        series: Uid::derived(&["series"]),
        frame_of_reference: None,
        slices: Vec::new(),
        frames: Vec::new(),
        geometry,
        header: Arc::new(header),
    };
    let group = MeasurementGroup {
        lesion: 1,
        role: "CT".to_owned(),
        made_of: Vec::new(),
        space: Space::Native,
        mask: Arc::new(mask),
        drawn_on: RoiOrigin {
            role: "CT".to_owned(),
            name: "GTV".to_owned(),
            object: None,
            object_series: None,
            automatic: false,
        },
        values: vec![measured("stat_mean", value), measured("stat_max", 2.0 * value)],
        diagnostics: serde_json::Value::Null,
        parameters: Vec::new(),
    };
    CaseResult {
        case_id: id.to_owned(),
        revision,
        protocol: "ct".to_owned(),
        reference_role: "CT".to_owned(),
        settings_hash: "hash".to_owned(),
        images: vec![image],
        groups: vec![group],
        ..CaseResult::default()
    }
}

fn measured(tag: &str, value: f64) -> Measured {
    Measured {
        tag: tag.to_owned(),
        ibsi_id: String::new(),
        name: tag.to_owned(),
        family: "intensity".to_owned(),
        filter: "none".to_owned(),
        aggregation: String::new(),
        discretisation: String::new(),
        value,
        unit: "1".to_owned(),
        misregistration_error: None,
        delta_mm: None,
        within_lesion_sd: None,
        harmonised_value: None,
    }
}

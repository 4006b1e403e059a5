//! Structure sets (PS3.3 A.19): what a drawing station exports.

use std::collections::BTreeMap;

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::super::contour::Contour;
use super::super::patient::Phantom;
use super::super::settings::{Drawing, Scan};
use super::modules;
use super::plan::{self, Plan};
use crate::dicom::uid::Uid;
use crate::dicom::write::{
    WriteError, put_decimals, put_empty, put_integer, put_items, put_text, put_texts, put_uid, reference_item,
};

/// One ROI: a lesion as drawn on one image.
struct Roi {
    number: i32,
    name: String,
    lesion: usize,
    scan: Scan,
}

/// One structure set.
pub(super) fn structure_set(
    phantom: &Phantom,
    plan: &Plan<'_>,
    index: usize,
    drawing: &Drawing,
) -> Result<InMemDicomObject, WriteError> {
    let mut object = InMemDicomObject::new_empty();
    let at = plan::later(plan.settings.scanned_at, i64::from(drawing.minutes_later) * 60);
    let name = index.to_string();
    modules::put_patient_and_study(&mut object, plan, Scan::Ct)?;
    modules::put_instance(&mut object, uids::RT_STRUCTURE_SET_STORAGE, &plan.uid(&["structures", &name]));
    put_text(&mut object, tags::MODALITY, "RTSTRUCT");
    put_uid(&mut object, tags::SERIES_INSTANCE_UID, &plan.uid(&["series", "RTSTRUCT", &name]));
    put_integer(&mut object, tags::SERIES_NUMBER, 100 + i32::try_from(index).unwrap_or(0));
    put_text(&mut object, tags::SERIES_DATE, plan::date_text(at));
    put_text(&mut object, tags::SERIES_TIME, plan::time_text(at));
    put_text(&mut object, tags::SERIES_DESCRIPTION, "Synthetic contours");
    put_empty(&mut object, tags::OPERATORS_NAME);
    put_text(&mut object, tags::MANUFACTURER, "Synthetic Imaging");
    put_text(&mut object, tags::MANUFACTURER_MODEL_NAME, "Synthetic Drawing");
    put_text(&mut object, tags::SOFTWARE_VERSIONS, "1");
    put_integer(&mut object, tags::INSTANCE_NUMBER, 1);
    if let Some(scan) = drawing.on.first() {
        put_uid(&mut object, tags::FRAME_OF_REFERENCE_UID, &plan.frame_of_reference(*scan));
        put_empty(&mut object, tags::POSITION_REFERENCE_INDICATOR);
    }
    put_text(&mut object, tags::STRUCTURE_SET_LABEL, drawing.label.clone());
    put_text(&mut object, tags::STRUCTURE_SET_DATE, plan::date_text(at));
    put_text(&mut object, tags::STRUCTURE_SET_TIME, plan::time_text(at));

    let rois = rois(phantom, drawing);
    put_items(&mut object, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, frames(phantom, plan, drawing));
    put_items(&mut object, tags::STRUCTURE_SET_ROI_SEQUENCE, rois.iter().map(|roi| roi_item(plan, roi)).collect());
    let mut contours = Vec::with_capacity(rois.len());
    for roi in &rois {
        contours.push(roi_contour(phantom, plan, roi)?);
    }
    put_items(&mut object, tags::ROI_CONTOUR_SEQUENCE, contours);
    put_items(&mut object, tags::RTROI_OBSERVATIONS_SEQUENCE, rois.iter().map(observation).collect());
    put_text(&mut object, tags::APPROVAL_STATUS, drawing.approval.clone());
    if drawing.approval != "UNAPPROVED" {
        put_text(&mut object, tags::REVIEW_DATE, plan::date_text(at));
        put_text(&mut object, tags::REVIEW_TIME, plan::time_text(at));
        put_text(&mut object, tags::REVIEWER_NAME, "Reviewer^Synthetic");
    }
    Ok(object)
}

fn rois(phantom: &Phantom, drawing: &Drawing) -> Vec<Roi> {
    let mut rois = Vec::new();
    for (lesion, settings) in phantom.settings.lesions.iter().enumerate() {
        for scan in &drawing.on {
            let name = match drawing.on.len() {
                1 => settings.name.clone(),
                _ => format!("{}_{}", settings.name, scan.modality()),
            };
            let number = i32::try_from(rois.len() + 1).unwrap_or(i32::MAX);
            rois.push(Roi { number, name, lesion, scan: *scan });
        }
    }
    rois
}

/// Referenced Frame of Reference Sequence (3006,0010): frame, study and series of every image that was drawn on.
fn frames(phantom: &Phantom, plan: &Plan<'_>, drawing: &Drawing) -> Vec<InMemDicomObject> {
    let mut by_frame: BTreeMap<Uid, BTreeMap<Uid, Vec<InMemDicomObject>>> = BTreeMap::new();
    for scan in &drawing.on {
        let n_slices = phantom.image(*scan).geometry.size[2];
        let mut series = InMemDicomObject::new_empty();
        put_uid(&mut series, tags::SERIES_INSTANCE_UID, &plan.series(*scan));
        let slices = (0..n_slices).map(|slice| slice_reference(plan, *scan, slice)).collect();
        put_items(&mut series, tags::CONTOUR_IMAGE_SEQUENCE, slices);
        let studies = by_frame.entry(plan.frame_of_reference(*scan)).or_default();
        studies.entry(plan.study(*scan)).or_default().push(series);
    }
    by_frame
        .into_iter()
        .map(|(frame, studies)| {
            let studies = studies.into_iter().map(|(study, series)| {
                let mut item = InMemDicomObject::new_empty();
                // Study Component Management is retired; its class is what exporters still write here.
                put_text(&mut item, tags::REFERENCED_SOP_CLASS_UID, "1.2.840.10008.3.1.2.3.1");
                put_uid(&mut item, tags::REFERENCED_SOP_INSTANCE_UID, &study);
                put_items(&mut item, tags::RT_REFERENCED_SERIES_SEQUENCE, series);
                item
            });
            let mut item = InMemDicomObject::new_empty();
            put_uid(&mut item, tags::FRAME_OF_REFERENCE_UID, &frame);
            put_items(&mut item, tags::RT_REFERENCED_STUDY_SEQUENCE, studies.collect());
            item
        })
        .collect()
}

fn slice_reference(plan: &Plan<'_>, scan: Scan, slice: usize) -> InMemDicomObject {
    reference_item(&plan::uid_constant(plan::sop_class(scan)), &plan.instance(scan, slice))
}

/// One item of Structure Set ROI Sequence (3006,0020).
fn roi_item(plan: &Plan<'_>, roi: &Roi) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    put_integer(&mut item, tags::ROI_NUMBER, roi.number);
    put_uid(&mut item, tags::REFERENCED_FRAME_OF_REFERENCE_UID, &plan.frame_of_reference(roi.scan));
    put_text(&mut item, tags::ROI_NAME, roi.name.clone());
    put_text(&mut item, tags::ROI_GENERATION_ALGORITHM, "MANUAL");
    item
}

/// One item of ROI Contour Sequence (3006,0039).
fn roi_contour(phantom: &Phantom, plan: &Plan<'_>, roi: &Roi) -> Result<InMemDicomObject, WriteError> {
    let drawn = phantom.contours.iter().filter(|contour| contour.lesion == roi.lesion && contour.scan == roi.scan);
    let mut contours = Vec::new();
    for contour in drawn {
        contours.push(contour_item(plan, contour)?);
    }
    let mut item = InMemDicomObject::new_empty();
    put_integer(&mut item, tags::REFERENCED_ROI_NUMBER, roi.number);
    put_texts(&mut item, tags::ROI_DISPLAY_COLOR, ["255", "0", "0"].map(str::to_owned));
    put_items(&mut item, tags::CONTOUR_SEQUENCE, contours);
    Ok(item)
}

fn contour_item(plan: &Plan<'_>, contour: &Contour) -> Result<InMemDicomObject, WriteError> {
    let mut item = InMemDicomObject::new_empty();
    let reference = slice_reference(plan, contour.scan, contour.slice);
    put_items(&mut item, tags::CONTOUR_IMAGE_SEQUENCE, vec![reference]);
    put_text(&mut item, tags::CONTOUR_GEOMETRIC_TYPE, "CLOSED_PLANAR");
    put_integer(&mut item, tags::NUMBER_OF_CONTOUR_POINTS, i32::try_from(contour.points_mm.len()).unwrap_or(i32::MAX));
    // A tenth of a micrometre: finer than any drawing, far within sixteen characters.
    let points: Vec<f64> = contour.points_mm.iter().flatten().map(|x| modules::rounded(*x, 1e4)).collect();
    put_decimals(&mut item, tags::CONTOUR_DATA, &points)?;
    Ok(item)
}

/// One item of RT ROI Observations Sequence (3006,0080).
fn observation(roi: &Roi) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    put_integer(&mut item, tags::OBSERVATION_NUMBER, roi.number);
    put_integer(&mut item, tags::REFERENCED_ROI_NUMBER, roi.number);
    put_text(&mut item, tags::RTROI_INTERPRETED_TYPE, "GTV");
    put_empty(&mut item, tags::ROI_INTERPRETER);
    item
}

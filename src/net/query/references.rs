//! Which study a referenced series is in, by the words of the object that names it.

use std::path::Path;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::attributes;
use crate::dicom::part10::{Keep, Part10};
use crate::dicom::uid::Uid;

/// The study of a series, where the object says it: RT Referenced Study Sequence (PS3.3 C.8.8.5) of a structure set,
/// Studies Containing Other Referenced Instances Sequence (PS3.3 C.12.2) of the others.
pub(super) fn study_of(object: &Path, series: &Uid) -> Option<Uid> {
    let object = Part10::open(object, Keep::Facts).ok()?.object;
    in_structure_set(&object, series).or_else(|| in_common_references(&object, series))
}

fn in_structure_set(object: &InMemDicomObject, series: &Uid) -> Option<Uid> {
    let frames = attributes::items(object, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE).iter();
    let mut studies = frames.flat_map(|frame| attributes::items(frame, tags::RT_REFERENCED_STUDY_SEQUENCE));
    let study = studies.find(|study| names(study, tags::RT_REFERENCED_SERIES_SEQUENCE, series))?;
    attributes::uid(study, tags::REFERENCED_SOP_INSTANCE_UID).ok()?
}

fn in_common_references(object: &InMemDicomObject, series: &Uid) -> Option<Uid> {
    let mut studies = attributes::items(object, tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE).iter();
    let study = studies.find(|study| names(study, tags::REFERENCED_SERIES_SEQUENCE, series))?;
    attributes::uid(study, tags::STUDY_INSTANCE_UID).ok()?
}

fn names(study: &InMemDicomObject, sequence: dicom_core::Tag, series: &Uid) -> bool {
    let mut items = attributes::items(study, sequence).iter();
    items.any(|item| attributes::uid(item, tags::SERIES_INSTANCE_UID).ok().flatten().as_ref() == Some(series))
}

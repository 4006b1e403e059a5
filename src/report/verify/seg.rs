//! What holds for a segmentation: segments, frames and pixel data describe each other.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::Violation;
use crate::dicom::attributes::{first_item, has_value, items, text};

/// Adds what a segmentation breaks.
pub(super) fn check(document: &InMemDicomObject, violations: &mut Vec<Violation>) {
    let number = |object: &InMemDicomObject, tag: Tag| {
        object.get(tag).and_then(|element| element.to_int::<u64>().ok()).unwrap_or(0)
    };
    let segments = items(document, tags::SEGMENT_SEQUENCE);
    for (index, segment) in segments.iter().enumerate() {
        if number(segment, tags::SEGMENT_NUMBER) != index as u64 + 1 {
            violations.push(Violation::Frames("segments are not numbered 1, 2, 3 …"));
        }
        check_segment(segment, violations);
    }
    let frames = items(document, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let n_frames = number(document, tags::NUMBER_OF_FRAMES);
    if n_frames == 0 || n_frames != frames.len() as u64 {
        violations.push(Violation::Frames("there are not as many functional groups as frames"));
    }
    for frame in frames {
        let segment = first_item(frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE);
        let segment = segment.map_or(0, |item| number(item, tags::REFERENCED_SEGMENT_NUMBER));
        if segment == 0 || segment > segments.len() as u64 {
            violations.push(Violation::Frames("a frame names a segment that does not exist"));
        }
        let position = first_item(frame, tags::PLANE_POSITION_SEQUENCE);
        if !position.is_some_and(|item| has_value(item, tags::IMAGE_POSITION_PATIENT)) {
            violations.push(Violation::Frames("a frame has no position"));
        }
    }
    let bits = number(document, tags::ROWS)
        .checked_mul(number(document, tags::COLUMNS))
        .and_then(|pixels| pixels.checked_mul(n_frames));
    let bytes = bits.map(|bits| bits.div_ceil(8).next_multiple_of(2));
    let found = document.get(tags::PIXEL_DATA).and_then(|element| element.to_bytes().ok());
    if bytes.is_none() || found.map(|found| found.len() as u64) != bytes {
        violations.push(Violation::Frames("the pixel data are not one bit for each voxel of each frame"));
    }
    let shared = first_item(document, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    for tag in [tags::PIXEL_MEASURES_SEQUENCE, tags::PLANE_ORIENTATION_SEQUENCE] {
        if !shared.is_some_and(|item| has_value(item, tag)) {
            violations.push(Violation::Frames("the frames share no spacing or no orientation"));
        }
    }
}

fn check_segment(segment: &InMemDicomObject, violations: &mut Vec<Violation>) {
    let mut needed = vec![
        tags::SEGMENT_LABEL,
        tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
        tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE,
        tags::SEGMENT_ALGORITHM_TYPE,
        tags::TRACKING_ID,
        tags::TRACKING_UID,
    ];
    if text(segment, tags::SEGMENT_ALGORITHM_TYPE) != "MANUAL" {
        needed.push(tags::SEGMENT_ALGORITHM_NAME);
    }
    let missing = needed.into_iter().filter(|tag| !has_value(segment, *tag));
    violations.extend(missing.map(|tag| Violation::Missing(crate::dicom::attributes::Named(tag).to_string())));
}

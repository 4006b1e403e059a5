//! Segmentation objects (PS3.3 A.51): for each role the regions that were measured, bit by bit, on the series' own grid.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::colour::cie_lab_of_lesion;
use super::header::{self, Own};
use super::identity::{self, State};
use super::regions::{Region, RoleRegions};
use super::sr::coded;
use super::{CaseResult, ReportError, Space};
use crate::dicom::codes::{OWN, code_item, concepts as c, scheme_item};
use crate::dicom::product;
use crate::dicom::uid::Uid;
use crate::dicom::write::{
    plain_text, put_bytes, put_decimals, put_empty, put_items, put_tag, put_text, put_texts, put_u16s, put_u32s,
    put_uid, reference_item,
};
use crate::finding::Finding;
use crate::image::Geometry;
use crate::math::linalg::Vec3;

/// One SEG, not yet encoded.
pub(super) struct Segmentation {
    pub(super) object: InMemDicomObject,
    pub(super) name: String,
    pub(super) series: Uid,
    pub(super) sop_instance: Uid,
    pub(super) findings: Vec<Finding>,
}

/// Builds the SEG of one role.
///
/// # Errors
/// When there are more frames, rows or columns than their attributes can count, or a number is not finite.
pub(super) fn segmentation(case: &CaseResult, role: &RoleRegions, number: usize) -> Result<Segmentation, ReportError> {
    let image = role.image;
    let name = super::document_name("seg", &image.role);
    let sop_instance = identity::instance(case, &name);
    let series = identity::series(case, &name);
    let mut object = InMemDicomObject::new_empty();
    header::put_own(
        &mut object,
        case,
        &Own {
            sop_class: uids::SEGMENTATION_STORAGE,
            sop_instance: &sop_instance,
            series: &series,
            modality: "SEG",
            series_number: 9200 + i32::try_from(number).unwrap_or(0),
            series_description: format!("Measured regions {} (research use)", image.role),
        },
    );
    let findings = header::put_patient_and_study(&mut object, image);
    header::put_scanners(&mut object, std::slice::from_ref(image));
    let schemes = ["DCM", "SCT", OWN].into_iter().map(String::from);
    let mut schemes: Vec<String> =
        schemes.chain(role.regions.iter().flat_map(|region| schemes_of(region.lesion))).collect();
    schemes.sort_unstable();
    schemes.dedup();
    put_items(
        &mut object,
        tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE,
        schemes.iter().map(|scheme| scheme_item(scheme)).collect(),
    );
    put_frame_of_reference(&mut object, case, role);
    put_segmentation_image(&mut object, role)?;
    let segments = role.regions.iter().enumerate();
    let segments = segments.map(|(index, region)| segment_item(case, role, region, index)).collect();
    put_items(&mut object, tags::SEGMENT_SEQUENCE, segments);
    put_referenced_series(&mut object, role);
    put_frames(&mut object, case, role, &name)?;
    Ok(Segmentation { object, name, series, sop_instance, findings })
}

/// Coding schemes of a lesion's codes.
pub(super) fn schemes_of(lesion: &super::Lesion) -> impl Iterator<Item = String> + '_ {
    [&lesion.finding, &lesion.site, &lesion.laterality].into_iter().flatten().map(|code| code.scheme.clone())
}

/// PS3.3 C.7.4.1. Images without a frame of reference get one of their own: the positions below are in it.
fn put_frame_of_reference(object: &mut InMemDicomObject, case: &CaseResult, role: &RoleRegions) {
    put_uid(object, tags::FRAME_OF_REFERENCE_UID, &identity::frame_of_reference(case, role.image));
    put_empty(object, tags::POSITION_REFERENCE_INDICATOR);
}

/// PS3.3 C.8.20.2, C.7.6.3: binary, one bit per voxel.
fn put_segmentation_image(object: &mut InMemDicomObject, role: &RoleRegions) -> Result<(), ReportError> {
    let [columns, rows, _] = role.image.geometry.size;
    let count = |found: usize, what| {
        u16::try_from(found).map_err(|_| ReportError::TooMany { what, found, most: usize::from(u16::MAX) })
    };
    put_texts(object, tags::IMAGE_TYPE, ["DERIVED", "PRIMARY"].map(String::from));
    put_u16s(object, tags::SAMPLES_PER_PIXEL, [1]);
    put_text(object, tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2");
    put_u16s(object, tags::ROWS, [count(rows, "rows")?]);
    put_u16s(object, tags::COLUMNS, [count(columns, "columns")?]);
    put_u16s(object, tags::BITS_ALLOCATED, [1]);
    put_u16s(object, tags::BITS_STORED, [1]);
    put_u16s(object, tags::HIGH_BIT, [0]);
    put_u16s(object, tags::PIXEL_REPRESENTATION, [0]);
    put_text(object, tags::LOSSY_IMAGE_COMPRESSION, "00");
    put_text(object, tags::SEGMENTATION_TYPE, "BINARY");
    put_text(object, tags::SEGMENTS_OVERLAP, if overlap(role) { "YES" } else { "NO" });
    put_text(object, tags::CONTENT_LABEL, "RADIOMICS");
    put_text(object, tags::CONTENT_DESCRIPTION, "Regions that were measured, for research use only");
    put_empty(object, tags::CONTENT_CREATOR_NAME);
    Ok(())
}

fn overlap(role: &RoleRegions) -> bool {
    role.regions.iter().enumerate().any(|(index, a)| {
        role.regions.iter().skip(index + 1).any(|b| a.mask.voxels.iter().zip(&b.mask.voxels).any(|(a, b)| *a && *b))
    })
}

/// PS3.3 C.8.20.2, table C.8.20-4.
fn segment_item(case: &CaseResult, role: &RoleRegions, region: &Region, index: usize) -> InMemDicomObject {
    let (lesion, role_name) = (region.lesion, &role.image.role);
    let mut item = InMemDicomObject::new_empty();
    let number = u16::try_from(index + 1).unwrap_or(u16::MAX); // role_regions bounds the number of regions
    put_u16s(&mut item, tags::SEGMENT_NUMBER, [number]);
    put_text(&mut item, tags::SEGMENT_LABEL, format!("Lesion {}", lesion.number));
    let drawn = if region.drawn_on.role == *role_name { "" } else { ", carried over from " };
    let from = if drawn.is_empty() { "" } else { region.drawn_on.role.as_str() };
    let description = plain_text(&format!("{}{drawn}{from}", region.drawn_on.name), 1024);
    if !description.is_empty() {
        put_text(&mut item, tags::SEGMENT_DESCRIPTION, description);
    }
    let (category, kind) = match &lesion.finding {
        Some(finding) => (c::MORPHOLOGICALLY_ABNORMAL_STRUCTURE, coded(finding)),
        None => (c::SPATIAL_AND_RELATIONAL_CONCEPT, c::SELECTED_REGION),
    };
    put_items(&mut item, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, vec![code_item(&category)]);
    put_items(&mut item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![code_item(&kind)]);
    if let Some(site) = &lesion.site {
        let mut site = code_item(&coded(site));
        if let Some(side) = &lesion.laterality {
            put_items(&mut site, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE, vec![code_item(&coded(side))]);
        }
        put_items(&mut item, tags::ANATOMIC_REGION_SEQUENCE, vec![site]);
    }
    put_algorithm(&mut item, role_name, region);
    put_u16s(&mut item, tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, cie_lab_of_lesion(lesion.number));
    put_text(&mut item, tags::TRACKING_ID, tracking_identifier(lesion.number, role_name));
    let tracking = identity::tracking(case, lesion, role_name, Space::Native, State::Raw);
    put_uid(&mut item, tags::TRACKING_UID, &tracking);
    item
}

/// The name of the raw native group of a lesion on a role, and of its segment.
pub(super) fn tracking_identifier(lesion: usize, role: &str) -> String {
    plain_text(&format!("Lesion {lesion} {role}"), 64)
}

/// Who drew it: a person on these images; a person on other images, carried over by this program; a rule.
fn put_algorithm(item: &mut InMemDicomObject, role: &str, region: &Region) {
    let origin = region.drawn_on;
    let (kind, name) = match (origin.automatic, origin.role == role) {
        (true, _) => ("AUTOMATIC", Some(format!("{} {} rule {}", product::MODEL, product::VERSION, origin.name))),
        (false, true) => ("MANUAL", None),
        (false, false) => ("SEMIAUTOMATIC", Some(format!("{} {} carried over", product::MODEL, product::VERSION))),
    };
    put_text(item, tags::SEGMENT_ALGORITHM_TYPE, kind);
    if let Some(name) = name {
        put_text(item, tags::SEGMENT_ALGORITHM_NAME, plain_text(&name, 64));
    }
}

/// PS3.3 C.12.2: every instance of the series that was segmented.
fn put_referenced_series(object: &mut InMemDicomObject, role: &RoleRegions) {
    let mut seen = std::collections::HashSet::new();
    let slices = role.image.slices.iter().filter(|(_, instance)| seen.insert(instance));
    let instances: Vec<_> = slices.map(|(class, instance)| reference_item(class, instance)).collect();
    let mut series = InMemDicomObject::new_empty();
    put_uid(&mut series, tags::SERIES_INSTANCE_UID, &role.image.series);
    put_items(&mut series, tags::REFERENCED_INSTANCE_SEQUENCE, instances);
    put_items(object, tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
}

/// PS3.3 C.7.6.16, C.7.6.17: one frame for each slice that holds voxels of a segment, segments one after the other; then
/// the voxels, one bit each, without gaps between frames (PS3.5 8.1.1, lowest bit first).
fn put_frames(
    object: &mut InMemDicomObject,
    case: &CaseResult,
    role: &RoleRegions,
    name: &str,
) -> Result<(), ReportError> {
    let geometry = &role.image.geometry;
    let holds = |region: &Region, z: usize| region.mask.voxels.index_axis(ndarray::Axis(0), z).iter().any(|v| *v);
    let occupied: Vec<Vec<usize>> =
        role.regions.iter().map(|region| (0..geometry.size[2]).filter(|z| holds(region, *z)).collect()).collect();
    let mut positions: Vec<usize> = occupied.iter().flatten().copied().collect();
    positions.sort_unstable();
    positions.dedup();
    let n_frames: usize = occupied.iter().map(Vec::len).sum();
    let n_frames_text = i32::try_from(n_frames).map_err(|_| ReportError::TooMany {
        what: "frames",
        found: n_frames,
        most: usize::from(u16::MAX),
    })?;
    let mut frames = Vec::with_capacity(n_frames);
    let mut bits = BitPacker::default();
    for (index, (region, slices)) in role.regions.iter().zip(&occupied).enumerate() {
        for z in slices {
            let position = positions.binary_search(z).unwrap_or_default();
            frames.push(frame_item(role, *z, [index + 1, position + 1])?);
            region.mask.voxels.index_axis(ndarray::Axis(0), *z).iter().for_each(|inside| bits.push(*inside));
        }
    }
    put_text(object, tags::NUMBER_OF_FRAMES, n_frames_text.to_string());
    put_items(object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared_item(geometry)?]);
    put_items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames);
    put_dimensions(object, &identity::within(case, name, "dimensions"));
    put_bytes(object, tags::PIXEL_DATA, VR::OB, bits.finish());
    Ok(())
}

/// Collects bits, the first in the lowest bit of the first byte.
#[derive(Debug, Default)]
struct BitPacker {
    bytes: Vec<u8>,
    current: u8,
    filled: u8,
}

impl BitPacker {
    fn push(&mut self, bit: bool) {
        self.current |= u8::from(bit) << self.filled;
        self.filled += 1;
        if self.filled == 8 {
            self.bytes.push(self.current);
            (self.current, self.filled) = (0, 0);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.bytes.push(self.current);
        }
        if self.bytes.len() % 2 == 1 {
            self.bytes.push(0);
        }
        self.bytes
    }
}

/// What all frames share: spacing and orientation (PS3.3 C.7.6.16.2.1, C.7.6.16.2.4).
fn shared_item(geometry: &Geometry) -> Result<InMemDicomObject, ReportError> {
    let [x, y, z] = geometry.spacing_mm;
    let mut measures = InMemDicomObject::new_empty();
    put_decimals(&mut measures, tags::PIXEL_SPACING, &[y, x])?;
    put_decimals(&mut measures, tags::SLICE_THICKNESS, &[z])?;
    put_decimals(&mut measures, tags::SPACING_BETWEEN_SLICES, &[z])?;
    let [row, column, _] = geometry.directions;
    let mut orientation = InMemDicomObject::new_empty();
    let cosines: Vec<f64> = row.iter().chain(&column).copied().collect();
    put_decimals(&mut orientation, tags::IMAGE_ORIENTATION_PATIENT, &cosines)?;
    let mut shared = InMemDicomObject::new_empty();
    put_items(&mut shared, tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
    put_items(&mut shared, tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
    Ok(shared)
}

/// One frame: position, segment, its place in the dimensions, the slice that it was drawn on.
fn frame_item(role: &RoleRegions, z: usize, indices: [usize; 2]) -> Result<InMemDicomObject, ReportError> {
    #[allow(clippy::cast_precision_loss, reason = "a slice number")]
    let corner: Vec3 = role.image.geometry.voxel_to_world([0.0, 0.0, z as f64]);
    let indices = indices.map(|index| u32::try_from(index).unwrap_or(u32::MAX));
    let mut content = InMemDicomObject::new_empty();
    put_u32s(&mut content, tags::DIMENSION_INDEX_VALUES, indices);
    let mut position = InMemDicomObject::new_empty();
    put_decimals(&mut position, tags::IMAGE_POSITION_PATIENT, &corner)?;
    let mut segment = InMemDicomObject::new_empty();
    put_u16s(&mut segment, tags::REFERENCED_SEGMENT_NUMBER, [u16::try_from(indices[0]).unwrap_or(u16::MAX)]);
    let mut frame = InMemDicomObject::new_empty();
    put_items(&mut frame, tags::FRAME_CONTENT_SEQUENCE, vec![content]);
    put_items(&mut frame, tags::PLANE_POSITION_SEQUENCE, vec![position]);
    put_items(&mut frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![segment]);
    put_items(&mut frame, tags::DERIVATION_IMAGE_SEQUENCE, derivation(role, z).into_iter().collect());
    Ok(frame)
}

/// PS3.3 C.7.6.16.2.6: the slice under a frame. A grid that was made regular has no slice for every plane: nothing is said.
fn derivation(role: &RoleRegions, z: usize) -> Option<InMemDicomObject> {
    let image = role.image;
    if image.slices.len() != image.geometry.size[2] {
        return None;
    }
    let (class, instance) = image.slices.get(z)?;
    let mut source = reference_item(class, instance);
    if let Some(frame) = image.frames.get(z) {
        put_text(&mut source, tags::REFERENCED_FRAME_NUMBER, frame.to_string());
    }
    put_text(&mut source, tags::SPATIAL_LOCATIONS_PRESERVED, "YES");
    put_items(&mut source, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, vec![code_item(&c::SOURCE_IMAGE_FOR_PROCESSING)]);
    let mut item = InMemDicomObject::new_empty();
    put_items(&mut item, tags::SOURCE_IMAGE_SEQUENCE, vec![source]);
    put_items(&mut item, tags::DERIVATION_CODE_SEQUENCE, vec![code_item(&c::SEGMENTATION)]);
    Some(item)
}

/// PS3.3 C.7.6.17: frames are ordered by segment, then by position.
fn put_dimensions(object: &mut InMemDicomObject, organization: &Uid) {
    let mut item = InMemDicomObject::new_empty();
    put_uid(&mut item, tags::DIMENSION_ORGANIZATION_UID, organization);
    put_items(object, tags::DIMENSION_ORGANIZATION_SEQUENCE, vec![item]);
    let indices = [
        (tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE, "Segment Number"),
        (tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE, "Image Position Patient"),
    ];
    let indices = indices.map(|(pointer, group, label)| {
        let mut item = InMemDicomObject::new_empty();
        put_uid(&mut item, tags::DIMENSION_ORGANIZATION_UID, organization);
        put_tag(&mut item, tags::DIMENSION_INDEX_POINTER, pointer);
        put_tag(&mut item, tags::FUNCTIONAL_GROUP_POINTER, group);
        put_text(&mut item, tags::DIMENSION_DESCRIPTION_LABEL, label);
        item
    });
    put_items(object, tags::DIMENSION_INDEX_SEQUENCE, indices.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_packed_from_the_lowest_and_padded_to_an_even_length() {
        let mut bits = BitPacker::default();
        for bit in [true, false, true, true, false, false, false, false, true] {
            bits.push(bit);
        }
        assert_eq!(bits.finish(), [0b0000_1101, 1]);
        let mut bits = BitPacker::default();
        (0..8).for_each(|_| bits.push(true));
        assert_eq!(bits.finish(), [0xff, 0]);
    }
}

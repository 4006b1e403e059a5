//! Small series that are made in memory, slice by slice, with whatever is to be tried.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR, value::DataSetSequence};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;

/// Columns, rows of every image.
pub const SIZE: [usize; 2] = [5, 4];
/// Distance of columns and of rows.
pub const SPACING_MM: [f64; 2] = [0.75, 1.5];

/// The stored value of a voxel: every one is another.
pub fn stored(x: usize, y: usize, z: usize) -> i16 {
    i16::try_from(100 * z + 10 * y + x).unwrap()
}

/// What all objects have, and nothing of where they lie or what their pixels are.
pub fn common(sop_class: &str, instance: &str, modality: &str) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, sop_class),
        (tags::SOP_INSTANCE_UID, VR::UI, instance),
        (tags::STUDY_INSTANCE_UID, VR::UI, "2.25.1"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "2.25.2"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.3"),
        (tags::MODALITY, VR::CS, modality),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
    ] {
        object.put_str(tag, vr, value);
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::COLUMNS, SIZE[0] as u16),
        (tags::ROWS, SIZE[1] as u16),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, 1),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    object
}

/// One MR slice at a position, with the pixels of slice `z`.
pub fn mr_slice(instance: usize, position_mm: [f64; 3], orientation: [f64; 6], z: usize) -> InMemDicomObject {
    let mut object = common(uids::MR_IMAGE_STORAGE, &format!("2.25.10{instance}"), "MR");
    put_numbers(&mut object, tags::IMAGE_POSITION_PATIENT, &position_mm);
    put_numbers(&mut object, tags::IMAGE_ORIENTATION_PATIENT, &orientation);
    put_numbers(&mut object, tags::PIXEL_SPACING, &[SPACING_MM[1], SPACING_MM[0]]);
    put_numbers(&mut object, tags::SLICE_THICKNESS, &[2.0]);
    put_pixels(&mut object, &[z]);
    object
}

/// `n` axial slices, 2 mm apart.
pub fn mr_series(n: usize) -> Vec<InMemDicomObject> {
    (0..n).map(|z| mr_slice(z, [1.0, 2.0, 2.0 * z as f64], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], z)).collect()
}

/// The pixels of these slices, one frame after the other.
pub fn put_pixels(object: &mut InMemDicomObject, slices: &[usize]) {
    let values = slices
        .iter()
        .flat_map(|z| (0..SIZE[1]).flat_map(move |y| (0..SIZE[0]).map(move |x| stored(x, y, *z).cast_unsigned())));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(values.collect())));
}

pub fn put_numbers(object: &mut InMemDicomObject, tag: Tag, numbers: &[f64]) {
    let texts: Vec<String> = numbers.iter().map(|number| format!("{number:.12}")).collect();
    object.put_str(tag, VR::DS, texts.join("\\"));
}

pub fn put_sequence(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

/// As a file, explicit VR little endian.
pub fn file(object: &InMemDicomObject) -> Vec<u8> {
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    object.clone().with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes
}

pub fn files(objects: &[InMemDicomObject]) -> Vec<Vec<u8>> {
    objects.iter().map(file).collect()
}

/// A segmentation object on the grid of the made images, its frames with functional groups of their own.
pub fn segmentation(kind: &str, frames: &[(u16, f64)], segments: &[u16]) -> InMemDicomObject {
    let mut object = common("1.2.840.10008.5.1.4.1.1.66.4", "2.25.8", "SEG");
    object.put_str(tags::SEGMENTATION_TYPE, VR::CS, kind);
    object.put_str(tags::NUMBER_OF_FRAMES, VR::IS, frames.len().to_string());
    let segment = |number: &u16| {
        let mut item = InMemDicomObject::new_empty();
        item.put(DataElement::new(tags::SEGMENT_NUMBER, VR::US, PrimitiveValue::from(*number)));
        item.put_str(tags::SEGMENT_LABEL, VR::LO, format!("S{number}"));
        item
    };
    put_sequence(&mut object, tags::SEGMENT_SEQUENCE, segments.iter().map(segment).collect());
    let frame = |(number, height): &(u16, f64)| {
        let mut position = InMemDicomObject::new_empty();
        put_numbers(&mut position, tags::IMAGE_POSITION_PATIENT, &[1.0, 2.0, *height]);
        let mut turned = InMemDicomObject::new_empty();
        put_numbers(&mut turned, tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        let mut measures = InMemDicomObject::new_empty();
        put_numbers(&mut measures, tags::PIXEL_SPACING, &[SPACING_MM[1], SPACING_MM[0]]);
        put_numbers(&mut measures, tags::SPACING_BETWEEN_SLICES, &[2.0]);
        let mut identity = InMemDicomObject::new_empty();
        identity.put(DataElement::new(tags::REFERENCED_SEGMENT_NUMBER, VR::US, PrimitiveValue::from(*number)));
        let mut item = InMemDicomObject::new_empty();
        put_sequence(&mut item, tags::PLANE_POSITION_SEQUENCE, vec![position]);
        put_sequence(&mut item, tags::PLANE_ORIENTATION_SEQUENCE, vec![turned]);
        put_sequence(&mut item, tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
        if kind != "LABELMAP" {
            put_sequence(&mut item, tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![identity]);
        }
        item
    };
    put_sequence(&mut object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames.iter().map(frame).collect());
    object
}

//! Segmentation objects: those of the reference data, and each way of coding.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use radiomicsd::dicom::dataset::Keep;
use radiomicsd::dicom::part10::Part10;
use radiomicsd::image::{Geometry, Transform, resample_mask};
use radiomicsd::math::linalg::IDENTITY;
use radiomicsd::volume::{SegError, Segmentation};

use crate::made::{SIZE, file, segmentation};
use crate::support::reference;

/// Number of pixels of a frame.
const PIXELS: usize = SIZE[0] * SIZE[1];

fn read(object: &InMemDicomObject) -> Result<Segmentation, SegError> {
    Segmentation::from_part10(&Part10::from_bytes(file(object), Keep::All).unwrap())
}

fn counts(found: &Segmentation) -> Vec<(u32, usize)> {
    found.segments.iter().map(|segment| (segment.number, segment.mask.count())).collect()
}

/// Pixels of one byte each.
fn put_bytes(object: &mut InMemDicomObject, bytes: Vec<u8>) {
    object.put(DataElement::new(tags::BITS_ALLOCATED, VR::US, PrimitiveValue::from(8_u16)));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(bytes.into())));
}

#[test]
fn segments_of_real_objects_have_their_voxels() {
    let Some(reference) = reference() else { return };
    let text = std::fs::read(reference.join("data/truth/seg_truth.json")).unwrap();
    let truth: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&text).unwrap();
    let mut n_compared = 0;
    for (name, expected) in &truth {
        let path = reference.join("data").join(name);
        let found = Segmentation::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let is_labelmap = expected["type"].as_str().unwrap().ends_with("LABELMAP");
        for (number, counts) in expected["voxels_frames_per_segment"].as_object().unwrap() {
            // The table counts a label map under 0, over whatever is not 0: here that is segment 1 alone.
            let number = if is_labelmap { "1" } else { number };
            let segment = found.segments.iter().find(|segment| segment.number.to_string() == number);
            let segment = segment.unwrap_or_else(|| panic!("{name}: no segment {number}"));
            // And a fraction from 1 on, which counts here from one half on.
            if name.ends_with("true_fractional.dcm") {
                assert!(segment.mask.count() as u64 <= counts[0].as_u64().unwrap(), "{name}");
            } else {
                assert_eq!(Some(segment.mask.count() as u64), counts[0].as_u64(), "{name} segment {number}");
            }
            n_compared += 1;
        }
        let shape = &expected["volume_shape"];
        let size = found.segments[0].mask.geometry.size;
        let n_slices = found.segments[0].mask.geometry.size[2] as u64;
        assert_eq!([size[1], size[0]].map(|n| n as u64), [1, 2].map(|axis| shape[axis].as_u64().unwrap()), "{name}");
        // An object may leave out the slices at its ends that nothing covers.
        assert!(n_slices <= shape[0].as_u64().unwrap(), "{name}");
    }
    assert_eq!((truth.len(), n_compared > 15), (11, true));
}

#[test]
fn a_label_maps_background_is_its_padding_value_and_another_segment_may_be_zero() {
    let Some(reference) = reference() else { return };
    let read = |name: &str| Segmentation::read(&reference.join("data/seg/dcmqi").join(name)).unwrap();
    assert_eq!(counts(&read("sparse-labelmap-noppv.dcm")), [(0, 0), (1, 630)]);
    assert_eq!(counts(&read("sparse-labelmap-ppv5.dcm")), [(0, 1194), (1, 630)]);
}

#[test]
fn bits_run_on_from_frame_to_frame_and_segments_may_overlap() {
    // 20 pixels per frame: the second frame starts in the middle of a byte.
    let mut object = segmentation("BINARY", &[(1, 0.0), (2, 0.0), (2, 4.0)], &[1, 2, 3]);
    let inside = |bit: usize| bit < 3 || (PIXELS..PIXELS + 5).contains(&bit) || bit == 3 * PIXELS - 1;
    let bytes: Vec<u8> = (0..(3 * PIXELS).div_ceil(8))
        .map(|byte| (0..8).map(|bit| u8::from(inside(8 * byte + bit)) << bit).sum())
        .collect();
    put_bytes(&mut object, bytes);
    let found = read(&object).unwrap();
    assert_eq!(counts(&found), [(1, 3), (2, 6), (3, 0)]);
    // Frames at 0 and 4 mm of slices every 2 mm: the one between them is not there and holds nothing.
    let [first, second] = [0, 1].map(|index| &found.segments[index].mask);
    assert_eq!((first.geometry.size, first.geometry.spacing_mm[2]), ([SIZE[0], SIZE[1], 3], 2.0));
    assert!(first.voxels[[0, 0, 0]] && second.voxels[[0, 0, 0]] && second.voxels[[2, SIZE[1] - 1, SIZE[0] - 1]]);
}

#[test]
fn fractions_count_from_one_half_of_their_maximum_on() {
    let mut object = segmentation("FRACTIONAL", &[(1, 0.0)], &[1]);
    object.put(DataElement::new(tags::MAXIMUM_FRACTIONAL_VALUE, VR::US, PrimitiveValue::from(200_u16)));
    let mut bytes = vec![0; PIXELS];
    bytes[..4].copy_from_slice(&[99, 100, 101, 200]);
    put_bytes(&mut object, bytes);
    assert_eq!(counts(&read(&object).unwrap()), [(1, 3)]);
}

#[test]
fn labels_of_two_bytes_are_labels() {
    let mut object = segmentation("LABELMAP", &[(0, 0.0), (0, 2.0)], &[1, 300]);
    let mut words = vec![0_u16; 2 * PIXELS];
    words[1] = 300;
    words[PIXELS + 1] = 1;
    words[PIXELS + 2] = 1;
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.into())));
    assert_eq!(counts(&read(&object).unwrap()), [(1, 2), (300, 1)]);
}

#[test]
fn a_segmentation_of_another_grid_is_mapped_by_its_place_in_the_patient() {
    let mut object = segmentation("FRACTIONAL", &[(1, 0.0), (1, 2.0)], &[1]);
    put_bytes(&mut object, vec![255; 2 * PIXELS]);
    let found = read(&object).unwrap();
    // The segmented box is 3.75 x 6 x 4 mm, its faces half a voxel beyond the outermost centres; a finer and larger grid holds
    // it. Along y and z centres of that grid lie on both faces, and belong to the box.
    let image = Geometry::new([40, 40, 20], [0.25, 0.25, 0.5], [-2.0, 0.0, -3.0], IDENTITY).unwrap();
    let segment = &found.segments[0].mask;
    let mask = resample_mask(segment, &image, &Transform::Identity);
    assert_eq!(mask.count(), 15 * 25 * 9);
    for ((z, y, x), inside) in mask.voxels.indexed_iter() {
        let at = segment.geometry.world_to_voxel(image.voxel_to_world([x as f64, y as f64, z as f64]));
        let in_box = (0..3).all(|axis| (-0.5..=segment.geometry.size[axis] as f64 - 0.5).contains(&at[axis]));
        assert_eq!(*inside, in_box, "{at:?}");
    }
}

#[test]
fn too_few_pixels_an_unknown_coding_and_frames_off_the_grid_are_refused() {
    let mut object = segmentation("FRACTIONAL", &[(1, 0.0), (1, 2.0)], &[1]);
    put_bytes(&mut object, vec![1; 2 * PIXELS - 2]);
    assert!(matches!(read(&object), Err(SegError::PixelData { .. })));
    put_bytes(&mut object, vec![1; 2 * PIXELS]);
    object.put_str(tags::SEGMENTATION_TYPE, VR::CS, "PROBABILITY");
    assert!(matches!(read(&object), Err(SegError::Type(_))));
    let mut object = segmentation("FRACTIONAL", &[(1, 0.0), (1, 2.0), (1, 4.5)], &[1]);
    put_bytes(&mut object, vec![1; 3 * PIXELS]);
    assert!(matches!(read(&object), Err(SegError::OffGrid { .. })));
}

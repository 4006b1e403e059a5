//! Multi-frame objects: enhanced and legacy converted, of the reference data and made here.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use radiomicsd::finding::{FindingKind, Policies, Policy};
use radiomicsd::volume::{SeriesVolume, Units, VolumeError};

use crate::made::{SIZE, common, file, put_numbers, put_pixels, put_sequence, stored};
use crate::support::{digest, reference};

fn read(object: &InMemDicomObject, policies: &Policies) -> Result<SeriesVolume, VolumeError> {
    SeriesVolume::from_bytes(vec![file(object)], "MR", policies)
}

fn group(tag: Tag, put: impl FnOnce(&mut InMemDicomObject)) -> (Tag, InMemDicomObject) {
    let mut item = InMemDicomObject::new_empty();
    put(&mut item);
    (tag, item)
}

fn groups(groups: Vec<(Tag, InMemDicomObject)>) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    groups.into_iter().for_each(|(tag, group)| put_sequence(&mut item, tag, vec![group]));
    item
}

fn position(height: f64) -> (Tag, InMemDicomObject) {
    group(tags::PLANE_POSITION_SEQUENCE, |item| {
        put_numbers(item, tags::IMAGE_POSITION_PATIENT, &[0.0, 0.0, height]);
    })
}

fn rescale(slope: f64, intercept: f64) -> (Tag, InMemDicomObject) {
    group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, |item| {
        put_numbers(item, tags::RESCALE_SLOPE, &[slope]);
        put_numbers(item, tags::RESCALE_INTERCEPT, &[intercept]);
    })
}

fn shared() -> Vec<(Tag, InMemDicomObject)> {
    vec![
        group(tags::PLANE_ORIENTATION_SEQUENCE, |item| {
            put_numbers(item, tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        }),
        group(tags::PIXEL_MEASURES_SEQUENCE, |item| {
            put_numbers(item, tags::PIXEL_SPACING, &[1.0, 1.0]);
            put_numbers(item, tags::SLICE_THICKNESS, &[3.0]);
        }),
    ]
}

/// An object whose frame k shows slice `slices[k]`.
fn object(sop_class: &str, modality: &str, slices: &[usize], frames: Vec<InMemDicomObject>) -> InMemDicomObject {
    let mut object = common(sop_class, "2.25.7", modality);
    object.put_str(tags::NUMBER_OF_FRAMES, VR::IS, slices.len().to_string());
    put_pixels(&mut object, slices);
    put_sequence(&mut object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![groups(shared())]);
    put_sequence(&mut object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames);
    object
}

#[test]
fn frames_in_any_order_with_their_own_scale_are_one_volume() {
    let slices = [3, 0, 2, 1];
    let frames =
        slices.iter().map(|z| groups(vec![position(3.0 * *z as f64), rescale(1.0 + *z as f64, -1024.0)])).collect();
    for (sop_class, modality) in [
        (uids::ENHANCED_CT_IMAGE_STORAGE, "CT"),
        (uids::ENHANCED_MR_IMAGE_STORAGE, "MR"),
        (uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE, "CT"),
    ] {
        let frames: &Vec<InMemDicomObject> = &frames;
        let volume = read(&object(sop_class, modality, &slices, frames.clone()), &Policies::default()).unwrap();
        assert_eq!(volume.volume.geometry.spacing_mm, [1.0, 1.0, 3.0]);
        assert_eq!(volume.frames, [2, 4, 3, 1]);
        for z in 0..4 {
            for (y, x) in (0..SIZE[1]).flat_map(|y| (0..SIZE[0]).map(move |x| (y, x))) {
                let expected = f32::from(stored(x, y, z)) * (1.0 + z as f32) - 1024.0;
                assert_eq!(volume.volume.voxels[[z, y, x]], expected, "{sop_class} {x} {y} {z}");
            }
        }
    }
}

#[test]
fn a_legacy_converted_object_keeps_its_attributes_in_unassigned_groups() {
    let slices = [0, 1, 2];
    let frames = slices
        .iter()
        .map(|z| {
            let unassigned = group(tags::UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES_SEQUENCE, |item| {
                put_numbers(item, tags::RESCALE_SLOPE, &[2.0 + *z as f64]);
                put_numbers(item, tags::RESCALE_INTERCEPT, &[0.0]);
                put_numbers(item, tags::FRAME_REFERENCE_TIME, &[0.0]);
                item.put_str(tags::ACQUISITION_TIME, VR::TM, "110000");
            });
            groups(vec![position(3.0 * *z as f64), unassigned])
        })
        .collect();
    let mut object = object(uids::LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE, "PT", &slices, frames);
    for (tag, vr, value) in [
        (tags::UNITS, VR::CS, "BQML"),
        (tags::CORRECTED_IMAGE, VR::CS, "ATTN\\DECY"),
        (tags::DECAY_CORRECTION, VR::CS, "START"),
        (tags::SERIES_DATE, VR::DA, "20240131"),
        (tags::SERIES_TIME, VR::TM, "110000"),
        (tags::PATIENT_WEIGHT, VR::DS, "70"),
    ] {
        object.put_str(tag, vr, value);
    }
    put_tracer(&mut object, "400000000");
    let volume = SeriesVolume::from_bytes(vec![file(&object)], "PT", &Policies::default()).unwrap();
    assert_eq!(volume.units, Units::SuvBw);
    let factor = 70_000.0 / (4e8 * (-3600.0 / 6586.2_f64).exp2());
    let expected = f64::from(stored(1, 1, 2)) * 4.0 * factor;
    assert!((f64::from(volume.volume.voxels[[2, 1, 1]]) - expected).abs() < 1e-6 * expected);
}

fn put_tracer(object: &mut InMemDicomObject, dose: &str) {
    let mut tracer = InMemDicomObject::new_empty();
    tracer.put_str(tags::RADIONUCLIDE_TOTAL_DOSE, VR::DS, dose);
    tracer.put_str(tags::RADIONUCLIDE_HALF_LIFE, VR::DS, "6586.2");
    tracer.put_str(tags::RADIOPHARMACEUTICAL_START_DATE_TIME, VR::DT, "20240131100000");
    put_sequence(object, tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, vec![tracer]);
}

#[test]
fn an_enhanced_pet_tells_its_units_and_corrections_in_its_own_way() {
    let slices = [0, 1, 2];
    let frame = |z: &usize| {
        let mapping = group(tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE, |item| {
            item.put(DataElement::new(tags::REAL_WORLD_VALUE_SLOPE, VR::FD, PrimitiveValue::from(2.0_f64)));
            item.put(DataElement::new(tags::REAL_WORLD_VALUE_INTERCEPT, VR::FD, PrimitiveValue::from(0.0_f64)));
            let mut unit = InMemDicomObject::new_empty();
            unit.put_str(tags::CODE_VALUE, VR::SH, "Bq/ml");
            put_sequence(item, tags::MEASUREMENT_UNITS_CODE_SEQUENCE, vec![unit]);
        });
        let content = group(tags::FRAME_CONTENT_SEQUENCE, |item| {
            item.put_str(tags::FRAME_ACQUISITION_DATE_TIME, VR::DT, "20240131110000");
        });
        let corrections = group(tags::PET_FRAME_CORRECTION_FACTORS_SEQUENCE, |_| {});
        groups(vec![position(3.0 * *z as f64), rescale(2.0, 0.0), mapping, content, corrections])
    };
    let mut object = object(uids::ENHANCED_PET_IMAGE_STORAGE, "PT", &slices, slices.iter().map(frame).collect());
    for (tag, vr, value) in [
        (tags::DECAY_CORRECTED, VR::CS, "YES"),
        (tags::ATTENUATION_CORRECTED, VR::CS, "YES"),
        (tags::DECAY_CORRECTION_DATE_TIME, VR::DT, "20240131110000"),
        (tags::PATIENT_WEIGHT, VR::DS, "70"),
    ] {
        object.put_str(tag, vr, value);
    }
    // In megabecquerels, as the standard has it for this object.
    put_tracer(&mut object, "400");
    let volume = SeriesVolume::from_bytes(vec![file(&object)], "PT", &Policies::default()).unwrap();
    assert_eq!(volume.units, Units::SuvBw);
    let factor = 70_000.0 / (4e8 * (-3600.0 / 6586.2_f64).exp2());
    let expected = f64::from(stored(1, 1, 2)) * 2.0 * factor;
    assert!((f64::from(volume.volume.voxels[[2, 1, 1]]) - expected).abs() < 1e-6 * expected);
}

#[test]
fn an_object_with_two_stacks_or_two_echoes_holds_two_volumes() {
    let frames = [("1", 0.0), ("1", 3.0), ("1", 6.0), ("2", 0.0), ("2", 3.0), ("2", 6.0)];
    let frame = |(stack, height): &(&str, f64)| {
        let content = group(tags::FRAME_CONTENT_SEQUENCE, |item| {
            item.put_str(tags::STACK_ID, VR::SH, *stack);
        });
        groups(vec![position(*height), content])
    };
    let object =
        object(uids::ENHANCED_MR_IMAGE_STORAGE, "MR", &[0, 1, 2, 10, 11, 12], frames.iter().map(frame).collect());
    let error = read(&object, &Policies::default()).unwrap_err();
    assert_eq!(error.finding().unwrap().kind, FindingKind::DuplicatePosition);
    let volume = read(&object, &Policies::new([(FindingKind::DuplicatePosition, Policy::Regularise)])).unwrap();
    assert_eq!(volume.frames, [1, 2, 3]);
    assert_eq!(volume.origin.split_by, [("StackID (0020,9056)".to_owned(), "1".to_owned())]);
}

#[test]
fn objects_without_functional_groups_are_refused_by_name() {
    let mut bare = object(uids::ENHANCED_MR_IMAGE_STORAGE, "MR", &[0, 1, 2], Vec::new());
    let error = read(&bare, &Policies::default()).unwrap_err();
    assert_eq!(error.finding().unwrap().kind, FindingKind::FunctionalGroupsMissing);
    put_sequence(&mut bare, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, vec![groups(vec![position(0.0)])]);
    let error = read(&bare, &Policies::default()).unwrap_err();
    assert!(error.to_string().contains("describes 1 of 3 frames"), "{error}");
}

#[test]
fn enhanced_objects_of_the_reference_data_are_read_or_refused_by_name() {
    let Some(reference) = reference() else { return };
    let folder = reference.join("data");
    let text = std::fs::read(folder.join("truth/enhanced_truth.json")).unwrap();
    let truth: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&text).unwrap();
    let policies = Policies::new([(FindingKind::TooFewSlices, Policy::Accept)]);
    for (name, truth) in &truth {
        let result = SeriesVolume::read(&[folder.join(name)], "X", &policies);
        if truth["error"].is_string() {
            let error = result.unwrap_err();
            assert_eq!(error.finding().unwrap().kind, FindingKind::FunctionalGroupsMissing, "{name}: {error}");
            continue;
        }
        let series = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        // The truth is in the order of the frames, which is that of the volume turned back.
        let mut by_frame: Vec<usize> = (0..series.frames.len()).collect();
        by_frame.sort_by_key(|slice| series.frames[*slice]);
        let mut in_order = series.volume.clone();
        for (frame, slice) in by_frame.iter().enumerate() {
            let source = series.volume.voxels.index_axis(ndarray::Axis(0), *slice);
            in_order.voxels.index_axis_mut(ndarray::Axis(0), frame).assign(&source);
        }
        assert_eq!(digest(&in_order), truth["sha256_f32_frame_order"].as_str().unwrap(), "{name}");
        let spacing: Vec<f64> =
            truth["highdicom_get_volume"]["spacing"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let found = series.volume.geometry.spacing_mm;
        assert!((found[2] - spacing[0]).abs() < 1e-9 && (found[0] - spacing[2]).abs() < 1e-9);
    }
}

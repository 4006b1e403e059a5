//! Several volumes in one series.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use radiomicsd::finding::{FindingKind, Policies, Policy};
use radiomicsd::volume::{SeriesVolume, VolumeError, VolumeSettings};

use crate::made::{file, files, mr_series, mr_slice, put_numbers, put_pixels};

fn regularised(kinds: &[FindingKind]) -> Policies {
    Policies::new(kinds.iter().map(|kind| (*kind, Policy::Regularise)))
}

fn read(objects: &[InMemDicomObject], policies: &Policies) -> Result<SeriesVolume, VolumeError> {
    SeriesVolume::from_bytes(files(objects), "MR", policies)
}

fn read_all(objects: &[InMemDicomObject]) -> Vec<Result<SeriesVolume, VolumeError>> {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..objects.len()).map(|index| folder.path().join(format!("{index}.dcm"))).collect();
    for (path, object) in paths.iter().zip(objects) {
        std::fs::write(path, file(object)).unwrap();
    }
    SeriesVolume::read_all(&paths, "MR", &Policies::default(), &VolumeSettings::default()).unwrap()
}

/// A series with each slice twice, as two values of an attribute; the second has the pixels of other slices.
fn twice(tag: dicom_core::Tag, vr: VR, values: [&str; 2]) -> Vec<InMemDicomObject> {
    let mut objects = Vec::new();
    for (copy, value) in values.into_iter().enumerate() {
        for (z, mut object) in mr_series(4).into_iter().enumerate() {
            object.put_str(tags::SOP_INSTANCE_UID, VR::UI, format!("2.25.20{}", 10 * z + 1 - copy));
            object.put_str(tag, vr, value);
            put_pixels(&mut object, &[z + 10 * copy]);
            objects.push(object);
        }
    }
    objects
}

#[test]
fn two_echoes_in_one_series_are_refused_or_split_by_the_echo() {
    let objects = twice(tags::ECHO_TIME, VR::DS, ["9.5", "30"]);
    let error = read(&objects, &Policies::default()).unwrap_err();
    assert_eq!(error.finding().unwrap().kind, FindingKind::DuplicatePosition);
    assert!(error.to_string().contains("2 volumes of 4, 4 slices, told apart by EchoTime"), "{error}");

    let first = read(&objects, &regularised(&[FindingKind::DuplicatePosition])).unwrap();
    assert_eq!(first.volume.geometry.size[2], 4);
    assert_eq!(first.volume.voxels[[1, 0, 0]], 100.0, "9.5 ms, although \"30\" comes first as a text");
    assert_eq!(first.origin.split_by, [("EchoTime (0018,0081)".to_owned(), "9.5".to_owned())]);
    assert!(first.findings.iter().any(|finding| finding.kind == FindingKind::SeriesSplit));

    let all = read_all(&objects);
    let lowest: Vec<f32> = all.iter().map(|volume| volume.as_ref().unwrap().volume.voxels[[0, 0, 0]]).collect();
    assert_eq!(lowest, [0.0, 1000.0]);
}

#[test]
fn every_key_tells_volumes_apart() {
    for (tag, vr, values) in [
        (tags::IMAGE_TYPE, VR::CS, ["ORIGINAL\\PRIMARY\\M", "ORIGINAL\\PRIMARY\\P"]),
        (tags::ECHO_NUMBERS, VR::IS, ["1", "2"]),
        (tags::DIFFUSION_B_VALUE, VR::FD, ["0", "1000"]),
        (tags::TEMPORAL_POSITION_IDENTIFIER, VR::IS, ["1", "2"]),
        (tags::ACQUISITION_NUMBER, VR::IS, ["1", "2"]),
        (tags::TRIGGER_TIME, VR::DS, ["0", "350.5"]),
        (tags::CONVOLUTION_KERNEL, VR::SH, ["B30f", "B70f"]),
        (tags::FRAME_REFERENCE_TIME, VR::DS, ["1000", "61000"]),
    ] {
        let objects = twice(tag, if vr == VR::FD { VR::DS } else { vr }, values);
        let all = read_all(&objects);
        assert_eq!(all.len(), 2, "{tag}");
        for volume in all {
            assert_eq!(volume.unwrap().volume.geometry.size[2], 4, "{tag}");
        }
    }
}

#[test]
fn a_value_that_every_slice_has_for_itself_makes_no_volumes() {
    let mut objects = twice(tags::ECHO_TIME, VR::DS, ["10", "10"]);
    for (index, object) in objects.iter_mut().enumerate() {
        object.put_str(tags::ACQUISITION_TIME, VR::TM, format!("1000{index:02}"));
    }
    let error = read(&objects, &regularised(&[FindingKind::DuplicatePosition])).unwrap_err();
    assert_eq!(error.finding().unwrap().kind, FindingKind::DuplicatePosition);
}

#[test]
fn slices_that_came_twice_under_other_names_are_one() {
    let mut objects = mr_series(4);
    let mut copy = objects[2].clone();
    copy.put_str(tags::SOP_INSTANCE_UID, VR::UI, "2.25.99");
    objects.push(copy);
    assert!(read(&objects, &Policies::default()).is_err());
    let volume = read(&objects, &regularised(&[FindingKind::DuplicatePosition])).unwrap();
    assert_eq!(volume.volume.geometry.size[2], 4);
    assert!(volume.findings.iter().any(|finding| finding.kind == FindingKind::DuplicatePosition));
}

#[test]
fn differences_of_kernel_or_acquisition_alone_split_nothing() {
    let mut objects = mr_series(6);
    for (index, object) in objects.iter_mut().enumerate() {
        object.put_str(tags::ACQUISITION_NUMBER, VR::IS, (index / 2).to_string());
        object.put_str(tags::CONVOLUTION_KERNEL, VR::SH, if index < 3 { "B30f" } else { "B31f" });
    }
    let volume = read(&objects, &Policies::default()).unwrap();
    assert_eq!((volume.volume.geometry.size[2], volume.findings.len()), (6, 0));
}

#[test]
fn other_planes_matrices_and_frames_of_reference_never_make_one_volume() {
    type Change = fn(&mut InMemDicomObject);
    let scouts: [(FindingKind, Change); 4] = [
        (FindingKind::MixedOrientation, |object| {
            put_numbers(object, tags::IMAGE_ORIENTATION_PATIENT, &[0.0, 1.0, 0.0, 0.0, 0.0, -1.0]);
        }),
        (FindingKind::MixedMatrix, |object| put_numbers(object, tags::PIXEL_SPACING, &[2.0, 2.0])),
        (FindingKind::MixedMatrix, |object| {
            object.put(dicom_core::DataElement::new(tags::ROWS, VR::US, dicom_core::PrimitiveValue::from(2_u16)));
        }),
        (FindingKind::MixedFrameOfReference, |object| {
            object.put_str(tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.4");
        }),
    ];
    for (kind, change) in scouts {
        let mut objects = mr_series(5);
        change(&mut objects[4]);
        let error = read(&objects, &Policies::default()).unwrap_err();
        assert_eq!(error.finding().map(|finding| finding.kind), Some(kind), "{error}");
        let volume = read(&objects, &regularised(&[kind])).unwrap();
        assert_eq!(volume.volume.geometry.size[2], 4, "{kind:?}");
        // The odd slice alone is a volume of its own kind, refused because one slice is none.
        let all = read_all(&objects);
        assert_eq!(all.len(), 2);
        let too_few = all[1].as_ref().unwrap_err();
        assert_eq!(too_few.finding().unwrap().kind, FindingKind::TooFewSlices);
    }
}

#[test]
fn one_and_two_slices_are_two_dimensional_by_policy_only() {
    for n in [1, 2] {
        let objects = mr_series(n);
        assert_eq!(
            read(&objects, &Policies::default()).unwrap_err().finding().unwrap().kind,
            FindingKind::TooFewSlices
        );
        let accepted = Policies::new([(FindingKind::TooFewSlices, Policy::Accept)]);
        let volume = read(&objects, &accepted).unwrap();
        assert_eq!(volume.volume.geometry.size[2], n);
        assert_eq!(volume.volume.geometry.spacing_mm[2], 2.0);
    }
}

#[test]
fn a_missing_slice_and_uneven_gaps_are_filled_where_the_site_regularises() {
    let mut missing = mr_series(6);
    missing.remove(3);
    let error = read(&missing, &Policies::default()).unwrap_err();
    assert_eq!(error.finding().unwrap().kind, FindingKind::MissingSlice);
    let volume = read(&missing, &regularised(&[FindingKind::MissingSlice])).unwrap();
    assert_eq!(volume.volume.geometry.size[2], 6);
    assert_eq!(volume.volume.voxels[[3, 2, 1]], 321.0, "half way between 221 and 421");

    let axial = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let uneven: Vec<InMemDicomObject> = [0.0, 2.0, 4.0, 7.0, 9.0]
        .into_iter()
        .enumerate()
        .map(|(z, height)| mr_slice(z, [0.0, 0.0, height], axial, z))
        .collect();
    assert_eq!(read(&uneven, &Policies::default()).unwrap_err().finding().unwrap().kind, FindingKind::VariableSpacing);
    let volume = read(&uneven, &regularised(&[FindingKind::VariableSpacing])).unwrap();
    assert_eq!(volume.volume.geometry.size[2], 5);
    // At 6 mm, two thirds of the way from slice 2 (4 mm) to slice 3 (7 mm).
    assert!((volume.volume.voxels[[3, 0, 0]] - (200.0 + 100.0 * 2.0 / 3.0)).abs() < 1e-3);
}

#[test]
fn bed_seams_within_five_per_cent_are_even() {
    let axial = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let heights = [0.0, 3.27, 6.54, 9.89, 13.16];
    let objects: Vec<InMemDicomObject> =
        heights.iter().enumerate().map(|(z, height)| mr_slice(z, [0.0, 0.0, *height], axial, z)).collect();
    assert_eq!(read(&objects, &Policies::default()).unwrap().findings, []);
}

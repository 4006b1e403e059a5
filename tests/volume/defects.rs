//! What real headers get wrong, and files that end early.

use std::path::PathBuf;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use radiomicsd::dicom::dataset::Keep;
use radiomicsd::dicom::part10::Part10;
use radiomicsd::finding::{FindingKind, Policies};
use radiomicsd::volume::{RegistrationObject, Segmentation, SeriesVolume, StructureSet, VolumeError};
use rayon::prelude::*;

use crate::made::{file, files, mr_series, put_numbers};

fn read(objects: &[InMemDicomObject]) -> Result<SeriesVolume, VolumeError> {
    SeriesVolume::from_bytes(files(objects), "MR", &Policies::default())
}

/// A series one of whose slices was changed.
fn changed(change: impl Fn(&mut InMemDicomObject)) -> Result<SeriesVolume, VolumeError> {
    let mut objects = mr_series(4);
    change(&mut objects[2]);
    read(&objects)
}

#[test]
fn numbers_with_blanks_commas_and_too_many_digits_are_read() {
    let expected = read(&mr_series(4)).unwrap().volume;
    for text in ["1.0\\2.0\\4.0", " 1 \\2\\ 4 ", "1,0\\2,0\\4,0", "1.00000000000000000000\\2\\4\0", "1e0\\+2\\4."] {
        let found = changed(|slice| slice.put_str(tags::IMAGE_POSITION_PATIENT, VR::DS, text).map_or((), drop));
        assert_eq!(found.unwrap().volume, expected, "{text:?}");
    }
    // The same under VR UN, as bytes.
    let found = changed(|slice| {
        let bytes = PrimitiveValue::U8(b"1\\2\\4".as_slice().into());
        slice.put(DataElement::new(tags::IMAGE_POSITION_PATIENT, VR::UN, bytes));
    });
    assert_eq!(found.unwrap().volume, expected);
}

#[test]
fn planes_without_a_place_are_refused_by_the_attributes_name() {
    for (change, words) in [
        ("", "ImagePositionPatient (0020,0032) is absent or empty"),
        ("1\\2", "ImagePositionPatient (0020,0032) holds 2 values"),
        ("1\\x\\3", "ImagePositionPatient (0020,0032)"),
    ] {
        let error = changed(|slice| slice.put_str(tags::IMAGE_POSITION_PATIENT, VR::DS, change).map_or((), drop));
        assert!(error.as_ref().unwrap_err().to_string().contains(words), "{change:?}: {error:?}");
    }
    let error = changed(|slice| put_numbers(slice, tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0]));
    assert!(error.unwrap_err().to_string().contains("ImageOrientationPatient (0020,0037) holds 5 values"));
}

#[test]
fn absent_empty_and_short_pixels_are_refused() {
    for values in [Some(0), Some(1), Some(19), None] {
        let result = changed(|slice| match values {
            Some(n) => {
                let pixels = PrimitiveValue::U16(vec![7_u16; n].into());
                drop(slice.put(DataElement::new(tags::PIXEL_DATA, VR::OW, pixels)));
            }
            None => drop(slice.remove_element(tags::PIXEL_DATA)),
        });
        let error = result.unwrap_err();
        assert_eq!(error.finding().map(|finding| finding.kind), Some(FindingKind::PixelDataTruncated), "{error}");
    }
}

#[test]
fn colours_are_refused_and_inverted_greys_are_the_same_numbers() {
    let error = changed(|slice| {
        slice.put(DataElement::new(tags::SAMPLES_PER_PIXEL, VR::US, PrimitiveValue::from(3_u16)));
    });
    assert_eq!(error.unwrap_err().finding().unwrap().kind, FindingKind::ColourImage);
    let inverted = changed(|slice| {
        slice.put_str(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
    });
    assert_eq!(inverted.unwrap().volume, read(&mr_series(4)).unwrap().volume);
}

#[test]
fn a_ct_without_rescale_is_refused_and_never_taken_as_one_and_zero() {
    let mut objects = mr_series(4);
    for object in &mut objects {
        object.put_str(tags::MODALITY, VR::CS, "CT");
    }
    assert_eq!(read(&objects).unwrap_err().finding().unwrap().kind, FindingKind::RescaleMissing);
    for object in &mut objects {
        put_numbers(object, tags::RESCALE_SLOPE, &[1.0]);
    }
    assert_eq!(read(&objects).unwrap_err().finding().unwrap().kind, FindingKind::RescaleMissing);
}

#[test]
fn names_of_regions_are_read_in_the_character_set_of_their_object() {
    for (terms, bytes, expected) in [
        ("ISO_IR 100", b"L\xE4sion ".as_slice(), "Läsion"),
        ("ISO_IR 192", "Läsion ".as_bytes(), "Läsion"),
        ("\\ISO 2022 IR 87", b"\x1B$B<pag\x1B(B".as_slice(), "腫瘍"),
    ] {
        let mut object = InMemDicomObject::new_empty();
        object.put_str(tags::SPECIFIC_CHARACTER_SET, VR::CS, terms);
        object.put_str(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.481.3");
        let mut roi = InMemDicomObject::new_empty();
        roi.put_str(tags::ROI_NUMBER, VR::IS, "1");
        roi.put_str(tags::ROI_NAME, VR::LO, "NAME");
        crate::made::put_sequence(&mut object, tags::STRUCTURE_SET_ROI_SEQUENCE, vec![roi]);
        let mut whole = file(&object);
        // The writer knows text only: the bytes of the name are put in behind it, the lengths around it corrected.
        let at = whole.windows(4).position(|window| window == b"NAME").unwrap();
        whole.splice(at..at + 4, bytes.iter().copied());
        let length = u16::try_from(bytes.len()).unwrap().to_le_bytes();
        whole[at - 2..at].copy_from_slice(&length);
        let set = Part10::from_bytes(undefined_lengths(whole, bytes.len() as i64 - 4), Keep::All).unwrap();
        let set = StructureSet::from_object(&set.object).unwrap();
        assert_eq!(set.rois[0].name, expected, "{terms}");
    }
}

/// Corrects the lengths of the only sequence and its item after `more` bytes were added inside.
fn undefined_lengths(mut file: Vec<u8>, more: i64) -> Vec<u8> {
    let sequence = file.windows(4).position(|window| window == b"\x06\x30\x20\x00").unwrap();
    for at in [sequence + 8, sequence + 16] {
        let length = u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        if length != u32::MAX {
            let length = u32::try_from(i64::from(length) + more).unwrap();
            file[at..at + 4].copy_from_slice(&length.to_le_bytes());
        }
    }
    file
}

/// Every file of the project's fixtures.
fn fixtures() -> Vec<PathBuf> {
    fn below(folder: PathBuf, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(path, found);
            } else if path.extension().is_some_and(|end| end == "dcm") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    below(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures"), &mut found);
    found.sort();
    assert!(found.len() > 20, "{}", found.len());
    found
}

/// Reads some bytes as whatever they may be. Errors are as good as results; a panic is not.
fn read_as_anything(bytes: &[u8]) {
    if let Ok(part10) = Part10::from_bytes(bytes.to_vec(), Keep::All) {
        let _ = StructureSet::from_object(&part10.object);
        let _ = RegistrationObject::from_object(&part10.object);
        let _ = Segmentation::from_part10(&part10);
    }
    let _ = SeriesVolume::from_bytes(vec![bytes.to_vec()], "X", &Policies::default());
}

#[test]
fn fixtures_cut_anywhere_in_their_header_or_at_two_hundred_places_in_their_pixels_never_panic() {
    fixtures().par_iter().for_each(|path| {
        let whole = std::fs::read(path).unwrap();
        let pixels = Part10::from_bytes(whole.clone(), Keep::All).unwrap().pixels;
        let header_end = pixels.map_or(whole.len(), |stored| usize::try_from(stored.location.offset).unwrap());
        for length in 0..header_end {
            read_as_anything(&whole[..length]);
        }
        let rest = whole.len() - header_end;
        for cut in 0..200.min(rest) {
            read_as_anything(&whole[..header_end + rest * cut / 200]);
        }
    });
}

//! SUV of the digital reference objects, and of headers whose factor is known.

use std::path::Path;

use dicom_core::{DataElement, Tag, VR, value::DataSetSequence};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use radiomicsd::finding::{FindingKind, Policies};
use radiomicsd::volume::suv::{self, Body, Sex, SliceTiming, SuvHeader, SuvKind, SuvSettings, suv_bw};
use radiomicsd::volume::{SeriesVolume, Units, VolumeSettings, nifti};

use crate::support::{files, reference};

type Row = std::collections::HashMap<String, String>;

fn rows(reference: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(reference.join("data/suv/vectors.csv")).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

/// The header that a row of the table describes. Empty cells are absent attributes.
fn object(row: &Row) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let mut tracer = InMemDicomObject::new_empty();
    for (column, tag, vr) in [
        ("Manufacturer", tags::MANUFACTURER, VR::LO),
        ("Units", tags::UNITS, VR::CS),
        ("SUVType", tags::SUV_TYPE, VR::CS),
        ("CorrectedImage", tags::CORRECTED_IMAGE, VR::CS),
        ("DecayCorrection", tags::DECAY_CORRECTION, VR::CS),
        ("SeriesDate", tags::SERIES_DATE, VR::DA),
        ("SeriesTime", tags::SERIES_TIME, VR::TM),
        ("AcquisitionDate", tags::ACQUISITION_DATE, VR::DA),
        ("AcquisitionTime", tags::ACQUISITION_TIME, VR::TM),
        ("FrameReferenceTime_ms", tags::FRAME_REFERENCE_TIME, VR::DS),
        ("ActualFrameDuration_ms", tags::ACTUAL_FRAME_DURATION, VR::IS),
        ("PatientWeight", tags::PATIENT_WEIGHT, VR::DS),
        ("PatientSize", tags::PATIENT_SIZE, VR::DS),
        ("PatientSex", tags::PATIENT_SEX, VR::CS),
        ("GE_0009_100D", Tag(0x0009, 0x100D), VR::DT),
        ("Philips_7053_1000", Tag(0x7053, 0x1000), VR::DS),
        ("Philips_7053_1009", Tag(0x7053, 0x1009), VR::DS),
    ] {
        if !row[column].is_empty() {
            object.put_str(tag, vr, row[column].as_str());
        }
    }
    for (column, tag, vr) in [
        ("RadiopharmaceuticalStartTime", tags::RADIOPHARMACEUTICAL_START_TIME, VR::TM),
        ("RadiopharmaceuticalStartDateTime", tags::RADIOPHARMACEUTICAL_START_DATE_TIME, VR::DT),
        ("RadionuclideTotalDose", tags::RADIONUCLIDE_TOTAL_DOSE, VR::DS),
        ("RadionuclideHalfLife", tags::RADIONUCLIDE_HALF_LIFE, VR::DS),
    ] {
        if !row[column].is_empty() {
            tracer.put_str(tag, vr, row[column].as_str());
        }
    }
    object.put_str(Tag(0x7053, 0x0010), VR::LO, "Philips PET Private Group");
    let sequence = DataSetSequence::from(vec![tracer]);
    object.put(DataElement::new(tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, VR::SQ, sequence));
    object
}

fn number(row: &Row, column: &str) -> Option<f64> {
    row[column].parse().ok()
}

fn assert_near(found: f64, expected: f64, what: &str) {
    // The table's own advice: 1e-6 absolute upstream, 1e-4 relative.
    assert!((found - expected).abs() <= 1e-4 * expected.abs(), "{what}: {found}, expected {expected}");
}

#[test]
fn every_header_of_the_table_gives_its_factor_or_its_error() {
    let Some(reference) = reference() else { return };
    let mut n_compared = 0;
    for row in rows(&reference).iter().filter(|row| !row["id"].starts_with("ibsi_DRO")) {
        let id = &row["id"];
        n_compared += 1;
        if id == "cs_lbm_only_M" {
            let [weight_kg, size_m] = ["PatientWeight", "PatientSize"].map(|column| number(row, column).unwrap());
            let body = Body { weight_kg, size_m: Some(size_m), sex: Some(Sex::Male) };
            for (kind, column) in KINDS {
                assert_near(body.measure(kind).unwrap(), number(row, column).unwrap(), column);
            }
            continue;
        }
        let object = object(row);
        let mut header = SuvHeader::of(&object).unwrap();
        header.slices = vec![SliceTiming::of(&object).unwrap()];
        // The table's synthetic headers have a dose of 100 Bq and a half-life of 10 s, and mean it.
        let settings = SuvSettings { small_dose_is_mbq: false };
        let found = suv_bw(&header, &settings);
        if !row["expected_error"].is_empty() {
            assert!(found.is_err(), "{id}: {found:?}");
            continue;
        }
        let found = found.unwrap_or_else(|error| panic!("{id}: {error}"));
        if let Some(expected) = number(row, "expected_suvbw_factor") {
            assert_near(found.factors[0], expected, id);
        }
        for (kind, column) in KINDS {
            if let Some(expected) = number(row, column) {
                assert_near(found.clone().of_kind(kind).unwrap().factors[0], expected, &format!("{id} {column}"));
            }
        }
    }
    assert_eq!(n_compared, 14);
}

const KINDS: [(SuvKind, &str); 3] = [
    (SuvKind::Lbm, "expected_suvlbm_james120"),
    (SuvKind::LbmJanma, "expected_suvlbm_janma"),
    (SuvKind::Bsa, "expected_suvbsa_cm2"),
];

#[test]
fn seventeen_digital_reference_objects_have_their_suv_to_two_decimals() {
    let Some(reference) = reference() else { return };
    let folder = reference.join("data/suv/DRO");
    let mut n_objects = 0;
    for object in files(&folder).into_iter().filter(|path| path.is_dir()) {
        let name = object.file_name().unwrap().to_string_lossy().into_owned();
        let series = SeriesVolume::read(&files(&object.join("PT")), "PT", &Policies::default());
        let series = series.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(series.units, Units::SuvBw);
        let mask = nifti::read_mask(&files(&object.join("mask"))[0]).unwrap();
        assert_eq!(mask.geometry.size, series.volume.geometry.size, "{name}");
        let inside = series.volume.voxels.iter().zip(&mask.voxels).filter(|(_, inside)| **inside);
        let mut values: Vec<f64> = inside.map(|(value, _)| f64::from(*value)).collect();
        values.sort_by(f64::total_cmp);
        let found = [values[0], values[values.len() / 2], values[values.len() - 1]];
        // The table's tolerance: one object is quantised in units of body surface, whatever reads it.
        let tolerance = if name == "DRO_2_3" { 0.025 } else { 0.005 };
        for (found, expected) in found.into_iter().zip([0.2, 1.0, 4.0]) {
            assert!((found - expected).abs() <= tolerance, "{name}: {found}, expected {expected}");
        }
        let remarked = |kind| series.findings.iter().any(|finding| finding.kind == kind);
        assert_eq!(remarked(FindingKind::DoseUnitAssumed), name == "DRO_3_0", "{name}: {:?}", series.findings);
        n_objects += 1;
    }
    assert_eq!(n_objects, 17);
}

#[test]
fn a_series_becomes_any_kind_of_suv_by_the_patients_measures() {
    let Some(reference) = reference() else { return };
    let files = files(&reference.join("data/suv/DRO/DRO_2_1/PT"));
    let read = |suv_kind| {
        let settings = VolumeSettings { suv_kind, ..VolumeSettings::default() };
        SeriesVolume::read_with(&files, "PT", &Policies::default(), &settings).unwrap()
    };
    let by_weight = read(SuvKind::Bw);
    // 70 kg, 1.75 m, a man: 1.10 W - 128 (W/H)^2 kg of lean mass.
    let lean = read(SuvKind::LbmJames128);
    assert_eq!(lean.units, Units::SuvLbmJames128);
    let centre = |series: &SeriesVolume| f64::from(series.volume.voxels[[10, 128, 128]]);
    assert_near(centre(&lean) / centre(&by_weight), (1.10 * 70.0 - 128.0 * 0.16) / 70.0, "lean mass");
    assert_eq!(lean.origin.suv.unwrap().kind, SuvKind::LbmJames128);
    assert_eq!(read(SuvKind::Bsa).units.ucum(), "cm2/ml{SUVbsa}");
}

#[test]
fn the_report_on_a_folder_names_the_rule_the_candidates_and_every_factor() {
    let Some(reference) = reference() else { return };
    let mut paths = files(&reference.join("data/suv/DRO/DRO_3_2/PT"));
    let n_slices = paths.len();
    paths.push(reference.join("data/suv/README.md"));
    let report = suv::report(&paths, &SuvSettings::default()).unwrap();
    assert_eq!((report.series.len(), report.n_other_files), (1, 1));
    let series = &report.series[0];
    assert_eq!(series.slices.len(), n_slices);
    assert!(series.slices.iter().all(|slice| slice.factor.is_some_and(|factor| factor > 0.0)));
    assert!(series.slices.windows(2).all(|pair| pair[0].position_mm < pair[1].position_mm));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["series"][0]["rule"]["start"], "frame_reference");
    assert!(json["series"][0]["candidates"].as_array().unwrap().len() >= 3);
    assert!(json["series"][0]["other_kinds"]["bsa"].is_number());
}

#[test]
fn a_defect_of_one_series_leaves_the_report_on_the_others_alone() {
    let folder = tempfile::tempdir().unwrap();
    let slices = files(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/patient/PT"));
    let mut paths = slices.clone();
    for (index, slice) in slices.iter().enumerate() {
        let mut object = dicom_object::open_file(slice).unwrap();
        object.put_str(tags::SERIES_INSTANCE_UID, VR::UI, "2.25.7");
        object.put_str(tags::RESCALE_INTERCEPT, VR::DS, "5");
        paths.push(folder.path().join(format!("{index}.dcm")));
        object.write_to_file(&paths[paths.len() - 1]).unwrap();
    }
    let report = suv::report(&paths, &SuvSettings::default()).unwrap();
    assert_eq!((report.series.len(), report.n_other_files), (2, 0));
    for series in &report.series {
        let broken = series.series == "2.25.7";
        assert_eq!((series.error.is_some(), series.suv.is_some()), (broken, !broken));
        assert_eq!(series.slices.len(), slices.len());
        assert!(series.slices.iter().all(|slice| slice.factor.is_some() != broken));
    }
    let told = report.series.iter().find_map(|series| series.error.as_deref()).unwrap();
    assert_eq!(told, "RescaleIntercept (0028,1052) of a PET is not 0");
}

//! The synthetic patient as files: legal DICOM, the same bytes for the same settings, and the truth inside.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests are tests.

#[path = "shared/mod.rs"]
mod shared;

use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, OpenFileOptions};
use radiomicsd::dicom::attributes;
use radiomicsd::dicom::facts::{InstanceFacts, InstanceKind, from_bytes};
use radiomicsd::phantom::{
    EncodedInstance, IdentityConflict, MrStudy, PetDecay, PetUnits, Phantom, PhantomSettings, Scan, SyntheticPatient,
    follow_up, write_patient,
};

fn patient(settings: &PhantomSettings) -> (Phantom, SyntheticPatient) {
    let phantom = Phantom::new(settings).unwrap();
    let patient = SyntheticPatient::new(&phantom).unwrap();
    (phantom, patient)
}

fn open(instance: &EncodedInstance) -> DefaultDicomObject {
    OpenFileOptions::new().from_reader(instance.bytes.as_slice()).unwrap()
}

fn facts(patient: &SyntheticPatient) -> Vec<InstanceFacts> {
    patient.encode().unwrap().iter().map(|instance| from_bytes(&instance.bytes, &[]).unwrap()).collect()
}

fn number(object: &DefaultDicomObject, tag: Tag) -> f64 {
    attributes::required_number(object, tag).unwrap()
}

/// Stored integers of an image, signed or not.
fn stored(object: &DefaultDicomObject) -> Vec<f64> {
    let signed = number(object, tags::PIXEL_REPRESENTATION) > 0.5;
    let pixels: Vec<u16> = object.element(tags::PIXEL_DATA).unwrap().to_multi_int().unwrap();
    pixels.iter().map(|p| if signed { f64::from(p.cast_signed()) } else { f64::from(*p) }).collect()
}

#[test]
fn the_same_settings_give_the_same_bytes_and_others_give_other_uids() {
    let encode = |settings: &PhantomSettings| patient(settings).1.encode().unwrap();
    let first = encode(&PhantomSettings::tiny());
    assert_eq!(first, encode(&PhantomSettings::tiny()));
    let other = encode(&PhantomSettings { seed: 2, ..PhantomSettings::tiny() });
    assert_eq!(first.len(), other.len());
    assert!(first.iter().zip(&other).all(|(a, b)| a.sop_instance != b.sop_instance && a.series != b.series));
    let mut uids: Vec<_> = first.iter().map(|instance| &instance.sop_instance).collect();
    uids.sort();
    uids.dedup();
    assert_eq!(uids.len(), first.len());
}

#[test]
fn hounsfield_units_are_exact_to_the_stored_integer() {
    let (phantom, patient) = patient(&PhantomSettings::tiny());
    let slices = patient.encode().unwrap();
    for (instance, plane) in slices.iter().filter(|i| i.name.starts_with("CT")).zip(phantom.ct.voxels.outer_iter()) {
        let object = open(instance);
        let (slope, intercept) = (number(&object, tags::RESCALE_SLOPE), number(&object, tags::RESCALE_INTERCEPT));
        for (value, truth) in stored(&object).iter().zip(plane) {
            let truth = f64::from(*truth).max(-1024.0);
            assert!((value * slope + intercept - truth).abs() <= 0.5 + 1e-6);
        }
    }
}

/// SUV of each PET voxel by the rule of the header, written here a second time on purpose.
fn suv(object: &DefaultDicomObject) -> Vec<f64> {
    let values = stored(object);
    let slope = number(object, tags::RESCALE_SLOPE);
    let isotope = attributes::first_item(object, tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE).unwrap();
    let dose = attributes::required_number(isotope, tags::RADIONUCLIDE_TOTAL_DOSE).unwrap();
    let half_life = attributes::required_number(isotope, tags::RADIONUCLIDE_HALF_LIFE).unwrap();
    let seconds = |text: String| {
        let part = |at: usize| text[at..at + 2].parse::<f64>().unwrap();
        part(0) * 3600.0 + part(2) * 60.0 + part(4)
    };
    let injected = seconds(attributes::text(isotope, tags::RADIOPHARMACEUTICAL_START_TIME));
    let elapsed = seconds(attributes::text(object, tags::SERIES_TIME)) - injected;
    let weight_g = number(object, tags::PATIENT_WEIGHT) * 1000.0;
    let units = attributes::text(object, tags::UNITS);
    let decay = attributes::text(object, tags::DECAY_CORRECTION);
    let factor = match (units.as_str(), decay.as_str()) {
        ("GML", _) => 1.0,
        ("BQML", "START") => weight_g / (dose * (-elapsed / half_life).exp2()),
        ("BQML", "ADMIN") => weight_g / dose,
        other => panic!("{other:?}"),
    };
    values.iter().map(|value| value * slope * factor).collect()
}

#[test]
fn suv_follows_from_the_header_in_every_unit_and_decay_correction() {
    for (units, decay) in
        [(PetUnits::Bqml, PetDecay::Start), (PetUnits::Bqml, PetDecay::Admin), (PetUnits::Gml, PetDecay::Start)]
    {
        let mut settings = PhantomSettings::tiny();
        settings.pet.units = units;
        settings.pet.decay = decay;
        settings.patient.weight_kg = 61.5;
        let (phantom, patient) = patient(&settings);
        let slices = patient.encode().unwrap();
        let mut slopes = Vec::new();
        for (instance, plane) in slices.iter().filter(|i| i.name.starts_with("PT")).zip(phantom.pet.voxels.outer_iter())
        {
            let object = open(instance);
            slopes.push(number(&object, tags::RESCALE_SLOPE));
            let largest = plane.iter().fold(0.0f32, |a, b| a.max(*b));
            for (found, truth) in suv(&object).iter().zip(plane) {
                assert!((found - f64::from(*truth)).abs() <= 2e-5 * f64::from(largest), "{found} {truth}");
            }
        }
        slopes.dedup();
        assert!(slopes.len() > 5, "each slice has its own slope");
    }
}

#[test]
fn one_study_and_one_frame_of_reference_hold_all_series_unless_asked_otherwise() {
    let together = facts(&patient(&PhantomSettings::tiny()).1);
    assert!(together.iter().all(|f| f.study == together[0].study));
    assert!(together.iter().all(|f| f.frame_of_reference == together[0].frame_of_reference && !f.own_product));

    let mut settings = PhantomSettings { same_frame_of_reference: false, ..PhantomSettings::tiny() };
    settings.mr.study = MrStudy::Own { days_later: 3 };
    let apart = facts(&patient(&settings).1);
    let of = |modality: &str| apart.iter().find(|f| f.modality == modality).unwrap();
    assert_ne!(of("MR").study, of("CT").study);
    assert_eq!(of("PT").study, of("CT").study);
    assert_eq!(of("MR").study_date, "20240317");
    assert_ne!(of("PT").frame_of_reference, of("CT").frame_of_reference);
}

#[test]
fn structure_sets_name_their_series_rois_and_approval() {
    let settings = PhantomSettings::tiny();
    let all = facts(&patient(&settings).1);
    let InstanceKind::StructureSet(drawn) = &all.last().unwrap().kind else { panic!("the last is the structure set") };
    assert_eq!(drawn.roi_names, ["GTV_CT", "GTV_PT"]);
    let series = |modality: &str| all.iter().find(|f| f.modality == modality).unwrap().series.clone();
    let mut expected = vec![series("CT"), series("PT")];
    let mut found = drawn.references.clone();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!((drawn.label.as_str(), drawn.approval.as_str()), ("GTV", "APPROVED"));
}

#[test]
fn variants_differ_from_the_clean_patient_in_what_they_say() {
    let clean = patient(&PhantomSettings::tiny()).1;
    let count = |patient: &SyntheticPatient, series: &str| {
        patient.series.iter().find(|s| s.name == series).map_or(0, |s| s.instances.len())
    };

    let mut changed = clean.clone();
    changed.remove_slice(Scan::Ct, 4);
    changed.repeat_under_the_same_uid(Scan::Mr, 2);
    changed.repeat_at_the_same_position(Scan::Pet, 3);
    assert_eq!(count(&changed, "CT"), count(&clean, "CT") - 1);
    let files = changed.encode().unwrap();
    let mr: Vec<_> = files.iter().filter(|file| file.name.starts_with("MR")).collect();
    let (original, again) = (mr[2], mr[mr.len() - 1]);
    assert_eq!(original.sop_instance, again.sop_instance);
    assert_ne!(original.bytes, again.bytes);
    let pet: Vec<_> = files.iter().filter(|file| file.name.starts_with("PT")).collect();
    let position = |file: &EncodedInstance| attributes::text(&open(file), tags::IMAGE_POSITION_PATIENT);
    assert_eq!(position(pet[3]), position(pet[pet.len() - 1]));
    assert_ne!(pet[3].sop_instance, pet[pet.len() - 1].sop_instance);

    let mut more = clean.clone();
    more.add_repeated_series(Scan::Pet);
    more.add_attenuation_ct();
    more.add_localizer().unwrap();
    let series: std::collections::BTreeSet<_> = facts(&more).iter().map(|f| f.series.clone()).collect();
    assert_eq!(series.len(), 7);

    let mut bare = clean.clone();
    bare.remove_rescale(Scan::Ct);
    assert!(bare.scan(Scan::Ct).unwrap().instances.iter().all(|o| o.get(tags::RESCALE_SLOPE).is_none()));

    let mut lost = clean.clone();
    lost.refer_to_absent_series();
    lost.refer_to_absent_images();
    let all = facts(&lost);
    let InstanceKind::StructureSet(drawn) = &all.last().unwrap().kind else { panic!("the last is the structure set") };
    assert!(drawn.references.iter().all(|series| all.iter().all(|f| f.series != *series)));
}

#[test]
fn a_follow_up_is_another_study_of_the_same_or_a_conflicting_identity() {
    let first = PhantomSettings::tiny();
    let facts_of = |settings: &PhantomSettings| facts(&patient(settings).1)[0].clone();
    let before = facts_of(&first);
    let after = facts_of(&follow_up(&first, 30, IdentityConflict::None));
    assert_eq!(after.patient, before.patient);
    assert_ne!(after.study, before.study);
    assert_eq!(after.study_date, "20240413");
    for conflict in [IdentityConflict::BirthDate, IdentityConflict::Sex, IdentityConflict::Issuer] {
        let other = facts_of(&follow_up(&first, 30, conflict));
        assert_eq!(other.patient.id, before.patient.id);
        assert_ne!(other.patient, before.patient, "{conflict:?}");
    }
}

#[test]
fn names_beyond_ascii_are_written_in_their_character_set() {
    let mut settings = PhantomSettings::tiny();
    settings.patient.name = "Phäntom^Sÿnthetic".into();
    settings.patient.character_set = "ISO_IR 100".into();
    let latin = patient(&settings).1.encode().unwrap();
    let has = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    assert!(latin.iter().all(|file| has(&file.bytes, b"Ph\xe4ntom^S\xffnthetic")));
    assert_eq!(open(&latin[0]).element(tags::PATIENT_NAME).unwrap().to_str().unwrap(), "Phäntom^Sÿnthetic");

    let mut japanese = patient(&PhantomSettings::tiny()).1;
    japanese.name_in_kanji();
    let files = japanese.encode().unwrap();
    assert!(files.iter().all(|file| has(&file.bytes, b"=\x1b$BLO7?\x1b(B^")));
    assert_eq!(from_bytes(&files[0].bytes, &[]).unwrap().patient.id, "PHANTOM-1");
}

/// dciodvfy of dicom3tools: in PATH, or where the validators of this machine are.
fn dciodvfy() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/validate_sr/venv/bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = home.into_iter().chain(std::env::split_paths(&path)).map(|folder| folder.join("dciodvfy"));
    found.filter(|tool| tool.is_file()).find(|tool| Command::new(tool).arg("-version").output().is_ok())
}

/// What dciodvfy says against some files: errors and warnings.
fn complaints(tool: &Path, files: &[PathBuf]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let output = Command::new(tool).args(["-new".as_ref(), file.as_os_str()]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().filter(|line| line.contains("Error") || line.contains("Warning"));
        found.extend(lines.map(|line| format!("{}: {line}", file.display())));
    }
    found
}

#[test]
fn dciodvfy_finds_nothing_wrong_with_any_object() {
    let Some(tool) = dciodvfy() else {
        shared::skipped("dciodvfy is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let written = write_patient(&folder.path().join("clean"), &PhantomSettings::tiny()).unwrap();
    let mut files = written.files;

    let mut settings = PhantomSettings { same_frame_of_reference: false, ..PhantomSettings::tiny() };
    settings.pet.units = PetUnits::Gml;
    settings.pet.decay = PetDecay::Admin;
    settings.mr.study = MrStudy::Own { days_later: 1 };
    settings.patient.issuer = "HOSPITAL".into();
    settings.drawings[0].approval = "UNAPPROVED".into();
    settings.drawings[0].on = vec![Scan::Mr];
    let mut other = patient(&settings).1;
    other.add_attenuation_ct();
    other.add_localizer().unwrap();
    other.name_in_kanji();
    let others = other.write(&folder.path().join("other")).unwrap();
    // One image of each series: the others differ in position and pixels alone.
    files.extend(others.into_iter().filter(|file| file.ends_with("0001.dcm")));

    let found = complaints(&tool, &files);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The data set of a Part-10 file: what follows the file meta information, which names the program's version.
fn data_set(file: &[u8]) -> &[u8] {
    let length = u32::from_le_bytes(file[140..144].try_into().unwrap());
    &file[144 + usize::try_from(length).unwrap()..]
}

/// The files under `fixtures/patient` are what the phantom makes today. To make them again after a change that is meant,
/// run this test with `RADIOMICSD_WRITE_FIXTURES=1`.
#[test]
fn the_fixtures_are_the_tiny_patient() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/patient");
    let (_, patient) = patient(&PhantomSettings::tiny());
    if std::env::var_os("RADIOMICSD_WRITE_FIXTURES").is_some() {
        patient.write(&folder).unwrap();
    }
    for file in patient.encode().unwrap() {
        let checked_in = std::fs::read(folder.join(&file.name)).unwrap();
        assert!(data_set(&checked_in) == data_set(&file.bytes), "{} differs", file.name.display());
    }
}

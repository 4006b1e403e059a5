//! What cannot be measured, and how it is said.

use dicom_dictionary_std::tags;
use radiomicsd::dicom::write::put_text;
use radiomicsd::error::{Duty, Fault, Retry};
use radiomicsd::finding::{Finding, FindingKind};
use radiomicsd::phantom::{Offset, PhantomSettings, Scan};
use radiomicsd::pipeline::PipelineError;
use radiomicsd::report::Space;

use crate::support::{Case, TRUST, block, config, findings_of, patient};

#[test]
fn a_role_that_is_refused_is_dropped_unless_it_is_required() {
    let (_, mut patient) = patient(&PhantomSettings::tiny());
    patient.remove_rescale(Scan::Pet);
    let result = Case::of_patient(&patient, config(TRUST, ["", "", ""])).run();
    assert_eq!(findings_of(&result, "PT"), [FindingKind::RescaleMissing, FindingKind::RoleRefused]);
    assert!(result.images.iter().all(|image| image.role != "PT"));
    assert!(result.groups.iter().any(|group| group.role == "MR_T1"));
    // What was drawn on the refused images is measured on no others: it is not a second lesion of the CT.
    assert_eq!(result.lesions.len(), 1);
    assert!(result.groups.iter().all(|group| !group.drawn_on.name.ends_with("_PT")));

    let error = Case::of_patient(&patient, config(TRUST, ["", "required = true", ""])).try_run().unwrap_err();
    assert!(matches!(&error, PipelineError::RoleRefused { role, .. } if role == "PT"), "{error}");
    assert_eq!(error.retry(), Retry::Never);
    assert!(error.findings().iter().any(|finding| finding.kind == FindingKind::RescaleMissing));
}

#[test]
fn a_case_without_its_reference_has_no_result() {
    let (_, mut patient) = patient(&PhantomSettings::tiny());
    patient.series.retain(|series| series.name != "CT");
    let error = Case::of_patient(&patient, config(TRUST, ["", "", ""])).try_run().unwrap_err();
    assert!(matches!(error, PipelineError::NoReference { .. }), "{error}");
}

#[test]
fn a_side_that_contradicts_the_place_of_the_lesion_parks_the_case_unless_the_site_accepts_it() {
    let settings = PhantomSettings::tiny();
    assert!(settings.lesions[0].centre_mm[0] > 15.0, "on the left");
    let (_, patient) = patient(&settings);
    let saying = |code: &str, more: &str| {
        let protocol = format!("{TRUST}\nfinding = {{ laterality = \"{code}\" }}");
        Case::of_patient(&patient, config(&protocol, ["", "", more])).try_run()
    };
    let left = saying("7771000|SCT|Left", "").unwrap();
    assert_eq!(left.lesions[0].laterality.as_ref().unwrap().meaning, "Left");
    let error = saying("24028007|SCT|Right", "").unwrap_err();
    assert!(matches!(error, PipelineError::SideConflict { .. }), "{error}");
    assert_eq!((error.fault(), error.retry()), (Fault::Data, Retry::Never));
    let conflict = |findings: &[Finding]| {
        let found = findings.iter().find(|finding| finding.kind == FindingKind::LateralityConflict);
        found.map(ToString::to_string).unwrap_or_default()
    };
    let said = conflict(error.findings());
    assert!(said.contains("(lesion 1)") && said.contains("says right, its place on CT says left"), "{said}");
    let accepted = saying("24028007|SCT|Right", "[findings]\nlaterality_conflict = \"accept\"").unwrap();
    assert!(!conflict(&accepted.findings).is_empty() && !accepted.groups.is_empty());
}

#[test]
fn series_that_disagree_about_patient_or_study_are_told() {
    let (_, mut patient) = patient(&PhantomSettings::tiny());
    let pet = patient.series.iter_mut().find(|series| series.name == "PT").unwrap();
    for object in &mut pet.instances {
        put_text(object, tags::ACCESSION_NUMBER, "ANOTHER");
        put_text(object, tags::PATIENT_SEX, "O");
    }
    let result = Case::of_patient(&patient, config(TRUST, ["", "", ""])).run();
    let told: Vec<String> =
        result.findings.iter().filter(|f| f.kind == FindingKind::SeriesDisagree).map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("(PT)") && told[0].contains("(0010,0040)") && !told[0].contains("ANOTHER"), "{told:?}");
}

#[test]
fn a_case_without_a_region_to_measure_has_no_result() {
    let (_, patient) = patient(&PhantomSettings::tiny());
    let none = format!("{TRUST}\nroi = {{ names = [\"^Liver$\"] }}");
    let error = Case::of_patient(&patient, config(&none, ["", "", ""])).try_run().unwrap_err();
    assert!(matches!(error, PipelineError::NothingMeasured { .. }), "{error}");
}

#[test]
fn a_region_that_fits_two_series_is_refused_and_one_that_names_its_series_is_not() {
    let mut settings = PhantomSettings::tiny();
    settings.pet.grid = settings.ct.grid;
    let (_, together) = patient(&settings);
    let error = Case::of_patient(&together, config(TRUST, ["", "", ""])).try_run().unwrap_err();
    assert!(error.findings().iter().any(|finding| finding.kind == FindingKind::RoiSeriesUnknown), "{error}");

    settings.drawings[0].on = vec![Scan::Pet];
    let (_, alone) = patient(&settings);
    let result = Case::of_patient(&alone, config(TRUST, ["", "", ""])).run();
    assert_eq!(block(&result, "PT", Space::Native).drawn_on.role, "PT");
}

#[test]
fn a_file_that_is_gone_is_said_by_a_hash() {
    let (_, patient) = patient(&PhantomSettings::tiny());
    let mut case = Case::of_patient(&patient, config(TRUST, ["", "", ""]));
    let gone = case.spec.inputs[1].instances[0].clone();
    case.files.remove(&gone);
    let error = case.try_run().unwrap_err();
    assert!(matches!(error, PipelineError::FileMissing { .. }));
    assert!(!error.to_string().contains(gone.as_str()));
}

#[test]
fn drawings_that_overlap_too_little_to_be_one_lesion_are_not_brought_together() {
    let mut settings = PhantomSettings::tiny();
    settings.pet.offset = Offset { shift_mm: [14.0, 0.0, 0.0], ..Offset::default() };
    let (_, patient) = patient(&settings);
    let result = Case::of_patient(&patient, config(TRUST, ["", "", ""])).run();
    assert_eq!(result.lesions.len(), 2);
    for number in [1, 2] {
        assert_eq!(findings_of(&result, &format!("lesion {number}")), [FindingKind::LesionAmbiguous]);
    }
    let measured: Vec<_> = result.groups.iter().map(|group| (group.lesion, group.role.as_str(), group.space)).collect();
    assert_eq!(measured, [(1, "CT", Space::Native), (2, "PT", Space::Native)]);
}

#[test]
fn drawings_far_apart_are_lesions_of_their_own() {
    let mut settings = PhantomSettings::tiny();
    settings.pet.offset = Offset { shift_mm: [60.0, 0.0, 0.0], ..Offset::default() };
    let (_, patient) = patient(&settings);
    let result = Case::of_patient(&patient, config(TRUST, ["", "", ""])).run();
    assert_eq!(result.lesions.len(), 2);
    assert!(result.findings.iter().all(|finding| finding.kind != FindingKind::LesionAmbiguous));
    assert!(result.groups.iter().any(|group| (group.lesion, group.role.as_str()) == (1, "MR_T1")));
}

#[test]
fn images_without_a_common_frame_are_measured_on_their_own_drawings_only() {
    let settings = PhantomSettings { same_frame_of_reference: false, ..PhantomSettings::tiny() };
    let (_, patient) = patient(&settings);
    let case = Case::of_patient(&patient, config(TRUST, ["", "", ""]));
    let result = case.run();
    let measured: Vec<_> = result.groups.iter().map(|group| (group.lesion, group.role.as_str(), group.space)).collect();
    assert_eq!(measured, [(1, "CT", Space::Native), (1, "CT", Space::Aligned), (2, "PT", Space::Native)]);
    assert!(findings_of(&result, "PT").contains(&FindingKind::NoCommonFrame));

    // A site may take the risk.
    let mut accepting = case;
    accepting.config.findings =
        radiomicsd::finding::Policies::new([(FindingKind::NoCommonFrame, radiomicsd::finding::Policy::Accept)]);
    let result = accepting.run();
    assert_eq!((result.lesions.len(), result.groups.len()), (1, 6));
    assert!(result.registrations.iter().all(|registration| !registration.trusted));
    block(&result, "MR_T1", Space::Aligned);
}

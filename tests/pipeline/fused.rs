//! Image-level fusion: a block of its own from two roles, in every document, and none where one of them did not come.

use approx::assert_relative_eq;
use radiomicsd::finding::FindingKind;
use radiomicsd::harmonise::BatchRules;
use radiomicsd::phantom::{PhantomSettings, SyntheticPatient};
use radiomicsd::report::{CaseResult, DocumentKind, Space, documents, features_csv, report_json, verify};
use radiomicsd::table::CohortRow;

use crate::support::{Case, TRUST, block, config, findings_of, patient, value};

/// A case whose PET and CT are fused with this weight of the PET.
fn case(patient: &SyntheticPatient, weight: &str) -> Case {
    let families = "features = { space = [\"aligned\"], families = [\"morphology\", \"intensity\", \"glcm\"] }";
    let fused = format!(
        "fwhm_mm = [1.1, 1.1, 4.0]\n[[protocol.fused]]\nrole = \"pet_ct_fused\"\nof = [\"PT\", \"CT\"]\n\
         range = [[0.0, 20.0], [-200.0, 300.0]]\n{weight}\n"
    );
    let inputs = ["fwhm_mm = [1.0, 1.0, 3.0]", "fwhm_mm = [6.5, 6.5, 6.3]\nrequired = false", &fused];
    Case::of_patient(patient, config(&format!("{TRUST}\n{families}"), inputs))
}

fn mean_of_fused(result: &CaseResult) -> f64 {
    value(block(result, "pet_ct_fused", Space::Aligned), "stat_mean")
}

#[test]
fn the_fused_image_has_a_block_of_its_own_that_is_linear_in_the_weight() {
    let (_, patient) = patient(&PhantomSettings::tiny());
    let run = |weight: f64| case(&patient, &format!("weight = {weight:?}")).run();
    let (pet, ct, both) = (run(1.0), run(0.0), run(0.25));
    // With all the weight on it, the first image is what is measured, from 0 to 1 over its range.
    let mean_suv = value(block(&pet, "PT", Space::Aligned), "stat_mean");
    assert_relative_eq!(mean_of_fused(&pet), mean_suv / 20.0, max_relative = 1e-5);
    let mean_hu = value(block(&ct, "CT", Space::Aligned), "stat_mean");
    // Hounsfield units are rounded where they are measured as such.
    assert!((500.0 * mean_of_fused(&ct) - 200.0 - mean_hu).abs() < 0.5, "{} {mean_hu}", mean_of_fused(&ct));
    let between = 0.25 * mean_of_fused(&pet) + 0.75 * mean_of_fused(&ct);
    assert_relative_eq!(mean_of_fused(&both), between, max_relative = 1e-5);
    let fused = block(&both, "pet_ct_fused", Space::Aligned);
    let reference = block(&both, "CT", Space::Aligned);
    assert_relative_eq!(value(fused, "morph_volume"), value(reference, "morph_volume"), max_relative = 1e-9);
    assert!(fused.values.iter().any(|value| value.tag.starts_with("cm_") && value.discretisation == "FBN 32"));
    assert_eq!(fused.made_of, ["CT", "PT"]);
    assert!(fused.parameters.iter().any(|line| line.starts_with("fused_of=PT, CT")), "{:?}", fused.parameters);
    // It is no other measurement of the other blocks, and it belongs to the settings that models are tied to.
    assert_eq!(both.settings["measurement"]["fused"][0]["weight"], 0.25);
    assert_ne!(both.settings_hash, pet.settings_hash);
}

#[test]
fn documents_tables_and_the_cohort_hold_the_fused_block() {
    let (_, patient) = patient(&PhantomSettings::tiny());
    let result = case(&patient, "weight = 0.5\ndetail_weight = 0.2\nband_pass_ratio = 1.5").run();
    let documents = documents(&result).unwrap();
    assert!(documents.iter().all(|document| verify::verify(&document.bytes).is_empty()));
    // Its region is the reference's: no segmentation of its own.
    let n_segmentations = documents.iter().filter(|document| document.kind == DocumentKind::Seg).count();
    assert_eq!(n_segmentations, 3);
    let report = documents.iter().find(|document| document.name == "sr").unwrap();
    let text = String::from_utf8_lossy(&report.bytes);
    assert!(text.contains("Lesion 1 pet_ct_fused aligned") && text.contains("IMGFUSION"));
    assert!(text.contains("fusion=wavelet band average, coif1"));
    assert!(features_csv(&result).unwrap().lines().any(|line| line.contains(",pet_ct_fused,aligned,intensity,")));
    let json = report_json(&result);
    let blocks = json["blocks"].as_array().unwrap();
    assert!(blocks.iter().any(|block| block["role"] == "pet_ct_fused" && block["made_of"][0] == "CT"));
    let row = CohortRow::of(&result, &BatchRules::built_in());
    let batch = |role: &str| row.blocks.iter().find(|block| block.role == role).unwrap().batch.clone().unwrap();
    assert_eq!(batch("pet_ct_fused"), format!("{} + {}", batch("CT"), batch("PT")));
}

#[test]
fn without_one_of_its_images_there_is_no_fused_block_and_a_finding_says_so() {
    let (_, patient) = patient(&PhantomSettings::tiny());
    let mut case = case(&patient, "");
    case.spec.inputs.retain(|input| input.role != "PT");
    let result = case.run();
    assert!(!result.groups.iter().any(|group| group.role == "pet_ct_fused"));
    assert!(result.groups.iter().any(|group| group.role == "MR_T1"));
    assert!(findings_of(&result, "lesion 1").contains(&FindingKind::NotMeasured));
    let told = result.findings.iter().any(|finding| finding.detail == "pet_ct_fused: PT is not there");
    assert!(told, "{:?}", result.findings);
}

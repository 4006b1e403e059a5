//! A bundle in force: a prediction with the measurements, without PET, and refused for a scanner that it does not know.

use std::fmt::Write as _;
use std::path::Path;

use radiomicsd::clock::Timestamp;
use radiomicsd::finding::FindingKind;
use radiomicsd::fuse::{Method, TrainSettings};
use radiomicsd::harmonise::BatchRules;
use radiomicsd::math::random::Stream;
use radiomicsd::phantom::PhantomSettings;
use radiomicsd::report::{CaseResult, DocumentKind, Wanted, documents_wanted, report_json, verify};
use radiomicsd::table::fusion::{Inputs, TrainOptions, activate, train};
use radiomicsd::table::{Cohort, CohortRow};

use crate::support::{Case, TRUST, config, patient};

const INPUTS: [&str; 3] =
    ["fwhm_mm = [1.0, 1.0, 3.0]", "fwhm_mm = [6.5, 6.5, 6.3]\nrequired = false", "fwhm_mm = [1.1, 1.1, 4.0]"];

/// A cohort around one measured patient: a factor moves all features a little and decides the outcome, and half of the
/// patients have their CT from another scanner. `scanners` are the two scanners of the CT.
fn accumulate(storage: &Path, measured: &CaseResult, scanners: [&str; 2]) {
    let row = CohortRow::of(measured, &BatchRules::built_in());
    let cohort = Cohort::of_storage(storage);
    let mut outcome = "patient,death\n".to_owned();
    for i in 0..70u64 {
        let mut stream = Stream::new(i, 1, 1);
        let factor = stream.normal();
        let mut row = row.clone();
        (row.case, row.patient) = (format!("c-{i}"), format!("p{i}"));
        row.age = Some(55.0 + 10.0 * stream.normal());
        for block in &mut row.blocks {
            if block.role == "CT" {
                block.batch = Some(scanners[usize::from(i % 2 == 1)].to_owned());
            }
            for value in block.features.values_mut() {
                *value *= 1.0 + 0.03 * factor + 0.04 * stream.normal();
            }
        }
        cohort.put(&row).unwrap();
        let _ = writeln!(outcome, "p{i},{}", u8::from(factor + 0.5 * stream.normal() > 0.0));
    }
    std::fs::write(storage.join("outcome.csv"), outcome).unwrap();
}

fn put_in_force(storage: &Path, measured: &CaseResult, scanners: [&str; 2]) {
    accumulate(storage, measured, scanners);
    let mut settings = TrainSettings { methods: vec![Method::LateMean], ..TrainSettings::default() };
    (settings.validate.n_folds, settings.validate.n_repeats, settings.validate.nest.n_inner) = (3, 1, 3);
    (settings.validate.bootstrap.n_samples, settings.n_permutations, settings.n_ensemble) = (100, 19, 10);
    let options = TrainOptions {
        inputs: Inputs::Cohort { storage: storage.to_owned(), clinical: None },
        outcome: storage.join("outcome.csv"),
        endpoint: "death".to_owned(),
        time: None,
        outcome_date: None,
        covariates: None,
        protect: Vec::new(),
        settings_sha256: None,
        repeatable: None,
        settings,
        n_632: None,
        out: storage.join("bundle"),
    };
    train(&options, Timestamp::UNIX_EPOCH, &|| {}).unwrap();
    activate(storage, &storage.join("bundle"), "death", Timestamp::UNIX_EPOCH).unwrap();
}

fn not_fused(result: &CaseResult) -> String {
    let found = result.findings.iter().find(|finding| finding.kind == FindingKind::NotFused);
    found.map(|finding| finding.detail.clone()).unwrap_or_default()
}

/// The text of the report of that name.
fn document(result: &CaseResult, name: &str) -> String {
    let wanted = Wanted { kinds: vec![DocumentKind::Sr], ..Wanted::default() };
    let documents = documents_wanted(result, &wanted).unwrap();
    assert!(documents.iter().all(|document| verify::verify(&document.bytes).is_empty()));
    let found = documents.iter().find(|document| document.name == name).unwrap();
    String::from_utf8_lossy(&found.bytes).into_owned()
}

#[test]
fn a_bundle_in_force_predicts_does_without_pet_and_refuses_an_unknown_scanner() {
    let storage = tempfile::tempdir().unwrap();
    let (_, patient) = patient(&PhantomSettings::tiny());
    // In aligned space all blocks change with the coarsest image that is there: without PET they are other features.
    let protocol = format!("{TRUST}\nfeatures = {{ space = [\"native\"] }}\nfusion = {{ bundle = \"death\" }}");
    let mut case = Case::of_patient(&patient, config(&protocol, INPUTS));
    case.config.storage.directory = storage.path().to_owned();
    let measured = case.run();
    assert!(not_fused(&measured).contains("bundle \"death\" cannot be used"), "{}", not_fused(&measured));
    assert!(measured.models.is_empty());
    let own = CohortRow::of(&measured, &BatchRules::built_in());
    let own = own.blocks.iter().find(|block| block.role == "CT").unwrap().batch.clone().unwrap();

    put_in_force(storage.path(), &measured, [&own, "CT|OTHER|SCANNER|SOFT"]);
    let whole = case.run();
    let output = whole.models.first().unwrap_or_else(|| panic!("{}", not_fused(&whole)));
    assert_eq!(output.blocks, ["CT", "MR_T1", "PT", "clinical"]);
    let (low, high) = output.interval.unwrap();
    assert!(low <= output.probability && output.probability <= high && high - low < 0.9);
    assert_eq!(output.contributions.len(), 4);
    let text = document(&whole, "sr-model");
    for told in [
        "Predicted probability of death",
        "bundle_sha256=",
        "conformal_set_90={",
        "baseline log volume=",
        "Contribution of block PT",
        "research use only",
    ] {
        assert!(text.contains(told), "{told}");
    }
    assert_eq!(report_json(&whole)["predictions"][0]["model"], "death");

    case.spec.inputs.retain(|input| input.role != "PT");
    let without = case.run();
    let output = without.models.first().unwrap_or_else(|| panic!("{}", not_fused(&without)));
    assert_eq!(output.blocks, ["CT", "MR_T1", "clinical"]);
    assert!(
        output.warnings[0].starts_with("block PT is missing; without, its discrimination was"),
        "{:?}",
        output.warnings
    );
    assert!(document(&without, "sr-model").contains("block PT is missing"));

    put_in_force(storage.path(), &measured, ["CT|OTHER|ONE|SOFT", "CT|OTHER|TWO|SOFT"]);
    let refused = case.run();
    assert!(refused.models.is_empty());
    assert!(not_fused(&refused).contains("refuses: not_harmonised: block CT"), "{}", not_fused(&refused));
    assert!(document(&refused, "sr").contains("refuses: not_harmonised"));
}

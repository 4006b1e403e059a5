//! A bundle in force: a prediction with the measurements, without PET, and refused where it may not be asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use approx::assert_relative_eq;

use radiomicsd::clock::Timestamp;
use radiomicsd::finding::FindingKind;
use radiomicsd::fuse::{Method, TrainSettings};
use radiomicsd::harmonise::BatchRules;
use radiomicsd::math::random::Stream;
use radiomicsd::phantom::{PhantomSettings, SyntheticPatient};
use radiomicsd::report::{CaseResult, DocumentKind, Wanted, documents, documents_wanted, report_json, verify};
use radiomicsd::table::fusion::{Inputs, TrainOptions, activate, train};
use radiomicsd::table::{ClinicalValue, Cohort, CohortRow, put_clinical};

use crate::support::{Case, TRUST, config, patient};

const INPUTS: [&str; 3] =
    ["fwhm_mm = [1.0, 1.0, 3.0]", "fwhm_mm = [6.5, 6.5, 6.3]\nrequired = false", "fwhm_mm = [1.1, 1.1, 4.0]"];

/// The cohort that a bundle is trained on, around one measured patient: a factor moves features a little and decides the
/// outcome, and half of the patients have their CT from another scanner.
struct Around<'a> {
    storage: &'a Path,
    measured: &'a CaseResult,
    /// The two scanners of the CT.
    scanners: [&'a str; 2],
    /// The roles whose features the factor moves; of others there is noise alone.
    moved: &'a [&'a str],
    /// Times to the event instead of yes and no.
    survival: bool,
    /// A clinical table with a marker that tells the factor.
    clinical: Option<&'a Path>,
}

impl<'a> Around<'a> {
    /// All roles tell the outcome.
    fn new(storage: &'a Path, measured: &'a CaseResult, scanners: [&'a str; 2]) -> Self {
        Self { storage, measured, scanners, moved: &["CT", "PT", "MR_T1"], survival: false, clinical: None }
    }

    fn accumulate(&self) {
        let row = CohortRow::of(self.measured, &BatchRules::built_in());
        let cohort = Cohort::of_storage(self.storage);
        let mut outcome = "patient,death,years\n".to_owned();
        let mut clinical = "patient,marker\n".to_owned();
        for i in 0..70u64 {
            let mut stream = Stream::new(i, 1, 1);
            let factor = stream.normal();
            let mut row = row.clone();
            (row.case, row.patient) = (format!("c-{i}"), format!("p{i}"));
            row.age = Some(55.0 + 10.0 * stream.normal());
            for block in &mut row.blocks {
                if block.role == "CT" {
                    block.batch = Some(self.scanners[usize::from(i % 2 == 1)].to_owned());
                }
                let effect = if self.moved.contains(&block.role.as_str()) { 0.03 * factor } else { 0.0 };
                for value in block.features.values_mut() {
                    *value *= 1.0 + effect + 0.04 * stream.normal();
                }
            }
            cohort.put(&row).unwrap();
            let time = 2.0 * (-factor).exp() * (0.5 + stream.uniform());
            let event = if self.survival { time < 4.0 } else { factor + 0.5 * stream.normal() > 0.0 };
            let _ = writeln!(outcome, "p{i},{},{:?}", u8::from(event), time.min(4.0));
            let _ = writeln!(clinical, "p{i},{:?}", factor + 0.3 * stream.normal());
        }
        std::fs::write(self.storage.join("outcome.csv"), outcome).unwrap();
        if let Some(path) = self.clinical {
            std::fs::write(path, clinical).unwrap();
        }
    }

    fn put_in_force(&self) {
        self.accumulate();
        let mut settings = TrainSettings { methods: vec![Method::LateMean], ..TrainSettings::default() };
        (settings.validate.n_folds, settings.validate.n_repeats, settings.validate.nest.n_inner) = (3, 1, 3);
        (settings.validate.bootstrap.n_samples, settings.n_permutations, settings.n_ensemble) = (100, 19, 10);
        let storage = self.storage;
        let options = TrainOptions {
            inputs: Inputs::Cohort { storage: storage.to_owned(), clinical: self.clinical.map(Path::to_owned) },
            outcome: storage.join("outcome.csv"),
            endpoint: "death".to_owned(),
            time: self.survival.then(|| "years".to_owned()),
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
}

const OTHER: &str = "CT|OTHER|SCANNER|SOFT";

/// A case of the patient whose protocol asks the bundle. In aligned space all blocks change with the coarsest image that is
/// there: without PET they are other features, so that native ones are asked for.
fn asking(storage: &Path, patient: &SyntheticPatient, more: &str) -> Case {
    let features = "features = { space = [\"native\"] }";
    let protocol = format!("{TRUST}\n{features}\nfusion = {{ bundle = \"death\" }}\n{more}");
    let mut case = Case::of_patient(patient, config(&protocol, INPUTS));
    case.config.storage.directory = storage.to_owned();
    case
}

/// The scanner of the CT.
fn scanner(measured: &CaseResult) -> String {
    let row = CohortRow::of(measured, &BatchRules::built_in());
    row.blocks.iter().find(|block| block.role == "CT").unwrap().batch.clone().unwrap()
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
    let mut case = asking(storage.path(), &patient, "");
    let measured = case.run();
    assert!(not_fused(&measured).contains("bundle \"death\" cannot be used"), "{}", not_fused(&measured));
    assert!(measured.models.is_empty());
    let own = scanner(&measured);

    Around::new(storage.path(), &measured, [&own, OTHER]).put_in_force();
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

    Around::new(storage.path(), &measured, ["CT|OTHER|ONE|SOFT", "CT|OTHER|TWO|SOFT"]).put_in_force();
    let refused = case.run();
    assert!(refused.models.is_empty());
    assert!(not_fused(&refused).contains("refuses: not_harmonised: block CT"), "{}", not_fused(&refused));
    assert!(document(&refused, "sr").contains("refuses: not_harmonised"));
}

/// The code of the refusal, which the report of the model, `report.json` and the findings tell alike.
fn refused_with(result: &CaseResult) -> String {
    assert!(result.models.is_empty(), "predicted: {:?}", result.models);
    let [refusal] = result.refusals.as_slice() else { panic!("{:?}: {}", result.refusals, not_fused(result)) };
    let text = document(result, "sr-model");
    assert!(text.contains(&refusal.code.replace('_', " ")) && !text.contains("Predicted probability"));
    let told = &report_json(result)["predictions"][0];
    assert_eq!((&told["status"], &told["code"]), (&"refused".into(), &refusal.code.as_str().into()));
    assert!(not_fused(result).contains(&format!("refuses: {}", refusal.code)));
    refusal.code.clone()
}

#[test]
fn other_settings_far_away_patients_and_small_regions_are_refused_each_by_its_code() {
    let storage = tempfile::tempdir().unwrap();
    let (_, usual) = patient(&PhantomSettings::tiny());
    let measured = asking(storage.path(), &usual, "").run();
    let own = scanner(&measured);
    Around::new(storage.path(), &measured, [&own, OTHER]).put_in_force();
    assert!(asking(storage.path(), &usual, "").run().refusals.is_empty());

    let coarser = asking(storage.path(), &usual, "grid = { spacing_mm = 2.0 }").run();
    assert_eq!(refused_with(&coarser), "other_settings");

    let mut settings = PhantomSettings::tiny();
    settings.lesions[0].mean.suv *= 4.0;
    let (_, hot) = patient(&settings);
    let hot = asking(storage.path(), &hot, "").run();
    assert_eq!(refused_with(&hot), "out_of_distribution");
    assert!(hot.refusals[0].reason.contains("block PT"), "{}", hot.refusals[0].reason);

    let mut settings = PhantomSettings::tiny();
    settings.lesions[0].volume_mm3 = 1500.0;
    let (_, small) = patient(&settings);
    let small = asking(storage.path(), &small, "").run();
    assert_eq!(refused_with(&small), "small_region");
}

#[test]
fn blocks_that_alone_tell_nothing_are_refused_by_their_pattern() {
    let storage = tempfile::tempdir().unwrap();
    let (_, patient) = patient(&PhantomSettings::tiny());
    let mut case = asking(storage.path(), &patient, "");
    let measured = case.run();
    let own = scanner(&measured);
    Around { moved: &["PT", "MR_T1"], ..Around::new(storage.path(), &measured, [&own, OTHER]) }.put_in_force();
    assert!(case.run().refusals.is_empty());
    case.spec.inputs.retain(|input| input.role == "CT");
    let alone = case.run();
    assert_eq!(refused_with(&alone), "pattern_not_validated");
    assert_eq!(alone.refusals[0].blocks, ["CT", "clinical"]);
}

#[test]
fn a_bundle_of_survival_tells_the_relative_hazard_and_the_group_of_risk() {
    let storage = tempfile::tempdir().unwrap();
    let (_, patient) = patient(&PhantomSettings::tiny());
    let case = asking(storage.path(), &patient, "");
    let measured = case.run();
    let own = scanner(&measured);
    Around { survival: true, ..Around::new(storage.path(), &measured, [&own, OTHER]) }.put_in_force();
    let result = case.run();
    let output = result.models.first().unwrap_or_else(|| panic!("{}", not_fused(&result)));
    let hazard = output.relative_hazard.unwrap();
    assert!(hazard > 0.0 && output.endpoint.starts_with("death by "), "{hazard} {}", output.endpoint);
    let group = if hazard > 1.0 { "High risk" } else { "Low risk" };
    let text = document(&result, "sr-model");
    for told in ["Hazard relative to the median", "Group of risk", group, "Predicted probability of death by"] {
        assert!(text.contains(told), "{told}");
    }
    assert!(text.contains(&format!("risk_group={}", if hazard > 1.0 { "high" } else { "low" })));
    assert_eq!(report_json(&result)["predictions"][0]["relative_hazard"], hazard);
}

#[test]
fn the_clinical_table_is_read_again_for_every_case_and_what_was_put_comes_before_it() {
    let storage = tempfile::tempdir().unwrap();
    let table = storage.path().join("clinical.csv");
    let mut settings = PhantomSettings::tiny();
    settings.patient.issuer = "HOSPITAL A".to_owned();
    let (_, patient) = patient(&settings);
    let mut case = asking(storage.path(), &patient, "");
    let measured = case.run();
    let own = scanner(&measured);
    Around { clinical: Some(&table), ..Around::new(storage.path(), &measured, [&own, OTHER]) }.put_in_force();
    case.config.clinical.table = Some(table.clone());
    let id = CohortRow::of(&measured, &BatchRules::built_in()).patient;
    assert!(id.ends_with("@HOSPITAL A"), "{id}");
    let contribution = || {
        let result = case.run();
        let output = result.models.first().unwrap_or_else(|| panic!("{}", not_fused(&result)));
        let clinical = output.contributions.iter().find(|(block, _)| block == "clinical").unwrap().1;
        (clinical, output.probability, documents(&result).unwrap().pop().unwrap().sop_instance)
    };
    let with = |marker: f64| std::fs::write(&table, format!("patient,marker\n{id},{marker:?}\n")).unwrap();
    with(1.0);
    let (high, likely, first) = contribution();
    with(-1.0);
    let (low, unlikely, second) = contribution();
    assert!(high > 0.1 && low < -0.1 && likely > unlikely, "{high} {low} {likely} {unlikely}");
    let put = BTreeMap::from([("marker".to_owned(), ClinicalValue::Number(1.0))]);
    put_clinical(storage.path(), &id, put).unwrap();
    let (again, likely_again, third) = contribution();
    assert_relative_eq!(again, high, epsilon = 1e-12);
    assert_relative_eq!(likely_again, likely, epsilon = 1e-12);
    // Of one revision and one input, yet another content: another document.
    assert!(first != second && first == third);
}

#[test]
fn a_newer_bundle_under_the_same_name_makes_another_document() {
    let storage = tempfile::tempdir().unwrap();
    let (_, patient) = patient(&PhantomSettings::tiny());
    let case = asking(storage.path(), &patient, "");
    let measured = case.run();
    let own = scanner(&measured);
    let around = Around::new(storage.path(), &measured, [&own, OTHER]);
    let of_model = || {
        let result = case.run();
        let documents = documents(&result).unwrap();
        let model = documents.into_iter().find(|document| document.name == "sr-model").unwrap();
        (result.models[0].version.clone(), model)
    };
    around.put_in_force();
    let (first, second) = (of_model(), of_model());
    assert_eq!(first, second);
    Around { moved: &["PT"], ..around }.put_in_force();
    let newer = of_model();
    assert_ne!(first.0, newer.0);
    assert_ne!(first.1.sop_instance, newer.1.sop_instance);
    let folder = storage.path().join("models/fusion/death");
    assert!(folder.join(&first.0).join("bundle.json").is_file() && folder.join(&newer.0).join("bundle.json").is_file());
}

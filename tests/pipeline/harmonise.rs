//! A model in force: values get their harmonised twins, or the reason why they stay raw.

use std::fmt::Write as _;

use radiomicsd::clock::Timestamp;
use radiomicsd::finding::FindingKind;
use radiomicsd::harmonise::{BatchRules, FitSettings};
use radiomicsd::phantom::PhantomSettings;
use radiomicsd::report::{CaseResult, Space, verify};
use radiomicsd::report::{DocumentKind, Wanted, documents_wanted};
use radiomicsd::table::combat::{FitInput, FitOptions, fit};
use radiomicsd::table::{ActiveModels, CohortRow};

use crate::support::{Case, TRUST, block, config, patient};

const WIDTHS: [&str; 3] = ["fwhm_mm = [1.0, 1.0, 3.0]", "fwhm_mm = [6.5, 6.5, 6.3]", "fwhm_mm = [1.1, 1.1, 4.0]"];

/// Fits a model for the CT to twenty patients of this scanner and twenty of one that measures a tenth more.
fn put_in_force(storage: &std::path::Path, measured: &CaseResult, settings_sha256: &str) {
    let row = CohortRow::of(measured, &BatchRules::built_in());
    let block = row.blocks.iter().find(|block| block.role == "CT").unwrap();
    let batch = block.batch.clone().unwrap();
    let mut features = format!("patient,{}\n", block.features.keys().cloned().collect::<Vec<_>>().join(","));
    let mut known = "patient,batch\n".to_owned();
    for i in 0..40u32 {
        let (scanner, factor) = if i < 20 { (batch.as_str(), 1.0) } else { ("CT|OTHER|SCANNER|SOFT", 1.1) };
        let spread = 1.0 + 0.02 * f64::from((i * 7) % 11) / 11.0;
        let cells = block.features.values().map(|value| format!("{:?}", value * factor * spread));
        let _ = writeln!(features, "p{i},{}", cells.collect::<Vec<_>>().join(","));
        let _ = writeln!(known, "p{i},{scanner}");
    }
    let path = |name: &str| storage.join(name);
    std::fs::write(path("f.csv"), features).unwrap();
    std::fs::write(path("c.csv"), known).unwrap();
    let folder = ActiveModels::folder(storage).join("site");
    std::fs::create_dir_all(&folder).unwrap();
    let options = FitOptions {
        input: FitInput::Tables { features: path("f.csv"), covariates: path("c.csv") },
        batch: vec!["batch".to_owned()],
        protect: Vec::new(),
        categorical: Vec::new(),
        settings: FitSettings::default(),
        resampling: None,
        block: Some("CT".to_owned()),
        settings_sha256: Some(settings_sha256.to_owned()),
        model: folder.join("ct.json"),
        out: None,
        picture: None,
    };
    fit(&options, Timestamp::UNIX_EPOCH).unwrap();
}

#[test]
fn a_protocols_model_harmonises_its_block_and_every_other_says_why_not() {
    let storage = tempfile::tempdir().unwrap();
    let (_, patient) = patient(&PhantomSettings::tiny());
    let with_model = format!("{TRUST}\nharmonise = {{ model = \"site\" }}");
    let mut case = Case::of_patient(&patient, config(&with_model, WIDTHS));
    case.config.storage.directory = storage.path().to_owned();
    let without = case.run();
    assert!(without.notes.iter().any(|note| note.contains("model \"site\" cannot be used")), "{:?}", without.notes);

    put_in_force(storage.path(), &without, &without.settings_hash);
    let result = case.run();
    let ct = block(&result, "CT", Space::Native);
    let harmonised = ct.values.iter().filter(|value| value.harmonised_value.is_some()).count();
    assert!(harmonised > ct.values.len() / 2, "{harmonised} of {}", ct.values.len());
    let mean = ct.values.iter().find(|value| value.tag == "stat_mean").unwrap();
    // Half of the way to a scanner that measures a tenth more.
    let moved = mean.harmonised_value.unwrap() / mean.value;
    assert!((1.02..1.09).contains(&moved), "{moved}");
    assert!(ct.parameters.iter().any(|line| line.starts_with("harmonisation_model=")));
    assert!(block(&result, "PT", Space::Native).values.iter().all(|value| value.harmonised_value.is_none()));
    let raw = |finding: &&radiomicsd::finding::Finding| finding.kind == FindingKind::NotHarmonised;
    let told: Vec<&str> = result.findings.iter().filter(raw).map(|finding| finding.subject.as_str()).collect();
    assert_eq!(told, ["PT", "MR_T1"]);

    let wanted = Wanted { kinds: vec![DocumentKind::Sr], ..Wanted::default() };
    let documents = documents_wanted(&result, &wanted).unwrap();
    assert!(documents.iter().all(|document| verify::verify(&document.bytes).is_empty()));
    // The segmentations that it refers to come before it.
    let report = documents.iter().find(|document| document.kind == DocumentKind::Sr).unwrap();
    let text = String::from_utf8_lossy(&report.bytes).into_owned();
    assert!(text.contains("ComBat-harmonised") && text.contains("harmonisation_batch=CT|"), "in the report");

    put_in_force(storage.path(), &without, "another");
    let result = case.run();
    let other =
        result.findings.iter().find(|finding| finding.subject == "CT" && finding.kind == FindingKind::NotHarmonised);
    assert!(other.unwrap().detail.contains("settings differ"), "{other:?}");
}

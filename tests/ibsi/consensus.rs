//! Three sarcoma patients against the values that a majority of nine teams agree on.

use std::collections::BTreeMap;
use std::path::Path;

use radiomicsd::features::Settings;
use radiomicsd::finding::Policies;
use radiomicsd::pipeline::{SingleJob, measure_files};

use crate::diagnostics::tagged;
use crate::support::reference;

/// One row of the table.
#[derive(Debug, serde::Deserialize)]
struct Row {
    id: String,
    modality: String,
    tag: String,
    reference_value: f64,
    spread_of_agreeing: Option<f64>,
    majority: String,
}

/// The share of rows that must agree, by modality.
const SHARE: f64 = 0.98;

/// How far values that agree may lie apart, of the value.
const TOLERANCE: f64 = 0.01;

/// Every value and diagnostic of one patient's region.
fn values(reference: &Path, id: &str, modality: &str, preset: &str) -> BTreeMap<String, f64> {
    let folder = reference.join("data/sts").join(id).join(modality);
    let settings = Settings::preset(preset).unwrap();
    let policies = Policies::default();
    let job = SingleJob {
        image: &folder.join("image"),
        region: &folder.join("mask"),
        region_name: None,
        settings: &settings,
        policies: &policies,
    };
    let found = measure_files(&job).unwrap_or_else(|error| panic!("{id} {modality}: {error}")).extraction;
    let features = found.values.iter().map(|value| (value.tag.clone(), value.value));
    features.chain(tagged(&found.diagnostics)).collect()
}

#[test]
fn sarcoma_patients_have_the_values_of_the_majority_of_nine_teams() {
    let Some(reference) = reference() else { return };
    let mut table = csv::Reader::from_path(reference.join("reference/ibsi1_sts_consensus.csv")).unwrap();
    let rows: Vec<Row> = table.deserialize().map(Result::unwrap).collect();
    let mut too_few = Vec::new();
    for (modality, preset) in
        [("CT", "ibsi-validation-ct"), ("PET", "ibsi-validation-pt"), ("MR_T1", "ibsi-validation-mr")]
    {
        let (mut matched, mut all) = (0u32, 0u32);
        for id in ["STS_001", "STS_002", "STS_003"] {
            let found = values(&reference, id, modality, preset);
            for row in rows.iter().filter(|row| row.id == id && row.modality == modality && row.majority == "yes") {
                all += 1;
                let value = found.get(&row.tag).copied().unwrap_or(f64::NAN);
                let slack = TOLERANCE * row.reference_value.abs() + row.spread_of_agreeing.unwrap_or(0.0);
                if (value - row.reference_value).abs() <= slack {
                    matched += 1;
                } else {
                    eprintln!("{id} {modality} {}: {value} is not {}", row.tag, row.reference_value);
                }
            }
        }
        let share = f64::from(matched) / f64::from(all);
        eprintln!("{modality}: {matched} of {all} majority rows ({:.2} %)", 100.0 * share);
        if share < SHARE {
            too_few.push(modality);
        }
    }
    assert_eq!(too_few, [""; 0]);
}

//! Nine designs that every public tool runs, or ends in a matrix that is singular.

use radiomicsd::harmonise::{Batches, Covariate, Estimator, Features, FitSettings, HarmoniseError, Rule, Values};
use serde_json::Value;

use crate::support::{Table, reference};

#[test]
fn designs_that_would_lie_are_refused_with_a_sentence_that_names_columns() {
    let Some(folder) = reference() else { return };
    let designs: Value = serde_json::from_slice(&std::fs::read(folder.join("edge_cases.json")).unwrap()).unwrap();
    let mut n = 0;
    for design in designs.as_array().unwrap() {
        let id = design["id"].as_str().unwrap();
        let table = table(design);
        for settings in [FitSettings::default(), FitSettings { estimator: Estimator::Parametric, ..Default::default() }]
        {
            judge(id, design["expect"].as_str().unwrap(), &table, &settings);
        }
        n += 1;
    }
    assert_eq!(n, 9);
}

fn judge(id: &str, expect: &str, table: &Table, settings: &FitSettings) {
    let found = table.fit(settings);
    match expect {
        "error" | "warning_or_refuse" => {
            let Err(HarmoniseError::Refused(remarks)) = found else { panic!("{id}: {found:?}") };
            let (rule, words) = match id {
                "perfect_confound_binary" => (Rule::E1, "\"dx=1\" = batch \"B\""),
                "perfect_confound_3batch" => (Rule::E1, "\"dx=1\" = batch \"C\""),
                "float_linear_combination" => (Rule::E1, "0.2 x batch \"B\" + 0.6 x batch \"C\""),
                "two_covariates_jointly_confounded" => (Rule::E1, "\"v\" = \"u\" + batch \"B\""),
                "near_perfect" => (Rule::E4, "covariate \"dx\" is confounded with batch column \"scanner\""),
                "age_no_overlap" => (Rule::E4, "\"A\" are all below those in \"B\""),
                "batch_is_modality" => (Rule::E2, "CT, PT"),
                _ => panic!("{id} is new"),
            };
            let told = remarks.iter().find(|remark| remark.rule == rule);
            assert!(told.is_some_and(|remark| remark.sentence.contains(words)), "{id}: {remarks:?}");
            // What is confounded may be allowed by name; what has no solution may not.
            let allowed = table.fit(&FitSettings { allow_confounded: true, ..settings.clone() });
            assert_eq!(allowed.is_ok(), expect == "warning_or_refuse", "{id}");
            if let Ok(model) = allowed {
                assert!(model.settings.allow_confounded && model.remarks.iter().any(|r| r.rule == Rule::E4));
            }
        }
        "error_or_exclude" if settings.estimator == Estimator::Auto => {
            let model = found.unwrap();
            assert_eq!(model.left_out.iter().map(|batch| batch.label.as_str()).collect::<Vec<_>>(), ["C"]);
            let applied = model.apply(&table.samples()).unwrap();
            let last = table.features.n_rows() - 1;
            assert!(applied.rows[last].as_ref().is_err_and(|reason| reason.to_string().contains("too few samples")));
            assert!((applied.features.column(0)[last] - table.features.column(0)[last]).abs() <= 0.0);
        }
        "error_or_exclude" => {
            let sentence = found.unwrap_err().to_string();
            assert!(sentence.contains("batch \"C\" has 1 samples"), "{sentence}");
        }
        "ok" => {
            let model = found.unwrap();
            assert!(model.remarks.is_empty(), "{id}: {:?}", model.remarks);
        }
        _ => panic!("{id} expects {expect}"),
    }
}

fn table(design: &Value) -> Table {
    let labels: Vec<String> =
        design["batch"].as_array().unwrap().iter().map(|label| label.as_str().unwrap().to_owned()).collect();
    let n = labels.len();
    let covariates = design["covariates"].as_object().unwrap().iter().map(|(name, values)| {
        let numbers: Vec<f64> = values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        let values = if name == "dx" {
            Values::Categorical(numbers.iter().map(ToString::to_string).collect())
        } else {
            Values::Continuous(numbers)
        };
        Covariate { name: name.clone(), values }
    });
    // Thirty features without any structure.
    let mut state = 12_345u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 33).unwrap()) / f64::from(1u32 << 31)
    };
    let columns: Vec<Vec<f64>> = (0..30).map(|_| (0..n).map(|_| noise()).collect()).collect();
    Table {
        features: Features::new((0..30).map(|idx| format!("f{idx}")).collect(), &columns).unwrap(),
        batches: Batches { name: "scanner".to_owned(), labels },
        covariates: covariates.collect(),
        undeclared: Vec::new(),
    }
}

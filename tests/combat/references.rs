//! Thirteen configurations on two real data sets, equal to neuroCombat and sva; frozen application, equal to
//! neuroHarmonize.

use std::path::Path;

use radiomicsd::harmonise::{Batches, Estimator, FitSettings, Model};
use radiomicsd::table::{CovariateKind, WideTable};
use serde_json::Value;

use crate::support::{Table, largest_difference, published, reference};

/// As the reference suggests: values are of the order of 10.
const TOLERANCE: f64 = 1e-8;

#[test]
fn every_configuration_equals_the_published_implementations() {
    let Some(folder) = reference() else { return };
    let mut n_configurations = 0;
    for set in ["ct_kernel", "pet_sw"] {
        let folder = folder.join("dev").join(set);
        let meta = json(&folder.join("meta.json"));
        for (name, switches) in meta["configs"].as_object().unwrap() {
            let table = table(&folder, &texts(&switches["categorical"]), &texts(&switches["continuous"]));
            let (model, found) = table.harmonised(&settings(switches));
            let expected = WideTable::read(&folder.join(format!("out_{name}.csv"))).unwrap().features().unwrap();
            let difference = largest_difference(&found, &expected);
            assert!(difference <= TOLERANCE, "{set} {name}: {difference:e}");
            let estimates = json(&folder.join(format!("est_{name}.json")));
            let difference = compare_estimates(&model, &estimates, &format!("{set} {name}"));
            eprintln!("{set} {name}: values within {:e}, estimates within {difference:e}", TOLERANCE);
            n_configurations += 1;
        }
    }
    assert_eq!(n_configurations, 26);
}

#[test]
fn a_frozen_model_harmonises_new_patients_by_their_own_covariates() {
    let Some(folder) = reference() else { return };
    for set in ["ct_kernel", "pet_sw"] {
        let folder = folder.join("dev").join(set);
        let frozen = &json(&folder.join("meta.json"))["frozen_apply"];
        let table = table(&folder, &[], &texts(&frozen["covariates_linear"]));
        let ids = WideTable::read(&folder.join("input_features.csv")).unwrap();
        let rows = |key: &str| -> Vec<usize> { ids.rows_of(&texts(&frozen[key])).into_iter().flatten().collect() };
        let model = of(&table, &rows("train")).fit(&published(Estimator::Parametric)).unwrap();
        let read_back: Model = serde_json::from_str(&serde_json::to_string(&model).unwrap()).unwrap();
        assert!(read_back == model, "{set}: the model changes when it is written and read");
        let found = read_back.apply(&of(&table, &rows("test")).samples()).unwrap();
        let expected = WideTable::read(&folder.join("out_frozen_apply.csv")).unwrap();
        let order: Vec<usize> = expected.rows_of(&texts(&frozen["test"])).into_iter().flatten().collect();
        let difference = largest_difference(&found.features, &expected.features().unwrap().of(&order));
        eprintln!("{set} frozen: {difference:e}");
        assert!(difference <= TOLERANCE, "{set}: {difference:e}");
    }
}

#[test]
fn one_patient_at_a_time_gives_the_same_as_the_table() {
    let Some(folder) = reference() else { return };
    let folder = folder.join("dev/ct_kernel");
    let table = table(&folder, &["sex".to_owned(), "grade".to_owned()], &["age".to_owned()]);
    let (model, whole) = table.harmonised(&published(Estimator::Parametric));
    for row in [0, 7, 50] {
        let one = of(&table, &[row]);
        let names = table.features.names().iter().map(String::as_str);
        let values: Vec<(&str, f64)> =
            names.enumerate().map(|(i, name)| (name, table.features.column(i)[row])).collect();
        let found = model.apply_one(&table.batches.labels[row], &one.covariates, &values).unwrap();
        for (idx, value) in found.into_iter().enumerate() {
            assert!((value.unwrap() - whole.column(idx)[row]).abs() < 1e-12);
        }
    }
}

fn of(table: &Table, rows: &[usize]) -> Table {
    let labels = rows.iter().map(|row| table.batches.labels[*row].clone()).collect();
    Table {
        features: table.features.of(rows),
        batches: Batches { name: table.batches.name.clone(), labels },
        covariates: table.covariates.iter().map(|covariate| covariate.of(rows)).collect(),
        undeclared: Vec::new(),
    }
}

fn table(folder: &Path, categorical: &[String], continuous: &[String]) -> Table {
    let features = WideTable::read(&folder.join("input_features.csv")).unwrap();
    let covariates = WideTable::read(&folder.join("input_covariates.csv")).unwrap();
    assert_eq!(features.ids, covariates.ids);
    let levels = categorical.iter().map(|name| covariates.covariate(name, CovariateKind::Categorical).unwrap());
    let numbers = continuous.iter().map(|name| covariates.covariate(name, CovariateKind::AsWritten).unwrap());
    Table {
        features: features.features().unwrap(),
        batches: Batches { name: "batch".to_owned(), labels: covariates.texts("batch").unwrap() },
        covariates: levels.chain(numbers).collect(),
        undeclared: Vec::new(),
    }
}

fn settings(switches: &Value) -> FitSettings {
    let on = |key: &str, default: bool| switches[key].as_bool().unwrap_or(default);
    let estimator = match (on("eb", true), on("parametric", true)) {
        (false, _) => Estimator::None,
        (true, true) => Estimator::Parametric,
        (true, false) => Estimator::NonParametric,
    };
    let reference = switches["ref_batch"].as_str().map(str::to_owned);
    FitSettings { mean_only: on("mean_only", false), reference, ..published(estimator) }
}

/// Compares everything that the reference tells of the estimates; gives the largest difference relative to 1 + |value|.
fn compare_estimates(model: &Model, expected: &Value, what: &str) -> f64 {
    let labels: Vec<&str> = model.batches.iter().map(|batch| batch.label.as_str()).collect();
    assert_eq!(labels, texts(&expected["levels"]), "{what}");
    let fits: Vec<_> = model.harmonised().map(|(_, fit)| fit).collect();
    let mut largest = 0.0f64;
    let mut close = |found: f64, expected: f64, name: &str| {
        let difference = (found - expected).abs() / (1.0 + expected.abs());
        assert!(difference <= TOLERANCE, "{what} {name}: {found} is not {expected}");
        largest = largest.max(difference);
    };
    for (idx, fit) in fits.iter().enumerate() {
        close(fit.alpha, number(&expected["alpha"][idx]), "alpha");
        close(fit.variance, number(&expected["var_pooled"][idx]), "var_pooled");
        for (column, beta) in fit.beta.iter().enumerate() {
            close(*beta, number(&expected["beta_covariates"][column][idx]), "beta");
        }
        for (batch, label) in labels.iter().enumerate() {
            let is_reference = expected["reference"].as_str() == Some(label);
            close(fit.gamma_hat[batch], number(&expected["gamma_hat"][batch][idx]), "gamma_hat");
            if !is_reference {
                close(fit.delta_hat[batch], number(&expected["delta_hat"][batch][idx]), "delta_hat");
            }
            close(fit.gamma_star[batch], number(&expected["gamma_star"][batch][idx]), "gamma_star");
            close(fit.delta_star[batch], number(&expected["delta_star"][batch][idx]), "delta_star");
        }
    }
    for (place, batch) in model.batches.iter().enumerate() {
        let Some(prior) = batch.prior else { continue };
        close(prior.gamma_bar, number(&expected["gamma_bar"][place]), "gamma_bar");
        close(prior.tau2, number(&expected["tau2"][place]), "tau2");
        if let (Some(a), Some(b)) = (prior.a, prior.b) {
            close(a, number(&expected["a"][place]), "a");
            close(b, number(&expected["b"][place]), "b");
            assert_eq!(Some(batch.n_iterations as u64), expected["iterations"][place].as_u64(), "{what}");
        }
    }
    largest
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn texts(values: &Value) -> Vec<String> {
    values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

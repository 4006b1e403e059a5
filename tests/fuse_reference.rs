//! The linear models against R: `tests/reference/fuse/reference.json`, made by `make.R` beside it.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use approx::assert_relative_eq;
use radiomicsd::fuse::{
    CoxSettings, Design, ElasticNet, Lambdas, Outcome, Pairing, PathStep, Survival, Ties, cox, cox_path,
    discrimination, logistic_path,
};
use serde_json::Value;

struct Reference(Value);

impl Reference {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/fuse/reference.json");
        Self(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    fn design(&self, field: &Value) -> Design {
        let rows: Vec<Vec<f64>> = serde_json::from_value(field.clone()).unwrap();
        let columns = (0..rows[0].len()).map(|j| rows.iter().map(|row| row[j]).collect()).collect();
        Design::new(rows.len(), columns).unwrap()
    }

    fn x(&self) -> Design {
        self.design(&self.0["x"])
    }

    fn y(&self) -> Vec<bool> {
        numbers(&self.0["y"]).iter().map(|y| *y > 0.5).collect()
    }

    fn follow_up(&self) -> Vec<Survival> {
        let events = numbers(&self.0["event"]);
        let pairs = numbers(&self.0["time"]).into_iter().zip(events);
        pairs.map(|(time, event)| Survival { time, event: event > 0.5 }).collect()
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn settings(fit: &Value) -> ElasticNet {
    ElasticNet {
        alpha: fit["alpha"].as_f64().unwrap(),
        lambdas: Lambdas::Given(numbers(&fit["lambda"])),
        tolerance: 1e-11,
    }
}

fn assert_all_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (j, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance * e.abs().max(1.0), "{what}, {j}: {f} instead of {e}");
    }
}

#[test]
fn elastic_net_logistic_regression_equals_glmnet() {
    let reference = Reference::read();
    for fit in reference.0["logistic"].as_array().unwrap() {
        let path = logistic_path(&reference.x(), &reference.y(), &settings(fit)).unwrap();
        for (step, expected) in path.iter().zip(fit["coefficients"].as_array().unwrap()) {
            let mut found = vec![step.model.intercept];
            found.extend(&step.model.slopes);
            assert_all_close(&found, &numbers(expected), 1e-6, &format!("alpha {} {}", fit["alpha"], step.lambda));
        }
    }
}

#[test]
fn elastic_net_cox_regression_equals_glmnet() {
    let reference = Reference::read();
    for fit in reference.0["cox"].as_array().unwrap() {
        let path = cox_path(&reference.x(), &reference.follow_up(), &settings(fit)).unwrap();
        for (step, expected) in path.iter().zip(fit["coefficients"].as_array().unwrap()) {
            let what = format!("alpha {} lambda {}", fit["alpha"], step.lambda);
            assert_all_close(&step.model.slopes, &numbers(expected), 1e-6, &what);
        }
    }
}

#[test]
fn paths_begin_at_glmnets_largest_penalty_and_fall_in_its_ratios() {
    let reference = Reference::read();
    let settings = ElasticNet { alpha: 0.5, lambdas: Lambdas::Count(20), tolerance: 1e-9 };
    let lambdas = |path: Vec<PathStep>| path.iter().map(|step| step.lambda).collect::<Vec<f64>>();
    let logistic = lambdas(logistic_path(&reference.x(), &reference.y(), &settings).unwrap());
    let cox = lambdas(cox_path(&reference.x(), &reference.follow_up(), &settings).unwrap());
    for (found, expected) in [(logistic, "logistic_path"), (cox, "cox_path")] {
        // glmnet may end a path earlier, when the deviance hardly changes.
        let expected = numbers(&reference.0[expected]);
        assert!(found.len() >= expected.len());
        assert_all_close(&found[..expected.len()], &expected, 1e-8, "lambda");
    }
}

#[test]
fn without_penalty_the_path_ends_at_the_maximum_of_the_likelihood() {
    let reference = Reference::read();
    let free = ElasticNet { alpha: 0.5, lambdas: Lambdas::Given(vec![0.01, 0.0]), tolerance: 1e-11 };
    let last = logistic_path(&reference.x(), &reference.y(), &free).unwrap().pop().unwrap();
    let expected = numbers(&reference.0["glm"]);
    assert_relative_eq!(last.model.intercept, expected[0], max_relative = 1e-6);
    assert_all_close(&last.model.slopes, &expected[1..], 1e-6, "glm");
    let last = cox_path(&reference.x(), &reference.follow_up(), &free).unwrap().pop().unwrap();
    let expected = numbers(&reference.0["coxph_breslow"]["coefficients"]);
    assert_all_close(&last.model.slopes, &expected, 1e-6, "coxph breslow");
}

#[test]
fn cox_regression_equals_coxph_with_both_kinds_of_ties_and_with_ridge() {
    let reference = Reference::read();
    let fit = |ties| cox(&reference.x(), &reference.follow_up(), CoxSettings { ties, ridge: 0.0 }).unwrap();
    for (name, ties) in [("coxph_efron", Ties::Efron), ("coxph_breslow", Ties::Breslow)] {
        let expected = &reference.0[name];
        let found = fit(ties);
        assert_all_close(&found.slopes, &numbers(&expected["coefficients"]), 1e-8, name);
        assert_all_close(&found.log_likelihood, &numbers(&expected["loglik"]), 1e-10, name);
    }
    let efron = &reference.0["coxph_efron"];
    assert_all_close(&fit(Ties::Efron).standard_errors, &numbers(&efron["se"]), 1e-8, "standard errors");
    let ridge = &reference.0["coxph_ridge"];
    let settings = CoxSettings { ties: Ties::Efron, ridge: ridge["theta"].as_f64().unwrap() };
    let found = cox(&reference.design(&ridge["x"]), &reference.follow_up(), settings).unwrap();
    assert_all_close(&found.slopes, &numbers(&ridge["coefficients"]), 1e-6, "ridge");
}

#[test]
fn the_concordance_is_that_of_r() {
    let reference = Reference::read();
    let slopes = numbers(&reference.0["coxph_efron"]["coefficients"]);
    let risk = reference.x().linear(0.0, &slopes);
    let found = discrimination(&risk, &Outcome::Survival(reference.follow_up()), Pairing::default()).unwrap();
    assert_relative_eq!(found, numbers(&reference.0["concordance"])[0], epsilon = 1e-12);
}

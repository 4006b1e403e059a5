//! Guards: cohorts that would flatter any model are refused before one is fitted.

use std::collections::BTreeMap;

use super::data::{Block, Dataset};
use super::error::FuseError;
use super::metrics::{Pairing, auc, discrimination};
use super::outcome::Outcome;

/// A single feature that separates the outcome better than this is taken for the outcome in disguise.
pub const DISCRIMINATION_MAX: f64 = 0.98;

/// A class this small is separated by chance too easily for the guard on single features to mean anything.
const PATIENTS_MIN: usize = 8;

/// Refuses a cohort in which a feature is the outcome, or separates it better than [`DISCRIMINATION_MAX`], or is named
/// like it.
///
/// # Errors
/// With the feature's name and the reason.
pub fn check_features(data: &Dataset, endpoint: &str) -> Result<(), FuseError> {
    let wanted = endpoint.trim().to_lowercase();
    for block in &data.blocks {
        for (idx, feature) in block.features.iter().enumerate() {
            let leak = |reason: String| Err(FuseError::Leak(format!("{feature} of block {} {reason}", block.name)));
            if !wanted.is_empty() && feature.trim().to_lowercase() == wanted {
                return leak("has the name of the outcome".to_owned());
            }
            let (rows, values) = present(block, idx);
            let outcome = data.outcome.of(&rows);
            if equals_outcome(&values, &outcome) {
                return leak("is the outcome itself".to_owned());
            }
            let n_events = outcome.n_events();
            if n_events.min(rows.len() - n_events.min(rows.len())) < PATIENTS_MIN {
                continue;
            }
            let value = match &outcome {
                Outcome::Binary(events) => auc(&values, events),
                Outcome::Survival(_) => discrimination(&values, &outcome, Pairing::default()),
            };
            let value = value.unwrap_or(0.5);
            let separation = value.max(1.0 - value);
            if separation > DISCRIMINATION_MAX {
                return leak(format!("alone separates the outcome with {separation:.3}, over {DISCRIMINATION_MAX}"));
            }
        }
    }
    Ok(())
}

/// Refuses folds that part the rows of one patient.
///
/// # Errors
/// When a patient is in two folds.
pub fn check_folds(patients: &[String], fold_of: &[usize]) -> Result<(), FuseError> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (patient, fold) in patients.iter().zip(fold_of) {
        if *seen.entry(patient).or_insert(*fold) != *fold {
            return Err(FuseError::Leak("one patient is in two folds".into()));
        }
    }
    Ok(())
}

/// Refuses covariates of a harmonisation that hold the outcome.
///
/// # Errors
/// When a covariate has the outcome's name, or its values.
pub fn check_covariates(covariates: &[(String, Vec<f64>)], endpoint: &str, outcome: &Outcome) -> Result<(), FuseError> {
    for (name, values) in covariates {
        let named = name.trim().eq_ignore_ascii_case(endpoint.trim());
        if named || (values.len() == outcome.n_patients() && equals_outcome(values, outcome)) {
            return Err(FuseError::Leak(format!("the outcome is among the covariates, as {name}")));
        }
    }
    Ok(())
}

/// Refuses scans made after the outcome was known; days since any one date, `None` where a date is not known.
///
/// # Errors
/// When a scan is later than the patient's outcome.
pub fn check_order(scanned_day: &[Option<f64>], outcome_day: &[Option<f64>]) -> Result<(), FuseError> {
    let pairs = scanned_day.iter().zip(outcome_day).filter_map(|(scan, outcome)| scan.zip(*outcome));
    let n_late = pairs.filter(|(scan, outcome)| scan > outcome).count();
    if n_late > 0 {
        return Err(FuseError::Leak(format!("{n_late} patients were scanned after their outcome")));
    }
    Ok(())
}

fn present(block: &Block, feature: usize) -> (Vec<usize>, Vec<f64>) {
    let rows = block.rows.iter().enumerate();
    rows.filter_map(|(row, values)| Some((row, *values.as_ref()?.get(feature)?))).filter(|(_, v)| v.is_finite()).unzip()
}

/// Whether the values are the outcome under another coding: two values that go with the two classes, or the times.
fn equals_outcome(values: &[f64], outcome: &Outcome) -> bool {
    let same = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
    let times = match outcome {
        Outcome::Survival(follow_up) if !values.is_empty() => follow_up.as_slice(),
        _ => &[],
    };
    if !times.is_empty() && values.iter().zip(times).all(|(value, patient)| same(*value, patient.time)) {
        return true;
    }
    let events = outcome.events();
    let first = |wanted: bool| events.iter().zip(values).find(|(event, _)| **event == wanted).map(|(_, value)| *value);
    let (Some(with), Some(without)) = (first(true), first(false)) else { return false };
    !same(with, without)
        && events.iter().zip(values).all(|(event, value)| same(*value, if *event { with } else { without }))
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Survival;
    use super::*;
    use crate::math::random::Stream;

    fn data(feature: &str, value: impl Fn(bool, &mut Stream) -> f64) -> Dataset {
        let mut stream = Stream::new(1, 2, 3);
        let events: Vec<bool> = (0..60).map(|i| i % 3 == 0).collect();
        let rows = events.iter().map(|event| Some(vec![stream.normal(), value(*event, &mut stream)])).collect();
        let block = Block { name: "CT".into(), features: vec!["noise".into(), feature.into()], rows };
        let patients = (0..60).map(|i| i.to_string()).collect();
        Dataset::new(patients, vec![block], Outcome::Binary(events)).unwrap()
    }

    #[test]
    fn an_injected_leak_is_refused_and_an_honest_cohort_is_not() {
        assert_eq!(check_features(&data("honest", |e, s| f64::from(u8::from(e)) + s.normal()), "death"), Ok(()));
        let near = data("disguised", |e, s| f64::from(u8::from(e)) * 10.0 + s.normal());
        assert!(check_features(&near, "death").unwrap_err().to_string().contains("disguised"));
        let reversed = data("reversed", |e, s| -10.0 * f64::from(u8::from(e)) + s.normal());
        assert!(check_features(&reversed, "death").is_err());
        let label = data("code", |e, _| if e { 2.0 } else { 1.0 });
        assert!(check_features(&label, "death").unwrap_err().to_string().contains("is the outcome itself"));
        assert!(check_features(&data("Death", |_, s| s.normal()), "death").is_err());
    }

    #[test]
    fn outcomes_among_covariates_split_patients_and_late_scans_are_refused() {
        let outcome = Outcome::Survival(
            [(3.0, true), (5.0, false), (2.0, true)].map(|(time, event)| Survival { time, event }).to_vec(),
        );
        let covariate = |name: &str, values: [f64; 3]| vec![(name.to_owned(), values.to_vec())];
        assert!(check_covariates(&covariate("age", [50.0, 61.0, 70.0]), "survival", &outcome).is_ok());
        assert!(check_covariates(&covariate("months", [3.0, 5.0, 2.0]), "survival", &outcome).is_err());
        assert!(check_covariates(&covariate("arm", [7.0, 4.0, 7.0]), "survival", &outcome).is_err());
        assert!(check_covariates(&covariate("Survival", [1.0, 2.0, 3.0]), "survival", &outcome).is_err());

        let patients = ["a", "b", "a"].map(str::to_owned);
        assert!(check_folds(&patients, &[0, 1, 0]).is_ok());
        assert!(check_folds(&patients, &[0, 1, 1]).is_err());

        assert!(check_order(&[Some(1.0), None], &[Some(1.0), Some(-5.0)]).is_ok());
        assert!(check_order(&[Some(2.0)], &[Some(1.0)]).is_err());
    }
}

//! The clinical block: what headers and the clinic's table say of a patient, as numbers. What is not known is missing.

use std::collections::{BTreeMap, BTreeSet};

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::cohort::CohortRow;
use super::super::scanner::header_covariates;
use super::super::wide::{CovariateKind, WideTable};
use super::load::BlockTable;
use crate::dicom::attributes::number;
use crate::fuse::CLINICAL;
use crate::harmonise::{Covariate, Values};

/// Age, sex, size and weight of image headers, one row each; what the clinic's table says of the same comes before them.
#[must_use]
pub fn clinic<'a>(headers: impl Iterator<Item = &'a InMemDicomObject> + Clone, known: &[Covariate]) -> Vec<Covariate> {
    let first =
        |tag| headers.clone().find_map(|header| number(header, tag).ok().flatten().filter(|value| *value > 0.0));
    let (size, weight) = (first(tags::PATIENT_SIZE), first(tags::PATIENT_WEIGHT));
    let mut covariates = header_covariates(headers.clone());
    covariates.extend([continuous("size", size), continuous("weight", weight)]);
    overruled(covariates, known)
}

/// The same for a row of the cohort.
pub(super) fn clinic_of_row(row: &CohortRow, table: Option<&WideTable>, put: &[Covariate]) -> Vec<Covariate> {
    let covariates = vec![
        continuous("age", row.age),
        Covariate { name: "sex".to_owned(), values: Values::Categorical(vec![row.sex.clone().unwrap_or_default()]) },
        continuous("size", row.size_m),
        continuous("weight", row.weight_kg),
    ];
    let known = table.and_then(|table| {
        let place = table.ids.iter().position(|id| *id == row.patient)?;
        let covariate = |name: &String| Some(table.covariate(name, CovariateKind::AsWritten).ok()?.of(&[place]));
        Some(table.names().iter().filter_map(covariate).collect::<Vec<Covariate>>())
    });
    overruled(overruled(covariates, &known.unwrap_or_default()), put)
}

fn continuous(name: &str, value: Option<f64>) -> Covariate {
    Covariate { name: name.to_owned(), values: Values::Continuous(vec![value.unwrap_or(f64::NAN)]) }
}

fn overruled(mut covariates: Vec<Covariate>, known: &[Covariate]) -> Vec<Covariate> {
    for covariate in known.iter().filter(|covariate| covariate.is_known(0)) {
        covariates.retain(|header| header.name != covariate.name);
        covariates.push(covariate.clone());
    }
    covariates
}

/// Covariates of one patient as features: a level becomes `name=level` with the value 1.
#[must_use]
pub fn clinical_values(covariates: &[Covariate]) -> BTreeMap<String, f64> {
    let value = |covariate: &Covariate| match &covariate.values {
        _ if !covariate.is_known(0) => None,
        Values::Continuous(values) => values.first().map(|value| (covariate.name.clone(), *value)),
        Values::Categorical(values) => values.first().map(|level| (format!("{}={level}", covariate.name), 1.0)),
    };
    covariates.iter().filter_map(value).collect()
}

/// The clinical block of some patients: a known level is 1 in its column and 0 in those of its other levels.
pub(super) fn clinical_block(patients: Vec<(String, Vec<Covariate>)>) -> BlockTable {
    let values: Vec<(String, BTreeMap<String, f64>)> =
        patients.into_iter().map(|(id, covariates)| (id, clinical_values(&covariates))).collect();
    let names: BTreeSet<String> = values.iter().flat_map(|(_, values)| values.keys().cloned()).collect();
    let features: Vec<String> = names.into_iter().collect();
    let column = |name: &str| name.split_once('=').map(|(column, _)| format!("{column}="));
    let row = |values: &BTreeMap<String, f64>| -> Vec<f64> {
        let one = |name: &String| {
            let other_level = || column(name).is_some_and(|start| values.keys().any(|known| known.starts_with(&start)));
            values.get(name).copied().unwrap_or_else(|| if other_level() { 0.0 } else { f64::NAN })
        };
        features.iter().map(one).collect()
    };
    let there = values.iter().filter(|(_, values)| !values.is_empty());
    let rows = there.map(|(id, values)| (id.clone(), row(values))).collect();
    BlockTable { name: CLINICAL.to_owned(), rows, features, batches: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_become_columns_and_what_is_not_known_stays_missing() {
        let of = |age: f64, sex: &str| {
            let sex = Covariate { name: "sex".to_owned(), values: Values::Categorical(vec![sex.to_owned()]) };
            vec![continuous("age", Some(age)), sex]
        };
        let block = clinical_block(vec![
            ("a".to_owned(), of(50.0, "F")),
            ("b".to_owned(), of(f64::NAN, "M")),
            ("c".to_owned(), of(61.0, "")),
            ("d".to_owned(), of(f64::NAN, "")),
        ]);
        assert_eq!(block.features, ["age", "sex=F", "sex=M"]);
        assert_eq!(block.rows["a"], [50.0, 1.0, 0.0]);
        assert!(block.rows["b"][0].is_nan() && block.rows["c"][1].is_nan());
        assert!(!block.rows.contains_key("d"));
    }
}

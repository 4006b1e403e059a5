//! What is built into simulated cohorts comes out again.

use radiomicsd::harmonise::{
    Batches, Covariate, Estimator, Features, FitSettings, HarmoniseError, Rule, Transform, Values,
};
use radiomicsd::math::random::Stream;

use crate::support::Table;

const N_FEATURES: usize = 40;

/// Shift and scale of every feature on every scanner but the first, and the slope of age.
struct Truth {
    shifts: Vec<[f64; 3]>,
    scales: Vec<[f64; 3]>,
}

/// Three scanners of these sizes; the second's patients are older by `older` years.
fn simulated(sizes: [usize; 3], slope: f64, older: f64) -> (Table, Truth) {
    let batch_of: Vec<usize> = (0..3).flat_map(|batch| std::iter::repeat_n(batch, sizes[batch])).collect();
    let mut stream = Stream::new(77, 970, 0);
    let age: Vec<f64> =
        batch_of.iter().map(|batch| 55.0 + 8.0 * stream.normal() + if *batch == 1 { older } else { 0.0 }).collect();
    let mut truth = Truth { shifts: Vec::new(), scales: Vec::new() };
    let mut columns = Vec::new();
    for _ in 0..N_FEATURES {
        let shifts = [0.0, 1.0 + 0.4 * stream.normal(), -1.5 + 0.4 * stream.normal()];
        let scales = [1.0, 1.5 + 0.1 * stream.normal(), 0.7 + 0.05 * stream.normal()];
        let value = |(batch, age): (&usize, &f64)| {
            20.0 + slope * (age - 55.0) + shifts[*batch] + scales[*batch] * stream.normal()
        };
        columns.push(batch_of.iter().zip(&age).map(value).collect::<Vec<f64>>());
        truth.shifts.push(shifts);
        truth.scales.push(scales);
    }
    let names = (0..N_FEATURES).map(|idx| format!("f{idx}")).collect();
    let table = Table {
        features: Features::new(names, &columns).unwrap(),
        batches: Batches {
            name: "scanner".to_owned(),
            labels: batch_of.iter().map(|batch| format!("scanner {batch}")).collect(),
        },
        covariates: vec![Covariate { name: "age".to_owned(), values: Values::Continuous(age) }],
        undeclared: Vec::new(),
    };
    (table, truth)
}

#[test]
fn known_shifts_and_scales_are_recovered() {
    let (table, truth) = simulated([300, 300, 300], 0.05, 0.0);
    let reference = Some("scanner 0".to_owned());
    let model = table.fit(&FitSettings { reference, ..FitSettings::default() }).unwrap();
    let (mut shift_error, mut scale_error) = (0.0f64, 0.0f64);
    for (idx, (_, fit)) in model.harmonised().enumerate() {
        let sigma = fit.variance.sqrt();
        for batch in 1..3 {
            shift_error += (sigma * fit.gamma_star[batch] - truth.shifts[idx][batch]).powi(2);
            scale_error += (sigma * fit.delta_star[batch].sqrt() - truth.scales[idx][batch]).powi(2);
        }
    }
    let n = (2 * N_FEATURES) as f64;
    let (shift_error, scale_error) = ((shift_error / n).sqrt(), (scale_error / n).sqrt());
    // The standard errors of a difference of means and of a standard deviation of 300 values of this spread.
    assert!(shift_error < 0.10, "{shift_error}");
    assert!(scale_error < 0.06, "{scale_error}");
}

#[test]
fn biology_that_is_declared_is_kept_and_lost_when_it_is_not() {
    let (declared, _) = simulated([200, 200, 200], 0.10, 14.0);
    let slope = |table: &Table, age: &[f64]| {
        let (_, after) = table.harmonised(&FitSettings::default());
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let one = |y: &[f64]| {
            let (mx, my) = (mean(age), mean(y));
            let products: f64 = age.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
            products / age.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
        };
        mean(&(0..N_FEATURES).map(|idx| one(after.column(idx))).collect::<Vec<f64>>())
    };
    let Values::Continuous(age) = declared.covariates[0].values.clone() else { panic!("age is a number") };
    let undeclared = Table { covariates: Vec::new(), undeclared: declared.covariates.clone(), ..declared.clone() };
    let (kept, lost) = (slope(&declared, &age), slope(&undeclared, &age));
    assert!((kept - 0.10).abs() < 0.01, "{kept}");
    assert!(lost < 0.08, "{lost}");
    let model = undeclared.fit(&FitSettings::default()).unwrap();
    assert!(model.remarks.iter().any(|remark| remark.rule == Rule::W2 && remark.sentence.contains("\"age\"")));
}

#[test]
fn a_slope_that_is_the_batch_is_refused_when_declared_and_warned_of_when_not() {
    let (table, _) = simulated([100, 100, 100], 1.0, 200.0);
    let Err(HarmoniseError::Refused(remarks)) = table.fit(&FitSettings::default()) else { panic!("fitted") };
    assert!(remarks.iter().any(|remark| remark.rule == Rule::E4));
    let undeclared = Table { covariates: Vec::new(), undeclared: table.covariates.clone(), ..table };
    let model = undeclared.fit(&FitSettings::default()).unwrap();
    assert!(model.remarks.iter().any(|remark| remark.rule == Rule::W2));
}

#[test]
fn a_curved_effect_of_age_is_kept_by_a_spline_and_not_by_a_line() {
    let (mut table, _) = simulated([200, 200, 200], 0.0, 8.0);
    let Values::Continuous(age) = table.covariates[0].values.clone() else { panic!("age is a number") };
    // A steep rise about sixty: the older patients of the second scanner lie beyond it.
    let effect: Vec<f64> = age.iter().map(|age| 4.0 / (1.0 + (-(age - 60.0) / 2.0).exp())).collect();
    let columns: Vec<Vec<f64>> = (0..N_FEATURES)
        .map(|idx| table.features.column(idx).iter().zip(&effect).map(|(value, effect)| value + effect).collect())
        .collect();
    table.features = Features::new(table.features.names().to_vec(), &columns).unwrap();
    let distance = |spline: Option<String>| {
        let (_, after) = table.harmonised(&FitSettings { spline, ..FitSettings::default() });
        // Between scanners, at the same age, nothing should differ: what is left of the effect's own shape.
        let residual = |scanner: usize| {
            let rows = scanner * 200..(scanner + 1) * 200;
            rows.clone().map(|row| after.column(0)[row] - effect[row]).sum::<f64>() / rows.len() as f64
        };
        (residual(1) - residual(0)).abs()
    };
    let (line, curve) = (distance(None), distance(Some("age".to_owned())));
    assert!(curve < 0.25, "{curve}");
    assert!(curve < line + 0.05, "{curve} {line}");
}

#[test]
fn missing_values_are_left_out_feature_by_feature_and_stay_missing() {
    let (table, _) = simulated([40, 40, 40], 0.05, 0.0);
    let mut columns: Vec<Vec<f64>> = (0..N_FEATURES).map(|idx| table.features.column(idx).to_vec()).collect();
    let whole = columns[1].clone();
    for row in [0, 7, 45, 90] {
        columns[1][row] = f64::NAN;
    }
    columns[2][40..80].fill(f64::NAN);
    let names = table.features.names().to_vec();
    let holes = Table { features: Features::new(names, &columns).unwrap(), ..table.clone() };
    let model = holes.fit(&FitSettings { estimator: Estimator::None, ..FitSettings::default() }).unwrap();
    let unchanged: Vec<_> = model.unchanged().collect();
    assert_eq!(unchanged, [("f2", "batch \"scanner 1\" has 0 values of it")]);
    let after = model.apply(&holes.samples()).unwrap().features;
    assert!(after.column(1)[7].is_nan() && after.column(1)[8].is_finite());
    // Without empirical Bayes a feature depends on its own values alone: those of the rows that are there.
    let rows: Vec<usize> = (0..120).filter(|row| ![0, 7, 45, 90].contains(row)).collect();
    let fewer = Table {
        features: Features::new(vec!["f1".to_owned()], &[whole]).unwrap().of(&rows),
        batches: Batches {
            name: "scanner".to_owned(),
            labels: rows.iter().map(|row| table.batches.labels[*row].clone()).collect(),
        },
        covariates: table.covariates.iter().map(|covariate| covariate.of(&rows)).collect(),
        undeclared: Vec::new(),
    };
    let alone = fewer.fit(&FitSettings { estimator: Estimator::None, ..FitSettings::default() }).unwrap();
    let (with_holes, alone) = (model.harmonised().nth(1).unwrap().1, alone.harmonised().next().unwrap().1);
    assert!((with_holes.beta[0] - alone.beta[0]).abs() < 1e-12);
    assert!((with_holes.variance - alone.variance).abs() < 1e-12);
}

#[test]
fn heavy_tailed_features_are_harmonised_on_their_logarithm_and_stay_positive() {
    let (mut table, _) = simulated([80, 80, 80], 0.02, 0.0);
    let columns: Vec<Vec<f64>> = (0..N_FEATURES)
        .map(|idx| table.features.column(idx).iter().map(|value| (value - 15.0).exp()).collect())
        .collect();
    table.features = Features::new(table.features.names().to_vec(), &columns).unwrap();
    for transform in [Transform::Log, Transform::BoxCox] {
        let (model, after) = table.harmonised(&FitSettings { transform, ..FitSettings::default() });
        assert_eq!(model.harmonised().count(), N_FEATURES);
        assert!((0..N_FEATURES).all(|idx| after.column(idx).iter().all(|value| *value > 0.0)));
        let log_mean = |scanner: usize| {
            after.column(0)[scanner * 80..(scanner + 1) * 80].iter().map(|v| v.ln()).sum::<f64>() / 80.0
        };
        assert!((log_mean(1) - log_mean(0)).abs() < 0.35, "{transform:?}: {} {}", log_mean(1), log_mean(0));
    }
}

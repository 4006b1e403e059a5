//! Fusion on synthetic cohorts whose truth is known.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests are tests.

use radiomicsd::fuse::{
    BootstrapSettings, Candidate, Dataset, Evaluation, Method, TrainSettings, ValidateSettings, cross_validate,
    evaluate, permuted, train,
};
use radiomicsd::phantom::{BlockSettings, CohortSettings, synthetic_cohort};

fn block(name: &str) -> BlockSettings {
    BlockSettings { name: name.to_owned(), n_features: 20, shared: 0.0, own: 0.7, own_effect: 0.0, missing: 0.0 }
}

fn quick(n_repeats: usize) -> ValidateSettings {
    let bootstrap = BootstrapSettings { n_samples: 200, ..BootstrapSettings::default() };
    ValidateSettings { n_repeats, bootstrap, ..ValidateSettings::default() }
}

fn candidate(method: Method, n_blocks: usize, by_pattern: bool) -> Candidate {
    let blocks = (0..n_blocks).collect();
    Candidate { model: method.name().to_owned(), fusion: method.fusion().to_owned(), method, blocks, by_pattern }
}

fn judge(data: &Dataset, methods: &[Method], n_repeats: usize) -> Vec<Evaluation> {
    let candidates: Vec<Candidate> =
        methods.iter().map(|method| candidate(*method, data.blocks.len(), false)).collect();
    let settings = quick(n_repeats);
    let left_out = cross_validate(data, &candidates, &settings, &|| {}).unwrap();
    candidates.iter().zip(&left_out).map(|(c, l)| evaluate(c, l, data, settings.bootstrap)).collect()
}

#[test]
fn late_fusion_degrades_gracefully_as_blocks_are_dropped() {
    let blocks = ["CT", "PT", "MR"].map(|name| BlockSettings { own_effect: 1.2, ..block(name) }).to_vec();
    let settings = CohortSettings { n_patients: 240, blocks, shared_effect: 0.0, ..CohortSettings::default() };
    let data = synthetic_cohort(&settings).unwrap().data;
    let late = candidate(Method::LateMean, 3, true);
    let left_out = cross_validate(&data, std::slice::from_ref(&late), &quick(2), &|| {}).unwrap().remove(0);
    let by_number = |n: usize| {
        let of = |(pattern, linear): &(Vec<bool>, Vec<Vec<f64>>)| {
            let used = pattern.iter().filter(|used| **used).count();
            let found = radiomicsd::fuse::discriminate(linear, &left_out.folds, &data, quick(1).bootstrap);
            (used == n).then(|| found.0.unwrap())
        };
        let aucs: Vec<f64> = left_out.patterns.iter().filter_map(of).collect();
        (aucs.iter().sum::<f64>() / aucs.len() as f64, aucs.iter().copied().fold(1.0, f64::min))
    };
    let ((three, _), (two, _), (one, worst)) = (by_number(3), by_number(2), by_number(1));
    assert!(three > two + 0.01 && two > one + 0.01, "{three} {two} {one}");
    assert!(worst > 0.55 && three - two < 0.12 && two - one < 0.15, "{three} {two} {one} {worst}");
}

#[test]
fn intermediate_fusion_beats_early_fusion_where_the_truth_is_a_shared_factor() {
    let (mut early, mut encoded) = (0.0, 0.0);
    const COHORTS: u64 = 4;
    for seed in 1..=COHORTS {
        let blocks =
            ["CT", "PT", "MR"].map(|name| BlockSettings { n_features: 40, shared: 0.35, own: 0.0, ..block(name) });
        let blocks = blocks.to_vec();
        let settings =
            CohortSettings { n_patients: 120, blocks, shared_effect: 1.5, seed, ..CohortSettings::default() };
        let data = synthetic_cohort(&settings).unwrap().data;
        let found = judge(&data, &[Method::Early, Method::IntermediatePca], 2);
        early += found[0].auc.unwrap() / COHORTS as f64;
        encoded += found[1].auc.unwrap() / COHORTS as f64;
    }
    assert!(encoded > early + 0.01, "intermediate {encoded}, early {early}");
}

#[test]
fn permuted_labels_give_one_half() {
    let blocks = ["CT", "PT", "MR"].map(|name| BlockSettings { n_features: 10, own_effect: 1.0, ..block(name) });
    let settings = CohortSettings { blocks: blocks.to_vec(), ..CohortSettings::default() };
    let data = synthetic_cohort(&settings).unwrap().data;
    let honest = judge(&data, &[Method::Early], 1)[0].auc.unwrap();
    assert!(honest > 0.7, "{honest}");
    let mut sum = 0.0;
    for seed in 0..50 {
        let permuted = permuted(&data, seed);
        assert_eq!(permuted.outcome.n_events(), data.outcome.n_events());
        let mut settings = quick(1);
        settings.nest.seed = seed;
        settings.bootstrap.n_samples = 2;
        let early = candidate(Method::Early, 3, false);
        let left_out = cross_validate(&permuted, std::slice::from_ref(&early), &settings, &|| {}).unwrap();
        sum += evaluate(&early, &left_out[0], &permuted, settings.bootstrap).auc.unwrap();
    }
    let mean = sum / 50.0;
    assert!((mean - 0.5).abs() <= 0.02, "{mean}");
}

fn small() -> TrainSettings {
    let methods = vec![Method::Early, Method::EarlyForest, Method::LateMean, Method::IntermediateNetwork];
    TrainSettings { methods, validate: quick(1), n_ensemble: 8, n_permutations: 19, force: false }
}

#[test]
fn an_injected_leak_and_confounded_scanners_and_few_events_are_refused() {
    let settings = CohortSettings { n_patients: 80, ..CohortSettings::default() };
    let mut data = synthetic_cohort(&settings).unwrap().data;
    let events = data.outcome.events();
    for (row, event) in data.blocks[1].rows.iter_mut().zip(&events) {
        row.as_mut().unwrap()[7] = if *event { 3.0 } else { 1.0 };
    }
    let told = train(&data, "death", &small(), &|| {}).unwrap_err().to_string();
    assert!(told.starts_with("leak: native.none.pt_07"), "{told}");

    let settings = CohortSettings { n_batches: 3, confounded: true, n_patients: 120, ..CohortSettings::default() };
    let data = synthetic_cohort(&settings).unwrap().data;
    let told = train(&data, "death", &small(), &|| {}).unwrap_err().to_string();
    assert!(told.contains("block CT") && told.contains("confounded with batch column"), "{told}");

    let settings = CohortSettings { n_patients: 25, ..CohortSettings::default() };
    let data = synthetic_cohort(&settings).unwrap().data;
    let told = train(&data, "death", &small(), &|| {}).unwrap_err().to_string();
    assert!(told.contains("events (--force"), "{told}");
}

#[test]
fn the_same_seed_trains_the_same_bundle_on_any_number_of_threads() {
    let mut settings = CohortSettings { n_patients: 70, n_batches: 2, ..CohortSettings::default() };
    settings.blocks[1].missing = 0.15;
    let data = synthetic_cohort(&settings).unwrap().data;
    let on = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| train(&data, "death", &small(), &|| {}).unwrap())
    };
    let (one, three) = (on(1), on(3));
    assert_eq!(one.bundle, three.bundle);
    assert_eq!(one.evaluations, three.evaluations);
    assert_eq!(one.synergy, three.synergy);
}

#[test]
fn scanners_are_harmonised_within_folds_and_the_effect_is_gone() {
    let settings =
        CohortSettings { n_patients: 150, n_batches: 3, batch_shift: 3.0, seed: 5, ..CohortSettings::default() };
    let with = synthetic_cohort(&settings).unwrap().data;
    let without = Dataset { harmonising: None, ..with.clone() };
    let auc = |data: &Dataset| judge(data, &[Method::IntermediatePca], 1)[0].auc.unwrap();
    let (harmonised, raw) = (auc(&with), auc(&without));
    assert!(harmonised > raw + 0.05, "{harmonised} {raw}");
}

#[test]
fn survival_is_trained_by_every_method() {
    let settings = CohortSettings { n_patients: 120, survival: true, ..CohortSettings::default() };
    let data = synthetic_cohort(&settings).unwrap().data;
    for evaluation in judge(&data, &Method::ALL, 1) {
        let c = evaluation.auc.unwrap();
        assert!(c > 0.6, "{} {c}", evaluation.model);
        let brier = evaluation.brier.unwrap();
        assert!(brier > 0.1 && brier < 0.25, "{} {brier}", evaluation.model);
        let (slope, intercept) = (evaluation.calibration_slope.unwrap(), evaluation.calibration_intercept.unwrap());
        assert!(slope > 0.2 && intercept.abs() < 0.5, "{} {slope} {intercept}", evaluation.model);
    }
}

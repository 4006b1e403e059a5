//! How far harmonised values are from those without a batch effect, by the number of patients of the new scanner.
//!
//! `cargo bench --bench combat_rmse`: a cohort of 100 patients from one scanner and n from another, 60 features, age as a
//! protected covariate. Shift and scale of the second scanner differ from feature to feature about a common value. Prints
//! the root mean square distance of that scanner's harmonised values from the same values made without a batch effect, in
//! standard deviations: the table behind the rule of 3 and 10 samples. Then what becomes of a biological effect that goes
//! with the batch, declared and not declared.

use radiomicsd::harmonise::{
    Batches, Covariate, Estimator, Features, FitSettings, HarmoniseError, Samples, Values, fit,
};
use radiomicsd::math::random::Stream;

const N_FEATURES: usize = 60;
const N_FIRST: usize = 100;
const REPEATS: u64 = 40;
const SIZES: [usize; 6] = [3, 5, 8, 10, 20, 30];
const PURPOSE: u64 = 950;

fn main() -> Result<(), HarmoniseError> {
    let columns = [
        ("raw", None),
        ("auto", Some((Estimator::Auto, false))),
        ("shift", Some((Estimator::Parametric, true))),
        ("shift, no EB", Some((Estimator::None, true))),
        ("parametric", Some((Estimator::Parametric, false))),
        ("nonparam.", Some((Estimator::NonParametric, false))),
        ("no EB", Some((Estimator::None, false))),
    ];
    for (title, scales) in [("shift and scale differ", Scales::Differ), ("the shift differs alone", Scales::Alike)] {
        println!("{title}");
        print!("{:>4}", "n");
        columns.iter().for_each(|(name, _)| print!(" {name:>13}"));
        println!();
        for n in SIZES {
            print!("{n:>4}");
            for (_, how) in &columns {
                let mut sum = 0.0;
                for repeat in 0..REPEATS {
                    sum += squared_error(&Cohort::new(n, scales, repeat), *how)?;
                }
                #[allow(clippy::cast_precision_loss)]
                let mean = sum / REPEATS as f64;
                print!(" {:>13.3}", mean.sqrt());
            }
            println!();
        }
        println!();
    }
    biology()
}

/// Whether the second scanner's noise is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scales {
    Differ,
    Alike,
}

/// What is measured, what would be without a batch effect, and ages.
struct Cohort {
    measured: Features,
    truth: Features,
    batches: Batches,
    age: Vec<f64>,
}

impl Cohort {
    #[allow(clippy::cast_precision_loss)]
    fn new(n: usize, scales: Scales, repeat: u64) -> Self {
        let n_rows = N_FIRST + n;
        let mut stream = Stream::new(repeat, PURPOSE, n as u64);
        let age: Vec<f64> = (0..n_rows).map(|_| 60.0 + 10.0 * stream.normal()).collect();
        let (mut measured, mut truth) = (Vec::new(), Vec::new());
        for _ in 0..N_FEATURES {
            let slope = 0.03 * stream.normal();
            let shift = 0.8 + 0.5 * stream.normal();
            let differing = (0.25 + 0.2 * stream.normal()).exp();
            let scale = if scales == Scales::Differ { differing } else { 1.0 };
            let (mut with, mut without) = (Vec::new(), Vec::new());
            for (row, age) in age.iter().enumerate() {
                let (biology, noise) = (slope * (age - 60.0), stream.normal());
                without.push(biology + noise);
                with.push(if row < N_FIRST { biology + noise } else { biology + shift + scale * noise });
            }
            measured.push(with);
            truth.push(without);
        }
        let names: Vec<String> = (0..N_FEATURES).map(|idx| format!("f{idx}")).collect();
        let table = |columns: &[Vec<f64>]| Features::new(names.clone(), columns);
        let labels = (0..n_rows).map(|row| if row < N_FIRST { "first".to_owned() } else { "second".to_owned() });
        let batches = Batches { name: "scanner".to_owned(), labels: labels.collect() };
        match (table(&measured), table(&truth)) {
            (Ok(measured), Ok(truth)) => Self { measured, truth, batches, age },
            // Columns of one length and other names each: there is no error to be had.
            _ => unreachable!(),
        }
    }
}

/// Mean squared distance of the second scanner's values from the truth; the first scanner is the reference, so that both
/// are on one scale.
fn squared_error(cohort: &Cohort, how: Option<(Estimator, bool)>) -> Result<f64, HarmoniseError> {
    let covariates = [Covariate { name: "age".to_owned(), values: Values::Continuous(cohort.age.clone()) }];
    let samples =
        Samples { features: &cohort.measured, batches: &cohort.batches, covariates: &covariates, undeclared: &[] };
    let harmonised = match how {
        None => cohort.measured.clone(),
        Some((estimator, mean_only)) => {
            let reference = Some("first".to_owned());
            let settings = FitSettings { estimator, mean_only, reference, ..FitSettings::default() };
            fit(&samples, &settings)?.apply(&samples)?.features
        }
    };
    let (mut sum, mut n) = (0.0, 0.0);
    for feature in 0..N_FEATURES {
        let pairs = harmonised.column(feature).iter().zip(cohort.truth.column(feature)).skip(N_FIRST);
        for (found, truth) in pairs {
            sum += (found - truth) * (found - truth);
            n += 1.0;
        }
    }
    Ok(sum / n)
}

/// A covariate of slope 1 that goes with the batch: how much of the slope is left.
fn biology() -> Result<(), HarmoniseError> {
    println!("slope of a covariate of true slope 1, by how much of it goes with the batch (R2)");
    println!("{:>6} {:>10} {:>12}  remarks", "R2", "declared", "undeclared");
    for part in [0.0, 0.3, 0.6, 0.9, 1.0] {
        let n_rows = 200;
        let mut stream = Stream::new(3, PURPOSE + 1, 0);
        let batch = |row: usize| if row < n_rows / 2 { -1.0 } else { 1.0 };
        let x: Vec<f64> =
            (0..n_rows).map(|row| f64::sqrt(part) * batch(row) + f64::sqrt(1.0 - part) * stream.normal()).collect();
        let columns: Vec<Vec<f64>> =
            (0..N_FEATURES).map(|_| x.iter().map(|x| x + 0.5 * stream.normal()).collect()).collect();
        let features = Features::new((0..N_FEATURES).map(|idx| format!("f{idx}")).collect(), &columns)?;
        let labels = (0..n_rows).map(|row| if batch(row) < 0.0 { "a".to_owned() } else { "b".to_owned() }).collect();
        let batches = Batches { name: "scanner".to_owned(), labels };
        let known = [Covariate { name: "x".to_owned(), values: Values::Continuous(x.clone()) }];
        let declared = Samples { features: &features, batches: &batches, covariates: &known, undeclared: &[] };
        let undeclared = Samples { covariates: &[], undeclared: &known, ..declared };
        let slope = |samples: &Samples<'_>| match fit(samples, &FitSettings::default()) {
            Err(error) => Ok((format!("{:>9}", "refused"), error.to_string())),
            Ok(model) => {
                let found = model.apply(samples)?.features;
                let remarks: Vec<String> = model.remarks.iter().map(ToString::to_string).collect();
                let mean = (0..N_FEATURES).map(|idx| regression(&x, found.column(idx))).sum::<f64>();
                #[allow(clippy::cast_precision_loss)]
                Ok((format!("{:>9.2}", mean / N_FEATURES as f64), remarks.join("; ")))
            }
        };
        let (with, without) = (slope(&declared)?, slope(&undeclared)?);
        println!("{part:>6.1} {:>10} {:>12}  {} | {}", with.0, without.0, with.1, without.1);
    }
    Ok(())
}

fn regression(x: &[f64], y: &[f64]) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mx, my) = (mean(x), mean(y));
    let products: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    products / x.iter().map(|x| (x - mx) * (x - mx)).sum::<f64>()
}

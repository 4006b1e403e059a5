//! Fit and apply in memory, 500 features of 10 000 samples in 40 batches with two covariates: seconds on standard output.
//!
//! `cargo bench --bench combat_speed [-- ROUNDS]`; `benches/combat_speed.py` runs it side by side with neuroCombat on data
//! of the same shape.

use std::time::Instant;

use radiomicsd::harmonise::{
    Batches, Covariate, Estimator, Features, FitSettings, HarmoniseError, Samples, Values, fit,
};
use radiomicsd::math::random::Stream;

const N_FEATURES: usize = 500;
const N_SAMPLES: usize = 10_000;
const N_BATCHES: usize = 40;
const PURPOSE: u64 = 960;

fn main() -> Result<(), HarmoniseError> {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse::<usize>().ok()).unwrap_or(5);
    let mut stream = Stream::new(1, PURPOSE, 0);
    let batch_of: Vec<usize> = (0..N_SAMPLES).map(|_| stream.below(N_BATCHES)).collect();
    let age: Vec<f64> = (0..N_SAMPLES).map(|_| 60.0 + 10.0 * stream.normal()).collect();
    let sex: Vec<String> = (0..N_SAMPLES).map(|_| if stream.below(2) == 0 { "F" } else { "M" }.to_owned()).collect();
    let mut values = Vec::with_capacity(N_FEATURES * N_SAMPLES);
    for _ in 0..N_FEATURES {
        let shifts: Vec<f64> = (0..N_BATCHES).map(|_| stream.normal()).collect();
        values.extend(batch_of.iter().map(|batch| 10.0 + shifts[*batch] + stream.normal()));
    }
    let features = Features::flat((0..N_FEATURES).map(|idx| format!("f{idx}")).collect(), N_SAMPLES, values)?;
    let labels = batch_of.iter().map(|batch| format!("scanner {batch:02}")).collect();
    let batches = Batches { name: "scanner".to_owned(), labels };
    let covariates = [
        Covariate { name: "age".to_owned(), values: Values::Continuous(age) },
        Covariate { name: "sex".to_owned(), values: Values::Categorical(sex) },
    ];
    let samples = Samples { features: &features, batches: &batches, covariates: &covariates, undeclared: &[] };
    let settings = FitSettings { estimator: Estimator::Parametric, ..FitSettings::default() };
    for _ in 0..rounds {
        let begun = Instant::now();
        let model = fit(&samples, &settings)?;
        let fitted = begun.elapsed();
        let applied = model.apply(&samples)?;
        let all = begun.elapsed();
        let checksum: f64 = applied.features.column(0).iter().sum();
        println!(
            "{:.4} s: fit {:.4} s, apply {:.4} s ({checksum:.6})",
            all.as_secs_f64(),
            fitted.as_secs_f64(),
            (all - fitted).as_secs_f64()
        );
    }
    Ok(())
}

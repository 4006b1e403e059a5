//! 51 synthetic patients, three blocks, 20 x 5-fold nested validation of all methods, baselines and the control: seconds.
//!
//! `cargo bench --bench fusion`

use std::time::Instant;

use radiomicsd::fuse::{FuseError, TrainSettings, train};
use radiomicsd::phantom::{CohortSettings, synthetic_cohort};

fn main() -> Result<(), FuseError> {
    let mut settings = CohortSettings { n_patients: 51, ..CohortSettings::default() };
    settings.blocks.iter_mut().for_each(|block| block.n_features = 200);
    let data = synthetic_cohort(&settings)?.data;
    let begun = Instant::now();
    let trained = train(&data, "event", &TrainSettings::default(), &|| {})?;
    println!("{:.1} s, {} evaluations", begun.elapsed().as_secs_f64(), trained.evaluations.len());
    for e in &trained.evaluations {
        println!("{:<12} {:<28} {:.3}", e.fusion, e.model, e.auc.unwrap_or(f64::NAN));
    }
    Ok(())
}

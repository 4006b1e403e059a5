//! A synthetic cohort of feature tables with known truth: what fusion and harmonisation are tested with.
//!
//! One factor is shared by all blocks, one belongs to each block alone. A feature is a mixture of both and noise, and the
//! outcome follows from the factors, so that blocks are redundant (the shared factor counts) or complementary (their own
//! ones do). Scanners shift and scale the features; in a confounded design the scanner goes with a covariate.

use std::collections::BTreeMap;

use super::settings::{PhantomSettings, Scan, ScannerSettings};
use crate::fuse::{Block, Dataset, FuseError, Harmonising, Outcome, Survival, sigmoid};
use crate::harmonise::{Covariate, FitSettings, Values};
use crate::math::random::Stream;

/// What a cohort is made like.
#[derive(Debug, Clone, PartialEq)]
pub struct CohortSettings {
    /// Patients.
    pub n_patients: usize,
    /// The blocks.
    pub blocks: Vec<BlockSettings>,
    /// The effect of the shared factor on the logit, or on the logarithm of the hazard.
    pub shared_effect: f64,
    /// The logit of a patient whose factors are all 0.
    pub intercept: f64,
    /// Time to the event instead of yes and no.
    pub survival: bool,
    /// Scanners; 1: no batch effects.
    pub n_batches: usize,
    /// How far scanners shift features, in standard deviations.
    pub batch_shift: f64,
    /// Whether the covariate `age` goes with the scanner, and the outcome with age.
    pub confounded: bool,
    /// Seed.
    pub seed: u64,
}

/// What a block is made like.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockSettings {
    /// Its name.
    pub name: String,
    /// Its features.
    pub n_features: usize,
    /// How much of the shared factor is in each feature, beside noise of 1.
    pub shared: f64,
    /// How much of the block's own factor.
    pub own: f64,
    /// The effect of its own factor on the logit.
    pub own_effect: f64,
    /// The chance that a patient does not have the block.
    pub missing: f64,
}

impl BlockSettings {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), n_features: 30, shared: 0.5, own: 0.5, own_effect: 0.5, missing: 0.0 }
    }
}

impl Default for CohortSettings {
    fn default() -> Self {
        Self {
            n_patients: 200,
            blocks: ["CT", "PT", "MR_T1"].map(BlockSettings::named).to_vec(),
            shared_effect: 1.0,
            intercept: 0.0,
            survival: false,
            n_batches: 1,
            batch_shift: 1.0,
            confounded: false,
            seed: 1,
        }
    }
}

/// A cohort and what it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticCohort {
    /// The tables.
    pub data: Dataset,
    /// The true linear predictor of every patient.
    pub linear: Vec<f64>,
    /// The shared factor of every patient.
    pub shared: Vec<f64>,
}

const PATIENTS: u64 = 401;
const FEATURES: u64 = 402;
const SCANNERS: u64 = 403;

/// One patient of a synthetic cohort of images: small images, whose lesion is brighter on each of them where the event comes,
/// with noise, and CTs of two scanners. The region is drawn on the CT alone, so that no drawing names an image that may be
/// missing.
#[must_use]
pub fn image_patient(number: u64, has_event: bool) -> PhantomSettings {
    let mut stream = Stream::new(6, 1, number);
    let mut noise = |sd: f64| sd * stream.normal();
    let mut settings = PhantomSettings { seed: number, ..PhantomSettings::tiny() };
    settings.patient.id = format!("P{number:03}");
    settings.patient.name = format!("Cohort^{number}");
    settings.patient.sex = if number.is_multiple_of(3) { "M".to_owned() } else { "F".to_owned() };
    let factor = if has_event { 0.9 } else { -0.9 } + noise(0.7);
    for lesion in settings.lesions.iter_mut().take(1) {
        lesion.mean.hu += 10.0 * factor + noise(5.0);
        lesion.mean.suv += 1.5 * factor + noise(0.7);
        lesion.mean.mr += 50.0 * factor + noise(25.0);
        lesion.volume_mm3 *= noise(0.15).exp();
    }
    settings.drawings.iter_mut().for_each(|drawing| drawing.on = vec![Scan::Ct]);
    if number % 4 < 2 {
        settings.ct.scanner = ScannerSettings::new("Second CT", "SOFT");
    }
    settings
}

/// Makes a cohort. The same settings make the same cohort.
///
/// # Errors
/// When the settings make no cohort: no block, a block without features.
pub fn synthetic_cohort(settings: &CohortSettings) -> Result<SyntheticCohort, FuseError> {
    let n = settings.n_patients;
    let mut stream = Stream::new(settings.seed, PATIENTS, 0);
    let shared: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
    let own: Vec<Vec<f64>> = settings.blocks.iter().map(|_| (0..n).map(|_| stream.normal()).collect()).collect();
    let scanner: Vec<usize> = (0..n).map(|_| stream.below(settings.n_batches.max(1))).collect();
    let age: Vec<f64> = (0..n).map(|i| age(settings, scanner[i], &mut stream)).collect();
    let linear: Vec<f64> = (0..n)
        .map(|i| {
            let blocks = settings.blocks.iter().zip(&own).map(|(block, own)| block.own_effect * own[i]);
            let by_age = if settings.confounded { 0.05 * (age[i] - 60.0) } else { 0.0 };
            settings.intercept + settings.shared_effect * shared[i] + blocks.sum::<f64>() + by_age
        })
        .collect();
    let outcome = outcome(settings, &linear, &mut stream);
    let blocks = settings.blocks.iter().zip(&own).enumerate();
    let blocks = blocks.map(|(idx, (block, own))| features(settings, block, idx, &shared, own, &scanner));
    let patients = (0..n).map(|i| format!("S{:05}", i + 1)).collect();
    let mut data = Dataset::new(patients, blocks.collect(), outcome)?;
    if settings.n_batches > 1 {
        let labels: Vec<String> = scanner.iter().map(|scanner| format!("SCANNER {}", scanner + 1)).collect();
        let batches: BTreeMap<String, Vec<String>> =
            settings.blocks.iter().map(|block| (block.name.clone(), labels.clone())).collect();
        let covariates = vec![Covariate { name: "age".to_owned(), values: Values::Continuous(age) }];
        data = data.with_harmonising(Harmonising { batches, covariates, settings: FitSettings::default() })?;
    }
    Ok(SyntheticCohort { data, linear, shared })
}

#[allow(clippy::cast_precision_loss)]
fn age(settings: &CohortSettings, scanner: usize, stream: &mut Stream) -> f64 {
    let noise = stream.normal();
    match settings.confounded {
        false => 60.0 + 10.0 * noise,
        true => 45.0 + 15.0 * scanner as f64 + noise,
    }
}

fn outcome(settings: &CohortSettings, linear: &[f64], stream: &mut Stream) -> Outcome {
    if !settings.survival {
        return Outcome::Binary(linear.iter().map(|eta| stream.uniform() < sigmoid(*eta)).collect());
    }
    // Exponential times; follow-up ends by chance between one and three years.
    let patient = |eta: &f64| {
        let time = -(1.0 - stream.uniform()).max(1e-12).ln() / (0.5 * eta.exp());
        let end = 1.0 + 2.0 * stream.uniform();
        Survival { time: time.min(end).max(1e-3), event: time <= end }
    };
    Outcome::Survival(linear.iter().map(patient).collect())
}

fn features(
    settings: &CohortSettings,
    block: &BlockSettings,
    idx: usize,
    shared: &[f64],
    own: &[f64],
    scanner: &[usize],
) -> Block {
    let mut noise = Stream::new(settings.seed, FEATURES, idx as u64);
    let mut effects = Stream::new(settings.seed, SCANNERS, idx as u64);
    let scanners: Vec<Vec<(f64, f64)>> = (0..settings.n_batches.max(1))
        .map(|batch| {
            let moved = batch > 0;
            let common = effects.normal();
            let one = |effects: &mut Stream| match moved {
                true => (settings.batch_shift * (common + 0.3 * effects.normal()), 1.0 + 0.2 * effects.uniform()),
                false => (0.0, 1.0),
            };
            (0..block.n_features).map(|_| one(&mut effects)).collect()
        })
        .collect();
    let row = |i: usize| {
        let missing = noise.uniform() < block.missing;
        let values: Vec<f64> = (0..block.n_features)
            .map(|feature| {
                let (shift, scale) = scanners[scanner[i]][feature];
                let value = block.shared * shared[i] + block.own * own[i] + noise.normal();
                10.0 + shift + scale * value
            })
            .collect();
        (!missing).then_some(values)
    };
    let rows = (0..shared.len()).map(row).collect();
    let name = |feature: usize| format!("native.none.{}_{feature:02}", block.name.to_lowercase());
    Block { name: block.name.clone(), features: (0..block.n_features).map(name).collect(), rows }
}

//! Time of each feature family on one region of 67 thousand voxels: where a change was felt, and how much.
//!
//! `cargo bench --bench families [-- FAMILY]`. Preparing (interpolation, re-segmentation, discretisation) is part of each time.
//! Compares with the last run by itself, and keeps what it measured under `target/criterion`.

mod ellipsoid;

use criterion::Criterion;
use radiomicsd::features::{Discretise, Family, Settings, extract};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut criterion = Criterion::default().configure_from_args();
    let (image, mask) = ellipsoid::with_texture([52, 50, 48])?;
    let mut group = criterion.benchmark_group("families");
    for family in Family::ALL.iter().filter(|family| **family != Family::Cross) {
        let discretise = Discretise::BinWidth(25.0);
        let settings = Settings { discretise, families: vec![*family], ..Settings::default() };
        extract(&image, &mask, &settings)?;
        group.bench_function(family.name(), |bencher| bencher.iter(|| extract(&image, &mask, &settings)));
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}

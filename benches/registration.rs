//! Seconds and peak memory of registration, resampling and blurring, without reading files; driven by
//! `registration_speed.py`, which times other programs beside it.
//!
//!     cargo bench --bench registration -- register FIXED.nii MOVING.nii CT PT rigid
//!     cargo bench --bench registration -- resample

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::print_stdout, missing_docs)]

use std::path::Path;
use std::time::Instant;

use radiomicsd::image::{Affine, Geometry, Interpolation, Modality, Psf, Transform, Volume, gaussian, resample};
use radiomicsd::register::{Estimation, Pair, Settings, TransformKind, register};
use radiomicsd::volume::nifti;

const ROUNDS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["register", fixed, moving, fixed_modality, moving_modality, kind] => {
            of_pair([fixed, moving], [fixed_modality, moving_modality], kind);
        }
        ["resample"] => of_resampling(),
        _ => println!("register FIXED MOVING CT PT rigid|affine|bspline, or resample"),
    }
}

fn of_pair(paths: [&str; 2], codes: [&str; 2], kind: &str) {
    let [fixed, moving] = paths.map(|path| nifti::read_image(Path::new(path)).unwrap());
    let [fixed_modality, moving_modality] = codes.map(Modality::from_code);
    let settings = Settings {
        transform: match kind {
            "bspline" => TransformKind::Bspline,
            "affine" => TransformKind::Affine,
            _ => TransformKind::Rigid,
        },
        estimation: Estimation { bootstrap_draws: 0, ..Estimation::default() },
        ..Settings::default()
    };
    let pair = Pair {
        fixed: &fixed,
        moving: &moving,
        fixed_modality,
        moving_modality,
        fixed_psf: Psf::assumed(fixed_modality, &fixed.geometry),
        moving_psf: Psf::assumed(moving_modality, &moving.geometry),
        same_frame: false,
        given: None,
        subject: "moving",
    };
    let (Least { seconds, cpu_seconds }, found) = best(|| register(&pair, &settings));
    let matrix = found.fixed_to_moving.linear_part().matrix();
    println!(
        "{{\"seconds\": {seconds:.3}, \"cpu_seconds\": {cpu_seconds:.2}, \"peak_mb\": {:.0}, \"trusted\": {}, \"fixed_to_moving\": {matrix:?}}}",
        peak_mb(),
        found.trusted
    );
}

/// 512 x 512 x 300 voxels of 0.977 x 0.977 x 1.5 mm, through a rotation of ten degrees, to one millimetre.
fn of_resampling() {
    let grid = Geometry::new(
        [512, 512, 300],
        [0.977, 0.977, 1.5],
        [0.0; 3],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    );
    let grid = grid.unwrap();
    let values = (0..grid.n_voxels()).map(|k| ((k * 7919 + k / 512 * 31) % 2003) as f32 - 1000.0).collect();
    let image = Volume::from_values(grid, values).unwrap();
    let target = Geometry::new([500, 500, 450], [1.0; 3], [0.0; 3], grid.directions).unwrap();
    let turn = Transform::Affine(Affine::rigid([0.1, 0.1, 0.1], grid.centre_mm(), [0.0; 3]));
    for (name, interpolation) in [("linear", Interpolation::Linear), ("cubic", Interpolation::Cubic)] {
        let (Least { seconds, cpu_seconds }, _) = best(|| resample(&image, &target, &turn, interpolation));
        println!("{{\"what\": \"{name}\", \"seconds\": {seconds:.3}, \"cpu_seconds\": {cpu_seconds:.2}}}");
    }
    let (Least { seconds, cpu_seconds }, _) = best(|| gaussian(&image, [2.5, 2.5, 2.5]));
    println!(
        "{{\"what\": \"gaussian\", \"seconds\": {seconds:.3}, \"cpu_seconds\": {cpu_seconds:.2}, \"peak_mb\": {:.0}}}",
        peak_mb()
    );
}

/// Of several rounds.
struct Least {
    seconds: f64,
    /// Of all threads; on a busy machine it says more than the clock.
    cpu_seconds: f64,
}

/// The least time of some rounds, and the last result.
fn best<T>(mut work: impl FnMut() -> T) -> (Least, T) {
    let mut least = Least { seconds: f64::INFINITY, cpu_seconds: f64::INFINITY };
    let mut result = None;
    for _ in 0..ROUNDS {
        result = None;
        let (began, cpu_began) = (Instant::now(), cpu_seconds());
        let made = work();
        least.seconds = least.seconds.min(began.elapsed().as_secs_f64());
        least.cpu_seconds = least.cpu_seconds.min(cpu_seconds() - cpu_began);
        result = result.or(Some(made));
    }
    (least, result.unwrap())
}

/// Processor time of this process, user and system, to a hundredth of a second.
fn cpu_seconds() -> f64 {
    let status = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = status.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Peak resident memory of this process (VmHWM), MB.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

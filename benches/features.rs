//! Time and memory of all IBSI 1 features of one region.
//!
//! `cargo bench --bench features [-- IMAGE MASK ROUNDS [all|core|filters]]`: NIfTI files; without them an ellipsoid of half a
//! million voxels with a smooth texture. `core` leaves out Moran's I, Geary's C and the local peaks; `filters` is `core` on
//! Laplacians of Gaussian of five widths and on the eight bands of a wavelet. Reading the files is not part of the time.
//! Prints, as JSON, CPU and wall seconds of the median round, the peak memory, and how many values there are.
//!
//! `-- count all|core|filters` measures a small ellipsoid once and prints nothing: for programs that count instructions.
//! `-- peak all|core` measures one of 2.9 million voxels once and prints the most memory that was held, MiB.
//!
//! The number of threads is that of rayon (`RAYON_NUM_THREADS`).

mod ellipsoid;

use std::path::Path;
use std::time::{Duration, Instant};

use radiomicsd::features::filters::{Boundary, Dimensions, Filter, LaplacianOfGaussian, Wavelet, WaveletFamily};
use radiomicsd::features::{Discretise, Family, Settings, extract};
use radiomicsd::volume::nifti;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Each round takes at least so long: CPU time is counted in hundredths of a second.
const ROUND_MIN: Duration = Duration::from_millis(500);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    match arguments.as_slice() {
        [count, what] if count == "count" => return once([42, 40, 38], what),
        [peak, what] if peak == "peak" => {
            once([182, 180, 178], what)?;
            println!("{}", peak_kib() / 1024);
            return Ok(());
        }
        _ => {}
    }
    let (image, mask) = match arguments.as_slice() {
        [image, mask, ..] => (nifti::read_image(Path::new(image))?, nifti::read_mask(Path::new(mask))?),
        _ => ellipsoid::with_texture([110, 104, 100])?,
    };
    let rounds: usize = arguments.get(2).map_or(Ok(5), |text| text.parse())?;
    let settings = settings(arguments.get(3).map_or("all", String::as_str))?;
    let n_values = extract(&image, &mask, &settings)?.values.len();
    let mut figures = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let (begun, cpu_begun, mut times) = (Instant::now(), cpu_time(), 0u32);
        while times == 0 || begun.elapsed() < ROUND_MIN {
            extract(&image, &mask, &settings)?;
            times += 1;
        }
        let cpu = cpu_time().saturating_sub(cpu_begun);
        figures.push((cpu.as_secs_f64() / f64::from(times), begun.elapsed().as_secs_f64() / f64::from(times)));
    }
    figures.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (cpu_s, wall_s) = figures[rounds / 2];
    let peak_mib = peak_kib() / 1024;
    println!(
        "{{\"voxels\": {}, \"values\": {n_values}, \"cpu_s\": {cpu_s:.4}, \"wall_s\": {wall_s:.4}, \"peak_mib\": {peak_mib}}}",
        mask.count()
    );
    Ok(())
}

fn once(size: [usize; 3], what: &str) -> Result<(), Failure> {
    let (image, mask) = ellipsoid::with_texture(size)?;
    extract(&image, &mask, &settings(what)?)?;
    Ok(())
}

fn settings(what: &str) -> Result<Settings, Failure> {
    let mut settings = Settings { discretise: Discretise::BinWidth(25.0), ..Settings::default() };
    if what != "all" {
        settings.families.retain(|family| *family != Family::Local);
        settings.autocorrelation = false;
    }
    if what == "filters" {
        for sigma_mm in [1.0, 2.0, 3.0, 4.0, 5.0] {
            let (dimensions, boundary) = (Dimensions::Volume, Boundary::Mirror);
            settings.filter.push(Filter::Log(LaplacianOfGaussian { sigma_mm, truncate: 4.0, dimensions, boundary }));
        }
        for band in ["LLL", "LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH"] {
            settings.filter.push(Filter::Wavelet(Wavelet::new(WaveletFamily::Coif1, band)?));
        }
    }
    Ok(settings)
}

fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks = |idx: usize| fields.get(idx).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// The most memory that this process ever held.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

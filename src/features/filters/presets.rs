//! The filters of the IBSI 2 reference manual's tests: phase 1 on digital phantoms, phase 2 on the CT phantom.

use super::{
    Band, Boundary, Dimensions, Filter, Gabor, LaplacianOfGaussian, Laws, Mean, Plain, Pooling, Riesz, Simoncelli,
    Wavelet, WaveletFamily,
};

/// The tests of phase 1, whose response maps are standardised.
pub const PHASE_1: &[&str] = &[
    "1.a.1", "1.a.2", "1.a.3", "1.a.4", "1.b.1", "2.a", "2.b", "2.c", "3.a.1", "3.a.2", "3.a.3", "3.b.1", "3.b.2",
    "3.b.3", "3.c.1", "3.c.2", "3.c.3", "4.a.1", "4.a.2", "4.b.1", "4.b.2", "5.a.1", "5.a.2", "6.a.1", "6.a.2",
    "7.a.1", "7.a.2", "8.a.1", "8.a.2", "8.a.3", "9.a", "9.b.1", "10.b.1",
];

/// The tests of phase 2: A filters slices, B the volume.
pub const PHASE_2: &[&str] = &[
    "1.A", "1.B", "2.A", "2.B", "3.A", "3.B", "4.A", "4.B", "5.A", "5.B", "6.A", "6.B", "7.A", "7.B", "8.A", "8.B",
    "9.A", "9.B",
];

/// The filter of a test of phase 1.
pub(crate) fn phase_1(test: &str) -> Option<Filter> {
    use Boundary::{Mirror, Nearest, Periodic, Zero};
    use Dimensions::{Slices, Volume};
    let mean = |dimensions, boundary| Filter::Mean(Mean { size: 15, dimensions, boundary });
    let riesz = |order, of, boundary| Filter::Riesz(Riesz { order, of, steer_mm: None, dimensions: Volume, boundary });
    Some(match test {
        "1.a.1" => mean(Volume, Zero),
        "1.a.2" => mean(Volume, Nearest),
        "1.a.3" => mean(Volume, Periodic),
        "1.a.4" => mean(Volume, Mirror),
        "1.b.1" => mean(Slices, Zero),
        "2.a" => log(3.0, Volume, Zero),
        "2.b" => log(5.0, Volume, Mirror),
        "2.c" => log(5.0, Slices, Mirror),
        "3.a.1" => laws("E5L5S5", None, None, Zero)?,
        "3.a.2" => laws("E5L5S5", Some(Pooling::Max), None, Zero)?,
        "3.a.3" => laws("E5L5S5", Some(Pooling::Max), Some(7), Zero)?,
        "3.b.1" => laws("E3W5R5", None, None, Mirror)?,
        "3.b.2" => laws("E3W5R5", Some(Pooling::Max), None, Mirror)?,
        "3.b.3" => laws("E3W5R5", Some(Pooling::Max), Some(7), Mirror)?,
        "3.c.1" => laws("L5S5", None, None, Mirror)?,
        "3.c.2" => laws("L5S5", Some(Pooling::Max), None, Mirror)?,
        "3.c.3" => laws("L5S5", Some(Pooling::Max), Some(7), Mirror)?,
        "4.a.1" => gabor([10.0, 4.0, 0.5], 60.0, None, Slices, Zero),
        "4.a.2" => gabor([10.0, 4.0, 0.5], 0.0, Some(45.0), Volume, Zero),
        "4.b.1" => gabor([20.0, 8.0, 2.5], 225.0, None, Slices, Mirror),
        "4.b.2" => gabor([20.0, 8.0, 2.5], 0.0, Some(22.5), Volume, Mirror),
        "5.a.1" => wavelet(WaveletFamily::Db2, "LHL", 1, None, Zero)?,
        "5.a.2" => wavelet(WaveletFamily::Db2, "LHL", 1, Some(Pooling::Mean), Zero)?,
        "6.a.1" => wavelet(WaveletFamily::Coif1, "HHL", 1, None, Periodic)?,
        "6.a.2" => wavelet(WaveletFamily::Coif1, "HHL", 1, Some(Pooling::Mean), Periodic)?,
        "7.a.1" => wavelet(WaveletFamily::Haar, "LLL", 2, Some(Pooling::Mean), Mirror)?,
        "7.a.2" => wavelet(WaveletFamily::Haar, "HHH", 2, Some(Pooling::Mean), Mirror)?,
        "8.a.1" => Filter::Simoncelli(Simoncelli { level: 1, dimensions: Volume }),
        "8.a.2" => Filter::Simoncelli(Simoncelli { level: 2, dimensions: Volume }),
        "8.a.3" => Filter::Simoncelli(Simoncelli { level: 3, dimensions: Volume }),
        "9.a" => riesz([1, 0, 0], Band::Log { sigma_mm: 3.0, truncate: 4.0 }, Zero),
        "9.b.1" => riesz([0, 2, 0], Band::Log { sigma_mm: 3.0, truncate: 4.0 }, Zero),
        "10.b.1" => riesz([0, 2, 0], Band::Simoncelli { level: 1 }, Periodic),
        _ => return None,
    })
}

/// The filter of a test of phase 2, and whether slices or the volume are measured.
pub(crate) fn phase_2(test: &str) -> Option<(Filter, Dimensions)> {
    let (number, dimensions) = match test.split_once('.')? {
        (number, "A") => (number, Dimensions::Slices),
        (number, "B") => (number, Dimensions::Volume),
        _ => return None,
    };
    let slices = dimensions == Dimensions::Slices;
    let kernels = |two: &'static str, three: &'static str| if slices { two } else { three };
    let mirror = Boundary::Mirror;
    let filter = match number {
        "1" => Filter::None(Plain {}),
        "2" => Filter::Mean(Mean { size: 5, dimensions, boundary: mirror }),
        "3" => log(1.5, dimensions, mirror),
        "4" => laws(kernels("L5E5", "L5E5E5"), Some(Pooling::Max), Some(7), mirror)?,
        "5" => gabor([5.0, 2.0, 1.5], 0.0, Some(22.5), dimensions, mirror),
        "6" => wavelet(WaveletFamily::Db3, kernels("LH", "LLH"), 1, Some(Pooling::Mean), mirror)?,
        "7" => wavelet(WaveletFamily::Db3, kernels("HH", "HHH"), 2, Some(Pooling::Mean), mirror)?,
        "8" => Filter::Simoncelli(Simoncelli { level: 1, dimensions }),
        "9" => Filter::Simoncelli(Simoncelli { level: 2, dimensions }),
        _ => return None,
    };
    Some((filter, dimensions))
}

fn log(sigma_mm: f64, dimensions: Dimensions, boundary: Boundary) -> Filter {
    Filter::Log(LaplacianOfGaussian { sigma_mm, truncate: 4.0, dimensions, boundary })
}

fn laws(
    kernels: &str,
    rotation: Option<Pooling>,
    energy_distance: Option<usize>,
    boundary: Boundary,
) -> Option<Filter> {
    Some(Filter::Laws(Laws { rotation, energy_distance, boundary, ..Laws::new(kernels).ok()? }))
}

fn gabor(
    [sigma_mm, wavelength_mm, aspect]: [f64; 3],
    angle_deg: f64,
    angle_step_deg: Option<f64>,
    dimensions: Dimensions,
    boundary: Boundary,
) -> Filter {
    let pooling = Pooling::Mean;
    Filter::Gabor(Gabor { sigma_mm, wavelength_mm, aspect, angle_deg, angle_step_deg, pooling, dimensions, boundary })
}

fn wavelet(
    family: WaveletFamily,
    pattern: &str,
    level: u8,
    rotation: Option<Pooling>,
    boundary: Boundary,
) -> Option<Filter> {
    Some(Filter::Wavelet(Wavelet { level, rotation, boundary, ..Wavelet::new(family, pattern).ok()? }))
}

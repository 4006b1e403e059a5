//! The shape of a lesion: an ellipsoid with bumps, of exactly known volume.
//!
//! In coordinates q, divided by the proportions of the axes, the surface is r(u) = R (1 + b P(u)) over directions u. P is
//! a weighted sum of Legendre polynomials L3, L4, L5 along random directions, |P| <= 1: the third harmonic and above
//! change the surface, not the position or the length of the axes. The volume is
//! `s_x s_y s_z R^3 / 3` times the integral of `(1 + b P)^3` over all directions, a polynomial that Gauss-Legendre
//! quadrature integrates without error; R follows from the volume that is asked for.

use super::exact::{cos_turns, cube_root, sin_turns};
use super::settings::LesionSettings;
use crate::math::linalg::{self, Vec3};
use crate::math::random::Stream;

const N_BUMPS: usize = 6;

/// A star-shaped body.
pub(super) struct Shape {
    centre_mm: Vec3,
    proportions: Vec3,
    radius_mm: f64,
    bumps: Bumps,
}

struct Bumps {
    amplitude: f64,
    /// Direction, degree and weight of each; the weights' absolute values sum to one.
    waves: [(Vec3, usize, f64); N_BUMPS],
}

impl Shape {
    /// The shape with the volume that the settings ask for.
    pub(super) fn new(settings: &LesionSettings, stream: &mut Stream) -> Self {
        let mut waves = [0; N_BUMPS].map(|_| (stream.direction(), 0, 0.5 + stream.uniform()));
        let total: f64 = waves.iter().map(|wave| wave.2).sum();
        for (idx, wave) in waves.iter_mut().enumerate() {
            wave.1 = 3 + idx % 3;
            wave.2 *= if idx % 2 == 0 { 1.0 } else { -1.0 } / total;
        }
        let bumps = Bumps { amplitude: settings.bumpiness, waves };
        let unit_volume = settings.proportions.iter().product::<f64>() * bumps.cubic_integral() / 3.0;
        let radius_mm = cube_root(settings.volume_mm3 / unit_volume);
        Self { centre_mm: settings.centre_mm, proportions: settings.proportions, radius_mm, bumps }
    }

    /// Whether a point is inside.
    pub(super) fn contains(&self, point: Vec3) -> bool {
        self.level(point) >= 0.0
    }

    /// Positive inside, zero on the surface, negative outside; continuous.
    pub(super) fn level(&self, point: Vec3) -> f64 {
        let offset = linalg::sub(point, self.centre_mm);
        let q = [0, 1, 2].map(|axis| offset[axis] / self.proportions[axis]);
        let distance = linalg::norm(q);
        let margin = self.radius_mm * self.bumps.amplitude;
        // Between these two spheres alone the bumps can decide; elsewhere their sign is certain.
        if distance > self.radius_mm + margin || distance <= self.radius_mm - margin || distance <= 0.0 {
            return self.radius_mm - distance;
        }
        self.radius_mm * (1.0 + self.bumps.amplitude * self.bumps.at(linalg::scale(1.0 / distance, q))) - distance
    }

    /// Half the edge lengths of a box about the centre that holds the shape.
    pub(super) fn half_box_mm(&self) -> Vec3 {
        self.proportions.map(|p| p * self.radius_mm * (1.0 + self.bumps.amplitude))
    }

    /// The centre of the star.
    pub(super) fn centre_mm(&self) -> Vec3 {
        self.centre_mm
    }
}

impl Bumps {
    fn at(&self, direction: Vec3) -> f64 {
        self.waves
            .iter()
            .map(|(axis, degree, weight)| weight * legendre(*degree, linalg::dot(*axis, direction)).0)
            .sum()
    }

    /// The integral of (1 + b P)^3 over the unit sphere. The integrand has degree 15: 12 Gauss nodes along z (exact to
    /// degree 23) and 24 equal steps about z (exact to degree 23) leave no error but rounding.
    fn cubic_integral(&self) -> f64 {
        let n_turns = 24;
        let mut sum = 0.0;
        for (z, weight) in gauss_legendre(12) {
            let rho = (1.0 - z * z).max(0.0).sqrt();
            for step in 0..n_turns {
                let turn = f64::from(step) / f64::from(n_turns);
                let direction = [rho * cos_turns(turn), rho * sin_turns(turn), z];
                let r = 1.0 + self.amplitude * self.at(direction);
                sum += weight * r * r * r;
            }
        }
        sum * std::f64::consts::TAU / f64::from(n_turns)
    }
}

/// The Legendre polynomial of a degree and its derivative at x, by recurrence.
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    let mut n = 1.0;
    for _ in 1..degree {
        (before, value) = (value, ((2.0 * n + 1.0) * x * value - n * before) / (n + 1.0));
        n += 1.0;
    }
    (value, n * (x * value - before) / (x * x - 1.0))
}

/// Nodes and weights of Gauss-Legendre quadrature on [-1, 1], by Newton's method from Tricomi's first guess.
fn gauss_legendre(n: u32) -> Vec<(f64, f64)> {
    (0..n)
        .map(|idx| {
            let mut x = cos_turns((f64::from(idx) + 0.75) / (2.0 * f64::from(n) + 1.0));
            for _ in 0..8 {
                let (value, slope) = legendre(n as usize, x);
                x -= value / slope;
            }
            let (_, slope) = legendre(n as usize, x);
            (x, 2.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn shape(bumpiness: f64, seed: u64) -> Shape {
        Shape::new(&LesionSettings { bumpiness, ..LesionSettings::default() }, &mut Stream::new(seed, 1, 0))
    }

    #[test]
    fn quadrature_integrates_polynomials_exactly() {
        let nodes = gauss_legendre(12);
        let integral = |power: i32| nodes.iter().map(|(x, w)| w * x.powi(power)).sum::<f64>();
        assert_relative_eq!(integral(0), 2.0, max_relative = 1e-12);
        assert_relative_eq!(integral(22), 2.0 / 23.0, max_relative = 1e-11);
        assert!(integral(7).abs() < 1e-13);
    }

    #[test]
    fn a_smooth_lesion_is_the_ellipsoid_of_its_volume() {
        let smooth = shape(0.0, 3);
        let semi_axes = smooth.half_box_mm();
        let volume = 4.0 / 3.0 * std::f64::consts::PI * semi_axes.iter().product::<f64>();
        assert_relative_eq!(volume, LesionSettings::default().volume_mm3, max_relative = 1e-10);
    }

    #[test]
    fn a_bumpy_lesion_has_the_volume_that_was_asked_for() {
        for seed in [1, 2, 3] {
            let bumpy = shape(0.25, seed);
            let half = bumpy.half_box_mm();
            let step = 0.4;
            let reach = |h: f64| (1..1000).find(|n| f64::from(*n) * step > h + step).unwrap();
            let n: [i32; 3] = half.map(reach);
            let mut count = 0u32;
            for k in -n[2]..=n[2] {
                for j in -n[1]..=n[1] {
                    for i in -n[0]..=n[0] {
                        let p = linalg::add(bumpy.centre_mm, [i, j, k].map(|v| (f64::from(v) + 0.31) * step));
                        count += u32::from(bumpy.contains(p));
                    }
                }
            }
            let counted = f64::from(count) * step * step * step;
            assert_relative_eq!(counted, LesionSettings::default().volume_mm3, max_relative = 2e-3);
        }
    }

    #[test]
    fn bumps_stay_within_their_amplitude_and_are_there() {
        let bumpy = shape(0.25, 5);
        let mut stream = Stream::new(9, 9, 9);
        let values: Vec<f64> = (0..5000).map(|_| bumpy.bumps.at(stream.direction())).collect();
        assert!(values.iter().all(|v| v.abs() <= 1.0));
        let spread = values.iter().map(|v| v * v).sum::<f64>() / 5000.0;
        assert!(spread > 0.01, "{spread}");
    }
}

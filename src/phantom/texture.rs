//! Texture: a stationary Gaussian random field of exactly known mean and variance over its lesion.
//!
//! The field is a sum of plane waves, `sqrt(2/K) sum cos(2 pi (k . x + phase))`, whose wave vectors are normally
//! distributed: its covariance is `exp(-r^2 / (2 l^2))` (Bochner's theorem). Being a formula it can be asked at any point,
//! by any scanner. What a single field's mean and variance over one lesion happen to be is computed and taken out.

use super::exact::cos_turns;
use super::lesion::Shape;
use crate::math::linalg::{self, Vec3};
use crate::math::random::Stream;

const N_WAVES: usize = 48;

/// A wave: its vector in turns per mm, and its phase in turns.
type Wave = (Vec3, f64);

/// A field of mean 0 and variance 1 over a lesion.
#[derive(Debug, Clone)]
pub(super) struct Texture {
    /// Waves with their amplitude.
    waves: Vec<(Wave, f64)>,
    mean: f64,
    scale: f64,
}

/// Three fields that share part of their waves: correlation `shared^2` between any two.
pub(super) fn correlated_textures(shape: &Shape, length_mm: f64, shared: f64, seed: u64, lesion: u64) -> [Texture; 3] {
    let common = waves(&mut Stream::new(seed, 20, lesion), length_mm);
    let own = (1.0 - shared * shared).max(0.0).sqrt();
    let amplitude = (2.0 / usize_to_f64(N_WAVES)).sqrt();
    [21, 22, 23].map(|purpose| {
        let mut all: Vec<_> = common.iter().map(|wave| (*wave, shared * amplitude)).collect();
        let private = waves(&mut Stream::new(seed, purpose, lesion), length_mm);
        all.extend(private.iter().map(|wave| (*wave, own * amplitude)));
        all.retain(|(_, amplitude)| *amplitude > 0.0);
        Texture { waves: all, mean: 0.0, scale: 1.0 }.calibrated(shape)
    })
}

fn waves(stream: &mut Stream, length_mm: f64) -> Vec<Wave> {
    let sd = 1.0 / (std::f64::consts::TAU * length_mm);
    (0..N_WAVES).map(|_| ([0; 3].map(|_| sd * stream.normal()), stream.uniform())).collect()
}

impl Texture {
    /// The field's value.
    pub(super) fn at(&self, point: Vec3) -> f64 {
        let raw: f64 = self
            .waves
            .iter()
            .map(|((vector, phase), amplitude)| amplitude * cos_turns(linalg::dot(*vector, point) + phase))
            .sum();
        (raw - self.mean) * self.scale
    }

    /// The same field, shifted and scaled to mean 0 and variance 1 over the lesion.
    fn calibrated(mut self, shape: &Shape) -> Self {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for point in lattice(shape) {
            let value = self.at(point);
            n += 1.0;
            sum += value;
            squares += value * value;
        }
        let mean = sum / n;
        let variance = squares / n - mean * mean;
        if variance > 0.0 {
            self.mean = mean;
            self.scale = 1.0 / variance.sqrt();
        }
        self
    }
}

/// Points on a fine lattice inside a lesion: about 30 along each axis.
pub(super) fn lattice(shape: &Shape) -> impl Iterator<Item = Vec3> + '_ {
    let n = 32u16;
    let half = shape.half_box_mm();
    let along = move |idx: u16| (f64::from(idx) + 0.5) / f64::from(n) * 2.0 - 1.0;
    (0..n)
        .flat_map(move |k| (0..n).flat_map(move |j| (0..n).map(move |i| [along(i), along(j), along(k)])))
        .map(move |q| linalg::add(shape.centre_mm(), [q[0] * half[0], q[1] * half[1], q[2] * half[2]]))
        .filter(|point| shape.contains(*point))
}

fn usize_to_f64(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::super::settings::LesionSettings;
    use super::*;
    use approx::assert_relative_eq;

    fn textures(shared: f64) -> (Shape, [Texture; 3]) {
        let settings = LesionSettings::default();
        let shape = Shape::new(&settings, &mut Stream::new(11, 1, 0));
        let textures = correlated_textures(&shape, 4.0, shared, 11, 0);
        (shape, textures)
    }

    #[test]
    fn texture_has_mean_zero_and_variance_one_over_its_lesion() {
        let (shape, [texture, ..]) = textures(0.6);
        // Points that the calibration did not use.
        let points: Vec<_> = lattice(&shape).map(|p| linalg::add(p, [0.21, -0.33, 0.17])).collect();
        let points: Vec<_> = points.into_iter().filter(|p| shape.contains(*p)).collect();
        let n = usize_to_f64(points.len());
        let mean = points.iter().map(|p| texture.at(*p)).sum::<f64>() / n;
        let variance = points.iter().map(|p| texture.at(*p).powi(2)).sum::<f64>() / n - mean * mean;
        assert!(mean.abs() < 0.01, "{mean}");
        assert_relative_eq!(variance, 1.0, epsilon = 0.02);
    }

    #[test]
    fn neighbouring_points_are_alike_and_distant_ones_are_not() {
        let (shape, _) = textures(0.6);
        // Over many fields, because one field in one lesion has few independent parts.
        let mut products = [0.0; 3];
        let mut n = 0.0;
        for seed in 0..60 {
            let [texture, ..] = correlated_textures(&shape, 4.0, 0.0, seed, 0);
            for point in lattice(&shape).step_by(97) {
                n += 1.0;
                for (product, distance) in products.iter_mut().zip([0.0, 4.0, 16.0]) {
                    *product += texture.at(point) * texture.at(linalg::add(point, [distance, 0.0, 0.0]));
                }
            }
        }
        let correlation = products.map(|product| product / n);
        assert_relative_eq!(correlation[1] / correlation[0], (-0.5f64).exp(), epsilon = 0.12);
        assert!((correlation[2] / correlation[0]).abs() < 0.12);
    }

    #[test]
    fn images_share_the_part_of_the_texture_that_was_asked_for() {
        let (shape, _) = textures(0.0);
        let mut correlation = 0.0;
        for seed in 0..40 {
            let [ct, pet, _] = correlated_textures(&shape, 3.0, 0.8, seed, 0);
            let values: Vec<_> = lattice(&shape).step_by(41).map(|p| ct.at(p) * pet.at(p)).collect();
            correlation += values.iter().sum::<f64>() / usize_to_f64(values.len()) / 40.0;
        }
        assert_relative_eq!(correlation, 0.64, epsilon = 0.06);
    }
}

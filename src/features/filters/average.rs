//! Two images as one: their wavelet bands averaged (image-level fusion).
//!
//! Vallieres et al. 2015 (Phys Med Biol 60:5471) take the wavelet transform of two registered volumes, average each band
//! with a weight per modality, weigh the band-pass bands (all but LLL and HHH) against the other two, and transform back;
//! Zhao et al. 2022 (Cancer Imaging 22:7) vary the weight from 0.1 to 0.9. Here the transform is the undecimated one, which
//! does not depend on where the grid begins: with the parts `P_b` of an image that its bands give back,
//!
//! ```text
//! fused = sum over b of r_b P_b [ w_b A + (1 - w_b) B ]
//! w_b = weight in LLL of the last level, detail_weight in all other bands
//! r_b = band_pass_ratio in all bands of a level but LLL and HHH, else 1
//! ```
//!
//! Along one axis analysis and synthesis by the low-pass h of an orthogonal wavelet are together a convolution with half the
//! autocorrelation of h, `p_L`; that of the high-pass is what is left, `p_H = 1 - p_L` (|H|^2 + |G|^2 = 2 for quadrature
//! mirror filters). So parts are found by symmetric kernels without keeping any band, and all parts of an image sum to it
//! whatever lies beyond the edges: a weight of 1 gives the first image back, a weight of 0 the second. With one weight for
//! all bands and a ratio of 1 the result is the weighted mean of both images. Level j finds the parts of the LLL of level
//! j - 1, with 2^(j - 1) - 1 zeros between the weights.
//!
//! What this does not do: it brings the images to no common range; that is for who knows what their values are.

use ndarray::{Array3, Zip};
use serde::{Deserialize, Serialize};

use super::boundary::Boundary;
use super::convolve::{Taps, separable};
use super::missing;
use super::wavelet::WaveletFamily;
use crate::image::Volume;

/// How bands are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BandAverage {
    /// Which wavelet.
    pub wavelet: WaveletFamily,
    /// Decomposition levels.
    pub levels: u8,
    /// The weight of the first image in the low-pass band, 0 to 1.
    pub weight: f64,
    /// The weight of the first image in all other bands, 0 to 1.
    pub detail_weight: f64,
    /// The weight of the band-pass bands against LLL and HHH.
    pub band_pass_ratio: f64,
}

/// Deeper levels would look further than a lesion is large.
pub const AVERAGE_LEVELS_MAX: u8 = 3;

impl BandAverage {
    /// How many voxels far it looks along each axis.
    #[must_use]
    pub fn reach(&self) -> usize {
        (1..=self.levels).map(|level| self.low_part(level).reach()).sum()
    }

    /// What the low-pass of a level gives back along one axis: half the autocorrelation of its kernel.
    fn low_part(&self, level: u8) -> Taps {
        let low = self.wavelet.low_pass();
        let product = |shift: usize| 0.5 * low.iter().skip(shift).zip(&low).map(|(a, b)| a * b).sum::<f64>();
        let half: Vec<f64> = (0..low.len()).map(product).collect();
        let whole: Vec<f64> = half.iter().skip(1).rev().chain(&half).copied().collect();
        Taps::new(&whole, 1 << (level.clamp(1, AVERAGE_LEVELS_MAX) - 1))
    }

    /// What the high-pass gives back: the rest.
    fn high_part(low: &Taps) -> Taps {
        low.negated().plus_identity()
    }

    /// One image with every band weighed: `low` in the last LLL, `detail` elsewhere, both times the ratio in band-pass bands.
    fn weighed(&self, image: &Array3<f32>, low: f64, detail: f64) -> Array3<f64> {
        let band_pass = detail * self.band_pass_ratio;
        let mut sum = Array3::<f64>::zeros(image.raw_dim());
        let mut coarse = image.clone();
        for level in 1..=self.levels {
            let taps = self.low_part(level);
            let corner = separable(&coarse, &vec![Self::high_part(&taps); 3], Boundary::Mirror);
            let next = separable(&coarse, &vec![taps; 3], Boundary::Mirror);
            Zip::from(&mut sum).and(&coarse).and(&next).and(&corner).par_for_each(|sum, coarse, next, corner| {
                let (coarse, next, corner) = (f64::from(*coarse), f64::from(*next), f64::from(*corner));
                *sum += band_pass * (coarse - next - corner) + detail * corner;
            });
            coarse = next;
        }
        Zip::from(&mut sum).and(&coarse).par_for_each(|sum, coarse| *sum += low * f64::from(*coarse));
        sum
    }

    /// The fused image on the images' common grid; missing where either is. `None` where the grids differ.
    #[must_use]
    pub fn apply(&self, first: &Volume<f32>, second: &Volume<f32>) -> Option<Volume<f32>> {
        if first.geometry != second.geometry || first.voxels.dim() != second.voxels.dim() {
            return None;
        }
        let (w, d) = (self.weight, self.detail_weight);
        let of = |image: &Volume<f32>, low, detail| {
            let filled = missing::filled(&image.voxels);
            self.weighed(filled.as_ref().unwrap_or(&image.voxels), low, detail)
        };
        let (a, b) = rayon::join(|| of(first, w, d), || of(second, 1.0 - w, 1.0 - d));
        let mut voxels = Array3::<f32>::zeros(first.voxels.raw_dim());
        Zip::from(&mut voxels).and(&a).and(&b).and(&first.voxels).and(&second.voxels).par_for_each(
            |fused, a, b, first, second| {
                let known = first.is_finite() && second.is_finite();
                *fused = if known { (a + b) as f32 } else { f32::NAN };
            },
        );
        Some(Volume { voxels, geometry: first.geometry })
    }

    /// The settings in words; `first` is what the weights are of.
    #[must_use]
    pub fn words(&self, first: &str) -> String {
        format!(
            "wavelet band average, {} undecimated, {} level(s), weight of {first} {} in the low-pass band and {} in others, \
             band-pass ratio {}",
            self.wavelet.name(),
            self.levels,
            self.weight,
            self.detail_weight,
            self.band_pass_ratio
        )
    }

    /// What is wrong with the settings, as a sentence of what was expected.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let is_part = |weight: f64| (0.0..=1.0).contains(&weight);
        let rules = [
            ((1..=AVERAGE_LEVELS_MAX).contains(&self.levels), "levels from 1 to 3"),
            (is_part(self.weight), "weight from 0 to 1"),
            (is_part(self.detail_weight), "detail_weight from 0 to 1"),
            ((0.01..=100.0).contains(&self.band_pass_ratio), "band_pass_ratio from 0.01 to 100"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, expected)| expected)
    }
}

#[cfg(test)]
mod tests {
    use super::super::convolve::Along;
    use super::super::convolve::convolve;
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;
    use crate::math::random::Stream;

    fn noise(seed: u64) -> Volume<f32> {
        let mut stream = Stream::new(seed, 0, 0);
        let voxels = Array3::from_shape_fn((11, 13, 9), |_| stream.normal() as f32);
        Volume { voxels, geometry: Geometry::new([9, 13, 11], [1.0; 3], [0.0; 3], IDENTITY).unwrap() }
    }

    fn settings(weight: f64, detail_weight: f64) -> BandAverage {
        BandAverage { wavelet: WaveletFamily::Coif1, levels: 2, weight, detail_weight, band_pass_ratio: 1.0 }
    }

    fn furthest(a: &Array3<f32>, b: &Array3<f32>) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_weight_of_one_gives_the_first_image_back_and_of_nought_the_second() {
        let (a, b) = (noise(1), noise(2));
        for wavelet in [WaveletFamily::Haar, WaveletFamily::Db4, WaveletFamily::Coif1] {
            for levels in 1..=AVERAGE_LEVELS_MAX {
                let fused = |weight: f64| {
                    let settings = BandAverage { wavelet, levels, ..settings(weight, weight) };
                    settings.apply(&a, &b).unwrap().voxels
                };
                // Values are about 1; an f32 holds seven digits of them.
                assert!(furthest(&fused(1.0), &a.voxels) < 2e-6);
                assert!(furthest(&fused(0.0), &b.voxels) < 2e-6);
            }
        }
    }

    #[test]
    fn the_result_is_linear_in_the_weights_and_one_weight_for_all_bands_is_a_mean() {
        let (a, b) = (noise(1), noise(2));
        let fused = |weight, detail| settings(weight, detail).apply(&a, &b).unwrap().voxels;
        let mean = |a: &Array3<f32>, b: &Array3<f32>, w: f32| w * a + (1.0 - w) * b;
        for w in [0.25f32, 0.5, 0.7] {
            assert!(furthest(&fused(f64::from(w), f64::from(w)), &mean(&a.voxels, &b.voxels, w)) < 2e-6);
            let between = mean(&fused(1.0, 0.3), &fused(0.0, 0.3), w);
            assert!(furthest(&fused(f64::from(w), 0.3), &between) < 2e-6);
            let between = mean(&fused(0.4, 1.0), &fused(0.4, 0.0), w);
            assert!(furthest(&fused(0.4, f64::from(w)), &between) < 2e-6);
        }
        // The low-pass of one with the details of the other is neither.
        assert!(furthest(&fused(1.0, 0.0), &a.voxels) > 0.1 && furthest(&fused(1.0, 0.0), &b.voxels) > 0.1);
    }

    /// The same by the transform itself: all eight bands of the first level, each weighed, and the inverse transform.
    fn by_bands(image: &Array3<f32>, wavelet: WaveletFamily, weight_of: impl Fn(usize) -> f64) -> Array3<f32> {
        let (low, high) = (wavelet.low_pass(), wavelet.high_pass());
        let mut sum = Array3::<f32>::zeros(image.raw_dim());
        for band in 0..8usize {
            let mut part = image.clone();
            for (axis, along) in Along::ALL.into_iter().enumerate() {
                let taps = Taps::new(if band >> axis & 1 == 0 { &low } else { &high }, 1);
                let there = convolve(&[(&part, &taps)], along, Boundary::Periodic);
                part = convolve(&[(&there, &taps.flipped())], along, Boundary::Periodic) * 0.5;
            }
            let weight = weight_of(band) as f32;
            sum.zip_mut_with(&part, |sum, part| *sum += weight * part);
        }
        sum
    }

    #[test]
    fn parts_are_those_of_the_inverse_transform_of_single_bands() {
        // Alike on all sides, so that it does not matter how the image goes on beyond its edges.
        let mut a = noise(3);
        a.voxels.indexed_iter_mut().for_each(|((z, y, x), value)| {
            let inside = (4..7).contains(&z) && (5..8).contains(&y) && (3..6).contains(&x);
            *value = if inside { *value } else { 0.0 };
        });
        let mut zero = a.clone();
        zero.voxels.fill(0.0);
        let settings =
            BandAverage { wavelet: WaveletFamily::Haar, levels: 1, band_pass_ratio: 2.0, ..settings(0.9, 0.2) };
        let weight_of = |band: usize| match band {
            0 => 0.9,
            7 => 0.2,
            _ => 0.2 * 2.0,
        };
        let expected = by_bands(&a.voxels, WaveletFamily::Haar, weight_of);
        let fused = settings.apply(&a, &zero).unwrap().voxels;
        assert!(furthest(&fused, &expected) < 2e-6);
        assert!(furthest(&by_bands(&a.voxels, WaveletFamily::Db4, |_| 1.0), &a.voxels) < 5e-6);
    }

    #[test]
    fn what_either_image_lacks_is_missing_and_other_grids_are_not_fused() {
        let (mut a, mut b) = (noise(1), noise(2));
        a.voxels[[1, 2, 3]] = f32::NAN;
        b.voxels[[4, 5, 6]] = f32::NAN;
        let fused = settings(0.5, 0.5).apply(&a, &b).unwrap().voxels;
        assert_eq!(fused.iter().filter(|value| !value.is_finite()).count(), 2);
        b.geometry = Geometry::new([9, 13, 11], [2.0; 3], [0.0; 3], IDENTITY).unwrap();
        assert!(settings(0.5, 0.5).apply(&a, &b).is_none());
        assert!(BandAverage { levels: 0, ..settings(0.5, 0.5) }.fault().is_some());
        assert!(settings(f64::NAN, 0.5).fault().is_some() && settings(0.5, 0.5).fault().is_none());
        assert_eq!(settings(0.5, 0.5).reach(), 5 + 10);
    }
}

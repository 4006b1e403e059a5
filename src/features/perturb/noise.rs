//! The level of an image's own noise, and more of it.
//!
//! S. Chang, B. Yu, M. Vetterli, IEEE Trans. Image Process. 9 (2000) 1532: the median of the absolute diagonal detail of a
//! wavelet (coif1, in slices) over 0.6745. Estimated in the box around the region, so that air does not count.

use rayon::prelude::*;

use crate::features::filters::{Filter, Wavelet, WaveletFamily};
use crate::features::roi::BoundingBox;
use crate::image::Volume;
use crate::math::random::Stream;

/// Voxels around the region's box that are looked at.
const AROUND: [usize; 3] = [8, 8, 0];

/// The median absolute value of a normal variable of variance 1.
const NORMAL_MEDIAN: f64 = 0.674_489_750_196_081_7;

/// The standard deviation of the noise around a region; 0 where there is no detail.
pub(super) fn level(image: &Volume<f32>, bounds: &BoundingBox) -> f64 {
    let near = bounds.grown(AROUND, image.geometry.size);
    let part = Volume { voxels: near.cut(&image.voxels), geometry: near.geometry(&image.geometry) };
    let Ok(wavelet) = Wavelet::new(WaveletFamily::Coif1, "HH") else { return 0.0 };
    let Ok(detail) = Filter::Wavelet(wavelet).apply(&part) else { return 0.0 };
    let mut sizes: Vec<f32> = detail.voxels.iter().filter(|value| value.is_finite()).map(|value| value.abs()).collect();
    if sizes.is_empty() {
        return 0.0;
    }
    let middle = sizes.len() / 2;
    let (_, median, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
    f64::from(*median) / NORMAL_MEDIAN
}

/// The image with independent normal noise in each voxel: the same for any number of threads.
pub(super) fn added(image: &Volume<f32>, sd: f64, seed: u64, draw: u64) -> Volume<f32> {
    let mut noisy = image.clone();
    let n_slices = image.geometry.size[2] as u64;
    noisy.voxels.outer_iter_mut().into_par_iter().enumerate().for_each(|(z, mut plane)| {
        let mut stream = Stream::new(seed, draw, draw * n_slices + z as u64);
        plane.iter_mut().for_each(|value| *value += (sd * stream.normal()) as f32);
    });
    noisy
}

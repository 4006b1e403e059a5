//! From image values to positions along a histogram axis.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// At most BINS_MAX bins and KNOTS knots.

use crate::image::{Modality, Volume};

/// A monotonic map from the full range of an image's values to histogram bins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bins {
    /// Values that stand at equal distances along the axis, from the least to the greatest.
    knots: Vec<f32>,
    /// Bins.
    pub n: usize,
}

/// What is kept free at both ends, so that a Parzen window of four bins always fits.
const MARGIN: f32 = 1.5;
/// Bins that a window fits into, and bins that a cache holds a square of.
const BINS_MIN: usize = 8;
const BINS_MAX: usize = 256;
/// Knots of an equalised axis.
const KNOTS: usize = 257;

/// How the uptake of a PET is laid along its axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uptake {
    /// As it is.
    Linear,
    /// By its square root: fat and muscle stand apart however hot a lesion is.
    Root,
}

impl Bins {
    /// The axis for an image of this modality; `None` where all its values are alike.
    ///
    /// A CT is equalised: each bin gets as many voxels as any other. Its range is that from air to metal, of which fat and
    /// muscle, which most of the body is made of, take up a tenth. Other modalities keep their linear scale, but for a PET
    /// where its square root is asked for.
    pub fn new(image: &Volume<f32>, modality: Modality, n: usize, uptake: Uptake) -> Option<Self> {
        match modality {
            Modality::Ct => Self::equalised(image, n),
            Modality::Pet if uptake == Uptake::Root => Self::root(image, n),
            _ => Self::linear(image, n),
        }
    }

    /// The range of all values that are there.
    pub fn linear(image: &Volume<f32>, n: usize) -> Option<Self> {
        let (low, high) = range(image);
        Self::of_knots(vec![low, high], n)
    }

    /// The square root of the distance from the least value.
    fn root(image: &Volume<f32>, n: usize) -> Option<Self> {
        let (low, high) = range(image);
        let share = |k: usize| k as f32 / (KNOTS - 1) as f32;
        Self::of_knots((0..KNOTS).map(|k| low + (high - low) * share(k) * share(k)).collect(), n)
    }

    /// Quantiles of all values that are there.
    pub fn equalised(image: &Volume<f32>, n: usize) -> Option<Self> {
        let mut values: Vec<f32> = image.voxels.iter().copied().filter(|value| value.is_finite()).collect();
        let last = values.len().checked_sub(1)?;
        values.sort_unstable_by(f32::total_cmp);
        Self::of_knots((0..KNOTS).map(|k| values[last * k / (KNOTS - 1)]).collect(), n)
    }

    fn of_knots(knots: Vec<f32>, n: usize) -> Option<Self> {
        let span = knots.last()? - knots.first()?;
        let n = n.clamp(BINS_MIN, BINS_MAX);
        (span.is_finite() && span > 0.0).then_some(Self { knots, n })
    }

    /// The position of a value; a missing one stands at the low end.
    pub fn position(&self, value: f32) -> f32 {
        let last = self.knots.len() - 1;
        let above = self.knots.partition_point(|knot| *knot < value).clamp(1, last);
        let (low, high) = (self.knots[above - 1], self.knots[above]);
        let part = if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
        let share = (above as f32 - 1.0 + if part.is_finite() { part } else { 0.0 }) / last as f32;
        MARGIN + share * (self.n as f32 - 1.0 - 2.0 * MARGIN)
    }
}

/// The least and the greatest of the values that are there.
fn range(image: &Volume<f32>) -> (f32, f32) {
    let present = image.voxels.iter().filter(|value| value.is_finite());
    present.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;

    fn image(values: &[f32]) -> Volume<f32> {
        let grid = Geometry::new([values.len(), 1, 1], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
        Volume::from_values(grid, values.to_vec()).unwrap()
    }

    #[test]
    fn the_full_range_is_used_and_a_window_always_fits() {
        let values: Vec<f32> = (0..1000u16).map(|k| f32::from(k) * 3.0 - 1024.0).collect();
        for bins in [Bins::linear(&image(&values), 32).unwrap(), Bins::equalised(&image(&values), 32).unwrap()] {
            let positions: Vec<f32> = values.iter().map(|v| bins.position(*v)).collect();
            assert!(positions.windows(2).all(|pair| pair[1] >= pair[0]));
            assert!((positions[0] - 1.5).abs() < 1e-5 && (positions[999] - 29.5).abs() < 1e-5);
            assert!((positions[500] - 15.5).abs() < 0.05);
            for outside in [f32::NAN, f32::INFINITY, -1e30, 1e30] {
                assert!((1.5..=29.5).contains(&bins.position(outside)));
            }
        }
    }

    #[test]
    fn equalised_bins_hold_as_many_voxels_each_whatever_the_outliers() {
        let mut values: Vec<f32> = (0..2560u16).map(|k| f32::from(k % 200)).collect();
        values[7] = 30_000.0;
        let bins = Bins::equalised(&image(&values), 19).unwrap();
        let mut counts = [0; 16];
        for value in &values {
            counts[((bins.position(*value) - 1.5) as usize).min(15)] += 1;
        }
        // The outlier stands alone at the upper end.
        assert!(counts[..15].iter().all(|n| (150..200).contains(n)), "{counts:?}");
    }

    #[test]
    fn the_root_of_uptake_gives_a_third_of_the_axis_to_its_lowest_tenth() {
        let values: Vec<f32> = (0..=1000u16).map(f32::from).collect();
        let bins = Bins::new(&image(&values), Modality::Pet, 64, Uptake::Root).unwrap();
        let share = |value: f32| (bins.position(value) - 1.5) / 60.0;
        assert!((share(100.0) - 0.1f32.sqrt()).abs() < 0.02 && (share(490.0) - 0.7).abs() < 0.02);
        let plain = Bins::new(&image(&values), Modality::Pet, 64, Uptake::Linear).unwrap();
        assert!((plain.position(500.0) - 31.5).abs() < 0.05);
        assert_eq!(Bins::new(&image(&values), Modality::Mr, 64, Uptake::Root), Bins::linear(&image(&values), 64));
    }

    #[test]
    fn an_image_without_contrast_has_no_axis() {
        assert!(Bins::linear(&image(&[3.0; 5]), 32).is_none());
        assert!(Bins::equalised(&image(&[f32::NAN; 5]), 32).is_none());
    }
}

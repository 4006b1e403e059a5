//! Histogram landmarks (Nyúl, Udupa and Zhang, IEEE Trans Med Imaging 2000;19:143): percentiles of the body, brought to
//! where they lie in a standard histogram, linearly between them and, with the slope of the outermost pieces, beyond them.
//!
//! A standard belongs to one site and one class of sequences: it is trained on images of that class, stored, and never
//! changed by the images that it is applied to.

use rayon::slice::ParallelSliceMut;
use serde::{Deserialize, Serialize};

use super::scale::{KNOTS_MAX, Knots};
use super::{Fitted, NormaliseError, Scale, body_mask};
use crate::image::{Mask, Volume};

/// Percentiles of the landmarks: the ends leave out what is rare, the deciles follow the shape.
pub const PERCENTILES: [f64; 11] = [1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 99.0];

/// The standard scale runs from 0 at the first landmark to this at the last.
const SCALE_MAX: f64 = 100.0;

/// Where the landmarks of a class of sequences lie on their common scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct HistogramStandard {
    percentiles: Vec<f64>,
    landmarks: Vec<f64>,
    n_images: usize,
}

/// A standard as it is stored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    percentiles: Vec<f64>,
    landmarks: Vec<f64>,
    n_images: usize,
}

impl TryFrom<Parts> for HistogramStandard {
    type Error = NormaliseError;
    fn try_from(parts: Parts) -> Result<Self, NormaliseError> {
        Self::new(parts.percentiles, parts.landmarks, parts.n_images)
    }
}

impl HistogramStandard {
    /// A standard by its landmarks.
    ///
    /// # Errors
    /// When there are fewer than two or more than 16 landmarks, or they or the percentiles do not increase.
    pub fn new(percentiles: Vec<f64>, landmarks: Vec<f64>, n_images: usize) -> Result<Self, NormaliseError> {
        let increases =
            |values: &[f64]| values.iter().all(|v| v.is_finite()) && values.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range =
            percentiles.first().is_some_and(|p| *p >= 0.0) && percentiles.last().is_some_and(|p| *p <= 100.0);
        let fits = (2..=KNOTS_MAX).contains(&percentiles.len()) && percentiles.len() == landmarks.len();
        if !(fits && in_range && increases(&percentiles) && increases(&landmarks)) {
            return Err(NormaliseError::Standard);
        }
        Ok(Self { percentiles, landmarks, n_images })
    }

    /// Trains a standard on images of one class; statistics are taken over `body`, or where that is `None` over the body mask
    /// of the image. Each image's landmarks are brought to the scale 0 to 100 linearly, then averaged.
    ///
    /// # Errors
    /// When there is no image, one has no body or no contrast, or the averages do not increase.
    pub fn train<'a>(
        images: impl IntoIterator<Item = (&'a Volume<f32>, Option<&'a Mask>)>,
    ) -> Result<Self, NormaliseError> {
        let mut sums = [0.0; PERCENTILES.len()];
        let mut n_images = 0;
        for (image, body) in images {
            let found = landmarks(image, body, &PERCENTILES)?;
            let (first, last) = (found[0], found[PERCENTILES.len() - 1]);
            for (sum, landmark) in sums.iter_mut().zip(&found) {
                *sum += SCALE_MAX * (landmark - first) / (last - first);
            }
            n_images += 1;
        }
        #[allow(clippy::cast_precision_loss)] // image counts are small
        let mean = sums.map(|sum| sum / n_images as f64);
        Self::new(PERCENTILES.to_vec(), mean.to_vec(), n_images)
    }

    /// How many images it was trained on.
    #[must_use]
    pub fn n_images(&self) -> usize {
        self.n_images
    }

    /// The map of one image to this standard.
    pub(super) fn fit(&self, image: &Volume<f32>, body: Option<&Mask>) -> Result<Fitted, NormaliseError> {
        let found = landmarks(image, body, &self.percentiles)?;
        let knots = Knots::new(&found, &self.landmarks)?;
        let note = format!(
            "histogram landmarks: {} percentiles from {:.6} to {:.6}, to a standard of {} images",
            self.percentiles.len(),
            found.first().copied().unwrap_or(f64::NAN),
            found.last().copied().unwrap_or(f64::NAN),
            self.n_images
        );
        Ok(Fitted { scale: Scale::Piecewise(knots), resegment: None, note })
    }
}

/// The percentiles of an image's body, interpolated linearly between the ranks.
fn landmarks(image: &Volume<f32>, body: Option<&Mask>, percentiles: &[f64]) -> Result<Vec<f64>, NormaliseError> {
    let mut values = body_values(image, body)?;
    values.par_sort_unstable_by(f32::total_cmp);
    let (first, last) = (values.first(), values.last());
    if first.is_none() {
        return Err(NormaliseError::EmptyBody);
    }
    let found: Vec<f64> = percentiles.iter().map(|percent| quantile(&values, percent / 100.0)).collect();
    // The ends decide: one value between them is no histogram.
    match (found.first(), found.last()) {
        (Some(low), Some(high)) if low < high && first < last => Ok(found),
        _ => Err(NormaliseError::Flat { n_voxels: values.len() }),
    }
}

/// The finite values of an image's body.
pub(super) fn body_values(image: &Volume<f32>, body: Option<&Mask>) -> Result<Vec<f32>, NormaliseError> {
    let own;
    let body = match body {
        Some(mask) if mask.voxels.dim() != image.voxels.dim() => return Err(NormaliseError::Grid),
        Some(mask) => mask,
        None => {
            own = body_mask(image);
            &own
        }
    };
    let both = image.voxels.iter().zip(&body.voxels);
    Ok(both.filter(|(value, inside)| **inside && value.is_finite()).map(|(value, _)| *value).collect())
}

/// A quantile of sorted values, interpolated linearly between the two nearest ranks.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the slice
pub(super) fn quantile(sorted: &[f32], level: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = level.clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let at = |index: usize| sorted.get(index.min(last)).map_or(f64::NAN, |value| f64::from(*value));
    at(below) + (place - below as f64) * (at(below + 1) - at(below))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;
    use approx::assert_relative_eq;

    fn image(values: Vec<f32>) -> (Volume<f32>, Mask) {
        let grid = Geometry::new([values.len(), 1, 1], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
        let whole = Mask::filled(grid, true);
        (Volume::from_values(grid, values).unwrap(), whole)
    }

    /// Two tissues, with another gain and offset.
    fn patient(gain: f32, offset: f32) -> (Volume<f32>, Mask) {
        image(
            (0..2000u16)
                .map(|k| gain * (f32::from(k % 500) + if k % 2 == 0 { 200.0 } else { 900.0 }) + offset)
                .collect(),
        )
    }

    #[test]
    fn images_that_differ_by_gain_and_offset_become_the_same() {
        let (first, second) = (patient(1.0, 0.0), patient(3.5, 40.0));
        let standard = HistogramStandard::train([(&first.0, Some(&first.1)), (&second.0, Some(&second.1))]).unwrap();
        assert_eq!(standard.n_images(), 2);
        let fits = [&first, &second].map(|(image, body)| standard.fit(image, Some(body)).unwrap().scale);
        for (a, b) in first.0.voxels.iter().zip(&second.0.voxels) {
            assert_relative_eq!(fits[0].of(f64::from(*a)), fits[1].of(f64::from(*b)), epsilon = 1e-4);
        }
    }

    #[test]
    fn landmarks_come_to_their_place_and_the_ends_go_on_straight() {
        let standard = HistogramStandard::new(vec![0.0, 50.0, 100.0], vec![0.0, 10.0, 110.0], 1).unwrap();
        let (image, body) = image((0..=100u16).map(f32::from).collect());
        let scale = standard.fit(&image, Some(&body)).unwrap().scale;
        for (value, expected) in [(0.0, 0.0), (25.0, 5.0), (50.0, 10.0), (75.0, 60.0), (100.0, 110.0)] {
            assert_relative_eq!(scale.of(value), expected, epsilon = 1e-9);
        }
        assert_relative_eq!(scale.of(-10.0), -2.0, epsilon = 1e-9);
        assert_relative_eq!(scale.of(110.0), 130.0, epsilon = 1e-9);
    }

    #[test]
    fn landmarks_that_fall_together_are_one() {
        let standard = HistogramStandard::new(vec![0.0, 25.0, 50.0, 100.0], vec![0.0, 1.0, 2.0, 3.0], 1).unwrap();
        let (image, body) = image(vec![5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 7.0, 9.0]);
        let scale = standard.fit(&image, Some(&body)).unwrap().scale;
        assert!(scale.of(5.0) < scale.of(7.0) && scale.of(7.0) < scale.of(9.0));
        assert_relative_eq!(scale.of(9.0), 3.0);
    }

    #[test]
    fn a_standard_survives_its_file_and_an_impossible_one_is_refused() {
        let (first, body) = patient(1.0, 0.0);
        let standard = HistogramStandard::train([(&first, Some(&body))]).unwrap();
        let text = serde_json::to_string(&standard).unwrap();
        assert_eq!(serde_json::from_str::<HistogramStandard>(&text).unwrap(), standard);
        for text in [
            r#"{"percentiles":[1,99],"landmarks":[5,5],"n_images":1}"#,
            r#"{"percentiles":[1],"landmarks":[5],"n_images":1}"#,
            r#"{"percentiles":[-1,99],"landmarks":[5,6],"n_images":1}"#,
            r#"{"percentiles":[1,99],"landmarks":[5,6,7],"n_images":1}"#,
        ] {
            assert!(serde_json::from_str::<HistogramStandard>(text).is_err(), "{text}");
        }
        assert!(HistogramStandard::train([]).is_err());
        let (flat, body) = image(vec![4.0; 10]);
        assert_eq!(standard.fit(&flat, Some(&body)), Err(NormaliseError::Flat { n_voxels: 10 }));
    }
}

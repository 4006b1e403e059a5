//! Where the body is in an image without a physical scale.

use crate::image::{Mask, Volume};

/// Which share of the intensity range counts as background.
const BACKGROUND: f32 = 0.1;

/// The voxels above a tenth of the way from the 1st to the 99th percentile of the whole image.
///
/// The threshold is low on purpose. One that separates two classes (Otsu) falls between muscle and fat of a T1 image and
/// calls the darker tissue background; a tenth of the range lies above the noise of the air (a few per cent of the signal)
/// and below every tissue that gives signal at all. Percentiles keep single bright voxels from moving it. Missing voxels are
/// outside; an image without contrast has no body.
#[must_use]
pub fn body_mask(image: &Volume<f32>) -> Mask {
    let mut values: Vec<f32> = image.voxels.iter().copied().filter(|value| value.is_finite()).collect();
    let mut percentile = |percent: usize| -> Option<f32> {
        let last = values.len().checked_sub(1)?;
        Some(*values.select_nth_unstable_by(last * percent / 100, f32::total_cmp).1)
    };
    let threshold = percentile(1).zip(percentile(99)).map(|(low, high)| low + BACKGROUND * (high - low));
    let voxels = image.voxels.mapv(|value| threshold.is_some_and(|threshold| value > threshold));
    Mask { voxels, geometry: image.geometry }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;

    #[test]
    fn dark_tissue_is_body_and_noisy_air_is_not() {
        let grid = Geometry::new([1000, 1, 1], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
        // Air with noise up to 40, muscle at 200, fat at 800, and a few bright vessels.
        let values = (0..1000u16)
            .map(|k| match k {
                0..500 => f32::from(k % 41),
                500..750 => 200.0 + f32::from(k % 7),
                750..995 => 800.0 + f32::from(k % 5),
                _ => 30_000.0,
            })
            .collect();
        let image = Volume::from_values(grid, values).unwrap();
        let body = body_mask(&image);
        for (x, inside) in body.voxels.iter().enumerate() {
            assert_eq!(*inside, x >= 500, "{x}");
        }
    }

    #[test]
    fn an_image_without_contrast_or_values_has_no_body() {
        let grid = Geometry::new([10, 1, 1], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
        assert_eq!(body_mask(&Volume::filled(grid, 7.0)).count(), 0);
        assert_eq!(body_mask(&Volume::filled(grid, f32::NAN)).count(), 0);
    }
}

//! MR: arbitrary units, made relative to the body that the image shows.

use super::landmarks::body_values;
use super::{Fitted, NormaliseError, Scale};
use crate::image::{Mask, Volume};

/// (I - mean) / standard deviation over the body; the standard deviation is that of the voxels themselves (divided by their
/// number).
pub(super) fn zscore(image: &Volume<f32>, body: Option<&Mask>) -> Result<Fitted, NormaliseError> {
    let found = body_values(image, body)?;
    let values = || found.iter().map(|value| f64::from(*value));
    let n_voxels = values().count();
    if n_voxels == 0 {
        return Err(NormaliseError::EmptyBody);
    }
    #[allow(clippy::cast_precision_loss)] // voxel counts are far below 2^53
    let n = n_voxels as f64;
    let mean = values().sum::<f64>() / n;
    let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    if deviation.is_nan() || deviation <= f64::from(f32::EPSILON) * mean.abs() {
        return Err(NormaliseError::Flat { n_voxels });
    }
    let note = format!("z-score over {n_voxels} body voxels: mean {mean:.6}, standard deviation {deviation:.6}");
    Ok(Fitted { scale: Scale::Linear { offset: mean, divisor: deviation }, resegment: None, note })
}

/// I / mean over a region of reference tissue: fat, muscle, white matter.
pub(super) fn reference_tissue(image: &Volume<f32>, tissue: &Mask) -> Result<Fitted, NormaliseError> {
    let found = body_values(image, Some(tissue))?;
    #[allow(clippy::cast_precision_loss)] // voxel counts are far below 2^53
    let mean = found.iter().map(|value| f64::from(*value)).sum::<f64>() / found.len() as f64;
    if mean.is_nan() || mean <= 0.0 {
        return Err(NormaliseError::Tissue { n_voxels: found.len(), mean });
    }
    let note = format!("relative to reference tissue: mean {mean:.6} over {} voxels", found.len());
    Ok(Fitted { scale: Scale::Linear { offset: 0.0, divisor: mean }, resegment: None, note })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;
    use approx::assert_relative_eq;

    fn image(values: Vec<f32>) -> Volume<f32> {
        let grid = Geometry::new([values.len(), 1, 1], [1.0; 3], [0.0; 3], IDENTITY).unwrap();
        Volume::from_values(grid, values).unwrap()
    }

    #[test]
    fn the_body_has_mean_zero_and_deviation_one_and_gain_does_not_matter() {
        let signal: Vec<f32> = (0..400u16).map(|k| if k % 4 == 0 { 2.0 } else { 300.0 + f32::from(k) }).collect();
        let louder: Vec<f32> = signal.iter().map(|v| 3.5 * v).collect();
        let (a, b) = (image(signal), image(louder));
        let (fa, fb) = (zscore(&a, None).unwrap(), zscore(&b, None).unwrap());
        for (x, y) in a.voxels.iter().zip(&b.voxels) {
            assert_relative_eq!(fa.scale.of(f64::from(*x)), fb.scale.of(f64::from(*y)), epsilon = 1e-5);
        }
        let body: Vec<f64> = a.voxels.iter().filter(|v| **v > 100.0).map(|v| fa.scale.of(f64::from(*v))).collect();
        assert_eq!(body.len(), 300);
        assert_relative_eq!(body.iter().sum::<f64>(), 0.0, epsilon = 1e-9);
        assert_relative_eq!(body.iter().map(|z| z * z).sum::<f64>() / 300.0, 1.0, epsilon = 1e-9);
    }

    #[test]
    fn an_image_without_contrast_or_body_is_refused() {
        assert_eq!(zscore(&image(vec![5.0; 9]), None), Err(NormaliseError::EmptyBody));
        assert_eq!(zscore(&image(vec![f32::NAN; 9]), None), Err(NormaliseError::EmptyBody));
        let all = Mask::filled(image(vec![5.0; 9]).geometry, true);
        assert_eq!(zscore(&image(vec![5.0; 9]), Some(&all)), Err(NormaliseError::Flat { n_voxels: 9 }));
        assert_eq!(zscore(&image(vec![5.0; 8]), Some(&all)), Err(NormaliseError::Grid));
    }

    #[test]
    fn an_image_is_relative_to_the_mean_of_its_reference_tissue() {
        let image = image(vec![10.0, 200.0, 300.0, 500.0]);
        let mut fat = Mask::filled(image.geometry, false);
        assert!(matches!(reference_tissue(&image, &fat), Err(NormaliseError::Tissue { n_voxels: 0, .. })));
        fat.voxels[[0, 0, 1]] = true;
        fat.voxels[[0, 0, 2]] = true;
        assert_relative_eq!(reference_tissue(&image, &fat).unwrap().scale.of(500.0), 2.0);
    }
}

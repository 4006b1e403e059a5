//! MR: arbitrary units, made relative to the body that the image shows.

use super::{Fitted, NormaliseError, Scale, body_mask};
use crate::image::{Mask, Volume};

/// (I - mean) / standard deviation over the body; the standard deviation is that of the voxels themselves (divided by their
/// number).
pub(super) fn zscore(image: &Volume<f32>, body: Option<&Mask>) -> Result<Fitted, NormaliseError> {
    let own;
    let body = match body {
        Some(mask) if mask.voxels.dim() != image.voxels.dim() => return Err(NormaliseError::Grid),
        Some(mask) => mask,
        None => {
            own = body_mask(image);
            &own
        }
    };
    let values = || {
        let both = image.voxels.iter().zip(&body.voxels);
        both.filter(|(value, inside)| **inside && value.is_finite()).map(|(value, _)| f64::from(*value))
    };
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
}

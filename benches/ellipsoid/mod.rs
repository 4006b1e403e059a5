//! What the benches of features measure: an ellipsoid that fills its grid, with a smooth texture and noise.

use radiomicsd::image::{Geometry, GeometryError, Mask, Volume};

/// Image and region of that size along x, y, z, with voxels of a cubic millimetre.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small indices")]
pub fn with_texture(size: [usize; 3]) -> Result<(Volume<f32>, Mask), GeometryError> {
    let geometry = Geometry::new(size, [1.0; 3], [0.0; 3], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])?;
    let mut image = Volume::filled(geometry, 0.0f32);
    let mut mask = Mask::filled(geometry, false);
    for ((z, y, x), value) in image.voxels.indexed_iter_mut() {
        let [x, y, z] = [x, y, z].map(|i| i as f64);
        let noise = ((x * 12.9898 + y * 78.233 + z * 37.719).sin() * 43_758.545_3).fract() * 80.0;
        *value = (200.0 * (x * 0.11).sin() * (y * 0.07 + z * 0.13).cos() + noise) as f32;
    }
    for ((z, y, x), inside) in mask.voxels.indexed_iter_mut() {
        let [x, y, z] =
            [(x, size[0]), (y, size[1]), (z, size[2])].map(|(i, n)| (2.0 * i as f64 + 1.0) / n as f64 - 1.0);
        *inside = x * x + y * y + z * z <= 0.97;
    }
    Ok((image, mask))
}

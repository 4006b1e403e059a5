//! A patient for the tests of registration: one anatomy that images of different contrast show.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // small grids

use super::Pair;
use crate::image::{Affine, Geometry, Modality, Psf, Transform, Volume};
use crate::math::linalg::{self, IDENTITY, Vec3};
use crate::math::random::Stream;

/// The grid of both images: 132 x 128 x 120 mm.
pub(super) fn grid() -> Geometry {
    Geometry::new([66, 64, 40], [2.0, 2.0, 3.0], [-60.0, -70.0, 300.0], IDENTITY).unwrap()
}

/// What the two images show where the anatomy has the value 0 (air) to 1.
pub(super) fn ct(anatomy: f64) -> f64 {
    -1000.0 + 1900.0 * anatomy
}
pub(super) fn pet(anatomy: f64) -> f64 {
    4.0 * anatomy * (1.4 - anatomy)
}

/// An egg-shaped body with round organs, seen with a contrast; `map` leads from the anatomy's space to the image's.
pub(super) fn image(map: &Affine, contrast: fn(f64) -> f64) -> Volume<f32> {
    let grid = grid();
    let mut stream = Stream::new(11, 0, 0);
    let middle = grid.centre_mm();
    let organs: Vec<(Vec3, f64, f64)> = (0..25)
        .map(|_| {
            let at = linalg::add(middle, [0; 3].map(|_| 70.0 * stream.uniform() - 35.0));
            (at, 5.0 + 9.0 * stream.uniform(), 0.5 * stream.uniform() - 0.25)
        })
        .collect();
    let anatomy = |p: Vec3| {
        let d = linalg::sub(p, middle);
        let r = [d[0] / 48.0, d[1] / 40.0, d[2] / (52.0 + 0.2 * d[0])];
        let body = 1.0 / (1.0 + (12.0 * (linalg::norm(r) - 1.0)).exp());
        let inside: f64 = organs
            .iter()
            .map(|(c, radius, h)| h * (-0.5 * (linalg::norm(linalg::sub(p, *c)) / radius).powi(2)).exp())
            .sum();
        (body * (0.5 + inside)).clamp(0.0, 1.0)
    };
    let back = map.inverse();
    let mut image = Volume::filled(grid, 0.0);
    for ((z, y, x), value) in image.voxels.indexed_iter_mut() {
        let p = grid.voxel_to_world([x as f64, y as f64, z as f64]);
        *value = contrast(anatomy(back.apply(p))) as f32;
    }
    image
}

/// The pair of a CT and a PET.
pub(super) fn pair<'a>(fixed: &'a Volume<f32>, moving: &'a Volume<f32>) -> Pair<'a> {
    Pair {
        fixed,
        moving,
        fixed_modality: Modality::Ct,
        moving_modality: Modality::Pet,
        fixed_psf: Psf { fwhm_mm: [2.0, 2.0, 3.0] },
        moving_psf: Psf { fwhm_mm: [4.0; 3] },
        same_frame: false,
        given: None,
        subject: "PT",
    }
}

/// The mean distance between where two maps take the middle half of the grid.
pub(super) fn distance(a: &Transform, b: &Transform) -> f64 {
    let grid = grid();
    let points = (0..27).map(|k| [k % 3, k / 3 % 3, k / 9].map(|c| 0.25 + 0.25 * f64::from(c)));
    let distances = points.map(|share| {
        let index = [0, 1, 2].map(|axis| share[axis] * grid.size[axis] as f64);
        let p = grid.voxel_to_world(index);
        linalg::norm(linalg::sub(a.apply(p), b.apply(p)))
    });
    distances.sum::<f64>() / 27.0
}

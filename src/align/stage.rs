//! One image onto the common grid.

use super::{AlignError, Resolution};
use crate::finding::Finding;
use crate::image::{
    Geometry, Interpolation, Psf, Region, Transform, Volume, gaussian_covariance, reach, resample, source_region,
};
use crate::math::linalg::Mat3;

/// What an image is brought to.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The grid, in the reference's space.
    pub grid: &'a Geometry,
    /// The common resolution in the reference's space; `None` leaves each image at its own.
    pub resolution: Option<&'a Resolution>,
    /// How values between voxels are found.
    pub interpolation: Interpolation,
}

/// An image on the common grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// The image; NaN outside its field of view.
    pub volume: Volume<f32>,
    /// Covariance (mm2) of the blur along the image's own axes; zero where nothing was blurred.
    pub kernel_covariance_mm2: Mat3,
    /// `target_sharper_than_source` where a direction could not be matched.
    pub findings: Vec<Finding>,
}

/// Blurs an image on its own grid to the common resolution, then interpolates it once onto the common grid.
///
/// `fixed_to_moving` leads from the reference's space to the image's; for a curved map the blur is that of its linear part at
/// the middle of the grid. Only the part of the image that the grid can see is worked on.
///
/// # Errors
/// When a width is negative or not a number.
pub fn align(
    image: &Volume<f32>,
    psf: Psf,
    target: Target<'_>,
    fixed_to_moving: &Transform,
) -> Result<Aligned, AlignError> {
    let blurred = Blurred::new(image, psf, target, fixed_to_moving, [])?;
    let volume = blurred.onto(target, fixed_to_moving);
    Ok(Aligned { volume, kernel_covariance_mm2: blurred.kernel_covariance_mm2, findings: blurred.findings })
}

/// An image at the common resolution on its own grid, as much of it as a target sees: what is needed to interpolate it
/// through many maps that differ by little.
#[derive(Debug, Clone, PartialEq)]
pub struct Blurred {
    /// `None` where the target sees nothing.
    volume: Option<Volume<f32>>,
    kernel_covariance_mm2: Mat3,
    findings: Vec<Finding>,
}

impl Blurred {
    /// Blurs as [`align`] does for one map; what the target sees through the others is kept besides.
    ///
    /// # Errors
    /// When a width is negative or not a number.
    pub fn new(
        image: &Volume<f32>,
        psf: Psf,
        target: Target<'_>,
        fixed_to_moving: &Transform,
        others: impl IntoIterator<Item = Transform>,
    ) -> Result<Self, AlignError> {
        let own = Resolution::new(psf, &image.geometry)?;
        let (kernel, findings) = match target.resolution {
            Some(goal) => {
                let there = goal.through(&fixed_to_moving.linear_at(target.grid.centre_mm()));
                own.kernel_to(&there, &image.geometry)
            }
            None => ([[0.0; 3]; 3], Vec::new()),
        };
        let margin = reach(&kernel, image.geometry.spacing_mm);
        let seen = |map: &Transform| source_region(target.grid, map, &image.geometry, margin);
        let others = others.into_iter().filter_map(|map| seen(&map));
        let region = seen(fixed_to_moving).into_iter().chain(others).reduce(Region::with);
        let volume = region.map(|region| gaussian_covariance(&region.cut(image), &kernel));
        Ok(Self { volume, kernel_covariance_mm2: kernel, findings })
    }

    /// The image on the target's grid, in one interpolation.
    #[must_use]
    pub fn onto(&self, target: Target<'_>, fixed_to_moving: &Transform) -> Volume<f32> {
        match &self.volume {
            Some(volume) => resample(volume, target.grid, fixed_to_moving, target.interpolation),
            None => Volume::filled(*target.grid, f32::NAN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::{isotropic_grid, target_resolution};
    use crate::image::gaussian;
    use crate::math::linalg;
    use approx::assert_relative_eq;

    const CT: Psf = Psf { fwhm_mm: [1.0, 1.0, 3.0] };
    const PET: Psf = Psf { fwhm_mm: [6.0, 6.0, 5.0] };

    fn grid(size: [usize; 3], spacing_mm: [f64; 3]) -> Geometry {
        Geometry::new(size, spacing_mm, [0.0; 3], linalg::IDENTITY).unwrap()
    }

    fn noise(geometry: Geometry) -> Volume<f32> {
        let values = (0..geometry.n_voxels()).map(|k| ((k * 7919 + k * k * 31) % 1009) as f32).collect();
        Volume::from_values(geometry, values).unwrap()
    }

    /// Second moments (mm2) of a volume taken as a distribution, about `centre`, along x, y, z.
    fn spread(volume: &Volume<f32>, centre: [f64; 3]) -> [f64; 3] {
        let (mut total, mut second) = (0.0, [0.0; 3]);
        for ((z, y, x), value) in volume.voxels.indexed_iter().filter(|(_, v)| v.is_finite()) {
            #[allow(clippy::cast_precision_loss)]
            let p = linalg::sub(volume.geometry.voxel_to_world([x as f64, y as f64, z as f64]), centre);
            total += f64::from(*value);
            for axis in 0..3 {
                second[axis] += f64::from(*value) * p[axis] * p[axis];
            }
        }
        second.map(|s| s / total)
    }

    #[test]
    fn two_points_seen_by_two_scanners_have_one_width_after_alignment() {
        let (ct_grid, pet_grid) = (grid([61, 61, 31], [0.9, 0.9, 2.0]), grid([31, 31, 31], [2.0, 2.0, 2.0]));
        let mut widths = Vec::new();
        let resolutions = [(CT, &ct_grid), (PET, &pet_grid)]
            .map(|(psf, grid)| (Resolution::new(psf, grid).unwrap(), Transform::Identity));
        let target = target_resolution(&ct_grid, &resolutions).unwrap();
        let common = isotropic_grid(&ct_grid, 1.0).unwrap();
        for (psf, own, at) in [(CT, &ct_grid, [15, 30, 30]), (PET, &pet_grid, [15, 14, 13])] {
            let mut point = Volume::filled(*own, 0.0);
            point.voxels[at] = 1.0;
            let seen = gaussian(&point, psf.sigma_mm());
            let goal = Target { grid: &common, resolution: Some(&target), interpolation: Interpolation::Cubic };
            let aligned = align(&seen, psf, goal, &Transform::Identity).unwrap();
            assert!(aligned.findings.is_empty());
            #[allow(clippy::cast_precision_loss)]
            let centre = own.voxel_to_world([at[2] as f64, at[1] as f64, at[0] as f64]);
            widths.push(spread(&aligned.volume, centre));
        }
        for (found, fwhm) in widths[0].iter().zip([6.0, 6.0, 5.0]) {
            assert_relative_eq!(found.sqrt() * 2.3548, fwhm, max_relative = 0.01);
        }
        for (ct, pet) in widths[0].iter().zip(widths[1]) {
            assert_relative_eq!(*ct, pet, max_relative = 0.02);
        }
    }

    #[test]
    fn the_blur_is_done_before_the_interpolation_and_there_is_one_interpolation() {
        let image = noise(grid([40, 40, 20], [1.0, 1.0, 2.5]));
        let common = isotropic_grid(&image.geometry, 1.0).unwrap();
        let target = Resolution::new(PET, &image.geometry).unwrap();
        let map = Transform::translation([0.4, 0.3, 0.2]);
        for interpolation in [Interpolation::Linear, Interpolation::Cubic] {
            let goal = Target { grid: &common, resolution: Some(&target), interpolation };
            let found = align(&image, CT, goal, &map).unwrap();
            let sigma = [0, 1, 2].map(|a| (PET.sigma_mm()[a].powi(2) - CT.sigma_mm()[a].powi(2)).sqrt());
            let expected = resample(&gaussian(&image, sigma), &common, &map, interpolation);
            let other_order = gaussian(&resample(&image, &common, &map, interpolation), sigma);
            let difference = |a: &Volume<f32>, b: &Volume<f32>| {
                a.voxels.iter().zip(&b.voxels).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            assert!(difference(&found.volume, &expected) < 1e-3);
            assert!(difference(&found.volume, &other_order) > 1.0);
        }
    }

    #[test]
    fn a_part_of_the_grid_gets_the_values_of_the_whole() {
        let image = noise(grid([90, 80, 50], [1.0, 1.0, 2.5]));
        let whole = isotropic_grid(&image.geometry, 1.0).unwrap();
        let part = Region { start: [30, 30, 40], end: [50, 45, 60] };
        let target = Resolution::new(PET, &image.geometry).unwrap();
        let map = Transform::rigid([0.05, 0.02, -0.1], image.geometry.centre_mm(), [1.0, 2.0, 3.0]);
        let run = |grid: &Geometry| {
            let goal = Target { grid, resolution: Some(&target), interpolation: Interpolation::Cubic };
            align(&image, CT, goal, &map).unwrap().volume
        };
        let (small, large) = (run(&part.geometry(&whole)), part.cut(&run(&whole)));
        let worst = small.voxels.iter().zip(&large.voxels).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-3, "{worst}");
    }

    #[test]
    fn an_image_beside_the_grid_is_missing_everywhere() {
        let image = noise(grid([10, 10, 10], [1.0; 3]));
        let goal = Target { grid: &image.geometry, resolution: None, interpolation: Interpolation::Linear };
        let aligned = align(&image, CT, goal, &Transform::translation([100.0, 0.0, 0.0])).unwrap();
        assert!(aligned.volume.voxels.iter().all(|v| v.is_nan()));
        let bad = Psf { fwhm_mm: [0.0, f64::NAN, 1.0] };
        assert!(align(&image, bad, goal, &Transform::Identity).is_err());
    }
}

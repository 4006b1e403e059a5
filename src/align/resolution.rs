//! One resolution: how much each image has to be blurred to reach it.
//!
//! Point spread functions are Gaussians, so that widths add in quadrature: sigma_kernel^2 = sigma_target^2 - sigma_source^2.
//! Where the axes of two images differ the same holds for covariance matrices. With A the linear part of the map from the
//! reference to an image, the target in that image's space is A S_target A', and the kernel is A S_target A' - S_source with
//! its negative eigenvalues set to zero: along those directions the target is sharper, and no blur undoes a blur.

use super::AlignError;
use crate::finding::{Finding, FindingKind};
use crate::image::{Geometry, Psf, Transform, Volume, gaussian};
use crate::math::linalg::{self, Mat3, Vec3};

/// By which share of its own width a target may be sharper than a source before it is remarked on: less is within the
/// error of any measured width.
const TOLERANCE: f64 = 0.01;

/// The resolution of an image in patient space: the covariance (mm2) of its point spread function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolution {
    covariance_mm2: Mat3,
}

/// An image at another resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    /// The blurred image, on its own grid.
    pub volume: Volume<f32>,
    /// Standard deviations of the blur along the image's axes.
    pub kernel_sigma_mm: Vec3,
    /// `target_sharper_than_source` where an axis could not be matched.
    pub findings: Vec<Finding>,
}

/// Blurs an image from one resolution to another, both along the image's own axes:
/// sigma_kernel = sqrt(sigma_to^2 - sigma_from^2) per axis.
///
/// Along an axis where the target is sharper nothing is blurred, and the finding `target_sharper_than_source` says so.
///
/// # Errors
/// When a width is negative or not a number.
pub fn match_resolution(image: &Volume<f32>, from: Psf, to: Psf) -> Result<Matched, AlignError> {
    for psf in [from, to] {
        if !psf.is_valid() {
            return Err(AlignError::Resolution(psf.fwhm_mm));
        }
    }
    let (source, target) = (from.sigma_mm(), to.sigma_mm());
    let kernel_sigma_mm = [0, 1, 2].map(|axis| (target[axis].powi(2) - source[axis].powi(2)).max(0.0).sqrt());
    let sharper: Vec<String> = (0..3)
        .filter(|axis| target[*axis] < source[*axis] * (1.0 - TOLERANCE))
        .map(|axis| {
            format!(
                "{} ({:.2} mm FWHM asked, {:.2} mm there)",
                ["x", "y", "z"][axis],
                to.fwhm_mm[axis],
                from.fwhm_mm[axis]
            )
        })
        .collect();
    Ok(Matched { volume: gaussian(image, kernel_sigma_mm), kernel_sigma_mm, findings: sharper_finding(&sharper) })
}

/// The remark that along these axes nothing was blurred.
fn sharper_finding(axes: &[String]) -> Vec<Finding> {
    if axes.is_empty() {
        return Vec::new();
    }
    vec![Finding::new(FindingKind::TargetSharperThanSource, "", format!("not blurred along {}", axes.join(", ")))]
}

impl Resolution {
    /// The resolution of an image with this point spread function along the axes of its grid.
    ///
    /// # Errors
    /// When a width is negative or not a number.
    pub fn new(psf: Psf, geometry: &Geometry) -> Result<Self, AlignError> {
        if !psf.is_valid() {
            return Err(AlignError::Resolution(psf.fwhm_mm));
        }
        Ok(Self { covariance_mm2: psf.covariance_mm2(geometry) })
    }

    /// The covariance of the point spread function in patient space, mm2.
    #[must_use]
    pub fn covariance_mm2(&self) -> &Mat3 {
        &self.covariance_mm2
    }

    /// Seen through a map whose linear part is `linear`: A S A'.
    #[must_use]
    pub fn through(&self, linear: &Mat3) -> Self {
        let product = linalg::mul(&linalg::mul(linear, &self.covariance_mm2), &linalg::transpose(linear));
        Self { covariance_mm2: product }
    }

    /// Widths along the axes of a grid.
    #[must_use]
    pub fn along(&self, geometry: &Geometry) -> Psf {
        let variance = geometry.directions.map(|d| linalg::dot(d, linalg::mul_vec(&self.covariance_mm2, d)));
        Psf::from_sigma_mm(variance.map(|v| v.max(0.0).sqrt()))
    }

    /// The covariance (mm2, along the grid's axes) that takes an image of this resolution on this grid to `target`, and
    /// what is to be remarked where the target is sharper.
    #[must_use]
    pub fn kernel_to(&self, target: &Self, geometry: &Geometry) -> (Mat3, Vec<Finding>) {
        let to_axes =
            |s: &Mat3| linalg::mul(&linalg::mul(&geometry.directions, s), &linalg::transpose(&geometry.directions));
        let (goal, own) = (to_axes(&target.covariance_mm2), to_axes(&self.covariance_mm2));
        let difference = [0, 1, 2].map(|i| [0, 1, 2].map(|j| goal[i][j] - own[i][j]));
        let (values, axes) = linalg::symmetric_eigen(&difference);
        let mut sharper = Vec::new();
        for (value, axis) in values.iter().zip(axes) {
            let own_variance = linalg::dot(axis, linalg::mul_vec(&own, axis));
            // (1 - tolerance)^2 in variances.
            if *value < -2.0 * TOLERANCE * own_variance {
                let fwhm = |v: f64| Psf::from_sigma_mm([v.max(0.0).sqrt(); 3]).fwhm_mm[0];
                sharper.push(format!(
                    "({:.2}, {:.2}, {:.2}) ({:.2} mm FWHM asked, {:.2} mm there)",
                    axis[0],
                    axis[1],
                    axis[2],
                    fwhm(own_variance + value),
                    fwhm(own_variance)
                ));
            }
        }
        if values.iter().all(|v| *v >= 0.0) {
            return (difference, Vec::new());
        }
        (linalg::from_axes(values.map(|v| v.max(0.0)), &axes), sharper_finding(&sharper))
    }
}

/// The resolution that all images of a case can be brought to: the coarsest along each axis of the reference's grid.
///
/// `images` are the resolutions of the images, each with the map from the reference's space to the image's. In the
/// reference's space and along its axes the largest variance over the images is taken per axis. That box of variances
/// contains every image's ellipsoid when the axes agree; where an image lies obliquely it may stick out at an edge, and the
/// target is then widened as a whole by the smallest factor that makes it contain all of them. So no image is ever asked to
/// become sharper.
///
/// # Errors
/// When a transform cannot be inverted at the middle of the reference.
pub fn target_resolution(reference: &Geometry, images: &[(Resolution, Transform)]) -> Result<Resolution, AlignError> {
    let middle = reference.centre_mm();
    let mut seen = Vec::with_capacity(images.len());
    for (resolution, fixed_to_moving) in images {
        let to_reference = linalg::inverse(&fixed_to_moving.linear_at(middle)).ok_or(AlignError::Transform)?;
        let axes = linalg::mul(&reference.directions, &to_reference);
        seen.push(resolution.through(&axes).covariance_mm2);
    }
    let largest = [0, 1, 2].map(|axis| seen.iter().map(|s| s[axis][axis]).fold(0.0, f64::max));
    let widen = seen.iter().map(|s| largest_ratio(s, largest)).fold(1.0, f64::max);
    // Rounding alone must not widen a target whose axes are everyone's.
    let widen = if widen < 1.0 + 1e-9 { 1.0 } else { widen };
    let variances = largest.map(|v| v * widen);
    Ok(Resolution { covariance_mm2: linalg::from_axes(variances, &reference.directions) })
}

/// The largest eigenvalue of D^-1/2 S D^-1/2 with D the diagonal of `variances`.
fn largest_ratio(s: &Mat3, variances: Vec3) -> f64 {
    let scale = variances.map(|v| if v > 0.0 { 1.0 / v.sqrt() } else { 0.0 });
    let scaled = [0, 1, 2].map(|i| [0, 1, 2].map(|j| s[i][j] * scale[i] * scale[j]));
    linalg::symmetric_eigen(&scaled).0.into_iter().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn grid(directions: Mat3) -> Geometry {
        Geometry::new([41, 41, 31], [1.0, 1.2, 2.0], [0.0; 3], directions).unwrap()
    }

    fn psf(x: f64, y: f64, z: f64) -> Psf {
        Psf { fwhm_mm: [x, y, z] }
    }

    fn point(geometry: Geometry) -> Volume<f32> {
        let mut image = Volume::filled(geometry, 0.0);
        image.voxels[[15, 20, 20]] = 1.0;
        image
    }

    #[test]
    fn an_image_of_known_width_reaches_the_target_width_in_mm() {
        let from = psf(3.0, 4.0, 5.0);
        let to = psf(7.0, 6.0, 8.0);
        let own = gaussian(&point(grid(linalg::IDENTITY)), from.sigma_mm());
        let matched = match_resolution(&own, from, to).unwrap();
        assert!(matched.findings.is_empty());
        for axis in 0..3 {
            let (mut total, mut second) = (0.0, 0.0);
            for ((z, y, x), value) in matched.volume.voxels.indexed_iter() {
                #[allow(clippy::cast_precision_loss)]
                let at = ([x as f64 - 20.0, y as f64 - 20.0, z as f64 - 15.0][axis]) * own.geometry.spacing_mm[axis];
                total += f64::from(*value);
                second += f64::from(*value) * at * at;
            }
            assert_relative_eq!((second / total).sqrt(), to.sigma_mm()[axis], max_relative = 2e-3);
        }
    }

    #[test]
    fn a_sharper_target_is_not_faked_but_remarked_on() {
        let image = point(grid(linalg::IDENTITY));
        let matched = match_resolution(&image, psf(5.0, 5.0, 5.0), psf(4.0, 5.0, 4.99)).unwrap();
        assert_eq!(matched.volume, image);
        assert_eq!(matched.findings.len(), 1);
        assert_eq!(matched.findings[0].kind, FindingKind::TargetSharperThanSource);
        assert!(matched.findings[0].detail.contains("x (4.00 mm FWHM asked, 5.00 mm there)"));
        assert!(!matched.findings[0].detail.contains('z'));
        assert!(match_resolution(&image, psf(-1.0, 1.0, 1.0), psf(2.0, 2.0, 2.0)).is_err());
        assert!(match_resolution(&image, psf(1.0, 1.0, 1.0), psf(f64::NAN, 2.0, 2.0)).is_err());
    }

    #[test]
    fn the_target_of_images_with_the_same_axes_is_the_largest_width_per_axis() {
        let reference = grid(linalg::rotation([0.1, 0.2, 0.3]));
        let images = [psf(1.0, 1.0, 5.0), psf(6.0, 4.0, 4.0)]
            .map(|psf| (Resolution::new(psf, &reference).unwrap(), Transform::Identity));
        let target = target_resolution(&reference, &images).unwrap();
        for (found, expected) in target.along(&reference).fwhm_mm.iter().zip([6.0, 4.0, 5.0]) {
            assert_relative_eq!(*found, expected, max_relative = 1e-9);
        }
    }

    #[test]
    fn no_image_is_asked_to_become_sharper_however_it_lies() {
        let reference = grid(linalg::IDENTITY);
        let oblique = grid(linalg::rotation([0.5, 0.2, -0.4]));
        let turn = Transform::rigid([0.1, -0.2, 0.3], [5.0; 3], [1.0; 3]);
        let images = [
            (Resolution::new(psf(1.0, 1.0, 3.0), &reference).unwrap(), Transform::Identity),
            (Resolution::new(psf(2.0, 3.0, 8.0), &oblique).unwrap(), turn.clone()),
        ];
        let target = target_resolution(&reference, &images).unwrap();
        for ((resolution, map), own) in images.iter().zip([&reference, &oblique]) {
            let there = target.through(&map.linear_at([0.0; 3]));
            let (kernel, findings) = resolution.kernel_to(&there, own);
            assert!(findings.is_empty(), "{findings:?}");
            // Source and kernel add up to the target exactly.
            let kernel_world = linalg::mul(&linalg::mul(&linalg::transpose(&own.directions), &kernel), &own.directions);
            let sum = [0, 1, 2].map(|i| [0, 1, 2].map(|j| kernel_world[i][j] + resolution.covariance_mm2[i][j]));
            for (sum, goal) in sum.iter().flatten().zip(there.covariance_mm2.iter().flatten()) {
                assert_relative_eq!(*sum, *goal, epsilon = 1e-9);
            }
        }
    }

    #[test]
    fn an_oblique_target_that_is_sharper_along_one_direction_is_remarked_on() {
        let own = grid(linalg::IDENTITY);
        let source = Resolution::new(psf(2.0, 2.0, 8.0), &own).unwrap();
        let target = source.through(&linalg::rotation([0.6, 0.0, 0.0]));
        let (kernel, findings) = source.kernel_to(&target, &own);
        assert_eq!(findings.len(), 1);
        assert!(linalg::symmetric_eigen(&kernel).0.iter().all(|v| *v > -1e-12));
        assert!(kernel[1][2].abs() > 0.1);
    }
}

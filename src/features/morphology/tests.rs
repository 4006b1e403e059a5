use approx::assert_relative_eq;
use ndarray::Array3;

use super::*;
use crate::features::results::Results;
use crate::image::Geometry;
use crate::math::linalg::IDENTITY;

fn measured(voxels: Array3<f32>, mask: Array3<bool>, spacing: Vec3) -> Results {
    let (nz, ny, nx) = voxels.dim();
    let geometry = Geometry::new([nx, ny, nz], spacing, [3.0, -4.0, 5.0], IDENTITY).unwrap();
    let mut results = Results::default();
    measure(&Roi::new(voxels, mask, geometry, [nx, ny, nz]), true, Effort::WHOLE, &mut results);
    results
}

fn value(results: &Results, tag: &str) -> f64 {
    results.values.iter().find(|value| value.tag == tag).unwrap().value
}

fn omitted(results: &Results) -> Vec<&str> {
    results.omitted.iter().map(|omission| omission.tag.as_str()).collect()
}

#[test]
fn a_ball_is_nearly_a_sphere_by_every_measure() {
    let radius = 14.3;
    let mask = Array3::from_shape_fn((33, 33, 33), |(z, y, x)| {
        [x, y, z].iter().map(|v| (*v as f64 - 16.0).powi(2)).sum::<f64>() <= radius * radius
    });
    let found = measured(Array3::from_elem((33, 33, 33), 2.0), mask, [1.0; 3]);
    let volume = 4.0 / 3.0 * PI * radius.powi(3);
    assert_relative_eq!(value(&found, "morph_volume"), volume, max_relative = 0.02);
    assert_relative_eq!(value(&found, "morph_integ_int"), 2.0 * value(&found, "morph_volume"), max_relative = 1e-12);
    assert_relative_eq!(value(&found, "morph_diam"), 2.0 * radius, max_relative = 0.05);
    assert_relative_eq!(value(&found, "morph_pca_flatness"), 1.0, max_relative = 1e-9);
    assert_relative_eq!(value(&found, "morph_pca_maj_axis"), 4.0 * radius / 5f64.sqrt(), max_relative = 0.01);
    assert_relative_eq!(value(&found, "morph_vol_dens_conv_hull"), 1.0, max_relative = 0.05);
    assert_relative_eq!(value(&found, "morph_vol_dens_mvee"), 1.0, max_relative = 0.1);
    assert_relative_eq!(value(&found, "morph_vol_dens_aabb"), PI / 6.0, max_relative = 0.05);
    assert_relative_eq!(value(&found, "morph_com"), 0.0, epsilon = 1e-9);
    assert!(value(&found, "morph_sphericity") < 1.0 && value(&found, "morph_sphericity") > 0.9);
    let product = value(&found, "morph_sphericity") * value(&found, "morph_sph_dispr");
    assert_relative_eq!(product, 1.0, max_relative = 1e-12);
}

#[test]
fn one_voxel_has_a_shape_and_no_axes() {
    let found = measured(Array3::from_elem((1, 1, 1), 7.0), Array3::from_elem((1, 1, 1), true), [1.0, 2.0, 3.0]);
    assert_relative_eq!(value(&found, "morph_vol_approx"), 6.0);
    assert_relative_eq!(value(&found, "morph_volume"), 1.0, max_relative = 1e-12);
    assert_relative_eq!(value(&found, "morph_diam"), 3.0, max_relative = 1e-12);
    assert_relative_eq!(value(&found, "morph_pca_maj_axis"), 0.0);
    // The octahedron's ellipsoid has its half diagonals as axes.
    assert_relative_eq!(value(&found, "morph_vol_dens_mvee"), 1.0 / PI, max_relative = 1e-6);
    let without = ["morph_pca_elongation", "morph_pca_flatness", "morph_vol_dens_aee", "morph_area_dens_aee"];
    assert_eq!(omitted(&found)[..4], without);
    assert!(found.values.iter().all(|value| value.value.is_finite()));
}

#[test]
fn a_slice_has_a_least_axis_of_zero_and_no_ellipsoid_volume() {
    let found = measured(Array3::from_elem((1, 8, 9), 1.0), Array3::from_elem((1, 8, 9), true), [1.0; 3]);
    assert_relative_eq!(value(&found, "morph_pca_flatness"), 0.0);
    assert_relative_eq!(value(&found, "morph_pca_least_axis"), 0.0);
    assert!(omitted(&found).contains(&"morph_vol_dens_aee"));
    let line = measured(Array3::from_elem((1, 1, 9), 1.0), Array3::from_elem((1, 1, 9), true), [1.0; 3]);
    assert!(omitted(&line).contains(&"morph_area_dens_aee"));
    assert_relative_eq!(value(&line, "morph_pca_elongation"), 0.0);
}

#[test]
fn intensities_that_cancel_have_no_centre() {
    let voxels = Array3::from_shape_fn((2, 2, 2), |(_, _, x)| if x == 0 { 1.0 } else { -1.0 });
    let found = measured(voxels, Array3::from_elem((2, 2, 2), true), [1.0; 3]);
    assert!(omitted(&found).contains(&"morph_com"));
    assert_relative_eq!(value(&found, "morph_integ_int"), 0.0);
}

#[test]
fn pieces_far_apart_are_one_region() {
    let mask = Array3::from_shape_fn((5, 5, 90), |(_, _, x)| x == 1 || x == 80);
    let found = measured(Array3::from_elem((5, 5, 90), 1.0), mask, [1.0; 3]);
    assert!(value(&found, "morph_vol_dens_conv_hull") < 0.05);
    assert_relative_eq!(value(&found, "morph_vol_approx"), 50.0);
}

#[test]
fn values_are_the_same_for_any_number_of_threads() {
    let at = |z: usize, y: usize, x: usize| ((x * 31 + y * 17 + z * 7) % 23) as f32 * 0.37;
    let voxels = Array3::from_shape_fn((20, 30, 90), |(z, y, x)| at(z, y, x));
    let mask = Array3::from_shape_fn((20, 30, 90), |(z, y, x)| at(z, y, x) > 2.0 && x > 3 + z && y + z < 40);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let results = pool.install(|| measured(voxels.clone(), mask.clone(), [0.9, 1.1, 3.0]));
        results.values.iter().map(|value| value.value.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(with(1), with(2));
    assert_eq!(with(1), with(7));
}

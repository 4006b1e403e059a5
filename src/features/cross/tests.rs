//! Known joint distributions and planted habitats.

use approx::assert_relative_eq;

use super::*;
use crate::image::Geometry;
use crate::math::linalg::IDENTITY;
use crate::math::random::Stream;

fn geometry(size: [usize; 3]) -> Geometry {
    Geometry::new(size, [1.0, 1.0, 2.0], [0.0; 3], IDENTITY).unwrap()
}

fn image(size: [usize; 3], values: impl Iterator<Item = f64>) -> Volume<f32> {
    Volume::from_values(geometry(size), values.map(|value| value as f32).collect()).unwrap()
}

fn value(found: &Crossed, tag: &str) -> f64 {
    found.values.iter().find(|value| value.tag == tag).map_or(f64::NAN, |value| value.value)
}

fn compare(first: &Volume<f32>, second: &Volume<f32>, bins: u32) -> Crossed {
    let mask = Mask::filled(first.geometry, true);
    cross(first, second, &mask, CrossSettings { bins, ..CrossSettings::default() }).unwrap()
}

/// Pairs of normal numbers with a correlation.
fn normal_pairs(size: [usize; 3], rho: f64) -> [Volume<f32>; 2] {
    let mut stream = Stream::new(3, 5, 0);
    let n = size.iter().product::<usize>();
    let pairs: Vec<(f64, f64)> = (0..n)
        .map(|_| {
            let (u, v) = (stream.normal(), stream.normal());
            (u, rho * u + (1.0 - rho * rho).sqrt() * v)
        })
        .collect();
    [image(size, pairs.iter().map(|pair| pair.0)), image(size, pairs.iter().map(|pair| pair.1))]
}

#[test]
fn two_by_two_levels_have_the_information_of_pen_and_paper() {
    // Counts 40 10 / 10 40.
    let a = image([10, 10, 1], (0..100).map(|i| f64::from(u8::from(i >= 50))));
    let b = image([10, 10, 1], (0..100).map(|i| f64::from(u8::from((40..50).contains(&i) || i >= 60))));
    let found = compare(&a, &b, 2);
    let entropy = -2.0 * (0.4 * 0.4f64.log2() + 0.1 * 0.1f64.log2());
    assert_relative_eq!(value(&found, "cross_joint_entropy"), entropy, epsilon = 1e-12);
    assert_relative_eq!(value(&found, "cross_mi"), 2.0 - entropy, epsilon = 1e-12);
    assert_relative_eq!(value(&found, "cross_nmi"), 2.0 / entropy, epsilon = 1e-12);
    assert_relative_eq!(value(&found, "cross_pearson"), 0.6, epsilon = 1e-12);
}

#[test]
fn an_image_and_an_increasing_function_of_it_go_together_in_every_way() {
    let [a, _] = normal_pairs([12, 11, 10], 0.0);
    let b = Volume { voxels: a.voxels.mapv(|value| 3.0 * value + 7.0), geometry: a.geometry };
    let found = compare(&a, &b, 16);
    assert_relative_eq!(value(&found, "cross_nmi"), 2.0, epsilon = 1e-2);
    for tag in ["cross_pearson", "cross_spearman", "cross_local_corr", "cross_dice_p50", "cross_dice_p90"] {
        assert_relative_eq!(value(&found, tag), 1.0, epsilon = 1e-6);
    }
    let cubed = Volume { voxels: a.voxels.mapv(|value| -value.powi(3)), geometry: a.geometry };
    let found = compare(&a, &cubed, 16);
    assert_relative_eq!(value(&found, "cross_spearman"), -1.0, epsilon = 1e-9);
    assert!(value(&found, "cross_pearson") > -0.95);
    assert_relative_eq!(value(&found, "cross_dice_p90"), 0.0);
}

#[test]
fn normal_pairs_have_the_mutual_information_and_correlations_of_their_closed_forms() {
    let rho: f64 = 0.8;
    let [a, b] = normal_pairs([64, 64, 64], rho);
    let found = compare(&a, &b, 64);
    assert_relative_eq!(value(&found, "cross_pearson"), rho, epsilon = 0.005);
    // Spearman of a normal pair: 6/pi asin(rho/2).
    let spearman = 6.0 / std::f64::consts::PI * (rho / 2.0).asin();
    assert_relative_eq!(value(&found, "cross_spearman"), spearman, epsilon = 0.005);
    assert_relative_eq!(value(&found, "cross_mi"), -0.5 * (1.0 - rho * rho).log2(), epsilon = 0.02);
    // Both above their medians: 1/4 + asin(rho) / (2 pi), of a half each.
    let quadrant = 0.25 + rho.asin() / std::f64::consts::TAU;
    assert_relative_eq!(value(&found, "cross_dice_p50"), 2.0 * quadrant, epsilon = 0.005);
    // Neighbours were drawn independently.
    assert!(value(&found, "cross_cm_corr").abs() < 0.01);
    assert!(value(&found, "cross_cm_mi") < 0.01);
    assert!((value(&found, "cross_local_corr") - rho).abs() < 0.03);
}

#[test]
fn neighbours_of_a_shifted_image_are_found_by_the_cross_matrix() {
    let values = |shift: usize| (0..9 * 8 * 7).map(move |i| f64::from(u8::from(((i + shift) % 9).is_multiple_of(2))));
    let (a, b) = (image([9, 8, 7], values(0)), image([9, 8, 7], values(1)));
    let found = compare(&a, &b, 2);
    // Along x levels alternate: of 26 neighbours the 18 one column aside agree where the shift has turned b over.
    assert!(value(&found, "cross_cm_corr") > 0.2);
    assert!(value(&found, "cross_pearson") < -0.5);
}

#[test]
fn a_flat_image_and_missing_voxels_leave_out_what_has_no_meaning() {
    let [mut a, _] = normal_pairs([6, 6, 6], 0.0);
    let flat = Volume::filled(a.geometry, 5.0f32);
    let found = compare(&a, &flat, 8);
    assert_relative_eq!(value(&found, "cross_mi"), 0.0);
    let omitted: Vec<&str> = found.omitted.iter().map(|omission| omission.tag.as_str()).collect();
    assert!(omitted.contains(&"cross_pearson") && omitted.contains(&"cross_local_corr"), "{omitted:?}");
    assert!(found.values.iter().all(|value| value.value.is_finite()));
    a.voxels.fill(f32::NAN);
    let refused = cross(&a, &flat, &Mask::filled(a.geometry, true), CrossSettings::default());
    assert_eq!(refused.unwrap_err(), empty());
    let mask = Mask::filled(geometry([6, 6, 5]), true);
    assert!(matches!(cross(&flat, &flat, &mask, CrossSettings::default()), Err(FeatureError::Grid { .. })));
}

/// Three slabs along z, each with its own mean in both images; the truth, and the images.
fn slabs(noise: f64) -> (Vec<u8>, [Volume<f32>; 2]) {
    let size = [12, 10, 18];
    let mut stream = Stream::new(11, 5, 1);
    let truth: Vec<u8> = (0..size.iter().product()).map(|i: usize| (i / (120 * 6)) as u8 + 1).collect();
    let means = [[0.0, 8.0], [4.0, 0.0], [9.0, 6.0]];
    let mut draw = |image: usize| -> Vec<f64> {
        truth.iter().map(|slab| means[usize::from(*slab) - 1][image] + noise * stream.normal()).collect()
    };
    let images = [draw(0), draw(1)];
    (truth, images.map(|values| image(size, values.into_iter())))
}

#[test]
fn planted_habitats_are_recovered_with_their_shares_pieces_and_interfaces() {
    for method in [HabitatMethod::KMeans, HabitatMethod::GaussianMixture] {
        let (truth, [a, b]) = slabs(0.6);
        let mask = Mask::filled(a.geometry, true);
        let found = habitats(&[&a, &b], &mask, HabitatSettings { method, ..HabitatSettings::default() }).unwrap();
        assert_eq!(found.labels.voxels.iter().copied().collect::<Vec<u8>>(), truth, "{method:?}");
        for number in 1..=3 {
            let value = |tag: &str| value(&found.features, &format!("{tag}_{number}"));
            assert_relative_eq!(value("habitat_share"), 1.0 / 3.0, epsilon = 1e-12);
            assert_relative_eq!(value("habitat_pieces"), 1.0);
            assert_relative_eq!(value("habitat_connected"), 1.0);
            // Faces of 1 x 1 mm between slabs, on one side or on both.
            assert_relative_eq!(value("habitat_interface"), if number == 2 { 240.0 } else { 120.0 });
        }
    }
}

#[test]
fn a_mixture_tells_a_wide_component_from_a_narrow_one_inside_it() {
    let size = [20, 20, 20];
    let mut stream = Stream::new(5, 5, 2);
    let values: Vec<f64> =
        (0..8000).map(|i| if i < 4000 { 0.2 * stream.normal() } else { 4.0 * stream.normal() }).collect();
    let (a, mask) = (image(size, values.iter().copied()), Mask::filled(geometry(size), true));
    let settings = HabitatSettings { method: HabitatMethod::GaussianMixture, count: 2, seed: 1 };
    let found = habitats(&[&a], &mask, settings).unwrap();
    let labels: Vec<u8> = found.labels.voxels.iter().copied().collect();
    let narrow = labels[..4000].iter().filter(|label| **label == labels[0]).count();
    assert!(narrow > 3800, "{narrow}");
}

#[test]
fn comparisons_and_habitats_are_the_same_for_any_number_of_threads() {
    let [a, b] = normal_pairs([48, 48, 40], 0.5);
    let mask = Mask::filled(a.geometry, true);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let settings = HabitatSettings { method: HabitatMethod::GaussianMixture, ..HabitatSettings::default() };
            let crossed = compare(&a, &b, 32);
            let bits: Vec<u64> = crossed.values.iter().map(|value| value.value.to_bits()).collect();
            (bits, habitats(&[&a, &b], &mask, settings).unwrap())
        })
    };
    let alone = with(1);
    assert!(alone == with(2) && alone == with(7));
}

#[test]
fn a_single_voxel_and_fewer_voxels_than_habitats_have_values_where_they_have_a_meaning() {
    let a = image([1, 1, 2], [1.0, 2.0].into_iter());
    let mut mask = Mask::filled(a.geometry, true);
    let found = habitats(&[&a], &mask, HabitatSettings::default()).unwrap();
    assert!(found.features.values.iter().all(|value| value.value.is_finite()));
    assert!(found.features.omitted.iter().any(|omission| omission.tag == "habitat_connected_3"));
    mask.voxels[[1, 0, 0]] = false;
    let found = cross(&a, &a, &mask, CrossSettings::default()).unwrap();
    assert_relative_eq!(value(&found, "cross_joint_entropy"), 0.0);
    assert!(found.omitted.iter().any(|omission| omission.tag == "cross_cm_corr"));
}

//! Regions, intensities and settings that have brought other programs down: defined values or a named reason, never a crash,
//! never a value that is not finite, never memory by the number of bins.

use std::time::{Duration, Instant};

use super::filters::{BinaryPattern, Boundary, Dimensions, Filter, LaplacianOfGaussian, Plain, Wavelet, WaveletFamily};
use super::*;
use crate::image::{Geometry, Interpolation, Mask, Volume};
use crate::math::linalg::IDENTITY;

const SIZE: [usize; 3] = [24, 21, 12];

fn image(value: impl Fn(usize, usize, usize) -> f32) -> Volume<f32> {
    let geometry = Geometry::new(SIZE, [1.0, 1.0, 2.0], [0.0; 3], IDENTITY).unwrap();
    let voxels = ndarray::Array3::from_shape_fn(geometry.shape(), |(z, y, x)| value(x, y, z));
    Volume { voxels, geometry }
}

fn bumpy() -> Volume<f32> {
    image(|x, y, z| ((x * 7 + y * 13 + z * 29 + x * y) % 31) as f32 - 5.0)
}

fn region(inside: impl Fn(usize, usize, usize) -> bool) -> Mask {
    let Volume { geometry, .. } = bumpy();
    Mask { voxels: ndarray::Array3::from_shape_fn(geometry.shape(), |(z, y, x)| inside(x, y, z)), geometry }
}

fn block() -> Mask {
    region(|x, y, z| (5..17).contains(&x) && (4..15).contains(&y) && (2..9).contains(&z))
}

fn all() -> Settings {
    let texture = Texture { aggregations: Aggregation::ALL.to_vec(), ..Texture::default() };
    Settings { discretise: Discretise::BinWidth(2.0), ivh: Discretise::BinWidth(0.5), texture, ..Settings::default() }
}

/// Everything finite, and every tag of the default aggregations either a value or an omission with a reason.
fn check(found: &Extraction, what: &str) {
    assert!(!found.values.is_empty(), "{what}");
    for value in &found.values {
        assert!(value.value.is_finite(), "{what}: {} {}", value.filter, value.tag);
    }
    for omission in &found.diagnostics.omitted {
        assert!(!omission.reason.is_empty(), "{what}: {}", omission.tag);
    }
    let told = |tag: &str| {
        found.values.iter().any(|value| value.tag.starts_with(tag))
            || found.diagnostics.omitted.iter().any(|omission| {
                omission.tag.starts_with(tag) || Family::ALL.iter().any(|family| family.name() == omission.tag)
            })
    };
    for feature in table::all().filter(|feature| feature.family != Family::Cross) {
        assert!(told(feature.tag), "{what}: {} is neither there nor said to be missing", feature.tag);
    }
}

fn value(found: &Extraction, tag: &str) -> f64 {
    found.values.iter().find(|value| value.tag == tag).unwrap_or_else(|| panic!("{tag}")).value
}

#[test]
fn regions_of_one_voxel_a_line_a_slice_several_parts_and_the_whole_image_have_values_or_reasons() {
    let image = bumpy();
    let masks = [
        ("one voxel", region(|x, y, z| (x, y, z) == (9, 9, 5))),
        ("a voxel in the corner", region(|x, y, z| (x, y, z) == (23, 20, 11))),
        ("two voxels", region(|x, y, z| (8..10).contains(&x) && (y, z) == (9, 5))),
        ("a line", region(|_, y, z| (y, z) == (9, 5))),
        ("a slice", region(|_, _, z| z == 11)),
        ("a plane across slices", region(|x, _, _| x == 0)),
        ("four parts", region(|x, y, z| x % 20 < 3 && y % 17 < 3 && z < 4)),
        ("a chequerboard", region(|x, y, z| (x + y + z) % 2 == 0)),
        ("the image", region(|_, _, _| true)),
    ];
    let resampled = Settings { resample: Some(Resample::new(Spacing::Isotropic(1.5), Interpolation::Cubic)), ..all() };
    for (what, mask) in &masks {
        check(&extract(&image, mask, &all()).unwrap(), what);
        match extract(&image, mask, &resampled) {
            Ok(found) => check(&found, what),
            // A line thinner than the new voxels may cover none of them by one half.
            Err(error) => assert_eq!(error, FeatureError::EmptyRoi(RoiStep::Interpolated), "{what}"),
        }
    }
}

#[test]
fn a_flat_region_has_the_defined_values_of_a_flat_region() {
    let found = extract(&image(|_, _, _| 7.0), &block(), &all()).unwrap();
    check(&found, "flat");
    let expected = [
        ("stat_var", 0.0),
        ("stat_skew", 0.0),
        ("stat_kurt", 0.0),
        ("cm_corr_3D_comb", 1.0),
        ("cm_info_corr1_3D_comb", 0.0),
        ("ngt_coarseness_3D", 1e6),
        ("ngt_contrast_3D", 0.0),
        ("ngt_busyness_3D", 0.0),
        ("ih_entropy", 0.0),
        ("ivh_auc", 0.0),
    ];
    for (tag, expected) in expected {
        assert!((value(&found, tag) - expected).abs() < 1e-9, "{tag} is {}", value(&found, tag));
    }
}

#[test]
fn missing_and_infinite_voxels_enter_nothing() {
    let mut image = bumpy();
    for (k, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().enumerate() {
        image.voxels[[3 + k, 6, 7]] = bad;
    }
    check(&extract(&image, &block(), &all()).unwrap(), "some missing");
    image.voxels.fill(f32::NAN);
    assert_eq!(extract(&image, &block(), &all()), Err(FeatureError::EmptyRoi(RoiStep::Resegmented)));
}

/// Far below what an array by level or by pair of levels would take.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn an_outlier_or_a_bound_of_a_billion_costs_no_memory_by_level() {
    let begun = Instant::now();
    let mut image = bumpy();
    image.voxels[[5, 8, 9]] = 1e9;
    let bounds = [Resegment::default(), Resegment::range(-1e9, 1e9), Resegment::range(-5.0, 1e12)];
    for resegment in bounds {
        for (discretise, ivh) in [
            (Discretise::BinWidth(1.0), Discretise::BinWidth(0.001)),
            (Discretise::BinWidth(1e-6), Discretise::None),
            (Discretise::Bins(MAX_BINS), Discretise::Bins(MAX_BINS)),
        ] {
            let settings = Settings { resegment, discretise, ivh, ..all() };
            check(&extract(&image, &block(), &settings).unwrap(), "a billion");
        }
    }
    for value in [f32::MAX, 1e30, f32::MIN_POSITIVE] {
        image.voxels[[5, 8, 9]] = value;
        check(&extract(&image, &block(), &all()).unwrap(), "extreme");
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn every_family_is_measured_on_every_response_map_with_finite_values() {
    let log = LaplacianOfGaussian {
        sigma_mm: 2.0,
        truncate: 4.0,
        dimensions: Dimensions::Volume,
        boundary: Boundary::Mirror,
    };
    let filter = vec![
        Filter::None(Plain {}),
        Filter::Log(log),
        Filter::Wavelet(Wavelet::new(WaveletFamily::Coif1, "HLH").unwrap()),
        Filter::Square(Plain {}),
        Filter::Lbp(BinaryPattern { radius: 1.0, samples: 8, boundary: Boundary::Mirror }),
    ];
    let settings = Settings { filter: filter.clone(), response_discretise: Some(Discretise::Bins(16)), ..all() };
    let found = extract(&bumpy(), &block(), &settings).unwrap();
    assert!(found.values.iter().all(|value| value.value.is_finite()));
    for filter in &filter {
        for family in Family::ALL.iter().filter(|family| **family != Family::Cross) {
            let label = filter.label();
            let there = found.values.iter().any(|value| value.filter == label && value.feature.family == *family);
            assert!(there, "{label} {}", family.name());
        }
    }
    let flat = extract(&image(|_, _, _| 3.0), &block(), &settings).unwrap();
    assert!(flat.values.iter().all(|value| value.value.is_finite()));
}

#[test]
fn features_are_the_same_bits_for_one_two_and_seven_threads() {
    let log =
        LaplacianOfGaussian { sigma_mm: 1.5, truncate: 4.0, dimensions: Dimensions::Volume, boundary: Boundary::Zero };
    let settings = Settings {
        resample: Some(Resample::new(Spacing::Isotropic(0.8), Interpolation::Cubic)),
        filter: vec![Filter::None(Plain {}), Filter::Log(log)],
        ..all()
    };
    let bits = |threads: usize| -> Vec<u64> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| extract(&bumpy(), &block(), &settings)).unwrap();
        found.values.iter().map(|value| value.value.to_bits()).collect()
    };
    assert_eq!(bits(1), bits(2));
    assert_eq!(bits(1), bits(7));
}

#[test]
fn pyradiomics_counts_bins_from_zero_keeps_the_three_of_kurtosis_and_aligns_corners() {
    let preset = Settings::preset("pyradiomics-default").unwrap();
    let excess = Settings { kurtosis: Kurtosis::Excess, ..preset.clone() };
    let kurtosis = |settings: &Settings| value(&extract(&bumpy(), &block(), settings).unwrap(), "stat_kurt");
    assert!((kurtosis(&preset) - kurtosis(&excess) - 3.0).abs() < 1e-12);
    let resample = Some(Resample::new(Spacing::Isotropic(5.0), Interpolation::Linear));
    let map = |settings: &Settings| response_map(&bumpy(), &Filter::None(Plain {}), settings).unwrap().geometry;
    let corner = map(&Settings { resample, ..preset.clone() });
    // The first voxel's corner is that of the image: (-0.5, -0.5, -1).
    for (axis, expected) in [2.0, 2.0, 1.5].into_iter().enumerate() {
        assert!((corner.origin_mm[axis] - expected).abs() < 1e-9, "{:?}", corner.origin_mm);
    }
    let centre = map(&Settings { resample, grid_align: GridAlign::Centre, ..preset });
    assert_eq!(centre.size, corner.size);
    assert!((centre.origin_mm[0] - 1.5).abs() < 1e-9, "{:?}", centre.origin_mm);
}

use approx::assert_relative_eq;
use ndarray::Array3;

use super::*;
use crate::image::Geometry;
use crate::math::linalg::IDENTITY;

fn bumpy(size: [usize; 3]) -> Volume<f32> {
    let geometry = Geometry::new(size, [1.0, 1.5, 2.0], [0.0; 3], IDENTITY).unwrap();
    let at = |(z, y, x): (usize, usize, usize)| ((x * 7 + y * 13 + z * 29 + x * y * z) % 23) as f32 - 4.0;
    Volume { voxels: Array3::from_shape_fn(geometry.shape(), at), geometry }
}

/// One of each kind.
fn some() -> Vec<Filter> {
    let mut filters: Vec<Filter> = ["1.a.4", "2.b", "2.c", "3.b.3", "3.c.2", "7.a.2", "8.a.1", "9.a"]
        .iter()
        .map(|test| phase_1(test).unwrap())
        .collect();
    let steered = Riesz {
        order: [2, 0, 0],
        of: Band::Image,
        steer_mm: Some(2.0),
        dimensions: Dimensions::Volume,
        boundary: Boundary::Mirror,
    };
    filters.push(Filter::Riesz(steered));
    filters.push(phase_2("5.B").unwrap().0);
    let plain = Plain {};
    filters.extend([Filter::Square(plain), Filter::SquareRoot(plain), Filter::Logarithm(plain)]);
    filters.extend([Filter::Exponential(plain), Filter::Gradient(plain), Filter::None(plain)]);
    filters.push(Filter::Lbp(BinaryPattern { radius: 1.0, samples: 8, boundary: Boundary::Zero }));
    filters
}

#[test]
fn every_filter_of_the_tests_has_a_label_of_its_own_and_survives_toml() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Settings {
        filter: Vec<Filter>,
    }
    let one: Vec<Filter> = PHASE_1.iter().map(|test| phase_1(test).unwrap()).collect();
    let two: Vec<Filter> = PHASE_2.iter().map(|test| phase_2(test).unwrap().0).collect();
    for filters in [one, two.into_iter().skip(1).collect(), some()] {
        let mut labels: Vec<String> = filters.iter().map(Filter::label).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), filters.len(), "{labels:?}");
        assert!(labels.iter().all(|label| !label.contains(['.', ' ', ','])), "{labels:?}");
        assert!(filters.iter().all(|filter| filter.fault().is_none()));
        let settings = Settings { filter: filters };
        assert_eq!(toml::from_str::<Settings>(&toml::to_string(&settings).unwrap()).unwrap(), settings);
    }
    let read = |text: &str| toml::from_str::<Settings>(text).map(|settings| settings.filter[0].label());
    assert_eq!(read("[[filter]]\nkind = \"log\"\nsigma_mm = 1.5").unwrap(), "log-3d-1_5mm");
    assert!(read("[[filter]]\nkind = \"log\"\nsigma = 1.5").is_err());
    assert!(read("[[filter]]\nkind = \"square\"\nsigma = 1.5").is_err());
    assert!(read("[[filter]]\nkind = \"sobel\"").is_err());
}

#[test]
fn what_a_filter_does_not_reach_does_not_change_its_response() {
    let image = bumpy([61, 20, 18]);
    let mut changed = image.clone();
    changed.voxels[[9, 10, 58]] += 100.0;
    for filter in some() {
        let Some([reach, ..]) = filter.reach(image.geometry.spacing_mm) else { continue };
        let [a, b] = [&image, &changed].map(|image| filter.apply(image).unwrap().voxels);
        let differs = |x: usize| a.iter().zip(&b).skip(x).step_by(61).any(|(a, b)| (a - b).abs() > 1e-3);
        assert!((0..58usize.saturating_sub(reach)).all(|x| !differs(x)), "{}", filter.label());
    }
}

#[test]
fn a_missing_voxel_has_no_response_and_spoils_no_other() {
    let mut image = bumpy([12, 11, 10]);
    image.voxels[[4, 5, 6]] = f32::NAN;
    for filter in some() {
        let response = filter.apply(&image).unwrap().voxels;
        let missing = response.indexed_iter().filter(|(_, value)| !value.is_finite()).map(|(at, _)| at);
        assert_eq!(missing.collect::<Vec<_>>(), [(4, 5, 6)], "{}", filter.label());
    }
}

#[test]
fn images_of_one_voxel_one_row_and_one_slice_are_filtered() {
    for size in [[1, 1, 1], [7, 1, 1], [1, 6, 1], [1, 1, 5], [6, 5, 1]] {
        for filter in some() {
            let response = filter.apply(&bumpy(size)).unwrap().voxels;
            assert!(response.iter().all(|value| value.is_finite()), "{} {size:?}", filter.label());
        }
    }
}

#[test]
fn a_filter_too_wide_or_an_image_too_large_is_refused() {
    let wide = Filter::Log(LaplacianOfGaussian {
        sigma_mm: 1e5,
        truncate: 4.0,
        dimensions: Dimensions::Volume,
        boundary: Boundary::Mirror,
    });
    assert!(matches!(wide.apply(&bumpy([4, 4, 4])), Err(FilterError::TooWide { .. })));
    let whole = phase_1("8.a.1").unwrap();
    assert!(matches!(whole.bounds([1024, 1024, 1024], [1.0; 3]), Err(FilterError::TooLarge { .. })));
    assert!(Filter::Mean(Mean { size: 4, dimensions: Dimensions::Volume, boundary: Boundary::Zero }).fault().is_some());
}

#[test]
fn responses_are_the_same_for_any_number_of_threads() {
    let image = bumpy([30, 21, 17]);
    for filter in some() {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| filter.apply(&image).unwrap().voxels.mapv(f32::to_bits))
        };
        assert_eq!(with(1), with(7), "{}", filter.label());
    }
    assert_relative_eq!(image.voxels[[0, 0, 0]], -4.0);
}

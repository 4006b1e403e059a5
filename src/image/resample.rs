//! Resampling: target voxel -> patient space -> transform -> source voxel, with one interpolation.
//!
//! The whole way is one matrix wherever the transform is one, so that a row of the target is a straight line through the
//! source. Positions up to half a voxel beyond the outermost centres of the source are inside its field of view and take
//! the value at the edge; everything further out is missing: NaN in an image, outside in a mask. Missing voxels of the
//! source make every value missing that they have a share in.
//!
//! Each row depends on nothing but its own positions: the result is the same bits for any number of threads.

#![allow(clippy::cast_precision_loss)] // sizes are far below 2^53

use rayon::prelude::*;

use super::sampler::{Line, Sampler};
use super::{Affine, Geometry, Interpolation, Mask, Region, Transform, Volume};
use crate::math::interpolate::PREFILTER_REACH;
use crate::math::linalg::{self, Vec3};

/// The source image on the target grid: `fixed_to_moving` leads from the target's space to the source's.
///
/// Cubic interpolation filters only the part of the source that the target needs. Time is linear in the voxels of the
/// target; memory is the target, and for cubic interpolation that part of the source once more.
#[must_use]
pub fn resample(
    source: &Volume<f32>,
    target: &Geometry,
    fixed_to_moving: &Transform,
    interpolation: Interpolation,
) -> Volume<f32> {
    let path = Path::new(target, fixed_to_moving, &source.geometry);
    let Some(region) = path.region(target, &source.geometry, [0; 3]) else {
        return Volume::filled(*target, f32::NAN);
    };
    let sampler = Sampler::new(source, interpolation, region);
    let [nx, ny, _] = target.size;
    // Zeros cost nothing before the threads write over them, every one.
    let mut values = vec![0.0; target.n_voxels()];
    values.par_chunks_mut(nx * ny).enumerate().for_each(|(z, plane)| {
        for (y, row) in plane.chunks_mut(nx).enumerate() {
            path.fill_row(row, y, z, &sampler);
        }
    });
    on_grid(target, values, f32::NAN)
}

/// A region on the target grid: linear interpolation of the mask, inside where it reaches one half (IBSI: a partial volume
/// fraction of at least 0.5), outside where the source has no field of view.
///
/// A fraction is compared after adding one in a million: a voxel that is covered to exactly one half is inside whatever the
/// last bit of its position.
#[must_use]
pub fn resample_mask(source: &Mask, target: &Geometry, fixed_to_moving: &Transform) -> Mask {
    let share = Volume { voxels: source.voxels.mapv(|inside| f32::from(u8::from(inside))), geometry: source.geometry };
    let fraction = resample(&share, target, fixed_to_moving, Interpolation::Linear);
    Volume { voxels: fraction.voxels.mapv(|value| value + 1e-6 >= 0.5), geometry: *target }
}

/// The voxels of `source` that a resampling onto `target` can see, with `margin` more on each side; `None` when it sees none.
///
/// What lies beyond may be cut away before the image is blurred and resampled: nothing of it reaches the target.
#[must_use]
pub fn source_region(
    target: &Geometry,
    fixed_to_moving: &Transform,
    source: &Geometry,
    margin: [usize; 3],
) -> Option<Region> {
    Path::new(target, fixed_to_moving, source).region(target, source, margin)
}

/// The way from a target voxel to a source voxel.
enum Path<'a> {
    /// One matrix between the two index spaces.
    Straight(Affine),
    /// Point by point through the transform.
    Curved { target: &'a Geometry, transform: &'a Transform, source: &'a Geometry },
}

impl<'a> Path<'a> {
    fn new(target: &'a Geometry, transform: &'a Transform, source: &'a Geometry) -> Self {
        match transform.as_affine() {
            Some(affine) => Self::Straight(between_indices(target, &affine, source)),
            None => Self::Curved { target, transform, source },
        }
    }

    fn at(&self, index: Vec3) -> Vec3 {
        match self {
            Self::Straight(map) => map.apply(index),
            Self::Curved { target, transform, source } => {
                source.world_to_voxel(transform.apply(target.voxel_to_world(index)))
            }
        }
    }

    /// The voxels of the source that the target can see; `None` when it sees none.
    fn region(&self, target: &Geometry, source: &Geometry, margin: [usize; 3]) -> Option<Region> {
        let Self::Straight(map) = self else { return Some(Region::whole(source)) };
        let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
        for corner in 0..8usize {
            let index =
                [0, 1, 2].map(|axis| if corner >> axis & 1 == 1 { target.size[axis] as f64 - 1.0 } else { 0.0 });
            let at = map.apply(index);
            for axis in 0..3 {
                low[axis] = low[axis].min(at[axis]);
                high[axis] = high[axis].max(at[axis]);
            }
        }
        // One voxel for the rim and for rounding, two for the spline's support, the rest for its prefilter.
        Region::around(
            source,
            low.map(|v| v - 1.0),
            high.map(|v| v + 1.0),
            margin.map(|m| m.saturating_add(PREFILTER_REACH + 2)),
        )
    }

    fn fill_row(&self, row: &mut [f32], y: usize, z: usize, sampler: &Sampler<'_>) {
        let (y, z) = (y as f64, z as f64);
        if let Self::Straight(map) = self {
            let step = linalg::mul_vec(map.linear(), [1.0, 0.0, 0.0]);
            return sampler.fill(row, Line { start: map.apply([0.0, y, z]), step });
        }
        for (x, value) in row.iter_mut().enumerate() {
            *value = sampler.at(self.at([x as f64, y, z]));
        }
    }
}

/// The map from the voxel indices of one grid to those of another.
///
/// An element that is a whole number but for rounding is that number: grids that share their voxel centres then meet
/// exactly there.
fn between_indices(target: &Geometry, map: &Affine, source: &Geometry) -> Affine {
    let to_source = |point: Vec3| source.world_to_voxel(map.apply(target.voxel_to_world(point)));
    let shift = to_source([0.0; 3]);
    // Differences of mapped points would lose digits far from the origin: the linear parts are multiplied instead.
    let columns = [0, 1, 2].map(|axis| {
        let along = linalg::mul_vec(map.linear(), linalg::scale(target.spacing_mm[axis], target.directions[axis]));
        [0, 1, 2].map(|row| whole(linalg::dot(source.directions[row], along) / source.spacing_mm[row]))
    });
    let linear = linalg::transpose(&columns);
    // Only a transform that flattens space has no inverse, and `Affine` is never one; the identity is never reached.
    Affine::new(linear, shift.map(whole)).unwrap_or(Affine::IDENTITY)
}

fn whole(value: f64) -> f64 {
    let near = value.round();
    if (value - near).abs() < 1e-10 { near } else { value }
}

/// The values as a volume. There are always as many as voxels; `missing` stands in only if that were ever wrong.
fn on_grid(target: &Geometry, values: Vec<f32>, missing: f32) -> Volume<f32> {
    Volume::from_values(*target, values).unwrap_or_else(|| Volume::filled(*target, missing))
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    const KINDS: [Interpolation; 4] =
        [Interpolation::Nearest, Interpolation::Linear, Interpolation::Cubic, Interpolation::Sinc];

    fn oblique(size: [usize; 3], spacing_mm: Vec3) -> Geometry {
        Geometry::new(size, spacing_mm, [-31.4, 15.9, 2.65], linalg::rotation([0.2, -0.3, 0.4])).unwrap()
    }

    fn plain(size: [usize; 3], spacing_mm: Vec3) -> Geometry {
        Geometry::new(size, spacing_mm, [0.0; 3], linalg::IDENTITY).unwrap()
    }

    /// A volume whose values are a function of the position in patient space.
    fn field(geometry: Geometry, value: impl Fn(Vec3) -> f64) -> Volume<f32> {
        let [nx, ny, nz] = geometry.size;
        let voxels = ndarray::Array3::from_shape_fn((nz, ny, nx), |(z, y, x)| {
            value(geometry.voxel_to_world([x as f64, y as f64, z as f64])) as f32
        });
        Volume { voxels, geometry }
    }

    fn noise(geometry: Geometry) -> Volume<f32> {
        let values = (0..geometry.n_voxels()).map(|k| ((k * 7919 + k * k * 31) % 1009) as f32 - 500.0).collect();
        Volume::from_values(geometry, values).unwrap()
    }

    #[test]
    fn an_image_on_its_own_grid_comes_back_bit_for_bit_even_beside_missing_voxels() {
        let mut image = noise(oblique([9, 8, 7], [0.7, 1.3, 2.9]));
        image.voxels[[3, 4, 5]] = f32::NAN;
        for kind in KINDS {
            let back = resample(&image, &image.geometry, &Transform::Identity, kind);
            for (found, expected) in back.voxels.iter().zip(&image.voxels) {
                assert!(found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()), "{kind:?}");
            }
        }
    }

    #[test]
    fn a_linear_ramp_is_reproduced_through_rotated_grids_and_a_transform() {
        let ramp = |p: Vec3| 100.0 + 2.0 * p[0] - 3.0 * p[1] + 0.5 * p[2];
        let image = field(oblique([40, 44, 48], [1.1, 0.9, 1.0]), ramp);
        let map = Transform::rigid([0.1, 0.2, -0.1], image.geometry.centre_mm(), [0.3, -0.4, 0.5]);
        let middle = map.inverse().unwrap().apply(image.geometry.centre_mm());
        let start = linalg::sub(middle, [4.0; 3]);
        let target = Geometry::new([9, 9, 9], [1.0; 3], start, linalg::IDENTITY).unwrap();
        for kind in [Interpolation::Linear, Interpolation::Cubic] {
            let found = resample(&image, &target, &map, kind);
            let expected = field(target, |p| ramp(map.apply(p)));
            for (f, e) in found.voxels.iter().zip(&expected.voxels) {
                assert_relative_eq!(*f, *e, epsilon = 2e-4);
            }
        }
    }

    #[test]
    fn the_cubic_spline_agrees_with_its_definition_summed_directly() {
        let image = noise(plain([12, 11, 10], [1.0, 2.0, 3.0]));
        let target = Geometry::new([30, 14, 17], [0.37, 1.41, 1.7], [0.2, 0.1, 0.4], linalg::IDENTITY).unwrap();
        let found = resample(&image, &target, &Transform::Identity, Interpolation::Cubic);
        let coefficients = direct_coefficients(&image);
        for ((z, y, x), value) in found.voxels.indexed_iter() {
            let at = image.geometry.world_to_voxel(target.voxel_to_world([x as f64, y as f64, z as f64]));
            let expected = direct_value(&coefficients, at);
            assert!((f64::from(*value) - expected).abs() < 2e-3, "{value} {expected} at {at:?}");
        }
    }

    /// Whole-volume coefficients in double precision, one line at a time.
    fn direct_coefficients(image: &Volume<f32>) -> ndarray::Array3<f64> {
        let mut c = image.voxels.mapv(f64::from);
        for axis in 0..3 {
            for mut lane in c.lanes_mut(ndarray::Axis(axis)) {
                let mut line = lane.to_vec();
                crate::math::interpolate::bspline_prefilter(&mut line, 1);
                lane.assign(&ndarray::Array1::from(line));
            }
        }
        c
    }

    fn direct_value(c: &ndarray::Array3<f64>, at: Vec3) -> f64 {
        let (nz, ny, nx) = c.dim();
        let n = [nx, ny, nz];
        let at = [0, 1, 2].map(|a| at[a].clamp(0.0, n[a] as f64 - 1.0));
        let spline = |d: f64| match d.abs() {
            d if d < 1.0 => 2.0 / 3.0 - d * d + d * d * d / 2.0,
            d if d < 2.0 => (2.0 - d).powi(3) / 6.0,
            _ => 0.0,
        };
        let taps = |axis: usize| -> Vec<(usize, f64)> {
            let m = n[axis] as i64;
            let first = at[axis].floor() as i64 - 1;
            (first..first + 4)
                .map(|k| {
                    let folded = k.rem_euclid(2 * m - 2);
                    (usize::try_from(folded.min(2 * m - 2 - folded)).unwrap(), spline(at[axis] - k as f64))
                })
                .collect()
        };
        let (tx, ty, tz) = (taps(0), taps(1), taps(2));
        tz.iter()
            .flat_map(|z| ty.iter().flat_map(move |y| [(z, y)]))
            .map(|(z, y)| tx.iter().map(|x| z.1 * y.1 * x.1 * c[[z.0, y.0, x.0]]).sum::<f64>())
            .sum()
    }

    #[test]
    fn a_fine_wave_is_followed_most_closely_by_the_windowed_sinc() {
        // Three voxels and a half for one period: near the end of what the grid can carry.
        let wave = |p: Vec3| 100.0 * (std::f64::consts::TAU * p[0] / 3.5).sin() * (0.9 * p[1]).cos() + p[2];
        let image = field(plain([40, 40, 24], [1.0; 3]), wave);
        let target = Geometry::new([20, 20, 8], [0.9; 3], [9.3, 10.6, 8.2], linalg::IDENTITY).unwrap();
        let expected = field(target, wave);
        let error = |kind| {
            let found = resample(&image, &target, &Transform::Identity, kind);
            let square: f64 = found.voxels.iter().zip(&expected.voxels).map(|(f, e)| f64::from(f - e).powi(2)).sum();
            (square / target.n_voxels() as f64).sqrt()
        };
        let [nearest, linear, cubic, sinc] = KINDS.map(error);
        assert!(sinc < 0.8 * cubic && cubic < 0.5 * linear && linear < nearest, "{sinc} {cubic} {linear} {nearest}");
    }

    #[test]
    fn the_field_of_view_ends_half_a_voxel_beyond_the_outermost_centres() {
        let image = Volume::from_values(plain([2, 1, 1], [4.0, 1.0, 1.0]), vec![10.0, 20.0]).unwrap();
        let target = Geometry::new([9, 1, 1], [1.0; 3], [-3.0, 0.0, 0.0], linalg::IDENTITY).unwrap();
        let linear = resample(&image, &target, &Transform::Identity, Interpolation::Linear);
        let found: Vec<f32> = linear.voxels.iter().copied().collect();
        assert!(found[0].is_nan());
        assert_eq!(&found[1..8], &[10.0, 10.0, 10.0, 12.5, 15.0, 17.5, 20.0]);
        let nearest = resample(&image, &target, &Transform::Identity, Interpolation::Nearest);
        assert_eq!(
            nearest.voxels.iter().skip(1).copied().collect::<Vec<_>>(),
            [10., 10., 10., 10., 20., 20., 20., 20.]
        );
        let beside = Transform::translation([0.0, 0.6, 0.0]);
        assert!(resample(&image, &target, &beside, Interpolation::Cubic).voxels.iter().all(|v| v.is_nan()));
    }

    #[test]
    fn a_missing_voxel_makes_missing_what_it_has_a_share_in_and_nothing_else() {
        let mut image = Volume::filled(plain([7, 7, 7], [1.0; 3]), 5.0);
        image.voxels[[3, 3, 3]] = f32::NAN;
        let target = Geometry::new([13, 13, 13], [0.5; 3], [0.0; 3], linalg::IDENTITY).unwrap();
        for kind in [Interpolation::Linear, Interpolation::Cubic, Interpolation::Sinc] {
            let found = resample(&image, &target, &Transform::Identity, kind);
            for ((z, y, x), value) in found.voxels.indexed_iter() {
                let near = [x, y, z].iter().all(|i| i.abs_diff(6) < 2);
                assert_eq!(value.is_nan(), near, "{kind:?} {x} {y} {z}");
                assert!(near || (value - 5.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn a_chain_is_one_interpolation_and_sharper_than_two() {
        let image = noise(plain([24, 24, 24], [1.0; 3]));
        let (first, second) = (Transform::translation([0.5, 0.0, 0.0]), Transform::translation([-0.5, 0.0, 0.0]));
        let chain = Transform::Chain(vec![first.clone(), second.clone()]);
        let once = resample(&image, &image.geometry, &chain, Interpolation::Linear);
        assert_eq!(once.voxels, image.voxels);
        let half = resample(&image, &image.geometry, &second, Interpolation::Linear);
        let twice = resample(&half, &image.geometry, &first, Interpolation::Linear);
        let spread = |v: &Volume<f32>| {
            let inner: Vec<f64> = (2..22).map(|x| f64::from(v.voxels[[12, 12, x]])).collect();
            let mean = inner.iter().sum::<f64>() / 20.0;
            inner.iter().map(|x| (x - mean).powi(2)).sum::<f64>()
        };
        assert!(spread(&twice) < 0.8 * spread(&once));
    }

    #[test]
    fn a_curved_transform_is_followed_point_by_point() {
        // A chain that is affine but hidden from the fast path gives the same values as the fast path.
        let image = noise(oblique([12, 13, 14], [1.0, 1.2, 2.0]));
        let map = Transform::rigid([0.3, -0.1, 0.2], image.geometry.centre_mm(), [0.7, 0.1, -0.2]);
        for kind in KINDS {
            let fast = resample(&image, &image.geometry, &map, kind);
            let sampler = Sampler::new(&image, kind, Region::whole(&image.geometry));
            let path = Path::Curved { target: &image.geometry, transform: &map, source: &image.geometry };
            for ((z, y, x), value) in fast.voxels.indexed_iter() {
                let slow = sampler.at(path.at([x as f64, y as f64, z as f64]));
                assert!((value.is_nan() && slow.is_nan()) || (value - slow).abs() < 1e-3, "{kind:?} {value} {slow}");
            }
        }
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_threads_nor_on_how_much_is_asked() {
        let image = noise(oblique([60, 50, 40], [0.9, 1.0, 2.5]));
        let map = Transform::rigid([0.05, 0.1, -0.2], image.geometry.centre_mm(), [1.0, 2.0, 3.0]);
        let target = plain([70, 60, 50], [1.0; 3]);
        for kind in KINDS {
            let run = |n: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
                pool.install(|| resample(&image, &target, &map, kind))
            };
            let bits = |v: &Volume<f32>| v.voxels.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            let alone = bits(&run(1));
            assert_eq!(alone, bits(&run(2)));
            assert_eq!(alone, bits(&run(7)));
        }
    }

    #[test]
    fn a_voxel_covered_to_one_half_is_inside_and_nothing_beyond_the_field_is() {
        let mut mask = Mask::filled(plain([5, 1, 1], [2.0, 1.0, 1.0]), false);
        mask.voxels[[0, 0, 1]] = true;
        mask.voxels[[0, 0, 4]] = true;
        // Positions in voxels of the mask: 0.25, 0.5 (less rounding noise), 0.75 … and beyond the end.
        let start = 2.0 * (0.25 - 1e-8);
        let target = Geometry::new([20, 1, 1], [0.5, 1.0, 1.0], [start, 0.0, 0.0], linalg::IDENTITY).unwrap();
        let found = resample_mask(&mask, &target, &Transform::Identity);
        let inside: Vec<usize> = (0..20).filter(|x| found.voxels[[0, 0, *x]]).collect();
        // 0.5 … 1.5 in steps of a quarter, then 3.5 … 4.5.
        assert_eq!(inside, [1, 2, 3, 4, 5, 13, 14, 15, 16, 17]);
    }

    #[test]
    fn cubic_values_of_a_small_target_are_those_of_a_large_one() {
        let image = noise(plain([80, 70, 60], [1.0; 3]));
        let large = Geometry::new([79, 69, 59], [1.0; 3], [0.3, 0.4, 0.6], linalg::IDENTITY).unwrap();
        let part = Region { start: [40, 35, 30], end: [45, 39, 33] };
        let small = resample(&image, &part.geometry(&large), &Transform::Identity, Interpolation::Cubic);
        let whole = part.cut(&resample(&image, &large, &Transform::Identity, Interpolation::Cubic));
        for (a, b) in small.voxels.iter().zip(&whole.voxels) {
            assert!((a - b).abs() < 1e-3);
        }
    }
}

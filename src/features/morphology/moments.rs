//! Where the region lies and how it spreads: first and second moments of its voxel centres and of its intensities.

use ndarray::Array3;
use rayon::prelude::*;

use crate::image::packed::{PackedMask, runs};
use crate::math::linalg::{Mat3, Vec3, symmetric_eigen};

/// Number, centre and principal variances of the voxels of a mask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    pub(super) n: u64,
    /// The mean voxel centre, mm from voxel (0, 0, 0).
    pub(super) centre_mm: Vec3,
    /// Variances of the voxel centres (over n - 1) along the principal axes, from large to small, mm2; 0 for one voxel.
    pub(super) variances_mm2: Vec3,
}

/// A variance below this share of the largest is that of a flat region, and rounding.
const FLAT: f64 = 1e-12;

/// Sums of integers over voxels: exact, in whatever order.
#[derive(Clone, Copy, Default)]
struct Sums {
    n: u64,
    first: [i128; 3],
    /// xx, yy, zz, xy, xz, yz.
    second: [i128; 6],
}

impl Moments {
    /// Of a mask on a grid of this spacing; `None` for an empty mask.
    pub(super) fn of(mask: &PackedMask, spacing_mm: Vec3) -> Option<Self> {
        let [_, ny, nz] = mask.size();
        let slices: Vec<Sums> = (0..nz)
            .into_par_iter()
            .map(|z| {
                let mut sums = Sums::default();
                for y in 0..ny {
                    sums.add_row(mask.row(y + 1, z + 1), y as i128, z as i128);
                }
                sums
            })
            .collect();
        let sums = slices.into_iter().fold(Sums::default(), Sums::plus);
        let n = i128::from(sums.n);
        if n == 0 {
            return None;
        }
        let centre_mm = [0, 1, 2].map(|axis| sums.first[axis] as f64 / n as f64 * spacing_mm[axis]);
        let covariance = |term: usize, i: usize, j: usize| {
            let central = n * sums.second[term] - sums.first[i] * sums.first[j];
            central as f64 / (n * (n - 1).max(1)) as f64 * spacing_mm[i] * spacing_mm[j]
        };
        let [xx, yy, zz] = [covariance(0, 0, 0), covariance(1, 1, 1), covariance(2, 2, 2)];
        let [xy, xz, yz] = [covariance(3, 0, 1), covariance(4, 0, 2), covariance(5, 1, 2)];
        let matrix: Mat3 = [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]];
        let (mut variances, _) = symmetric_eigen(&matrix);
        variances.sort_unstable_by(|a, b| b.total_cmp(a));
        let least = FLAT * variances[0];
        let variances_mm2 = variances.map(|variance| if variance > least { variance } else { 0.0 });
        Some(Self { n: sums.n, centre_mm, variances_mm2 })
    }
}

impl Sums {
    fn add_row(&mut self, row: &[u64], y: i128, z: i128) {
        let (mut n, mut x, mut xx) = (0u64, 0u64, 0u128);
        for (first, end) in runs(row) {
            // The row's first bit is the empty layer.
            let (first, end) = (first as u64 - 1, end as u64 - 1);
            n += end - first;
            x += (end - first) * (first + end - 1) / 2;
            xx += squares_below(end) - squares_below(first);
        }
        let (n_wide, x, xx) = (i128::from(n), i128::from(x), xx as i128);
        let row = Self {
            n,
            first: [x, n_wide * y, n_wide * z],
            second: [xx, n_wide * y * y, n_wide * z * z, x * y, x * z, n_wide * y * z],
        };
        *self = self.plus(row);
    }

    fn plus(mut self, other: Self) -> Self {
        self.n += other.n;
        self.first.iter_mut().zip(other.first).for_each(|(sum, term)| *sum += term);
        self.second.iter_mut().zip(other.second).for_each(|(sum, term)| *sum += term);
        self
    }
}

/// 0 + 1 + 4 + ... + (n - 1)^2.
fn squares_below(n: u64) -> u128 {
    let n = u128::from(n);
    if n == 0 { 0 } else { (n - 1) * n * (2 * n - 1) / 6 }
}

/// The sum of the intensities under a mask, and their mean position weighted by intensity (mm from voxel (0, 0, 0)).
///
/// The position is not finite where the intensities add up to zero.
pub(super) fn intensity_centre(image: &Array3<f32>, mask: &Array3<bool>, spacing_mm: Vec3) -> (f64, Vec3) {
    let slices: Vec<[f64; 3]> = image
        .outer_iter()
        .into_par_iter()
        .zip(mask.outer_iter())
        .map(|(plane, inside)| {
            let rows = plane.outer_iter().zip(inside.outer_iter()).enumerate();
            rows.fold([0.0; 3], |[sum, x, y], (row, (values, inside))| {
                let [row_sum, row_x] = row_sums(values.as_slice().unwrap_or(&[]), inside.as_slice().unwrap_or(&[]));
                [sum + row_sum, x + row_x, y + row as f64 * row_sum]
            })
        })
        .collect();
    let [sum, x, y, z] = slices
        .into_iter()
        .enumerate()
        .fold([0.0; 4], |[sum, x, y, z], (slice, s)| [sum + s[0], x + s[1], y + s[2], z + slice as f64 * s[0]]);
    (sum, [x / sum * spacing_mm[0], y / sum * spacing_mm[1], z / sum * spacing_mm[2]])
}

/// Sum and first moment of the values of one row, in lanes that the processor adds side by side.
fn row_sums(values: &[f32], inside: &[bool]) -> [f64; 2] {
    const LANES: usize = 8;
    let (mut sums, mut moments) = ([0.0f64; LANES], [0.0f64; LANES]);
    let mut add = |values: &[f32; LANES], inside: &[bool; LANES], at: usize| {
        for lane in 0..LANES {
            let value = if inside[lane] { f64::from(values[lane]) } else { 0.0 };
            sums[lane] += value;
            moments[lane] += value * (at + lane) as f64;
        }
    };
    let ((groups, values), (inside_groups, inside)) = (values.as_chunks(), inside.as_chunks());
    for (at, (values, inside)) in (0..).step_by(LANES).zip(groups.iter().zip(inside_groups)) {
        add(values, inside, at);
    }
    let (mut last, mut last_inside) = ([0.0; LANES], [false; LANES]);
    last[..values.len()].copy_from_slice(values);
    last_inside[..inside.len()].copy_from_slice(inside);
    add(&last, &last_inside, groups.len() * LANES);
    [sums.iter().sum(), moments.iter().sum()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn the_moments_of_a_box_are_those_of_uniform_numbers() {
        let mask = PackedMask::new(&Array3::from_elem((3, 5, 100), true));
        let moments = Moments::of(&mask, [1.0, 2.0, 4.0]).unwrap();
        assert_eq!(moments.n, 1500);
        let expected = [9999.0 / 12.0, 16.0 * 8.0 / 12.0, 4.0 * 24.0 / 12.0];
        for (found, expected) in moments.variances_mm2.iter().zip(expected) {
            assert_relative_eq!(*found, expected * 1500.0 / 1499.0, max_relative = 1e-12);
        }
        for (found, expected) in moments.centre_mm.iter().zip([49.5, 4.0, 4.0]) {
            assert_relative_eq!(*found, expected, max_relative = 1e-12);
        }
        assert_eq!(Moments::of(&PackedMask::new(&Array3::from_elem((3, 5, 7), false)), [1.0; 3]), None);
    }

    #[test]
    fn an_oblique_plane_of_voxels_is_flat() {
        let mask = Array3::from_shape_fn((12, 12, 12), |(z, y, x)| x + 2 * y == 3 * z);
        let moments = Moments::of(&PackedMask::new(&mask), [0.7, 0.9, 1.3]).unwrap();
        assert!(moments.variances_mm2[1] > 0.0);
        assert!(moments.variances_mm2[2] <= 0.0);
    }

    #[test]
    fn intensity_pulls_the_centre_and_what_is_outside_does_not() {
        let image = Array3::from_shape_fn((2, 2, 11), |(z, y, x)| if x == 10 { f32::NAN } else { (x + y + z) as f32 });
        let mask = Array3::from_shape_fn((2, 2, 11), |(_, _, x)| x == 2 || x == 6);
        let (sum, centre) = intensity_centre(&image, &mask, [1.0, 1.0, 5.0]);
        assert_relative_eq!(sum, 40.0);
        // 12 at x = 2 and 28 at x = 6; 22 of 40 in the second row and in the second slice.
        for (found, expected) in centre.iter().zip([4.8, 0.55, 2.75]) {
            assert_relative_eq!(*found, expected, max_relative = 1e-12);
        }
    }
}

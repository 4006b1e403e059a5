//! Local binary patterns of slices (Ojala, Pietikäinen and Mäenpää 2002): how many samples on a circle are at least the middle.
//!
//! Samples lie at 2 pi k / n on a circle, interpolated linearly. A pattern with at most two changes around the circle is
//! uniform and has the number of its ones as its value; all others have n + 1. Neither turning the image nor a monotonic
//! change of its intensities changes the pattern. Not part of the IBSI.

use ndarray::Array3;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::boundary::Boundary;

/// The uniform, rotation invariant pattern around each voxel, in its slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryPattern {
    /// Radius of the circle, in voxels.
    #[serde(default = "one")]
    pub radius: f64,
    /// Samples on the circle.
    #[serde(default = "eight")]
    pub samples: u8,
    /// Beyond the edges.
    #[serde(default)]
    pub boundary: Boundary,
}

const fn one() -> f64 {
    1.0
}

const fn eight() -> u8 {
    8
}

impl BinaryPattern {
    pub(super) fn label(&self) -> String {
        format!("lbp-2d-{}-{}{}", super::number(self.radius), self.samples, self.boundary.label())
    }

    pub(super) fn reach(&self) -> [usize; 3] {
        let steps = self.radius.ceil() as usize;
        [steps, steps, 0]
    }

    pub(super) fn apply(&self, image: &Array3<f32>) -> Array3<f32> {
        let circle: Vec<Sample> = (0..self.samples).map(|k| self.sample(k)).collect();
        let mut response = Array3::zeros(image.dim());
        response.outer_iter_mut().into_par_iter().zip(image.outer_iter()).for_each(|(mut to, from)| {
            let (ny, nx) = from.dim();
            let at = |y: isize, x: isize| match (self.boundary.source(y, ny), self.boundary.source(x, nx)) {
                (Some(y), Some(x)) => f64::from(from[[y, x]]),
                _ => 0.0,
            };
            let mut ones = Vec::with_capacity(circle.len());
            for ((y, x), value) in to.indexed_iter_mut() {
                let middle = f64::from(from[[y, x]]);
                ones.clear();
                ones.extend(circle.iter().map(|sample| sample.value(&at, y as isize, x as isize) >= middle));
                *value = pattern(&ones);
            }
        });
        response
    }

    fn sample(&self, k: u8) -> Sample {
        let angle = std::f64::consts::TAU * f64::from(k) / f64::from(self.samples);
        // Rounded, so that a sample that lies on a voxel is that voxel.
        let [x, y] = [self.radius * angle.cos(), -self.radius * angle.sin()].map(|v| (v * 1e5).round() / 1e5);
        Sample { low: [x.floor() as isize, y.floor() as isize], rest: [x - x.floor(), y - y.floor()] }
    }
}

/// A point near a voxel: the voxel below it along x and y, and how far beyond it is.
struct Sample {
    low: [isize; 2],
    rest: [f64; 2],
}

impl Sample {
    fn value(&self, at: &impl Fn(isize, isize) -> f64, y: isize, x: isize) -> f64 {
        let ([x, y], [u, v]) = ([x + self.low[0], y + self.low[1]], self.rest);
        let row = |y: isize| {
            let first = at(y, x);
            // A voxel of weight zero is not asked for.
            if u > 0.0 { (1.0 - u) * first + u * at(y, x + 1) } else { first }
        };
        if v > 0.0 { (1.0 - v) * row(y) + v * row(y + 1) } else { row(y) }
    }
}

fn pattern(ones: &[bool]) -> f32 {
    let n = ones.len();
    let changes = (0..n).filter(|k| ones[*k] != ones[(k + 1) % n]).count();
    let value = if changes <= 2 { ones.iter().filter(|one| **one).count() } else { n + 1 };
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_region_is_all_ones_and_an_edge_half_of_them() {
        let filter = BinaryPattern { radius: 1.0, samples: 8, boundary: Boundary::Mirror };
        let flat = filter.apply(&Array3::from_elem((1, 5, 5), 3.0));
        assert!(flat.iter().all(|value| (*value - 8.0).abs() < 1e-6));
        let edge = filter.apply(&Array3::from_shape_fn((1, 7, 7), |(_, _, x)| if x > 3 { 1.0 } else { 0.0 }));
        // Every sample is at least the zeros beside the edge; of the ones three samples lie on lower ground.
        assert_eq!((edge[[0, 3, 3]], edge[[0, 3, 4]]), (8.0, 5.0));
        let peak =
            filter.apply(&Array3::from_shape_fn((1, 5, 5), |(_, y, x)| if (y, x) == (2, 2) { 9.0 } else { 0.0 }));
        assert!(peak[[0, 2, 2]].abs() < 1e-6);
    }

    #[test]
    fn more_than_two_changes_are_one_pattern() {
        assert!((pattern(&[true, false, true, false, true, true]) - 7.0).abs() < 1e-6);
        assert!((pattern(&[true, true, false, false, false, true]) - 3.0).abs() < 1e-6);
    }
}

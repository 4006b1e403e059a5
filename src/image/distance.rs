//! Exact Euclidean distances to a mask: P. Felzenszwalb, D. Huttenlocher, Theory of Computing 8 (2012) 415.
//!
//! One lower envelope of parabolas per line and axis; time is linear in the voxels.

#![allow(clippy::cast_precision_loss)] // sizes are far below 2^53

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use crate::math::linalg::Vec3;

/// The squared distance, mm2, from each voxel's centre to that of the nearest voxel of the mask: 0 inside, infinite where the
/// mask is empty.
#[must_use]
pub fn squared_distance(mask: &Array3<bool>, spacing_mm: Vec3) -> Array3<f64> {
    let mut squares = mask.mapv(|inside| if inside { 0.0 } else { f64::INFINITY });
    for (axis, spacing_mm) in [(2, spacing_mm[0]), (1, spacing_mm[1]), (0, spacing_mm[2])] {
        let mut lines: Vec<_> = squares.lanes_mut(Axis(axis)).into_iter().collect();
        lines.par_chunks_mut(64).for_each(|lines| {
            let mut envelope = Envelope::default();
            for line in lines {
                let values: Vec<f64> = line.iter().copied().collect();
                envelope.of(&values, spacing_mm);
                line.iter_mut().enumerate().for_each(|(at, value)| *value = envelope.at(at, &values, spacing_mm));
            }
        });
    }
    squares
}

/// The parabolas that are lowest somewhere, from left to right.
#[derive(Debug, Default)]
struct Envelope {
    /// Vertex, and from where on it is the lowest.
    parabolas: Vec<(usize, f64)>,
    next: usize,
}

impl Envelope {
    fn of(&mut self, values: &[f64], spacing_mm: f64) {
        self.parabolas.clear();
        self.next = 0;
        for (at, value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let mut from = f64::NEG_INFINITY;
            while let Some((other, other_from)) = self.parabolas.last().copied() {
                let square = |k: usize| (k as f64 * spacing_mm).powi(2);
                let apart = 2.0 * spacing_mm * spacing_mm * (at - other) as f64;
                from = (value + square(at) - values[other] - square(other)) / apart;
                if from > other_from {
                    break;
                }
                from = f64::NEG_INFINITY;
                self.parabolas.pop();
            }
            self.parabolas.push((at, from));
        }
    }

    /// The lowest value at a place; places are asked for from left to right.
    fn at(&mut self, at: usize, values: &[f64], spacing_mm: f64) -> f64 {
        while self.parabolas.get(self.next + 1).is_some_and(|(_, from)| *from <= at as f64) {
            self.next += 1;
        }
        self.parabolas
            .get(self.next)
            .map_or(f64::INFINITY, |(vertex, _)| values[*vertex] + (spacing_mm * at.abs_diff(*vertex) as f64).powi(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn distances_are_those_of_a_search_through_all_voxels() {
        let mask = Array3::from_shape_fn((7, 9, 8), |(z, y, x)| (x * 7 + y * 5 + z * 11) % 23 == 3);
        let spacing = [1.0, 0.7, 2.5];
        let found = squared_distance(&mask, spacing);
        for ((z, y, x), value) in found.indexed_iter() {
            let square = |(at, _): ((usize, usize, usize), &bool)| {
                let steps = [at.2.abs_diff(x), at.1.abs_diff(y), at.0.abs_diff(z)];
                (0..3).map(|axis| (steps[axis] as f64 * spacing[axis]).powi(2)).sum::<f64>()
            };
            let nearest = mask.indexed_iter().filter(|(_, inside)| **inside).map(square).fold(f64::INFINITY, f64::min);
            assert_relative_eq!(*value, nearest, epsilon = 1e-9);
        }
        assert!(squared_distance(&Array3::from_elem((2, 2, 2), false), spacing).iter().all(|v| v.is_infinite()));
    }
}

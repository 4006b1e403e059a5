//! A map that moves every point by a vector of its own: y = x + d(x), with d on a regular grid.
//!
//! Between the nodes of the grid d is interpolated linearly. Up to half a step beyond the outermost nodes it takes their
//! value; further out, and wherever a node has no vector, nothing is known: the point has no image (NaN), and whatever is
//! resampled there is missing. Nothing is extrapolated.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Geometry;
use crate::math::linalg::{self, Mat3, Vec3};

/// Rounds of the fixed-point iteration that inverts a map, and how near in mm it must come.
const INVERSION_ROUNDS_MAX: usize = 100;
const INVERSION_TOLERANCE_MM: f64 = 1e-3;

/// Vectors (mm) on the nodes of a grid in the space that the map starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Displacement {
    grid: Geometry,
    /// In x, y, z order of the nodes, x fastest. Shared: a transform is copied often, its field is large.
    vectors: Arc<[[f32; 3]]>,
}

/// A displacement as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Parts {
    grid: Geometry,
    /// `None`: unknown there.
    vectors: Vec<Option<[f32; 3]>>,
}

/// Why vectors make no displacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the displacement has {found} vectors, its grid {expected} nodes")]
pub struct DisplacementError {
    /// How many there are.
    pub found: usize,
    /// How many nodes the grid has.
    pub expected: usize,
}

impl Displacement {
    /// Vectors in the order of the nodes, x fastest. A vector that is not finite says that nothing is known there.
    ///
    /// # Errors
    /// When there are not as many vectors as nodes.
    pub fn new(grid: Geometry, vectors: Vec<[f32; 3]>) -> Result<Self, DisplacementError> {
        let (found, expected) = (vectors.len(), grid.n_voxels());
        if found != expected {
            return Err(DisplacementError { found, expected });
        }
        Ok(Self { grid, vectors: vectors.into() })
    }

    /// The grid of its nodes.
    #[must_use]
    pub fn grid(&self) -> &Geometry {
        &self.grid
    }

    /// The vectors of its nodes, x fastest; NaN where none is known.
    #[must_use]
    pub fn vectors(&self) -> &[[f32; 3]] {
        &self.vectors
    }

    /// The vector at a point; NaN where none is known.
    #[must_use]
    pub fn at(&self, point: Vec3) -> Vec3 {
        let index = self.grid.world_to_voxel(point);
        let mut first = [0usize; 3];
        let mut share = [0.0; 3];
        for axis in 0..3 {
            #[allow(clippy::cast_precision_loss)] // sizes are far below 2^53
            let last = self.grid.size[axis] as f64 - 1.0;
            if !(-0.5..=last + 0.5).contains(&index[axis]) {
                return [f64::NAN; 3];
            }
            let inside = index[axis].clamp(0.0, last);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the grid
            let below = inside.floor() as usize;
            first[axis] = below.min(self.grid.size[axis].saturating_sub(2));
            #[allow(clippy::cast_precision_loss)]
            let fraction = inside - first[axis] as f64;
            share[axis] = fraction;
        }
        let mut sum = [0.0; 3];
        for corner in 0..8usize {
            let step = [0, 1, 2].map(|axis| corner >> axis & 1);
            let weight: f64 =
                (0..3).map(|axis| if step[axis] == 1 { share[axis] } else { 1.0 - share[axis] }).product();
            // A neighbour without a share may be unknown, or none at all on a grid of one layer.
            if weight > 0.0 {
                let [x, y, z] = [0, 1, 2].map(|axis| first[axis] + step[axis]);
                let [nx, ny, _] = self.grid.size;
                let vector = self.vectors.get((z * ny + y) * nx + x).copied().unwrap_or([f32::NAN; 3]);
                for (sum, v) in sum.iter_mut().zip(vector) {
                    *sum += weight * f64::from(v);
                }
            }
        }
        if sum.iter().all(|v| v.is_finite()) { sum } else { [f64::NAN; 3] }
    }

    /// Where a point goes.
    #[must_use]
    pub fn apply(&self, point: Vec3) -> Vec3 {
        linalg::add(point, self.at(point))
    }

    /// The derivative of the map at a point: central differences over one step of the grid; the identity where the map is not
    /// known on both sides.
    #[must_use]
    pub fn linear_at(&self, point: Vec3) -> Mat3 {
        let half = 0.5 * self.grid.spacing_mm.iter().copied().fold(f64::INFINITY, f64::min);
        let columns = [0, 1, 2].map(|axis| {
            let mut step = [0.0; 3];
            step[axis] = half;
            let difference = linalg::sub(self.apply(linalg::add(point, step)), self.apply(linalg::sub(point, step)));
            linalg::scale(0.5 / half, difference)
        });
        if columns.iter().flatten().all(|v| v.is_finite()) { linalg::transpose(&columns) } else { linalg::IDENTITY }
    }

    /// The map that undoes this one, on the same grid: at each node the fixed point of x = y - d(x). A node that nothing is
    /// known to come to, or where the iteration does not settle (the map folds), is unknown.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let [nx, ny, _] = self.grid.size;
        let vectors: Vec<[f32; 3]> = (0..self.vectors.len())
            .into_par_iter()
            .map(|node| {
                #[allow(clippy::cast_precision_loss)]
                let index = [node % nx, node / nx % ny, node / (nx * ny)].map(|i| i as f64);
                self.back_from(self.grid.voxel_to_world(index))
            })
            .collect();
        Self { grid: self.grid, vectors: vectors.into() }
    }

    /// From a point to the one that the map takes there, as a vector.
    fn back_from(&self, target: Vec3) -> [f32; 3] {
        let mut point = target;
        for _ in 0..INVERSION_ROUNDS_MAX {
            let next = linalg::sub(target, self.at(point));
            let moved = linalg::norm(linalg::sub(next, point));
            if !moved.is_finite() {
                break;
            }
            point = next;
            if moved < INVERSION_TOLERANCE_MM {
                #[allow(clippy::cast_possible_truncation)] // a field is single precision
                return linalg::sub(point, target).map(|v| v as f32);
            }
        }
        [f32::NAN; 3]
    }
}

impl TryFrom<Parts> for Displacement {
    type Error = DisplacementError;
    fn try_from(parts: Parts) -> Result<Self, DisplacementError> {
        let vectors = parts.vectors.into_iter().map(|vector| vector.unwrap_or([f32::NAN; 3])).collect();
        Self::new(parts.grid, vectors)
    }
}

impl From<Displacement> for Parts {
    fn from(displacement: Displacement) -> Self {
        let known = |vector: &[f32; 3]| vector.iter().all(|v| v.is_finite()).then_some(*vector);
        Self { grid: displacement.grid, vectors: displacement.vectors.iter().map(known).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::linalg::IDENTITY;

    fn field(vector: impl Fn(Vec3) -> Vec3) -> Displacement {
        let grid = Geometry::new([12, 10, 8], [5.0, 5.0, 6.0], [-20.0, 0.0, 10.0], IDENTITY).unwrap();
        let mut vectors = Vec::new();
        for z in 0..8u8 {
            for y in 0..10u8 {
                for x in 0..12u8 {
                    let at = grid.voxel_to_world([f64::from(x), f64::from(y), f64::from(z)]);
                    #[allow(clippy::cast_possible_truncation)] // a field is single precision
                    vectors.push(vector(at).map(|v| v as f32));
                }
            }
        }
        Displacement::new(grid, vectors).unwrap()
    }

    fn wave(p: Vec3) -> Vec3 {
        [2.0 * (p[1] / 15.0).sin(), 1.5 * (p[0] / 12.0).cos(), 0.1 * p[2]]
    }

    #[test]
    fn a_linear_field_is_exact_between_its_nodes_and_unknown_beyond_its_edge() {
        let found = field(|p| [0.1 * p[0], 1.0, -0.2 * p[2]]);
        let point = [3.3, 17.7, 21.9];
        for (found, expected) in found.apply(point).iter().zip([3.63, 18.7, 17.52]) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        let linear = found.linear_at(point);
        assert!((linear[0][0] - 1.1).abs() < 1e-5 && (linear[2][2] - 0.8).abs() < 1e-5 && linear[0][1].abs() < 1e-5);
        assert!(found.apply([-22.4, 0.0, 10.0])[0].is_finite());
        assert!(found.apply([-22.6, 0.0, 10.0])[0].is_nan());
        assert!(found.apply([f64::NAN, 0.0, 10.0])[0].is_nan());
    }

    #[test]
    fn an_unknown_node_makes_its_neighbourhood_unknown() {
        let whole = field(|_| [1.0, 0.0, 0.0]);
        let mut vectors = whole.vectors.to_vec();
        vectors[0] = [f32::NAN; 3];
        let holed = Displacement::new(*whole.grid(), vectors).unwrap();
        assert!(holed.apply([-19.0, 1.0, 11.0])[0].is_nan());
        assert!(holed.apply([-15.0, 0.0, 10.0])[0].is_finite(), "a node itself needs no neighbour");
        let json = serde_json::to_string(&holed).unwrap();
        let back: Displacement = serde_json::from_str(&json).unwrap();
        assert!(back.apply([-19.0, 1.0, 11.0])[0].is_nan());
        assert!(Displacement::new(*whole.grid(), vec![[0.0; 3]; 5]).is_err());
    }

    #[test]
    fn a_smooth_field_and_its_inverse_cancel() {
        let forth = field(wave);
        let back = forth.inverse();
        for point in [[0.0, 20.0, 30.0], [10.0, 30.0, 25.0], [-5.0, 12.0, 40.0]] {
            let there = forth.apply(point);
            let again = back.apply(there);
            for (found, expected) in again.iter().zip(point) {
                assert!((found - expected).abs() < 0.1, "{again:?} is not {point:?}");
            }
        }
    }

    #[test]
    fn a_field_of_one_layer_is_one() {
        let grid = Geometry::new([1, 1, 1], [5.0; 3], [0.0; 3], IDENTITY).unwrap();
        let only = Displacement::new(grid, vec![[1.0, 2.0, 3.0]]).unwrap();
        let found = only.apply([1.0, 1.0, 1.0]);
        assert!(found.iter().zip([2.0, 3.0, 4.0]).all(|(f, e)| (f - e).abs() < 1e-12), "{found:?}");
    }
}

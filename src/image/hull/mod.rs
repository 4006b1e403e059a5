//! The convex hull of the surface mesh around a mask, and what is measured on it.
//!
//! Mesh vertices lie half way between voxel centres, so in half voxels they are integers and the hull is exact: no
//! tolerance decides which side of a facet a point is on. Scaling by the spacing keeps a hull a hull. Only vertices that
//! are outermost along a grid line through them, and of those only the corners of the convex polygon of their plane, are
//! handed to the hull in space.

mod candidates;
mod chords;
mod cube;
mod diameter;
mod ellipsoid;
mod polygon;
mod quickhull;
mod rectangle;
mod silhouette;

pub use ellipsoid::{ENCLOSE_TOLERANCE, enclosing_ellipsoid};

use super::packed::PackedMask;
use crate::math::linalg::{Vec3, cross, norm, sub};
use quickhull::Facet;

/// A point in half voxels: voxel (x, y, z) has its centre at (2x, 2y, 2z).
pub(super) type Point = [i64; 3];

/// The longest side of a grid for which the arithmetic of the hull is exact in 64 bits.
const SIDE_MAX: usize = 1 << 17;

/// The convex hull of a mask's surface mesh, in mm.
#[derive(Debug, Clone, PartialEq)]
pub struct Hull {
    spacing_mm: Vec3,
    corners: Vec<Point>,
    facets: Vec<Facet>,
}

impl Hull {
    /// The hull; `None` when the mask is empty, or its grid has more than 131,072 voxels along a side.
    ///
    /// O(n log n) in the number n of outermost mesh vertices; no more memory than a few slices.
    #[must_use]
    pub fn around(mask: &PackedMask, spacing_mm: Vec3) -> Option<Self> {
        if mask.size().iter().any(|n| *n > SIDE_MAX) {
            return None;
        }
        let (corners, facets) = quickhull::hull(&candidates::candidates(mask))?;
        Some(Self { spacing_mm, corners, facets })
    }

    /// The corners, mm from the centre of voxel (0, 0, 0).
    #[must_use]
    pub fn corners_mm(&self) -> Vec<Vec3> {
        self.corners.iter().map(|corner| self.in_mm(*corner)).collect()
    }

    /// The enclosed volume, mm3.
    #[must_use]
    pub fn volume_mm3(&self) -> f64 {
        // Determinants of integers: their sum is exact.
        let six: i128 = self.facets.iter().map(|facet| i128::from(facet.volume_from_origin(&self.corners))).sum();
        six as f64 / 6.0 * self.spacing_mm.iter().product::<f64>() / 8.0
    }

    /// The surface area, mm2.
    #[must_use]
    pub fn area_mm2(&self) -> f64 {
        let area = |facet: &Facet| {
            let [a, b, c] = facet.corners.map(|corner| self.in_mm(self.corners[corner as usize]));
            0.5 * norm(cross(sub(b, a), sub(c, a)))
        };
        self.facets.iter().map(area).sum()
    }

    /// The greatest distance between two corners, mm.
    #[must_use]
    pub fn diameter_mm(&self) -> f64 {
        diameter::diameter(&self.corners_mm())
    }

    /// Sides of the smallest box with a face in the plane of a facet (see [`rectangle`]), from long to short, mm.
    #[must_use]
    pub fn oriented_box_mm(&self) -> Vec3 {
        rectangle::smallest_box(&self.corners_mm(), &self.facets, self.spacing_mm)
    }

    fn in_mm(&self, point: Point) -> Vec3 {
        [0, 1, 2].map(|axis| 0.5 * point[axis] as f64 * self.spacing_mm[axis])
    }
}

#[cfg(test)]
mod tests;

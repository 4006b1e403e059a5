//! The moving image as the measures see it: values in histogram bins, asked for at any position.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// Sizes are far below 2^23.

use super::bins::Bins;
use crate::image::{Geometry, Volume};
use crate::math::linalg::{self, Mat3, Vec3};

/// An image on a regular grid whose values are positions along a histogram axis.
pub(super) struct Binned {
    geometry: Geometry,
    to_index: Mat3,
    values: Vec<f32>,
    /// 1 where there is a value, 0 where it is missing; `None` where all are there.
    presence: Option<Vec<f32>>,
    /// Voxels with a value.
    n_present: usize,
    /// Bins along the histogram axis.
    pub n_bins: usize,
}

impl Binned {
    /// An image by its grid and values; missing (NaN) voxels carry no weight.
    pub fn new(volume: &Volume<f32>, bins: &Bins) -> Self {
        let geometry = volume.geometry;
        let values: Vec<f32> = volume.voxels.iter().map(|value| bins.position(*value)).collect();
        let n_present = volume.voxels.iter().filter(|value| value.is_finite()).count();
        let presence = (n_present < values.len())
            .then(|| volume.voxels.iter().map(|value| f32::from(u8::from(value.is_finite()))).collect());
        let to_index = [0, 1, 2].map(|axis| linalg::scale(1.0 / geometry.spacing_mm[axis], geometry.directions[axis]));
        Self { geometry, to_index, values, presence, n_present, n_bins: bins.n }
    }

    /// The linear part of the map from patient space to voxel index.
    pub fn to_index(&self) -> &Mat3 {
        &self.to_index
    }

    pub fn world_to_index(&self, point: Vec3) -> Vec3 {
        self.geometry.world_to_voxel(point)
    }

    /// The volume in which there are values.
    pub fn volume_mm3(&self) -> f64 {
        self.n_present as f64 * self.geometry.voxel_volume_mm3()
    }

    /// Value (in bins) and weight at a voxel index; `None` outside the field of view.
    #[inline]
    pub fn value(&self, at: [f32; 3]) -> Option<(f32, f32)> {
        let (cell, weight, _) = self.cell(at)?;
        let (value, _) = self.interpolate(&self.values, &cell);
        match &self.presence {
            None => Some((value, weight)),
            Some(presence) => {
                let weight = weight * self.interpolate(presence, &cell).0;
                (weight > 0.0).then_some((value, weight))
            }
        }
    }

    /// Value, weight and their gradients over the voxel index; a weight of zero outside the field of view.
    #[inline]
    pub fn value_and_slope(&self, at: [f32; 3]) -> (f32, f32, [f32; 3], [f32; 3]) {
        let Some((cell, weight, taper)) = self.cell(at) else { return (0.0, 0.0, [0.0; 3], [0.0; 3]) };
        let (value, slope) = self.interpolate(&self.values, &cell);
        match &self.presence {
            None => (value, weight, slope, taper),
            Some(presence) => {
                let (present, change) = self.interpolate(presence, &cell);
                let taper = [0, 1, 2].map(|axis| taper[axis] * present + weight * change[axis]);
                (value, weight * present, slope, taper)
            }
        }
    }

    /// The cell around a position, with the weight that falls to zero over the half voxels inside and outside the outermost
    /// centres, and that weight's gradient.
    #[inline]
    fn cell(&self, at: [f32; 3]) -> Option<(Cell, f32, [f32; 3])> {
        let mut cell = Cell { first: 0, t: [0.0; 3], inner: [1.0; 3] };
        let mut weights = [1.0f32; 3];
        let mut slopes = [0.0f32; 3];
        let mut stride = 1;
        for axis in 0..3 {
            let n = self.geometry.size[axis];
            let last = n as f32 - 1.0;
            let p = at[axis];
            // Also false for a position that is not a number.
            if !(p > -0.5 && p < last + 0.5) {
                return None;
            }
            let room = (p + 0.5).min(last + 0.5 - p);
            if room < 1.0 {
                weights[axis] = room;
                slopes[axis] = if p < 0.5 * last { 1.0 } else { -1.0 };
            }
            let inside = p.clamp(0.0, last);
            if inside.to_bits() != p.to_bits() {
                cell.inner[axis] = 0.0;
            }
            let base = (inside as usize).min(n.saturating_sub(2));
            cell.t[axis] = inside - base as f32;
            cell.first += base * stride;
            stride *= n;
        }
        let weight = weights[0] * weights[1] * weights[2];
        let taper = [
            slopes[0] * weights[1] * weights[2],
            slopes[1] * weights[0] * weights[2],
            slopes[2] * weights[0] * weights[1],
        ];
        Some((cell, weight, taper))
    }

    /// Trilinear value and its gradient; a grid of one voxel along an axis does not change along it.
    #[inline]
    fn interpolate(&self, values: &[f32], cell: &Cell) -> (f32, [f32; 3]) {
        let [nx, ny, nz] = self.geometry.size;
        let step = [usize::from(nx > 1), if ny > 1 { nx } else { 0 }, if nz > 1 { nx * ny } else { 0 }];
        let [tx, ty, tz] = cell.t;
        let v = &values[cell.first..=cell.first + step[0] + step[1] + step[2]];
        let pair = |offset: usize| (v[offset], v[offset + step[0]] - v[offset]);
        let (a, da) = pair(0);
        let (b, db) = pair(step[1]);
        let (c, dc) = pair(step[2]);
        let (d, dd) = pair(step[1] + step[2]);
        let (a, b, c, d) = (a + tx * da, b + tx * db, c + tx * dc, d + tx * dd);
        let (near, far) = (a + ty * (b - a), c + ty * (d - c));
        let (near_x, far_x) = (da + ty * (db - da), dc + ty * (dd - dc));
        let slope = [near_x + tz * (far_x - near_x), (b - a) + tz * ((d - c) - (b - a)), far - near];
        (near + tz * (far - near), [0, 1, 2].map(|axis| slope[axis] * cell.inner[axis]))
    }
}

/// Where a position lies between voxel centres.
struct Cell {
    first: usize,
    t: [f32; 3],
    /// 0 where the position was moved onto the outermost centres: the value does not change there.
    inner: [f32; 3],
}

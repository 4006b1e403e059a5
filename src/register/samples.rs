//! The positions at which the fixed image is compared, with its values there.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
// Positions about the centre are well within single precision: a micrometre at a metre.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::bins::Bins;
use super::linear::Frame;
use crate::image::{Mask, Volume};
use crate::math::linalg::{self, Vec3};
use crate::math::random::Stream;

/// Voxels of the fixed image inside a mask.
pub(super) struct Samples {
    /// The mean of the positions, mm: positions are given relative to it.
    pub centre: Vec3,
    positions: Vec<[f32; 3]>,
    bins: Vec<f32>,
    /// Bins along the histogram axis.
    pub n_bins: usize,
    /// The volume that one sample stands for.
    pub volume_mm3: f64,
}

impl Samples {
    /// Every voxel that has a value and lies in the mask.
    pub fn new(image: &Volume<f32>, mask: &Mask, bins: &Bins) -> Self {
        let geometry = image.geometry;
        let chosen: Vec<(Vec3, f32)> = image
            .voxels
            .indexed_iter()
            .filter(|(at, value)| value.is_finite() && mask.voxels[*at])
            .map(|((z, y, x), value)| (geometry.voxel_to_world([x as f64, y as f64, z as f64]), *value))
            .collect();
        let n = chosen.len().max(1) as f64;
        let centre = chosen.iter().fold([0.0; 3], |sum, (at, _)| linalg::add(sum, linalg::scale(1.0 / n, *at)));
        let positions = chosen.iter().map(|(at, _)| linalg::sub(*at, centre).map(|v| v as f32)).collect();
        let bins_of = chosen.iter().map(|(_, value)| bins.position(*value)).collect();
        Self { centre, positions, bins: bins_of, n_bins: bins.n, volume_mm3: geometry.voxel_volume_mm3() }
    }

    /// As many cubes of `edge_mm`, drawn from these with replacement; each keeps all its samples.
    ///
    /// The centre stays, so that maps mean the same on all draws.
    pub fn resampled(&self, edge_mm: f64, stream: &mut Stream) -> Self {
        let mut cubes: BTreeMap<[i32; 3], Vec<usize>> = BTreeMap::new();
        for (k, position) in self.positions.iter().enumerate() {
            let cube = position.map(|p| (f64::from(p) / edge_mm).floor() as i32);
            cubes.entry(cube).or_default().push(k);
        }
        let cubes: Vec<Vec<usize>> = cubes.into_values().collect();
        let chosen: Vec<usize> = cubes.iter().flat_map(|_| cubes[stream.below(cubes.len())].iter().copied()).collect();
        Self {
            positions: chosen.iter().map(|k| self.positions[*k]).collect(),
            bins: chosen.iter().map(|k| self.bins[*k]).collect(),
            ..*self
        }
    }

    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Positions about the centre.
    pub fn positions(&self) -> &[[f32; 3]] {
        &self.positions
    }

    /// Values along the histogram axis.
    pub fn bins(&self) -> &[f32] {
        &self.bins
    }

    /// Positions and values in parts of `n`.
    pub fn parts(&self, n: usize) -> impl IndexedParallelIterator<Item = (&[[f32; 3]], &[f32])> {
        self.positions.par_chunks(n).zip(self.bins.par_chunks(n))
    }

    /// Where rotations turn and how parameters are scaled.
    pub fn frame(&self) -> Frame {
        let square: f64 = self.positions.iter().map(|p| p.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>()).sum();
        let radius = (square / self.len().max(1) as f64).sqrt();
        Frame { centre: self.centre, radius: radius.max(1.0) }
    }
}

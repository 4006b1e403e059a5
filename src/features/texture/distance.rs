//! Steps along the axes from each voxel of the morphological mask out of it.
//!
//! The least number of steps to a voxel outside is found axis by axis, forward and back: no further than the neighbour's
//! plus one. What lies beyond the grid is outside; an axis of one voxel is none.

use std::ops::Range;

use ndarray::ArrayView3;
use rayon::prelude::*;

use crate::features::roi::{BoundingBox, Roi};

/// Distances in the box around the morphological mask; 0 outside the mask.
pub(super) struct Distances {
    /// `[z, y, x]`.
    steps: Vec<u16>,
    bounds: BoundingBox,
}

/// Farther than any distance within 65 535 voxels, with room for one step more.
pub(super) const FAR: u16 = u16::MAX - 1;

impl Distances {
    /// Distances within each slice; `None` for a region without voxels.
    pub(super) fn in_slices(roi: &Roi) -> Option<Self> {
        let bounds = BoundingBox::around(roi.morphological.view())?;
        let [nx, ny, nz] = bounds.size();
        let mut steps = vec![0u16; nx * ny * nz];
        let mask = roi.morphological.view();
        steps.par_chunks_mut(nx * ny).enumerate().for_each(|(z, plane)| {
            fill(plane, mask, bounds, z);
            if roi.grid_size[0] > 1 {
                plane.chunks_mut(nx).for_each(along_row);
            }
            if roi.grid_size[1] > 1 {
                across(&mut plane.chunks_mut(nx).collect::<Vec<_>>());
            }
        });
        Some(Self { steps, bounds })
    }

    /// Distances in the volume, from those within its slices.
    pub(super) fn through_slices(mut self, roi: &Roi) -> Self {
        /// Rows that are worked on together.
        const BAND: usize = 16;
        let [nx, ny, _] = self.bounds.size();
        if roi.grid_size[2] > 1 {
            let mut bands: Vec<Vec<&mut [u16]>> = (0..ny.div_ceil(BAND)).map(|_| Vec::new()).collect();
            for plane in self.steps.chunks_mut(nx * ny) {
                bands.iter_mut().zip(plane.chunks_mut(nx * BAND)).for_each(|(band, rows)| band.push(rows));
            }
            bands.par_iter_mut().for_each(|band| across(band));
        }
        self
    }

    /// The distances of the voxels `span` of row `y`, slice `z` of another box of the same block.
    pub(super) fn row(&self, other: &BoundingBox, span: Range<usize>, y: usize, z: usize) -> &[u16] {
        let [dx, dy, dz] = [0, 1, 2].map(|axis| other.first[axis] - self.bounds.first[axis]);
        let [nx, ny, _] = self.bounds.size();
        let row = ((z + dz) * ny + y + dy) * nx + dx;
        &self.steps[row + span.start..row + span.end]
    }
}

/// The slice's mask as far or outside.
fn fill(plane: &mut [u16], mask: ArrayView3<bool>, bounds: BoundingBox, z: usize) {
    let [nx, _, _] = bounds.size();
    for (y, row) in plane.chunks_mut(nx).enumerate() {
        for (x, step) in row.iter_mut().enumerate() {
            let inside = mask[[bounds.first[2] + z, bounds.first[1] + y, bounds.first[0] + x]];
            *step = if inside { FAR } else { 0 };
        }
    }
}

fn along_row(row: &mut [u16]) {
    let limit = |step: &mut u16, before: &mut u16| {
        *step = (*step).min(before.saturating_add(1));
        *before = *step;
    };
    let mut before = 0;
    row.iter_mut().for_each(|step| limit(step, &mut before));
    before = 0;
    row.iter_mut().rev().for_each(|step| limit(step, &mut before));
}

/// The same across rows or slices.
fn across(lines: &mut [&mut [u16]]) {
    let limit = |line: &mut [u16], before: &[u16]| {
        line.iter_mut().zip(before).for_each(|(step, before)| *step = (*step).min(before.saturating_add(1)));
    };
    let edge = |line: &mut [u16]| line.iter_mut().for_each(|step| *step = (*step).min(1));
    if let Some(first) = lines.first_mut() {
        edge(first);
    }
    for i in 1..lines.len() {
        let (done, rest) = lines.split_at_mut(i);
        limit(rest[0], done[i - 1]);
    }
    if let Some(last) = lines.last_mut() {
        edge(last);
    }
    for i in (1..lines.len()).rev() {
        let (rest, done) = lines.split_at_mut(i);
        limit(rest[i - 1], done[0]);
    }
}

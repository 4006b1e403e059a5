//! Zones: connected voxels of one level (IBSI 3.8 and 3.9), over 8 neighbours in a slice and 26 in the volume.
//!
//! Rows are cut into runs of one level; runs that touch and have one level are joined (union-find with the least run as the
//! root). Slices are joined within themselves first, all at the same time, then with each other.

use std::ops::Range;

use rayon::prelude::*;

use super::block::LevelBlock;
use super::distance::Distances;
use super::matrix::{Cell, Matrix};
use crate::features::roi::BoundingBox;

/// A piece of a row with one level.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u16,
    end: u16,
    index: u16,
}

/// The runs of one slice.
struct Plane {
    runs: Vec<Run>,
    /// The runs of row y are `rows[y]..rows[y + 1]`.
    rows: Vec<u32>,
    /// A run of the same zone with a number not above its own; its own at the root.
    parents: Vec<u32>,
}

/// The matrices of sizes and of distances.
pub(super) struct ZoneMatrices {
    pub(super) sizes: Matrix,
    pub(super) distances: Matrix,
}

impl ZoneMatrices {
    /// The sum over slices.
    pub(super) fn merged(slices: &[Self]) -> Self {
        Self {
            sizes: Matrix::merged(slices.iter().map(|slice| (&slice.sizes, 1.0))),
            distances: Matrix::merged(slices.iter().map(|slice| (&slice.distances, 1.0))),
        }
    }
}

/// The region's runs, joined within the slices.
pub(super) struct Zones<'a> {
    block: &'a LevelBlock,
    planes: Vec<Plane>,
}

impl<'a> Zones<'a> {
    pub(super) fn of(block: &'a LevelBlock) -> Self {
        let planes = block.slices().into_par_iter().map(|z| Plane::of(block, z)).collect();
        Self { block, planes }
    }

    /// The zones of each slice.
    pub(super) fn by_slice(&self, distances: Option<&Distances>) -> Vec<ZoneMatrices> {
        let slices = self.planes.par_iter().enumerate().map(|(z, plane)| {
            let mut zones = Sums::new(plane.runs.len());
            zones.add(plane, &plane.parents, 0, z, distances.map(|distances| (distances, &self.block.bounds)));
            zones.matrices(self.block, z..z + 1)
        });
        slices.collect()
    }

    /// The zones of the volume.
    pub(super) fn in_volume(&self, distances: Option<&Distances>) -> ZoneMatrices {
        /// Slices that are joined one after the other.
        const PART: usize = 8;
        let mut offsets = vec![0usize];
        let mut parents = Vec::with_capacity(self.planes.iter().map(|plane| plane.runs.len()).sum());
        for plane in &self.planes {
            let offset = parents.len() as u32;
            parents.extend(plane.parents.iter().map(|parent| parent + offset));
            offsets.push(parents.len());
        }
        let mut parts = Vec::new();
        let mut rest = parents.as_mut_slice();
        for first in (0..self.planes.len()).step_by(PART) {
            let end = (first + PART).min(self.planes.len());
            let (part, after) = rest.split_at_mut(offsets[end] - offsets[first]);
            parts.push((first..end, part));
            rest = after;
        }
        parts.into_par_iter().for_each(|(slices, part)| {
            let base = offsets[slices.start];
            (slices.start + 1..slices.end).for_each(|z| self.join_slices(z, &offsets, part, base));
        });
        (PART..self.planes.len()).step_by(PART).for_each(|z| self.join_slices(z, &offsets, &mut parents, 0));
        // Parents lie before their children, so that one pass leads every run to its root.
        for run in 0..parents.len() {
            parents[run] = parents[parents[run] as usize];
        }
        let mut zones = Sums::new(parents.len());
        for (z, plane) in self.planes.iter().enumerate() {
            let roots = &parents[offsets[z]..offsets[z + 1]];
            zones.add(plane, roots, offsets[z], z, distances.map(|distances| (distances, &self.block.bounds)));
        }
        zones.matrices(self.block, self.block.slices())
    }

    /// Joins slice `z` with the one before it; `parents` starts at run `base`, and holds numbers of all runs.
    fn join_slices(&self, z: usize, offsets: &[usize], parents: &mut [u32], base: usize) {
        let (this, before) = (&self.planes[z], &self.planes[z - 1]);
        let mut sets = Sets { parents, base: base as u32 };
        let rows = self.block.size[1];
        let reach = usize::from(self.block.grid_size[1] > 1);
        for y in 0..rows {
            for other in y.saturating_sub(reach)..=(y + reach).min(rows - 1) {
                let (a, b) = (Line::of(this, y, offsets[z]), Line::of(before, other, offsets[z - 1]));
                touching(&a, &b, |a, b| sets.join(a, b));
            }
        }
    }
}

impl Plane {
    fn of(block: &LevelBlock, z: usize) -> Self {
        let (mut runs, mut rows) = (Vec::new(), vec![0u32]);
        for y in 0..block.size[1] {
            let first = block.span(y, z).start;
            let mut x = first;
            for same in block.cells[block.cells_of(y, z)].chunk_by(|a, b| a == b) {
                if same[0] > 0 {
                    runs.push(Run { start: x as u16, end: (x + same.len()) as u16, index: same[0] });
                }
                x += same.len();
            }
            rows.push(runs.len() as u32);
        }
        let mut plane = Self { parents: (0..runs.len() as u32).collect(), runs, rows };
        let mut parents = std::mem::take(&mut plane.parents);
        let mut sets = Sets { parents: &mut parents, base: 0 };
        for y in 1..block.size[1] {
            touching(&Line::of(&plane, y, 0), &Line::of(&plane, y - 1, 0), |a, b| sets.join(a, b));
        }
        for run in 0..parents.len() {
            parents[run] = parents[parents[run] as usize];
        }
        plane.parents = parents;
        plane
    }

    fn row(&self, y: usize) -> Range<usize> {
        self.rows[y] as usize..self.rows[y + 1] as usize
    }
}

/// The runs of a row, and the number of the first among all.
struct Line<'a> {
    runs: &'a [Run],
    first: u32,
}

impl<'a> Line<'a> {
    fn of(plane: &'a Plane, y: usize, offset: usize) -> Self {
        let row = plane.row(y);
        Self { first: (offset + row.start) as u32, runs: &plane.runs[row] }
    }
}

/// Calls `join` for each two runs of one level in neighbouring rows that touch, at a corner at least.
fn touching(a: &Line, b: &Line, mut join: impl FnMut(u32, u32)) {
    let (mut i, mut j) = (0, 0);
    let mut meet = |i: usize, j: usize| {
        if let (Some(x), Some(y)) = (a.runs.get(i), b.runs.get(j))
            && x.index == y.index
            && x.start <= y.end
            && y.start <= x.end
        {
            join(a.first + i as u32, b.first + j as u32);
        }
    };
    while i < a.runs.len() && j < b.runs.len() {
        meet(i, j);
        let (x, y) = (a.runs[i].end, b.runs[j].end);
        if x == y {
            // Each may still touch the other's next run at a corner.
            meet(i + 1, j);
            meet(i, j + 1);
        }
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
}

/// Sets of runs; the root of a set is its least member.
struct Sets<'a> {
    parents: &'a mut [u32],
    /// The number of the run that `parents` starts with.
    base: u32,
}

impl Sets<'_> {
    fn root(&mut self, mut run: u32) -> u32 {
        loop {
            let at = (run - self.base) as usize;
            let parent = self.parents[at];
            if parent == run {
                return run;
            }
            // Every second one is led closer to the root.
            self.parents[at] = self.parents[(parent - self.base) as usize];
            run = self.parents[at];
        }
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.parents[(high - self.base) as usize] = low;
    }
}

/// Voxels and distance of each zone, at the number of its root.
struct Sums {
    /// 0 where no zone has its root.
    sizes: Vec<u32>,
    distances: Vec<u16>,
    indices: Vec<u16>,
}

impl Sums {
    fn new(runs: usize) -> Self {
        Self { sizes: vec![0; runs], distances: vec![u16::MAX; runs], indices: vec![0; runs] }
    }

    fn add(
        &mut self,
        plane: &Plane,
        roots: &[u32],
        offset: usize,
        z: usize,
        distances: Option<(&Distances, &BoundingBox)>,
    ) {
        for y in 0..plane.rows.len() - 1 {
            for (run, root) in plane.runs[plane.row(y)].iter().zip(&roots[plane.row(y)]) {
                let root = *root as usize;
                self.sizes[root] += u32::from(run.end - run.start);
                self.indices[root] = run.index;
                if let Some((distances, bounds)) = distances {
                    let span = (usize::from(run.start), usize::from(run.end));
                    self.distances[root] = self.distances[root].min(distances.least(bounds, span, y, z));
                }
            }
        }
        debug_assert!(roots.iter().all(|root| *root as usize <= offset + roots.len()), "a root lies behind its run");
    }

    fn matrices(&self, block: &LevelBlock, slices: Range<usize>) -> ZoneMatrices {
        let voxels = block.voxels(slices) as f64;
        let zones = || self.sizes.iter().zip(&self.distances).zip(&self.indices).filter(|((size, _), _)| **size > 0);
        let sizes = tally(block, zones().map(|((size, _), index)| (*index, *size)));
        let distances = tally(block, zones().map(|((_, distance), index)| (*index, u32::from(*distance))));
        ZoneMatrices { sizes: Matrix::collect(sizes, voxels), distances: Matrix::collect(distances, voxels) }
    }
}

/// How often each index and extent occur together: small extents in a table, large ones one by one.
fn tally(block: &LevelBlock, zones: impl Iterator<Item = (u16, u32)>) -> Vec<Cell> {
    const TABLE: usize = 32;
    let mut table = vec![0u64; block.width() * TABLE];
    let mut cells = Vec::new();
    for (index, extent) in zones {
        match table.get_mut(usize::from(index) * TABLE + extent as usize) {
            Some(count) if (extent as usize) < TABLE => *count += 1,
            _ => cells.push(Cell { level: block.levels[usize::from(index)], other: extent, count: 1.0 }),
        }
    }
    let small = table.into_iter().enumerate().filter(|(_, count)| *count > 0);
    cells.extend(small.map(|(at, count)| Cell {
        level: block.levels[at / TABLE],
        other: (at % TABLE) as u32,
        count: count as f64,
    }));
    cells
}

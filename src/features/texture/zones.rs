//! Zones: connected voxels of one level (IBSI 3.8 and 3.9), over 8 neighbours in a slice and 26 in the volume.
//!
//! Voxels of one level that touch are joined (union-find with the least voxel as the root): slices within themselves first,
//! all at the same time, then with each other. Which of a voxel's touches need joining is decided for many voxels at once:
//! most are implied by others.

use std::ops::Range;

use rayon::prelude::*;

use super::block::LevelBlock;
use super::distance::{Distances, FAR};
use super::lanes::{equal, groups, holding, lanes, set};
use super::matrix::{Cell, Matrix};

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

/// The region's voxels, joined within the slices.
pub(super) struct Zones<'a> {
    block: &'a LevelBlock,
    /// By cell: a cell of the same zone that does not lie behind it; itself at the root.
    parents: Vec<u32>,
}

impl<'a> Zones<'a> {
    pub(super) fn of(block: &'a LevelBlock) -> Self {
        let mut parents = vec![0; block.cells.len()];
        let planes = parents.par_chunks_mut(block.plane).enumerate().skip(block.border).take(block.size[2]);
        planes.for_each(|(plane, parents)| {
            let mut sets = Sets { parents, base: plane * block.plane };
            for y in 0..block.size[1] {
                sets.join_row(block, plane - block.border, y);
            }
        });
        Self { block, parents }
    }

    /// The zones of each slice.
    pub(super) fn by_slice(&self, distances: Option<&Distances>) -> Vec<ZoneMatrices> {
        let slices = self.block.slices().into_par_iter().map(|z| {
            let base = (z + self.block.border) * self.block.plane;
            let mut parents = self.parents[base..base + self.block.plane].to_vec();
            matrices(self.block, z..z + 1, &mut parents, base, distances)
        });
        slices.collect()
    }

    /// The zones of the volume.
    pub(super) fn in_volume(mut self, distances: Option<&Distances>) -> ZoneMatrices {
        /// Slices that are joined one after the other.
        const PART: usize = 8;
        let block = self.block;
        let first = block.border * block.plane;
        let parts = self.parents[first..].par_chunks_mut(block.plane * PART).enumerate();
        parts.for_each(|(part, parents)| {
            let slices = part * PART..((part + 1) * PART).min(block.size[2]);
            let mut sets = Sets { parents, base: first + part * PART * block.plane };
            slices.skip(1).for_each(|z| sets.join_slices(block, z));
        });
        let mut sets = Sets { parents: &mut self.parents, base: 0 };
        (PART..block.size[2]).step_by(PART).for_each(|z| sets.join_slices(block, z));
        matrices(block, block.slices(), &mut self.parents, 0, distances)
    }
}

/// Sets of cells; the root of a set is its least member.
struct Sets<'a> {
    parents: &'a mut [u32],
    /// The cell that `parents` starts with.
    base: usize,
}

/// In which lanes a row's cells are like cells of another row.
#[derive(Debug, Clone, Copy, Default)]
struct Touches {
    /// The one at the same place, the one before it, and the one after it.
    level: u32,
    before: u32,
    after: u32,
}

impl Touches {
    fn of(cells: &[u16], at: usize, other: usize) -> Self {
        let here = lanes(cells, at);
        let like = |other: usize| equal(here, lanes(cells, other));
        Self { level: like(other), before: like(other - 1), after: like(other + 1) }
    }

    const fn any(self) -> u32 {
        self.level | self.before | self.after
    }
}

/// The lanes of a group of cells of a row that are worked on.
struct Group {
    at: usize,
    /// Lanes with a voxel of the region; those that are like the voxel before, and like the one after.
    voxels: u32,
    before: u32,
    after: u32,
}

impl Group {
    fn of(cells: &[u16], at: usize, within: u32) -> Self {
        let here = lanes(cells, at);
        let like = |other: usize| equal(here, lanes(cells, other));
        Self { at, voxels: within & !holding(here, 0), before: like(at - 1), after: like(at + 1) }
    }
}

impl Sets<'_> {
    fn root(&mut self, mut cell: u32) -> u32 {
        loop {
            let at = cell as usize - self.base;
            let parent = self.parents[at];
            if parent == cell {
                return cell;
            }
            // Every second one is led closer to the root.
            self.parents[at] = self.parents[parent as usize - self.base];
            cell = self.parents[at];
        }
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.parents[a - self.base], self.parents[b - self.base]);
        if a == b {
            return;
        }
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.parents[high as usize - self.base] = low;
    }

    /// Joins the voxels of a row with each other and with those of the row before.
    fn join_row(&mut self, block: &LevelBlock, z: usize, y: usize) {
        let here = block.cells_of(y, z);
        let mut parent = here.start;
        for cell in here.clone() {
            if block.cells[cell] != block.cells[cell - 1] {
                parent = cell;
            }
            self.parents[cell - self.base] = parent as u32;
        }
        let mut carry = 0;
        for (at, within) in groups(&here) {
            let group = Group::of(&block.cells, at, within);
            let touches = Touches::of(&block.cells, at, at - block.row);
            self.join_touching(&group, at - block.row, touches, touches, &mut carry);
        }
    }

    /// Joins the voxels of slice `z` with those of the slice before.
    fn join_slices(&mut self, block: &LevelBlock, z: usize) {
        for y in 0..block.size[1] {
            let mut carry = [0; 3];
            for (at, within) in groups(&block.cells_of(y, z)) {
                let group = Group::of(&block.cells, at, within);
                let level = at - block.plane;
                let middle = Touches::of(&block.cells, at, level);
                self.join_touching(&group, level, middle, middle, &mut carry[0]);
                for (other, carry) in [level - block.row, level + block.row].into_iter().zip(&mut carry[1..]) {
                    let touches = Touches::of(&block.cells, at, other);
                    // What is like a voxel of the middle row is joined with that, and that with its neighbours in its slice.
                    let needed = Touches {
                        level: touches.level & !middle.any(),
                        before: touches.before & !(middle.level | middle.before),
                        after: touches.after & !(middle.level | middle.after),
                    };
                    self.join_touching(&group, other, touches, needed, carry);
                }
            }
        }
    }

    /// Joins the voxels of a group with those of another row that they are like, as far as needed. `carry` tells whether
    /// the last lane of the group before was like the cell at its place.
    fn join_touching(&mut self, group: &Group, other: usize, all: Touches, needed: Touches, carry: &mut u32) {
        // The voxel before, if of the same level, is joined with what lies at its own place already.
        let level = needed.level & !(group.before & (all.level << 1 | *carry));
        *carry = all.level >> 31;
        // At a corner the other is a neighbour of what lies at the same place, or is at the place of the neighbour in the row.
        let before = needed.before & !(all.level | group.before);
        let after = needed.after & !(all.level | group.after);
        for (lanes, other) in [(level, other), (before, other - 1), (after, other + 1)] {
            set(lanes & group.voxels).for_each(|lane| self.join(group.at + lane, other + lane));
        }
    }
}

/// A zone.
struct Zone {
    index: u16,
    /// The least distance of its voxels.
    distance: u16,
    size: u32,
}

/// The matrices of the zones in these slices. `parents` starts with cell `base`; it is used up.
fn matrices(
    block: &LevelBlock,
    slices: Range<usize>,
    parents: &mut [u32],
    base: usize,
    distances: Option<&Distances>,
) -> ZoneMatrices {
    let mut zones: Vec<Zone> = Vec::new();
    for (z, y) in slices.clone().flat_map(|z| (0..block.size[1]).map(move |y| (z, y))) {
        let here = block.cells_of(y, z);
        let steps = distances.map_or(&[][..], |distances| distances.row(&block.bounds, block.span(y, z), y, z));
        for (at, cell) in here.enumerate().filter(|(_, cell)| block.cells[*cell] > 0) {
            // Parents lie before their children: they hold the number of their zone already.
            let parent = parents[cell - base] as usize;
            let number = if parent == cell { zones.len() } else { parents[parent - base] as usize };
            if parent == cell {
                zones.push(Zone { index: block.cells[cell], distance: u16::MAX, size: 0 });
            }
            parents[cell - base] = number as u32;
            let zone = &mut zones[number];
            zone.size += 1;
            zone.distance = steps.get(at).map_or(zone.distance, |step| zone.distance.min(*step));
        }
    }
    // A grid of a single voxel has no way out; its zone lies at the edge all the same.
    zones.iter_mut().filter(|zone| zone.distance >= FAR).for_each(|zone| zone.distance = 1);
    let voxels = block.voxels(slices) as f64;
    let sizes = tally(block, zones.iter().map(|zone| (zone.index, zone.size)));
    let distances = tally(block, zones.iter().map(|zone| (zone.index, u32::from(zone.distance))));
    ZoneMatrices { sizes: Matrix::collect(sizes, voxels), distances: Matrix::collect(distances, voxels) }
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

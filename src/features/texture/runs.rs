//! Counting runs: the grey level run length matrices.
//!
//! Voxel by voxel, the length of the run so far is that of the voxel before it plus one where both have one level. A run is
//! counted where it ends, if it has two voxels or more; what is left of a level's voxels are runs of one.

use std::ops::Range;

use rayon::prelude::*;

use super::block::LevelBlock;
use super::directions::Direction;
use super::matrix::{Cell, Matrix};
use super::pairs::shifted;

/// Lengths below this are counted in a table, longer runs one by one; fewer where there are many levels.
const TABLE_LENGTH: usize = 64;

/// The largest table of runs, in cells.
const TABLE_CELLS: usize = 1 << 18;

/// How many parts a volume is counted in at the same time.
const PARTS: usize = 8;

/// One matrix for each direction, over these slices.
pub(super) fn by_direction(block: &LevelBlock, slices: &Range<usize>, directions: &[Direction]) -> Vec<Matrix> {
    let targets: Vec<usize> = (0..directions.len()).collect();
    counted(block, slices, directions, &targets)
}

/// One matrix of all directions together, over these slices.
pub(super) fn merged(block: &LevelBlock, slices: &Range<usize>, directions: &[Direction]) -> Matrix {
    counted(block, slices, directions, &vec![0; directions.len()]).pop().unwrap_or_default()
}

/// Runs along `directions[k]` are counted into matrix `targets[k]`.
fn counted(block: &LevelBlock, slices: &Range<usize>, directions: &[Direction], targets: &[usize]) -> Vec<Matrix> {
    let n_matrices = targets.iter().max().map_or(0, |last| last + 1);
    let step = slices.len().div_ceil(PARTS).max(1);
    let starts: Vec<usize> = slices.clone().step_by(step).collect();
    let parts: Vec<Vec<Tally>> = starts
        .par_iter()
        .map(|start| {
            let mut counter = Counter::new(block, directions, targets, n_matrices);
            counter.count(*start..(start + step).min(slices.end));
            counter.tallies
        })
        .collect();
    let voxels = level_voxels(block, slices);
    let merge = |matrix: usize| {
        let times = targets.iter().filter(|target| **target == matrix).count() as u64;
        let tallies: Vec<&Tally> = parts.iter().map(|part| &part[matrix]).collect();
        matrix_of(block, &tallies, &voxels, times)
    };
    (0..n_matrices).map(merge).collect()
}

/// How many voxels of these slices have each index.
fn level_voxels(block: &LevelBlock, slices: &Range<usize>) -> Vec<u64> {
    let mut voxels = vec![0u64; block.width()];
    for z in slices.clone() {
        for y in 0..block.size[1] {
            block.cells[block.cells_of(y, z)].iter().for_each(|index| voxels[usize::from(*index)] += 1);
        }
    }
    voxels
}

/// Runs of two voxels and more.
struct Tally {
    /// By index and length.
    table: Vec<u32>,
    /// Index and length of each run that the table has no cell for.
    long: Vec<(u16, u16)>,
}

/// Lengths that the table has cells for.
fn table_length(block: &LevelBlock) -> usize {
    (TABLE_CELLS / block.width()).clamp(4, TABLE_LENGTH)
}

/// Counts the runs that end in a range of slices.
struct Counter<'a> {
    block: &'a LevelBlock,
    directions: &'a [Direction],
    targets: &'a [usize],
    /// By direction: the length of the run so far at each cell of this and of the previous slice. Only cells that the run
    /// reaches are ever read.
    lengths: Vec<[Vec<u16>; 2]>,
    tallies: Vec<Tally>,
    /// Where runs end in a row.
    ends: Vec<u32>,
}

impl<'a> Counter<'a> {
    fn new(block: &'a LevelBlock, directions: &'a [Direction], targets: &'a [usize], n_matrices: usize) -> Self {
        let plane = |needed: bool| vec![0u16; if needed { block.plane } else { 0 }];
        let lengths = directions.iter().map(|direction| [plane(true), plane(!direction.in_plane())]).collect();
        let tally = || Tally { table: vec![0; block.width() * table_length(block)], long: Vec::new() };
        let tallies = (0..n_matrices).map(|_| tally()).collect();
        Self { block, directions, targets, lengths, tallies, ends: vec![0; block.row] }
    }

    fn count(&mut self, slices: Range<usize>) {
        self.look_back(slices.start);
        for z in slices {
            for [this, previous] in &mut self.lengths {
                if !previous.is_empty() {
                    std::mem::swap(this, previous);
                }
            }
            for y in 0..self.block.size[1] {
                let here = self.block.cells_of(y, z);
                if !here.is_empty() {
                    (0..self.directions.len()).for_each(|k| self.count_row(k, &here));
                }
            }
        }
    }

    /// The lengths in the slice before the first, found by walking back from each of its voxels: they are put where the
    /// first slice will look for those of its previous one.
    fn look_back(&mut self, first: usize) {
        let Some(z) = first.checked_sub(1) else { return };
        let block = self.block;
        for (direction, [this, _]) in self.directions.iter().zip(&mut self.lengths) {
            if direction.in_plane() {
                continue;
            }
            for cell in (0..block.size[1]).flat_map(|y| block.cells_of(y, z)) {
                let index = block.cells[cell];
                let (mut at, mut length) = (cell, 0u16);
                while index > 0 && block.cells[at] == index {
                    length += 1;
                    at = shifted_back(block, at, *direction);
                }
                this[cell % block.plane] = length;
            }
        }
    }

    fn count_row(&mut self, k: usize, here: &Range<usize>) {
        let (block, direction) = (self.block, self.directions[k]);
        let before = shifted_back(block, here.start, direction)..shifted_back(block, here.end, direction);
        let after = shifted(block, here, direction);
        let [this, previous] = &mut self.lengths[k];
        let at = here.start % block.plane;
        let end = at + here.len();
        let cells = &block.cells;
        if direction.in_plane() {
            let from = at - (here.start - before.start);
            if from + here.len() > at {
                // Along the row each length needs the one before it.
                for i in 0..here.len() {
                    let same = cells[here.start + i] == cells[before.start + i];
                    this[at + i] = if same { this[from + i] + 1 } else { 1 };
                }
            } else {
                let (done, row) = this.split_at_mut(at);
                lengthen(&cells[here.clone()], &cells[before], &done[from..], &mut row[..here.len()]);
            }
        } else {
            let from = before.start % block.plane;
            lengthen(&cells[here.clone()], &cells[before], &previous[from..], &mut this[at..end]);
        }
        let ends = ends(&cells[here.clone()], &cells[after], &this[at..end], &mut self.ends);
        self.tallies[self.targets[k]].add(&cells[here.clone()], &this[at..end], ends, table_length(block));
    }
}

/// The cell one direction before.
fn shifted_back(block: &LevelBlock, cell: usize, direction: Direction) -> usize {
    let by = direction.dx + direction.dy * block.row as isize + direction.dz * block.plane as isize;
    cell.wrapping_add_signed(-by)
}

/// Run lengths of a row from those of the cells before it.
fn lengthen(here: &[u16], before: &[u16], lengths_before: &[u16], lengths: &mut [u16]) {
    for (((cell, before), length_before), length) in here.iter().zip(before).zip(lengths_before).zip(lengths) {
        *length = if cell == before { *length_before + 1 } else { 1 };
    }
}

/// Where in a row runs of two voxels or more end. No branch depends on the data.
fn ends<'e>(here: &[u16], after: &[u16], lengths: &[u16], ends: &'e mut [u32]) -> &'e [u32] {
    let mut n = 0;
    for (x, ((cell, after), length)) in (0u32..).zip(here.iter().zip(after).zip(lengths)) {
        ends[n] = x;
        n += usize::from((cell != after) & (*length > 1) & (*cell > 0));
    }
    &ends[..n]
}

impl Tally {
    fn add(&mut self, here: &[u16], lengths: &[u16], ends: &[u32], table_length: usize) {
        for x in ends {
            let (index, length) = (here[*x as usize], lengths[*x as usize]);
            if usize::from(length) < table_length {
                self.table[usize::from(index) * table_length + usize::from(length)] += 1;
            } else {
                self.long.push((index, length));
            }
        }
    }
}

/// The matrix of what several parts counted along `times` directions, among `voxels` voxels of each index.
fn matrix_of(block: &LevelBlock, tallies: &[&Tally], voxels: &[u64], times: u64) -> Matrix {
    let table_length = table_length(block);
    let mut cells = Vec::new();
    let mut single: Vec<u64> = voxels.iter().map(|n| n * times).collect();
    for (index, single) in single.iter_mut().enumerate().skip(1) {
        for length in 2..table_length {
            let count: u64 = tallies.iter().map(|tally| u64::from(tally.table[index * table_length + length])).sum();
            if count > 0 {
                *single -= count * length as u64;
                cells.push(Cell { level: block.levels[index], other: length as u32, count: count as f64 });
            }
        }
    }
    for (index, length) in tallies.iter().flat_map(|tally| &tally.long) {
        let index = usize::from(*index);
        single[index] -= u64::from(*length);
        cells.push(Cell { level: block.levels[index], other: u32::from(*length), count: 1.0 });
    }
    let ones = (1..block.width()).filter(|index| single[*index] > 0);
    cells.extend(ones.map(|index| Cell { level: block.levels[index], other: 1, count: single[index] as f64 }));
    Matrix::collect(cells, voxels[1..].iter().sum::<u64>() as f64 * times as f64)
}

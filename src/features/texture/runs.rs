//! Counting runs: the grey level run length matrices.
//!
//! Voxel by voxel, the length of the run so far is that of the voxel before it plus one where both have one level. A run is
//! counted where it ends, if it has two voxels or more; what is left of a level's voxels are runs of one.

use std::ops::Range;

use rayon::prelude::*;

use super::block::LevelBlock;
use super::directions::Direction;
use super::lanes::{LANES, equal_in_any, groups, lanes, set};
use super::matrix::{Cell, Matrix};
use super::pairs::shifted;

/// Lengths below this are counted in a table, longer runs one by one; fewer where there are many levels.
const TABLE_LENGTH: usize = 64;

/// The largest table of runs, in cells.
const TABLE_CELLS: usize = 1 << 18;

/// How many parts a volume is counted in at the same time.
const PARTS: usize = 4;

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

/// The length of the run so far at each cell, along one direction.
struct Track {
    direction: Direction,
    /// Of the slice, or where the direction stays in it of the row, that is worked on.
    this: Vec<u16>,
    /// Of the one before. Only cells that a run reaches are ever read.
    previous: Vec<u16>,
}

impl Track {
    fn new(block: &LevelBlock, direction: Direction) -> Self {
        let cells = LANES + if direction.in_plane() { block.row } else { block.plane };
        let in_row = direction.in_plane() && direction.dy == 0;
        Self { direction, this: vec![0; cells], previous: vec![0; if in_row { 0 } else { cells }] }
    }

    fn next(&mut self) {
        if !self.previous.is_empty() {
            std::mem::swap(&mut self.this, &mut self.previous);
        }
    }

    /// The lengths at the cells of a row, from those before them; where they lie in `this`.
    fn advance(&mut self, block: &LevelBlock, here: &Range<usize>) -> usize {
        let period = if self.direction.in_plane() { block.row } else { block.plane };
        let before = shifted_back(block, here.start, self.direction);
        let (at, from) = (here.start % period, before % period);
        let cells = &block.cells;
        if self.previous.is_empty() {
            // Along the row each length needs the one before it.
            let mut length = 0;
            let pairs = cells[here.clone()].iter().zip(&cells[before..]);
            for (to, (cell, before)) in self.this[at..].iter_mut().zip(pairs) {
                length = if cell == before { length + 1 } else { 1 };
                *to = length;
            }
        } else {
            let n = here.len().next_multiple_of(LANES);
            let (to, from) = (&mut self.this[at..at + n], &self.previous[from..from + n]);
            lengthen(&cells[here.start..here.start + n], &cells[before..before + n], from, to);
        }
        at
    }
}

/// Counts the runs that end in a range of slices.
struct Counter<'a> {
    block: &'a LevelBlock,
    targets: &'a [usize],
    tracks: Vec<Track>,
    tallies: Vec<Tally>,
}

impl<'a> Counter<'a> {
    fn new(block: &'a LevelBlock, directions: &'a [Direction], targets: &'a [usize], n_matrices: usize) -> Self {
        let tracks = directions.iter().map(|direction| Track::new(block, *direction)).collect();
        let tally = || Tally { table: vec![0; block.width() * table_length(block)], long: Vec::new() };
        Self { block, targets, tracks, tallies: (0..n_matrices).map(|_| tally()).collect() }
    }

    fn count(&mut self, slices: Range<usize>) {
        self.look_back(slices.start);
        for z in slices {
            self.tracks.iter_mut().filter(|track| !track.direction.in_plane()).for_each(Track::next);
            for y in 0..self.block.size[1] {
                self.tracks.iter_mut().filter(|track| track.direction.in_plane()).for_each(Track::next);
                let here = self.block.cells_of(y, z);
                (0..self.tracks.len()).for_each(|k| self.count_row(k, &here));
            }
        }
    }

    /// The lengths in the slice before the first, found by walking back from each of its voxels: they are put where the
    /// first slice will look for those of its previous one.
    fn look_back(&mut self, first: usize) {
        let Some(z) = first.checked_sub(1) else { return };
        let block = self.block;
        for track in self.tracks.iter_mut().filter(|track| !track.direction.in_plane()) {
            for cell in (0..block.size[1]).flat_map(|y| block.cells_of(y, z)) {
                let index = block.cells[cell];
                let (mut at, mut length) = (cell, 0u16);
                while index > 0 && block.cells[at] == index {
                    length += 1;
                    at = shifted_back(block, at, track.direction);
                }
                track.this[cell % block.plane] = length;
            }
        }
    }

    fn count_row(&mut self, k: usize, here: &Range<usize>) {
        let (block, track) = (self.block, &mut self.tracks[k]);
        let at = track.advance(block, here);
        let after = shifted(block, here, track.direction).start;
        let tally = &mut self.tallies[self.targets[k]];
        let table_length = table_length(block);
        for (group, within) in groups(here) {
            let x = group - here.start;
            let (cells, lengths) = (lanes(&block.cells, group), lanes(&track.this, at + x));
            tally.add(cells, lengths, within & ends(cells, lanes(&block.cells, after + x), lengths), table_length);
        }
    }
}

/// The cell one direction before.
fn shifted_back(block: &LevelBlock, cell: usize, direction: Direction) -> usize {
    let by = direction.dx + direction.dy * block.row as isize + direction.dz * block.plane as isize;
    cell.wrapping_add_signed(-by)
}

/// Run lengths of cells from those of the cells before them. Not inlined, so that the compiler knows the four apart.
#[inline(never)]
fn lengthen(here: &[u16], before: &[u16], lengths_before: &[u16], lengths: &mut [u16]) {
    for (((cell, before), length_before), length) in here.iter().zip(before).zip(lengths_before).zip(lengths) {
        // A branch would be guessed wrong for every second voxel.
        let goes_on = u16::from(cell == before).wrapping_neg();
        *length = (length_before & goes_on).wrapping_add(1);
    }
}

/// Where runs of two voxels or more end.
fn ends(here: &[u16; LANES], after: &[u16; LANES], lengths: &[u16; LANES]) -> u32 {
    !equal_in_any([(here, after), (lengths, &[1; LANES]), (here, &[0; LANES])])
}

impl Tally {
    fn add(&mut self, here: &[u16; LANES], lengths: &[u16; LANES], ends: u32, table_length: usize) {
        for x in set(ends) {
            let (index, length) = (here[x], lengths[x]);
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

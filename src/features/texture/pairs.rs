//! Counting pairs of neighbours: the grey level co-occurrence matrices before they are normalised.
//!
//! Each pair is counted once, forward along its direction; the matrix is symmetric, so a cell with level <= other stands for
//! both orders.

use std::ops::Range;

use rayon::prelude::*;

use super::block::LevelBlock;
use super::directions::Direction;
use super::matrix::{Cell, Matrix};

/// The largest table of pairs, in cells: 4 MiB.
const TABLE_CELLS: usize = 1 << 20;

/// The largest tables of several directions together.
const TABLES_CELLS: usize = 1 << 21;

/// How many parts a volume is counted in at the same time; fewer where the tables are large.
const PARTS: usize = 16;
const PARTS_LARGE: usize = 2;

/// One matrix for each direction, over these slices.
pub(super) fn by_direction(block: &LevelBlock, slices: &Range<usize>, directions: &[Direction]) -> Vec<Matrix> {
    let cells = block.width() * block.width();
    let voxels = block.voxels(slices.clone()) as f64;
    // Tables pay as long as they are not much larger than what is counted.
    if cells <= TABLE_CELLS && cells as f64 <= (voxels * 16.0).max(4096.0) {
        let group = (TABLES_CELLS / cells).max(1);
        let groups = directions.chunks(group).map(|group| {
            let targets: Vec<usize> = (0..group.len()).collect();
            tables(block, slices, group, &targets)
        });
        return groups.flatten().map(|table| from_table(block, &table, voxels)).collect();
    }
    directions.par_iter().map(|direction| sorted(block, slices, *direction, voxels)).collect()
}

/// One matrix of all directions together, over these slices.
pub(super) fn merged(block: &LevelBlock, slices: &Range<usize>, directions: &[Direction]) -> Matrix {
    if directions.is_empty() {
        return Matrix::default();
    }
    let cells = block.width() * block.width();
    if cells > TABLE_CELLS {
        let matrices = by_direction(block, slices, directions);
        return Matrix::merged(matrices.iter().map(|matrix| (matrix, 1.0)));
    }
    let voxels = block.voxels(slices.clone()) as f64 * directions.len() as f64;
    let targets = vec![0; directions.len()];
    let table = tables(block, slices, directions, &targets).pop().unwrap_or_default();
    from_table(block, &table, voxels)
}

/// Counts into tables of width x width cells; direction k into table `targets[k]`.
fn tables(block: &LevelBlock, slices: &Range<usize>, directions: &[Direction], targets: &[usize]) -> Vec<Vec<u64>> {
    let cells = block.width() * block.width();
    let n_tables = targets.iter().max().map_or(0, |last| last + 1);
    let parts = if cells * n_tables <= 1 << 16 { PARTS } else { PARTS_LARGE };
    let step = slices.len().div_ceil(parts).max(1);
    let starts: Vec<usize> = slices.clone().step_by(step).collect();
    let counted: Vec<Vec<u32>> = starts
        .par_iter()
        .map(|start| {
            let mut table = vec![0u32; cells * n_tables];
            for z in *start..(start + step).min(slices.end) {
                for y in 0..block.size[1] {
                    count_row(block, y, z, directions, targets, &mut table);
                }
            }
            table
        })
        .collect();
    let sum = |table: usize| {
        let mut sum = vec![0u64; cells];
        for part in &counted {
            let part = &part[table * cells..(table + 1) * cells];
            sum.iter_mut().zip(part).for_each(|(sum, count)| *sum += u64::from(*count));
        }
        sum
    };
    (0..n_tables).map(sum).collect()
}

/// Counts the pairs that start in one row.
fn count_row(block: &LevelBlock, y: usize, z: usize, directions: &[Direction], targets: &[usize], tables: &mut [u32]) {
    let width = block.width();
    let here = block.cells_of(y, z);
    for (direction, target) in directions.iter().zip(targets) {
        let table = &mut tables[target * width * width..(target + 1) * width * width];
        let there = shifted(block, &here, *direction);
        for (a, b) in block.cells[here.clone()].iter().zip(&block.cells[there]) {
            // Cells without a level count into row or column 0, which nobody reads.
            table[usize::from(*a) * width + usize::from(*b)] += 1;
        }
    }
}

/// The cells that lie one direction further; the border makes sure that there are some.
pub(super) fn shifted(block: &LevelBlock, cells: &Range<usize>, direction: Direction) -> Range<usize> {
    let by = direction.dx + direction.dy * block.row as isize + direction.dz * block.plane as isize;
    cells.start.wrapping_add_signed(by)..cells.end.wrapping_add_signed(by)
}

fn from_table(block: &LevelBlock, table: &[u64], voxels: f64) -> Matrix {
    let (width, levels) = (block.width(), &block.levels);
    let mut cells = Vec::new();
    for a in 1..width {
        for b in a..width {
            let count = table[a * width + b] + if a == b { 0 } else { table[b * width + a] };
            if count > 0 {
                cells.push(Cell { level: levels[a], other: levels[b], count: count as f64 });
            }
        }
    }
    Matrix { cells, voxels }
}

/// Counts by sorting: for regions of few voxels with many levels.
fn sorted(block: &LevelBlock, slices: &Range<usize>, direction: Direction, voxels: f64) -> Matrix {
    let mut pairs: Vec<u32> = Vec::new();
    for z in slices.clone() {
        for y in 0..block.size[1] {
            let here = block.cells_of(y, z);
            let there = shifted(block, &here, direction);
            let both = block.cells[here].iter().zip(&block.cells[there]).filter(|(a, b)| **a > 0 && **b > 0);
            pairs.extend(both.map(|(a, b)| u32::from(*a.min(b)) << 16 | u32::from(*a.max(b))));
        }
    }
    pairs.sort_unstable();
    let level = |index: u32| block.levels[index as usize];
    let cells = pairs.chunk_by(|a, b| a == b).map(|same| Cell {
        level: level(same[0] >> 16),
        other: level(same[0] & 0xffff),
        count: same.len() as f64,
    });
    Matrix { cells: cells.collect(), voxels }
}

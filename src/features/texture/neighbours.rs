//! What each voxel has around it: sums of grey levels, and numbers of voxels of its own level.
//!
//! The neighbourhood is the cube (in a slice the square) of voxels up to a Chebyshev distance, without its centre. Sums over
//! it are taken axis by axis; sum and number of the region's voxels share one integer, as short as they fit.

use std::ops::{AddAssign, Range, SubAssign};

use rayon::prelude::*;

use super::block::LevelBlock;
use super::directions::Direction;
use super::matrix::{Cell, Matrix};
use crate::features::WeightNorm;

/// How many parts a volume is worked on in at the same time.
const PARTS: usize = 8;

/// How far a voxel looks along x, y, z.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach([usize; 3]);

impl Reach {
    /// Up to a distance in the volume, along the axes that the grid extends over.
    pub(super) fn in_volume(block: &LevelBlock, distance: usize) -> Self {
        Self(block.grid_size.map(|n| if n > 1 { distance } else { 0 }))
    }

    /// Up to a distance in the slice.
    pub(super) fn in_slice(block: &LevelBlock, distance: usize) -> Self {
        let Self([x, y, _]) = Self::in_volume(block, distance);
        Self([x, y, 0])
    }

    /// Voxels of the neighbourhood, the centre included.
    fn voxels(self) -> usize {
        self.0.iter().map(|reach| 2 * reach + 1).product()
    }

    /// The steps to each neighbour.
    fn steps(self) -> Vec<Direction> {
        let along = |reach: usize| -(reach as isize)..=reach as isize;
        let steps = along(self.0[2]).flat_map(|dz| {
            along(self.0[1]).flat_map(move |dy| along(self.0[0]).map(move |dx| Direction { dx, dy, dz }))
        });
        steps.filter(|step| (step.dx, step.dy, step.dz) != (0, 0, 0)).collect()
    }
}

fn parts(slices: &Range<usize>) -> Vec<Range<usize>> {
    let step = slices.len().div_ceil(PARTS).max(1);
    slices.clone().step_by(step).map(|first| first..(first + step).min(slices.end)).collect()
}

/// How far grey levels differ from the mean of their neighbourhood.
#[derive(Debug, Clone, Default)]
pub(super) struct Tones {
    /// By index: the level, the number of voxels that have neighbours, and the sum of differences.
    pub(super) levels: Vec<(u32, u64, f64)>,
}

impl Tones {
    /// Over these slices; neighbours weigh exp(-length^2) where there is a norm, else all the same.
    pub(super) fn of(block: &LevelBlock, slices: &Range<usize>, reach: Reach, norm: Option<WeightNorm>) -> Self {
        let parts = parts(slices);
        let (voxels, sums): (Vec<Vec<u64>>, Vec<Vec<f64>>) = match norm {
            None => {
                let differences = if u32::holds(block, reach) { differences::<u32> } else { differences::<u64> };
                let tables: Vec<Vec<u64>> = parts.par_iter().map(|part| differences(block, part, reach)).collect();
                let (voxels, sums) = finished(block, &tables, reach);
                (vec![voxels], vec![sums])
            }
            Some(norm) => parts.par_iter().map(|part| weighted(block, part, reach, norm)).unzip(),
        };
        let levels = (1..block.width()).map(|index| {
            let n = voxels.iter().map(|part| part[index]).sum();
            (block.levels[index], n, sums.iter().map(|part| part[index]).sum())
        });
        Self { levels: levels.filter(|(_, n, _)| *n > 0).collect() }
    }

    /// The sum of several.
    pub(super) fn merged(all: &[Self]) -> Self {
        let mut levels: Vec<(u32, u64, f64)> = all.iter().flat_map(|tones| tones.levels.iter().copied()).collect();
        levels.sort_by_key(|(level, _, _)| *level);
        levels.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
                kept.2 += next.2;
            }
            same
        });
        Self { levels }
    }
}

/// Voxels in one integer: their number, and in the lower bits the sum of their levels.
trait Packed: Copy + Default + Send + AddAssign + SubAssign {
    /// The bits of the sum.
    const SUM: u32;

    /// A voxel of this level.
    fn voxel(level: u32) -> Self;

    /// Number and sum.
    fn unpacked(self) -> (u64, u64);

    /// Whether the voxels of a neighbourhood fit.
    fn holds(block: &LevelBlock, reach: Reach) -> bool {
        let (voxels, bits) = (reach.voxels() as u64, 8 * size_of::<Self>() as u32);
        let highest = block.levels.last().map_or(0, |level| u64::from(*level));
        voxels < 1 << (bits - Self::SUM) && highest < (1 << Self::SUM) / voxels
    }
}

impl Packed for u32 {
    const SUM: u32 = 24;

    fn voxel(level: u32) -> Self {
        level | 1 << Self::SUM
    }

    fn unpacked(self) -> (u64, u64) {
        (u64::from(self >> Self::SUM), u64::from(self & ((1 << Self::SUM) - 1)))
    }
}

impl Packed for u64 {
    const SUM: u32 = 40;

    fn voxel(level: u32) -> Self {
        Self::from(level) | 1 << Self::SUM
    }

    fn unpacked(self) -> (u64, u64) {
        (self >> Self::SUM, self & ((1 << Self::SUM) - 1))
    }
}

/// Adds number by number.
fn add_all<P: Packed>(sums: &mut [P], terms: &[P]) {
    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += *term);
}

/// By index and number of neighbours, two integers: how many voxels, and the sum of |number x level - sum of neighbours|.
///
/// Both are exact, whatever the order of the voxels.
fn differences<P: Packed>(block: &LevelBlock, slices: &Range<usize>, reach: Reach) -> Vec<u64> {
    let Reach([rx, ry, rz]) = reach;
    let stride = reach.voxels();
    let voxels: Vec<P> =
        block.levels.iter().map(|level| if *level > 0 { P::voxel(*level) } else { P::default() }).collect();
    let mut table = vec![0u64; block.width() * stride * 2];
    // Sums over the square around each cell, for the slices that the current one looks at.
    let mut squares: Vec<Vec<P>> = vec![vec![P::default(); block.plane]; 2 * rz + 1];
    let mut rows = vec![P::default(); block.plane];
    let mut cubes = vec![P::default(); block.row];
    let ring = squares.len();
    let first = slices.start as isize - rz as isize;
    for z in first..slices.end as isize + rz as isize {
        let slot = (z - first) as usize % ring;
        square_sums(block, z, (rx, ry), &voxels, &mut rows, &mut squares[slot]);
        // The slice in the middle of the ring has all that it looks at.
        let centre = z - rz as isize;
        if centre < slices.start as isize {
            continue;
        }
        for y in 0..block.size[1] {
            let here = block.cells_of(y, centre as usize);
            let at = here.start % block.plane;
            let cubes = &mut cubes[..here.len()];
            cubes.fill(P::default());
            squares.iter().for_each(|square| add_all(cubes, &square[at..]));
            for (index, cube) in block.cells[here].iter().zip(cubes).filter(|(index, _)| **index > 0) {
                let index = usize::from(*index);
                *cube -= voxels[index];
                let (number, sum) = cube.unpacked();
                let cell = (index * stride + number as usize) * 2;
                table[cell] += 1;
                table[cell + 1] += (number * u64::from(block.levels[index])).abs_diff(sum);
            }
        }
    }
    table
}

/// Sums of a slice over the square around each of its cells.
fn square_sums<P: Packed>(
    block: &LevelBlock,
    z: isize,
    (rx, ry): (usize, usize),
    voxels: &[P],
    rows: &mut [P],
    squares: &mut [P],
) {
    let [nx, ny, nz] = block.size;
    if !(0..nz as isize).contains(&z) {
        squares.fill(P::default());
        return;
    }
    let z = z as usize;
    let plane = block.start(0, z) - block.start(0, z) % block.plane;
    let cells = &block.cells[plane..plane + block.plane];
    let origin = block.start(0, z) % block.plane;
    let mut line = vec![P::default(); block.row];
    let mut sums = |y: usize, rows: &mut [P]| {
        let start = origin + y * block.row;
        line.iter_mut().zip(&cells[start - rx..]).for_each(|(value, index)| *value = voxels[usize::from(*index)]);
        let row = &mut rows[start..start + nx];
        row.fill(P::default());
        (0..=2 * rx).for_each(|step| add_all(row, &line[step..]));
    };
    (0..ny).for_each(|y| sums(y, rows));
    for y in 0..ny {
        let start = origin + y * block.row;
        let squares = &mut squares[start..start + nx];
        squares.fill(P::default());
        for other in y.saturating_sub(ry)..=(y + ry).min(ny - 1) {
            add_all(squares, &rows[origin + other * block.row..]);
        }
    }
}

/// Voxels with neighbours, and sums of differences, by index.
fn finished(block: &LevelBlock, tables: &[Vec<u64>], reach: Reach) -> (Vec<u64>, Vec<f64>) {
    let stride = reach.voxels();
    let at = |cell: usize| tables.iter().map(|table| table[cell]).sum::<u64>();
    let by_index = (0..block.width()).map(|index| {
        let numbers = (1..stride).map(|number| ((index * stride + number) * 2, number));
        numbers.fold((0, 0.0), |(voxels, sum), (cell, number)| {
            (voxels + at(cell), sum + at(cell + 1) as f64 / number as f64)
        })
    });
    by_index.unzip()
}

/// The same with weights by distance.
fn weighted(block: &LevelBlock, slices: &Range<usize>, reach: Reach, norm: WeightNorm) -> (Vec<u64>, Vec<f64>) {
    let steps: Vec<(isize, f64)> =
        reach.steps().into_iter().map(|step| (offset(block, step), step.weight(Some(norm)))).collect();
    let (mut voxels, mut sums) = (vec![0; block.width()], vec![0.0; block.width()]);
    let level = |cell: usize| f64::from(block.levels[usize::from(block.cells[cell])]);
    for cell in slices.clone().flat_map(|z| (0..block.size[1]).flat_map(move |y| block.cells_of(y, z))) {
        let index = usize::from(block.cells[cell]);
        let mut total = (0.0, 0.0);
        for (by, weight) in steps.iter().map(|(by, weight)| (cell.wrapping_add_signed(*by), weight)) {
            if index > 0 && block.cells[by] > 0 {
                total = (total.0 + weight, total.1 + weight * level(by));
            }
        }
        if total.0 > 0.0 {
            voxels[index] += 1;
            sums[index] += (level(cell) - total.1 / total.0).abs();
        }
    }
    (voxels, sums)
}

fn offset(block: &LevelBlock, step: Direction) -> isize {
    step.dx + step.dy * block.row as isize + step.dz * block.plane as isize
}

/// How many voxels of each level have how many dependent voxels, themselves included: neighbours whose level differs by no
/// more than `coarseness`.
pub(super) fn dependences(block: &LevelBlock, slices: &Range<usize>, reach: Reach, coarseness: u32) -> Matrix {
    let stride = reach.voxels();
    let steps: Vec<isize> = reach.steps().into_iter().map(|step| offset(block, step)).collect();
    let tables: Vec<Vec<u64>> = parts(slices)
        .par_iter()
        .map(|part| {
            let mut table = vec![0u64; block.width() * stride];
            let mut dependent = vec![0u16; block.row];
            for here in part.clone().flat_map(|z| (0..block.size[1]).map(move |y| block.cells_of(y, z))) {
                let dependent = &mut dependent[..here.len()];
                count_dependent(block, &here, &steps, coarseness, dependent);
                for (index, n) in block.cells[here].iter().zip(dependent) {
                    table[usize::from(*index) * stride + usize::from(*n)] += 1;
                }
            }
            table
        })
        .collect();
    let mut cells = Vec::new();
    for index in 1..block.width() {
        for n in 0..stride {
            let count: u64 = tables.iter().map(|table| table[index * stride + n]).sum();
            if count > 0 {
                cells.push(Cell { level: block.levels[index], other: n as u32 + 1, count: count as f64 });
            }
        }
    }
    Matrix { cells, voxels: block.voxels(slices.clone()) as f64 }
}

/// The number of dependent neighbours of each cell of a row; of no meaning where there is no voxel.
fn count_dependent(block: &LevelBlock, here: &Range<usize>, steps: &[isize], coarseness: u32, dependent: &mut [u16]) {
    dependent.fill(0);
    let centres = &block.cells[here.clone()];
    for step in steps {
        let there = &block.cells[here.start.wrapping_add_signed(*step)..here.end.wrapping_add_signed(*step)];
        let pairs = dependent.iter_mut().zip(centres.iter().zip(there));
        if coarseness == 0 {
            pairs.for_each(|(n, (centre, other))| *n += u16::from(centre == other));
        } else {
            let level = |index: u16| block.levels[usize::from(index)];
            let near = |a: u16, b: u16| b > 0 && level(a).abs_diff(level(b)) <= coarseness;
            pairs.for_each(|(n, (centre, other))| *n += u16::from(near(*centre, *other)));
        }
    }
    // Cells without a voxel are each other's likes; they are not counted.
    dependent.iter_mut().zip(centres).filter(|(_, index)| **index == 0).for_each(|(n, _)| *n = 0);
}

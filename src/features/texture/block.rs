//! The region's grey levels on a grid with a border, as the texture matrices read them.

use std::ops::Range;

use ndarray::Array3;
use rayon::prelude::*;

use super::lanes::LANES;
use crate::features::discretise::{GreyLevelCounts, Ungraded};
use crate::features::roi::{BoundingBox, Roi};

/// The most levels that may occur in a region with texture: the square of it is a matrix.
const MAX_LEVELS: usize = 4096;

/// The most voxels along an axis: lengths and distances are kept in 16 bits.
const MAX_LENGTH: usize = 32_767;

/// Grey levels of the box around the intensity mask.
///
/// A cell holds the index of a level, 0 where there is no voxel of the region. Around the box lies a border of such cells,
/// so that a step to a neighbour never leaves the array; a few cells follow, so that a group of lanes does not either.
pub(super) struct LevelBlock {
    pub(super) cells: Vec<u16>,
    /// Voxels along x, y, z, without the border.
    pub(super) size: [usize; 3],
    /// Cells from a row to the next, and from a slice to the next.
    pub(super) row: usize,
    pub(super) plane: usize,
    pub(super) border: usize,
    /// The level of each index; index 0 stands for none.
    pub(super) levels: Vec<u32>,
    /// The number of levels Ng of the discretisation.
    pub(super) n_levels: u32,
    /// By slice and row: the voxels between the first and the last of the region.
    spans: Vec<Range<usize>>,
    /// Voxels of the region by slice.
    pub(super) slice_voxels: Vec<u64>,
    /// Voxels along x, y, z of the whole grid: an axis of one voxel has no neighbours to look for.
    pub(super) grid_size: [usize; 3],
    /// Where the box lies in the region's block.
    pub(super) bounds: BoundingBox,
}

impl LevelBlock {
    /// The block of a region, with a border of so many cells; `None` for a region without voxels.
    pub(super) fn of(roi: &Roi, counts: &GreyLevelCounts, border: usize) -> Option<Result<Self, Ungraded>> {
        let bounds = BoundingBox::around(roi.intensity.view())?;
        let longest = bounds.size().into_iter().max().unwrap_or(0);
        if longest > MAX_LENGTH {
            return Some(Err(Ungraded::Length { found: longest, limit: MAX_LENGTH }));
        }
        Some(Indices::of(counts).map(|indices| Self::place(roi, counts, &indices, bounds, border)))
    }

    fn place(roi: &Roi, counts: &GreyLevelCounts, indices: &Indices, bounds: BoundingBox, border: usize) -> Self {
        let size = bounds.size();
        let (row, rows) = (size[0] + 2 * border, size[1] + 2 * border);
        let plane = row * rows;
        let mut cells = vec![0u16; plane * (size[2] + 2 * border) + LANES];
        let inside = |y: usize, z: usize| line(&roi.intensity, bounds, y, z);
        let count = |z: usize| -> usize {
            (0..size[1]).map(|y| inside(y, z).iter().map(|inside| usize::from(*inside)).sum::<usize>()).sum()
        };
        let slice_voxels: Vec<usize> = (0..size[2]).into_par_iter().map(count).collect();
        // The levels lie in the order of the voxels.
        let mut rest = counts.levels.as_slice();
        let levels: Vec<&[u32]> = slice_voxels.iter().filter_map(|n| rest.split_off(..*n)).collect();
        let inner = cells[border * plane..].par_chunks_mut(plane).zip(levels).enumerate();
        let spans: Vec<Vec<Range<usize>>> = inner
            .map(|(z, (plane, levels))| {
                let mut levels = levels.iter();
                let fill = |(y, to): (usize, &mut [u16])| {
                    let inside = inside(y, z);
                    let first = inside.iter().position(|inside| *inside).unwrap_or(0);
                    let end = inside.iter().rposition(|inside| *inside).map_or(0, |last| last + 1);
                    let voxels = to[border..].iter_mut().zip(inside).filter(|(_, inside)| **inside);
                    voxels.zip(&mut levels).for_each(|((cell, _), level)| *cell = indices.index(*level));
                    first..end
                };
                plane.chunks_mut(row).skip(border).take(size[1]).enumerate().map(fill).collect()
            })
            .collect();
        Self {
            cells,
            size,
            row,
            plane,
            border,
            levels: indices.levels.clone(),
            n_levels: counts.n_levels,
            spans: spans.into_iter().flatten().collect(),
            slice_voxels: slice_voxels.into_iter().map(|n| n as u64).collect(),
            grid_size: roi.grid_size,
            bounds,
        }
    }

    /// The number of indices, that of no level included.
    pub(super) fn width(&self) -> usize {
        self.levels.len()
    }

    /// The cell of voxel 0 of a row.
    pub(super) fn start(&self, y: usize, z: usize) -> usize {
        (z + self.border) * self.plane + (y + self.border) * self.row + self.border
    }

    /// The voxels of a row between the first and the last of the region.
    pub(super) fn span(&self, y: usize, z: usize) -> Range<usize> {
        self.spans[z * self.size[1] + y].clone()
    }

    /// The same as a range of cells.
    pub(super) fn cells_of(&self, y: usize, z: usize) -> Range<usize> {
        let (start, span) = (self.start(y, z), self.span(y, z));
        start + span.start..start + span.end
    }

    /// Voxels of the region in these slices.
    pub(super) fn voxels(&self, slices: Range<usize>) -> u64 {
        self.slice_voxels[slices].iter().sum()
    }

    /// All slices.
    pub(super) fn slices(&self) -> Range<usize> {
        0..self.size[2]
    }
}

/// The part of a row that lies in the box.
fn line<T>(array: &Array3<T>, bounds: BoundingBox, y: usize, z: usize) -> &[T] {
    let (_, rows, columns) = array.dim();
    let start = ((bounds.first[2] + z) * rows + bounds.first[1] + y) * columns;
    array.as_slice().map_or(&[], |all| &all[start + bounds.first[0]..=start + bounds.last[0]])
}

/// From levels to indices and back: every level from the first to the last, or those alone that occur where they lie too far
/// apart.
struct Indices {
    levels: Vec<u32>,
    every: bool,
}

impl Indices {
    fn of(counts: &GreyLevelCounts) -> Result<Self, Ungraded> {
        let occupied = &counts.occupied;
        if occupied.len() > MAX_LEVELS {
            return Err(Ungraded::Levels { found: occupied.len(), limit: MAX_LEVELS });
        }
        let (first, last) = (occupied.first().map_or(1, |l| l.0), occupied.last().map_or(1, |l| l.0));
        let every = ((last - first) as usize) < MAX_LEVELS;
        let levels = std::iter::once(0);
        let levels = if every {
            levels.chain(first..=last).collect()
        } else {
            levels.chain(occupied.iter().map(|(level, _)| *level)).collect()
        };
        Ok(Self { levels, every })
    }

    fn index(&self, level: u32) -> u16 {
        // At most MAX_LEVELS, so that 16 bits hold it.
        if self.every {
            (level - self.levels[1] + 1) as u16
        } else {
            self.levels.partition_point(|l| *l < level) as u16
        }
    }
}

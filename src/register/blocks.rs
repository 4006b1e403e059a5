//! The second estimator: symmetric block matching with a weighted, trimmed fit.
//!
//! The moving image is brought onto the fixed grid through the map so far. Each block of the fixed image looks for the place
//! nearby that resembles it most (squared correlation, which is blind to the sign of the contrast), and the same is done the
//! other way round. All pairs of points go into one least trimmed squares fit of a rigid map (Ourselin, Roche, Subsol,
//! Pennec and Ayache 2001; Rousseeuw 1984). A block on an edge knows its place across the edge alone: each pair is weighted
//! by the curvature of its resemblance, a matrix, so that it pulls only where it knows.
//!
//! It shares neither the measure nor the optimiser with the first estimator, and sees each part of the image alone. Each
//! block depends on its own voxels alone: the result is the same bits for any number of threads.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
// Grid sizes are far below 2^23.

use rayon::prelude::*;

use super::peak::{self, Peak};
use super::trimmed_fit::{self, PointPair};
use crate::image::{Affine, Geometry, Interpolation, Mask, Transform, Volume, resample};
use crate::math::linalg::{self, Vec3};

/// Voxels of a block along each axis.
const SIDE: usize = 4;
/// Voxels of a block.
const CELLS: usize = SIDE * SIDE * SIDE;
/// Distance of neighbouring blocks in voxels: they overlap.
const STRIDE: usize = 3;
/// How far a block looks, in voxels.
pub(super) const REACH: usize = 3;
/// Places along each axis.
const WIDTH: usize = 2 * REACH + 1;
/// Places along x that are worked on side by side.
const LANES: usize = 8;

/// One image of a pair at one resolution.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    /// Values on an isotropic grid; NaN is missing.
    pub image: &'a Volume<f32>,
    /// Where blocks are placed.
    pub mask: &'a Mask,
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    /// Rounds of matching and fitting at most.
    pub rounds_max: usize,
    /// Share of the pairs that the fit keeps.
    pub kept: f64,
    /// A round that moves the corners of the fixed image by less ends the matching, mm.
    pub step_min_mm: f64,
}

/// The map after some rounds; `None` where too few blocks found a partner.
pub(super) fn refine(fixed: Side<'_>, moving: Side<'_>, start: &Affine, schedule: &Schedule) -> Option<Affine> {
    let mut map = *start;
    for _ in 0..schedule.rounds_max {
        let mut pairs = matches(fixed, moving, &map);
        let back = matches(moving, fixed, &map.inverse());
        pairs.extend(back.into_iter().map(|pair| pair.inverted(&map)));
        let next = trimmed_fit::fit(&pairs, schedule.kept, &map)?;
        let moved = corner_distance_mm(&fixed.image.geometry, &map, &next);
        map = next;
        if moved < schedule.step_min_mm {
            break;
        }
    }
    Some(map)
}

/// The mean squared correlation of the blocks of the fixed image where the map takes them, without any search; zero where
/// no block has a partner.
///
/// A map that leaves more than half of the smaller body out gains nothing by it: what is left out counts as alike in nothing.
pub(super) fn resemblance(fixed: Side<'_>, moving: Side<'_>, map: &Affine) -> f64 {
    let grid = fixed.image.geometry;
    let seen = resample(moving.image, &grid, &Transform::Affine(*map), Interpolation::Linear);
    let (Some(own), Some(seen)) = (fixed.image.voxels.as_slice(), seen.voxels.as_slice()) else { return 0.0 };
    let (mut sum, mut n) = (0.0, 0usize);
    let starts = block_starts(fixed.mask);
    for start in &starts {
        let (Some(block), Some(other)) = (Block::cut(own, grid.size, *start), Block::cut(seen, grid.size, *start))
        else {
            continue;
        };
        let cross: f32 = block.values.iter().zip(&other.values).map(|(a, b)| a * b).sum::<f32>() / CELLS as f32;
        sum += f64::from(cross * cross / (block.variance * other.variance));
        n += 1;
    }
    let possible = starts.len().min(n_blocks(moving));
    sum / (n as f64).max(0.5 * possible as f64).max(1.0)
}

/// How many blocks there are to match.
pub(super) fn n_blocks(side: Side<'_>) -> usize {
    block_starts(side.mask).len()
}

/// The greatest distance between where two maps take the corners of a grid.
fn corner_distance_mm(grid: &Geometry, a: &Affine, b: &Affine) -> f64 {
    (0..8usize)
        .map(|corner| {
            let index = [0, 1, 2].map(|axis| if corner >> axis & 1 == 1 { grid.size[axis] as f64 - 1.0 } else { 0.0 });
            let at = grid.voxel_to_world(index);
            linalg::norm(linalg::sub(a.apply(at), b.apply(at)))
        })
        .fold(0.0, f64::max)
}

/// Pairs of points: block centres of the first image and where they were found in the second.
fn matches(from: Side<'_>, to: Side<'_>, map: &Affine) -> Vec<PointPair> {
    let grid = from.image.geometry;
    let around = padded(&grid);
    let seen = resample(to.image, &around, &Transform::Affine(*map), Interpolation::Linear);
    let (Some(own), Some(seen)) = (from.image.voxels.as_slice(), seen.voxels.as_slice()) else { return Vec::new() };
    let windows = Windows::new(seen, around.size);
    // From a voxel shift to a shift in the moving space, and back.
    let to_index = [0, 1, 2].map(|axis| linalg::scale(1.0 / grid.spacing_mm[axis], grid.directions[axis]));
    let back = linalg::mul(&to_index, &linalg::transpose(map.linear()));
    let half = (SIDE as f64 - 1.0) / 2.0;
    block_starts(from.mask)
        .par_iter()
        .filter_map(|start| {
            let block = Block::cut(own, grid.size, *start)?;
            let mut scores = [f32::NAN; WIDTH * WIDTH * WIDTH];
            block.search(&windows, *start, &mut scores);
            let Peak { shift, curvature } = peak::find(&scores, WIDTH)?;
            let centre: Vec3 = start.map(|k| k as f64 + half);
            let there = linalg::add(centre, shift);
            let weight = linalg::mul(&linalg::mul(&linalg::transpose(&back), &curvature), &back);
            let moving = map.apply(grid.voxel_to_world(there));
            Some(PointPair { fixed: grid.voxel_to_world(centre), moving, weight })
        })
        .collect()
}

/// The grid with as many voxels more on each side as a block looks.
fn padded(grid: &Geometry) -> Geometry {
    let size = grid.size.map(|n| n + 2 * REACH);
    Geometry { size, origin_mm: grid.voxel_to_world([-(REACH as f64); 3]), ..*grid }
}

/// The first voxels of the blocks that lie in the mask by half.
fn block_starts(mask: &Mask) -> Vec<[usize; 3]> {
    let size = mask.geometry.size;
    let Some(inside) = mask.voxels.as_slice() else { return Vec::new() };
    if size.iter().any(|n| *n < SIDE) {
        return Vec::new();
    }
    let n = size.map(|n| (n - SIDE) / STRIDE + 1);
    // What is left over is shared by both ends.
    let first = [0, 1, 2].map(|axis| (size[axis] - SIDE - (n[axis] - 1) * STRIDE) / 2);
    (0..n[0] * n[1] * n[2])
        .map(|k| [k % n[0], k / n[0] % n[1], k / n[0] / n[1]])
        .map(|k| [0, 1, 2].map(|axis| first[axis] + STRIDE * k[axis]))
        .filter(|start| {
            2 * rows(*start, size).flat_map(|row| &inside[row..row + SIDE]).filter(|v| **v).count() >= CELLS
        })
        .collect()
}

/// Where the rows of a block begin in the array of a grid.
fn rows(start: [usize; 3], size: [usize; 3]) -> impl Iterator<Item = usize> {
    let first = start[0] + size[0] * (start[1] + size[1] * start[2]);
    (0..SIDE * SIDE).map(move |k| first + size[0] * (k % SIDE + k / SIDE * size[1]))
}

/// A block less its mean.
struct Block {
    values: [f32; CELLS],
    variance: f32,
}

impl Block {
    /// `None` where a voxel is missing or nothing varies.
    fn cut(image: &[f32], size: [usize; 3], start: [usize; 3]) -> Option<Self> {
        let mut values = [0.0f32; CELLS];
        for (row, at) in values.chunks_exact_mut(SIDE).zip(rows(start, size)) {
            row.copy_from_slice(&image[at..at + SIDE]);
        }
        let mean = values.iter().sum::<f32>() / CELLS as f32;
        values.iter_mut().for_each(|value| *value -= mean);
        let variance = values.iter().map(|value| value * value).sum::<f32>() / CELLS as f32;
        // Also false for a block with a missing voxel.
        (variance > 1e-9).then_some(Self { values, variance })
    }

    /// The squared correlation with every place in reach, x fastest.
    fn search(&self, windows: &Windows, start: [usize; 3], scores: &mut [f32; WIDTH * WIDTH * WIDTH]) {
        for (line, scores) in scores.chunks_exact_mut(WIDTH).enumerate() {
            let place = [start[0], start[1] + line % WIDTH, start[2] + line / WIDTH];
            let mut cross = [0.0f32; LANES];
            for (row, at) in self.values.chunks_exact(SIDE).zip(rows(place, windows.size)) {
                let from = &windows.values[at..at + SIDE - 1 + LANES];
                for (k, own) in row.iter().enumerate() {
                    for (sum, value) in cross.iter_mut().zip(&from[k..k + LANES]) {
                        *sum += own * value;
                    }
                }
            }
            let first = place[0] + windows.size[0] * (place[1] + windows.size[1] * place[2]);
            for ((score, cross), inverse) in scores.iter_mut().zip(cross).zip(&windows.inverse_variance[first..]) {
                let cross = cross / CELLS as f32;
                *score = cross * cross * inverse / self.variance;
            }
        }
    }
}

/// An image with one over the variance of the block that begins at each voxel; NaN where a voxel of it is missing.
struct Windows {
    values: Vec<f32>,
    inverse_variance: Vec<f32>,
    size: [usize; 3],
}

impl Windows {
    fn new(values: &[f32], size: [usize; 3]) -> Self {
        let present = values.iter().filter(|value| value.is_finite());
        let (sum, n) = present.fold((0.0f64, 0.0f64), |(sum, n), value| (sum + f64::from(*value), n + 1.0));
        let mean = (sum / n.max(1.0)) as f32;
        let mut centred: Vec<f32> = values.iter().map(|value| value - mean).collect();
        let sums = window_sums(centred.clone(), size);
        let squares = window_sums(centred.iter().map(|value| value * value).collect(), size);
        let inverse_variance = sums
            .iter()
            .zip(&squares)
            .map(|(sum, square)| {
                let mean = sum / CELLS as f32;
                let variance = square / CELLS as f32 - mean * mean;
                if variance > 1e-9 { 1.0 / variance } else { f32::NAN }
            })
            .collect();
        // The last lanes of the last rows read beyond the end.
        centred.resize(values.len() + LANES + SIDE, f32::NAN);
        Self { values: centred, inverse_variance, size }
    }
}

/// The sum over the block that begins at each voxel, axis by axis. Blocks that reach beyond the grid have no sum that means
/// anything, and are never asked for.
fn window_sums(mut values: Vec<f32>, size: [usize; 3]) -> Vec<f32> {
    for step in [1, size[0], size[0] * size[1]] {
        for k in 0..values.len().saturating_sub((SIDE - 1) * step) {
            values[k] = (0..SIDE).map(|offset| values[k + offset * step]).sum();
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::linalg::IDENTITY;
    use crate::math::random::Stream;

    /// A smooth random image in patient space: a sum of Gaussian blobs, missing nowhere.
    fn blobs(grid: Geometry, contrast: f64) -> Volume<f32> {
        let mut stream = Stream::new(3, 0, 0);
        let blobs: Vec<(Vec3, f64)> =
            (0..60).map(|_| ([0; 3].map(|_| 120.0 * stream.uniform()), stream.normal())).collect();
        let mut image = Volume::filled(grid, 0.0);
        for ((z, y, x), value) in image.voxels.indexed_iter_mut() {
            let p = grid.voxel_to_world([x as f64, y as f64, z as f64]);
            let near = |c: Vec3| (-0.5 * (linalg::norm(linalg::sub(p, c)) / 9.0).powi(2)).exp();
            let sum: f64 = blobs.iter().map(|(c, height)| height * near(*c)).sum();
            *value = (contrast * sum) as f32;
        }
        image
    }

    fn everywhere(image: &Volume<f32>) -> Mask {
        Mask::filled(image.geometry, true)
    }

    #[test]
    fn a_moved_image_of_the_opposite_contrast_is_found() {
        let grid = Geometry::new([40, 40, 40], [3.0; 3], [0.0; 3], IDENTITY).unwrap();
        let map = Affine::rigid([0.05, -0.04, 0.06], [60.0; 3], [4.0, -3.0, 5.0]);
        let fixed = blobs(grid, 100.0);
        let moving = resample(&blobs(grid, -7.0), &grid, &Transform::Affine(map.inverse()), Interpolation::Cubic);
        let masks = (everywhere(&fixed), everywhere(&moving));
        let (fixed, moving) = (Side { image: &fixed, mask: &masks.0 }, Side { image: &moving, mask: &masks.1 });
        let schedule = Schedule { rounds_max: 10, kept: 0.7, step_min_mm: 0.02 };
        let found = refine(fixed, moving, &Affine::IDENTITY, &schedule).unwrap();
        let error = corner_distance_mm(&grid, &found, &map);
        assert!(error < 0.3, "{error}");
        assert!(resemblance(fixed, moving, &found) > 0.9);
        assert!(resemblance(fixed, moving, &Affine::IDENTITY) < 0.8);
        let pool = |n: usize| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let run = |n: usize| pool(n).install(|| refine(fixed, moving, &Affine::IDENTITY, &schedule));
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn images_without_structure_or_overlap_have_no_fit() {
        let grid = Geometry::new([20, 20, 20], [3.0; 3], [0.0; 3], IDENTITY).unwrap();
        let flat = Volume::filled(grid, 5.0f32);
        let textured = blobs(grid, 1.0);
        let mask = everywhere(&flat);
        let schedule = Schedule { rounds_max: 3, kept: 0.7, step_min_mm: 0.1 };
        let (a, b) = (Side { image: &flat, mask: &mask }, Side { image: &textured, mask: &mask });
        assert_eq!(refine(a, b, &Affine::IDENTITY, &schedule), None);
        let far = Affine::translation([500.0, 0.0, 0.0]);
        assert_eq!(refine(b, b, &far, &schedule), None);
        assert!(resemblance(b, b, &far) < 1e-9);
    }
}

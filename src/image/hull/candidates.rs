//! Mesh vertices that can be corners of the hull.

use rayon::prelude::*;

use super::Point;
use super::polygon::outline;
use crate::image::packed::{PackedMask, ones};

/// The corners of the convex polygon of each plane of mesh vertices; the hull of all of them is that of the mesh.
///
/// A vertex between two others on one line is no corner, so along each grid line only the first and the last count.
pub(super) fn candidates(mask: &PackedMask) -> Vec<Point> {
    let [_, _, nz] = mask.size();
    let slices = 1..nz + 1;
    let within: Vec<Vec<Point>> = slices.clone().into_par_iter().map(|z| in_slice(mask, z)).collect();
    let (below, above) =
        rayon::join(|| between_slices(mask, slices.clone(), -1), || between_slices(mask, slices.clone().rev(), 1));
    within.into_iter().flatten().chain(below).chain(above).collect()
}

/// Vertices in the plane of one slice: on its rows and its columns.
fn in_slice(mask: &PackedMask, z: usize) -> Vec<Point> {
    let ny = mask.size()[1];
    let mut points = Vec::new();
    for y in 1..=ny {
        let row = mask.row(y, z);
        let first = row.iter().position(|word| *word != 0).map(|i| i * 64 + row[i].trailing_zeros() as usize);
        let last = row.iter().rposition(|word| *word != 0).map(|i| i * 64 + 63 - row[i].leading_zeros() as usize);
        if let (Some(first), Some(last)) = (first, last) {
            points.push([doubled(first) - 1, doubled(y)]);
            points.push([doubled(last) + 1, doubled(y)]);
        }
    }
    let mut columns = |rows: &mut dyn Iterator<Item = usize>, step: i64| {
        let mut seen = vec![0u64; mask.words()];
        for y in rows {
            for (i, (word, seen)) in mask.row(y, z).iter().zip(&mut seen).enumerate() {
                points.extend(ones(word & !*seen, i * 64).map(|x| [doubled(x), doubled(y) + step]));
                *seen |= word;
            }
        }
    };
    columns(&mut (1..=ny), -1);
    columns(&mut (1..=ny).rev(), 1);
    outline(points).into_iter().map(|[x, y]| [x, y, doubled(z)]).collect()
}

/// Vertices between slices: the first ones along z in the order given.
fn between_slices(mask: &PackedMask, slices: impl Iterator<Item = usize>, step: i64) -> Vec<Point> {
    let ny = mask.size()[1];
    let words = mask.words();
    let mut seen = vec![0u64; words * ny];
    let mut found = Vec::new();
    for z in slices {
        let mut points = Vec::new();
        for y in 1..=ny {
            let seen = &mut seen[(y - 1) * words..y * words];
            for (i, (word, seen)) in mask.row(y, z).iter().zip(seen).enumerate() {
                let new = word & !*seen;
                if new != 0 {
                    // Along the row, too, only the outermost can be corners.
                    let (first, last) = (new.trailing_zeros() as usize, 63 - new.leading_zeros() as usize);
                    points.push([doubled(i * 64 + first), doubled(y)]);
                    points.push([doubled(i * 64 + last), doubled(y)]);
                    *seen |= word;
                }
            }
        }
        found.extend(outline(points).into_iter().map(|[x, y]| [x, y, doubled(z) + step]));
    }
    found
}

/// The position of a padded index in half voxels.
fn doubled(padded: usize) -> i64 {
    2 * (padded as i64 - 1)
}

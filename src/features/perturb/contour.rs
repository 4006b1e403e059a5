//! Growth and shrinkage of a region by a share of its volume: along the distance to its border, at random within the last rim.

use ndarray::Array3;

use crate::features::roi::BoundingBox;
use crate::image::Mask;
use crate::image::distance::squared_distance;
use crate::math::random::Stream;

/// Grows the region by a share of its volume, shrinks it where that is negative. One voxel at least stays.
pub(super) fn grow(mask: &mut Mask, share: f64, stream: &mut Stream) {
    let Some(bounds) = BoundingBox::around(mask.voxels.view()) else { return };
    let n_voxels = mask.count();
    let change = (n_voxels as f64 * share).round();
    let wanted = (change.abs() as usize).min(if change < 0.0 { n_voxels - 1 } else { usize::MAX });
    if wanted == 0 {
        return;
    }
    // Shares are below one half: a region never grows by more than half its size to a side, and four voxels.
    let size = bounds.size();
    let near = bounds.grown(size.map(|n| n / 2 + 4), mask.geometry.size);
    let part = near.cut(&mask.voxels);
    let target = change > 0.0;
    let distances = squared_distance(&part.mapv(|inside| inside == target), mask.geometry.spacing_mm);
    for at in nearest(&part, &distances, !target, wanted, stream) {
        let [x, y, z] = [at.2 + near.first[0], at.1 + near.first[1], at.0 + near.first[2]];
        mask.voxels[[z, y, x]] = target;
    }
}

type Index = (usize, usize, usize);

/// So many voxels of one side of the border, the nearest to it first; equally near ones in random order.
fn nearest(part: &Array3<bool>, distances: &Array3<f64>, side: bool, wanted: usize, stream: &mut Stream) -> Vec<Index> {
    let mut voxels: Vec<(f64, u64, Index)> = part
        .indexed_iter()
        .filter(|(_, inside)| **inside == side)
        .map(|(at, _)| (distances[at], (stream.uniform() * 2f64.powi(53)) as u64, at))
        .collect();
    // Of a shrinking region that fills its box nothing is outside: the distances are infinite and the order is random.
    voxels.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    voxels.truncate(wanted);
    voxels.into_iter().map(|(_, _, at)| at).collect()
}

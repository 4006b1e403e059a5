//! Where the body is, roughly: what both images can be compared on.

#![allow(clippy::cast_precision_loss)] // voxel counts

use ndarray::Array3;

use crate::image::{Mask, Modality, Volume, two_class_threshold};

/// Below this a CT shows air, couch foam and clothes; above it the skin and everything beneath.
const CT_SKIN_HU: f32 = -300.0;

/// Dilations at most: beyond them a margin is a mistake.
const STEPS_MAX: usize = 64;

/// The voxels of a coarse image that show the patient: above the threshold of the modality, without what is thin (the couch)
/// or small beside the largest part.
pub(super) fn body_mask(image: &Volume<f32>, modality: Modality) -> Mask {
    let threshold = match modality {
        Modality::Ct => Some(CT_SKIN_HU),
        _ => two_class_threshold(image),
    };
    let mut mask = image.voxels.mapv(|value| threshold.is_some_and(|threshold| value > threshold));
    let core = erode(&mask);
    let kept = large_parts(&core);
    let grown = dilate(&dilate(&kept));
    mask.zip_mut_with(&grown, |inside, grown| *inside &= *grown);
    Mask { voxels: mask, geometry: image.geometry }
}

/// The mask grown by whole voxels to at least `margin_mm` along each axis.
pub(super) fn grown(mask: &Mask, margin_mm: f64) -> Mask {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
    let n = (margin_mm / mask.geometry.spacing_mm[0]).ceil() as usize;
    let voxels = (0..n.min(STEPS_MAX)).fold(mask.voxels.clone(), |mask, _| dilate(&mask));
    Mask { voxels, geometry: mask.geometry }
}

/// A voxel stays when its six neighbours are inside too; the outside of the grid counts as inside.
fn erode(mask: &Array3<bool>) -> Array3<bool> {
    near(mask, true, |own, neighbours| own && neighbours)
}

/// A voxel joins when one of its six neighbours is inside.
fn dilate(mask: &Array3<bool>) -> Array3<bool> {
    let not = mask.mapv(|inside| !inside);
    near(&not, true, |own, neighbours| own && neighbours).mapv(|outside| !outside)
}

/// Combines each voxel with whether all of its six neighbours are set.
fn near(mask: &Array3<bool>, beyond: bool, combine: impl Fn(bool, bool) -> bool) -> Array3<bool> {
    let (nz, ny, nx) = mask.dim();
    Array3::from_shape_fn((nz, ny, nx), |(z, y, x)| {
        let own = mask[[z, y, x]];
        let at = |z: Option<usize>, y: Option<usize>, x: Option<usize>| match (z, y, x) {
            (Some(z), Some(y), Some(x)) => mask.get([z, y, x]).copied().unwrap_or(beyond),
            _ => beyond,
        };
        let (sz, sy, sx) = (Some(z), Some(y), Some(x));
        let all = at(z.checked_sub(1), sy, sx)
            && at(Some(z + 1), sy, sx)
            && at(sz, y.checked_sub(1), sx)
            && at(sz, Some(y + 1), sx)
            && at(sz, sy, x.checked_sub(1))
            && at(sz, sy, Some(x + 1));
        combine(own, all)
    })
}

/// The connected parts (by faces) with at least a tenth of the largest one's voxels.
fn large_parts(mask: &Array3<bool>) -> Array3<bool> {
    let (nz, ny, nx) = mask.dim();
    let flat: Vec<bool> = mask.iter().copied().collect();
    let mut part = vec![0u32; flat.len()];
    let mut sizes = vec![0usize];
    let mut stack = Vec::new();
    for seed in 0..flat.len() {
        if !flat[seed] || part[seed] > 0 {
            continue;
        }
        let label = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
        let mut size = 0;
        part[seed] = label;
        stack.push(seed);
        while let Some(at) = stack.pop() {
            size += 1;
            let (x, y, z) = (at % nx, at / nx % ny, at / nx / ny);
            let steps = [
                (x > 0, at.wrapping_sub(1)),
                (x + 1 < nx, at + 1),
                (y > 0, at.wrapping_sub(nx)),
                (y + 1 < ny, at + nx),
                (z > 0, at.wrapping_sub(nx * ny)),
                (z + 1 < nz, at + nx * ny),
            ];
            for (exists, next) in steps {
                if exists && flat[next] && part[next] == 0 {
                    part[next] = label;
                    stack.push(next);
                }
            }
        }
        sizes.push(size);
    }
    let largest = sizes.iter().copied().max().unwrap_or(0);
    let kept: Vec<bool> = sizes.iter().map(|size| *size > 0 && size * 10 >= largest).collect();
    let inside = part.iter().map(|label| kept.get(*label as usize).copied().unwrap_or(false) && *label > 0).collect();
    Array3::from_shape_vec((nz, ny, nx), inside).unwrap_or_else(|_| Array3::from_elem((nz, ny, nx), false))
}

/// A mask on another grid with the same axes: the nearest voxel decides.
pub(super) fn on_grid(mask: &Mask, grid: &crate::image::Geometry) -> Mask {
    let own = &mask.geometry;
    let voxels = Array3::from_shape_fn(grid.shape(), |(z, y, x)| {
        let at = own.world_to_voxel(grid.voxel_to_world([x as f64, y as f64, z as f64]));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
        let [x, y, z] = [0, 1, 2].map(|axis| (at[axis].round().max(0.0) as usize).min(own.size[axis] - 1));
        mask.voxels[[z, y, x]]
    });
    Mask { voxels, geometry: *grid }
}

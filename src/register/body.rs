//! Where the body is, roughly: what both images can be compared on.

#![allow(clippy::cast_precision_loss)] // voxel counts

use ndarray::Array3;

use crate::image::{Mask, Modality, Volume, two_class_threshold};

/// Below this a CT shows air, couch foam and clothes; above it the skin and everything beneath.
const CT_SKIN_HU: f32 = -300.0;

/// Above this a CT shows more than air beside the body.
const CT_MATTER_HU: f32 = -700.0;

/// Dilations at most: beyond them a margin is a mistake.
const STEPS_MAX: usize = 64;

/// The voxels of a coarse image that show the patient: above the threshold of the modality, without what is thin (the couch)
/// or small beside the largest part.
pub(super) fn body_mask(image: &Volume<f32>, modality: Modality) -> Mask {
    let threshold = match modality {
        Modality::Ct => Some(CT_SKIN_HU),
        Modality::Pet => half_of_the_body(image),
        _ => two_class_threshold(image),
    };
    let mut mask = image.voxels.mapv(|value| threshold.is_some_and(|threshold| value > threshold));
    let core = erode(&mask);
    let kept = large_parts(&core);
    let grown = dilate(&dilate(&kept));
    mask.zip_mut_with(&grown, |inside, grown| *inside &= *grown);
    Mask { voxels: mask, geometry: image.geometry }
}

/// What share of the body's median uptake its edge is taken for.
const EDGE_SHARE: f64 = 0.45;
/// Steps to the threshold at most; each moves it by at least a hundredth.
const THRESHOLD_STEPS_MAX: usize = 50;

/// The threshold that is a little less than half of the median of what lies above it.
///
/// A lesion or the bladder may be fifty times as hot as muscle, so that two classes would tell them from the rest of the
/// body: the median of the body does not know of them. The first guess is that share of the mean of the whole image, which
/// lies between air and what is hot; air is cut off first, and the median is that of the body from then on.
fn half_of_the_body(image: &Volume<f32>) -> Option<f32> {
    let present = image.voxels.iter().copied().filter(|value| value.is_finite());
    let (sum, n) = present.fold((0.0, 0.0), |(sum, n), value| (sum + f64::from(value), n + 1.0));
    let mut threshold = EDGE_SHARE * sum / n;
    let mut above: Vec<f32> = Vec::new();
    for _ in 0..THRESHOLD_STEPS_MAX {
        above.clear();
        above.extend(image.voxels.iter().filter(|value| f64::from(**value) > threshold));
        let middle = above.len() / 2;
        if above.is_empty() {
            return None;
        }
        let next = EDGE_SHARE * f64::from(*above.select_nth_unstable_by(middle, f32::total_cmp).1);
        let settled = (next - threshold).abs() < 0.01 * threshold;
        threshold = next;
        if settled {
            break;
        }
    }
    #[allow(clippy::cast_possible_truncation)] // a value of the image
    Some(threshold as f32)
}

/// Takes out of `compared` what shows matter beside the body and its skin: the couch, its mattress and clothes.
///
/// They do not move with the patient, and no other modality shows them: where they are compared they draw the map along.
pub(super) fn without_couch(compared: &mut Mask, image: &Volume<f32>, body: &Mask, modality: Modality) {
    if modality != Modality::Ct {
        return;
    }
    let near = dilate(&dilate(&body.voxels));
    ndarray::Zip::from(&mut compared.voxels).and(&near).and(&image.voxels).for_each(|compared, near, value| {
        *compared &= *near || *value < CT_MATTER_HU;
    });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::{self, IDENTITY, Vec3};

    /// An image of 40 x 40 x 30 voxels of 4 mm from the value at a place about its middle.
    fn image(value: impl Fn(Vec3) -> f32) -> Volume<f32> {
        let grid = Geometry::new([40, 40, 30], [4.0; 3], [0.0; 3], IDENTITY).unwrap();
        let mut image = Volume::filled(grid, 0.0);
        for ((z, y, x), voxel) in image.voxels.indexed_iter_mut() {
            *voxel = value(linalg::sub(grid.voxel_to_world([x as f64, y as f64, z as f64]), grid.centre_mm()));
        }
        image
    }

    fn within(p: Vec3, centre: Vec3, radius: f64) -> bool {
        linalg::norm(linalg::sub(p, centre)) < radius
    }

    #[test]
    fn the_body_in_a_pet_is_found_beside_a_lesion_fifty_times_as_hot() {
        let body = |p: Vec3| within(p, [0.0; 3], 55.0);
        let pet = image(|p| match (within(p, [20.0, 0.0, 5.0], 22.0), body(p)) {
            (true, _) => 25.0,
            (_, true) => 0.5,
            _ if p[0] > 0.0 => 0.01,
            _ => 0.0,
        });
        let expected = image(|p| f32::from(u8::from(body(p)))).voxels.iter().filter(|v| **v > 0.5).count();
        let found = body_mask(&pet, Modality::Pet).count();
        assert!(found.abs_diff(expected) * 50 < expected, "{found} of {expected}");
        // Two classes tell the lesion from the rest.
        assert!(body_mask(&pet, Modality::Mr).count() * 5 < expected);
        assert_eq!(body_mask(&image(|_| 0.0), Modality::Pet).count(), 0);
        assert_eq!(body_mask(&image(|_| f32::NAN), Modality::Pet).count(), 0);
    }

    #[test]
    fn the_couch_below_a_patient_is_not_compared_but_the_skin_and_the_air_are() {
        let ct = image(|p| match (within(p, [0.0; 3], 40.0), (50.0..58.0).contains(&p[1])) {
            (true, _) => 30.0,
            (_, true) => -200.0,
            _ => -1000.0,
        });
        let body = body_mask(&ct, Modality::Ct);
        let mut compared = grown(&body, 30.0);
        let before = compared.count();
        without_couch(&mut compared, &ct, &body, Modality::Ct);
        let couch = ct.voxels.indexed_iter().filter(|(_, value)| (**value + 200.0).abs() < 1.0);
        assert!(couch.map(|(at, _)| compared.voxels[at]).all(|compared| !compared));
        assert!(body.voxels.iter().zip(&compared.voxels).all(|(body, compared)| *compared || !*body));
        assert!(compared.count() * 10 > before * 8, "{} of {before}", compared.count());
    }
}

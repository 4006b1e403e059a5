//! A region that a rule makes where nothing was drawn.
//!
//! The voxels of a PET at or above a threshold that are connected to the hottest voxel through the faces of voxels. Which
//! threshold, as a share of the hottest voxel or as a SUV, is the protocol's. The rule knows no anatomy: the hottest voxel
//! may be the bladder or the heart. So every such region carries the finding `automatic_roi`.

use std::sync::Arc;

use super::regions::{Region, Shape};
use super::remarks::Remarks;
use super::roles::Role;
use crate::config::{Automatic, Protocol};
use crate::finding::FindingKind;
use crate::image::{Mask, Modality, Volume};
use crate::report::RoiOrigin;

/// The region of the protocol's rule on its first PET; `None` where it has no rule, no PET came, the site rejects such
/// regions, or the rule finds nothing.
pub(super) fn region(protocol: &Protocol, roles: &[Role<'_>], remarks: &mut Remarks<'_>) -> Option<Region> {
    let rule = protocol.roi.automatic;
    if rule == Automatic::None {
        return None;
    }
    let index = roles.iter().position(|role| role.input.modality == Modality::Pet)?;
    let role = &roles[index];
    let (hottest, peak) = hottest(&role.volume)?;
    let threshold = match rule {
        Automatic::None => return None,
        Automatic::PetPercent(percent) => percent / 100.0 * f64::from(peak),
        Automatic::PetSuv(suv) if role.units.is_suv() => suv,
        Automatic::PetSuv(_) => {
            let detail = format!("{rule} needs SUV, the values are {}", role.units.meaning());
            remarks.find(FindingKind::SuvNotComputable, role.name(), detail);
            return None;
        }
    };
    let mask = connected(&role.volume, hottest, threshold);
    if mask.count() == 0 {
        let detail = format!("{rule}: the largest value {peak} is below the threshold");
        remarks.find(FindingKind::EmptyRoi, role.name(), detail);
        return None;
    }
    let unit = role.units.ucum();
    let detail = format!("{rule}: {} voxels from {threshold:.4} {unit} up, connected to {peak:.4}", mask.count());
    if !remarks.find(FindingKind::AutomaticRoi, role.name(), detail) {
        return None;
    }
    let mask = Arc::new(mask);
    let name = rule.to_string();
    Some(Region {
        role: index,
        origin: RoiOrigin { role: role.name().to_owned(), name, object: None, object_series: None, automatic: true },
        number: 0,
        shape: Shape::Voxels(mask.clone()),
        mask,
        finding: None,
        site: None,
        laterality: None,
        findings: Vec::new(),
    })
}

/// The largest value and where it is, `[z, y, x]`; the first of several.
fn hottest(volume: &Volume<f32>) -> Option<([usize; 3], f32)> {
    let measured = volume.voxels.indexed_iter().filter(|(_, value)| value.is_finite());
    let largest = measured.fold(None, |best: Option<((usize, usize, usize), f32)>, (at, value)| match best {
        Some((_, most)) if most >= *value => best,
        _ => Some((at, *value)),
    });
    largest.map(|((z, y, x), value)| ([z, y, x], value))
}

/// The voxels from `threshold` up that hang together with `seed` by their faces.
fn connected(volume: &Volume<f32>, seed: [usize; 3], threshold: f64) -> Mask {
    let mut mask = Mask::filled(volume.geometry, false);
    let belongs = |at: [usize; 3]| volume.voxels.get(at).is_some_and(|value| f64::from(*value) >= threshold);
    let mut open = Vec::new();
    if belongs(seed) {
        mask.voxels[seed] = true;
        open.push(seed);
    }
    while let Some(at) = open.pop() {
        for axis in 0..3 {
            for step in [at[axis].checked_sub(1), at[axis].checked_add(1)].into_iter().flatten() {
                let mut next = at;
                next[axis] = step;
                if belongs(next) && !mask.voxels[next] {
                    mask.voxels[next] = true;
                    open.push(next);
                }
            }
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;

    #[test]
    fn only_what_hangs_together_with_the_hottest_voxel_is_taken() {
        let grid = Geometry::new([6, 1, 2], [4.0; 3], [0.0; 3], IDENTITY).unwrap();
        let values = vec![9.0, 4.0, 1.0, 8.0, f32::NAN, 8.0, 5.0, 3.0, 4.0, 1.0, 1.0, 1.0];
        let pet = Volume::from_values(grid, values).unwrap();
        let (at, peak) = hottest(&pet).unwrap();
        assert_eq!((at, peak), ([0, 0, 0], 9.0));
        let mask = connected(&pet, at, 4.0);
        let taken: Vec<usize> = mask.voxels.iter().enumerate().filter(|(_, inside)| **inside).map(|(k, _)| k).collect();
        assert_eq!(taken, [0, 1, 6], "8 at the other end is as hot as needed and hangs on nothing");
        assert_eq!(connected(&pet, at, 9.5).count(), 0);
    }
}

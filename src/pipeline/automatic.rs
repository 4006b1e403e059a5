//! A region that a rule makes where nothing was drawn.
//!
//! The voxels of a PET at or above a threshold that are connected to the hottest voxel through the faces of voxels. Which
//! threshold, as a share of the hottest voxel or as a SUV, is the protocol's. Only the body counts: what lies apart from it
//! (a bag, a line, a contaminated cloth) is neither the hottest voxel nor part of the region. Within the body the rule knows
//! no anatomy: the hottest voxel may be the bladder or the heart. So every such region carries the finding `automatic_roi`.

use std::sync::Arc;

use super::regions::{Region, Shape};
use super::remarks::Remarks;
use super::roles::Role;
use crate::config::{Automatic, Protocol};
use crate::finding::FindingKind;
use crate::image::{Modality, connected, largest_component, largest_value};
use crate::normalise::body_mask;
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
    let body = largest_component(&body_mask(&role.volume));
    let (hottest, peak) = largest_value(&role.volume, Some(&body))?;
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
    let belongs = |at: [usize; 3], value: &f32| f64::from(*value) >= threshold && body.voxels[at];
    let mask = connected(&role.volume, hottest, belongs);
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
        tracking: None,
        findings: Vec::new(),
    })
}

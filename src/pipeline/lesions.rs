//! Which regions are one lesion.
//!
//! Regions of different roles are compared in the reference's space, through the registration. Two whose Dice coefficient
//! is at least one half are one lesion whatever their names; the pairs are taken from the best on, and a lesion has at most
//! one region per role. Between 0.1 and one half it cannot be told: where two lesions could be one (neither is drawn on the
//! other's role) and overlap that much, both are `lesion_ambiguous`, and neither is brought together with other roles.

use super::carry::{bounds, onto};
use super::maps::Map;
use super::regions::Region;
use super::remarks::Remarks;
use super::roles::Role;
use crate::config::Protocol;
use crate::finding::{Finding, FindingKind};
use crate::image::Geometry;
use crate::math::linalg::{IDENTITY, Vec3};
use crate::report;

/// From here on two regions are one lesion.
const SAME_DICE_MIN: f64 = 0.5;
/// From here on they may be.
const AMBIGUOUS_DICE_MIN: f64 = 0.1;
/// Cells of the grid on which two regions are compared: 64 along each side of a cube, an error of the coefficient below 1 %.
const CELLS: f64 = (1u32 << 18) as f64;

/// One thing in the patient.
#[derive(Debug, Clone)]
pub(super) struct Lesion {
    /// As the documents tell it.
    pub(super) told: report::Lesion,
    /// Its regions, at most one per role: indices of the sorted regions.
    pub(super) drawn: Vec<usize>,
    /// The region that serves where no own one does: the reference's, else that of the first role that has one and whose
    /// registration may be used.
    pub(super) leading: usize,
    /// Whether it cannot be told from another one.
    pub(super) ambiguous: bool,
}

impl Lesion {
    /// The subject of findings about it.
    pub(super) fn subject(&self) -> String {
        format!("lesion {}", self.told.number)
    }
}

/// Puts the regions in their order (the reference's first, then by role, name and object) and groups them to lesions, which
/// are numbered in that order.
pub(super) fn of_regions(
    regions: &mut [Region],
    roles: &[Role<'_>],
    maps: &[Map],
    protocol: &Protocol,
    remarks: &mut Remarks<'_>,
) -> Vec<Lesion> {
    let rank = |role: usize| (roles[role].name() != protocol.reference, role);
    regions.sort_by(|a, b| {
        let key = |region: &Region| (rank(region.role), region.origin.name.clone(), region.number);
        key(a).cmp(&key(b)).then_with(|| object_of(a).cmp(&object_of(b)))
    });
    let overlaps = overlaps(regions, roles, maps);
    let clusters = clusters(regions, &overlaps);
    let mut lesions: Vec<Lesion> = Vec::with_capacity(clusters.len());
    for drawn in clusters {
        let usable = drawn.iter().find(|idx| maps[regions[**idx].role].usable);
        let Some(leading) = usable.or(drawn.first()).copied() else { continue };
        let told = told(lesions.len() + 1, &drawn, regions, protocol);
        lesions.push(Lesion { told, drawn, leading, ambiguous: false });
    }
    mark_ambiguous(&mut lesions, regions, roles, &overlaps, remarks);
    for lesion in &lesions {
        for region in lesion.drawn.iter().map(|idx| &regions[*idx]) {
            let told = |finding: &Finding| Finding {
                subject: lesion.subject(),
                detail: format!("{} on {}: {}", region.origin.name, region.origin.role, finding.detail),
                ..finding.clone()
            };
            remarks.extend(region.findings.iter().map(told));
        }
    }
    lesions
}

fn object_of(region: &Region) -> Option<&str> {
    region.origin.object.as_ref().map(|(_, instance)| instance.as_str())
}

/// Two regions of different roles and their Dice coefficient.
#[derive(Debug, Clone, Copy)]
struct Overlap {
    dice: f64,
    a: usize,
    b: usize,
}

/// Every pair that overlaps enough to matter, the best first.
fn overlaps(regions: &[Region], roles: &[Role<'_>], maps: &[Map]) -> Vec<Overlap> {
    let boxes: Vec<Option<[Vec3; 2]>> = regions
        .iter()
        .map(|region| {
            let map = maps.get(region.role).filter(|map| map.comparable)?;
            bounds(&region.mask, &map.registration.fixed_to_moving.inverse()?)
        })
        .collect();
    let mut overlaps = Vec::new();
    for a in 0..regions.len() {
        for b in a + 1..regions.len() {
            if regions[a].role == regions[b].role {
                continue;
            }
            let (Some(box_a), Some(box_b)) = (boxes[a], boxes[b]) else { continue };
            let Some(grid) = common_grid(box_a, box_b) else { continue };
            let cover = |region: &Region| onto(region, roles, &grid, &maps[region.role].registration.fixed_to_moving);
            let dice = dice(&cover(&regions[a]).voxels, &cover(&regions[b]).voxels);
            if dice >= AMBIGUOUS_DICE_MIN {
                overlaps.push(Overlap { dice, a, b });
            }
        }
    }
    overlaps.sort_by(|x, y| y.dice.total_cmp(&x.dice).then((x.a, x.b).cmp(&(y.a, y.b))));
    overlaps
}

/// A grid over two boxes with about [`CELLS`] cubes; `None` where they do not touch.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded by CELLS and the boxes' proportions
fn common_grid([low_a, high_a]: [Vec3; 2], [low_b, high_b]: [Vec3; 2]) -> Option<Geometry> {
    if (0..3).any(|axis| high_a[axis] < low_b[axis] || high_b[axis] < low_a[axis]) {
        return None;
    }
    let low = [0, 1, 2].map(|axis| low_a[axis].min(low_b[axis]));
    let extent = [0, 1, 2].map(|axis| high_a[axis].max(high_b[axis]) - low[axis]);
    let cell = (extent.iter().product::<f64>() / CELLS).cbrt();
    let size = extent.map(|mm| (mm / cell).ceil().max(1.0) as usize);
    Geometry::new(size, [cell; 3], low.map(|mm| mm + cell / 2.0), IDENTITY).ok()
}

/// 2 |A and B| / (|A| + |B|); 0 where both are empty.
#[allow(clippy::cast_precision_loss)] // voxel counts
fn dice(a: &ndarray::Array3<bool>, b: &ndarray::Array3<bool>) -> f64 {
    let (mut both, mut sum) = (0u64, 0u64);
    for (a, b) in a.iter().zip(b) {
        both += u64::from(*a && *b);
        sum += u64::from(*a) + u64::from(*b);
    }
    if sum == 0 { 0.0 } else { 2.0 * both as f64 / sum as f64 }
}

/// Regions that are one lesion, each list in ascending order, the lists in the order of their first.
fn clusters(regions: &[Region], overlaps: &[Overlap]) -> Vec<Vec<usize>> {
    let mut clusters: Vec<Vec<usize>> = (0..regions.len()).map(|idx| vec![idx]).collect();
    for overlap in overlaps.iter().filter(|overlap| overlap.dice >= SAME_DICE_MIN) {
        let find = |member: usize| clusters.iter().position(|cluster| cluster.contains(&member));
        let (Some(a), Some(b)) = (find(overlap.a), find(overlap.b)) else { continue };
        let one_per_role = clusters[a].iter().all(|x| clusters[b].iter().all(|y| regions[*x].role != regions[*y].role));
        if a != b && one_per_role {
            let taken = std::mem::take(&mut clusters[b]);
            clusters[a].extend(taken);
            clusters[a].sort_unstable();
        }
    }
    clusters.retain(|cluster| !cluster.is_empty());
    clusters.sort();
    clusters
}

/// What the documents say of a lesion. Codes come from its regions, the leading one first, else from the protocol.
fn told(number: usize, drawn: &[usize], regions: &[Region], protocol: &Protocol) -> report::Lesion {
    let of = || drawn.iter().map(|idx| &regions[*idx]);
    let mut names: Vec<String> = Vec::new();
    for region in of() {
        if !names.contains(&region.origin.name) {
            names.push(region.origin.name.clone());
        }
    }
    report::Lesion {
        number,
        names,
        finding: of().find_map(|region| region.finding.clone()).or_else(|| protocol.finding.kind.given().cloned()),
        site: of().find_map(|region| region.site.clone()).or_else(|| protocol.finding.site.given().cloned()),
        laterality: of()
            .find_map(|region| region.laterality.clone())
            .or_else(|| protocol.finding.laterality.given().cloned()),
        tracking: of().filter_map(|region| region.tracking.clone()).collect(),
    }
}

fn mark_ambiguous(
    lesions: &mut [Lesion],
    regions: &[Region],
    roles: &[Role<'_>],
    overlaps: &[Overlap],
    remarks: &mut Remarks<'_>,
) {
    for overlap in overlaps {
        let of = |member: usize| lesions.iter().position(|lesion| lesion.drawn.contains(&member));
        let (Some(a), Some(b)) = (of(overlap.a), of(overlap.b)) else { continue };
        let drawn_on = |lesion: usize, role: usize| lesions[lesion].drawn.iter().any(|idx| regions[*idx].role == role);
        let (role_a, role_b) = (regions[overlap.a].role, regions[overlap.b].role);
        if a == b || drawn_on(a, role_b) || drawn_on(b, role_a) {
            continue;
        }
        for (lesion, own, other, there) in [(a, role_a, b, role_b), (b, role_b, a, role_a)] {
            let detail = format!(
                "on {} it overlaps lesion {} on {} by Dice {:.2}",
                roles[own].name(),
                lesions[other].told.number,
                roles[there].name(),
                overlap.dice
            );
            remarks.find(FindingKind::LesionAmbiguous, &lesions[lesion].subject(), detail);
            lesions[lesion].ambiguous = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_of_comparison_covers_both_boxes_with_cubes() {
        let (a, b) = ([[0.0; 3], [10.0, 20.0, 30.0]], [[-5.0, 5.0, 10.0], [4.0, 40.0, 12.0]]);
        let grid = common_grid(a, b).unwrap();
        let end = grid.voxel_to_world(grid.size.map(|n| n as f64 - 0.5));
        assert!(grid.voxel_to_world([-0.5; 3]).iter().zip([-5.0, 0.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-9));
        assert!(end.iter().zip([10.0, 40.0, 30.0]).all(|(a, b)| *a >= b - 1e-9 && *a < b + grid.spacing_mm[0]));
        assert!((0.9..1.3).contains(&(grid.n_voxels() as f64 / CELLS)));
        assert_eq!(common_grid(a, [[11.0; 3], [12.0; 3]]), None, "beside each other");
    }

    #[test]
    fn dice_is_twice_what_is_common_over_what_there_is() {
        let a = ndarray::arr3(&[[[true, true, true, false]]]);
        let b = ndarray::arr3(&[[[false, true, true, true]]]);
        assert!((dice(&a, &b) - 4.0 / 6.0).abs() < 1e-12);
        assert!(dice(&a, &a.mapv(|_| false)).abs() < 1e-12);
    }
}

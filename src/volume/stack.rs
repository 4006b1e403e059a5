//! From image planes to a grid: sorted, checked, with the findings that they give rise to.
//!
//! Slices are sorted by the projection of their position on the normal (row x column) of the plane, never by instance
//! number. Distances come from the positions, not from Slice Thickness: overlapping slices are normal.

#![allow(clippy::cast_precision_loss)] // Slice counts are small.

use super::error::VolumeError;
use crate::dicom::geometry::{Orientation, Plane};
use crate::finding::{Finding, FindingKind, Policies, Policy};
use crate::image::Geometry;
use crate::math::linalg::{self, Vec3};

/// Slices nearer than this lie at one position; headers round to hundredths of a millimetre at worst.
pub(super) const SAME_POSITION_MM: f64 = 0.01;

/// A gap may differ from the spacing by this fraction of it: real PET bed seams vary 2.5 %.
const GAP_TOLERANCE: f64 = 0.05;

/// No slice may lie further than this fraction of the spacing from its place on the regular grid, however the small
/// deviations of the gaps add up.
const DRIFT_MAX: f64 = 0.25;

/// Over the whole stack the slices may shift sideways by this fraction of a pixel: what headers round.
const SIDEWAYS_PIXELS_MAX: f64 = 0.25;

/// A gap of more spacings is no missing slice but another part of the body.
const FILLED_SPACINGS_MAX: f64 = 3.0;

/// One plane as it takes part in a stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct StackPlane<'a> {
    pub plane: Plane,
    /// Columns and rows.
    pub size: [usize; 2],
    /// Slice Thickness, which counts only for a single slice.
    pub thickness_mm: Option<f64>,
    /// What makes the order of planes at one position independent of the order of files.
    pub name: &'a str,
    /// The same for the frames of one object.
    pub frame: u32,
}

/// A stack in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stack {
    /// Indices of the planes, in ascending order along the normal.
    pub order: Vec<usize>,
    /// The grid of the volume.
    pub geometry: Geometry,
    /// How the slices come onto the grid.
    pub layout: Layout,
}

/// How slices come onto a grid.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Layout {
    /// Slice k of the order is slice k of the grid.
    Regular,
    /// Slice k of the grid lies at this fractional index of the order: interpolated between two neighbours.
    Interpolated(Vec<f64>),
    /// Pixel (0, 0) of slice k of the order lies at this fractional pixel of the grid, never negative.
    Sheared(Vec<[f64; 2]>),
}

/// Puts planes in order and finds their grid.
///
/// # Errors
/// When a finding's policy is to reject, or nothing can mend it.
pub(super) fn arrange(
    planes: &[StackPlane],
    role: &str,
    policies: &Policies,
    findings: &mut Vec<Finding>,
) -> Result<Stack, VolumeError> {
    let remark = Remark { role, policies };
    // The plane with the least name leads, whichever file came first.
    let leader = planes.iter().min_by_key(|plane| (plane.name, plane.frame)).ok_or(VolumeError::Empty)?;
    remark.refuse_mixed(planes, leader)?;
    let normal = leader.plane.orientation.normal();
    let height = |index: &usize| planes.get(*index).map_or(0.0, |p| linalg::dot(p.plane.position_mm, normal));
    let mut order: Vec<usize> = (0..planes.len()).collect();
    let name = |index: &usize| (planes[*index].name, planes[*index].frame);
    order.sort_by(|a, b| height(a).total_cmp(&height(b)).then_with(|| name(a).cmp(&name(b))));
    let heights: Vec<f64> = order.iter().map(height).collect();
    let gaps: Vec<f64> = heights.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let n_duplicates = gaps.iter().filter(|gap| **gap < SAME_POSITION_MM).count();
    if n_duplicates > 0 {
        let detail = format!("{n_duplicates} of {} slices lie where another one lies", planes.len());
        return Err(VolumeError::Refused(policies.finding(FindingKind::DuplicatePosition, role, detail)));
    }
    if planes.len() < 3 {
        let detail = format!("{} slices: only 2-D features mean anything", planes.len());
        remark.note(FindingKind::TooFewSlices, detail, findings)?;
    }
    let first = planes.get(order[0]).ok_or(VolumeError::Empty)?;
    let spacing_mm = spacing(&gaps, first, &remark)?;
    let positions: Vec<Vec3> = order.iter().map(|index| planes[*index].plane.position_mm).collect();
    let places = places(&heights, &gaps, spacing_mm, &remark, findings)?;
    let shifts = sideways(&positions, &first.plane, &remark, findings)?;
    let (mut layout, spacing_mm) = match (places, shifts) {
        (None, None) => (Layout::Regular, mean_or(&gaps, spacing_mm)),
        (Some(places), None) => (Layout::Interpolated(places), spacing_mm),
        (None, Some(shifts)) => (Layout::Sheared(shifts), mean_or(&gaps, spacing_mm)),
        (Some(_), Some(_)) => {
            let detail = "the slices are both tilted and unevenly spaced";
            return Err(VolumeError::Refused(policies.finding(FindingKind::VariableSpacing, role, detail)));
        }
    };
    let geometry = grid(first, &mut layout, order.len(), spacing_mm)?;
    Ok(Stack { order, geometry, layout })
}

/// The way to note a finding for one role.
struct Remark<'a> {
    role: &'a str,
    policies: &'a Policies,
}

impl Remark<'_> {
    /// Notes a finding, or refuses by it.
    fn note(&self, kind: FindingKind, detail: String, findings: &mut Vec<Finding>) -> Result<(), VolumeError> {
        let finding = self.policies.finding(kind, self.role, detail);
        if finding.policy == Policy::Reject {
            return Err(VolumeError::Refused(finding));
        }
        findings.push(finding);
        Ok(())
    }

    fn refuse(&self, kind: FindingKind, detail: String) -> VolumeError {
        VolumeError::Refused(self.policies.finding(kind, self.role, detail))
    }

    /// One stack has one orientation, one matrix and one pixel spacing. Nothing mends another: which one is meant?
    fn refuse_mixed(&self, planes: &[StackPlane], leader: &StackPlane) -> Result<(), VolumeError> {
        let turned = |p: &&StackPlane| !p.plane.orientation.agrees_with(&leader.plane.orientation);
        let n_turned = planes.iter().filter(turned).count();
        if n_turned > 0 {
            let detail = format!("{n_turned} of {} slices are turned otherwise than the rest", planes.len());
            return Err(self.refuse(FindingKind::MixedOrientation, detail));
        }
        let other =
            |p: &&StackPlane| p.size != leader.size || !same_spacing(p.plane.spacing_mm, leader.plane.spacing_mm);
        let n_other = planes.iter().filter(other).count();
        if n_other > 0 {
            let detail = format!("{n_other} of {} slices have another matrix or pixel spacing", planes.len());
            return Err(self.refuse(FindingKind::MixedMatrix, detail));
        }
        Ok(())
    }
}

pub(super) fn same_spacing(a: [f64; 2], b: [f64; 2]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4 * b)
}

/// The distance of neighbouring slices: the median of the gaps, which a few missing slices do not move.
fn spacing(gaps: &[f64], only: &StackPlane, remark: &Remark) -> Result<f64, VolumeError> {
    let mut sorted = gaps.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.get(sorted.len().saturating_sub(1) / 2) {
        Some(median) => Ok(*median),
        None => only.thickness_mm.filter(|thickness| *thickness > 0.0).ok_or_else(|| {
            remark.refuse(FindingKind::TooFewSlices, "one slice without SliceThickness (0018,0050)".into())
        }),
    }
}

/// The mean gap: over a regular stack it deviates least from all positions.
fn mean_or(gaps: &[f64], otherwise: f64) -> f64 {
    if gaps.is_empty() { otherwise } else { gaps.iter().sum::<f64>() / gaps.len() as f64 }
}

/// Where the slices of a regular grid lie between those that are there; `None` when the stack is regular already.
fn places(
    heights: &[f64],
    gaps: &[f64],
    spacing_mm: f64,
    remark: &Remark,
    findings: &mut Vec<Finding>,
) -> Result<Option<Vec<f64>>, VolumeError> {
    let tolerance_mm = SAME_POSITION_MM.max(GAP_TOLERANCE * spacing_mm);
    let uneven = |gap: &&f64| (**gap - spacing_mm).abs() > tolerance_mm;
    let n_uneven = gaps.iter().filter(uneven).count();
    let drift = drift(heights);
    if n_uneven == 0 && drift <= DRIFT_MAX {
        return Ok(None);
    }
    // A gap of a whole number of spacings, within the tolerance of each, is a place where slices are missing.
    let n_missing = |gap: &f64| (gap / spacing_mm).round() - 1.0;
    let whole = |gap: &f64| (gap / spacing_mm - (gap / spacing_mm).round()).abs() * spacing_mm <= tolerance_mm;
    let widest = gaps.iter().copied().fold(0.0, f64::max);
    let (kind, detail) = if n_uneven > 0 && gaps.iter().filter(uneven).all(|gap| whole(gap) && *gap > spacing_mm) {
        let missing: f64 = gaps.iter().filter(uneven).map(n_missing).sum();
        (FindingKind::MissingSlice, format!("{missing} slices are missing at a spacing of {spacing_mm:.4} mm"))
    } else {
        let least = gaps.iter().copied().fold(f64::INFINITY, f64::min);
        let detail = format!("gaps of {least:.4} to {widest:.4} mm, drift of {drift:.2} spacings");
        (FindingKind::VariableSpacing, detail)
    };
    if widest > FILLED_SPACINGS_MAX * spacing_mm + tolerance_mm {
        return Err(remark.refuse(kind, format!("{detail}; the widest gap of {widest:.4} mm is too wide to fill")));
    }
    remark.note(kind, detail, findings)?;
    Ok(Some(fractional_indices(heights, spacing_mm)))
}

/// The largest distance of a slice from its place on the line through the first and the last one, in spacings.
fn drift(heights: &[f64]) -> f64 {
    let (Some(first), Some(last)) = (heights.first(), heights.last()) else { return 0.0 };
    let step = (last - first) / heights.len().saturating_sub(1).max(1) as f64;
    if step <= 0.0 {
        return 0.0;
    }
    heights.iter().enumerate().map(|(k, height)| ((height - first) / step - k as f64).abs()).fold(0.0, f64::max)
}

/// For each slice of a grid with this spacing from the first slice on: where it lies between the slices that are there.
fn fractional_indices(heights: &[f64], spacing_mm: f64) -> Vec<f64> {
    let (Some(first), Some(last)) = (heights.first(), heights.last()) else { return Vec::new() };
    let mut below = 0;
    let mut indices = Vec::new();
    let mut k = 0.0;
    while first + k * spacing_mm <= last + SAME_POSITION_MM {
        let height = (first + k * spacing_mm).min(*last);
        while heights.get(below + 1).is_some_and(|next| *next <= height) {
            below += 1;
        }
        let fraction = match heights.get(below + 1) {
            Some(next) => (height - heights[below]) / (next - heights[below]),
            None => 0.0,
        };
        indices.push(below as f64 + fraction);
        k += 1.0;
    }
    indices
}

/// How far each slice is shifted sideways against the first one, in pixels; `None` where they lie above one another.
///
/// The tilt comes from the positions: the sign of Gantry/Detector Tilt (0018,1120) is not to be relied upon.
fn sideways(
    positions: &[Vec3],
    first: &Plane,
    remark: &Remark,
    findings: &mut Vec<Finding>,
) -> Result<Option<Vec<[f64; 2]>>, VolumeError> {
    let Orientation { row, column } = first.orientation;
    let shifts: Vec<[f64; 2]> = positions
        .iter()
        .map(|position| {
            let offset = linalg::sub(*position, first.position_mm);
            [linalg::dot(offset, row) / first.spacing_mm[0], linalg::dot(offset, column) / first.spacing_mm[1]]
        })
        .collect();
    let widest = shifts.iter().flatten().map(|shift| shift.abs()).fold(0.0, f64::max);
    if widest <= SIDEWAYS_PIXELS_MAX {
        return Ok(None);
    }
    let travel = positions.last().map_or([0.0; 3], |last| linalg::sub(*last, first.position_mm));
    let cosine = linalg::dot(travel, first.orientation.normal()) / linalg::norm(travel);
    let degrees = cosine.clamp(-1.0, 1.0).acos().to_degrees();
    let detail = format!("{degrees:.1} degrees between the slice normal and the direction of travel");
    remark.note(FindingKind::GantryTilt, detail, findings)?;
    Ok(Some(shifts))
}

/// The grid: that of the first slice, and for a sheared stack wide enough for every slice.
fn grid(first: &StackPlane, layout: &mut Layout, n_slices: usize, spacing_mm: f64) -> Result<Geometry, VolumeError> {
    let plane = first.plane;
    let Orientation { row, column } = plane.orientation;
    let [mut nx, mut ny] = first.size;
    let mut origin_mm = plane.position_mm;
    let mut nz = n_slices;
    match layout {
        Layout::Regular => {}
        Layout::Interpolated(places) => nz = places.len(),
        Layout::Sheared(shifts) => {
            let extent = |axis: usize| {
                let shifts = shifts.iter().map(|shift| shift[axis]);
                shifts.fold((0.0_f64, 0.0_f64), |(least, most), s| (least.min(s), most.max(s)))
            };
            let ((x_least, x_most), (y_least, y_most)) = (extent(0), extent(1));
            nx = widened(nx, x_least, x_most)?;
            ny = widened(ny, y_least, y_most)?;
            let start = linalg::add(
                linalg::scale(x_least.floor() * plane.spacing_mm[0], row),
                linalg::scale(y_least.floor() * plane.spacing_mm[1], column),
            );
            origin_mm = linalg::add(origin_mm, start);
            for shift in shifts {
                *shift = [shift[0] - x_least.floor(), shift[1] - y_least.floor()];
            }
        }
    }
    let spacing = [plane.spacing_mm[0], plane.spacing_mm[1], spacing_mm];
    Ok(Geometry::new([nx, ny, nz], spacing, origin_mm, [row, column, plane.orientation.normal()])?)
}

/// A sheared slice needs as many pixels more as it is shifted; a header may claim any shift.
fn widened(n: usize, least: f64, most: f64) -> Result<usize, VolumeError> {
    let extra = most.ceil() - least.floor();
    if extra.is_nan() || extra > 65536.0 {
        return Err(VolumeError::TooLarge(u64::MAX));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Between 0 and 65536.
    Ok(n + extra as usize)
}

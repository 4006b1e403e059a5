//! The regions that were drawn, each on the series that it belongs to.
//!
//! A region belongs to the series that its structure set or segmentation names. Where that names several of the case's
//! series, or none of them, it belongs to the one whose slices it lies on and whose Frame of Reference it shares; where it
//! fits none or several it is refused. The images that contours name (Contour Image Sequence) decide nothing: in archives
//! that were made anonymous they resolve to nothing, and they are only counted.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::error::PipelineError;
use super::job::Job;
use super::remarks::Remarks;
use super::roles::Role;
use crate::case::{Annotation, AnnotationKind};
use crate::config::{Input, Protocol};
use crate::dicom::uid::Uid;
use crate::error::{Duty, Retry};
use crate::finding::{Finding, FindingKind, Policy};
use crate::image::{Geometry, Mask, Transform, resample_mask};
use crate::normalise::Method;
use crate::report::{Code, RoiOrigin};
use crate::volume::{Roi, RtStructError, SegError, Segment, Segmentation, StructureSet, fits, rasterise};

/// Regions that one case may have: more than any person draws. Each takes a byte for every voxel of its series.
const REGIONS_MAX: usize = 512;

/// One region on the series of one role.
#[derive(Debug, Clone)]
pub(super) struct Region {
    /// Whose images it belongs to: an index of the roles.
    pub(super) role: usize,
    /// Where it comes from.
    pub(super) origin: RoiOrigin,
    /// Its number in that object.
    pub(super) number: i64,
    /// What can be carried onto other images.
    pub(super) shape: Shape,
    /// Its voxels on the role's own grid; at least one.
    pub(super) mask: Arc<Mask>,
    /// What it is.
    pub(super) finding: Option<Code>,
    /// Where it is.
    pub(super) site: Option<Code>,
    /// Left or right.
    pub(super) laterality: Option<Code>,
    /// What tells it from all others, over studies.
    pub(super) tracking: Option<Uid>,
    /// Remarks on it; their subject is filled in when it is known which lesion it is.
    pub(super) findings: Vec<Finding>,
}

/// A region without a grid, or on the grid that it came on.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Contours(Box<Roi>),
    Voxels(Arc<Mask>),
}

/// Reads every region that the protocol measures.
pub(super) fn read(
    job: &Job<'_>,
    protocol: &Protocol,
    roles: &[Role<'_>],
    remarks: &mut Remarks<'_>,
) -> Result<Vec<Region>, PipelineError> {
    let mut regions = Vec::new();
    for annotation in &job.spec.annotations {
        let path = job.path(&annotation.instance, "annotation")?;
        let reader = Reader { annotation, protocol, roles };
        match annotation.kind {
            AnnotationKind::StructureSet => reader.structure_set(&path, remarks, &mut regions)?,
            AnnotationKind::Segmentation => reader.segmentation(&path, remarks, &mut regions)?,
        }
    }
    Ok(regions)
}

/// Whether the protocol measures regions of that name.
fn is_measured(protocol: &Protocol, name: &str) -> bool {
    protocol.roi.names.iter().any(|pattern| pattern.is_match(name))
}

/// Whether the region of that name is what a role's intensities are relative to.
fn is_tissue(input: &Input, name: &str) -> bool {
    matches!(&input.normalise, Method::ReferenceTissue { roi } if roi == name)
}

/// Takes the regions of reference tissues out of those that are measured. A region may be both.
pub(super) fn tissues(regions: &mut Vec<Region>, roles: &[Role<'_>], protocol: &Protocol) -> Vec<Region> {
    let of_its_role = |region: &&Region| is_tissue(roles[region.role].input, &region.origin.name);
    let found = regions.iter().filter(of_its_role).cloned().collect();
    regions.retain(|region| region.origin.automatic || is_measured(protocol, &region.origin.name));
    found
}

/// One object with what its regions are compared with.
struct Reader<'a> {
    annotation: &'a Annotation,
    protocol: &'a Protocol,
    roles: &'a [Role<'a>],
}

impl Reader<'_> {
    fn structure_set(
        &self,
        path: &Path,
        remarks: &mut Remarks<'_>,
        regions: &mut Vec<Region>,
    ) -> Result<(), PipelineError> {
        let mut set = match StructureSet::read(path) {
            Ok(set) => set,
            Err(RtStructError::Format(error)) if error.retry() != Retry::Never => {
                return Err(PipelineError::Annotation(error));
            }
            Err(error) => {
                self.refuse(&error.to_string(), remarks);
                return Ok(());
            }
        };
        if !self.references_are_usable(&set, remarks) {
            return Ok(());
        }
        let rois = std::mem::take(&mut set.rois);
        let mut names: Vec<(usize, String)> = Vec::new();
        for roi in rois.into_iter().filter(|roi| self.takes(&roi.name)) {
            let on_image = |geometry: &Geometry| fits(&roi, geometry);
            let Some(role) = self.role_of(&set.series, roi.frame_of_reference.as_ref(), on_image, &roi.name, remarks)
            else {
                continue;
            };
            self.remark_on_twins(role, &roi.name, &mut names, remarks);
            let (mask, findings) = rasterise(&roi, &self.roles[role].volume.geometry, remarks.policies());
            let origin = self.origin(role, &roi.name, &set.sop_class, false);
            let region = Region {
                role,
                origin,
                number: roi.number,
                mask: Arc::new(mask),
                finding: roi.finding.clone(),
                site: roi.site.clone(),
                laterality: roi.laterality.clone(),
                tracking: None,
                findings,
                shape: Shape::Contours(Box::new(roi)),
            };
            self.keep(region, remarks, regions);
        }
        Ok(())
    }

    fn segmentation(
        &self,
        path: &Path,
        remarks: &mut Remarks<'_>,
        regions: &mut Vec<Region>,
    ) -> Result<(), PipelineError> {
        let object = match Segmentation::read(path) {
            Ok(object) => object,
            Err(SegError::Format(error)) if error.retry() != Retry::Never => {
                return Err(PipelineError::Annotation(error));
            }
            Err(error) => {
                self.refuse(&error.to_string(), remarks);
                return Ok(());
            }
        };
        let mut names: Vec<(usize, String)> = Vec::new();
        for segment in object.segments.into_iter().filter(|segment| self.takes(&segment.label)) {
            let frame = object.frame_of_reference.as_ref();
            let on_image = |geometry: &Geometry| is_part_of(&segment.mask.geometry, geometry);
            let Some(role) = self.role_of(&[], frame, on_image, &segment.label, remarks) else { continue };
            self.remark_on_twins(role, &segment.label, &mut names, remarks);
            let region = self.of_segment(segment, role, &object.sop_class, remarks);
            self.keep(region, remarks, regions);
        }
        Ok(())
    }

    fn of_segment(&self, segment: Segment, role: usize, sop_class: &Uid, remarks: &Remarks<'_>) -> Region {
        let by_a_program = || {
            let detail = "Segment Algorithm Type (0062,0008) is AUTOMATIC";
            remarks.policies().finding(FindingKind::AutomaticRoi, "", detail)
        };
        let drawn = Arc::new(segment.mask);
        let mask = resample_mask(&drawn, &self.roles[role].volume.geometry, &Transform::Identity);
        Region {
            role,
            origin: self.origin(role, &segment.label, sop_class, segment.automatic),
            number: i64::from(segment.number),
            shape: Shape::Voxels(drawn),
            mask: Arc::new(mask),
            finding: segment.finding,
            site: segment.site,
            laterality: segment.laterality,
            tracking: segment.tracking,
            findings: segment.automatic.then(by_a_program).into_iter().collect(),
        }
    }

    /// Whether the protocol measures regions of that name, or measures others by them.
    fn takes(&self, name: &str) -> bool {
        is_measured(self.protocol, name) || self.protocol.inputs.iter().any(|input| is_tissue(input, name))
    }

    fn refuse(&self, reason: &str, remarks: &mut Remarks<'_>) {
        remarks.find(FindingKind::AnnotationRefused, "", reason);
    }

    /// Keeps a region that covers something and that no finding forbids.
    fn keep(&self, region: Region, remarks: &mut Remarks<'_>, regions: &mut Vec<Region>) {
        let role = self.roles[region.role].name();
        if region.mask.count() == 0 {
            remarks.extend(region.findings);
            remarks.find(
                FindingKind::EmptyRoi,
                role,
                format!("{:?} covers no voxel of its series", region.origin.name),
            );
        } else if region.findings.iter().any(|finding| finding.policy == Policy::Reject) {
            remarks.extend(region.findings);
        } else if regions.len() >= REGIONS_MAX {
            let detail =
                format!("{:?} and what comes after it: {REGIONS_MAX} regions are measured", region.origin.name);
            remarks.find(FindingKind::NotMeasured, role, detail);
        } else {
            regions.push(region);
        }
    }

    fn origin(&self, role: usize, name: &str, sop_class: &Uid, automatic: bool) -> RoiOrigin {
        RoiOrigin {
            role: self.roles[role].name().to_owned(),
            name: name.to_owned(),
            object: Some((sop_class.clone(), self.annotation.instance.clone())),
            object_series: Some((self.annotation.study.clone(), self.annotation.series.clone())),
            automatic,
        }
    }

    /// The role whose series a region belongs to; a finding where that is not one.
    ///
    /// An object that names one series means it. One that names several says of no region which one it was drawn on: its
    /// geometry has to, also where the others are not here, as another modality's region may not be measured on this one.
    fn role_of(
        &self,
        named: &[Uid],
        frame: Option<&Uid>,
        on_image: impl Fn(&Geometry) -> bool,
        name: &str,
        remarks: &mut Remarks<'_>,
    ) -> Option<usize> {
        let is_named = |role: &Role<'_>| {
            let series = &role.series.series;
            named.contains(series) || self.annotation.references.contains(series)
        };
        let here: Vec<usize> = (0..self.roles.len()).filter(|idx| is_named(&self.roles[*idx])).collect();
        let n_named = named.iter().collect::<BTreeSet<_>>().len();
        if let [only] = here.as_slice()
            && n_named <= 1
        {
            return Some(*only);
        }
        let n_missing = n_named.saturating_sub(here.len());
        let pool = if here.is_empty() { (0..self.roles.len()).collect() } else { here };
        let fits = |role: &Role<'_>| {
            let own = role.series.frame_of_reference.as_ref();
            let same_frame = frame.zip(own).is_none_or(|(a, b)| a == b);
            same_frame && on_image(&role.volume.geometry)
        };
        let fitting: Vec<usize> = pool.into_iter().filter(|idx| fits(&self.roles[*idx])).collect();
        if let [only] = fitting.as_slice() {
            if n_missing > 0 && n_missing < n_named {
                let detail =
                    format!("{name:?} belongs here by its geometry; {n_missing} more named series are not used");
                remarks.find(FindingKind::ReferencedSeriesMissing, self.roles[*only].name(), detail);
            }
            return Some(*only);
        }
        let detail = match fitting.len() {
            0 => format!("{name:?} lies on the slices of no series of the case"),
            n => format!("{name:?} fits {n} series of the case, expected one"),
        };
        remarks.find(FindingKind::RoiSeriesUnknown, "", detail);
        None
    }

    /// Counts the images that contours name and no series holds; says whether the structure set may be used.
    fn references_are_usable(&self, set: &StructureSet, remarks: &mut Remarks<'_>) -> bool {
        let of_roles = self.roles.iter().flat_map(|role| &role.series.slices);
        let known: BTreeSet<&Uid> = of_roles.map(|(_, instance)| instance).collect();
        let n_unknown = set.images.iter().filter(|image| !known.contains(image)).count();
        if n_unknown == 0 {
            return true;
        }
        let named = self.roles.iter().filter(|role| set.series.contains(&role.series.series));
        let mut subjects: Vec<&str> = named.map(Role::name).collect();
        if subjects.is_empty() {
            subjects.push("");
        }
        let detail = format!("{n_unknown} of {} images that contours name are not in the case", set.images.len());
        for subject in subjects {
            remarks.find(FindingKind::UnresolvedSopReference, subject, detail.as_str());
        }
        remarks.policies().of(FindingKind::UnresolvedSopReference) != Policy::Reject
    }

    fn remark_on_twins(&self, role: usize, name: &str, names: &mut Vec<(usize, String)>, remarks: &mut Remarks<'_>) {
        let entry = (role, name.to_owned());
        if names.contains(&entry) {
            let detail = format!("more than one region of an object is named {name:?}");
            remarks.find(FindingKind::DuplicateRoiName, self.roles[role].name(), detail);
        } else {
            names.push(entry);
        }
    }
}

/// Positions are written with limited digits: hundredths of a voxel are the same place.
const SAME_PLACE_VOXELS: f64 = 0.02;

/// Whether the voxels of a segmentation are voxels of an image: the same axes and spacing, whole steps apart, within it.
#[allow(clippy::cast_precision_loss)] // matrix sizes
fn is_part_of(part: &Geometry, whole: &Geometry) -> bool {
    let last = part.size.map(|n| n as f64 - 1.0);
    let corners = [[0.0; 3], [last[0], 0.0, 0.0], [0.0, last[1], 0.0], [0.0, 0.0, last[2]], last];
    let same_spacing = part.size.iter().zip(part.spacing_mm).zip(whole.spacing_mm).all(|((n, a), b)| {
        // Along an axis of one voxel the spacing says nothing.
        *n == 1 || (a - b).abs() * (*n as f64) <= SAME_PLACE_VOXELS * b
    });
    same_spacing
        && corners.iter().all(|corner| {
            let at = whole.world_to_voxel(part.voxel_to_world(*corner));
            (0..3).all(|axis| {
                let near = at[axis].round();
                (at[axis] - near).abs() <= SAME_PLACE_VOXELS && (0.0..whole.size[axis] as f64).contains(&near)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::linalg::IDENTITY;

    #[test]
    fn a_cut_out_of_an_image_is_a_part_of_it_and_a_shifted_or_coarser_grid_is_not() {
        let whole = Geometry::new([40, 30, 20], [1.0, 1.0, 3.0], [-7.0, 3.0, 9.0], IDENTITY).unwrap();
        let cut = |origin: [f64; 3], spacing| Geometry::new([10, 10, 5], spacing, origin, IDENTITY).unwrap();
        let inside = whole.voxel_to_world([12.0, 5.0, 3.0]);
        assert!(is_part_of(&cut(inside, [1.0, 1.0, 3.0]), &whole) && is_part_of(&whole, &whole));
        assert!(!is_part_of(&cut(whole.voxel_to_world([12.3, 5.0, 3.0]), [1.0, 1.0, 3.0]), &whole));
        assert!(!is_part_of(&cut(inside, [1.0, 1.0, 2.0]), &whole));
        assert!(!is_part_of(&cut(whole.voxel_to_world([35.0, 5.0, 3.0]), [1.0, 1.0, 3.0]), &whole), "sticks out");
        // One slice: whatever its thickness says.
        let slice = Geometry::new([10, 10, 1], [1.0, 1.0, 5.0], inside, IDENTITY).unwrap();
        assert!(is_part_of(&slice, &whole));
    }
}

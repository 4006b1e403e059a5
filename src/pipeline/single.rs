//! One image and one region, each from a file or a folder, measured by one set of settings: no case, no protocol.
//!
//! The image is a NIfTI file or the DICOM files of one series; the region a NIfTI mask, an RTSTRUCT or a SEG. Intensities
//! are taken in the unit of the image (HU, SUV, or as they are): nothing is normalised.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::image_file::{self, files_of, is_nifti, kind_of, name_of};
use super::measure;
use super::provenance::NUMERICS_VERSION;
use crate::dicom::facts::{FactsError, InstanceKind};
use crate::error::{Duty, Fault, Retry};
use crate::features::{Extraction, FeatureError, Settings, extract, response_map};
use crate::finding::{Finding, Policies, Policy};
use crate::image::{Geometry, Mask, Transform, Volume, resample_mask};
use crate::report::{CaseResult, MeasurementGroup, RoiOrigin, Space};
use crate::volume::nifti::{self, NiftiError};
use crate::volume::{Roi, RtStructError, SegError, Segmentation, StructureSet, VolumeError, fits, rasterise};

/// What is measured on what.
#[derive(Debug, Clone, Copy)]
pub struct SingleJob<'a> {
    /// A NIfTI file, a DICOM file, or a folder with the DICOM files of one series.
    pub image: &'a Path,
    /// A NIfTI mask, an RTSTRUCT or a SEG, or a folder with one of them.
    pub region: &'a Path,
    /// The ROI's name or the segment's label, where there are several; of a NIfTI mask the number of a label.
    pub region_name: Option<&'a str>,
    /// How.
    pub settings: &'a Settings,
    /// What is done about remarks on the data.
    pub policies: &'a Policies,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct SingleResult {
    /// The values in the words of a result with one group: what tables and `report.json` are made of.
    pub case: CaseResult,
    /// The values with the diagnostics of each step.
    pub extraction: Extraction,
}

/// Why there are no values.
#[derive(Debug, thiserror::Error)]
pub enum SingleError {
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A NIfTI file cannot be used.
    #[error(transparent)]
    Nifti(#[from] NiftiError),
    /// The header of a DICOM file cannot be read.
    #[error("{}: {source}", path.display())]
    Header {
        /// Which.
        path: PathBuf,
        /// Why.
        source: FactsError,
    },
    /// The series is no volume.
    #[error("the image series is not usable: {0}")]
    Series(#[from] VolumeError),
    /// A structure set cannot be used.
    #[error(transparent)]
    StructureSet(#[from] RtStructError),
    /// A segmentation cannot be used.
    #[error(transparent)]
    Segmentation(#[from] SegError),
    /// Not what was expected there.
    #[error("{} holds {found}, expected {expected}", path.display())]
    Kind {
        /// The file or folder.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// No region, or several, are named so.
    #[error("{matching} regions match, expected one; there are: {}", names.join(", "))]
    Region {
        /// How many match.
        matching: usize,
        /// The names that there are.
        names: Vec<String>,
    },
    /// The region belongs to another image.
    #[error("region {name:?} does not lie on the slices of the image")]
    Elsewhere {
        /// Its name.
        name: String,
    },
    /// A remark on the region whose policy is to reject.
    #[error("refused: {0}")]
    Refused(Finding),
    /// Nothing could be measured.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// A response map is that of one filter.
    #[error("the settings have {found} filters, expected one: a file holds one response map")]
    Filters {
        /// How many there are.
        found: usize,
    },
}

impl Duty for SingleError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } => Fault::Internal,
            Self::Nifti(error) => error.fault(),
            Self::Series(error) => error.fault(),
            Self::Features(error) => error.fault(),
            Self::Region { .. } | Self::Filters { .. } => Fault::Config,
            _ => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// Measures one region of one image.
///
/// # Errors
/// When a file cannot be read or is not what it must be, the region is not the one region of that name, or it has no
/// features at all.
pub fn measure_files(job: &SingleJob<'_>) -> Result<SingleResult, SingleError> {
    let image = image_file::read(job.image, job.policies)?;
    let region = read_region(job, &image.volume.geometry)?;
    let mut findings = image.findings;
    findings.extend(region.findings);
    if let Some(refused) = findings.iter().find(|finding| finding.policy == Policy::Reject) {
        return Err(SingleError::Refused(refused.clone()));
    }
    let extraction = extract(&image.volume, &region.mask, job.settings)?;
    let mut values = measure::values(&extraction, image.unit);
    let perturbations = measure::perturbations(&image.volume, &region.mask, job.settings, &mut values);
    let mut parameters = vec![format!("numerics_version={NUMERICS_VERSION}")];
    parameters.extend(measure::parameters(job.settings, "none"));
    let group = MeasurementGroup {
        lesion: 1,
        role: image.role.clone(),
        made_of: Vec::new(),
        space: Space::Native,
        mask: Arc::new(region.mask),
        drawn_on: RoiOrigin {
            role: image.role,
            name: region.name,
            object: None,
            object_series: None,
            automatic: region.automatic,
        },
        values,
        diagnostics: serde_json::json!({ "steps": extraction.diagnostics, "perturbations": perturbations }),
        parameters,
    };
    let case = CaseResult {
        case_id: name_of(job.image),
        revision: 1,
        settings: serde_json::json!({ "measurement": job.settings }),
        groups: vec![group],
        findings,
        ..CaseResult::default()
    };
    Ok(SingleResult { case, extraction })
}

/// The response map of the whole image to the settings' one filter.
///
/// # Errors
/// When the image cannot be read, or the settings have no filter or several.
pub fn response_of_files(job: &SingleJob<'_>) -> Result<Volume<f32>, SingleError> {
    let [filter] = job.settings.filter.as_slice() else {
        return Err(SingleError::Filters { found: job.settings.filter.len() });
    };
    Ok(response_map(&image_file::read(job.image, job.policies)?.volume, filter, job.settings)?)
}

/// A region on the image's grid.
struct Region {
    mask: Mask,
    name: String,
    automatic: bool,
    findings: Vec<Finding>,
}

fn read_region(job: &SingleJob<'_>, grid: &Geometry) -> Result<Region, SingleError> {
    if is_nifti(job.region) {
        return read_label(job, grid);
    }
    let is_region = |kind: &InstanceKind| matches!(kind, InstanceKind::StructureSet(_) | InstanceKind::Segmentation(_));
    let files = files_of(job.region, is_region)?;
    let [file] = files.as_slice() else {
        let found = format!("{} structure sets and segmentations", files.len());
        return Err(SingleError::Kind { path: job.region.to_owned(), found, expected: "one" });
    };
    if matches!(kind_of(file)?, InstanceKind::StructureSet(_)) {
        let rois = StructureSet::read(file)?.rois;
        let roi = the_one(rois, job.region_name, |roi| roi.name.as_str())?;
        return on_slices(&roi, grid, job.policies);
    }
    let segments = Segmentation::read(file)?.segments;
    let segment = the_one(segments, job.region_name, |segment| segment.label.as_str())?;
    let mask = resample_mask(&segment.mask, grid, &Transform::Identity);
    Ok(Region { mask, name: segment.label, automatic: segment.automatic, findings: Vec::new() })
}

fn on_slices(roi: &Roi, grid: &Geometry, policies: &Policies) -> Result<Region, SingleError> {
    if !fits(roi, grid) {
        return Err(SingleError::Elsewhere { name: roi.name.clone() });
    }
    let (mask, findings) = rasterise(roi, grid, policies);
    Ok(Region { mask, name: roi.name.clone(), automatic: false, findings })
}

/// A NIfTI mask: the voxels of a label where one is named, else those that are not 0.
fn read_label(job: &SingleJob<'_>, grid: &Geometry) -> Result<Region, SingleError> {
    let image = nifti::read_image(job.region)?;
    let name = name_of(job.region);
    if !same_grid(&image.geometry, grid) {
        return Err(SingleError::Elsewhere { name });
    }
    let geometry = *grid;
    let Some(label) = job.region_name else {
        let mask = Mask { voxels: image.voxels.mapv(|value| value.abs() > 0.0), geometry };
        return Ok(Region { mask, name, automatic: false, findings: Vec::new() });
    };
    let number: Option<f32> = label.parse().ok();
    let is_label = |value: f32| number.is_some_and(|number| (value - number).abs() < 0.5);
    let mask = Mask { voxels: image.voxels.mapv(is_label), geometry };
    if mask.count() == 0 {
        let mut labels: Vec<i64> = image.voxels.iter().map(|value| label_of(*value)).filter(|n| *n != 0).collect();
        labels.sort_unstable();
        labels.dedup();
        let names = labels.iter().take(LABELS_TOLD_MAX).map(ToString::to_string).collect();
        return Err(SingleError::Region { matching: 0, names });
    }
    Ok(Region { mask, name: label.to_owned(), automatic: false, findings: Vec::new() })
}

/// Labels that an error message names at most.
const LABELS_TOLD_MAX: usize = 32;

#[allow(clippy::cast_possible_truncation, reason = "saturates: a label that large is none")]
fn label_of(value: f32) -> i64 {
    value.round() as i64
}

/// The one of a list that is named so; the only one where no name is asked for.
fn the_one<T>(list: Vec<T>, name: Option<&str>, name_of: impl Fn(&T) -> &str) -> Result<T, SingleError> {
    let names = list.iter().map(|item| name_of(item).to_owned()).collect();
    let mut matching: Vec<T> = list.into_iter().filter(|item| name.is_none_or(|name| name == name_of(item))).collect();
    match (matching.pop(), matching.len()) {
        (Some(only), 0) => Ok(only),
        (last, others) => Err(SingleError::Region { matching: others + usize::from(last.is_some()), names }),
    }
}

/// Positions are written with limited digits: hundredths of a voxel are the same place.
const SAME_PLACE_VOXELS: f64 = 0.02;

fn same_grid(a: &Geometry, b: &Geometry) -> bool {
    #[allow(clippy::cast_precision_loss)] // grid sizes
    let last = a.size.map(|n| n as f64 - 1.0);
    let corners = [[0.0; 3], [last[0], 0.0, 0.0], [0.0, last[1], 0.0], [0.0, 0.0, last[2]]];
    let near = |corner: &[f64; 3]| {
        let at = b.world_to_voxel(a.voxel_to_world(*corner));
        (0..3).all(|axis| (at[axis] - corner[axis]).abs() <= SAME_PLACE_VOXELS)
    };
    a.size == b.size && corners.iter().all(near)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::linalg::IDENTITY;

    struct Files {
        folder: tempfile::TempDir,
        image: PathBuf,
        mask: PathBuf,
    }

    /// An image of a ramp and a mask of labels 1 and 2.
    fn files() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let geometry = Geometry::new([6, 5, 4], [1.0, 1.0, 2.0], [3.0, -4.0, 5.0], IDENTITY).unwrap();
        let image = Volume::from_values(geometry, (0..120u8).map(f32::from).collect()).unwrap();
        let mut labels = Volume::filled(geometry, 0.0f32);
        labels.voxels[[1, 2, 2]] = 1.0;
        labels.voxels[[1, 2, 3]] = 1.0;
        labels.voxels[[3, 4, 5]] = 2.0;
        let paths = ["image.nii.gz", "labels.nii"].map(|name| folder.path().join(name));
        nifti::write_image(&paths[0], &image).unwrap();
        nifti::write_image(&paths[1], &labels).unwrap();
        let [image, mask] = paths;
        Files { folder, image, mask }
    }

    fn measure(files: &Files, name: Option<&str>) -> Result<SingleResult, SingleError> {
        let settings = Settings::default();
        let policies = Policies::default();
        let job = SingleJob {
            image: &files.image,
            region: &files.mask,
            region_name: name,
            settings: &settings,
            policies: &policies,
        };
        measure_files(&job)
    }

    #[test]
    fn a_nifti_image_is_measured_under_all_labels_or_one() {
        let files = files();
        let mean = |name| {
            let result = measure(&files, name).unwrap();
            let values = &result.case.groups[0].values;
            values.iter().find(|value| value.tag == "stat_mean").unwrap().value
        };
        assert!((mean(None) - (44.0 + 45.0 + 119.0) / 3.0).abs() < 1e-9);
        assert!((mean(Some("1")) - 44.5).abs() < 1e-9);
        let csv = crate::report::features_csv(&measure(&files, Some("2")).unwrap().case).unwrap();
        assert!(csv.contains("image.nii.gz,1,image,native,intensity,stat_mean"), "{csv}");
    }

    #[test]
    fn a_label_that_is_not_there_and_a_mask_of_another_grid_are_refused() {
        let mut files = files();
        let error = measure(&files, Some("3")).unwrap_err();
        assert_eq!(error.to_string(), "0 regions match, expected one; there are: 1, 2");
        let geometry = Geometry::new([6, 5, 4], [1.0, 1.0, 2.0], [3.5, -4.0, 5.0], IDENTITY).unwrap();
        files.mask = files.folder.path().join("other.nii");
        nifti::write_mask(&files.mask, &Mask::filled(geometry, true)).unwrap();
        assert!(matches!(measure(&files, None), Err(SingleError::Elsewhere { .. })));
        files.mask = files.folder.path().to_owned();
        assert!(matches!(measure(&files, None), Err(SingleError::Kind { .. })));
    }
}

//! One image from a file or a folder: NIfTI, or the DICOM files of one series.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_object::InMemDicomObject;

use super::roles;
use super::single::SingleError;
use crate::dicom::facts::{self, InstanceKind};
use crate::finding::{Finding, Policies};
use crate::image::{Modality, Volume};
use crate::report::ImageSeries;
use crate::volume::{SeriesVolume, Units, nifti};

/// An image with what is known of it.
#[derive(Debug, Clone)]
pub struct ImageFile {
    /// Its values.
    pub volume: Volume<f32>,
    /// What they are, UCUM.
    pub unit: &'static str,
    /// The code of the modality, or `image` where it is not known.
    pub role: String,
    /// The series, where it is DICOM.
    pub series: Option<ImageSeries>,
    /// What was remarked on it.
    pub findings: Vec<Finding>,
    /// The header of its first slice; empty where it is not DICOM.
    pub(super) header: Arc<InMemDicomObject>,
}

impl ImageFile {
    /// What physics made it; something else where nobody says.
    #[must_use]
    pub fn modality(&self) -> Modality {
        Modality::from_code(&self.role)
    }
}

/// Reads an image. Intensities are in the unit of the image (HU, SUV, or as they are).
pub(super) fn read(path: &Path, policies: &Policies) -> Result<ImageFile, SingleError> {
    if is_nifti(path) {
        let volume = nifti::read_image(path)?;
        let header = Arc::new(InMemDicomObject::new_empty());
        return Ok(ImageFile {
            volume,
            unit: "1",
            role: "image".to_owned(),
            series: None,
            findings: Vec::new(),
            header,
        });
    }
    let files = files_of(path, |kind| matches!(kind, InstanceKind::Image { .. }))?;
    if files.is_empty() {
        let found = "no image".to_owned();
        return Err(SingleError::Kind { path: path.to_owned(), found, expected: "the images of one series" });
    }
    let series = SeriesVolume::read(&files, "image", policies)?;
    let unit = if series.units == Units::Arbitrary && series.modality != "MR" { "1" } else { series.units.ucum() };
    let told = roles::series(&series.modality, &series);
    let SeriesVolume { volume, findings, modality, header, .. } = series;
    Ok(ImageFile { volume, unit, role: modality, series: Some(told), findings, header })
}

pub(super) fn is_nifti(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.ends_with(".nii") || name.ends_with(".nii.gz")
}

pub(super) fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

pub(super) fn kind_of(path: &Path) -> Result<InstanceKind, SingleError> {
    let facts = facts::read(path, &[]).map_err(|source| SingleError::Header { path: path.to_owned(), source })?;
    Ok(facts.kind)
}

/// The files of a kind: the file itself, or those of the folder, in the order of their names. Files of a folder that are no
/// DICOM are passed over.
pub(super) fn files_of(path: &Path, wanted: impl Fn(&InstanceKind) -> bool) -> Result<Vec<PathBuf>, SingleError> {
    let io = |source| SingleError::Io { path: path.to_owned(), source };
    if !path.metadata().map_err(io)?.is_dir() {
        let fits = wanted(&kind_of(path)?);
        return Ok(if fits { vec![path.to_owned()] } else { Vec::new() });
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        if file.is_file() && kind_of(&file).is_ok_and(|kind| wanted(&kind)) {
            files.push(file);
        }
    }
    files.sort_unstable();
    Ok(files)
}

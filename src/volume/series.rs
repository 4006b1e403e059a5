//! One series as one volume with its quantity, or as the several volumes that it holds.

use std::path::PathBuf;
use std::sync::Arc;

use dicom_object::InMemDicomObject;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::assemble;
use super::error::VolumeError;
use super::frame::Source;
use super::pixels::PixelSource;
use super::scaling::MrScaling;
use super::suv::{Suv, SuvKind, SuvSettings};
use crate::dicom::part10::{Keep, Part10};
use crate::dicom::uid::Uid;
use crate::finding::{Finding, Policies};
use crate::image::Volume;

pub use super::units::Units;

/// An image series as a volume.
#[derive(Debug, Clone)]
pub struct SeriesVolume {
    /// The values on their grid. NaN: not measured (padding, or outside a regularised stack).
    pub volume: Volume<f32>,
    /// What the values are.
    pub units: Units,
    /// Modality (0008,0060).
    pub modality: String,
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID.
    pub series: Uid,
    /// Frame of Reference UID, where present.
    pub frame_of_reference: Option<Uid>,
    /// SOP class and instance of each slice, in the order of the grid's z axis; of a slice that was interpolated, the
    /// nearest one.
    pub slices: Vec<(Uid, Uid)>,
    /// The number of each slice's frame in its instance, from 1.
    pub frames: Vec<u32>,
    /// The header of the first slice without its pixels.
    pub header: Arc<InMemDicomObject>,
    /// What was remarked.
    pub findings: Vec<Finding>,
    /// How the values came about.
    pub origin: VolumeOrigin,
}

/// What a site chooses of how a series becomes a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VolumeSettings {
    /// What the header of a PET may leave to us.
    pub suv: SuvSettings,
    /// The kind of SUV that a PET becomes.
    pub suv_kind: SuvKind,
    /// The scale of an MR image's numbers.
    pub mr_scaling: MrScaling,
}

/// How the values of a volume came about: what provenance wants to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeOrigin {
    /// Slices that were there, before any regularisation.
    pub n_slices: usize,
    /// Transfer syntaxes, each once, sorted.
    pub transfer_syntaxes: Vec<Uid>,
    /// Least and greatest Rescale Slope; `None` where values are stored or tabulated.
    pub rescale_slope: Option<(f64, f64)>,
    /// Least and greatest Rescale Intercept.
    pub rescale_intercept: Option<(f64, f64)>,
    /// Bits Allocated and Bits Stored of the first slice.
    pub bits: Option<(u32, u32)>,
    /// How SUV came about, for a PET.
    pub suv: Option<Suv>,
    /// The scale that the numbers of an MR image were brought to.
    pub mr_scaling: Option<MrScaling>,
    /// What told this volume from the others of its series: attributes with their values.
    pub split_by: Vec<(String, String)>,
    /// Voxels that hold Pixel Padding Value and are missing in the volume, with the value that they would have had. More
    /// than one value: a range, or another rescale by slice.
    pub padding: Vec<SlicePadding>,
}

/// The padding of one slice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SlicePadding {
    /// The slice, before regularisation.
    pub slice: usize,
    /// How many voxels.
    pub n_voxels: usize,
    /// The quantity that the padding value itself would have been.
    pub value: f32,
}

impl SeriesVolume {
    /// Reads the files of one series, in whichever order, as one volume.
    ///
    /// Costs one pass over the headers and one over the pixels; the pixels are read and converted slice by slice on all
    /// threads of the current rayon pool, straight into the volume.
    ///
    /// A series that holds several volumes is refused by the finding that names the reason, unless the site's policy for
    /// that finding is another: then the volume with most slices is taken, and `series_split` says so.
    ///
    /// # Errors
    /// When a file cannot be read, the files are not one series, a slice lacks what gives its numbers a meaning or its plane
    /// a place, or a finding's policy is to reject: then the error carries the finding.
    pub fn read(files: &[PathBuf], role: &str, policies: &Policies) -> Result<Self, VolumeError> {
        Self::read_with(files, role, policies, &VolumeSettings::default())
    }

    /// The same with the site's settings.
    ///
    /// # Errors
    /// As [`SeriesVolume::read`].
    pub fn read_with(
        files: &[PathBuf],
        role: &str,
        policies: &Policies,
        settings: &VolumeSettings,
    ) -> Result<Self, VolumeError> {
        assemble::one(open(files)?, role, policies, settings)
    }

    /// Reads every volume that a series holds, the one with most slices first. What cannot be one is left out, and its error
    /// returned beside.
    ///
    /// # Errors
    /// When a file cannot be read, the files are not one series, or a slice lacks what gives its numbers a meaning or its
    /// plane a place.
    pub fn read_all(
        files: &[PathBuf],
        role: &str,
        policies: &Policies,
        settings: &VolumeSettings,
    ) -> Result<Vec<Result<Self, VolumeError>>, VolumeError> {
        assemble::all(open(files)?, role, policies, settings)
    }

    /// Reads a series from Part-10 files in memory.
    ///
    /// # Errors
    /// As [`SeriesVolume::read`].
    pub fn from_bytes(files: Vec<Vec<u8>>, role: &str, policies: &Policies) -> Result<Self, VolumeError> {
        let sources = files
            .into_iter()
            .map(|bytes| {
                let (object, pixels) = PixelSource::of(Part10::from_bytes(bytes, Keep::All)?);
                Source::new(object, pixels)
            })
            .collect::<Result<_, VolumeError>>()?;
        assemble::one(sources, role, policies, &VolumeSettings::default())
    }
}

/// Reads the headers.
fn open(files: &[PathBuf]) -> Result<Vec<Source>, VolumeError> {
    let opened: Vec<Result<Source, VolumeError>> = files
        .par_iter()
        .map(|path| {
            let (object, pixels) = PixelSource::of(Part10::open(path, Keep::All)?);
            Source::new(object, pixels)
        })
        .collect();
    opened.into_iter().collect()
}

//! Why a series has no volume.

use crate::dicom::attributes::AttributeError;
use crate::dicom::geometry::PlaneError;
use crate::dicom::part10::FormatError;
use crate::error::{Duty, Fault, Retry};
use crate::finding::Finding;
use crate::image::GeometryError;

/// Why a series has no volume.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// A finding whose policy is to reject, or that no policy can mend.
    #[error("{0}")]
    Refused(Finding),
    /// A file that is no DICOM file.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// An attribute that is absent or unreadable.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// A slice without a place in the patient.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// A grid that cannot be.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// Nothing to read.
    #[error("no image was given")]
    Empty,
    /// The files are not of one series.
    #[error("the files belong to {0} series, expected one")]
    SeveralSeries(usize),
    /// More voxels than a volume may have.
    #[error("the volume would have {0} voxels, at most {max} are supported", max = super::VOXELS_MAX)]
    TooLarge(u64),
    /// The machine has not the memory.
    #[error("there is no memory for {0} voxels")]
    Memory(usize),
}

impl VolumeError {
    /// The finding that it carries, if any.
    #[must_use]
    pub fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Refused(finding) => Some(finding),
            _ => None,
        }
    }
}

impl Duty for VolumeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Format(error) => error.fault(),
            Self::Memory(_) => Fault::Internal,
            _ => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Format(error) => error.retry(),
            Self::Memory(_) => Retry::Later,
            _ => Retry::Never,
        }
    }
}

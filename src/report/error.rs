//! Why documents could not be made.

use crate::dicom::write::WriteError;
use crate::error::{Duty, Fault, Retry};
use crate::image::GeometryError;

use super::verify::Violation;

/// Why documents could not be made of a result. None of these can be helped by trying again: the result itself is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// No images for the reference role.
    #[error("the result has no images of its reference role {0:?}")]
    NoReference(String),
    /// A group measured on a role that has no images.
    #[error("a group was measured on role {0:?}, which has no images in the result")]
    NoImages(String),
    /// A group of a lesion that the result does not list.
    #[error("a group was measured on lesion {0}, which the result does not list")]
    NoLesion(usize),
    /// A map that a registration object with matrices cannot hold.
    #[error("the registration of role {0:?} is no matrix")]
    NoMatrix(String),
    /// A region on another grid than its series.
    #[error("the region of lesion {lesion} on {role:?} is not on the grid of its series")]
    OtherGrid {
        /// Which lesion.
        lesion: usize,
        /// Which role.
        role: String,
    },
    /// A region without voxels.
    #[error("the region of lesion {lesion} on {role:?} covers no voxel")]
    EmptyRegion {
        /// Which lesion.
        lesion: usize,
        /// Which role.
        role: String,
    },
    /// More of something than its attribute can count.
    #[error("there are {found} {what}, at most {most} can be written")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// A grid that cannot be.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// An object could not be encoded.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A document that does not pass its own check.
    #[error("the document {document} breaks {} rules of the standard, the first: {}", violations.len(), first(violations))]
    Violations {
        /// [`super::Document::name`].
        document: String,
        /// What it breaks.
        violations: Vec<Violation>,
    },
    /// The PDF could not be written.
    #[error("the PDF cannot be written: {0}")]
    Pdf(String),
    /// The table could not be written.
    #[error("the feature table cannot be written: {0}")]
    Table(String),
}

fn first(violations: &[Violation]) -> String {
    violations.first().map(ToString::to_string).unwrap_or_default()
}

impl Duty for ReportError {
    fn fault(&self) -> Fault {
        Fault::Internal
    }
    fn retry(&self) -> Retry {
        Retry::Never
    }
}

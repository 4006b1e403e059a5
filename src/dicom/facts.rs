//! What the index and the grouping need to know of one instance: read once when it is received, without its pixels.

mod read;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use read::{FactsError, from_bytes, from_object, from_reader, read};

use super::uid::Uid;

/// The facts of one stored instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceFacts {
    /// SOP Class UID (0008,0016).
    pub sop_class: Uid,
    /// SOP Instance UID (0008,0018).
    pub sop_instance: Uid,
    /// Series Instance UID (0020,000E).
    pub series: Uid,
    /// Study Instance UID (0020,000D).
    pub study: Uid,
    /// Transfer syntax of the stored file (0002,0010).
    pub transfer_syntax: Uid,
    /// Whose it is.
    pub patient: PatientIdentity,
    /// Modality (0008,0060).
    pub modality: String,
    /// What it is to us.
    pub kind: InstanceKind,
    /// Frame of Reference UID (0020,0052); of an RTSTRUCT, its Referenced Frame of Reference (3006,0024).
    pub frame_of_reference: Option<Uid>,
    /// When the series was made: Series Date and Time, else Study Date and Time, as `YYYYMMDDHHMMSS.ffffff` text; may be empty.
    pub made_at: String,
    /// Study Date (0008,0020) as written; may be empty.
    pub study_date: String,
    /// Made by this product (its equipment attributes, or a UID of its register): it never joins a case.
    pub own_product: bool,
    /// The values that protocols match on, by keyword: a fixed list of usual ones and those named in the configuration.
    /// Several values are joined by a backslash. Absent attributes have no entry.
    pub attributes: BTreeMap<String, String>,
}

/// Identity of a patient as far as it decides what may be put together.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PatientIdentity {
    /// Patient ID (0010,0020), trimmed; may be empty.
    pub id: String,
    /// Issuer of Patient ID (0010,0021); may be empty.
    pub issuer: String,
    /// Patient's Birth Date (0010,0030); may be empty.
    pub birth_date: String,
    /// Patient's Sex (0010,0040); may be empty.
    pub sex: String,
}

/// What an instance is to the pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum InstanceKind {
    /// An image that can become part of a volume.
    Image {
        /// Image Position (Patient) (0020,0032).
        position_mm: Option<[f64; 3]>,
        /// Image Orientation (Patient) (0020,0037).
        orientation: Option<[f64; 6]>,
        /// Slice Thickness (0018,0050).
        thickness_mm: Option<f64>,
        /// Number of Frames (0028,0008), 1 where absent.
        n_frames: u32,
    },
    /// RTSTRUCT.
    StructureSet(AnnotationFacts),
    /// SEG.
    Segmentation(AnnotationFacts),
    /// REG or deformable REG.
    Registration(AnnotationFacts),
    /// Anything else: stored, never part of a case.
    Other,
}

/// What an object that refers to image series says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AnnotationFacts {
    /// The series that it names: RT Referenced Series Sequence (3006,0014), Referenced Series Sequence (0008,1115).
    pub references: Vec<Uid>,
    /// Structure Set Label (3006,0002) or Content Label (0070,0080).
    pub label: String,
    /// Structure Set Date and Time (3006,0008/0009), or Content Date and Time, as `YYYYMMDDHHMMSS.ffffff` text; may be empty.
    pub drawn_at: String,
    /// Approval Status (300E,0002): APPROVED, UNAPPROVED, REJECTED, or empty.
    pub approval: String,
    /// ROI names (3006,0026) or Segment Labels (0062,0005), in the object's order. Labels of regions, not of people.
    pub roi_names: Vec<String>,
}

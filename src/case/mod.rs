//! Grouping: from instances to cases that are ready to be analysed. Pure state machine over events and the clock.

mod rules;

use serde::{Deserialize, Serialize};

use crate::dicom::uid::Uid;
use crate::finding::Finding;

pub use rules::{AtDeadline, AttributeRules, CaseSettings, InputRules, Pattern, Prefer, ProtocolRules, RoiRules};

/// Names a case for good: the same series under the same protocol always give the same id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CaseId(pub String);

/// A case that is ready: what the pipeline gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseSpec {
    /// Which case.
    pub id: CaseId,
    /// 1 for the first result, one more for each change of its inputs.
    pub revision: u32,
    /// The protocol that took it.
    pub protocol: String,
    /// One series per role that came, in the order of the protocol's inputs.
    pub inputs: Vec<RoleInput>,
    /// The structure sets and segmentations to take ROIs from, newest per series and label only.
    pub annotations: Vec<Annotation>,
    /// REG objects of the case.
    pub registrations: Vec<Uid>,
    /// What grouping remarked: missing roles, missing references, approval.
    pub findings: Vec<Finding>,
}

/// The series chosen for one role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoleInput {
    /// The role's name in the protocol.
    pub role: String,
    /// The series.
    pub series: Uid,
    /// Its study.
    pub study: Uid,
    /// Its instances, sorted by UID.
    pub instances: Vec<Uid>,
}

/// One structure set or segmentation object of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// The object.
    pub instance: Uid,
    /// Its own series.
    pub series: Uid,
    /// Its study.
    pub study: Uid,
    /// RTSTRUCT or SEG.
    pub kind: AnnotationKind,
    /// The image series that it names.
    pub references: Vec<Uid>,
    /// APPROVED, UNAPPROVED, REJECTED or empty, as written.
    pub approval: String,
}

/// What an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationKind {
    /// RTSTRUCT: contours.
    StructureSet,
    /// SEG: segments on a grid.
    Segmentation,
}

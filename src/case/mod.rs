//! Grouping: from instances to cases that are ready to be analysed. Pure state machine over events and the clock.
//!
//! ```text
//! instance -> series -> study -> (linked studies of one patient) -> draft -> verdict -> change
//! ```
//!
//! A case is one protocol in one study, the study of its reference series. Other studies of the same patient lend it what that
//! study does not have. Series and studies hold nothing that depends on the order in which instances came; a draft says which
//! series play which roles and what is drawn on them, without a clock; a verdict holds the draft against the clock. What is
//! decided here is which objects go together. Whether they can be measured is decided by the stages that read their pixels.

mod annotations;
mod attributes;
mod choose;
mod draft;
mod grouper;
mod handed;
mod id;
mod identity;
mod instances;
mod judge;
mod marking;
mod patients;
mod rules;
mod series;
mod spacing;
mod study;
mod verdict;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::dicom::uid::Uid;
use crate::finding::Finding;

pub use grouper::Grouper;
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

impl CaseSpec {
    /// Every instance that it is made from: images, annotations, registrations.
    pub fn instances(&self) -> impl Iterator<Item = &Uid> {
        let images = self.inputs.iter().flat_map(|input| &input.instances);
        images.chain(self.annotations.iter().map(|annotation| &annotation.instance)).chain(&self.registrations)
    }
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
    /// The series of the case's inputs that it names and for which it is the newest of its label. None: it names none that
    /// came, and its regions belong where its Frame of Reference and their geometry fit.
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

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseChange {
    /// Which case.
    pub id: CaseId,
    /// The protocol that takes it; empty for a study that none takes.
    pub protocol: String,
    /// Every series that belongs to it, used or not: all of its study, and those of linked studies that it uses. Sorted.
    pub series: Vec<Uid>,
    /// When its first instance came.
    pub created_at: Timestamp,
    /// Where it stands.
    pub standing: Standing,
    /// What grouping remarked.
    pub findings: Vec<Finding>,
}

/// Where a case stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// It waits.
    Collecting {
        /// For what, in words that continue "waits for", without patient data.
        waits_for: String,
    },
    /// It can be processed.
    Ready(Box<CaseSpec>),
    /// It cannot be processed as it is.
    Parked {
        /// Why, in a sentence without patient data.
        reason: String,
    },
}

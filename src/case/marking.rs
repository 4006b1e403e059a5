//! One RTSTRUCT, SEG or REG as grouping keeps it.

use super::AnnotationKind;
use crate::clock::Timestamp;
use crate::dicom::facts::{AnnotationFacts, InstanceFacts, InstanceKind};
use crate::dicom::uid::Uid;

/// An object that refers to image series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Marking {
    /// The object.
    pub instance: Uid,
    /// What it is.
    pub kind: MarkingKind,
    /// What it says of itself.
    pub facts: AnnotationFacts,
    /// Its Frame of Reference.
    pub frame_of_reference: Option<Uid>,
    /// When it came.
    pub received_at: Timestamp,
}

/// What an object that refers to image series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkingKind {
    /// RTSTRUCT or SEG: it holds regions.
    Annotation(AnnotationKind),
    /// REG.
    Registration,
}

impl Marking {
    /// The marking that an instance is; `None` for images and for what names no series.
    pub(super) fn of(facts: &InstanceFacts, received_at: Timestamp) -> Option<Self> {
        let (kind, said) = match &facts.kind {
            InstanceKind::StructureSet(said) => (MarkingKind::Annotation(AnnotationKind::StructureSet), said),
            InstanceKind::Segmentation(said) => (MarkingKind::Annotation(AnnotationKind::Segmentation), said),
            InstanceKind::Registration(said) => (MarkingKind::Registration, said),
            InstanceKind::Image { .. } | InstanceKind::Other => return None,
        };
        Some(Self {
            instance: facts.sop_instance.clone(),
            kind,
            facts: said.clone(),
            frame_of_reference: facts.frame_of_reference.clone(),
            received_at,
        })
    }

    /// Whether a person refused it: Approval Status (300E,0002).
    pub(super) fn is_rejected(&self) -> bool {
        self.facts.approval == "REJECTED"
    }

    /// What decides which of two is the newer one: when it was drawn, then when it came. The UID only breaks ties for good.
    pub(super) fn age(&self) -> (&str, Timestamp, &Uid) {
        (&self.facts.drawn_at, self.received_at, &self.instance)
    }
}

//! Rejection notes (IHE Radiology TF-3 4.66, IOCM): key object selections that take instances back.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::attributes;
use super::codes::{Coded, read_code_item};
use super::uid::Uid;

/// Why instances are taken back: the document titles of CID 7011 that reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionReason {
    /// Of no use, as for motion.
    Quality,
    /// Dangerous, as of another patient.
    PatientSafety,
    /// Acquired under a wrong worklist entry; a corrected copy has other UIDs.
    WrongWorklistEntry,
    /// Kept long enough. It may come back.
    RetentionExpired,
}

impl RejectionReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Quality, Self::PatientSafety, Self::WrongWorklistEntry, Self::RetentionExpired];

    /// The document title (PS3.16 CID 7011).
    #[must_use]
    pub const fn title(self) -> Coded {
        match self {
            Self::Quality => Coded::of("DCM", "113001", "Rejected for Quality Reasons"),
            Self::PatientSafety => Coded::of("DCM", "113037", "Rejected for Patient Safety Reasons"),
            Self::WrongWorklistEntry => Coded::of("DCM", "113038", "Incorrect Modality Worklist Entry"),
            Self::RetentionExpired => Coded::of("DCM", "113039", "Data Retention Policy Expired"),
        }
    }

    /// What a person reads.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Quality => "rejected for quality reasons",
            Self::PatientSafety => "rejected for patient safety reasons",
            Self::WrongWorklistEntry => "rejected for an incorrect worklist entry",
            Self::RetentionExpired => "its retention has expired",
        }
    }

    /// Whether the same instance may be taken again when it comes again.
    #[must_use]
    pub const fn may_come_back(self) -> bool {
        matches!(self, Self::RetentionExpired)
    }
}

/// What a rejection note says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionNote {
    /// Why.
    pub reason: RejectionReason,
    /// The instances that it takes back.
    pub instances: Vec<Uid>,
}

/// Whether instances of this class may be rejection notes.
#[must_use]
pub fn may_reject(sop_class: &Uid) -> bool {
    sop_class.as_str() == uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE
}

/// Reads a key object selection; nothing where it has another title and only points things out.
///
/// All that its evidence lists is taken back: a note about part of its evidence is no rejection note (4.66.4.1.2.3).
#[must_use]
pub fn read(document: &InMemDicomObject) -> Option<RejectionNote> {
    if attributes::text(document, tags::SOP_CLASS_UID) != uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE {
        return None;
    }
    let title = attributes::first_item(document, tags::CONCEPT_NAME_CODE_SEQUENCE).and_then(read_code_item)?;
    let reason = RejectionReason::ALL.into_iter().find(|reason| reason.title().is(&title))?;
    let studies = attributes::items(document, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE).iter();
    let series = studies.flat_map(|study| attributes::items(study, tags::REFERENCED_SERIES_SEQUENCE));
    let items = series.flat_map(|series| attributes::items(series, tags::REFERENCED_SOP_SEQUENCE));
    let instances = items.filter_map(|item| attributes::uid(item, tags::REFERENCED_SOP_INSTANCE_UID).ok().flatten());
    Some(RejectionNote { reason, instances: instances.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::codes::code_item;
    use crate::dicom::sr::Evidence;
    use crate::dicom::write::{put_items, put_text};

    fn selection(title: &Coded) -> InMemDicomObject {
        let mut document = InMemDicomObject::new_empty();
        put_text(&mut document, tags::SOP_CLASS_UID, uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE);
        put_items(&mut document, tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code_item(title)]);
        let mut evidence = Evidence::default();
        let uid = |name: &str| Uid::derived(&[name]);
        for (series, instance) in [("1", "a"), ("1", "b"), ("2", "c")] {
            evidence.add(&uid("study"), &uid(series), &uid("class"), &uid(instance));
        }
        evidence.put(&mut document, &uid("study"));
        document
    }

    #[test]
    fn a_key_object_with_a_rejecting_title_takes_its_evidence_back_and_others_point_at_it() {
        for reason in RejectionReason::ALL {
            let note = read(&selection(&reason.title())).unwrap();
            assert_eq!(note.reason, reason);
            assert_eq!(note.instances, ["a", "b", "c"].map(|name| Uid::derived(&[name])));
        }
        assert_eq!(read(&selection(&Coded::of("DCM", "113000", "Of Interest"))), None);
        assert_eq!(read(&selection(&Coded::of("99X", "113001", "Rejected for Quality Reasons"))), None);
    }
}

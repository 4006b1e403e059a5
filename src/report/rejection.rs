//! Rejection notes (PS3.3 A.35.4, PS3.16 TID 2010; IHE Radiology TF-3 4.66): key object selections that take instances back.
//!
//! One note is about instances of one study, and says why. The daemon sends one for results whose sources were withdrawn,
//! and keeps one for what an administrator rejects.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use jiff::tz::Offset;

use super::header;
use super::selection::put_selection;
use super::{Document, DocumentKind, ReportError};
use crate::clock::Timestamp;
use crate::dicom::product;
use crate::dicom::rejection::RejectionReason;
use crate::dicom::sr::Evidence;
use crate::dicom::uid::Uid;
use crate::dicom::write::{part10, plain_text, put_date_time, put_empty, put_text, put_uid};

/// An instance that is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Series Instance UID.
    pub series: Uid,
    /// SOP Class UID.
    pub sop_class: Uid,
    /// SOP Instance UID.
    pub sop_instance: Uid,
}

/// Who rejects, and when.
#[derive(Debug, Clone, Copy)]
pub struct Rejecting<'a> {
    /// Why.
    pub reason: RejectionReason,
    /// This installation.
    pub installation: &'a str,
    /// When.
    pub at: Timestamp,
    /// What the site's wall clock adds to UTC.
    pub utc_offset_s: i32,
}

/// The note that takes instances of one study back. `like` is the header of any object of that study: patient and study
/// are taken over from it.
///
/// # Errors
/// When the header names no study, or a value cannot be encoded.
pub fn rejection_note(
    rejecting: &Rejecting<'_>,
    like: &InMemDicomObject,
    study: &Uid,
    rejected: &[Rejected],
) -> Result<Document, ReportError> {
    let mut object = InMemDicomObject::new_empty();
    let (series, sop_instance) = identity(rejecting, study, rejected);
    put_own(&mut object, rejecting, &series, &sop_instance);
    // What cannot be taken over is written empty; the note says nothing of the patient by itself.
    header::put_patient_and_study_of(&mut object, like, study, "rejection note");
    put_empty(&mut object, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE);
    let mut evidence = Evidence::default();
    for instance in rejected {
        evidence.add(study, &instance.series, &instance.sop_class, &instance.sop_instance);
    }
    evidence.put(&mut object, study);
    let references = rejected.iter().map(|instance| (&instance.sop_class, &instance.sop_instance));
    put_selection(&mut object, &rejecting.reason.title(), None, references);
    let bytes = part10(&object, uids::EXPLICIT_VR_LITTLE_ENDIAN)?;
    let name = "rejection".to_owned();
    let (sop_class, transfer_syntax) = (
        super::standard_uid(uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE)?,
        super::standard_uid(uids::EXPLICIT_VR_LITTLE_ENDIAN)?,
    );
    let kind = DocumentKind::Rejection;
    Ok(Document { kind, name, study: study.clone(), series, sop_class, sop_instance, transfer_syntax, bytes })
}

/// The same instances, rejected for the same reason, give the same note.
fn identity(rejecting: &Rejecting<'_>, study: &Uid, rejected: &[Rejected]) -> (Uid, Uid) {
    let mut instances: Vec<&str> = rejected.iter().map(|instance| instance.sop_instance.as_str()).collect();
    instances.sort_unstable();
    let all = instances.join("\\");
    let title = rejecting.reason.title();
    let instance = Uid::derived(&["rejection", rejecting.installation, study.as_str(), title.value.as_ref(), &all]);
    let series = Uid::derived(&["rejections", rejecting.installation, study.as_str(), product::VERSION]);
    (series, instance)
}

fn put_own(object: &mut InMemDicomObject, rejecting: &Rejecting<'_>, series: &Uid, sop_instance: &Uid) {
    let offset = Offset::from_seconds(rejecting.utc_offset_s).unwrap_or(Offset::UTC);
    put_text(object, tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    put_text(object, tags::SOP_CLASS_UID, uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE);
    put_uid(object, tags::SOP_INSTANCE_UID, sop_instance);
    put_date_time(object, tags::INSTANCE_CREATION_DATE, tags::INSTANCE_CREATION_TIME, rejecting.at, offset);
    put_date_time(object, tags::CONTENT_DATE, tags::CONTENT_TIME, rejecting.at, offset);
    put_text(object, tags::MODALITY, "KO");
    put_uid(object, tags::SERIES_INSTANCE_UID, series);
    put_text(object, tags::SERIES_NUMBER, "9400");
    put_text(object, tags::SERIES_DESCRIPTION, "Rejection notes (research use)");
    put_text(object, tags::INSTANCE_NUMBER, "1");
    put_text(object, tags::MANUFACTURER, product::MANUFACTURER);
    put_text(object, tags::MANUFACTURER_MODEL_NAME, product::MODEL);
    put_text(object, tags::DEVICE_SERIAL_NUMBER, plain_text(rejecting.installation, 64));
    put_text(object, tags::SOFTWARE_VERSIONS, product::VERSION);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::part10::{Keep, header_of};
    use crate::dicom::rejection;

    fn like() -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        put_text(&mut object, tags::PATIENT_NAME, "Phantom^Rejected");
        put_text(&mut object, tags::PATIENT_ID, "P1");
        put_text(&mut object, tags::STUDY_DATE, "20240102");
        object
    }

    #[test]
    fn a_note_is_read_back_as_what_it_takes_back_and_why() {
        let uid = |name: &str| Uid::derived(&[name]);
        let rejected: Vec<Rejected> = ["a", "b"]
            .map(|name| Rejected { series: uid("series"), sop_class: uid("class"), sop_instance: uid(name) })
            .into();
        for reason in RejectionReason::ALL {
            let rejecting = Rejecting { reason, installation: "test", at: Timestamp::UNIX_EPOCH, utc_offset_s: 3_600 };
            let note = rejection_note(&rejecting, &like(), &uid("study"), &rejected).unwrap();
            assert_eq!(rejection_note(&rejecting, &like(), &uid("study"), &rejected).unwrap(), note);
            let (object, _) = header_of(&note.bytes, Keep::All).unwrap();
            let read = rejection::read(&object).unwrap();
            assert_eq!((read.reason, read.instances), (reason, vec![uid("a"), uid("b")]));
            assert_eq!(crate::dicom::attributes::text(&object, tags::PATIENT_ID), "P1");
            assert!(product::made_by_us(&object));
        }
    }
}

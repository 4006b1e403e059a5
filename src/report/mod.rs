//! From results to documents: SR, SEG, `report.json`, `features.csv`. The one bridge back from images to DICOM.
//!
//! Documents are functions of a [`CaseResult`] and nothing else: the same result gives the same bytes. Each document is
//! checked by [`verify`] before it is handed out; one that breaks a rule of the standard is an error, never sent.

mod capture;
mod change;
mod colour;
mod comparison;
mod csv;
mod encapsulated;
mod error;
mod evaluate;
mod header;
mod identity;
mod json;
mod key_objects;
mod measure;
mod model;
mod pdf;
mod pdf_text;
mod picture;
mod png;
mod reg;
mod regions;
mod rejection;
mod result;
mod seg;
mod selection;
mod sr;
mod summary;
pub mod verify;

pub use change::{Change, ChangeGroup, Earlier, KnownBy, Since, changes};
pub use comparison::{Comparison, compare};
pub use csv::features_csv;
pub use error::ReportError;
pub use json::report_json;
pub use key_objects::KeySelection;
pub use rejection::{Rejected, Rejecting, rejection_note};
pub use result::*;

use dicom_dictionary_std::uids;
use dicom_object::InMemDicomObject;
use sha2::{Digest, Sha256};

use crate::dicom::sr::SrClass;
use crate::dicom::uid::Uid;
use crate::dicom::write::{WriteError, part10};

/// Which documents are made of a result. Segmentations are always made: the report refers to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The kinds that some destination takes.
    pub kinds: Vec<DocumentKind>,
    /// The storage classes of reports that some destination takes: the same content is encoded once for each.
    pub sr_classes: Vec<SrClass>,
    /// Key object selections, each of the documents that some destination takes.
    pub key_objects: Vec<KeySelection>,
}

impl Wanted {
    /// The same with documents of more kinds. Key objects point to all others, and to the reports of the first class.
    #[must_use]
    pub fn with(mut self, kinds: &[DocumentKind]) -> Self {
        for kind in kinds {
            if !self.kinds.contains(kind) {
                self.kinds.push(*kind);
            }
        }
        if kinds.contains(&DocumentKind::KeyObjects) {
            self.key_objects = vec![KeySelection::new(&self.kinds, self.sr_classes.first().copied())];
        }
        self
    }

    /// Whether some of the documents show the images.
    #[must_use]
    pub fn shows_images(&self) -> bool {
        self.kinds.iter().any(|kind| matches!(kind, DocumentKind::Picture | DocumentKind::Pdf))
    }
}

impl Default for Wanted {
    fn default() -> Self {
        let kinds = vec![DocumentKind::Sr, DocumentKind::Seg];
        Self { kinds, sr_classes: vec![SrClass::Comprehensive3d], key_objects: Vec::new() }
    }
}

/// The usual documents of a result: a SEG for each role with measured regions, then the measurements report.
///
/// # Errors
/// As [`documents_wanted`].
pub fn documents(case: &CaseResult) -> Result<Vec<Document>, ReportError> {
    documents_wanted(case, &Wanted::default())
}

/// The documents of a result in the order in which they are sent: what a document refers to comes before it.
///
/// # Errors
/// When the result contradicts itself (a group without images or lesion, a region on another grid), a value cannot be
/// encoded, or a document does not pass [`verify`].
pub fn documents_wanted(case: &CaseResult, wanted: &Wanted) -> Result<Vec<Document>, ReportError> {
    let reference = case.images.iter().find(|image| image.role == case.reference_role);
    let reference = reference.ok_or_else(|| ReportError::NoReference(case.reference_role.clone()))?;
    let roles = regions::role_regions(case)?;
    let segmentations = roles.iter().enumerate().map(|(index, role)| seg::segmentation(case, role, index + 1));
    let segmentations = segmentations.collect::<Result<Vec<_>, _>>()?;
    let mut documents = Vec::with_capacity(segmentations.len() + wanted.sr_classes.len());
    for (role, segmentation) in roles.iter().zip(&segmentations) {
        let place = (role.image.study.clone(), segmentation.series.clone(), segmentation.sop_instance.clone());
        documents.push(document(DocumentKind::Seg, &segmentation.name, place, &segmentation.object)?);
    }
    if wanted.kinds.contains(&DocumentKind::Reg) {
        for registration in reg::registrations(case, reference)? {
            let place = (reference.study.clone(), registration.series, registration.sop_instance);
            documents.push(document(DocumentKind::Reg, &registration.name, place, &registration.object)?);
        }
    }
    if wanted.kinds.contains(&DocumentKind::Picture) {
        for capture in capture::captures(case, reference)? {
            let place = (reference.study.clone(), capture.series, capture.sop_instance);
            documents.push(document(DocumentKind::Picture, &capture.name, place, &capture.object)?);
        }
    }
    if wanted.kinds.contains(&DocumentKind::Sr) {
        for report in sr::reports(case, reference, &roles, &segmentations, &wanted.sr_classes)? {
            let place = (reference.study.clone(), report.series, report.sop_instance);
            documents.push(document(DocumentKind::Sr, report.name, place, &report.object)?);
        }
    }
    if wanted.kinds.contains(&DocumentKind::Pdf) {
        let sources: Vec<_> = segmentations_of(&documents).collect();
        let summary = encapsulated::encapsulated(case, reference, &sources)?;
        let place = (reference.study.clone(), summary.series, summary.sop_instance);
        documents.push(document(DocumentKind::Pdf, encapsulated::NAME, place, &summary.object)?);
    }
    let selections = wanted.key_objects.iter().flat_map(|wanted| key_objects::key_objects(case, wanted, &documents));
    for selection in selections.collect::<Vec<_>>() {
        let place = (selection.study, selection.series, selection.sop_instance);
        documents.push(document(DocumentKind::KeyObjects, &selection.name, place, &selection.object)?);
    }
    Ok(documents)
}

/// Pictures and summary of a result as files for people without a viewer of DICOM objects, as far as they are wanted: PNG and
/// PDF, by their names.
///
/// # Errors
/// When a picture is too large for its format.
pub fn plain_files(case: &CaseResult, wanted: &Wanted) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    if wanted.kinds.contains(&DocumentKind::Picture) {
        for picture in picture::pictures(case) {
            files.push((format!("{}.png", picture.name), picture.pixels.encode()?));
        }
    }
    if wanted.kinds.contains(&DocumentKind::Pdf) {
        files.push(("summary.pdf".to_owned(), encapsulated::pdf(case)?));
    }
    Ok(files)
}

/// The segmentations among documents: what every other document is derived from, whatever a destination takes.
fn segmentations_of(documents: &[Document]) -> impl Iterator<Item = DocumentReference> {
    documents.iter().filter(|document| document.kind == DocumentKind::Seg).map(Document::reference)
}

/// The registration objects of a result, of common frames of reference too: one for each role but the reference.
///
/// # Errors
/// As [`documents_wanted`].
pub fn registration_documents(case: &CaseResult) -> Result<Vec<Document>, ReportError> {
    let reference = case.images.iter().find(|image| image.role == case.reference_role);
    let reference = reference.ok_or_else(|| ReportError::NoReference(case.reference_role.clone()))?;
    let objects = case.registrations.iter().map(|result| {
        let made = reg::object(case, reference, result)?;
        let place = (reference.study.clone(), made.series, made.sop_instance);
        document(DocumentKind::Reg, &made.name, place, &made.object)
    });
    objects.collect()
}

/// Encodes and checks one document.
fn document(
    kind: DocumentKind,
    name: &str,
    (study, series, sop_instance): (Uid, Uid, Uid),
    object: &InMemDicomObject,
) -> Result<Document, ReportError> {
    let class = object.get(dicom_dictionary_std::tags::SOP_CLASS_UID).and_then(|element| element.to_str().ok());
    let sop_class = class.and_then(|uid| Uid::parse(&uid).ok()).ok_or(WriteError::Missing("SOP Class UID"))?;
    let bytes = part10(object, uids::EXPLICIT_VR_LITTLE_ENDIAN)?;
    let violations = verify::verify(&bytes);
    if !violations.is_empty() {
        return Err(ReportError::Violations { document: name.to_owned(), violations });
    }
    let transfer_syntax = standard_uid(uids::EXPLICIT_VR_LITTLE_ENDIAN)?;
    Ok(Document { kind, name: name.to_owned(), study, series, sop_class, sop_instance, transfer_syntax, bytes })
}

/// A UID of the standard as our type.
fn standard_uid(uid: &'static str) -> Result<Uid, WriteError> {
    Uid::parse(uid).map_err(|error| WriteError::Library(error.to_string()))
}

/// The name of a document about one role, fit for a file name; two roles never share one.
fn document_name(kind: &str, role: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if role.chars().all(plain) {
        return format!("{kind}-{role}");
    }
    let clean: String = role.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let digest = Sha256::digest(role.as_bytes());
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}-{clean}-{hash}")
}

/// What the site's wall clock adds to UTC; UTC itself where that cannot be.
fn utc_offset(case: &CaseResult) -> jiff::tz::Offset {
    jiff::tz::Offset::from_seconds(case.utc_offset_s).unwrap_or(jiff::tz::Offset::UTC)
}

//! "Results are ready": key object selections that point to the documents of a revision, one for each study that has any.
//!
//! A selection points to what its destination gets and to nothing else, so that no reference is left open there. A report is
//! sent in one of several classes: a selection is made for one of them.

use std::collections::BTreeMap;

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::header::{self, Own};
use super::selection::put_selection;
use super::{CaseResult, Document, DocumentKind, evaluate, identity};
use crate::dicom::codes::concepts as c;
use crate::dicom::sr::{Evidence, SrClass};
use crate::dicom::uid::Uid;
use crate::dicom::write::put_empty;

/// What one selection points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySelection {
    kinds: Vec<DocumentKind>,
    sr_class: Option<SrClass>,
}

impl KeySelection {
    /// The documents of these kinds; of the reports those of one class.
    #[must_use]
    pub fn new(kinds: &[DocumentKind], sr_class: Option<SrClass>) -> Self {
        let mut kinds: Vec<_> = kinds.iter().copied().filter(|kind| *kind != DocumentKind::KeyObjects).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let sr_class = sr_class.filter(|_| kinds.contains(&DocumentKind::Sr));
        Self { kinds, sr_class }
    }

    /// Its name among the documents of a case, in the first study; in the others a number follows.
    #[must_use]
    pub fn name(&self) -> String {
        let class = self.sr_class.map(|class| match class {
            SrClass::Comprehensive3d => "comprehensive-3d",
            SrClass::Comprehensive => "comprehensive",
            SrClass::Enhanced => "enhanced",
        });
        let parts = self.kinds.iter().map(|kind| kind.name()).chain(class);
        std::iter::once("key-objects").chain(parts).collect::<Vec<_>>().join("-")
    }

    /// Whether a document of that name is one of its selections, of whichever study.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        let number = name.strip_prefix(&self.name());
        number.is_some_and(|rest| rest.is_empty() || rest.starts_with(STUDY))
    }

    fn takes(&self, document: &Document) -> bool {
        let is_class = |class: SrClass| document.sop_class.as_str() == class.sop_class();
        self.kinds.contains(&document.kind) && (document.kind != DocumentKind::Sr || self.sr_class.is_none_or(is_class))
    }
}

/// Before the number of a study.
const STUDY: &str = "-study-";

/// One selection, not yet encoded.
pub(super) struct KeyObjects {
    pub(super) name: String,
    pub(super) object: InMemDicomObject,
    pub(super) study: Uid,
    pub(super) series: Uid,
    pub(super) sop_instance: Uid,
}

/// The selections among these documents: the reference's study first.
pub(super) fn key_objects(case: &CaseResult, selection: &KeySelection, documents: &[Document]) -> Vec<KeyObjects> {
    let mut studies: Vec<&Uid> =
        case.images.iter().filter(|image| image.role == case.reference_role).map(|image| &image.study).collect();
    for image in &case.images {
        if !studies.contains(&&image.study) {
            studies.push(&image.study);
        }
    }
    let of_study = studies.into_iter().enumerate().filter_map(|(index, study)| {
        let taken: Vec<&Document> =
            documents.iter().filter(|document| document.study == *study && selection.takes(document)).collect();
        let name = if index == 0 { selection.name() } else { format!("{}{STUDY}{}", selection.name(), index + 1) };
        if taken.is_empty() { None } else { one_study(case, name, study, &taken) }
    });
    of_study.collect()
}

fn one_study(case: &CaseResult, name: String, study: &Uid, taken: &[&Document]) -> Option<KeyObjects> {
    let image = case.images.iter().find(|image| image.study == *study)?;
    let sop_instance = identity::instance(case, &name);
    let series = identity::series(case, &name);
    let mut object = InMemDicomObject::new_empty();
    let own = Own {
        sop_class: uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
        sop_instance: &sop_instance,
        series: &series,
        modality: "KO",
        series_number: 9500,
        series_description: "Radiomics results ready (research use)".to_owned(),
    };
    header::put_own(&mut object, case, &own);
    header::put_patient_and_study(&mut object, image);
    put_empty(&mut object, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE);
    let mut evidence = Evidence::default();
    for document in taken {
        evidence.add(study, &document.series, &document.sop_class, &document.sop_instance);
    }
    evidence.put(&mut object, study);
    let words = description(case, taken);
    let references = taken.iter().map(|document| (&document.sop_class, &document.sop_instance));
    put_selection(&mut object, &c::FOR_RESEARCH, Some(&words), references);
    Some(KeyObjects { name, object, study: study.clone(), series, sop_instance })
}

/// "Radiomics results are ready, revision 2: 2 segmentations, 1 report."
fn description(case: &CaseResult, taken: &[&Document]) -> String {
    let mut counts: BTreeMap<DocumentKind, usize> = BTreeMap::new();
    for document in taken {
        *counts.entry(document.kind).or_default() += 1;
    }
    let words = counts.into_iter().map(|(kind, n)| {
        let what = match kind {
            DocumentKind::Sr => "report",
            DocumentKind::Seg => "segmentation",
            DocumentKind::Reg => "registration",
            DocumentKind::Picture => "picture",
            DocumentKind::Pdf => "summary",
            DocumentKind::KeyObjects | DocumentKind::Rejection => "selection",
        };
        format!("{n} {what}{}", if n == 1 { "" } else { "s" })
    });
    let words: Vec<String> = words.collect();
    format!("Radiomics results are ready, revision {}: {}. {}", case.revision, words.join(", "), evaluate::RESEARCH_USE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_named_by_what_it_points_to() {
        let kinds = [DocumentKind::KeyObjects, DocumentKind::Seg, DocumentKind::Sr, DocumentKind::Seg];
        let selection = KeySelection::new(&kinds, Some(SrClass::Enhanced));
        assert_eq!(selection.name(), "key-objects-sr-seg-enhanced");
        assert!(selection.is_named("key-objects-sr-seg-enhanced-study-2"));
        assert!(!selection.is_named("key-objects-sr-seg-enhanced-3d"));
        let without = KeySelection::new(&[DocumentKind::Pdf], Some(SrClass::Enhanced));
        assert_eq!(without.name(), "key-objects-pdf");
        assert!(!without.is_named("key-objects-pdf-enhanced"));
    }
}

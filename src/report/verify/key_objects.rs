//! What holds for a key object selection (PS3.3 C.17.6): it points to something, and to nothing that its evidence does not
//! list.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::Violation;
use super::content::evidence;
use crate::dicom::attributes::{items, texts};

/// Adds what the references of a selection break.
pub(super) fn check(document: &InMemDicomObject, violations: &mut Vec<Violation>) {
    let evidence = evidence(document);
    let mut n_references = 0;
    for (index, item) in items(document, tags::CONTENT_SEQUENCE).iter().enumerate() {
        for reference in items(item, tags::REFERENCED_SOP_SEQUENCE) {
            n_references += 1;
            let of = |tag| texts(reference, tag).into_iter().next().unwrap_or_default();
            let class = evidence.get(&of(tags::REFERENCED_SOP_INSTANCE_UID));
            if class != Some(&of(tags::REFERENCED_SOP_CLASS_UID)) {
                violations.push(Violation::Evidence(format!("1.{}", index + 1)));
            }
        }
    }
    if n_references == 0 {
        let reason = "the selection points to nothing";
        violations.push(Violation::Template { place: "1".to_owned(), template: "2010", reason });
    }
}

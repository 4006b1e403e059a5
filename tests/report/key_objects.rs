//! Key object selections: they point to what their destination gets, study by study.

use dicom_dictionary_std::tags;
use dicom_object::OpenFileOptions;
use radiomicsd::dicom::attributes::{items, texts};
use radiomicsd::dicom::sr::SrClass;
use radiomicsd::report::{Document, DocumentKind, KeySelection, Wanted, documents_wanted};

use super::cases::{Plan, case};
use super::pictures::with_volumes;

fn made(plan: &Plan, selections: Vec<KeySelection>) -> Vec<Document> {
    let kinds = vec![DocumentKind::Sr, DocumentKind::Seg, DocumentKind::Picture, DocumentKind::Pdf];
    let wanted = Wanted { kinds, sr_classes: SrClass::ALL.to_vec(), key_objects: selections };
    documents_wanted(&with_volumes(case(plan)), &wanted).unwrap()
}

/// The instances that a selection points to, with their value types; its title and its sentence.
fn read(document: &Document) -> (Vec<(String, String)>, String, String) {
    let object = OpenFileOptions::new().from_reader(&document.bytes[..]).unwrap();
    let first =
        |object: &dicom_object::InMemDicomObject, tag| texts(object, tag).into_iter().next().unwrap_or_default();
    let (mut references, mut sentence) = (Vec::new(), String::new());
    for item in items(&object, tags::CONTENT_SEQUENCE) {
        sentence.push_str(&first(item, tags::TEXT_VALUE));
        for reference in items(item, tags::REFERENCED_SOP_SEQUENCE) {
            references.push((first(item, tags::VALUE_TYPE), first(reference, tags::REFERENCED_SOP_INSTANCE_UID)));
        }
    }
    let title = first(&items(&object, tags::CONCEPT_NAME_CODE_SEQUENCE)[0], tags::CODE_MEANING);
    (references, title, sentence)
}

#[test]
fn a_selection_points_to_the_kinds_and_the_class_that_its_destination_takes() {
    let kinds = [DocumentKind::Sr, DocumentKind::Seg, DocumentKind::Picture, DocumentKind::KeyObjects];
    let selection = KeySelection::new(&kinds, Some(SrClass::Comprehensive));
    let documents = made(&Plan::default(), vec![selection.clone()]);
    let last = documents.last().unwrap();
    assert_eq!((last.kind, last.name.as_str()), (DocumentKind::KeyObjects, "key-objects-sr-seg-picture-comprehensive"));
    assert!(selection.is_named(&last.name));
    let (references, title, sentence) = read(last);
    assert_eq!(title, "For Research");
    assert!(sentence.starts_with("Radiomics results are ready, revision 1: 2 reports, 3 segmentations, 4 pictures."));
    let expected = documents.iter().filter_map(|document| match document.kind {
        DocumentKind::Seg | DocumentKind::Picture => Some(("IMAGE", document)),
        DocumentKind::Sr if document.sop_class.as_str() == SrClass::Comprehensive.sop_class() => {
            Some(("COMPOSITE", document))
        }
        _ => None,
    });
    let expected: Vec<_> =
        expected.map(|(kind, document)| (kind.to_owned(), document.sop_instance.as_str().to_owned())).collect();
    assert_eq!(references, expected);
}

#[test]
fn each_study_has_a_selection_of_its_own_documents() {
    let selection = KeySelection::new(&[DocumentKind::Seg, DocumentKind::Pdf], None);
    let documents = made(&Plan { other_study: true, ..Plan::default() }, vec![selection.clone()]);
    let selections: Vec<_> = documents.iter().filter(|document| document.kind == DocumentKind::KeyObjects).collect();
    let names: Vec<_> = selections.iter().map(|document| document.name.as_str()).collect();
    assert_eq!(names, ["key-objects-seg-pdf", "key-objects-seg-pdf-study-2"]);
    assert!(names.iter().all(|name| selection.is_named(name)));
    for (selection, n) in selections.iter().zip([3, 1]) {
        let (references, ..) = read(selection);
        assert_eq!(references.len(), n);
        for (_, instance) in references {
            let document = documents.iter().find(|document| document.sop_instance.as_str() == instance).unwrap();
            assert_eq!(document.study, selection.study);
        }
    }
}

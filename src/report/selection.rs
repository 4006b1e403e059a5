//! The content of key object selections (PS3.3 A.35.4, C.17.6; PS3.16 TID 2010): a title, a sentence, and what it is about.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use crate::dicom::codes::{Coded, code_item, concepts as c};
use crate::dicom::uid::Uid;
use crate::dicom::write::{put_items, put_text, reference_item};

/// Puts the content tree.
pub(super) fn put_selection<'a>(
    object: &mut InMemDicomObject,
    title: &Coded,
    description: Option<&str>,
    instances: impl Iterator<Item = (&'a Uid, &'a Uid)>,
) {
    put_text(object, tags::VALUE_TYPE, "CONTAINER");
    put_items(object, tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code_item(title)]);
    put_text(object, tags::CONTINUITY_OF_CONTENT, "SEPARATE");
    let mut template = InMemDicomObject::new_empty();
    put_text(&mut template, tags::MAPPING_RESOURCE, "DCMR");
    put_text(&mut template, tags::TEMPLATE_IDENTIFIER, "2010");
    put_items(object, tags::CONTENT_TEMPLATE_SEQUENCE, vec![template]);
    let words = description.map(|words| {
        let mut item = contained("TEXT");
        put_items(&mut item, tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code_item(&c::KEY_OBJECT_DESCRIPTION)]);
        put_text(&mut item, tags::TEXT_VALUE, words);
        item
    });
    let references = instances.map(|(class, instance)| {
        let is_image = !NO_IMAGES.iter().any(|start| class.as_str().starts_with(start));
        let mut item = contained(if is_image { "IMAGE" } else { "COMPOSITE" });
        put_items(&mut item, tags::REFERENCED_SOP_SEQUENCE, vec![reference_item(class, instance)]);
        item
    });
    put_items(object, tags::CONTENT_SEQUENCE, words.into_iter().chain(references).collect());
}

fn contained(value_type: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    put_text(&mut item, tags::RELATIONSHIP_TYPE, "CONTAINS");
    put_text(&mut item, tags::VALUE_TYPE, value_type);
    item
}

/// Classes, or what they begin with, of instances without pixels: documents, structure sets, registrations.
const NO_IMAGES: [&str; 5] = [
    "1.2.840.10008.5.1.4.1.1.88.",
    "1.2.840.10008.5.1.4.1.1.104.",
    uids::RT_STRUCTURE_SET_STORAGE,
    uids::SPATIAL_REGISTRATION_STORAGE,
    uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE,
];

//! From items to data sets (PS3.3 C.17.3, C.18).

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::{Content, ImageReference, Item};
use crate::dicom::codes::code_item;
use crate::dicom::write::{
    WriteError, decimal_string, put_f64s, put_items, put_text, put_u16s, put_uid, reference_item,
};

/// Puts the root of a content tree and all below it into a document.
///
/// # Errors
/// When a number is not finite.
pub fn put_content(document: &mut InMemDicomObject, root: &Item) -> Result<(), WriteError> {
    put_text(document, tags::VALUE_TYPE, root.content.value_type());
    put_items(document, tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code_item(&root.concept)]);
    put_value(document, &root.content)?;
    put_children(document, root)
}

fn put_children(object: &mut InMemDicomObject, item: &Item) -> Result<(), WriteError> {
    if item.children.is_empty() {
        return Ok(());
    }
    let children = item.children.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
    put_items(object, tags::CONTENT_SEQUENCE, children);
    Ok(())
}

fn encode(item: &Item) -> Result<InMemDicomObject, WriteError> {
    let mut object = InMemDicomObject::new_empty();
    put_text(&mut object, tags::RELATIONSHIP_TYPE, item.relationship.term());
    put_content(&mut object, item)?;
    Ok(object)
}

fn put_value(object: &mut InMemDicomObject, content: &Content) -> Result<(), WriteError> {
    match content {
        Content::Container { template } => {
            put_text(object, tags::CONTINUITY_OF_CONTENT, "CONTINUOUS");
            if let Some(template) = template {
                let mut identification = InMemDicomObject::new_empty();
                put_text(&mut identification, tags::MAPPING_RESOURCE, "DCMR");
                put_text(&mut identification, tags::TEMPLATE_IDENTIFIER, template.as_ref());
                put_items(object, tags::CONTENT_TEMPLATE_SEQUENCE, vec![identification]);
            }
        }
        Content::Code(code) => put_items(object, tags::CONCEPT_CODE_SEQUENCE, vec![code_item(code)]),
        Content::Text(text) => put_text(object, tags::TEXT_VALUE, text),
        Content::Num(number) => {
            let mut measured = InMemDicomObject::new_empty();
            put_items(&mut measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE, vec![code_item(&number.unit)]);
            put_text(&mut measured, tags::NUMERIC_VALUE, decimal_string(number.value)?);
            put_f64s(&mut measured, tags::FLOATING_POINT_VALUE, [number.value]);
            put_items(object, tags::MEASURED_VALUE_SEQUENCE, vec![measured]);
        }
        Content::UidRef(uid) => put_uid(object, tags::UID, uid),
        Content::Date(date) => put_text(object, tags::DATE, date),
        Content::Time(time) => put_text(object, tags::TIME, time),
        Content::Image(reference) | Content::Composite(reference) => put_reference(object, reference),
    }
    Ok(())
}

fn put_reference(object: &mut InMemDicomObject, reference: &ImageReference) {
    let mut item = reference_item(&reference.sop_class, &reference.sop_instance);
    if !reference.segments.is_empty() {
        put_u16s(&mut item, tags::REFERENCED_SEGMENT_NUMBER, reference.segments.iter().copied());
    }
    put_items(object, tags::REFERENCED_SOP_SEQUENCE, vec![item]);
}

//! From data sets back to items: what our own documents hold. Used to check a document before it is sent.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::{Content, ImageReference, Item, Number, Relationship};
use crate::dicom::codes::{Coded, read_code_item};
use crate::dicom::uid::Uid;

/// How deep a tree may be. TID 1500 trees have six levels.
const MAX_DEPTH: usize = 32;

/// Why a content tree cannot be read. `path` counts items from 1, as `1.11.2`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Something that the value type needs is not there.
    #[error("content item {path} has no usable {expected}")]
    Missing {
        /// Which item.
        path: String,
        /// What it needs.
        expected: &'static str,
    },
    /// A value type or relationship that these documents do not use.
    #[error("content item {path} has the {what} {found:?}, expected one of TID 1500")]
    Unknown {
        /// Which item.
        path: String,
        /// Value type or relationship.
        what: &'static str,
        /// What was found.
        found: String,
    },
    /// Too deep.
    #[error("the content tree is deeper than {MAX_DEPTH} levels")]
    Depth,
}

/// Reads the content tree of a document.
///
/// # Errors
/// When an item lacks what its value type needs, or has a value type or relationship that TID 1500 does not use.
pub fn read_content(document: &InMemDicomObject) -> Result<Item, ReadError> {
    read_item(document, Relationship::Contains, "1", 0)
}

fn read_item(
    object: &InMemDicomObject,
    relationship: Relationship,
    path: &str,
    depth: usize,
) -> Result<Item, ReadError> {
    if depth > MAX_DEPTH {
        return Err(ReadError::Depth);
    }
    let concept = code(object, tags::CONCEPT_NAME_CODE_SEQUENCE).ok_or_else(|| missing(path, "concept name"))?;
    let content = read_value(object, path)?;
    let mut children = Vec::new();
    for (index, child) in items(object, tags::CONTENT_SEQUENCE).iter().enumerate() {
        let path = format!("{path}.{}", index + 1);
        let term = text(child, tags::RELATIONSHIP_TYPE).ok_or_else(|| missing(&path, "relationship type"))?;
        let relationship = Relationship::from_term(&term).ok_or_else(|| unknown(&path, "relationship", term))?;
        children.push(read_item(child, relationship, &path, depth + 1)?);
    }
    Ok(Item { relationship, concept, content, children })
}

fn read_value(object: &InMemDicomObject, path: &str) -> Result<Content, ReadError> {
    let value_type = text(object, tags::VALUE_TYPE).ok_or_else(|| missing(path, "value type"))?;
    Ok(match value_type.as_str() {
        "CONTAINER" => {
            let template = items(object, tags::CONTENT_TEMPLATE_SEQUENCE).first();
            let template = template.and_then(|item| text(item, tags::TEMPLATE_IDENTIFIER));
            Content::Container { template: template.map(Into::into) }
        }
        "CODE" => {
            Content::Code(code(object, tags::CONCEPT_CODE_SEQUENCE).ok_or_else(|| missing(path, "concept code"))?)
        }
        "TEXT" => Content::Text(text(object, tags::TEXT_VALUE).ok_or_else(|| missing(path, "text value"))?),
        "NUM" => Content::Num(read_number(object).ok_or_else(|| missing(path, "measured value with a unit"))?),
        "UIDREF" => Content::UidRef(uid(object, tags::UID).ok_or_else(|| missing(path, "UID"))?),
        "DATE" => Content::Date(text(object, tags::DATE).ok_or_else(|| missing(path, "date"))?),
        "TIME" => Content::Time(text(object, tags::TIME).ok_or_else(|| missing(path, "time"))?),
        "IMAGE" => Content::Image(read_reference(object).ok_or_else(|| missing(path, "image reference"))?),
        "COMPOSITE" => Content::Composite(read_reference(object).ok_or_else(|| missing(path, "reference"))?),
        _ => return Err(unknown(path, "value type", value_type)),
    })
}

fn read_number(object: &InMemDicomObject) -> Option<Number> {
    let measured = items(object, tags::MEASURED_VALUE_SEQUENCE).first()?;
    let unit = code(measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE)?;
    let exact = measured.get(tags::FLOATING_POINT_VALUE).and_then(|element| element.to_float64().ok());
    let value = exact.or_else(|| text(measured, tags::NUMERIC_VALUE)?.parse().ok())?;
    Some(Number { value, unit })
}

fn read_reference(object: &InMemDicomObject) -> Option<ImageReference> {
    let item = items(object, tags::REFERENCED_SOP_SEQUENCE).first()?;
    let segments = item.get(tags::REFERENCED_SEGMENT_NUMBER).and_then(|element| element.to_multi_int::<u16>().ok());
    Some(ImageReference {
        sop_class: uid(item, tags::REFERENCED_SOP_CLASS_UID)?,
        sop_instance: uid(item, tags::REFERENCED_SOP_INSTANCE_UID)?,
        segments: segments.unwrap_or_default(),
    })
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|element| element.items()).unwrap_or(&[])
}

fn text(object: &InMemDicomObject, tag: Tag) -> Option<String> {
    let text = object.get(tag)?.to_str().ok()?;
    let text = text.trim_end_matches(['\0', ' ']);
    if text.is_empty() { None } else { Some(text.to_owned()) }
}

fn code(object: &InMemDicomObject, tag: Tag) -> Option<Coded> {
    read_code_item(items(object, tag).first()?)
}

fn uid(object: &InMemDicomObject, tag: Tag) -> Option<Uid> {
    Uid::parse(&text(object, tag)?).ok()
}

fn missing(path: &str, expected: &'static str) -> ReadError {
    ReadError::Missing { path: path.to_owned(), expected }
}

fn unknown(path: &str, what: &'static str, found: String) -> ReadError {
    ReadError::Unknown { path: path.to_owned(), what, found }
}

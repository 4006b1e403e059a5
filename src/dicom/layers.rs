//! The attributes of one frame, wherever its object keeps them (PS3.3 C.7.6.16).
//!
//! A multi-frame object keeps what differs from frame to frame in the items of Per-Frame Functional Groups Sequence, what
//! all frames have in common in Shared Functional Groups Sequence, and the rest in the data set itself. A legacy converted
//! object keeps what has no functional group of its own in the unassigned groups, at the same places. A single-frame object
//! is one layer.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::attributes;

/// The layers of one frame, the most specific first.
#[derive(Debug, Clone)]
pub struct Layers<'a> {
    /// The first item of each functional group: the frame's own, then the shared ones.
    groups: Vec<&'a InMemDicomObject>,
    root: &'a InMemDicomObject,
}

impl<'a> Layers<'a> {
    /// A single-frame object.
    #[must_use]
    pub fn of(object: &'a InMemDicomObject) -> Self {
        Self { groups: Vec::new(), root: object }
    }

    /// One frame (from 0) of a multi-frame object; `None` where its functional groups do not describe that frame.
    #[must_use]
    pub fn of_frame(object: &'a InMemDicomObject, frame: usize) -> Option<Self> {
        let own = attributes::items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).get(frame);
        let shared = attributes::first_item(object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        own.or(shared)?;
        let groups = own.into_iter().chain(shared).flat_map(first_items).collect();
        Some(Self { groups, root: object })
    }

    /// The part of the object that holds a value of this attribute for this frame; the object itself where none does.
    #[must_use]
    pub fn holder(&self, tag: Tag) -> &'a InMemDicomObject {
        self.groups.iter().find(|group| attributes::has_value(group, tag)).copied().unwrap_or(self.root)
    }

    /// The object itself.
    #[must_use]
    pub fn root(&self) -> &'a InMemDicomObject {
        self.root
    }
}

/// The first item of every sequence of a data set.
fn first_items(object: &InMemDicomObject) -> impl Iterator<Item = &InMemDicomObject> {
    object.iter().filter_map(|element| element.items()?.first())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, VR, value::DataSetSequence};

    fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
        DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
    }

    fn group(tag: Tag, attribute: Tag, value: &str) -> InMemDicomObject {
        let mut item = InMemDicomObject::new_empty();
        item.put_str(attribute, VR::DS, value);
        InMemDicomObject::from_element_iter([sequence(tag, vec![item])])
    }

    #[test]
    fn a_frame_has_its_own_values_before_the_shared_ones_before_those_of_the_object() {
        let mut object = InMemDicomObject::new_empty();
        object.put_str(tags::RESCALE_SLOPE, VR::DS, "1");
        object.put_str(tags::PATIENT_WEIGHT, VR::DS, "70");
        let transformation = tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE;
        let mut shared = group(transformation, tags::RESCALE_SLOPE, "2");
        shared.extend(group(tags::PIXEL_MEASURES_SEQUENCE, tags::SLICE_THICKNESS, "5"));
        object.put(sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]));
        let own = vec![group(transformation, tags::RESCALE_SLOPE, "3"), InMemDicomObject::new_empty()];
        object.put(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, own));
        let value = |frame, tag| {
            let layers = Layers::of_frame(&object, frame).unwrap();
            attributes::number(layers.holder(tag), tag).unwrap()
        };
        assert_eq!([0, 1].map(|frame| value(frame, tags::RESCALE_SLOPE)), [Some(3.0), Some(2.0)]);
        assert_eq!(value(1, tags::SLICE_THICKNESS), Some(5.0));
        assert_eq!(value(0, tags::PATIENT_WEIGHT), Some(70.0));
        assert_eq!(value(0, tags::PATIENT_SIZE), None);
        assert!(Layers::of_frame(&InMemDicomObject::new_empty(), 0).is_none());
    }
}

//! Private attributes (PS3.5 7.8), found by their creator.

use dicom_core::Tag;
use dicom_object::InMemDicomObject;

use super::attributes;

/// The attribute `element` (the low byte) of the block that `creator` reserves in `group`.
///
/// De-identification often removes the creator and leaves the attributes: where no creator reserves anything in the group,
/// the first block, which writers use almost always, is taken if `assume_first_block` says that the equipment is the
/// creator's.
#[must_use]
pub fn find(
    object: &InMemDicomObject,
    group: u16,
    creator: &str,
    element: u8,
    assume_first_block: bool,
) -> Option<Tag> {
    let creators: Vec<(u16, String)> = (0x10..=0xFF_u16)
        .map(|block| (block, Tag(group, block)))
        .filter(|(_, tag)| object.get(*tag).is_some())
        .map(|(block, tag)| (block, attributes::text(object, tag)))
        .collect();
    let block = match creators.iter().find(|(_, name)| name == creator) {
        Some((block, _)) => *block,
        None if creators.is_empty() && assume_first_block => 0x10,
        None => return None,
    };
    let tag = Tag(group, (block << 8) | u16::from(element));
    object.get(tag).is_some().then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::VR;

    #[test]
    fn a_private_attribute_belongs_to_the_creator_of_its_block() {
        let mut object = InMemDicomObject::new_empty();
        object.put_str(Tag(0x7053, 0x1000), VR::DS, "0.5");
        assert_eq!(find(&object, 0x7053, "Philips PET Private Group", 0x00, false), None);
        assert_eq!(find(&object, 0x7053, "Philips PET Private Group", 0x00, true), Some(Tag(0x7053, 0x1000)));
        object.put_str(Tag(0x7053, 0x0010), VR::LO, "Someone else");
        assert_eq!(find(&object, 0x7053, "Philips PET Private Group", 0x00, true), None);
        object.put_str(Tag(0x7053, 0x0011), VR::LO, "Philips PET Private Group ");
        object.put_str(Tag(0x7053, 0x1100), VR::DS, "0.25");
        assert_eq!(find(&object, 0x7053, "Philips PET Private Group", 0x00, true), Some(Tag(0x7053, 0x1100)));
    }
}

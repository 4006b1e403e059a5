//! How this product signs what it makes, and how it recognises its own objects when a PACS routes them back.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::attributes;

/// Manufacturer (0008,0070) of every object that this product makes.
pub const MANUFACTURER: &str = "radiomicsd project";

/// Manufacturer's Model Name (0008,1090) of every object that this product makes.
pub const MODEL: &str = "radiomicsd";

/// Software Versions (0018,1020) of every object that this product makes.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether the equipment of this object is this product (PS3.3 C.7.5.1).
///
/// Both attributes must agree: a vendor that resells the program under its own name is not this product.
#[must_use]
pub fn made_by_us(object: &InMemDicomObject) -> bool {
    attributes::text(object, tags::MANUFACTURER) == MANUFACTURER
        && attributes::text(object, tags::MANUFACTURER_MODEL_NAME) == MODEL
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::VR;

    #[test]
    fn only_both_equipment_attributes_together_make_an_object_ours() {
        let mut object = InMemDicomObject::new_empty();
        object.put_str(tags::MANUFACTURER, VR::LO, "radiomicsd project ");
        assert!(!made_by_us(&object));
        object.put_str(tags::MANUFACTURER_MODEL_NAME, VR::LO, "radiomicsd");
        assert!(made_by_us(&object));
        object.put_str(tags::MANUFACTURER, VR::LO, "Another vendor");
        assert!(!made_by_us(&object));
    }
}

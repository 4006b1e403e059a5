//! TID 1204 Language, TID 1001 Observation Context with TID 1002 and TID 1004: who observed, in which language it is told.

use super::{Item, Relationship};
use crate::dicom::codes::concepts as c;
use crate::dicom::uid::Uid;

/// A device as the observer (TID 1004).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceObserver {
    /// Row 1: names this device for good.
    pub uid: Uid,
    /// Row 2.
    pub name: String,
    /// Row 3.
    pub manufacturer: String,
    /// Row 4.
    pub model: String,
    /// Row 5.
    pub serial_number: String,
}

/// TID 1204 row 1: everything is in English.
#[must_use]
pub fn language() -> Item {
    Item::code(Relationship::HasConceptMod, c::LANGUAGE, c::ENGLISH_UNITED_STATES)
}

/// TID 1001 row 1: observer context of a device. Procedure and subject are those of the document's header.
#[must_use]
pub fn observation_context(device: &DeviceObserver) -> Vec<Item> {
    let context = Relationship::HasObsContext;
    vec![
        Item::code(context, c::OBSERVER_TYPE, c::DEVICE), // TID 1002 row 1
        Item::uid(context, c::DEVICE_OBSERVER_UID, device.uid.clone()), // TID 1004 row 1
        Item::text(context, c::DEVICE_OBSERVER_NAME, &device.name), // TID 1004 row 2
        Item::text(context, c::DEVICE_OBSERVER_MANUFACTURER, &device.manufacturer), // TID 1004 row 3
        Item::text(context, c::DEVICE_OBSERVER_MODEL, &device.model), // TID 1004 row 4
        Item::text(context, c::DEVICE_OBSERVER_SERIAL_NUMBER, &device.serial_number), // TID 1004 row 5
    ]
}

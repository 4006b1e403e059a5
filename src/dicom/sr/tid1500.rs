//! TID 1500 Measurement Report: the root. The order of its rows is significant.

use super::tid1001::{self, DeviceObserver};
use super::tid1600::{self, LibraryGroup};
use super::{Item, Relationship};
use crate::dicom::codes::concepts as c;

/// The parts of a measurement report.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasurementReport {
    /// Row 3.
    pub observer: DeviceObserver,
    /// Row 5.
    pub library: Vec<LibraryGroup>,
    /// Rows 8 and 9: TID 1411 or TID 1501 groups, never both (a validator chooses one template for the whole document).
    pub groups: Vec<Item>,
    /// Rows 13 and 14: CODE and TEXT items about the whole.
    pub evaluations: Vec<Item>,
}

/// The content tree of a document.
#[must_use]
pub fn measurement_report(report: MeasurementReport) -> Item {
    let mut children = vec![tid1001::language()]; // row 2
    children.extend(tid1001::observation_context(&report.observer)); // row 3
    children.push(Item::code(Relationship::HasConceptMod, c::PROCEDURE_REPORTED, c::IMAGING_PROCEDURE)); // row 4
    children.push(tid1600::image_library(report.library)); // row 5
    children.push(Item::container(Relationship::Contains, c::IMAGING_MEASUREMENTS, None, report.groups)); // row 6
    if !report.evaluations.is_empty() {
        children.push(Item::container(Relationship::Contains, c::QUALITATIVE_EVALUATIONS, None, report.evaluations)); // row 12
    }
    Item::container(Relationship::Contains, c::IMAGING_MEASUREMENT_REPORT, Some("1500"), children) // row 1
}

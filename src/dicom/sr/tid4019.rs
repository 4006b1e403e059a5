//! TID 4019 Algorithm Identification.

use super::{Item, Relationship};
use crate::dicom::codes::concepts as c;

/// Which program made the measurements, and how it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlgorithmIdentification {
    /// Row 1.
    pub name: String,
    /// Row 2.
    pub version: String,
    /// Row 3, one item each. Some readers keep only the first.
    pub parameters: Vec<String>,
}

/// The rows of TID 4019 under a measurement group or a measurement.
#[must_use]
pub fn algorithm_identification(algorithm: &AlgorithmIdentification) -> Vec<Item> {
    let modifier = Relationship::HasConceptMod;
    let mut items = vec![
        Item::text(modifier, c::ALGORITHM_NAME, &algorithm.name), // row 1
        Item::text(modifier, c::ALGORITHM_VERSION, &algorithm.version), // row 2
    ];
    items.extend(algorithm.parameters.iter().map(|p| Item::text(modifier, c::ALGORITHM_PARAMETERS, p))); // row 3
    items
}

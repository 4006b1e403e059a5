//! TID 1419 ROI Measurements: method, site, and one NUM per value with what qualifies it.

use super::{Item, Relationship};
use crate::dicom::codes::{Coded, concepts as c};

/// Where a region lies (TID 1419 rows 2 and 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Finding Site.
    pub site: Coded,
    /// Laterality (CID 244); absent where it is not known or does not apply.
    pub laterality: Option<Coded>,
}

/// One measured value (TID 1419 row 5) with its modifiers.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Row 5: what was measured.
    pub name: Coded,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: Coded,
    /// Row 7: how, where it differs from the group's method.
    pub method: Option<Coded>,
    /// Row 8: mean, maximum … of the quantity.
    pub derivation: Option<Coded>,
    /// Row 6: pairs of concept and value.
    pub modifiers: Vec<(Coded, Coded)>,
    /// Row 18: the same in other words, where the codes alone do not tell two values apart.
    pub equivalent_meaning: Option<String>,
}

/// Row 1 and rows 2 to 4: what holds for all measurements of a group.
#[must_use]
pub fn common(method: Option<&Coded>, site: Option<&Site>) -> Vec<Item> {
    let modifier = Relationship::HasConceptMod;
    let method = method.map(|method| Item::code(modifier, c::MEASUREMENT_METHOD, method.clone())); // row 1
    let site = site.map(|site| {
        let laterality = site.laterality.iter().map(|side| Item::code(modifier, c::LATERALITY, side.clone())); // row 3
        Item::code(modifier, c::FINDING_SITE, site.site.clone()).with(laterality.collect()) // row 2
    });
    method.into_iter().chain(site).collect()
}

/// Rows 5 to 18 for one value.
#[must_use]
pub fn measurement(measured: Measurement) -> Item {
    let modifier = Relationship::HasConceptMod;
    let mut children = Vec::with_capacity(measured.modifiers.len() + 2);
    children.extend(measured.method.map(|method| Item::code(modifier, c::MEASUREMENT_METHOD, method))); // row 7
    children.extend(measured.derivation.map(|derivation| Item::code(modifier, c::DERIVATION, derivation))); // row 8
    children.extend(measured.modifiers.into_iter().map(|(concept, value)| Item::code(modifier, concept, value))); // row 6
    children.extend(measured.equivalent_meaning.map(|text| Item::text(modifier, c::EQUIVALENT_MEANING, text))); // row 18
    Item::number(Relationship::Contains, measured.name, measured.value, measured.unit).with(children) // row 5
}

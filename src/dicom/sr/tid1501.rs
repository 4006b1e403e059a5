//! TID 1501 Measurement Group with TID 300 measurements: values that belong to no single region, such as a model's output.

use super::tid1419::{self, Site};
use super::tid4019::{self, AlgorithmIdentification};
use super::{Content, ImageReference, Item, Relationship};
use crate::dicom::codes::{Coded, concepts as c};
use crate::dicom::uid::Uid;

/// One value of a group (TID 300).
#[derive(Debug, Clone, PartialEq)]
pub struct GroupMeasurement {
    /// Row 1: what it is.
    pub name: Coded,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: Coded,
    /// Row 2: pairs of concept and value.
    pub modifiers: Vec<(Coded, Coded)>,
    /// TID 4019, where it is not the group's.
    pub algorithm: Option<AlgorithmIdentification>,
}

/// A group of values.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasurementGroup {
    /// Row 2: a name for people.
    pub tracking_identifier: String,
    /// Row 3: names this group for good.
    pub tracking_uid: Uid,
    /// Row 3b.
    pub finding: Option<Coded>,
    /// Row 5.
    pub method: Coded,
    /// Rows 6 and 7.
    pub site: Option<Site>,
    /// TID 4019 for the whole group, where no measurement carries it.
    pub algorithm: Option<AlgorithmIdentification>,
    /// Row 10, TID 300.
    pub measurements: Vec<GroupMeasurement>,
    /// The group of risk that the values mean, an addition that the extensible template allows.
    pub risk_group: Option<Coded>,
    /// Why there is no measurement, an addition that the extensible template allows.
    pub refusal: Option<Coded>,
    /// Quality assessment, an addition that the extensible template allows.
    pub quality: Coded,
    /// Row 10b: what the values come from.
    pub sources: Vec<ImageReference>,
    /// What a reader must know.
    pub comments: Vec<String>,
}

/// The container of row 1 with all its rows.
#[must_use]
pub fn measurement_group(group: MeasurementGroup) -> Item {
    let (context, contains) = (Relationship::HasObsContext, Relationship::Contains);
    let mut children = vec![
        Item::text(context, c::TRACKING_IDENTIFIER, group.tracking_identifier), // row 2
        Item::uid(context, c::TRACKING_UID, group.tracking_uid),                // row 3
    ];
    children.extend(group.finding.map(|finding| Item::code(contains, c::FINDING, finding))); // row 3b
    children.extend(tid1419::common(Some(&group.method), group.site.as_ref())); // rows 5 to 8
    children.extend(group.algorithm.as_ref().map(tid4019::algorithm_identification).unwrap_or_default());
    children.extend(group.measurements.into_iter().map(measurement)); // row 10
    children.extend(group.risk_group.map(|risk| Item::code(contains, c::RISK_GROUP, risk)));
    children.extend(group.refusal.map(|reason| Item::code(contains, c::REFUSAL_REASON, reason)));
    children.push(Item::code(contains, c::QUALITY_ASSESSMENT, group.quality));
    let sources = group.sources.into_iter();
    children.extend(sources.map(|image| Item::new(contains, c::SOURCE_OF_MEASUREMENT, Content::Image(image)))); // row 10b
    children.extend(group.comments.into_iter().map(|comment| Item::text(contains, c::COMMENT, comment)));
    Item::container(contains, c::MEASUREMENT_GROUP, Some("1501"), children)
}

fn measurement(measured: GroupMeasurement) -> Item {
    let modifier = Relationship::HasConceptMod;
    let mut children = measured.algorithm.as_ref().map(tid4019::algorithm_identification).unwrap_or_default();
    children.extend(measured.modifiers.into_iter().map(|(concept, value)| Item::code(modifier, concept, value))); // row 2
    Item::number(Relationship::Contains, measured.name, measured.value, measured.unit).with(children) // row 1
}

//! TID 1411 Volumetric ROI Measurements: one region of one image series, and what was measured in it.

use super::tid1419::{self, Measurement, Site};
use super::tid4019::{self, AlgorithmIdentification};
use super::{Content, ImageReference, Item, Relationship};
use crate::dicom::codes::{Coded, concepts as c};
use crate::dicom::uid::Uid;

/// The measurements of one region.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumetricGroup {
    /// Row 2: a name for people.
    pub tracking_identifier: String,
    /// Row 3: names this region under this kind of measurement for good; no two groups share one.
    pub tracking_uid: Uid,
    /// Row 3b: what the region is, where it is known.
    pub finding: Option<Coded>,
    /// TID 1419 row 1: what sets the group apart from a plain measurement.
    pub method: Option<Coded>,
    /// TID 1419 rows 2 and 3.
    pub site: Option<Site>,
    /// TID 4019.
    pub algorithm: AlgorithmIdentification,
    /// TID 1419 row 5.
    pub measurements: Vec<Measurement>,
    /// Quality assessment, an addition that the extensible template allows.
    pub quality: Option<Coded>,
    /// Row 7: the segment that was measured.
    pub segment: ImageReference,
    /// Row 12: the series that the segment lies on.
    pub source_series: Uid,
}

/// The container of TID 1411 row 1 with all its rows.
#[must_use]
pub fn volumetric_group(group: VolumetricGroup) -> Item {
    let context = Relationship::HasObsContext;
    let mut children = vec![
        Item::text(context, c::TRACKING_IDENTIFIER, group.tracking_identifier), // row 2
        Item::uid(context, c::TRACKING_UID, group.tracking_uid),                // row 3
    ];
    children.extend(group.finding.map(|finding| Item::code(Relationship::Contains, c::FINDING, finding))); // row 3b
    children.extend(tid1419::common(group.method.as_ref(), group.site.as_ref())); // TID 1419 rows 1 to 4
    children.extend(tid4019::algorithm_identification(&group.algorithm));
    children.extend(group.measurements.into_iter().map(tid1419::measurement)); // TID 1419 row 5
    children.extend(group.quality.map(|code| Item::code(Relationship::Contains, c::QUALITY_ASSESSMENT, code)));
    children.push(Item::new(Relationship::Contains, c::REFERENCED_SEGMENT, Content::Image(group.segment))); // row 7
    children.push(Item::uid(Relationship::Contains, c::SOURCE_SERIES_FOR_SEGMENTATION, group.source_series)); // row 12
    Item::container(Relationship::Contains, c::MEASUREMENT_GROUP, Some("1411"), children)
}

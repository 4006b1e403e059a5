//! TID 1600 Image Library: which images were used, described once per series (TID 1601, 1602, 1604, 1607).

use super::{Content, ImageReference, Item, Relationship};
use crate::dicom::codes::{self, Coded, concepts as c};
use crate::dicom::uid::Uid;

/// One series of the library (TID 1600 row 2).
#[derive(Debug, Clone, PartialEq)]
pub struct LibraryGroup {
    /// TID 1602 row 1.
    pub modality: Coded,
    /// TID 1602 row 2, where the images say it.
    pub target_region: Option<Coded>,
    /// TID 1602 row 4, a legal DA value.
    pub study_date: Option<String>,
    /// TID 1602 row 5, a legal TM value.
    pub study_time: Option<String>,
    /// TID 1602 row 10.
    pub frame_of_reference: Option<Uid>,
    /// TID 1602 rows 11 and 12: rows and columns.
    pub size_pixels: [usize; 2],
    /// TID 1604 rows 1 to 3: horizontal, vertical, between slices.
    pub spacing_mm: [f64; 3],
    /// TID 1607 row 6, for PET.
    pub total_dose_bq: Option<f64>,
    /// TID 1601 row 1.
    pub images: Vec<ImageReference>,
}

/// TID 1600 row 1 with a group for each series.
#[must_use]
pub fn image_library(groups: Vec<LibraryGroup>) -> Item {
    let groups = groups.into_iter().map(library_group).collect();
    Item::container(Relationship::Contains, c::IMAGE_LIBRARY, None, groups)
}

fn library_group(group: LibraryGroup) -> Item {
    let context = Relationship::HasAcqContext;
    let number = |concept, value, unit| Item::number(context, concept, value, codes::unit(unit));
    let mut children = vec![Item::code(context, c::MODALITY, group.modality)];
    children.extend(group.target_region.map(|region| Item::code(context, c::TARGET_REGION, region)));
    children.extend(group.study_date.map(|date| Item::new(context, c::STUDY_DATE, Content::Date(date))));
    children.extend(group.study_time.map(|time| Item::new(context, c::STUDY_TIME, Content::Time(time))));
    children.extend(group.frame_of_reference.map(|uid| Item::uid(context, c::FRAME_OF_REFERENCE_UID, uid)));
    #[allow(clippy::cast_precision_loss, reason = "a number of pixels is far below 2^53")]
    let [rows, columns] = group.size_pixels.map(|n| n as f64);
    children.push(number(c::PIXEL_DATA_ROWS, rows, "{pixels}"));
    children.push(number(c::PIXEL_DATA_COLUMNS, columns, "{pixels}"));
    let [horizontal, vertical, between] = group.spacing_mm;
    children.push(number(c::HORIZONTAL_PIXEL_SPACING, horizontal, "mm"));
    children.push(number(c::VERTICAL_PIXEL_SPACING, vertical, "mm"));
    children.push(number(c::SPACING_BETWEEN_SLICES, between, "mm"));
    children.extend(group.total_dose_bq.map(|dose| number(c::RADIONUCLIDE_TOTAL_DOSE, dose, "Bq")));
    let images = group.images.into_iter();
    children.extend(images.map(|image| Item::new(Relationship::Contains, c::SOURCE, Content::Image(image))));
    Item::container(Relationship::Contains, c::IMAGE_LIBRARY_GROUP, None, children)
}

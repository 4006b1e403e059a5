//! RT Structure Sets (PS3.3 A.19): the regions that a person drew as contours.

use std::collections::BTreeSet;
use std::path::Path;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::attributes::{self, AttributeError};
use crate::dicom::codes::is_laterality;
use crate::dicom::dataset::Keep;
use crate::dicom::part10::{FormatError, Part10};
use crate::dicom::uid::Uid;
use crate::math::linalg::Vec3;
use crate::report::Code;

/// Points that one structure set may hold: far above any that was drawn, far below what memory holds.
const POINTS_MAX: usize = 50_000_000;

/// Why a structure set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RtStructError {
    /// The file is no DICOM file.
    #[error("the structure set cannot be read: {0}")]
    Format(#[from] FormatError),
    /// An attribute is not what it must be.
    #[error("the structure set is not usable: {0}")]
    Attribute(#[from] AttributeError),
    /// Contour Data that is no list of points.
    #[error("Contour Data (3006,0050) has {found} numbers, expected three per point")]
    ContourData {
        /// How many numbers.
        found: usize,
    },
    /// More points than anybody draws.
    #[error("the structure set has more than {POINTS_MAX} points")]
    TooManyPoints,
}

/// One structure set.
#[derive(Debug, Clone)]
pub struct StructureSet {
    /// SOP Class UID.
    pub sop_class: Uid,
    /// The image series that it names, RT Referenced Series Sequence (3006,0014).
    pub series: Vec<Uid>,
    /// The images that its contours name, Contour Image Sequence (3006,0016). In real data they may resolve to nothing.
    pub images: BTreeSet<Uid>,
    /// Its regions, in its order.
    pub rois: Vec<Roi>,
}

/// One region.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Roi {
    /// ROI Number (3006,0022).
    pub number: i64,
    /// ROI Name (3006,0026).
    pub name: String,
    /// Referenced Frame of Reference UID (3006,0024).
    pub frame_of_reference: Option<Uid>,
    /// Its contours.
    pub contours: Vec<Contour>,
    /// RT ROI Identification Code Sequence (3006,0086).
    pub finding: Option<Code>,
    /// Anatomic Region Sequence (0008,2218).
    pub site: Option<Code>,
    /// Anatomic Region Modifier Sequence (0008,2220), where it names a side.
    pub laterality: Option<Code>,
}

/// One contour.
#[derive(Debug, Clone, PartialEq)]
pub struct Contour {
    /// Contour Data (3006,0050): points in patient space.
    pub points_mm: Vec<Vec3>,
    /// Contour Geometric Type (3006,0042).
    pub geometric_type: GeometricType,
}

/// Contour Geometric Type (3006,0042), PS3.3 C.8.8.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeometricType {
    /// A closed line in a plane.
    ClosedPlanar,
    /// Closed lines in a plane that are combined by exclusive or.
    ClosedPlanarXor,
    /// An open line in a plane.
    OpenPlanar,
    /// A point, an open line in space, or something else without an inside.
    Other,
}

impl Contour {
    /// Whether it is closed and has a plane: only then something lies inside of it.
    #[must_use]
    pub fn has_inside(&self) -> bool {
        matches!(self.geometric_type, GeometricType::ClosedPlanar | GeometricType::ClosedPlanarXor)
            && self.points_mm.len() >= 3
    }
}

impl GeometricType {
    fn parse(text: &str) -> Self {
        match text {
            "CLOSED_PLANAR" => Self::ClosedPlanar,
            "CLOSEDPLANAR_XOR" | "CLOSED_PLANAR_XOR" => Self::ClosedPlanarXor,
            "OPEN_PLANAR" => Self::OpenPlanar,
            _ => Self::Other,
        }
    }
}

impl StructureSet {
    /// Reads a structure set.
    ///
    /// # Errors
    /// When the file is not DICOM, or a contour is no list of finite points.
    pub fn read(path: &Path) -> Result<Self, RtStructError> {
        Self::from_object(&Part10::open(path, Keep::All)?.object)
    }

    /// The structure set in a data set.
    ///
    /// # Errors
    /// When a contour is no list of finite points.
    pub fn from_object(object: &InMemDicomObject) -> Result<Self, RtStructError> {
        let mut set = Self {
            sop_class: attributes::required_uid(object, tags::SOP_CLASS_UID)?,
            series: Vec::new(),
            images: BTreeSet::new(),
            rois: Vec::new(),
        };
        for frame in attributes::items(object, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE) {
            for study in attributes::items(frame, tags::RT_REFERENCED_STUDY_SEQUENCE) {
                for series in attributes::items(study, tags::RT_REFERENCED_SERIES_SEQUENCE) {
                    set.series.extend(attributes::uid(series, tags::SERIES_INSTANCE_UID)?);
                }
            }
        }
        for item in attributes::items(object, tags::STRUCTURE_SET_ROI_SEQUENCE) {
            set.rois.push(Roi {
                number: number(item, tags::ROI_NUMBER)?,
                name: attributes::text(item, tags::ROI_NAME),
                frame_of_reference: attributes::uid(item, tags::REFERENCED_FRAME_OF_REFERENCE_UID)?,
                ..Roi::default()
            });
        }
        set.read_contours(object)?;
        set.read_codes(object)?;
        Ok(set)
    }

    fn read_contours(&mut self, object: &InMemDicomObject) -> Result<(), RtStructError> {
        let mut n_points = 0;
        for item in attributes::items(object, tags::ROI_CONTOUR_SEQUENCE) {
            let number = number(item, tags::REFERENCED_ROI_NUMBER)?;
            for contour in attributes::items(item, tags::CONTOUR_SEQUENCE) {
                for image in attributes::items(contour, tags::CONTOUR_IMAGE_SEQUENCE) {
                    self.images.extend(attributes::uid(image, tags::REFERENCED_SOP_INSTANCE_UID).ok().flatten());
                }
                let numbers = attributes::numbers(contour, tags::CONTOUR_DATA)?;
                let (points, rest) = numbers.as_chunks::<3>();
                if !rest.is_empty() {
                    return Err(RtStructError::ContourData { found: numbers.len() });
                }
                n_points += points.len();
                if n_points > POINTS_MAX {
                    return Err(RtStructError::TooManyPoints);
                }
                let geometric_type =
                    GeometricType::parse(&attributes::code_string(contour, tags::CONTOUR_GEOMETRIC_TYPE));
                // A contour of an ROI that is not declared has no name: nothing can ask for it.
                if let Some(roi) = self.rois.iter_mut().find(|roi| roi.number == number) {
                    roi.contours.push(Contour { points_mm: points.to_vec(), geometric_type });
                }
            }
        }
        Ok(())
    }

    fn read_codes(&mut self, object: &InMemDicomObject) -> Result<(), RtStructError> {
        for item in attributes::items(object, tags::RTROI_OBSERVATIONS_SEQUENCE) {
            let number = number(item, tags::REFERENCED_ROI_NUMBER)?;
            let Some(roi) = self.rois.iter_mut().find(|roi| roi.number == number) else { continue };
            roi.finding = code(item, tags::RTROI_IDENTIFICATION_CODE_SEQUENCE);
            let region = attributes::first_item(item, tags::ANATOMIC_REGION_SEQUENCE);
            roi.site = code(item, tags::ANATOMIC_REGION_SEQUENCE);
            roi.laterality = region
                .and_then(|region| code(region, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE))
                .filter(|code| is_laterality(&code.value));
        }
        Ok(())
    }
}

fn number(item: &InMemDicomObject, tag: dicom_core::Tag) -> Result<i64, AttributeError> {
    #[allow(clippy::cast_possible_truncation)] // an IS has at most 12 characters
    attributes::required_number(item, tag).map(|number| number as i64)
}

/// The first code of a sequence; `None` where a part of it is missing.
pub(super) fn code(object: &InMemDicomObject, tag: dicom_core::Tag) -> Option<Code> {
    let item = attributes::first_item(object, tag)?;
    let [value, scheme, meaning] =
        [tags::CODE_VALUE, tags::CODING_SCHEME_DESIGNATOR, tags::CODE_MEANING].map(|tag| attributes::text(item, tag));
    let complete = !value.is_empty() && !scheme.is_empty() && !meaning.is_empty();
    complete.then_some(Code { value, scheme, meaning })
}

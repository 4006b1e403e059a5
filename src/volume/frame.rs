//! One image plane: where it lies, how it is stored, what its numbers mean. From single-frame objects.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::error::VolumeError;
use super::pixels::{FrameShape, PixelSource};
use super::samples::{Padding, Rescale, Samples};
use super::suv::SliceTiming;
use crate::dicom::attributes::{self, AttributeError};
use crate::dicom::geometry::{self, Plane};
use crate::dicom::uid::Uid;
use crate::finding::{FindingKind, Policies};

/// A file of a series: its header, and the way to its pixels.
#[derive(Debug)]
pub(super) struct Source {
    pub object: InMemDicomObject,
    pub pixels: PixelSource,
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub study: Uid,
    pub series: Uid,
    pub frame_of_reference: Option<Uid>,
    pub modality: String,
}

/// One frame of a file.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Index of its file.
    pub source: usize,
    pub plane: Plane,
    pub shape: FrameShape,
    pub padding: Option<Padding>,
    /// `None`: the image says nothing.
    pub rescale: Option<Rescale>,
    pub timing: SliceTiming,
}

impl Source {
    /// The identity of an opened image.
    pub fn new(object: InMemDicomObject, pixels: PixelSource) -> Result<Self, VolumeError> {
        Ok(Self {
            sop_class: attributes::required_uid(&object, tags::SOP_CLASS_UID)?,
            sop_instance: attributes::required_uid(&object, tags::SOP_INSTANCE_UID)?,
            study: attributes::required_uid(&object, tags::STUDY_INSTANCE_UID)?,
            series: attributes::required_uid(&object, tags::SERIES_INSTANCE_UID)?,
            frame_of_reference: attributes::uid(&object, tags::FRAME_OF_REFERENCE_UID)?,
            modality: attributes::code_string(&object, tags::MODALITY),
            object,
            pixels,
        })
    }

    /// The frames of this file, which is the `source`-th of its series.
    pub fn frames(&self, source: usize, role: &str, policies: &Policies) -> Result<Vec<Frame>, VolumeError> {
        let object = &self.object;
        self.refuse_colour(role, policies)?;
        let n_frames = attributes::count(object, tags::NUMBER_OF_FRAMES)?.unwrap_or(1).max(1);
        if self.is_enhanced() || n_frames != 1 {
            let detail = "a multi-frame object without SharedFunctionalGroupsSequence (5200,9229)";
            return Err(VolumeError::Refused(policies.finding(FindingKind::FunctionalGroupsMissing, role, detail)));
        }
        let samples = Samples::of(object, self.pixels.tag().unwrap_or(tags::PIXEL_DATA))?;
        let rescale = Rescale::of(object, samples).map_err(|error| self.rescale_missing(&error, role, policies))?;
        Ok(vec![Frame {
            source,
            plane: Plane {
                position_mm: geometry::position_mm(object)?,
                orientation: geometry::orientation(object)?,
                spacing_mm: geometry::spacing_mm(object)?,
            },
            shape: FrameShape { size: size(object)?, samples, index: 0, n_frames },
            padding: Padding::of(object, samples)?,
            rescale: self.required_rescale(rescale, role, policies)?,
            timing: SliceTiming::of(object)?,
        }])
    }

    fn is_enhanced(&self) -> bool {
        matches!(
            self.sop_class.as_str(),
            uids::ENHANCED_CT_IMAGE_STORAGE
                | uids::ENHANCED_MR_IMAGE_STORAGE
                | uids::ENHANCED_PET_IMAGE_STORAGE
                | uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE
                | uids::LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE
                | uids::LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE
        )
    }

    /// Only MONOCHROME1 and MONOCHROME2 hold one quantity. (Which of the two is a matter of display and changes no number.)
    fn refuse_colour(&self, role: &str, policies: &Policies) -> Result<(), VolumeError> {
        let n_samples = attributes::count(&self.object, tags::SAMPLES_PER_PIXEL)?.unwrap_or(1);
        let photometric = attributes::code_string(&self.object, tags::PHOTOMETRIC_INTERPRETATION);
        if n_samples == 1 && matches!(photometric.as_str(), "MONOCHROME1" | "MONOCHROME2" | "") {
            return Ok(());
        }
        let detail = "SamplesPerPixel (0028,0002) or PhotometricInterpretation (0028,0004) is not of one quantity";
        Err(VolumeError::Refused(policies.finding(FindingKind::ColourImage, role, detail)))
    }

    /// CT numbers and activities exist only after rescaling. MR signal has no scale: it may come as it is.
    fn required_rescale(
        &self,
        rescale: Option<Rescale>,
        role: &str,
        policies: &Policies,
    ) -> Result<Option<Rescale>, VolumeError> {
        if rescale.is_none() && matches!(self.modality.as_str(), "CT" | "PT") {
            let error = AttributeError::Missing { tag: tags::RESCALE_SLOPE, expected: "a number" };
            return Err(self.rescale_missing(&error, role, policies));
        }
        Ok(rescale)
    }

    fn rescale_missing(&self, error: &AttributeError, role: &str, policies: &Policies) -> VolumeError {
        VolumeError::Refused(policies.finding(FindingKind::RescaleMissing, role, error.to_string()))
    }
}

/// Columns and rows.
fn size(object: &InMemDicomObject) -> Result<[usize; 2], AttributeError> {
    let extent = |tag| {
        let found = attributes::count(object, tag)?.ok_or(AttributeError::Missing { tag, expected: "a number" })?;
        if !(1..=65535).contains(&found) {
            return Err(AttributeError::Range { tag, found: f64::from(found), expected: "1 to 65535" });
        }
        usize::try_from(found).map_err(|_| AttributeError::Missing { tag, expected: "a number" })
    };
    Ok([extent(tags::COLUMNS)?, extent(tags::ROWS)?])
}

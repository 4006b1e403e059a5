//! One image plane: where it lies, how it is stored, what its numbers mean. From single-frame and multi-frame objects.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::error::VolumeError;
use super::pixels::{FrameShape, PixelSource};
use super::samples::{Padding, Rescale, Samples};
use super::scaling::{self, MrScaling};
use super::split::Keys;
use super::suv::SliceTiming;
use crate::dicom::attributes::{self, AttributeError};
use crate::dicom::geometry::{self, Plane};
use crate::dicom::layers::Layers;
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
    /// Slice Thickness (0018,0050).
    pub thickness_mm: Option<f64>,
    /// What tells it apart from other slices at the same place.
    pub keys: Keys,
}

/// How a series is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    pub role: &'a str,
    pub policies: &'a Policies,
    pub mr_scaling: MrScaling,
}

impl Reading<'_> {
    /// An error that carries a finding under the site's policy.
    pub fn refused(&self, kind: FindingKind, detail: impl Into<String>) -> VolumeError {
        VolumeError::Refused(self.policies.finding(kind, self.role, detail))
    }
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
    pub fn frames(&self, source: usize, reading: &Reading<'_>) -> Result<Vec<Frame>, VolumeError> {
        self.refuse_colour(reading)?;
        let n_frames = attributes::count(&self.object, tags::NUMBER_OF_FRAMES)?.unwrap_or(1).max(1);
        let groups = attributes::items(&self.object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        if groups.is_empty() && n_frames == 1 && !self.is_enhanced() {
            return Ok(vec![self.frame(source, &Layers::of(&self.object), 0, 1, reading)?]);
        }
        let shared = attributes::has_value(&self.object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        if groups.is_empty() && !(shared && n_frames == 1) {
            let detail = "a multi-frame object without PerFrameFunctionalGroupsSequence (5200,9230)";
            return Err(reading.refused(FindingKind::FunctionalGroupsMissing, detail));
        }
        if !groups.is_empty() && groups.len() as u64 != u64::from(n_frames) {
            let detail =
                format!("PerFrameFunctionalGroupsSequence (5200,9230) describes {} of {n_frames} frames", groups.len());
            return Err(reading.refused(FindingKind::FunctionalGroupsMissing, detail));
        }
        (0..n_frames)
            .map(|index| {
                let layers = Layers::of_frame(&self.object, index as usize);
                self.frame(source, &layers.unwrap_or(Layers::of(&self.object)), index, n_frames, reading)
            })
            .collect()
    }

    fn frame(
        &self,
        source: usize,
        layers: &Layers<'_>,
        index: u32,
        n_frames: u32,
        reading: &Reading<'_>,
    ) -> Result<Frame, VolumeError> {
        let object = &self.object;
        let samples = Samples::of(object, self.pixels.tag().unwrap_or(tags::PIXEL_DATA))?;
        let scaling = if self.modality == "MR" { reading.mr_scaling } else { MrScaling::Display };
        let rescale = scaling::rescale(layers, samples, scaling)
            .map_err(|error| reading.refused(FindingKind::RescaleMissing, error.to_string()))?;
        self.refuse_without_scale(rescale.as_ref(), scaling, reading)?;
        let thickness = tags::SLICE_THICKNESS;
        Ok(Frame {
            source,
            plane: Plane {
                position_mm: geometry::position_mm(layers.holder(tags::IMAGE_POSITION_PATIENT))?,
                orientation: geometry::orientation(layers.holder(tags::IMAGE_ORIENTATION_PATIENT))?,
                spacing_mm: geometry::spacing_mm(layers.holder(tags::PIXEL_SPACING))?,
            },
            shape: FrameShape { size: size(object)?, samples, index, n_frames },
            padding: Padding::of(object, samples)?,
            rescale,
            timing: SliceTiming::of_layers(layers)?,
            thickness_mm: attributes::number(layers.holder(thickness), thickness).ok().flatten(),
            keys: Keys::of(layers),
        })
    }

    /// The layers of one of its frames.
    pub fn layers(&self, frame: &Frame) -> Layers<'_> {
        let of_frame = (frame.shape.n_frames > 1 || self.is_enhanced())
            .then(|| Layers::of_frame(&self.object, frame.shape.index as usize));
        of_frame.flatten().unwrap_or(Layers::of(&self.object))
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
    fn refuse_colour(&self, reading: &Reading<'_>) -> Result<(), VolumeError> {
        let n_samples = attributes::count(&self.object, tags::SAMPLES_PER_PIXEL)?.unwrap_or(1);
        let photometric = attributes::code_string(&self.object, tags::PHOTOMETRIC_INTERPRETATION);
        if n_samples == 1 && matches!(photometric.as_str(), "MONOCHROME1" | "MONOCHROME2" | "") {
            return Ok(());
        }
        let detail = "SamplesPerPixel (0028,0002) or PhotometricInterpretation (0028,0004) is not of one quantity";
        Err(reading.refused(FindingKind::ColourImage, detail))
    }

    /// CT numbers and activities exist only after rescaling. MR signal has no scale: it may come as it is, but not where a
    /// scale was asked for that it does not have.
    fn refuse_without_scale(
        &self,
        rescale: Option<&Rescale>,
        scaling: MrScaling,
        reading: &Reading<'_>,
    ) -> Result<(), VolumeError> {
        if rescale.is_some() {
            return Ok(());
        }
        let detail = match scaling {
            MrScaling::Display if matches!(self.modality.as_str(), "CT" | "PT") => {
                AttributeError::Missing { tag: tags::RESCALE_SLOPE, expected: "a number" }.to_string()
            }
            MrScaling::Display => return Ok(()),
            MrScaling::Philips => "Philips' scale slope (2005,100E) is absent or 0".to_owned(),
            MrScaling::RealWorld => "RealWorldValueMappingSequence (0040,9096) has no slope and intercept".to_owned(),
        };
        Err(reading.refused(FindingKind::RescaleMissing, detail))
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

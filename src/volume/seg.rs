//! Segmentation objects (PS3.3 A.51): regions as frames of bits on a grid of their own.
//!
//! BINARY, FRACTIONAL and LABELMAP objects. A fraction counts from one half of its maximum on. A label map's background is
//! its Pixel Padding Value (0028,0120), 0 where it has none; a segment of that number covers nothing. Segments may overlap
//! (each is a mask of its own), and frames that are not there hold nothing of their segment. Frames lie on a regular grid
//! along their normal, which need not be that of any image; where they do not, the object is refused.

use std::collections::BTreeMap;
use std::path::Path;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::rtstruct::code;
use crate::dicom::attributes::{self, AttributeError};
use crate::dicom::codec::{self, Codec, CodecError, Fragments, FrameFormat};
use crate::dicom::codes::is_laterality;
use crate::dicom::dataset::Keep;
use crate::dicom::geometry::{Orientation, PlaneError};
use crate::dicom::part10::{FormatError, Part10, StoredPixels};
use crate::dicom::uid::Uid;
use crate::image::{Geometry, GeometryError, Mask};
use crate::math::linalg::{self, Vec3};
use crate::report::Code;

/// Voxels that one segment's grid may have: 1 GiB of mask.
const VOXELS_MAX: usize = 1 << 30;
/// Frames that one object may have.
const FRAMES_MAX: usize = 1 << 20;
/// How far a frame may lie from its place on the regular grid, in slices.
const OFF_GRID_MAX: f64 = 0.05;

/// Why a segmentation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SegError {
    /// The file is no DICOM file.
    #[error("the segmentation cannot be read: {0}")]
    Format(#[from] FormatError),
    /// An attribute is not what it must be.
    #[error("the segmentation is not usable: {0}")]
    Attribute(#[from] AttributeError),
    /// Frames without a place.
    #[error("the segmentation is not usable: {0}")]
    Plane(#[from] PlaneError),
    /// A grid that cannot be.
    #[error("the segmentation's grid is not usable: {0}")]
    Geometry(#[from] GeometryError),
    /// Another way of coding.
    #[error("Segmentation Type (0062,0001) is {0:?}, expected BINARY, FRACTIONAL or LABELMAP")]
    Type(String),
    /// A functional group that every frame needs.
    #[error("frame {frame} has no {group}, neither of its own nor shared")]
    FunctionalGroup {
        /// From 1.
        frame: usize,
        /// The sequence.
        group: &'static str,
    },
    /// Pixels that are not as many as the header says.
    #[error("Pixel Data (7FE0,0010) has {found} bytes, expected {expected}")]
    PixelData {
        /// Bytes of the value.
        found: u64,
        /// Bytes that the frames need.
        expected: u64,
    },
    /// Pixels that cannot be decoded.
    #[error("Pixel Data (7FE0,0010) cannot be decoded: {0}")]
    Stream(#[from] CodecError),
    /// Fragments that are none, or cannot be told apart.
    #[error("Pixel Data (7FE0,0010) is damaged: {0}")]
    Fragments(&'static str),
    /// More than can be meant.
    #[error("the segmentation has {what}, more than can be read here")]
    TooLarge {
        /// What there is too much of.
        what: String,
    },
    /// Frames at irregular places.
    #[error(
        "frame {frame} lies {slices:.2} slices off the regular grid of the others, at most {OFF_GRID_MAX} expected"
    )]
    OffGrid {
        /// From 1.
        frame: usize,
        /// How far.
        slices: f64,
    },
}

/// One segmentation object.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// SOP Class UID.
    pub sop_class: Uid,
    /// Frame of Reference UID (0020,0052).
    pub frame_of_reference: Option<Uid>,
    /// Its segments, by number.
    pub segments: Vec<Segment>,
}

/// One segment.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Segment Number (0062,0004).
    pub number: u32,
    /// Segment Label (0062,0005).
    pub label: String,
    /// Segment Algorithm Type (0062,0008) is AUTOMATIC.
    pub automatic: bool,
    /// Segmented Property Type Code Sequence (0062,000F).
    pub finding: Option<Code>,
    /// Anatomic Region Sequence (0008,2218).
    pub site: Option<Code>,
    /// Its modifier, or that of the property type, where it names a side.
    pub laterality: Option<Code>,
    /// Tracking UID (0062,0021).
    pub tracking: Option<Uid>,
    /// The region on the object's grid.
    pub mask: Mask,
}

impl Segmentation {
    /// Reads a segmentation.
    ///
    /// # Errors
    /// When the file is not DICOM, is coded in another way, or its frames have no place on a regular grid.
    pub fn read(path: &Path) -> Result<Self, SegError> {
        Self::from_part10(&Part10::open(path, Keep::All)?)
    }

    /// The segmentation in an opened file.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_part10(file: &Part10) -> Result<Self, SegError> {
        let object = &file.object;
        let coding = Coding::of(object)?;
        let frames = frames(object, coding)?;
        let size = [tags::COLUMNS, tags::ROWS].map(|tag| attributes::required_number(object, tag));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked against the file's length below
        let [columns, rows] = [size[0].clone()? as usize, size[1].clone()? as usize];
        let pixels = coding.pixels(file, [columns, rows], frames.len())?;
        let grid = Grid::of(&frames, [columns, rows])?;
        let items = attributes::items(object, tags::SEGMENT_SEQUENCE);
        let mut masks: BTreeMap<u32, Mask> = BTreeMap::new();
        for item in items {
            let number = attributes::count(item, tags::SEGMENT_NUMBER)?.unwrap_or_default();
            masks.insert(number, Mask::filled(grid.geometry, false));
        }
        for (index, frame) in frames.iter().enumerate() {
            let z = grid.slice_of(index, frame)?;
            let first = index * columns * rows;
            match frame.segment {
                Some(segment) => {
                    // A frame of a segment that is not declared has no name: nothing can ask for it.
                    let Some(mask) = masks.get_mut(&segment) else { continue };
                    let mut plane = mask.voxels.index_axis_mut(ndarray::Axis(0), z);
                    for (pixel, inside) in plane.iter_mut().enumerate() {
                        *inside |= pixels.is_inside(first + pixel);
                    }
                }
                None => label(&mut masks, &pixels, coding, first, z),
            }
        }
        let segments =
            items.iter().map(|item| segment(item, &mut masks, &grid.geometry)).collect::<Result<_, SegError>>()?;
        Ok(Self {
            sop_class: attributes::required_uid(object, tags::SOP_CLASS_UID)?,
            frame_of_reference: attributes::uid(object, tags::FRAME_OF_REFERENCE_UID)?,
            segments,
        })
    }
}

/// Sorts the pixels of one frame of a label map into the masks of its segments.
fn label(masks: &mut BTreeMap<u32, Mask>, pixels: &Pixels, coding: Coding, first: usize, z: usize) {
    let Coding::Labelmap { background } = coding else { return };
    for (number, mask) in masks.iter_mut().filter(|(number, _)| **number != background) {
        let mut plane = mask.voxels.index_axis_mut(ndarray::Axis(0), z);
        for (pixel, inside) in plane.iter_mut().enumerate() {
            *inside |= pixels.word(first + pixel) == Some(*number);
        }
    }
}

fn segment(item: &InMemDicomObject, masks: &mut BTreeMap<u32, Mask>, geometry: &Geometry) -> Result<Segment, SegError> {
    let number = attributes::count(item, tags::SEGMENT_NUMBER)?.unwrap_or_default();
    let of_region = attributes::first_item(item, tags::ANATOMIC_REGION_SEQUENCE)
        .and_then(|region| code(region, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE));
    let of_type = attributes::first_item(item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE)
        .and_then(|kind| code(kind, tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE));
    Ok(Segment {
        number,
        label: attributes::text(item, tags::SEGMENT_LABEL),
        automatic: attributes::code_string(item, tags::SEGMENT_ALGORITHM_TYPE) == "AUTOMATIC",
        finding: code(item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE),
        site: code(item, tags::ANATOMIC_REGION_SEQUENCE),
        laterality: of_region.or(of_type).filter(|code| is_laterality(&code.value)),
        tracking: attributes::uid(item, tags::TRACKING_UID)?,
        mask: masks.remove(&number).unwrap_or_else(|| Mask::filled(*geometry, false)),
    })
}

/// How the pixels of a segment are coded.
#[derive(Debug, Clone, Copy)]
enum Coding {
    Binary,
    Fractional { half: u32 },
    Labelmap { background: u32 },
}

/// Decoded pixels of all frames.
enum Pixels {
    /// One bit per pixel, the first in the lowest bit, `frame_bits` from the start of one frame to the next, which has
    /// `frame_pixels` of them: without padding between frames (PS3.5 8.1.1) unless each was compressed by itself.
    Bits { bytes: Vec<u8>, frame_pixels: usize, frame_bits: usize },
    /// Little endian words.
    Words { bytes: Vec<u8>, word_bytes: usize, half: u32 },
}

impl Coding {
    fn of(object: &InMemDicomObject) -> Result<Self, SegError> {
        match attributes::code_string(object, tags::SEGMENTATION_TYPE).as_str() {
            "BINARY" => Ok(Self::Binary),
            "FRACTIONAL" => {
                let max = attributes::count(object, tags::MAXIMUM_FRACTIONAL_VALUE)?.unwrap_or(255);
                Ok(Self::Fractional { half: max.div_ceil(2).max(1) })
            }
            "LABELMAP" => {
                Ok(Self::Labelmap { background: attributes::count(object, tags::PIXEL_PADDING_VALUE)?.unwrap_or(0) })
            }
            other => Err(SegError::Type(other.to_owned())),
        }
    }

    fn pixels(self, file: &Part10, [columns, rows]: [usize; 2], n_frames: usize) -> Result<Pixels, SegError> {
        let too_large = || SegError::TooLarge { what: format!("{n_frames} frames of {columns} x {rows} pixels") };
        let per_frame = columns.checked_mul(rows).ok_or_else(too_large)?;
        let n = per_frame.checked_mul(n_frames).filter(|n| *n <= VOXELS_MAX).ok_or_else(too_large)?;
        let word_bytes = match (self, attributes::count(&file.object, tags::BITS_ALLOCATED)?) {
            (Self::Binary, _) => 1,
            (_, Some(16)) => 2,
            (_, None | Some(8)) => 1,
            (_, Some(found)) => {
                let (tag, found) = (tags::BITS_ALLOCATED, f64::from(found));
                return Err(AttributeError::Range { tag, found, expected: "8 or 16" }.into());
            }
        };
        let stored = file.pixels.as_ref().filter(|stored| stored.location.tag == tags::PIXEL_DATA);
        let expected = if matches!(self, Self::Binary) { n.div_ceil(8) } else { n * word_bytes };
        let stored = stored.ok_or(SegError::PixelData { found: 0, expected: expected as u64 })?;
        let (bytes, is_by_frame) = match stored.location.length {
            Some(length) => (native(stored, length, expected, word_bytes)?, false),
            None => {
                // A frame of bits is a row of bytes.
                let format = match self {
                    Self::Binary => FrameFormat { columns: per_frame.div_ceil(8), rows: 1, word_bytes },
                    _ => FrameFormat { columns, rows, word_bytes },
                };
                (encapsulated(file, stored, &format, n_frames)?, true)
            }
        };
        Ok(match self {
            Self::Binary => {
                let frame_bits = if is_by_frame { 8 * per_frame.div_ceil(8) } else { per_frame };
                Pixels::Bits { bytes, frame_pixels: per_frame, frame_bits }
            }
            Self::Fractional { half } => Pixels::Words { bytes, word_bytes, half },
            Self::Labelmap { .. } => Pixels::Words { bytes, word_bytes, half: 0 },
        })
    }
}

fn native(stored: &StoredPixels, length: u64, expected: usize, word_bytes: usize) -> Result<Vec<u8>, SegError> {
    let found = length.min(stored.bytes_from(stored.location.offset));
    let refused = SegError::PixelData { found, expected: expected as u64 };
    if found < expected as u64 {
        return Err(refused);
    }
    let mut bytes = vec![0; expected];
    stored.read_at(stored.location.offset, &mut bytes).map_err(|_| refused)?;
    if stored.location.big_endian && word_bytes == 2 {
        bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|word| word.reverse());
    }
    Ok(bytes)
}

fn encapsulated(
    file: &Part10,
    stored: &StoredPixels,
    format: &FrameFormat,
    n_frames: usize,
) -> Result<Vec<u8>, SegError> {
    let syntax = file.transfer_syntax.as_str();
    let codec = Codec::of(syntax).filter(|codec| *codec != Codec::Native);
    let codec = codec.ok_or_else(|| CodecError::Unsupported(codec::describe(syntax)))?;
    let count = u32::try_from(n_frames).map_err(|_| SegError::Fragments("it has too many frames"))?;
    let fragments = Fragments::of(stored, count, &[]).map_err(SegError::Fragments)?;
    let (mut bytes, mut stream, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for frame in 0..count {
        fragments.read(stored, frame, &mut stream).map_err(|_| SegError::Fragments("it ends early"))?;
        codec.decode(&stream, format, &mut words)?;
        bytes.extend_from_slice(&words);
    }
    Ok(bytes)
}

impl Pixels {
    /// The number of a pixel; of bits 0 or 1.
    fn word(&self, index: usize) -> Option<u32> {
        match self {
            Self::Bits { bytes, frame_pixels, frame_bits } => {
                let bit = index / frame_pixels * frame_bits + index % frame_pixels;
                bytes.get(bit / 8).map(|byte| u32::from(byte >> (bit % 8) & 1))
            }
            Self::Words { bytes, word_bytes: 1, .. } => bytes.get(index).map(|byte| u32::from(*byte)),
            Self::Words { bytes, .. } => {
                let word = bytes.get(2 * index..2 * index + 2)?;
                Some(u32::from(u16::from_le_bytes(*word.first_chunk()?)))
            }
        }
    }

    fn is_inside(&self, index: usize) -> bool {
        let least = if let Self::Words { half, .. } = self { *half } else { 1 };
        self.word(index).is_some_and(|word| word >= least)
    }
}

/// Where a frame lies, and what it holds.
struct Frame {
    /// `None`: all of them, a label map.
    segment: Option<u32>,
    position_mm: Vec3,
    orientation: Orientation,
    spacing_mm: [f64; 2],
    /// Spacing Between Slices (0018,0088), and Slice Thickness (0018,0050).
    between_slices_mm: Option<f64>,
    thickness_mm: Option<f64>,
}

fn frames(object: &InMemDicomObject, coding: Coding) -> Result<Vec<Frame>, SegError> {
    let shared = attributes::first_item(object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let per_frame = attributes::items(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    if per_frame.len() > FRAMES_MAX {
        return Err(SegError::TooLarge { what: format!("{} frames", per_frame.len()) });
    }
    let frame = |(index, own): (usize, &InMemDicomObject)| -> Result<Frame, SegError> {
        let group = |tag: Tag, name: &'static str| {
            attributes::first_item(own, tag)
                .or_else(|| shared.and_then(|shared| attributes::first_item(shared, tag)))
                .ok_or(SegError::FunctionalGroup { frame: index + 1, group: name })
        };
        let missing = |group| SegError::FunctionalGroup { frame: index + 1, group };
        let position = group(tags::PLANE_POSITION_SEQUENCE, "Plane Position Sequence (0020,9113)")?;
        let turned = group(tags::PLANE_ORIENTATION_SEQUENCE, "Plane Orientation Sequence (0020,9116)")?;
        let measures = group(tags::PIXEL_MEASURES_SEQUENCE, "Pixel Measures Sequence (0028,9110)")?;
        let segment = if matches!(coding, Coding::Labelmap { .. }) {
            None
        } else {
            let identity = group(tags::SEGMENT_IDENTIFICATION_SEQUENCE, "Segment Identification Sequence (0062,000A)")?;
            let number = attributes::count(identity, tags::REFERENCED_SEGMENT_NUMBER)?;
            Some(number.ok_or(missing("Referenced Segment Number (0062,000B)"))?)
        };
        let [between_rows, between_columns] =
            attributes::array::<2>(measures, tags::PIXEL_SPACING)?.ok_or(missing("Pixel Spacing (0028,0030)"))?;
        let between_slices = attributes::number(measures, tags::SPACING_BETWEEN_SLICES)?;
        let thickness = attributes::number(measures, tags::SLICE_THICKNESS)?;
        Ok(Frame {
            segment,
            position_mm: attributes::array::<3>(position, tags::IMAGE_POSITION_PATIENT)?
                .ok_or(missing("Image Position (Patient) (0020,0032)"))?,
            orientation: Orientation::new(
                attributes::array::<6>(turned, tags::IMAGE_ORIENTATION_PATIENT)?
                    .ok_or(missing("Image Orientation (Patient) (0020,0037)"))?,
            )?,
            spacing_mm: [between_columns, between_rows],
            between_slices_mm: between_slices.filter(|mm| *mm > 0.0),
            thickness_mm: thickness.filter(|mm| *mm > 0.0),
        })
    };
    per_frame.iter().enumerate().map(frame).collect()
}

/// The distance of the grid's slices: that of the frames' positions. Where slices that nothing covers have no frame, it is
/// the header's, if that goes into the distance of the frames a whole number of times.
fn spacing(smallest_gap_mm: f64, first: &Frame) -> f64 {
    if !smallest_gap_mm.is_finite() {
        return first.between_slices_mm.or(first.thickness_mm).unwrap_or(1.0);
    }
    let goes_into = |mm: &f64| {
        let times = smallest_gap_mm / mm;
        times > 1.5 && (times - times.round()).abs() <= OFF_GRID_MAX
    };
    first.between_slices_mm.filter(goes_into).unwrap_or(smallest_gap_mm)
}

/// The regular grid of all frames.
struct Grid {
    geometry: Geometry,
    normal: Vec3,
    first_mm: f64,
}

impl Grid {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded by VOXELS_MAX
    fn of(frames: &[Frame], [columns, rows]: [usize; 2]) -> Result<Self, SegError> {
        let first = frames.first().ok_or(SegError::FunctionalGroup { frame: 1, group: "frame" })?;
        let normal = first.orientation.normal();
        let along = |frame: &Frame| linalg::dot(normal, frame.position_mm);
        let mut places: Vec<f64> = frames.iter().map(along).collect();
        places.sort_unstable_by(f64::total_cmp);
        let (low, high) = (places.first().copied().unwrap_or(0.0), places.last().copied().unwrap_or(0.0));
        let smallest_gap =
            places.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 1e-3).fold(f64::INFINITY, f64::min);
        let spacing = spacing(smallest_gap, first);
        let n = ((high - low) / spacing).round() + 1.0;
        // The mean spacing of the whole run: a gap is written with few digits, the run averages them out.
        let spacing = if n > 1.0 { (high - low) / (n - 1.0) } else { spacing };
        #[allow(clippy::cast_precision_loss)]
        let voxels = n * columns as f64 * rows as f64;
        if voxels.is_nan() || voxels > VOXELS_MAX as f64 {
            return Err(SegError::TooLarge { what: format!("{n} slices of {columns} x {rows} pixels") });
        }
        let lowest = frames.iter().min_by(|a, b| along(a).total_cmp(&along(b))).unwrap_or(first);
        let geometry = Geometry::new(
            [columns, rows, n as usize],
            [first.spacing_mm[0], first.spacing_mm[1], spacing],
            lowest.position_mm,
            [first.orientation.row, first.orientation.column, normal],
        )?;
        Ok(Self { geometry, normal, first_mm: low })
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the grid
    fn slice_of(&self, index: usize, frame: &Frame) -> Result<usize, SegError> {
        let place = (linalg::dot(self.normal, frame.position_mm) - self.first_mm) / self.geometry.spacing_mm[2];
        let slice = place.round().max(0.0);
        let in_plane = self.geometry.world_to_voxel(frame.position_mm);
        let off = (place - slice).abs().max(in_plane[0].abs()).max(in_plane[1].abs());
        if off > OFF_GRID_MAX {
            return Err(SegError::OffGrid { frame: index + 1, slices: off });
        }
        Ok((slice as usize).min(self.geometry.size[2] - 1))
    }
}

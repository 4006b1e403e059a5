//! Whether two files under one SOP Instance UID are the same instance, a corrected one, or two that cannot both be it.
//!
//! Archives transcode on the way and correct what was typed in. Neither changes what was imaged or drawn:
//!
//! | differs | is |
//! |---|---|
//! | nothing but the encoding: transfer syntax, VRs, lengths, padding, character set, offset tables | the same |
//! | attributes that describe: patient, study, series, equipment, geometry, scaling | another header |
//! | pixels after decoding, contours, content trees, matrices; SOP class, study or series | another content |
//!
//! Pixels are compared frame by frame, so that memory does not grow with the object. What cannot be decoded here is another
//! content unless its bytes are equal: in doubt nothing is replaced.

use std::path::Path;

use dicom_core::header::Header;
use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::attributes;
use super::codec::{Codec, Fragments, FrameFormat};
use super::part10::{FormatError, Keep, Part10, StoredPixels};

/// How alike two files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Only the encoding differs.
    Same,
    /// What was imaged or drawn is the same, something that describes it is not.
    OtherHeader,
    /// What was imaged or drawn differs, or which series it belongs to.
    OtherContent,
}

/// Attributes that are the encoding, not the instance.
const ENCODING: [Tag; 4] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::EXTENDED_OFFSET_TABLE,
    tags::EXTENDED_OFFSET_TABLE_LENGTHS,
    tags::DATA_SET_TRAILING_PADDING,
];

/// Attributes that are what was imaged or drawn, or say which instance it is.
const CONTENT: [Tag; 19] = [
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::ROWS,
    tags::COLUMNS,
    tags::NUMBER_OF_FRAMES,
    tags::SAMPLES_PER_PIXEL,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::STRUCTURE_SET_ROI_SEQUENCE,
    tags::ROI_CONTOUR_SEQUENCE,
    tags::SEGMENT_SEQUENCE,
    tags::CONTENT_SEQUENCE,
    tags::REGISTRATION_SEQUENCE,
    tags::DEFORMABLE_REGISTRATION_SEQUENCE,
    tags::ENCAPSULATED_DOCUMENT,
];

/// Bytes that are compared at once.
const PIECE_BYTES: usize = 256 << 10;

/// How alike two Part-10 files are; what cannot be read is like nothing.
#[must_use]
pub fn of(one: &Path, other: &Path) -> Likeness {
    compare(one, other).unwrap_or(Likeness::OtherContent)
}

/// Compares two Part-10 files.
///
/// # Errors
/// When one of them cannot be read.
pub fn compare(one: &Path, other: &Path) -> Result<Likeness, FormatError> {
    let (one, other) = (Part10::open(one, Keep::All)?, Part10::open(other, Keep::All)?);
    let header = compare_headers(&one.object, &other.object);
    if header == Likeness::OtherContent {
        return Ok(header);
    }
    match (&one.pixels, &other.pixels) {
        (None, None) => Ok(header),
        (Some(a), Some(b)) if a.location.tag == b.location.tag => {
            let same = same_pixels(&Image::of(&one, a), &Image::of(&other, b))?;
            Ok(if same { header } else { Likeness::OtherContent })
        }
        _ => Ok(Likeness::OtherContent),
    }
}

fn compare_headers(one: &InMemDicomObject, other: &InMemDicomObject) -> Likeness {
    let mut likeness = Likeness::Same;
    let mut differs = |tag: Tag| {
        let found = if CONTENT.contains(&tag) { Likeness::OtherContent } else { Likeness::OtherHeader };
        likeness = likeness.max(found);
    };
    for element in one.iter().filter(|element| counts(element.tag())) {
        let tag = element.tag();
        if !other.get(tag).is_some_and(|found| same_element(element, found)) {
            differs(tag);
        }
    }
    for element in other.iter() {
        let tag = element.tag();
        if counts(tag) && one.get(tag).is_none() {
            differs(tag);
        }
    }
    likeness
}

fn counts(tag: Tag) -> bool {
    // Group lengths come and go with the encoding.
    tag.element() != 0 && !ENCODING.contains(&tag)
}

fn same_element(one: &InMemElement, other: &InMemElement) -> bool {
    match (one.value(), other.value()) {
        (Value::Sequence(one), Value::Sequence(other)) => {
            let (one, other) = (one.items(), other.items());
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| compare_headers(one, other) == Likeness::Same)
        }
        (Value::Primitive(a), Value::Primitive(b)) => same_value(a, one.vr(), b, other.vr()),
        // An empty sequence may be written as an empty value of VR UN.
        (Value::Sequence(sequence), Value::Primitive(value)) | (Value::Primitive(value), Value::Sequence(sequence)) => {
            sequence.items().is_empty() && value.to_bytes().is_empty()
        }
        _ => false,
    }
}

fn same_value(one: &PrimitiveValue, one_vr: VR, other: &PrimitiveValue, other_vr: VR) -> bool {
    let is_bytes = |vr| matches!(vr, VR::UN | VR::OB);
    if is_bytes(one_vr) || is_bytes(other_vr) {
        // Private attributes lose their VR in an implicit encoding.
        return padded(&one.to_bytes()) == padded(&other.to_bytes());
    }
    let (one, other) = (one.to_multi_str(), other.to_multi_str());
    let (one, other) = (trimmed(&one), trimmed(&other));
    one.eq(other)
}

/// Without the padding at the end.
fn padded(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}

fn trimmed(values: &[String]) -> impl Iterator<Item = &str> {
    let values = if values.iter().all(|value| value.trim_matches([' ', '\0']).is_empty()) { &[] } else { values };
    values.iter().map(|value| value.trim_matches([' ', '\0']))
}

/// The pixels of a file with what is needed to read them.
struct Image<'a> {
    stored: &'a StoredPixels,
    header: &'a InMemDicomObject,
    transfer_syntax: &'a str,
}

impl<'a> Image<'a> {
    fn of(file: &'a Part10, stored: &'a StoredPixels) -> Self {
        Self { stored, header: &file.object, transfer_syntax: file.transfer_syntax.as_str() }
    }

    fn count(&self, tag: Tag) -> Option<usize> {
        usize::try_from(attributes::count(self.header, tag).ok()??).ok()
    }

    /// The frames of an image of one sample per pixel; nothing for others.
    fn frames(&self) -> Option<Frames> {
        if self.count(tags::SAMPLES_PER_PIXEL).unwrap_or(1) != 1 {
            return None;
        }
        let bits_allocated = self.count(tags::BITS_ALLOCATED)?;
        let format = FrameFormat {
            columns: self.count(tags::COLUMNS)?,
            rows: self.count(tags::ROWS)?,
            word_bytes: bits_allocated / 8,
        };
        let n_frames = self.count(tags::NUMBER_OF_FRAMES).unwrap_or(1).max(1);
        let bits_stored = self.count(tags::BITS_STORED).unwrap_or(bits_allocated).min(bits_allocated);
        let high_bit = self.count(tags::HIGH_BIT).unwrap_or(bits_stored.checked_sub(1)?);
        let whole = bits_allocated > 0 && bits_allocated.is_multiple_of(8) && high_bit + 1 == bits_stored;
        whole.then_some(Frames { format, n_frames: u32::try_from(n_frames).ok()?, bits_stored })
    }
}

#[derive(Debug, Clone, Copy)]
struct Frames {
    format: FrameFormat,
    n_frames: u32,
    bits_stored: usize,
}

fn same_pixels(one: &Image<'_>, other: &Image<'_>) -> Result<bool, FormatError> {
    let same_form = one.stored.location.length.is_some() == other.stored.location.length.is_some()
        && one.stored.location.big_endian == other.stored.location.big_endian;
    if same_form && same_bytes(one, other)? {
        return Ok(true);
    }
    let both = Codec::of(one.transfer_syntax).zip(Codec::of(other.transfer_syntax));
    if let Some((Codec::Native, Codec::Native)) = both
        && same_form
    {
        // Other bytes in the same encoding are other pixels, whatever the shape.
        return Ok(false);
    }
    let (Some((one_codec, other_codec)), Some(frames)) = (both, one.frames()) else { return Ok(false) };
    let (Some(mut one), Some(mut other)) =
        (Reader::new(one, one_codec, frames), Reader::new(other, other_codec, frames))
    else {
        return Ok(false);
    };
    for frame in 0..frames.n_frames {
        // A frame that cannot be decoded cannot be called the same.
        let (Some(a), Some(b)) = (one.frame(frame)?, other.frame(frame)?) else { return Ok(false) };
        if !same_words(a, b, frames) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Compares the stored bytes, up to a byte of padding.
fn same_bytes(one: &Image<'_>, other: &Image<'_>) -> Result<bool, FormatError> {
    let length = |image: &Image<'_>| {
        let location = image.stored.location;
        let there = image.stored.bytes_from(location.offset);
        location.length.map_or(there, |length| length.min(there))
    };
    let (one_length, other_length) = (length(one), length(other));
    if 1 < one_length.abs_diff(other_length) {
        return Ok(false);
    }
    let common = one_length.min(other_length);
    let (mut a, mut b) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    let mut done = 0;
    while done < common {
        let n_bytes = usize::try_from(common - done).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let (Some(a), Some(b)) = (a.get_mut(..n_bytes), b.get_mut(..n_bytes)) else { return Ok(false) };
        one.stored.read_at(one.stored.location.offset + done, a)?;
        other.stored.read_at(other.stored.location.offset + done, b)?;
        if a != b {
            return Ok(false);
        }
        done += n_bytes as u64;
    }
    Ok(true)
}

/// Reads frames as little endian words.
struct Reader<'a> {
    image: &'a Image<'a>,
    codec: Codec,
    frames: Frames,
    fragments: Option<Fragments>,
    stream: Vec<u8>,
    words: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(image: &'a Image<'a>, codec: Codec, frames: Frames) -> Option<Self> {
        let fragments = if codec == Codec::Native {
            image.stored.location.length?;
            None
        } else {
            Some(Fragments::of(image.stored, frames.n_frames, &extended_offsets(image.header)).ok()?)
        };
        Some(Self { image, codec, frames, fragments, stream: Vec::new(), words: Vec::new() })
    }

    fn frame(&mut self, index: u32) -> Result<Option<&[u8]>, FormatError> {
        let format = self.frames.format;
        match &self.fragments {
            Some(fragments) => {
                fragments.read(self.image.stored, index, &mut self.stream)?;
                if self.codec.decode(&self.stream, &format, &mut self.words).is_err() {
                    return Ok(None);
                }
            }
            None => {
                let n_bytes = format.columns.saturating_mul(format.rows).saturating_mul(format.word_bytes);
                let location = self.image.stored.location;
                let offset = location.offset.saturating_add(u64::from(index).saturating_mul(n_bytes as u64));
                // A frame fits in memory because it fits in the file.
                if self.image.stored.bytes_from(offset) < n_bytes as u64 {
                    return Ok(None);
                }
                self.words.resize(n_bytes, 0);
                self.image.stored.read_at(offset, &mut self.words)?;
                if location.big_endian {
                    self.words.chunks_exact_mut(format.word_bytes).for_each(<[u8]>::reverse);
                }
            }
        }
        Ok(Some(&self.words))
    }
}

fn extended_offsets(header: &InMemDicomObject) -> Vec<u64> {
    match header.get(tags::EXTENDED_OFFSET_TABLE).map(|element| element.value()) {
        Some(Value::Primitive(PrimitiveValue::U64(offsets))) => offsets.to_vec(),
        _ => Vec::new(),
    }
}

/// Bits above those that are stored are nobody's: codecs fill them as they like.
fn same_words(one: &[u8], other: &[u8], frames: Frames) -> bool {
    if one == other {
        return true;
    }
    let word_bytes = frames.format.word_bytes;
    let mask: Vec<u8> = (0..word_bytes)
        .map(|byte| match frames.bits_stored.saturating_sub(8 * byte) {
            8.. => 0xFF,
            bits => u8::try_from((1_u16 << bits) - 1).unwrap_or(0xFF),
        })
        .collect();
    one.len() == other.len()
        && one
            .chunks_exact(word_bytes)
            .zip(other.chunks_exact(word_bytes))
            .all(|(one, other)| one.iter().zip(other).zip(&mask).all(|((one, other), mask)| one & mask == other & mask))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::write::{part10, put_bytes, put_items, put_text, put_u16s};
    use dicom_dictionary_std::uids;

    fn slice() -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        for (tag, text) in [
            (tags::SOP_CLASS_UID, uids::CT_IMAGE_STORAGE),
            (tags::SOP_INSTANCE_UID, "1.2.3.4"),
            (tags::STUDY_INSTANCE_UID, "1.2.3.1"),
            (tags::SERIES_INSTANCE_UID, "1.2.3.2"),
            (tags::PATIENT_NAME, "Doe^John"),
            (tags::RESCALE_SLOPE, "1"),
        ] {
            put_text(&mut object, tag, text);
        }
        for (tag, value) in [
            (tags::ROWS, 2),
            (tags::COLUMNS, 2),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 12),
            (tags::HIGH_BIT, 11),
        ] {
            put_u16s(&mut object, tag, [value]);
        }
        let mut item = InMemDicomObject::new_empty();
        put_text(&mut item, tags::CODE_VALUE, "T-1");
        put_items(&mut object, tags::ANATOMIC_REGION_SEQUENCE, vec![item]);
        put_bytes(&mut object, tags::PIXEL_DATA, VR::OW, vec![1, 0, 2, 0, 3, 0, 4, 0]);
        object
    }

    fn likeness(one: &[u8], other: &[u8]) -> Likeness {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&a, one).unwrap();
        std::fs::write(&b, other).unwrap();
        let found = compare(&a, &b).unwrap();
        assert_eq!(compare(&b, &a).unwrap(), found);
        found
    }

    fn explicit(object: &InMemDicomObject) -> Vec<u8> {
        part10(object, uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    }

    #[test]
    fn another_uncompressed_encoding_is_the_same_instance() {
        let one = explicit(&slice());
        for syntax in [uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN] {
            assert_eq!(likeness(&one, &part10(&slice(), syntax).unwrap()), Likeness::Same, "{syntax}");
        }
    }

    #[test]
    fn what_describes_is_the_header_and_what_was_imaged_is_the_content() {
        let one = explicit(&slice());
        let changed = |change: &dyn Fn(&mut InMemDicomObject)| {
            let mut other = slice();
            change(&mut other);
            likeness(&one, &explicit(&other))
        };
        assert_eq!(changed(&|o| put_text(o, tags::PATIENT_NAME, "Doe^Jane")), Likeness::OtherHeader);
        assert_eq!(changed(&|o| put_text(o, tags::STUDY_DATE, "20240102")), Likeness::OtherHeader);
        assert_eq!(changed(&|o| assert!(o.remove_element(tags::RESCALE_SLOPE))), Likeness::OtherHeader);
        assert_eq!(changed(&|o| put_items(o, tags::ANATOMIC_REGION_SEQUENCE, vec![])), Likeness::OtherHeader);
        assert_eq!(changed(&|o| put_text(o, tags::SERIES_INSTANCE_UID, "1.2.3.9")), Likeness::OtherContent);
        let other_pixels = vec![1, 0, 2, 0, 3, 0, 5, 0];
        assert_eq!(changed(&|o| put_bytes(o, tags::PIXEL_DATA, VR::OW, other_pixels.clone())), Likeness::OtherContent);
        assert_eq!(changed(&|o| assert!(o.remove_element(tags::PIXEL_DATA))), Likeness::OtherContent);
    }

    #[test]
    fn a_corrected_header_is_one_in_every_encoding() {
        let mut other = slice();
        put_text(&mut other, tags::PATIENT_NAME, "Doe^Jane");
        let other = part10(&other, uids::IMPLICIT_VR_LITTLE_ENDIAN).unwrap();
        assert_eq!(likeness(&explicit(&slice()), &other), Likeness::OtherHeader);
    }

    #[test]
    fn drawings_are_content() {
        let mut one = slice();
        one.remove_element(tags::PIXEL_DATA);
        let mut other = one.clone();
        let mut contour = InMemDicomObject::new_empty();
        put_text(&mut contour, tags::REFERENCED_ROI_NUMBER, "1");
        put_items(&mut other, tags::ROI_CONTOUR_SEQUENCE, vec![contour]);
        assert_eq!(likeness(&explicit(&one), &explicit(&other)), Likeness::OtherContent);
    }
}

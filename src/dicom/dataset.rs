//! The data set parser (PS3.5 chapter 7), for bytes that nobody vouches for.
//!
//! It reads a data set up to its Pixel Data and keeps what it needs of the rest: where the pixels are. Every length is
//! compared with what is left of the input before anything is allocated, nesting and the number of elements are bounded,
//! and a data set that ends inside an element is refused by the element's name.
//!
//! What real writers get wrong without doubt about the meaning is read: explicit VR under an implicit transfer syntax and
//! the reverse, values under VR UN whose VR the standard knows, sequences under UN, undefined lengths anywhere, stray
//! delimiters.

use std::io::{Cursor, Read};
use std::rc::Rc;

use dicom_core::header::{DataElement, Length};
use dicom_core::value::{C, DataSetSequence, PrimitiveValue, Value};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::attributes;
use super::charset::Charset;
use super::part10::FormatError;

/// Sequences inside sequences: the deepest real object (an SR with nested containers) has about 20.
const DEPTH_MAX: u32 = 48;

/// Elements of one header: the largest real structure sets have some hundred thousand.
const ELEMENTS_MAX: u64 = 4_000_000;

/// Bytes of one header that are kept.
const KEPT_BYTES_MAX: u64 = 512 << 20;

/// The same where only facts are wanted.
const KEPT_FACT_BYTES_MAX: u64 = 32 << 20;

/// Room for a value of up to this length is made at once.
const SHORT_VALUE_BYTES: usize = 4096;

/// Binary values longer than this are not kept where only facts are wanted.
const BINARY_FACT_BYTES_MAX: u64 = 4096;

/// The longest value of the file meta information: Private Information (0002,0102).
const META_VALUE_BYTES_MAX: u64 = 1 << 20;

/// Where the tag itself was to be read.
const NO_TAG: Tag = Tag(0, 0);

/// How elements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Implicit VR, little endian.
    ImplicitLittle,
    /// Explicit VR, little endian.
    ExplicitLittle,
    /// Explicit VR, big endian.
    ExplicitBig,
}

/// How much of a data set is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Everything before the pixels.
    All,
    /// Without the parts that are large and say nothing that the index needs: contours, per-frame functional groups,
    /// binary values.
    Facts,
}

/// Where the pixels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelLocation {
    /// Pixel Data (7FE0,0010), Float Pixel Data (7FE0,0008) or Double Float Pixel Data (7FE0,0009).
    pub tag: Tag,
    /// Offset of the value in the input.
    pub offset: u64,
    /// Bytes of the value; `None` when it is encapsulated in fragments.
    pub length: Option<u64>,
    /// Whether words are written with the high byte first.
    pub big_endian: bool,
}

/// A data set and its pixels' place.
#[derive(Debug)]
pub(super) struct DataSet {
    pub object: InMemDicomObject,
    pub pixels: Option<PixelLocation>,
}

/// Reads a data set that starts at `position` of an input of `end` bytes.
pub(super) fn read(
    source: impl Read,
    position: u64,
    end: u64,
    encoding: Encoding,
    keep: Keep,
) -> Result<DataSet, FormatError> {
    let (mut source, mut first) = (source, Vec::new());
    source.by_ref().take(8).read_to_end(&mut first)?;
    let encoding = first.as_slice().try_into().map_or(encoding, |first| probe(first, encoding));
    let input = Input { source: Cursor::new(first).chain(source), position, end };
    let mut parser = Parser { input, keep, elements: 0, kept_bytes: 0, pixels: None };
    let context = Context { encoding, charset: Rc::default(), signed: false, depth: 0, kept: true };
    let object = parser.data_set(&context, Some(end))?;
    Ok(DataSet { object, pixels: parser.pixels })
}

/// The file meta information.
#[derive(Debug)]
pub(super) struct Meta {
    pub object: InMemDicomObject,
    /// Where the data set starts.
    pub end: u64,
    /// The first bytes of the data set, which had to be read to know that the meta information has ended.
    pub next: Vec<u8>,
}

/// Reads the file meta information (PS3.10 7.1): explicit VR, little endian, group 0002. It ends at the first element of
/// another group, because File Meta Information Group Length (0002,0000) is absent or wrong in some files.
pub(super) fn read_meta(source: impl Read, position: u64, end: u64) -> Result<Meta, FormatError> {
    let input = Input { source, position, end };
    let mut parser = Parser { input, keep: Keep::All, elements: 0, kept_bytes: 0, pixels: None };
    let encoding = Encoding::ExplicitLittle;
    let mut context = Context { encoding, charset: Rc::default(), signed: false, depth: 0, kept: true };
    let mut object = InMemDicomObject::new_empty();
    loop {
        let start = parser.input.position;
        let mut next = [0; 4];
        if parser.input.left() < 4 {
            return Ok(Meta { object, end: start, next: Vec::new() });
        }
        parser.input.source.read_exact(&mut next)?;
        if !next.starts_with(&[0x02, 0x00]) {
            return Ok(Meta { object, end: start, next: next.to_vec() });
        }
        parser.input.position += 4;
        let head = parser.head_after(tag_of(next, false), &context)?;
        if head.length.is_none_or(|length| length > META_VALUE_BYTES_MAX) {
            return Err(FormatError::Element { tag: head.tag, what: "is too long for file meta information" });
        }
        parser.element(head, &mut context, &mut object)?;
    }
}

/// What is inherited by items.
#[derive(Debug, Clone)]
struct Context {
    encoding: Encoding,
    charset: Rc<Charset>,
    /// Pixel Representation (0028,0103) is 1: attributes "US or SS" are SS.
    signed: bool,
    depth: u32,
    /// Values are kept; else they are skipped over.
    kept: bool,
}

/// Tag, VR and length of one element.
#[derive(Debug, Clone, Copy)]
struct Head {
    tag: Tag,
    vr: VR,
    /// `None`: undefined.
    length: Option<u64>,
}

struct Parser<R> {
    input: Input<R>,
    keep: Keep,
    elements: u64,
    kept_bytes: u64,
    pixels: Option<PixelLocation>,
}

impl<R: Read> Parser<R> {
    /// Elements up to `end`, or up to the item's delimiter where the item has no length.
    fn data_set(&mut self, context: &Context, end: Option<u64>) -> Result<InMemDicomObject, FormatError> {
        let mut context = context.clone();
        let mut object = InMemDicomObject::new_empty();
        while self.pixels.is_none() && end.is_none_or(|end| self.input.position < end) {
            if context.depth == 0 && self.input.left() < 8 && self.input.rest_is_padding()? {
                break; // Trailing padding of a careless writer.
            }
            let head = match self.head(&context) {
                // An input that is inflated as it is read does not know its length.
                Err(FormatError::Truncated { tag: NO_TAG }) if context.depth == 0 => break,
                head => head?,
            };
            match head.tag {
                Tag(0xFFFE, 0xE00D) if end.is_none() => break,
                Tag(0xFFFE, _) => self.input.skip(head, head.length.unwrap_or(0))?,
                Tag(0x7FE0, 0x0008..=0x0010) if context.depth == 0 => {
                    self.pixels = Some(self.pixel_location(head, context.encoding)?);
                }
                _ => self.element(head, &mut context, &mut object)?,
            }
        }
        match end {
            Some(end) if self.pixels.is_none() && self.input.position > end => {
                Err(FormatError::Malformed("an element is longer than the item that holds it"))
            }
            _ => Ok(object),
        }
    }

    fn element(&mut self, head: Head, context: &mut Context, object: &mut InMemDicomObject) -> Result<(), FormatError> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(FormatError::TooLarge("more than 4000000 elements"));
        }
        let kept = context.kept && self.wanted(head);
        let dictionary_vr = attributes::dictionary_vr(head.tag);
        // Under UN a sequence is implicit VR, little endian, whatever the rest is (PS3.5 6.2.2, note 2).
        let encoding = if head.vr == VR::UN { Encoding::ImplicitLittle } else { context.encoding };
        let is_sequence = head.vr == VR::SQ || head.length.is_none() || (head.vr == VR::UN && dictionary_vr == VR::SQ);
        if is_sequence {
            let inner = Context { encoding, depth: context.depth + 1, kept, ..context.clone() };
            let items = self.sequence(head, &inner)?;
            if kept {
                // Lengths as read hold no longer once items are copied elsewhere.
                let length = Length::UNDEFINED;
                object.put(DataElement::new_with_len(head.tag, VR::SQ, length, DataSetSequence::new(items, length)));
            }
            return Ok(());
        }
        let length = head.length.unwrap_or(0);
        self.input.end_of(head, length)?;
        if !kept || head.tag.element() == 0 {
            return self.input.skip(head, length);
        }
        self.kept_bytes += length;
        let kept_bytes_max = if self.keep == Keep::All { KEPT_BYTES_MAX } else { KEPT_FACT_BYTES_MAX };
        if self.kept_bytes > kept_bytes_max {
            return Err(FormatError::TooLarge("the values before the pixels"));
        }
        let bytes = self.input.take(head, length)?;
        let vr = match head.vr {
            VR::UN if dictionary_vr != VR::UN => dictionary_vr,
            VR::US if context.encoding == Encoding::ImplicitLittle && context.signed && is_us_or_ss(head.tag) => VR::SS,
            vr => vr,
        };
        let value = decode(&bytes, vr, encoding == Encoding::ExplicitBig, &context.charset);
        match head.tag {
            tags::SPECIFIC_CHARACTER_SET => context.charset = Rc::new(Charset::from_terms(&value.to_multi_str())),
            tags::PIXEL_REPRESENTATION => context.signed = value.to_int::<u16>().is_ok_and(|v| v == 1),
            _ => {}
        }
        object.put(DataElement::new(head.tag, vr, Value::<InMemDicomObject>::Primitive(value)));
        Ok(())
    }

    fn wanted(&self, head: Head) -> bool {
        if self.keep == Keep::All {
            return true;
        }
        let bulky = matches!(
            head.tag,
            tags::ROI_CONTOUR_SEQUENCE
                | tags::RTROI_OBSERVATIONS_SEQUENCE
                | tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE
                | tags::CONTENT_SEQUENCE
                | tags::CONTOUR_IMAGE_SEQUENCE
        );
        let binary = matches!(head.vr, VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN);
        let long = head.length.is_some_and(|length| length > BINARY_FACT_BYTES_MAX);
        !(bulky || binary && long)
    }

    fn sequence(&mut self, head: Head, context: &Context) -> Result<C<InMemDicomObject>, FormatError> {
        if context.depth > DEPTH_MAX {
            return Err(FormatError::TooLarge("sequences nested more than 48 deep"));
        }
        let end = match head.length {
            Some(length) => Some(self.input.end_of(head, length)?),
            None => None,
        };
        let mut items = C::new();
        while end.is_none_or(|end| self.input.position < end) {
            let item = self.item_head(head.tag, context.encoding)?;
            match item.tag {
                Tag(0xFFFE, 0xE000) => {
                    let end = match item.length {
                        Some(length) => Some(self.input.end_of(item, length)?),
                        None => None,
                    };
                    self.elements += 1;
                    let object = self.data_set(context, end)?;
                    if context.kept {
                        items.push(object);
                    }
                }
                Tag(0xFFFE, 0xE0DD) if end.is_none() => break,
                Tag(0xFFFE, 0xE00D | 0xE0DD) => {}
                _ => return Err(FormatError::Element { tag: head.tag, what: "holds something other than items" }),
            }
        }
        Ok(items)
    }

    fn head(&mut self, context: &Context) -> Result<Head, FormatError> {
        let tag = self.input.tag(context.encoding == Encoding::ExplicitBig)?;
        self.head_after(tag, context)
    }

    fn head_after(&mut self, tag: Tag, context: &Context) -> Result<Head, FormatError> {
        let big = context.encoding == Encoding::ExplicitBig;
        let bytes: [u8; 4] = self.input.array(tag)?;
        if tag.group() == 0xFFFE {
            return Ok(Head { tag, vr: VR::UN, length: defined(word32(bytes, big)) });
        }
        let implicit = || Head { tag, vr: attributes::dictionary_vr(tag), length: defined(word32(bytes, big)) };
        if context.encoding == Encoding::ImplicitLittle {
            return Ok(implicit());
        }
        let [first, second, low, high] = bytes;
        let Some(vr) = VR::from_binary([first, second]) else {
            // A VR of a later edition has a 32-bit length (PS3.5 6.2); anything but letters is an implicit element.
            if !(first.is_ascii_uppercase() && second.is_ascii_uppercase()) {
                return Ok(implicit());
            }
            let length = self.input.array(tag)?;
            return Ok(Head { tag, vr: VR::UN, length: defined(word32(length, big)) });
        };
        if has_long_length(vr) {
            let length = self.input.array(tag)?;
            return Ok(Head { tag, vr, length: defined(word32(length, big)) });
        }
        let length = if big { u16::from_be_bytes([low, high]) } else { u16::from_le_bytes([low, high]) };
        Ok(Head { tag, vr, length: Some(u64::from(length)) })
    }

    fn item_head(&mut self, sequence: Tag, encoding: Encoding) -> Result<Head, FormatError> {
        let big = encoding == Encoding::ExplicitBig;
        let tag = self.input.tag(big).map_err(|error| match error {
            FormatError::Truncated { .. } => FormatError::Truncated { tag: sequence },
            other => other,
        })?;
        let length = self.input.array(sequence)?;
        Ok(Head { tag, vr: VR::UN, length: defined(word32(length, big)) })
    }

    /// A pixel value that is shorter than its length says is not refused here: the header can still be used, and
    /// whoever wants the pixels finds out.
    fn pixel_location(&self, head: Head, encoding: Encoding) -> Result<PixelLocation, FormatError> {
        let encapsulated = head.length.is_none();
        if encapsulated && encoding != Encoding::ExplicitLittle {
            return Err(FormatError::Element { tag: head.tag, what: "is encapsulated under a native transfer syntax" });
        }
        Ok(PixelLocation {
            tag: head.tag,
            offset: self.input.position,
            length: head.length,
            big_endian: encoding == Encoding::ExplicitBig,
        })
    }
}

/// The input with its position.
struct Input<R> {
    source: R,
    position: u64,
    end: u64,
}

impl<R: Read> Input<R> {
    fn left(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }

    /// Reads the rest of the input: whether it is nothing but zeros.
    fn rest_is_padding(&mut self) -> Result<bool, FormatError> {
        let mut rest = Vec::new();
        let left = self.left();
        self.source.by_ref().take(left).read_to_end(&mut rest)?;
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(true);
        }
        Err(FormatError::Malformed("a few bytes after the last element"))
    }

    fn tag(&mut self, big: bool) -> Result<Tag, FormatError> {
        Ok(tag_of(self.array(NO_TAG)?, big))
    }

    /// Four bytes of the element `tag`.
    fn array(&mut self, tag: Tag) -> Result<[u8; 4], FormatError> {
        if self.left() < 4 {
            return Err(FormatError::Truncated { tag });
        }
        let mut bytes = [0; 4];
        self.source.read_exact(&mut bytes).map_err(|error| truncated(tag, error))?;
        self.position += 4;
        Ok(bytes)
    }

    /// The position after a value of this length.
    fn end_of(&self, head: Head, length: u64) -> Result<u64, FormatError> {
        if length > self.left() {
            return Err(FormatError::Truncated { tag: head.tag });
        }
        Ok(self.position + length)
    }

    fn take(&mut self, head: Head, length: u64) -> Result<Vec<u8>, FormatError> {
        let end = self.end_of(head, length)?;
        let mut bytes = Vec::new();
        match usize::try_from(length) {
            Ok(length) if length <= SHORT_VALUE_BYTES => {
                bytes.resize(length, 0);
                self.source.read_exact(&mut bytes).map_err(|error| truncated(head.tag, error))?;
            }
            // Room is made for what comes, not for what the length promises.
            _ if self.source.by_ref().take(length).read_to_end(&mut bytes)? as u64 == length => {}
            _ => return Err(FormatError::Truncated { tag: head.tag }),
        }
        self.position = end;
        Ok(bytes)
    }

    fn skip(&mut self, head: Head, length: u64) -> Result<(), FormatError> {
        let end = self.end_of(head, length)?;
        let n_read = std::io::copy(&mut self.source.by_ref().take(length), &mut std::io::sink())?;
        if n_read != length {
            return Err(FormatError::Truncated { tag: head.tag });
        }
        self.position = end;
        Ok(())
    }
}

fn truncated(tag: Tag, error: std::io::Error) -> FormatError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => FormatError::Truncated { tag },
        _ => FormatError::Io(error),
    }
}

/// Finds out whether the first element is written as the transfer syntax says. (PS3.5 annex A allows no other way; some
/// writers know another.)
fn probe(first: [u8; 8], declared: Encoding) -> Encoding {
    let [g0, g1, e0, e1, v0, v1, ..] = first;
    let written_vr = VR::from_binary([v0, v1]);
    match declared {
        Encoding::ImplicitLittle if written_vr == Some(attributes::dictionary_vr(tag_of([g0, g1, e0, e1], false))) => {
            Encoding::ExplicitLittle
        }
        Encoding::ExplicitLittle if !(v0.is_ascii_uppercase() && v1.is_ascii_uppercase()) => Encoding::ImplicitLittle,
        declared => declared,
    }
}

fn tag_of([g0, g1, e0, e1]: [u8; 4], big: bool) -> Tag {
    if big {
        Tag(u16::from_be_bytes([g0, g1]), u16::from_be_bytes([e0, e1]))
    } else {
        Tag(u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]))
    }
}

fn word32(bytes: [u8; 4], big: bool) -> u32 {
    if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

fn defined(length: u32) -> Option<u64> {
    (length != u32::MAX).then_some(u64::from(length))
}

/// PS3.5 7.1.2: these VRs have two reserved bytes and a 32-bit length.
const fn has_long_length(vr: VR) -> bool {
    matches!(
        vr,
        VR::OB
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::OW
            | VR::SQ
            | VR::SV
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::UV
    )
}

/// Attributes "US or SS": their VR follows Pixel Representation (PS3.5 A.1, note on VR).
const fn is_us_or_ss(tag: Tag) -> bool {
    matches!(
        tag,
        tags::SMALLEST_IMAGE_PIXEL_VALUE
            | tags::LARGEST_IMAGE_PIXEL_VALUE
            | tags::SMALLEST_PIXEL_VALUE_IN_SERIES
            | tags::LARGEST_PIXEL_VALUE_IN_SERIES
            | tags::PIXEL_PADDING_VALUE
            | tags::PIXEL_PADDING_RANGE_LIMIT
            | tags::REAL_WORLD_VALUE_FIRST_VALUE_MAPPED
            | tags::REAL_WORLD_VALUE_LAST_VALUE_MAPPED
    )
}

/// The value of an element. Bytes that do not fill a whole number are left out.
fn decode(bytes: &[u8], vr: VR, big: bool, charset: &Charset) -> PrimitiveValue {
    if bytes.is_empty() {
        return PrimitiveValue::Empty;
    }
    match vr {
        VR::US => PrimitiveValue::U16(words(bytes, big, u16::from_le_bytes)),
        VR::SS => PrimitiveValue::I16(words(bytes, big, i16::from_le_bytes)),
        VR::OW => PrimitiveValue::U16(words(bytes, big, u16::from_le_bytes)),
        VR::UL | VR::OL => PrimitiveValue::U32(words(bytes, big, u32::from_le_bytes)),
        VR::SL => PrimitiveValue::I32(words(bytes, big, i32::from_le_bytes)),
        VR::UV | VR::OV => PrimitiveValue::U64(words(bytes, big, u64::from_le_bytes)),
        VR::SV => PrimitiveValue::I64(words(bytes, big, i64::from_le_bytes)),
        VR::FL | VR::OF => PrimitiveValue::F32(words(bytes, big, f32::from_le_bytes)),
        VR::FD | VR::OD => PrimitiveValue::F64(words(bytes, big, f64::from_le_bytes)),
        VR::AT => PrimitiveValue::Tags(
            bytes.chunks_exact(4).filter_map(|b| b.try_into().ok()).map(|b| tag_of(b, big)).collect(),
        ),
        VR::OB | VR::UN | VR::SQ => PrimitiveValue::U8(C::from_slice(bytes)),
        VR::ST | VR::LT | VR::UT => PrimitiveValue::Str(unpadded(&charset.decode(bytes)).to_owned()),
        VR::UR => PrimitiveValue::Str(unpadded(&Charset::default().decode(bytes)).to_owned()),
        VR::SH | VR::LO | VR::UC | VR::PN => strings(&charset.decode(bytes)),
        _ => strings(&Charset::default().decode(bytes)),
    }
}

fn words<const N: usize, T>(bytes: &[u8], big: bool, number: fn([u8; N]) -> T) -> C<T> {
    bytes
        .chunks_exact(N)
        .filter_map(|chunk| <[u8; N]>::try_from(chunk).ok())
        .map(|mut chunk| {
            if big {
                chunk.reverse();
            }
            number(chunk)
        })
        .collect()
}

fn strings(text: &str) -> PrimitiveValue {
    let text = unpadded(text);
    if text.is_empty() {
        return PrimitiveValue::Empty;
    }
    PrimitiveValue::Strs(text.split('\\').map(|value| unpadded(value).to_owned()).collect())
}

/// Without the trailing blanks and NULs that make a length even (PS3.5 6.2).
fn unpadded(text: &str) -> &str {
    text.trim_end_matches([' ', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{dicom_value, smallvec::smallvec};
    use dicom_dictionary_std::uids;
    use dicom_object::meta::FileMetaTableBuilder;

    use super::super::part10::{EXPLICIT_VR_BIG_ENDIAN, Part10};

    fn item(tag: Tag, vr: VR, value: PrimitiveValue) -> InMemDicomObject {
        InMemDicomObject::from_element_iter([DataElement::new(tag, vr, value)])
    }

    /// One element of every kind that matters, and pixels.
    fn sample() -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        object.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, dicom_value!(Strs, ["ISO_IR 192"])));
        object.put(DataElement::new(tags::SOP_CLASS_UID, VR::UI, dicom_value!(Strs, [uids::CT_IMAGE_STORAGE])));
        object.put(DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, dicom_value!(Strs, ["1.2.3"])));
        object.put(DataElement::new(tags::IMAGE_TYPE, VR::CS, dicom_value!(Strs, ["ORIGINAL", "PRIMARY"])));
        object.put(DataElement::new(tags::SERIES_DESCRIPTION, VR::LO, dicom_value!(Strs, ["Schädel"])));
        object.put(DataElement::new(tags::ROWS, VR::US, dicom_value!(U16, [2])));
        object.put(DataElement::new(tags::PIXEL_REPRESENTATION, VR::US, dicom_value!(U16, [1])));
        object.put(DataElement::new(tags::PIXEL_PADDING_VALUE, VR::SS, dicom_value!(I16, [-2000])));
        object.put(DataElement::new(tags::RECOMMENDED_DISPLAY_FRAME_RATE_IN_FLOAT, VR::FL, dicom_value!(F32, [1.5])));
        object.put(DataElement::new(tags::FRAME_INCREMENT_POINTER, VR::AT, dicom_value!(Tags, [tags::FRAME_TIME])));
        let inner = DataSetSequence::new(
            vec![item(tags::CODE_MEANING, VR::LO, dicom_value!(Strs, ["Läsion"])), InMemDicomObject::new_empty()],
            Length::UNDEFINED,
        );
        let mut outer = item(tags::CODE_VALUE, VR::SH, dicom_value!(Strs, ["1"]));
        outer.put(DataElement::new_with_len(tags::CONCEPT_CODE_SEQUENCE, VR::SQ, Length::UNDEFINED, inner));
        let items = DataSetSequence::new(vec![outer], Length::UNDEFINED);
        object.put(DataElement::new_with_len(tags::ANATOMIC_REGION_SEQUENCE, VR::SQ, Length::UNDEFINED, items));
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, dicom_value!(U16, [1, 2, 3, 4])));
        object
    }

    fn file(object: &InMemDicomObject, transfer_syntax: &str) -> Vec<u8> {
        let meta = FileMetaTableBuilder::new().transfer_syntax(transfer_syntax);
        let mut bytes = Vec::new();
        object.clone().with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        bytes
    }

    /// What follows the header of an explicit VR little endian file without elements.
    fn explicit(elements: &[u8]) -> Result<Part10, FormatError> {
        let mut bytes =
            file(&InMemDicomObject::from_element_iter(sample().into_iter().filter(|_| false)), "1.2.840.10008.1.2.1");
        bytes.extend_from_slice(elements);
        Part10::from_bytes(bytes, Keep::All)
    }

    #[test]
    fn every_native_encoding_gives_the_same_data_set_and_the_same_pixels() {
        for syntax in [
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            EXPLICIT_VR_BIG_ENDIAN,
            uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        ] {
            let part10 = Part10::from_bytes(file(&sample(), syntax), Keep::All).unwrap();
            assert_eq!(part10.transfer_syntax.as_str(), syntax);
            for element in sample().into_iter().filter(|element| element.header().tag != tags::PIXEL_DATA) {
                let found = part10.object.get(element.header().tag).unwrap();
                assert_eq!(found.vr(), element.vr(), "{syntax}");
                assert_eq!(format!("{:?}", found.value()), format!("{:?}", element.value()), "{syntax}");
            }
            let stored = part10.pixels.unwrap();
            let pixels = stored.location;
            assert_eq!((pixels.tag, pixels.length), (tags::PIXEL_DATA, Some(8)));
            let mut bytes = [0; 8];
            stored.read_at(pixels.offset, &mut bytes).unwrap();
            let expected = if pixels.big_endian { [0, 1, 0, 2, 0, 3, 0, 4] } else { [1, 0, 2, 0, 3, 0, 4, 0] };
            assert_eq!(bytes, expected, "{syntax}");
        }
    }

    #[test]
    fn a_file_cut_anywhere_in_its_header_is_refused_or_has_no_pixels() {
        for syntax in [uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN] {
            let whole = file(&sample(), syntax);
            let pixels = Part10::from_bytes(whole.clone(), Keep::All).unwrap().pixels.unwrap().location;
            for length in 0..usize::try_from(pixels.offset).unwrap() {
                if let Ok(cut) = Part10::from_bytes(whole[..length].to_vec(), Keep::All) {
                    assert!(cut.pixels.is_none(), "{syntax} cut at {length}");
                }
                let _ = Part10::from_bytes(whole[..length].to_vec(), Keep::Facts);
            }
        }
    }

    #[test]
    fn a_length_beyond_the_end_of_the_file_is_refused_before_anything_is_allocated() {
        // Four gigabytes of (0008,0008) in a file of a few hundred bytes.
        let error = explicit(b"\x08\x00\x08\x00UT\0\0\xF0\xFF\xFF\xFF").unwrap_err();
        assert_eq!(error.to_string(), "the data set ends inside ImageType (0008,0008)");
    }

    #[test]
    fn sequences_nested_without_end_are_refused() {
        let mut bytes = Vec::new();
        for _ in 0..100_000 {
            bytes.extend_from_slice(b"\x40\x00\x30\xA7SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF");
        }
        assert!(matches!(explicit(&bytes), Err(FormatError::TooLarge(_))));
    }

    #[test]
    fn values_and_sequences_under_vr_un_are_read_by_the_standard() {
        let mut bytes = b"\x28\x00\x10\x00UN\0\0\x02\0\0\0\x00\x02".to_vec();
        // A sequence under UN with undefined length: implicit VR inside (PS3.5 6.2.2, note 2).
        bytes.extend_from_slice(b"\x40\x00\x08\xA1UN\0\0\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF");
        bytes.extend_from_slice(b"\x08\x00\x00\x01\x02\0\0\0mm\xFE\xFF\x0D\xE0\0\0\0\0\xFE\xFF\xDD\xE0\0\0\0\0");
        let object = explicit(&bytes).unwrap().object;
        assert_eq!(attributes::count(&object, tags::ROWS), Ok(Some(512)));
        let item = attributes::first_item(&object, Tag(0x0040, 0xA108)).unwrap();
        assert_eq!(attributes::text(item, tags::CODE_VALUE), "mm");
    }

    #[test]
    fn implicit_elements_under_an_explicit_transfer_syntax_are_read() {
        let object = explicit(b"\x08\x00\x60\x00\x02\0\0\0CT\x28\x00\x10\x00\x02\0\0\0\x00\x02").unwrap().object;
        assert_eq!(attributes::text(&object, tags::MODALITY), "CT");
        assert_eq!(attributes::count(&object, tags::ROWS), Ok(Some(512)));
    }

    #[test]
    fn facts_leave_out_what_is_large() {
        let mut object = sample();
        let contour = item(tags::CONTOUR_DATA, VR::DS, "1\\2\\3".into());
        let items = DataSetSequence::new(vec![contour], Length::UNDEFINED);
        object.put(DataElement::new_with_len(tags::ROI_CONTOUR_SEQUENCE, VR::SQ, Length::UNDEFINED, items));
        object.put(DataElement::new(tags::ICC_PROFILE, VR::OB, PrimitiveValue::U8(smallvec![0; 10_000])));
        let bytes = file(&object, uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let all = Part10::from_bytes(bytes.clone(), Keep::All).unwrap().object;
        let facts = Part10::from_bytes(bytes, Keep::Facts).unwrap().object;
        for tag in [tags::ROI_CONTOUR_SEQUENCE, tags::ICC_PROFILE] {
            assert!(all.get(tag).is_some() && facts.get(tag).is_none());
        }
        assert_eq!(attributes::text(&facts, tags::SERIES_DESCRIPTION), "Schädel");
    }
}

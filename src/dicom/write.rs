//! Building and encoding DICOM objects: elements with the right VR, decimal strings, Part-10 files.
//!
//! The VR of an element is the data dictionary's (PS3.6), never the caller's. Text goes in as Rust strings and is encoded
//! by the object's own Specific Character Set (0008,0005). Explicit VR Little Endian is encoded here, with defined lengths
//! (PS3.5 7.5.1): a Structured Report of short items is a sixth smaller than with delimiters, and every toolkit reads it.

use dicom_core::header::Header;
use dicom_core::value::{C, DataSetSequence};
use dicom_core::{DataDictionary, DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_encoding::encode::EncoderFor;
use dicom_encoding::encode::implicit_le::ImplicitVRLittleEndianEncoder;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use dicom_object::mem::InMemElement;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use jiff::tz::Offset;

use super::uid::Uid;
use crate::clock::Timestamp;
use crate::error::{Duty, Fault, Retry};

/// Implementation Class UID (0002,0012): one for the product, whatever its version.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.224093751389117350274919526405180936113";

/// Implementation Version Name (0002,0013), at most 16 characters.
pub const IMPLEMENTATION_VERSION_NAME: &str =
    concat!("RADIOMICSD_", env!("CARGO_PKG_VERSION_MAJOR"), "_", env!("CARGO_PKG_VERSION_MINOR"));

/// Why an object could not be built or encoded.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A decimal string cannot hold it.
    #[error("the value {0} is not a number that a decimal string can hold, expected a finite one")]
    NotFinite(f64),
    /// A character that the object's character set does not have.
    #[error("element {0} holds text that the object's character set cannot encode")]
    Text(Tag),
    /// A value in a form that its VR does not allow.
    #[error("element {tag} has VR {vr} and a value of another kind")]
    Kind {
        /// Which element.
        tag: Tag,
        /// Its VR.
        vr: VR,
    },
    /// A value longer than its length field can say.
    #[error("the value of element {0} is longer than its length field can say")]
    TooLong(Tag),
    /// SOP Class UID or SOP Instance UID is not there.
    #[error("the object has no {0}, a file cannot be made of it")]
    Missing(&'static str),
    /// The library refused.
    #[error("the object cannot be encoded: {0}")]
    Library(String),
}

impl Duty for WriteError {
    fn fault(&self) -> Fault {
        Fault::Internal
    }
    fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// The data dictionary's VR of an element; `UN` for one that it does not know.
#[must_use]
pub fn vr_of(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr.relaxed())
}

/// Puts one text value, of whatever text VR the element has.
pub fn put_text(object: &mut InMemDicomObject, tag: Tag, value: impl Into<String>) {
    object.put(InMemElement::new(tag, vr_of(tag), PrimitiveValue::Str(value.into())));
}

/// Puts several text values (VM above 1).
pub fn put_texts(object: &mut InMemDicomObject, tag: Tag, values: impl IntoIterator<Item = String>) {
    let values: C<String> = values.into_iter().collect();
    object.put(InMemElement::new(tag, vr_of(tag), PrimitiveValue::Strs(values)));
}

/// Puts an element without a value, as type 2 allows.
pub fn put_empty(object: &mut InMemDicomObject, tag: Tag) {
    match vr_of(tag) {
        VR::SQ => put_items(object, tag, Vec::new()),
        vr => {
            object.put(InMemElement::new(tag, vr, PrimitiveValue::Empty));
        }
    }
}

/// Puts a UID.
pub fn put_uid(object: &mut InMemDicomObject, tag: Tag, uid: &Uid) {
    put_text(object, tag, uid.as_str());
}

/// Puts decimal strings (DS), each of at most 16 characters.
///
/// # Errors
/// When a value is not finite.
pub fn put_decimals(object: &mut InMemDicomObject, tag: Tag, values: &[f64]) -> Result<(), WriteError> {
    let values: C<String> = values.iter().map(|value| decimal_string(*value)).collect::<Result<_, _>>()?;
    object.put(InMemElement::new(tag, vr_of(tag), PrimitiveValue::Strs(values)));
    Ok(())
}

/// Puts an integer string (IS).
pub fn put_integer(object: &mut InMemDicomObject, tag: Tag, value: i32) {
    put_text(object, tag, value.to_string());
}

/// Puts unsigned 16-bit values (US, or OW for pixel data).
pub fn put_u16s(object: &mut InMemDicomObject, tag: Tag, values: impl IntoIterator<Item = u16>) {
    object.put(InMemElement::new(tag, vr_of(tag), PrimitiveValue::U16(values.into_iter().collect())));
}

/// Puts signed 16-bit values (SS, or US where the dictionary leaves the choice and none is negative).
pub fn put_i16s(object: &mut InMemDicomObject, tag: Tag, vr: VR, values: impl IntoIterator<Item = i16>) {
    object.put(InMemElement::new(tag, vr, PrimitiveValue::I16(values.into_iter().collect())));
}

/// Puts unsigned 32-bit values (UL).
pub fn put_u32s(object: &mut InMemDicomObject, tag: Tag, values: impl IntoIterator<Item = u32>) {
    object.put(InMemElement::new(tag, vr_of(tag), PrimitiveValue::U32(values.into_iter().collect())));
}

/// Puts 32-bit floats (FL, OF).
pub fn put_f32s(object: &mut InMemDicomObject, tag: Tag, values: impl IntoIterator<Item = f32>) {
    object.put(InMemElement::new(tag, vr_of(tag), PrimitiveValue::F32(values.into_iter().collect())));
}

/// Puts 64-bit floats (FD).
pub fn put_f64s(object: &mut InMemDicomObject, tag: Tag, values: impl IntoIterator<Item = f64>) {
    object.put(InMemElement::new(tag, vr_of(tag), PrimitiveValue::F64(values.into_iter().collect())));
}

/// Puts bytes (OB; the caller says the VR, because pixel data may be OB or OW).
pub fn put_bytes(object: &mut InMemDicomObject, tag: Tag, vr: VR, bytes: Vec<u8>) {
    object.put(InMemElement::new(tag, vr, PrimitiveValue::U8(bytes.into())));
}

/// Puts an attribute tag (AT), such as a dimension index pointer.
pub fn put_tag(object: &mut InMemDicomObject, tag: Tag, value: Tag) {
    object.put(InMemElement::new(tag, vr_of(tag), PrimitiveValue::Tags(C::from_elem(value, 1))));
}

/// Puts a sequence.
pub fn put_items(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

/// Puts a date and a time, as the wall clock `offset` shows them.
pub fn put_date_time(object: &mut InMemDicomObject, date: Tag, time: Tag, at: Timestamp, offset: Offset) {
    put_text(object, date, date_text(at, offset));
    put_text(object, time, time_text(at, offset));
}

/// A DA value: `YYYYMMDD`.
#[must_use]
pub fn date_text(at: Timestamp, offset: Offset) -> String {
    let local = offset.to_datetime(at);
    format!("{:04}{:02}{:02}", local.year(), local.month(), local.day())
}

/// A TM value: `HHMMSS.FFFFFF`, or `HHMMSS` on a whole second.
#[must_use]
pub fn time_text(at: Timestamp, offset: Offset) -> String {
    let local = offset.to_datetime(at);
    let whole = format!("{:02}{:02}{:02}", local.hour(), local.minute(), local.second());
    match local.subsec_nanosecond() / 1000 {
        0 => whole,
        microseconds => format!("{whole}.{microseconds:06}"),
    }
}

/// A DT value with its offset from UTC, so that it means one instant everywhere.
#[must_use]
pub fn date_time_text(at: Timestamp, offset: Offset) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
    format!("{}{}{sign}{hours:02}{minutes:02}", date_text(at, offset), time_text(at, offset))
}

/// An item that names an instance: Referenced SOP Class UID and Referenced SOP Instance UID (PS3.3 10.8).
#[must_use]
pub fn reference_item(sop_class: &Uid, sop_instance: &Uid) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    put_uid(&mut item, tags::REFERENCED_SOP_CLASS_UID, sop_class);
    put_uid(&mut item, tags::REFERENCED_SOP_INSTANCE_UID, sop_instance);
    item
}

/// A decimal string (DS, PS3.5 6.2): at most 16 characters, as many significant digits as fit.
///
/// The shortest text that gives back the same `f64` is used where it fits; else the closest number that fits, in fixed
/// or in exponent notation, whichever keeps more digits.
///
/// # Errors
/// When the value is not finite.
pub fn decimal_string(value: f64) -> Result<String, WriteError> {
    const MAX_CHARACTERS: usize = 16;
    if !value.is_finite() {
        return Err(WriteError::NotFinite(value));
    }
    if value.abs() < f64::MIN_POSITIVE {
        return Ok("0".to_owned());
    }
    for exact in [format!("{value}"), format!("{value:e}")] {
        if exact.len() <= MAX_CHARACTERS {
            return Ok(exact);
        }
    }
    for digits in (0..16usize).rev() {
        let exponent = format!("{value:.digits$e}");
        let magnitude = exponent.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
        let decimals = usize::try_from(i32::try_from(digits).unwrap_or(0) - magnitude);
        let fixed = decimals.map(|decimals| format!("{value:.decimals$}"));
        if let Some(text) = fixed.ok().filter(|text| text.len() <= MAX_CHARACTERS) {
            return Ok(text);
        }
        if exponent.len() <= MAX_CHARACTERS {
            return Ok(exponent);
        }
    }
    Err(WriteError::NotFinite(value))
}

/// Text as a value of a VR that forbids backslash and control characters and has a maximum length (LO: 64, SH: 16).
#[must_use]
pub fn plain_text(text: &str, max_characters: usize) -> String {
    let plain: String = text
        .chars()
        .map(|c| {
            if c == '\\' {
                '/'
            } else if c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect();
    plain.trim().chars().take(max_characters).collect::<String>().trim_end().to_owned()
}

/// A whole Part-10 file (PS3.10 7): preamble, file meta information with our implementation identification, data set.
///
/// # Errors
/// When the object names no SOP class or instance, holds text that its character set cannot encode, or the transfer
/// syntax cannot be written.
pub fn part10(object: &InMemDicomObject, transfer_syntax: &str) -> Result<Vec<u8>, WriteError> {
    let text_of = |tag, name| {
        let value = object.get(tag).and_then(|element| element.to_str().ok());
        value.filter(|uid| !uid.is_empty()).map(|uid| uid.into_owned()).ok_or(WriteError::Missing(name))
    };
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(text_of(tags::SOP_CLASS_UID, "SOP Class UID")?)
        .media_storage_sop_instance_uid(text_of(tags::SOP_INSTANCE_UID, "SOP Instance UID")?)
        .transfer_syntax(transfer_syntax)
        .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
        .implementation_version_name(IMPLEMENTATION_VERSION_NAME);
    let library = |error: &dyn std::error::Error| WriteError::Library(error.to_string());
    let meta = meta.build().map_err(|error| library(&error))?;
    let mut file = Vec::new();
    let encapsulated =
        matches!(object.get(tags::PIXEL_DATA).map(|e| e.value()), Some(dicom_core::DicomValue::PixelSequence(_)));
    if transfer_syntax == uids::EXPLICIT_VR_LITTLE_ENDIAN && !encapsulated {
        file.extend_from_slice(&[0; 128]);
        file.extend_from_slice(b"DICM");
        meta.write(&mut file).map_err(|error| library(&error))?;
        encode_data_set(object, &character_set(object), &mut file)?;
    } else {
        object.clone().with_exact_meta(meta).write_all(&mut file).map_err(|error| library(&error))?;
    }
    Ok(file)
}

/// A data set by itself, as in a message, in an uncompressed little endian transfer syntax.
///
/// # Errors
/// When it holds text that its character set cannot encode, or the transfer syntax is another.
pub fn data_set(object: &InMemDicomObject, transfer_syntax: &Uid) -> Result<Vec<u8>, WriteError> {
    let library = |error: &dyn std::error::Error| WriteError::Library(error.to_string());
    let mut bytes = Vec::new();
    match transfer_syntax.as_str() {
        uids::EXPLICIT_VR_LITTLE_ENDIAN => encode_data_set(object, &character_set(object), &mut bytes)?,
        uids::IMPLICIT_VR_LITTLE_ENDIAN => {
            let encoder = EncoderFor::new(ImplicitVRLittleEndianEncoder::default());
            object.write_dataset(&mut bytes, encoder).map_err(|error| library(&error))?;
        }
        _ => return Err(WriteError::Library("a message in another transfer syntax".to_owned())),
    }
    Ok(bytes)
}

fn character_set(object: &InMemDicomObject) -> SpecificCharacterSet {
    let name = object.get(tags::SPECIFIC_CHARACTER_SET).and_then(|element| element.to_multi_str().ok());
    let name = name.and_then(|names| names.first().cloned());
    name.and_then(|name| SpecificCharacterSet::from_code(&name)).unwrap_or_default()
}

/// Explicit VR Little Endian with defined lengths.
fn encode_data_set(
    object: &InMemDicomObject,
    charset: &SpecificCharacterSet,
    out: &mut Vec<u8>,
) -> Result<(), WriteError> {
    for element in object.iter().filter(|element| element.tag().element() != 0) {
        encode_element(element, charset, out)?;
    }
    Ok(())
}

fn encode_element(element: &InMemElement, charset: &SpecificCharacterSet, out: &mut Vec<u8>) -> Result<(), WriteError> {
    let (tag, vr) = (element.tag(), element.vr());
    out.extend_from_slice(&tag.group().to_le_bytes());
    out.extend_from_slice(&tag.element().to_le_bytes());
    out.extend_from_slice(&vr.to_bytes());
    let short = matches!(
        vr,
        VR::AE
            | VR::AS
            | VR::AT
            | VR::CS
            | VR::DA
            | VR::DS
            | VR::DT
            | VR::FL
            | VR::FD
            | VR::IS
            | VR::LO
            | VR::LT
            | VR::PN
            | VR::SH
            | VR::SL
            | VR::SS
            | VR::ST
            | VR::TM
            | VR::UI
            | VR::UL
            | VR::US
    );
    out.extend_from_slice(if short { &[0; 2] } else { &[0; 6] });
    let start = out.len();
    match element.items() {
        Some(items) => {
            for item in items {
                out.extend_from_slice(&[0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0]);
                let item_start = out.len();
                encode_data_set(item, charset, out)?;
                put_length(out, item_start, 4, tag)?;
            }
        }
        None => encode_value(element, charset, out)?,
    }
    if (out.len() - start) % 2 == 1 {
        let blank = !matches!(vr, VR::UI | VR::OB | VR::UN);
        out.push(if blank { b' ' } else { 0 });
    }
    put_length(out, start, if short { 2 } else { 4 }, tag)
}

/// Writes how many bytes follow `start` into the length field that ends there.
fn put_length(out: &mut [u8], start: usize, field: usize, tag: Tag) -> Result<(), WriteError> {
    let length = u32::try_from(out.len() - start).ok().filter(|length| field == 4 || *length <= u32::from(u16::MAX));
    let bytes = length.filter(|length| *length != u32::MAX).ok_or(WriteError::TooLong(tag))?.to_le_bytes();
    if let (Some(to), Some(from)) = (out.get_mut(start - field..start), bytes.get(..field)) {
        to.copy_from_slice(from);
    }
    Ok(())
}

fn encode_value(element: &InMemElement, charset: &SpecificCharacterSet, out: &mut Vec<u8>) -> Result<(), WriteError> {
    let (tag, vr) = (element.tag(), element.vr());
    let value = element.value().primitive().ok_or(WriteError::Kind { tag, vr })?;
    match value {
        PrimitiveValue::Empty => {}
        PrimitiveValue::U8(bytes) => out.extend_from_slice(bytes),
        PrimitiveValue::F64(values) if vr == VR::DS => {
            let texts = values.iter().map(|value| decimal_string(*value)).collect::<Result<Vec<_>, _>>()?;
            out.extend_from_slice(texts.join("\\").as_bytes());
        }
        _ if is_text(vr) => {
            let text = value.to_raw_str();
            if text.is_ascii() {
                out.extend_from_slice(text.as_bytes());
            } else {
                out.extend_from_slice(&charset.encode(&text).map_err(|_| WriteError::Text(tag))?);
            }
        }
        PrimitiveValue::I16(values) => values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        PrimitiveValue::U16(values) => values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        PrimitiveValue::I32(values) => values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        PrimitiveValue::U32(values) => values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        PrimitiveValue::I64(values) => values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        PrimitiveValue::U64(values) => values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        PrimitiveValue::F32(values) => values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        PrimitiveValue::F64(values) => values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        PrimitiveValue::Tags(values) => values.iter().for_each(|tag| {
            out.extend_from_slice(&tag.group().to_le_bytes());
            out.extend_from_slice(&tag.element().to_le_bytes());
        }),
        _ => return Err(WriteError::Kind { tag, vr }),
    }
    Ok(())
}

fn is_text(vr: VR) -> bool {
    matches!(
        vr,
        VR::AE
            | VR::AS
            | VR::CS
            | VR::DA
            | VR::DS
            | VR::DT
            | VR::IS
            | VR::LO
            | VR::LT
            | VR::PN
            | VR::SH
            | VR::ST
            | VR::TM
            | VR::UC
            | VR::UI
            | VR::UR
            | VR::UT
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_object::OpenFileOptions;
    use proptest::prelude::*;

    fn sample() -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        put_text(&mut object, tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
        put_text(&mut object, tags::SOP_CLASS_UID, uids::COMPREHENSIVE3_DSR_STORAGE);
        put_uid(&mut object, tags::SOP_INSTANCE_UID, &Uid::derived(&["sample"]));
        put_text(&mut object, tags::PATIENT_NAME, "Grün^Jürgen=山田^太郎");
        put_decimals(&mut object, tags::IMAGE_POSITION_PATIENT, &[-1.0 / 3.0, 1e-20, 1234567.0]).unwrap();
        put_f64s(&mut object, tags::FLOATING_POINT_VALUE, [0.1]);
        put_u16s(&mut object, tags::ROWS, [513]);
        put_bytes(&mut object, tags::PIXEL_DATA, VR::OB, vec![1, 2, 3]);
        let mut inner = reference_item(&Uid::derived(&["class"]), &Uid::derived(&["instance"]));
        put_empty(&mut inner, tags::DERIVATION_IMAGE_SEQUENCE);
        put_items(&mut object, tags::REFERENCED_SOP_SEQUENCE, vec![inner, InMemDicomObject::new_empty()]);
        object
    }

    #[test]
    fn what_was_put_is_read_back_from_the_file() {
        for syntax in [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN] {
            let bytes = part10(&sample(), syntax).unwrap();
            let file = OpenFileOptions::new().from_reader(&bytes[..]).unwrap();
            assert_eq!(file.meta().implementation_class_uid(), IMPLEMENTATION_CLASS_UID);
            assert_eq!(file.meta().media_storage_sop_class_uid(), uids::COMPREHENSIVE3_DSR_STORAGE);
            assert_eq!(file.element(tags::PATIENT_NAME).unwrap().to_str().unwrap(), "Grün^Jürgen=山田^太郎");
            let position = file.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap();
            assert!((position[0] + 1.0 / 3.0).abs() < 1e-13);
            assert_eq!(
                file.element(tags::FLOATING_POINT_VALUE).unwrap().to_float64().unwrap().to_bits(),
                0.1f64.to_bits()
            );
            assert_eq!(file.element(tags::ROWS).unwrap().to_int::<u32>().unwrap(), 513);
            assert_eq!(file.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap()[..3], [1, 2, 3]);
            let items = file.element(tags::REFERENCED_SOP_SEQUENCE).unwrap().items().unwrap();
            assert_eq!(items.len(), 2);
            assert_eq!(items[0].element(tags::DERIVATION_IMAGE_SEQUENCE).unwrap().items().unwrap().len(), 0);
        }
    }

    #[test]
    fn a_latin_object_is_encoded_in_its_own_character_set() {
        let mut object = sample();
        put_text(&mut object, tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100");
        put_text(&mut object, tags::PATIENT_NAME, "Grün^Jürgen");
        let bytes = part10(&object, uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
        assert!(bytes.windows(4).any(|w| w == b"Gr\xfcn"));
        put_text(&mut object, tags::PATIENT_NAME, "山田");
        assert!(matches!(part10(&object, uids::EXPLICIT_VR_LITTLE_ENDIAN), Err(WriteError::Text(_))));
    }

    #[test]
    fn the_implementation_identification_fits_its_value_representations() {
        assert!(Uid::parse(IMPLEMENTATION_CLASS_UID).is_ok());
        assert!(IMPLEMENTATION_VERSION_NAME.len() <= 16);
    }

    #[test]
    fn an_object_without_a_sop_class_is_no_file() {
        let empty = InMemDicomObject::new_empty();
        assert!(matches!(part10(&empty, uids::EXPLICIT_VR_LITTLE_ENDIAN), Err(WriteError::Missing("SOP Class UID"))));
    }

    #[test]
    fn decimal_strings_keep_every_digit_that_fits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (42.0, "42"),
            (-0.125, "-0.125"),
            (1e300, "1e300"),
            (378_662.179_388_313_5, "378662.179388313"),
            (0.008_045_566_169_199_24, "0.00804556616920"),
            (-1.234_567_890_123_456_7e-100, "-1.23456789e-100"),
        ] {
            assert_eq!(decimal_string(value).unwrap(), text);
        }
        assert!(decimal_string(f64::NAN).is_err() && decimal_string(f64::INFINITY).is_err());
    }

    proptest! {
        #[test]
        fn a_decimal_string_is_short_and_close(value in prop::num::f64::NORMAL) {
            let text = decimal_string(value).unwrap();
            prop_assert!(text.len() <= 16);
            let back: f64 = text.parse().unwrap();
            prop_assert!((back - value).abs() <= 1e-8 * value.abs(), "{text} for {value}");
        }
    }

    #[test]
    fn dates_and_times_are_those_of_the_wall_clock() {
        let at: Timestamp = "2026-11-23T23:59:30.25Z".parse().unwrap();
        let kathmandu = Offset::from_seconds(20_700).unwrap();
        assert_eq!(date_text(at, kathmandu), "20261124");
        assert_eq!(time_text(at, kathmandu), "054430.250000");
        assert_eq!(date_time_text(at, kathmandu), "20261124054430.250000+0545");
        assert_eq!(date_time_text(at, Offset::from_seconds(-12_600).unwrap()), "20261123202930.250000-0330");
        assert_eq!(time_text("2026-11-23T01:02:03Z".parse().unwrap(), Offset::UTC), "010203");
    }

    #[test]
    fn plain_text_has_no_backslash_no_control_character_and_the_right_length() {
        assert_eq!(plain_text(" GTV\\1\n left ", 64), "GTV/1  left");
        assert_eq!(plain_text(&"é".repeat(70), 64).chars().count(), 64);
    }
}

//! Typed, tolerant readers of attributes.
//!
//! Real archives hold numbers as text with blanks, NULs, decimal commas and more than 16 characters, values under VR UN,
//! and multi-valued text where one value is allowed. These readers take what can be understood without doubt and refuse the
//! rest; an error names the attribute, what was found and what was expected. A value is repeated in an error only where
//! the attribute's VR is a number: text may name a patient.

use std::borrow::Cow;

use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{DataDictionary, Tag, VR, dictionary::DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use dicom_object::InMemDicomObject;

use super::uid::{Uid, UidError};

/// Why an attribute cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AttributeError {
    /// Not there, or without a value.
    #[error("{} is absent or empty, expected {expected}", Named(*tag))]
    Missing {
        /// Which attribute.
        tag: Tag,
        /// What was expected.
        expected: &'static str,
    },
    /// Not a number.
    #[error("{} holds text of {length} characters that is no number, expected {expected}", Named(*tag))]
    NotANumber {
        /// Which attribute.
        tag: Tag,
        /// How long the text is; the text itself may be about a patient.
        length: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// Another number of values.
    #[error("{} holds {found} values, expected {expected}", Named(*tag))]
    Count {
        /// Which attribute.
        tag: Tag,
        /// How many there are.
        found: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// A number that cannot be.
    #[error("{} is {found}, expected {expected}", Named(*tag))]
    Range {
        /// Which attribute.
        tag: Tag,
        /// The value.
        found: f64,
        /// What was expected.
        expected: &'static str,
    },
    /// Not a UID.
    #[error("{}: {error}", Named(*tag))]
    Uid {
        /// Which attribute.
        tag: Tag,
        /// Why.
        error: UidError,
    },
}

impl AttributeError {
    /// The attribute it is about.
    #[must_use]
    pub fn tag(&self) -> Tag {
        match self {
            Self::Missing { tag, .. }
            | Self::NotANumber { tag, .. }
            | Self::Count { tag, .. }
            | Self::Range { tag, .. }
            | Self::Uid { tag, .. } => *tag,
        }
    }
}

/// Shows a tag as people look it up: `RescaleSlope (0028,1053)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named(pub Tag);

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tag(group, element) = self.0;
        match StandardDataDictionary.by_tag(self.0) {
            Some(entry) => write!(f, "{} ({group:04X},{element:04X})", entry.alias()),
            None => write!(f, "({group:04X},{element:04X})"),
        }
    }
}

/// The value as text, several values joined by a backslash; empty where absent. Padding is removed from each value.
#[must_use]
pub fn text(object: &InMemDicomObject, tag: Tag) -> String {
    let raw = raw_text(object, tag);
    if !raw.contains('\\') {
        return trim(&raw).to_owned();
    }
    raw.split('\\').map(trim).collect::<Vec<_>>().join("\\")
}

/// The values as text, padding removed; none where absent or empty.
#[must_use]
pub fn texts(object: &InMemDicomObject, tag: Tag) -> Vec<String> {
    let raw = raw_text(object, tag);
    if trim(&raw).is_empty() { Vec::new() } else { raw.split('\\').map(|value| trim(value).to_owned()).collect() }
}

/// The first value as text in upper case: for code strings (CS), which some writers put in lower case.
#[must_use]
pub fn code_string(object: &InMemDicomObject, tag: Tag) -> String {
    let raw = raw_text(object, tag);
    trim(raw.split('\\').next().unwrap_or_default()).to_ascii_uppercase()
}

/// All values as numbers; empty where the attribute is absent or empty.
///
/// # Errors
/// When a value is no finite number.
pub fn numbers(object: &InMemDicomObject, tag: Tag) -> Result<Vec<f64>, AttributeError> {
    let Some(Value::Primitive(value)) = object.get(tag).map(|element| element.value()) else {
        return Ok(Vec::new());
    };
    let values = match value {
        PrimitiveValue::Empty => Vec::new(),
        PrimitiveValue::Strs(texts) if texts.iter().all(|text| trim(text).is_empty()) => Vec::new(),
        PrimitiveValue::Strs(texts) => {
            texts.iter().map(|text| parse_number(text, tag)).collect::<Result<Vec<_>, _>>()?
        }
        PrimitiveValue::Str(text) => parse_numbers(text, tag)?,
        PrimitiveValue::U8(bytes) => numbers_of_unknown(bytes, tag)?,
        PrimitiveValue::F32(values) => values.iter().map(|v| f64::from(*v)).collect(),
        PrimitiveValue::F64(values) => values.to_vec(),
        PrimitiveValue::U16(values) => values.iter().map(|v| f64::from(*v)).collect(),
        PrimitiveValue::I16(values) => values.iter().map(|v| f64::from(*v)).collect(),
        PrimitiveValue::U32(values) => values.iter().map(|v| f64::from(*v)).collect(),
        PrimitiveValue::I32(values) => values.iter().map(|v| f64::from(*v)).collect(),
        other => parse_numbers(&other.to_str(), tag)?,
    };
    match values.iter().find(|v| !v.is_finite()) {
        Some(found) => Err(AttributeError::Range { tag, found: *found, expected: "a finite number" }),
        None => Ok(values),
    }
}

/// One number, or `None` where the attribute is absent or empty. Of several values the first counts.
///
/// # Errors
/// When there is a value that is no finite number.
pub fn number(object: &InMemDicomObject, tag: Tag) -> Result<Option<f64>, AttributeError> {
    Ok(numbers(object, tag)?.first().copied())
}

/// One number that must be there.
///
/// # Errors
/// When it is absent, empty or no finite number.
pub fn required_number(object: &InMemDicomObject, tag: Tag) -> Result<f64, AttributeError> {
    number(object, tag)?.ok_or(AttributeError::Missing { tag, expected: "a number" })
}

/// Exactly `N` numbers, or `None` where the attribute is absent or empty.
///
/// # Errors
/// When there are fewer or more, or one is no finite number.
pub fn array<const N: usize>(object: &InMemDicomObject, tag: Tag) -> Result<Option<[f64; N]>, AttributeError> {
    let values = numbers(object, tag)?;
    if values.is_empty() {
        return Ok(None);
    }
    let expected = match N {
        2 => "2 values",
        3 => "3 values",
        6 => "6 values",
        16 => "16 values",
        _ => "another number of values",
    };
    <[f64; N]>::try_from(values.as_slice()).map(Some).map_err(|_| AttributeError::Count {
        tag,
        found: values.len(),
        expected,
    })
}

/// A whole number that is not negative, or `None` where the attribute is absent or empty.
///
/// # Errors
/// When it is no number, or not a whole one from 0 to 2^32 - 1.
pub fn count(object: &InMemDicomObject, tag: Tag) -> Result<Option<u32>, AttributeError> {
    let Some(value) = number(object, tag)? else { return Ok(None) };
    if value.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&value) {
        return Err(AttributeError::Range { tag, found: value, expected: "a whole number from 0 to 4294967295" });
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Checked above.
    Ok(Some(value as u32))
}

/// A UID, or `None` where the attribute is absent or empty.
///
/// # Errors
/// When it is malformed.
pub fn uid(object: &InMemDicomObject, tag: Tag) -> Result<Option<Uid>, AttributeError> {
    let raw = raw_text(object, tag);
    match trim(&raw) {
        "" => Ok(None),
        text => Uid::parse(text).map(Some).map_err(|error| AttributeError::Uid { tag, error }),
    }
}

/// A UID that must be there.
///
/// # Errors
/// When it is absent, empty or malformed.
pub fn required_uid(object: &InMemDicomObject, tag: Tag) -> Result<Uid, AttributeError> {
    uid(object, tag)?.ok_or(AttributeError::Missing { tag, expected: "a UID" })
}

/// The items of a sequence; none where it is absent, empty or no sequence.
#[must_use]
pub fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|element| element.items()).unwrap_or_default()
}

/// The first item of a sequence.
#[must_use]
pub fn first_item(object: &InMemDicomObject, tag: Tag) -> Option<&InMemDicomObject> {
    items(object, tag).first()
}

/// Whether the attribute is there with a value.
#[must_use]
pub fn has_value(object: &InMemDicomObject, tag: Tag) -> bool {
    object.get(tag).is_some_and(|element| match element.value() {
        Value::Primitive(PrimitiveValue::Empty) => false,
        Value::Primitive(PrimitiveValue::Str(text)) => !trim(text).is_empty(),
        Value::Primitive(PrimitiveValue::Strs(texts)) => texts.iter().any(|text| !trim(text).is_empty()),
        Value::Primitive(_) => true,
        Value::Sequence(sequence) => !sequence.items().is_empty(),
        Value::PixelSequence(_) => true,
    })
}

/// A date and a time as one text `YYYYMMDDHHMMSS.ffffff`: comparable as text. Empty without a date; a missing time is
/// midnight. Dates of the retired form `YYYY.MM.DD` and times of the form `HH:MM:SS` are taken as well.
#[must_use]
pub fn date_time_text(object: &InMemDicomObject, date: Tag, time: Tag) -> String {
    let digits = |tag| raw_text(object, tag).chars().filter(char::is_ascii_digit).collect::<String>();
    let date = digits(date);
    if date.len() != 8 {
        return String::new();
    }
    let raw = raw_text(object, time);
    let raw = trim(&raw);
    let (whole, fraction) = raw.split_once('.').unwrap_or((raw, ""));
    let whole: String = whole.chars().filter(char::is_ascii_digit).take(6).collect();
    let fraction: String = fraction.chars().take_while(char::is_ascii_digit).take(6).collect();
    format!("{date}{whole:0<6}.{fraction:0<6}")
}

/// Removes what pads values: blanks and NULs on both sides. (Leading blanks are significant in ST, LT and UT only, which no
/// caller compares.)
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\0')
}

/// The text as it is stored, values joined by a backslash.
fn raw_text(object: &InMemDicomObject, tag: Tag) -> Cow<'_, str> {
    let Some(Value::Primitive(value)) = object.get(tag).map(|element| element.value()) else {
        return Cow::Borrowed("");
    };
    match value {
        PrimitiveValue::Empty => Cow::Borrowed(""),
        PrimitiveValue::Str(text) => Cow::Borrowed(text),
        PrimitiveValue::Strs(texts) if texts.len() == 1 => Cow::Borrowed(texts[0].as_str()),
        PrimitiveValue::Strs(texts) => Cow::Owned(texts.join("\\")),
        PrimitiveValue::U8(bytes) if is_text(dictionary_vr(tag)) => String::from_utf8_lossy(bytes),
        PrimitiveValue::U8(_) => Cow::Borrowed(""),
        PrimitiveValue::F32(v) => joined(v),
        PrimitiveValue::F64(v) => joined(v),
        PrimitiveValue::U16(v) => joined(v),
        PrimitiveValue::I16(v) => joined(v),
        PrimitiveValue::U32(v) => joined(v),
        PrimitiveValue::I32(v) => joined(v),
        PrimitiveValue::U64(v) => joined(v),
        PrimitiveValue::I64(v) => joined(v),
        other => Cow::Owned(other.to_str().into_owned()),
    }
}

fn joined<T: ToString>(values: &[T]) -> Cow<'static, str> {
    Cow::Owned(values.iter().map(ToString::to_string).collect::<Vec<_>>().join("\\"))
}

/// The VR that the standard gives an attribute; UN for what it does not know.
#[must_use]
pub fn dictionary_vr(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}

const fn is_text(vr: VR) -> bool {
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

/// The numbers of a value that came as bytes under VR UN, by the standard's VR (little endian, PS3.5 6.2.2 note 2).
fn numbers_of_unknown(bytes: &[u8], tag: Tag) -> Result<Vec<f64>, AttributeError> {
    fn words<const N: usize>(bytes: &[u8], number: fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.chunks_exact(N).filter_map(|chunk| <[u8; N]>::try_from(chunk).ok()).map(number).collect()
    }
    Ok(match dictionary_vr(tag) {
        VR::US => words(bytes, |b| f64::from(u16::from_le_bytes(b))),
        VR::SS => words(bytes, |b| f64::from(i16::from_le_bytes(b))),
        VR::UL => words(bytes, |b| f64::from(u32::from_le_bytes(b))),
        VR::SL => words(bytes, |b| f64::from(i32::from_le_bytes(b))),
        VR::FL => words(bytes, |b| f64::from(f32::from_le_bytes(b))),
        VR::FD => words(bytes, f64::from_le_bytes),
        _ => parse_numbers(&String::from_utf8_lossy(bytes), tag)?,
    })
}

fn parse_numbers(text: &str, tag: Tag) -> Result<Vec<f64>, AttributeError> {
    if trim(text).is_empty() {
        return Ok(Vec::new());
    }
    text.split('\\').map(|value| parse_number(value, tag)).collect()
}

/// One DS or IS value (PS3.5 6.2): blanks and NULs around it do not count, a single comma is a decimal comma, any length.
fn parse_number(text: &str, tag: Tag) -> Result<f64, AttributeError> {
    let trimmed = trim(text);
    let refused = || AttributeError::NotANumber { tag, length: trimmed.chars().count(), expected: "a decimal number" };
    let plausible = !trimmed.is_empty()
        && trimmed.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b',' | b'e' | b'E'));
    if !plausible {
        return Err(refused());
    }
    let text = match trimmed.matches(',').count() {
        0 => Cow::Borrowed(trimmed),
        1 if !trimmed.contains('.') => Cow::Owned(trimmed.replace(',', ".")),
        _ => return Err(refused()),
    };
    text.parse().map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::smallvec::smallvec;
    use dicom_core::{DataElement, dicom_value};
    use dicom_dictionary_std::tags;

    fn with(tag: Tag, vr: VR, value: PrimitiveValue) -> InMemDicomObject {
        InMemDicomObject::from_element_iter([DataElement::new(tag, vr, value)])
    }

    #[test]
    fn decimal_strings_of_real_archives_are_understood() {
        for (text, expected) in [
            (" 1.5", 1.5),
            ("1.5\0", 1.5),
            ("1,5", 1.5),
            ("-0.12345678901234567890 ", -0.123_456_789_012_345_68),
            ("+3e-2", 0.03),
            ("7.", 7.0),
        ] {
            let object = with(tags::RESCALE_SLOPE, VR::DS, PrimitiveValue::from(text));
            assert_eq!(required_number(&object, tags::RESCALE_SLOPE), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn text_that_is_no_number_is_refused_without_repeating_it() {
        for text in ["1.2.3", "nan", "inf", "Doe^Jane", "1,000.5", "1 2", "0x10", "--1"] {
            let object = with(tags::RESCALE_SLOPE, VR::DS, PrimitiveValue::from(text));
            let error = required_number(&object, tags::RESCALE_SLOPE).unwrap_err().to_string();
            assert!(error.contains("RescaleSlope (0028,1053)") && !error.contains(text), "{error}");
        }
        let object = with(tags::RESCALE_SLOPE, VR::DS, PrimitiveValue::from("1e999"));
        assert!(required_number(&object, tags::RESCALE_SLOPE).is_err());
    }

    #[test]
    fn an_empty_value_is_absent_and_not_zero() {
        for value in [PrimitiveValue::Empty, PrimitiveValue::from(""), PrimitiveValue::from("  \0")] {
            let object = with(tags::RESCALE_SLOPE, VR::DS, value);
            assert_eq!(number(&object, tags::RESCALE_SLOPE), Ok(None));
            assert!(!has_value(&object, tags::RESCALE_SLOPE));
        }
        // But one empty value among others is a defect.
        let object = with(tags::IMAGE_POSITION_PATIENT, VR::DS, dicom_value!(Strs, ["1", "", "3"]));
        assert!(array::<3>(&object, tags::IMAGE_POSITION_PATIENT).is_err());
    }

    #[test]
    fn values_under_vr_un_are_read_by_the_standards_vr() {
        let object = with(tags::ROWS, VR::UN, PrimitiveValue::U8(smallvec![0x00, 0x02]));
        assert_eq!(count(&object, tags::ROWS), Ok(Some(512)));
        let object = with(tags::RESCALE_SLOPE, VR::UN, PrimitiveValue::U8(b"2.5 ".as_slice().into()));
        assert_eq!(number(&object, tags::RESCALE_SLOPE), Ok(Some(2.5)));
        let object = with(tags::MODALITY, VR::UN, PrimitiveValue::U8(b"CT".as_slice().into()));
        assert_eq!(text(&object, tags::MODALITY), "CT");
    }

    #[test]
    fn an_orientation_of_five_values_is_refused_with_its_count() {
        let object = with(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, PrimitiveValue::from("1\\0\\0\\0\\1"));
        let error = array::<6>(&object, tags::IMAGE_ORIENTATION_PATIENT).unwrap_err();
        assert_eq!(error.to_string(), "ImageOrientationPatient (0020,0037) holds 5 values, expected 6 values");
    }

    #[test]
    fn dates_and_times_become_comparable_text() {
        let mut object = with(tags::SERIES_DATE, VR::DA, PrimitiveValue::from("20240131"));
        assert_eq!(date_time_text(&object, tags::SERIES_DATE, tags::SERIES_TIME), "20240131000000.000000");
        object.put_str(tags::SERIES_TIME, VR::TM, "0915");
        assert_eq!(date_time_text(&object, tags::SERIES_DATE, tags::SERIES_TIME), "20240131091500.000000");
        object.put_str(tags::SERIES_TIME, VR::TM, "091501.25 ");
        assert_eq!(date_time_text(&object, tags::SERIES_DATE, tags::SERIES_TIME), "20240131091501.250000");
        object.put_str(tags::SERIES_DATE, VR::DA, "2024.01.31");
        assert_eq!(date_time_text(&object, tags::SERIES_DATE, tags::SERIES_TIME), "20240131091501.250000");
    }
}

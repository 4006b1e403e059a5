//! Coded concepts (PS3.3 8, PS3.16): the codes that our documents use, and the coding schemes they come from.

pub mod concepts;
pub mod ibsi;

use std::borrow::Cow;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::write::{plain_text, put_text};

/// A coded concept: code value, coding scheme designator, code meaning (PS3.3 8.8).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coded {
    /// Code Value (0008,0100), or Long Code Value (0008,0119) where longer than 16 characters.
    pub value: Cow<'static, str>,
    /// Coding Scheme Designator (0008,0102).
    pub scheme: Cow<'static, str>,
    /// Code Meaning (0008,0104).
    pub meaning: Cow<'static, str>,
}

impl Coded {
    /// A concept of the standard, known when this is compiled.
    #[must_use]
    pub const fn of(scheme: &'static str, value: &'static str, meaning: &'static str) -> Self {
        Self { value: Cow::Borrowed(value), scheme: Cow::Borrowed(scheme), meaning: Cow::Borrowed(meaning) }
    }

    /// A concept that came with the data. The meaning is cut to the 64 characters of its VR.
    #[must_use]
    pub fn new(value: &str, scheme: &str, meaning: &str) -> Self {
        let value = plain_text(value, 64);
        let meaning = plain_text(meaning, 64);
        let meaning = if meaning.is_empty() { value.clone() } else { meaning };
        Self { value: Cow::Owned(value), scheme: Cow::Owned(plain_text(scheme, 16)), meaning: Cow::Owned(meaning) }
    }

    /// A concept of our own scheme whose code is made from a name: the name itself where it fits the 16 characters of a
    /// code value, else its beginning and a hash of the whole, so that two names never share a code.
    #[must_use]
    pub fn own(name: &str, meaning: &str) -> Self {
        use sha2::{Digest, Sha256};
        const MAX_CHARACTERS: usize = 16;
        let fits =
            (1..=MAX_CHARACTERS).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        let value = if fits {
            name.to_owned()
        } else {
            let start: String = name.chars().filter(char::is_ascii_alphanumeric).take(7).collect();
            let digest = Sha256::digest(name.as_bytes());
            let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            format!("{start}#{hash}")
        };
        Self { scheme: Cow::Borrowed(OWN), ..Self::new(&value, OWN, meaning) }
    }

    /// The same concept: code and scheme agree. Meanings are for people and do not count.
    #[must_use]
    pub fn is(&self, other: &Coded) -> bool {
        self.value == other.value && self.scheme == other.scheme
    }
}

/// The item of a code sequence (PS3.3 8.8).
#[must_use]
pub fn code_item(code: &Coded) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    let tag = if code.value.len() <= 16 { tags::CODE_VALUE } else { tags::LONG_CODE_VALUE };
    put_text(&mut item, tag, code.value.as_ref());
    put_text(&mut item, tags::CODING_SCHEME_DESIGNATOR, code.scheme.as_ref());
    put_text(&mut item, tags::CODE_MEANING, code.meaning.as_ref());
    item
}

/// The concept that an item of a code sequence holds; `None` when it has no value or no scheme.
#[must_use]
pub fn read_code_item(item: &InMemDicomObject) -> Option<Coded> {
    let text = |tag| item.get(tag).and_then(|e| e.to_str().ok()).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let value = text(tags::CODE_VALUE).or_else(|| text(tags::LONG_CODE_VALUE))?;
    let meaning = text(tags::CODE_MEANING).unwrap_or_default();
    Some(Coded {
        value: Cow::Owned(value),
        scheme: Cow::Owned(text(tags::CODING_SCHEME_DESIGNATOR)?),
        meaning: Cow::Owned(meaning),
    })
}

/// The designator of our own coding scheme.
pub const OWN: &str = "99RADIOMICSD";

/// The item of Coding Scheme Identification Sequence (0008,0110) for a designator (PS3.3 C.12.1.1.7, PS3.16 table 8-1).
#[must_use]
pub fn scheme_item(designator: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    put_text(&mut item, tags::CODING_SCHEME_DESIGNATOR, designator);
    if let Some((_, uid, name)) = SCHEMES.iter().find(|(known, _, _)| *known == designator) {
        put_text(&mut item, tags::CODING_SCHEME_REGISTRY, "HL7");
        put_text(&mut item, tags::CODING_SCHEME_UID, *uid);
        put_text(&mut item, tags::CODING_SCHEME_NAME, *name);
    } else if designator == OWN {
        put_text(&mut item, tags::CODING_SCHEME_NAME, "radiomicsd private codes");
        put_text(&mut item, tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, "radiomicsd project");
    } else {
        put_text(&mut item, tags::CODING_SCHEME_NAME, "Taken over from the source objects");
    }
    item
}

const SCHEMES: &[(&str, &str, &str)] = &[
    ("DCM", "1.2.840.10008.2.16.4", "DICOM Controlled Terminology"),
    ("IBSI", "1.2.840.10008.2.16.13", "Image Biomarker Standardisation Initiative"),
    ("LN", "2.16.840.1.113883.6.1", "LOINC"),
    ("NCIt", "2.16.840.1.113883.3.26.1.1", "NCI Thesaurus"),
    ("RFC5646", "2.16.840.1.113883.6.316", "Tags for Identifying Languages"),
    ("SCT", "2.16.840.1.113883.6.96", "SNOMED CT using SNOMED-CT style values"),
    ("SRT", "2.16.840.1.113883.6.96", "SNOMED CT using SNOMED-RT style values"),
    ("UCUM", "2.16.840.1.113883.6.8", "Unified Code for Units of Measure"),
    ("UMLS", "2.16.840.1.113883.6.86", "Unified Medical Language System"),
];

/// A UCUM unit with its name in words (PS3.16 CID 7181 and others); the unit itself where it has no usual name.
#[must_use]
pub fn unit(ucum: &str) -> Coded {
    match UNITS.iter().find(|(value, _)| *value == ucum) {
        Some((value, meaning)) => Coded::of("UCUM", value, meaning),
        None => Coded { scheme: Cow::Borrowed("UCUM"), ..Coded::new(ucum, "UCUM", ucum) },
    }
}

const UNITS: &[(&str, &str)] = &[
    ("1", "no units"),
    ("mm", "millimeter"),
    ("mm2", "square millimeter"),
    ("mm3", "cubic millimeter"),
    ("cm3", "cubic centimeter"),
    ("/mm", "per millimeter"),
    ("1/mm", "per millimeter"),
    ("ml", "milliliter"),
    ("s", "second"),
    ("%", "percent"),
    ("Bq", "becquerel"),
    ("Bq/ml", "becquerel per milliliter"),
    ("[hnsf'U]", "Hounsfield unit"),
    ("[hnsf'U].[hnsf'U]", "square Hounsfield unit"),
    ("[hnsf'U].mm3", "Hounsfield unit times cubic millimeter"),
    ("[arb'U]", "arbitrary unit"),
    ("[arb'U].[arb'U]", "square arbitrary unit"),
    ("[arb'U].mm3", "arbitrary unit times cubic millimeter"),
    ("g/ml{SUVbw}", "Standardized Uptake Value body weight"),
    ("g/ml{SUVbw}.g/ml{SUVbw}", "square Standardized Uptake Value body weight"),
    ("g/ml{SUVbw}.mm3", "Standardized Uptake Value body weight times cubic mm"),
    ("g/ml{SUVlbm}", "Standardized Uptake Value lean body mass (James)"),
    ("g/ml{SUVlbm(James128)}", "Standardized Uptake Value lean body mass (James 128)"),
    ("g/ml{SUVlbm(Janma)}", "Standardized Uptake Value lean body mass (Janmahasatian)"),
    ("g/ml{SUVibw}", "Standardized Uptake Value ideal body weight"),
    ("cm2/ml{SUVbsa}", "Standardized Uptake Value body surface area"),
    ("{pixels}", "Pixels"),
    ("{counts}", "Counts"),
];

/// Left, right, bilateral or unilateral (CID 244) in SNOMED CT, or their older SRT codes.
#[must_use]
pub fn is_laterality(value: &str) -> bool {
    matches!(value, "7771000" | "24028007" | "51440002" | "66459002" | "G-A101" | "G-A100" | "G-A102" | "G-A103")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_codes_fit_a_short_string_and_two_names_never_share_one() {
        assert_eq!(Coded::own("cross_mi", "Mutual information").value, "cross_mi");
        let long = Coded::own("frame_of_reference_misaligned", "frame of reference misaligned");
        let other = Coded::own("frame_of_reference_missing", "frame of reference missing");
        assert!(long.value.len() <= 16 && other.value.len() <= 16);
        assert_ne!(long.value, other.value);
        assert_eq!(long.scheme, OWN);
        assert!(Coded::own("é", "").value.len() <= 16);
    }

    #[test]
    fn a_code_goes_into_an_item_and_comes_back() {
        for code in [unit("mm3"), Coded::new("1234567890123456789", "SCT", "Long"), Coded::own("a b", "meaning")] {
            assert_eq!(read_code_item(&code_item(&code)), Some(code));
        }
        assert_eq!(read_code_item(&InMemDicomObject::new_empty()), None);
    }

    #[test]
    fn units_and_schemes_have_names_that_fit() {
        assert_eq!(unit("mm3").meaning, "cubic millimeter");
        assert_eq!(unit("kg.m-2").meaning, "kg.m-2");
        assert!(UNITS.iter().all(|(value, meaning)| value.len() <= 64 && meaning.len() <= 64));
        for scheme in ["DCM", OWN, "99SITE"] {
            assert!(scheme_item(scheme).get(tags::CODING_SCHEME_NAME).is_some());
        }
    }
}

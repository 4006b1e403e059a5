//! Patient and study of a document, taken over from the images it is about (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2).
//!
//! Values are copied as text and written in UTF-8. A value that its VR does not allow (a Study ID of twenty characters, a
//! date with dots) would make our document illegal: it is written empty, with the finding `illegal_attribute`.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::{CaseResult, ImageSeries};
use crate::dicom::attributes::{self, Named, dictionary_vr};
use crate::dicom::codes::{code_item, concepts, read_code_item};
use crate::dicom::product;
use crate::dicom::uid::Uid;
use crate::dicom::write::{plain_text, put_date_time, put_empty, put_items, put_text, put_texts, put_uid};
use crate::finding::{Finding, FindingKind};

/// Present in every document, empty where unknown (type 2).
const TYPE_2: [Tag; 9] = [
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_ID,
];

/// Present where the images have them (type 3).
const TYPE_3: [Tag; 7] = [
    tags::ISSUER_OF_PATIENT_ID,
    tags::STUDY_DESCRIPTION,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
];

/// Copies patient and study attributes into a document; says what could not be copied.
pub(super) fn put_patient_and_study(document: &mut InMemDicomObject, image: &ImageSeries) -> Vec<Finding> {
    put_patient_and_study_of(document, &image.header, &image.study, &image.role)
}

/// The same from the header of any object; `subject` is what findings are about.
pub(super) fn put_patient_and_study_of(
    document: &mut InMemDicomObject,
    header: &InMemDicomObject,
    study: &Uid,
    subject: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for tag in TYPE_2 {
        put_copy(document, header, subject, tag, &mut findings);
    }
    for tag in TYPE_3.into_iter().filter(|tag| attributes::has_value(header, *tag)) {
        put_copy(document, header, subject, tag, &mut findings);
    }
    let methods = attributes::items(header, tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE);
    let methods: Vec<_> = methods.iter().filter_map(read_code_item).map(|code| code_item(&code)).collect();
    if !methods.is_empty() {
        put_items(document, tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, methods);
    }
    put_uid(document, tags::STUDY_INSTANCE_UID, study);
    findings
}

fn put_copy(
    document: &mut InMemDicomObject,
    header: &InMemDicomObject,
    subject: &str,
    tag: Tag,
    findings: &mut Vec<Finding>,
) {
    let values = attributes::texts(header, tag);
    match illegal(tag, &values) {
        None if values.is_empty() => put_empty(document, tag),
        None => put_texts(document, tag, values),
        Some(reason) => {
            put_empty(document, tag);
            let detail = format!("{} {reason}; written empty", Named(tag));
            findings.push(Finding::new(FindingKind::IllegalAttribute, subject, detail));
        }
    }
}

/// Why these values may not be written under this attribute; never the values themselves.
fn illegal(tag: Tag, values: &[String]) -> Option<String> {
    let many = tag == tags::DEIDENTIFICATION_METHOD;
    if values.len() > 1 && !many {
        return Some(format!("has {} values, expected one", values.len()));
    }
    values.iter().find_map(|value| illegal_value(tag, value))
}

fn illegal_value(tag: Tag, value: &str) -> Option<String> {
    let long = |most: usize| {
        let found = value.chars().count();
        (found > most).then(|| format!("has {found} characters, at most {most} are allowed"))
    };
    let vr = dictionary_vr(tag);
    let breaks = matches!(vr, VR::LT | VR::ST | VR::UT);
    if value
        .chars()
        .any(|c| c == '\u{FFFD}' || (c.is_control() && !(breaks && matches!(c, '\r' | '\n' | '\t' | '\x0c'))))
    {
        return Some("has characters that are not text".into());
    }
    let not = |expected: &str| Some(format!("is not {expected}"));
    match vr {
        VR::CS if tag == tags::PATIENT_SEX && !matches!(value, "M" | "F" | "O") => not("M, F or O"),
        VR::CS if tag == tags::PATIENT_IDENTITY_REMOVED && !matches!(value, "YES" | "NO") => not("YES or NO"),
        VR::SH => long(16),
        VR::LO => long(64),
        VR::LT => long(10_240),
        VR::PN => {
            let groups: Vec<&str> = value.split('=').collect();
            let too_long = groups.iter().find(|group| group.chars().count() > 64);
            let components = groups.iter().map(|group| group.split('^').count()).max().unwrap_or(0);
            if groups.len() > 3 || components > 5 {
                not("a person name of at most three groups of five components")
            } else {
                too_long
                    .map(|group| format!("has a group of {} characters, at most 64 are allowed", group.chars().count()))
            }
        }
        VR::DA if legal_date(value).is_none() => not("a date YYYYMMDD"),
        VR::TM if legal_time(value).is_none() => not("a time HHMMSS.FFFFFF"),
        VR::DS if value.len() > 16 || !value.trim().parse::<f64>().is_ok_and(f64::is_finite) => {
            not("a decimal string of at most 16 characters")
        }
        VR::AS if !legal_age(value) => not("an age nnnD, nnnW, nnnM or nnnY"),
        _ => None,
    }
}

/// A DA value that names a day of the calendar.
pub(super) fn legal_date(text: &str) -> Option<&str> {
    let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i16>().ok();
    if !digits {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    jiff::civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok().map(|_| text)
}

/// A TM value: HH, HHMM, HHMMSS or HHMMSS.F to .FFFFFF.
pub(super) fn legal_time(text: &str) -> Option<&str> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let length = matches!(whole.len(), 2 | 4 | 6) && digits(whole);
    let fraction = fraction.is_none_or(|f| whole.len() == 6 && (1..=6).contains(&f.len()) && digits(f));
    let below = |range: std::ops::Range<usize>, limit: u8| {
        whole.get(range).is_none_or(|two| two.parse::<u8>().is_ok_and(|number| number < limit))
    };
    (length && fraction && below(0..2, 24) && below(2..4, 60) && below(4..6, 61)).then_some(text)
}

fn legal_age(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [a, b, c, unit] if [a, b, c].iter().all(|d| d.is_ascii_digit()) && b"DWMY".contains(unit))
}

/// What every document of ours says of itself: SOP common, equipment, series (PS3.3 C.12.1, C.7.5, C.7.3.1).
pub(super) struct Own<'a> {
    pub(super) sop_class: &'a str,
    pub(super) sop_instance: &'a Uid,
    pub(super) series: &'a Uid,
    pub(super) modality: &'a str,
    pub(super) series_number: i32,
    pub(super) series_description: String,
}

/// Puts the attributes that all our documents share.
pub(super) fn put_own(document: &mut InMemDicomObject, case: &CaseResult, own: &Own) {
    let offset = super::utc_offset(case);
    put_text(document, tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    put_text(document, tags::SOP_CLASS_UID, own.sop_class);
    put_uid(document, tags::SOP_INSTANCE_UID, own.sop_instance);
    put_date_time(document, tags::INSTANCE_CREATION_DATE, tags::INSTANCE_CREATION_TIME, case.created_at, offset);
    put_date_time(document, tags::CONTENT_DATE, tags::CONTENT_TIME, case.created_at, offset);
    put_text(document, tags::MODALITY, own.modality);
    put_uid(document, tags::SERIES_INSTANCE_UID, own.series);
    put_text(document, tags::SERIES_NUMBER, own.series_number.to_string());
    put_text(document, tags::SERIES_DESCRIPTION, plain_text(&own.series_description, 64));
    put_text(document, tags::INSTANCE_NUMBER, case.revision.to_string());
    put_text(document, tags::MANUFACTURER, product::MANUFACTURER);
    put_text(document, tags::MANUFACTURER_MODEL_NAME, product::MODEL);
    put_text(document, tags::DEVICE_SERIAL_NUMBER, serial_number(case));
    put_text(document, tags::SOFTWARE_VERSIONS, product::VERSION);
}

/// Device Serial Number (0018,1000): this installation.
pub(super) fn serial_number(case: &CaseResult) -> String {
    let serial = plain_text(&case.installation, 64);
    if serial.is_empty() { "unnamed".to_owned() } else { serial }
}

/// Puts the scanners of the images as contributing equipment (PS3.3 C.12.1, purpose from CID 7005).
pub(super) fn put_scanners(document: &mut InMemDicomObject, images: &[ImageSeries]) {
    let items = images.iter().filter_map(|image| {
        let mut item = InMemDicomObject::new_empty();
        for tag in [tags::MANUFACTURER, tags::MANUFACTURER_MODEL_NAME, tags::STATION_NAME, tags::SOFTWARE_VERSIONS] {
            let values = attributes::texts(&image.header, tag);
            let legal = values.iter().all(|value| illegal_value(tag, value).is_none());
            if legal && !values.is_empty() && (values.len() == 1 || tag == tags::SOFTWARE_VERSIONS) {
                put_texts(&mut item, tag, values);
            }
        }
        item.get(tags::MANUFACTURER)?; // type 1 in the item
        put_text(&mut item, tags::CONTRIBUTION_DESCRIPTION, format!("Scanner of the {} images", image.role));
        put_items(
            &mut item,
            tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
            vec![code_item(&concepts::ACQUISITION_EQUIPMENT)],
        );
        Some(item)
    });
    let items: Vec<_> = items.collect();
    if !items.is_empty() {
        put_items(document, tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, items);
    }
}

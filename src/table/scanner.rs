//! What an image header tells of the scanner, and of the patient as far as it is a covariate.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::attributes::{array, code_string, number, text};
use crate::dicom::time::date;
use crate::harmonise::{BatchRules, Covariate, ScannerFacts, Values};
use crate::report::{ImageSeries, MeasurementGroup};

/// The scanner and how it made the images. A number that cannot be read is not known.
#[must_use]
pub fn scanner_facts(header: &InMemDicomObject) -> ScannerFacts {
    let number = |tag| number(header, tag).ok().flatten().filter(|value| value.is_finite());
    let reconstruction = match text(header, tags::RECONSTRUCTION_METHOD) {
        method if method.is_empty() => text(header, tags::RECONSTRUCTION_ALGORITHM),
        method => method,
    };
    ScannerFacts {
        modality: code_string(header, tags::MODALITY),
        manufacturer: text(header, tags::MANUFACTURER),
        model: text(header, tags::MANUFACTURER_MODEL_NAME),
        kernel: text(header, tags::CONVOLUTION_KERNEL),
        reconstruction,
        pixel_mm: array::<2>(header, tags::PIXEL_SPACING).ok().flatten().map(|spacing| spacing[0]),
        field_strength: number(tags::MAGNETIC_FIELD_STRENGTH),
        sequence: text(header, tags::SCANNING_SEQUENCE),
        repetition_ms: number(tags::REPETITION_TIME),
        echo_ms: number(tags::ECHO_TIME),
        inversion_ms: number(tags::INVERSION_TIME),
        contrast: !text(header, tags::CONTRAST_BOLUS_AGENT).is_empty(),
    }
}

/// The batch of a block: that of its scanner; of a fused image those of all its scanners, joined in the order of their names.
/// None where one is not known.
#[must_use]
pub fn batch_of(group: &MeasurementGroup, images: &[ImageSeries], rules: &BatchRules) -> Option<String> {
    let mut labels = Vec::new();
    for role in group.images() {
        let image = images.iter().find(|image| image.role == *role)?;
        labels.push(rules.key(&scanner_facts(&image.header)).ok()?.label);
    }
    labels.sort();
    Some(labels.join(" + "))
}

/// The covariates that image headers tell: `age` in years and `sex`. One row; unknown where the headers do not say.
#[must_use]
pub fn header_covariates<'a>(headers: impl Iterator<Item = &'a InMemDicomObject>) -> Vec<Covariate> {
    let (mut age, mut sex) = (f64::NAN, String::new());
    for header in headers {
        if age.is_nan() {
            age = age_years(header);
        }
        if sex.is_empty() {
            sex = code_string(header, tags::PATIENT_SEX);
        }
    }
    vec![
        Covariate { name: "age".to_owned(), values: Values::Continuous(vec![age]) },
        Covariate { name: "sex".to_owned(), values: Values::Categorical(vec![sex]) },
    ]
}

/// Patient's Age (0010,1010), else from Patient's Birth Date (0010,0030) to Study Date (0008,0020); NaN where neither tells.
fn age_years(header: &InMemDicomObject) -> f64 {
    const DAYS_PER_YEAR: f64 = 365.25;
    let text_of = |tag| text(header, tag);
    // PS3.5 6.2: three digits and a unit of days, weeks, months or years.
    let age = text_of(tags::PATIENT_AGE);
    let (digits, unit) = age.split_at(age.len().saturating_sub(usize::from(age.is_ascii() && !age.is_empty())));
    let years = match unit {
        "Y" => Some(1.0),
        "M" => Some(1.0 / 12.0),
        "W" => Some(7.0 / DAYS_PER_YEAR),
        "D" => Some(1.0 / DAYS_PER_YEAR),
        _ => None,
    };
    if let (Some(years), Ok(n)) = (years, digits.trim().parse::<f64>())
        && n.is_finite()
    {
        return n * years;
    }
    let day = |tag| date(&text_of(tag));
    let (Some(born), Some(studied)) = (day(tags::PATIENT_BIRTH_DATE), day(tags::STUDY_DATE)) else { return f64::NAN };
    let days = born.until(studied).map_or(i32::MIN, |span| span.get_days());
    if days < 0 { f64::NAN } else { f64::from(days) / DAYS_PER_YEAR }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use dicom_core::{DataElement, PrimitiveValue, VR};

    fn header(elements: &[(dicom_core::Tag, VR, &str)]) -> InMemDicomObject {
        let elements =
            elements.iter().map(|(tag, vr, value)| DataElement::new(*tag, *vr, PrimitiveValue::from(*value)));
        InMemDicomObject::from_element_iter(elements)
    }

    fn age(elements: &[(dicom_core::Tag, VR, &str)]) -> f64 {
        age_years(&header(elements))
    }

    #[test]
    fn the_age_is_in_years_from_whatever_tells_it() {
        assert_relative_eq!(age(&[(tags::PATIENT_AGE, VR::AS, "059Y")]), 59.0);
        assert_relative_eq!(age(&[(tags::PATIENT_AGE, VR::AS, "018M")]), 1.5);
        let dates = [(tags::PATIENT_BIRTH_DATE, VR::DA, "19500301"), (tags::STUDY_DATE, VR::DA, "20100301")];
        assert_relative_eq!(age(&dates), 60.0, epsilon = 0.01);
        assert!(age(&[(tags::PATIENT_AGE, VR::AS, "old")]).is_nan());
        assert!(age(&[]).is_nan());
    }

    #[test]
    fn the_first_header_that_tells_something_is_believed() {
        let (first, second) =
            (header(&[]), header(&[(tags::PATIENT_AGE, VR::AS, "040Y"), (tags::PATIENT_SEX, VR::CS, "f")]));
        let covariates = header_covariates([&first, &second].into_iter());
        assert_eq!(covariates[0].values, Values::Continuous(vec![40.0]));
        assert_eq!(covariates[1].values, Values::Categorical(vec!["F".to_owned()]));
    }

    #[test]
    fn scanner_facts_are_read_and_broken_numbers_are_unknown() {
        let facts = scanner_facts(&header(&[
            (tags::MODALITY, VR::CS, "MR"),
            (tags::MANUFACTURER, VR::LO, "SIEMENS "),
            (tags::MAGNETIC_FIELD_STRENGTH, VR::DS, "1.5"),
            (tags::ECHO_TIME, VR::DS, "None"),
            (tags::PIXEL_SPACING, VR::DS, "0.9\\0.9"),
        ]));
        assert_eq!((facts.manufacturer.as_str(), facts.field_strength, facts.echo_ms), ("SIEMENS", Some(1.5), None));
        assert_eq!(facts.pixel_mm, Some(0.9));
    }
}

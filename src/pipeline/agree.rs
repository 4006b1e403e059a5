//! Whether the series of a case tell the same of its patient, and those of one study the same of the study.
//!
//! Documents take patient and study from the reference's images. Where another series says something else, its objects and
//! ours differ in an archive: that is said, by attribute and never by value.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::remarks::Remarks;
use crate::dicom::attributes::{self, Named};
use crate::finding::FindingKind;
use crate::report::ImageSeries;

/// The same in all series of a patient (PS3.3 C.7.1.1).
const OF_THE_PATIENT: [Tag; 5] =
    [tags::PATIENT_NAME, tags::PATIENT_ID, tags::ISSUER_OF_PATIENT_ID, tags::PATIENT_BIRTH_DATE, tags::PATIENT_SEX];

/// The same in all series of a study (PS3.3 C.7.2.1).
const OF_THE_STUDY: [Tag; 6] = [
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_DESCRIPTION,
];

/// Remarks on each series that says something else than the reference of its study, or of the case.
pub(super) fn check(images: &[&ImageSeries], reference: &str, remarks: &mut Remarks<'_>) {
    let Some(first) = images.iter().find(|image| image.role == reference) else { return };
    for (index, image) in images.iter().enumerate().filter(|(_, image)| image.role != reference) {
        // Of another study than the reference's: its first series stands for it.
        let of_study = match image.study == first.study {
            true => Some(*first),
            false => images[..index].iter().find(|other| other.study == image.study).copied(),
        };
        let mut differing: Vec<Tag> = differing(first, image, &OF_THE_PATIENT);
        differing.extend(of_study.into_iter().flat_map(|other| self::differing(other, image, &OF_THE_STUDY)));
        if !differing.is_empty() {
            let names: Vec<String> = differing.into_iter().map(|tag| Named(tag).to_string()).collect();
            let of = of_study.unwrap_or(first);
            let detail = format!("differs from {} in {}", of.role, names.join(", "));
            remarks.find(FindingKind::SeriesDisagree, &image.role, detail);
        }
    }
}

/// The attributes in which two series differ. One that a series does not have says nothing.
fn differing(a: &ImageSeries, b: &ImageSeries, of: &[Tag]) -> Vec<Tag> {
    let value = |image: &ImageSeries, tag| normal(&attributes::text(&image.header, tag));
    let differs = |tag: &Tag| {
        let (a, b) = (value(a, *tag), value(b, *tag));
        !a.is_empty() && !b.is_empty() && a != b
    };
    of.iter().copied().filter(differs).collect()
}

/// Text without what carries no meaning: outer spaces, empty components at the end of a name, a fraction of nought.
fn normal(text: &str) -> String {
    let text = text.trim().trim_end_matches('^');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_time = whole.len() == 6 && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if is_time && fraction.bytes().all(|b| b == b'0') { whole.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dicom::uid::Uid;
    use crate::dicom::write::put_text;
    use crate::finding::Policies;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;

    fn series(role: &str, study: &str, texts: &[(Tag, &str)]) -> ImageSeries {
        let mut header = dicom_object::InMemDicomObject::new_empty();
        for (tag, text) in texts {
            put_text(&mut header, *tag, *text);
        }
        ImageSeries {
            role: role.to_owned(),
            modality: role.to_owned(),
            study: Uid::derived(&[study]),
            series: Uid::derived(&[role]),
            frame_of_reference: None,
            slices: Vec::new(),
            frames: Vec::new(),
            geometry: Geometry::new([2; 3], [1.0; 3], [0.0; 3], IDENTITY).unwrap(),
            header: Arc::new(header),
        }
    }

    #[test]
    fn series_that_say_something_else_of_patient_or_study_are_named_with_the_attributes() {
        let said = |study, texts: &[(Tag, &str)]| {
            let reference = [
                (tags::PATIENT_NAME, "A^B"),
                (tags::PATIENT_SEX, "F"),
                (tags::STUDY_ID, "1"),
                (tags::STUDY_TIME, "101500"),
            ];
            let (ct, pt) = (series("CT", "a", &reference), series("PT", study, texts));
            let policies = Policies::default();
            let mut remarks = Remarks::new(&policies, &[]);
            check(&[&ct, &pt], "CT", &mut remarks);
            remarks.findings.into_iter().map(|finding| finding.to_string()).collect::<Vec<_>>()
        };
        let alike = [(tags::PATIENT_NAME, "A^B^^"), (tags::STUDY_TIME, "101500.000"), (tags::PATIENT_ID, "P")];
        assert!(said("a", &alike).is_empty());
        let other = [(tags::PATIENT_SEX, "M"), (tags::STUDY_ID, "2")];
        let both = said("a", &other);
        assert_eq!(both.len(), 1);
        assert!(both[0].starts_with("series_disagree (PT): differs from CT in"), "{both:?}");
        assert!(both[0].contains("(0010,0040)") && both[0].contains("(0020,0010)"), "{both:?}");
        // Two studies may differ, one patient not.
        let of_patient = said("b", &other);
        assert!(of_patient[0].contains("(0010,0040)") && !of_patient[0].contains("(0020,0010)"), "{of_patient:?}");
    }
}

//! From PET data sets to what the SUV rules ask for.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use jiff::civil::DateTime;

use super::{Sex, SliceTiming, SuvHeader};
use crate::dicom::attributes::{self, AttributeError};
use crate::dicom::{private, time};

impl SuvHeader {
    /// What the series says, from one of its data sets; the slices' own times are added with [`SliceTiming::of`].
    ///
    /// # Errors
    /// When a number is there and unreadable. A defect in an attribute that the rule does not need counts as well: a
    /// header that is broken there is not trusted elsewhere.
    pub fn of(object: &InMemDicomObject) -> Result<Self, AttributeError> {
        let empty = InMemDicomObject::new_empty();
        let tracer = attributes::first_item(object, tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE).unwrap_or(&empty);
        let timezone = time::timezone_minutes(object);
        let moment = |text: &str| time::local_date_time(text, timezone);
        let manufacturer = attributes::text(object, tags::MANUFACTURER).to_ascii_uppercase();
        let private = |group, creator, element, vendor: &str| {
            private::find(object, group, creator, element, manufacturer.contains(vendor))
        };
        let number = |tag: Option<Tag>| tag.map_or(Ok(None), |tag| attributes::number(object, tag));
        let private_moment = |tag: Option<Tag>| moment(&attributes::text(object, tag?));
        Ok(Self {
            units: attributes::code_string(object, tags::UNITS),
            suv_type: attributes::code_string(object, tags::SUV_TYPE),
            corrected_image: attributes::texts(object, tags::CORRECTED_IMAGE),
            decay_correction: attributes::code_string(object, tags::DECAY_CORRECTION),
            weight: attributes::number(object, tags::PATIENT_WEIGHT)?,
            size: attributes::number(object, tags::PATIENT_SIZE)?,
            sex: match attributes::code_string(object, tags::PATIENT_SEX).as_str() {
                "M" => Some(Sex::Male),
                "F" => Some(Sex::Female),
                "O" => Some(Sex::Other),
                _ => None,
            },
            dose: attributes::number(tracer, tags::RADIONUCLIDE_TOTAL_DOSE)?,
            half_life_s: attributes::number(tracer, tags::RADIONUCLIDE_HALF_LIFE)?,
            administered_at: moment(&attributes::text(tracer, tags::RADIOPHARMACEUTICAL_START_DATE_TIME)),
            administered_time: time::time(&attributes::text(tracer, tags::RADIOPHARMACEUTICAL_START_TIME)),
            series_at: date_and_time(object, tags::SERIES_DATE, tags::SERIES_TIME),
            decay_corrected_to: moment(&attributes::text(object, tags::DECAY_CORRECTION_DATE_TIME)),
            ge_scan_at: private_moment(private(0x0009, "GEMS_PETD_01", 0x0D, "GE")),
            siemens_decay_corrected_to: private_moment(private(0x0071, "SIEMENS MED PT", 0x22, "SIEMENS")),
            philips_suv_factor: number(private(0x7053, "Philips PET Private Group", 0x00, "PHILIPS"))?,
            philips_activity_factor: number(private(0x7053, "Philips PET Private Group", 0x09, "PHILIPS"))?,
            slices: Vec::new(),
        })
    }
}

impl SliceTiming {
    /// The times of one slice.
    ///
    /// # Errors
    /// When a number is there and unreadable.
    pub fn of(object: &InMemDicomObject) -> Result<Self, AttributeError> {
        let acquisition = attributes::text(object, tags::ACQUISITION_DATE_TIME);
        Ok(Self {
            acquired_at: date_and_time(object, tags::ACQUISITION_DATE, tags::ACQUISITION_TIME)
                .or_else(|| time::local_date_time(&acquisition, time::timezone_minutes(object))),
            frame_reference_s: attributes::number(object, tags::FRAME_REFERENCE_TIME)?.map(|ms| ms / 1e3),
            frame_duration_s: attributes::number(object, tags::ACTUAL_FRAME_DURATION)?.map(|ms| ms / 1e3),
        })
    }
}

/// A date and a time. De-identified data may lack the date: then that of the series, the acquisition or the study stands
/// in, else a fixed one, because only differences count.
fn date_and_time(object: &InMemDicomObject, date: Tag, time_of_day: Tag) -> Option<DateTime> {
    let time_of_day = time::time(&attributes::text(object, time_of_day))?;
    let day = [date, tags::SERIES_DATE, tags::ACQUISITION_DATE, tags::STUDY_DATE]
        .into_iter()
        .find_map(|tag| time::date(&attributes::text(object, tag)))
        .unwrap_or(time::NO_DATE);
    Some(day.to_datetime(time_of_day))
}

//! From PET data sets to what the SUV rules ask for.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use jiff::civil::DateTime;

use super::{Sex, SliceTiming, SuvHeader};
use crate::dicom::attributes::{self, AttributeError};
use crate::dicom::layers::Layers;
use crate::dicom::{private, time};

impl SuvHeader {
    /// What the series says, from one of its data sets; the slices' own times are added with [`SliceTiming::of`].
    ///
    /// # Errors
    /// When a number is there and unreadable. A defect in an attribute that the rule does not need counts as well: a
    /// header that is broken there is not trusted elsewhere.
    pub fn of(object: &InMemDicomObject) -> Result<Self, AttributeError> {
        Self::of_layers(&Layers::of(object))
    }

    /// The same of a frame of a multi-frame object.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_layers(layers: &Layers<'_>) -> Result<Self, AttributeError> {
        let object = layers.root();
        let empty = InMemDicomObject::new_empty();
        let tracer = tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE;
        let tracer = attributes::first_item(layers.holder(tracer), tracer).unwrap_or(&empty);
        let code = |tag| attributes::code_string(layers.holder(tag), tag);
        let timezone = time::timezone_minutes(object);
        let moment = |text: &str| time::local_date_time(text, timezone);
        let manufacturer = attributes::text(object, tags::MANUFACTURER).to_ascii_uppercase();
        let private = |group, creator, element, vendor: &str| {
            private::find(object, group, creator, element, manufacturer.contains(vendor))
        };
        let number = |tag: Option<Tag>| tag.map_or(Ok(None), |tag| attributes::number(object, tag));
        let private_moment = |tag: Option<Tag>| moment(&attributes::text(object, tag?));
        let decay_corrected_to = moment(&attributes::text(
            layers.holder(tags::DECAY_CORRECTION_DATE_TIME),
            tags::DECAY_CORRECTION_DATE_TIME,
        ));
        let (units, suv_type) = match code(tags::UNITS).as_str() {
            "" => units_of_mapping(layers),
            units => (units.to_owned(), code(tags::SUV_TYPE)),
        };
        let decay_correction = match code(tags::DECAY_CORRECTION).as_str() {
            // An enhanced PET says whether, and to when, not by which name (PS3.3 C.8.22.5).
            "" if code(tags::DECAY_CORRECTED) == "YES" && decay_corrected_to.is_some() => "START".to_owned(),
            "" if code(tags::DECAY_CORRECTED) == "NO" => "NONE".to_owned(),
            named => named.to_owned(),
        };
        Ok(Self {
            units,
            suv_type,
            corrected_image: corrections(layers),
            decay_correction,
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
            series_at: date_and_time(object, object, tags::SERIES_DATE, tags::SERIES_TIME),
            decay_corrected_to,
            ge_scan_at: private_moment(private(0x0009, "GEMS_PETD_01", 0x0D, "GE")),
            siemens_decay_corrected_to: private_moment(private(0x0071, "SIEMENS MED PT", 0x22, "SIEMENS")),
            philips_suv_factor: number(private(0x7053, "Philips PET Private Group", 0x00, "PHILIPS"))?,
            philips_activity_factor: number(private(0x7053, "Philips PET Private Group", 0x09, "PHILIPS"))?,
            slices: Vec::new(),
        })
    }
}

/// Corrected Image (0028,0051), or what the flags of an enhanced PET say (PS3.3 C.8.22.5).
fn corrections(layers: &Layers<'_>) -> Vec<String> {
    let mut named = attributes::texts(layers.holder(tags::CORRECTED_IMAGE), tags::CORRECTED_IMAGE);
    if named.is_empty() {
        for (tag, name) in [(tags::DECAY_CORRECTED, "DECY"), (tags::ATTENUATION_CORRECTED, "ATTN")] {
            if attributes::code_string(layers.holder(tag), tag) == "YES" {
                named.push(name.to_owned());
            }
        }
    }
    named
}

/// Units (0054,1001) and SUV Type (0054,1006) of a PET that has them only as the units of its real world values: the UCUM
/// codes of PS3.16 CID 84 and CID 85. They hold for the rescaled values where both mappings are the same line, which is
/// asked for; else nothing is known.
fn units_of_mapping(layers: &Layers<'_>) -> (String, String) {
    let none = (String::new(), String::new());
    let tag = tags::MEASUREMENT_UNITS_CODE_SEQUENCE;
    let mapping = layers.holder(tag);
    let Some(code) = attributes::first_item(mapping, tag) else { return none };
    let pair = |holder: &InMemDicomObject, slope, intercept| {
        Some((attributes::number(holder, slope).ok()??, attributes::number(holder, intercept).ok()??))
    };
    let real_world = pair(mapping, tags::REAL_WORLD_VALUE_SLOPE, tags::REAL_WORLD_VALUE_INTERCEPT);
    let rescale = pair(layers.holder(tags::RESCALE_SLOPE), tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT);
    if real_world.is_none() || real_world != rescale {
        return none;
    }
    let (units, suv_type) = match attributes::text(code, tags::CODE_VALUE).as_str() {
        "Bq/ml" => ("BQML", ""),
        "g/ml" | "g/ml{SUVbw}" | "{SUVbw}g/ml" => ("GML", "BW"),
        "g/ml{SUVlbm}" | "{SUVlbm}g/ml" => ("GML", "LBM"),
        "g/ml{SUVlbm(James128)}" | "{SUVlbm(James128)}g/ml" => ("GML", "LBMJAMES128"),
        "g/ml{SUVlbm(Janma)}" | "{SUVlbm(Janma)}g/ml" => ("GML", "LBMJANMA"),
        "g/ml{SUVibw}" | "{SUVibw}g/ml" => ("GML", "IBW"),
        "cm2/ml{SUVbsa}" | "{SUVbsa}cm2/ml" => ("CM2ML", "BSA"),
        _ => ("", ""),
    };
    (units.to_owned(), suv_type.to_owned())
}

impl SliceTiming {
    /// The times of one slice.
    ///
    /// # Errors
    /// When a number is there and unreadable.
    pub fn of(object: &InMemDicomObject) -> Result<Self, AttributeError> {
        Self::of_layers(&Layers::of(object))
    }

    /// The same of a frame of a multi-frame object.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_layers(layers: &Layers<'_>) -> Result<Self, AttributeError> {
        let object = layers.root();
        let moment =
            |tag| time::local_date_time(&attributes::text(layers.holder(tag), tag), time::timezone_minutes(object));
        let milliseconds = |tag| Ok(attributes::number(layers.holder(tag), tag)?.map(|ms| ms / 1e3));
        let duration = match milliseconds(tags::ACTUAL_FRAME_DURATION)? {
            None => milliseconds(tags::FRAME_ACQUISITION_DURATION)?,
            duration => duration,
        };
        let holder = layers.holder(tags::ACQUISITION_TIME);
        Ok(Self {
            acquired_at: moment(tags::FRAME_ACQUISITION_DATE_TIME)
                .or_else(|| date_and_time(holder, object, tags::ACQUISITION_DATE, tags::ACQUISITION_TIME))
                .or_else(|| moment(tags::ACQUISITION_DATE_TIME)),
            frame_reference_s: milliseconds(tags::FRAME_REFERENCE_TIME)?,
            frame_duration_s: duration,
        })
    }
}

/// A date and a time. De-identified data may lack the date: then that of the series, the acquisition or the study stands
/// in, else a fixed one, because only differences count.
fn date_and_time(object: &InMemDicomObject, root: &InMemDicomObject, date: Tag, time_of_day: Tag) -> Option<DateTime> {
    let time_of_day = time::time(&attributes::text(object, time_of_day))?;
    let day = [(object, date), (root, tags::SERIES_DATE), (root, tags::ACQUISITION_DATE), (root, tags::STUDY_DATE)]
        .into_iter()
        .find_map(|(holder, tag)| time::date(&attributes::text(holder, tag)))
        .unwrap_or(time::NO_DATE);
    Some(day.to_datetime(time_of_day))
}

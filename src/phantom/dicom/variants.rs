//! Changed patients: what real archives hold beside the clean case. Each change is one that a test asks about.

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use jiff::ToSpan;
use jiff::civil::date;

use super::super::settings::{PhantomSettings, Scan};
use super::build::{SeriesObjects, SyntheticPatient};
use crate::dicom::attributes;
use crate::dicom::uid::Uid;
use crate::dicom::write::{WriteError, put_decimals, put_integer, put_text, put_texts, put_u16s, put_uid};

/// What does not agree between two studies under one Patient ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityConflict {
    /// Nothing: it is the same patient.
    None,
    /// The birth date.
    BirthDate,
    /// The sex.
    Sex,
    /// The issuer of the Patient ID.
    Issuer,
}

/// The same body scanned again some days later, under an identity that agrees or does not.
#[must_use]
pub fn follow_up(settings: &PhantomSettings, days: i32, conflict: IdentityConflict) -> PhantomSettings {
    let mut later = settings.clone();
    later.scanned_at = later.scanned_at.saturating_add(days.days());
    match conflict {
        IdentityConflict::None => {}
        IdentityConflict::BirthDate => later.patient.birth_date = date(1931, 12, 24),
        IdentityConflict::Sex => later.patient.sex = if settings.patient.sex == "F" { "M" } else { "F" }.to_owned(),
        IdentityConflict::Issuer => later.patient.issuer = "ANOTHER HOSPITAL".to_owned(),
    }
    later
}

impl SyntheticPatient {
    /// Takes a slice out of the middle of a series.
    pub fn remove_slice(&mut self, scan: Scan, slice: usize) {
        if let Some(series) = self.scan_mut(scan).filter(|series| slice < series.instances.len()) {
            series.instances.remove(slice);
        }
    }

    /// Takes Rescale Slope and Rescale Intercept out of every slice of a series.
    pub fn remove_rescale(&mut self, scan: Scan) {
        for object in self.scan_mut(scan).into_iter().flat_map(|series| &mut series.instances) {
            for tag in [tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT, tags::RESCALE_TYPE] {
                object.remove_element(tag);
            }
        }
    }

    /// Adds a slice again under its own SOP Instance UID, with other pixels: a conflict for any store.
    pub fn repeat_under_the_same_uid(&mut self, scan: Scan, slice: usize) {
        let Some(series) = self.scan_mut(scan) else { return };
        let Some(mut again) = series.instances.get(slice).cloned() else { return };
        change_pixels(&mut again);
        series.instances.push(again);
    }

    /// Adds a slice again at its own position under a new SOP Instance UID, with other pixels.
    pub fn repeat_at_the_same_position(&mut self, scan: Scan, slice: usize) {
        let Some(series) = self.scan_mut(scan) else { return };
        let Some(mut again) = series.instances.get(slice).cloned() else { return };
        change_pixels(&mut again);
        let uid = renamed(&again, tags::SOP_INSTANCE_UID, "repeat");
        put_uid(&mut again, tags::SOP_INSTANCE_UID, &uid);
        put_integer(&mut again, tags::INSTANCE_NUMBER, 1000);
        series.instances.push(again);
    }

    /// Adds a second series like that of a scanner, a few minutes later: with two PET series the role is ambiguous.
    pub fn add_repeated_series(&mut self, scan: Scan) {
        self.add_series(scan, "REPEAT", |object| {
            let number = attributes::number(object, tags::SERIES_NUMBER).ok().flatten().unwrap_or(0.0);
            #[allow(clippy::cast_possible_truncation)]
            put_integer(object, tags::SERIES_NUMBER, number as i32 + 20);
        });
    }

    /// Adds the low-dose CT from which a PET is corrected for attenuation.
    pub fn add_attenuation_ct(&mut self) {
        self.add_series(Scan::Ct, "AC", |object| {
            put_integer(object, tags::SERIES_NUMBER, 1);
            put_text(object, tags::SERIES_DESCRIPTION, "CT AC low dose");
            put_text(object, tags::CONVOLUTION_KERNEL, "SOFT AC");
        });
    }

    /// Adds a CT localizer: the middle coronal plane as an image of its own.
    ///
    /// # Errors
    /// When a number cannot be written.
    pub fn add_localizer(&mut self) -> Result<(), WriteError> {
        let Some(series) = self.scan(Scan::Ct) else { return Ok(()) };
        let (Some(bottom), Some(top)) = (series.instances.first(), series.instances.last()) else { return Ok(()) };
        let rows: Vec<u16> = series.instances.iter().rev().flat_map(middle_row).collect();
        let spacing = attributes::array::<2>(bottom, tags::PIXEL_SPACING).ok().flatten().unwrap_or([1.0, 1.0]);
        let thickness = attributes::number(bottom, tags::SLICE_THICKNESS).ok().flatten().unwrap_or(1.0);
        let position = attributes::array::<3>(top, tags::IMAGE_POSITION_PATIENT).ok().flatten().unwrap_or([0.0; 3]);
        let mut object = top.clone();
        let n_rows = u16::try_from(series.instances.len()).unwrap_or(u16::MAX);
        put_uid(&mut object, tags::SERIES_INSTANCE_UID, &renamed(top, tags::SERIES_INSTANCE_UID, "localizer"));
        put_uid(&mut object, tags::SOP_INSTANCE_UID, &renamed(top, tags::SOP_INSTANCE_UID, "localizer"));
        put_texts(&mut object, tags::IMAGE_TYPE, ["ORIGINAL", "PRIMARY", "LOCALIZER"].map(str::to_owned));
        put_text(&mut object, tags::SERIES_DESCRIPTION, "Scout");
        put_integer(&mut object, tags::SERIES_NUMBER, 10);
        put_integer(&mut object, tags::INSTANCE_NUMBER, 1);
        put_decimals(&mut object, tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 0.0, -1.0])?;
        put_decimals(&mut object, tags::IMAGE_POSITION_PATIENT, &[position[0], 0.0, position[2]])?;
        put_decimals(&mut object, tags::PIXEL_SPACING, &[thickness, spacing[1]])?;
        // A projection's values are no Hounsfield units.
        put_text(&mut object, tags::RESCALE_TYPE, "US");
        object.remove_element(tags::SLICE_LOCATION);
        object.remove_element(tags::SPACING_BETWEEN_SLICES);
        put_u16s(&mut object, tags::ROWS, [n_rows]);
        put_u16s(&mut object, tags::PIXEL_DATA, rows);
        let study = series.study.clone();
        let series = renamed(top, tags::SERIES_INSTANCE_UID, "localizer");
        self.series.push(SeriesObjects { name: "LOCALIZER".to_owned(), series, study, instances: vec![object] });
        Ok(())
    }

    /// Lets every structure set name series that do not exist, in the frame of reference that does.
    pub fn refer_to_absent_series(&mut self) {
        for object in self.structure_sets_mut().flat_map(|series| &mut series.instances) {
            for_each_item(object, tags::RT_REFERENCED_SERIES_SEQUENCE, &mut |item| {
                put_uid(item, tags::SERIES_INSTANCE_UID, &renamed(item, tags::SERIES_INSTANCE_UID, "absent"));
            });
        }
    }

    /// Lets the contours name images that no series holds, as in most archives that were made anonymous.
    pub fn refer_to_absent_images(&mut self) {
        for object in self.structure_sets_mut().flat_map(|series| &mut series.instances) {
            for_each_item(object, tags::CONTOUR_IMAGE_SEQUENCE, &mut |item| {
                let absent = renamed(item, tags::REFERENCED_SOP_INSTANCE_UID, "absent");
                put_uid(item, tags::REFERENCED_SOP_INSTANCE_UID, &absent);
            });
        }
    }

    /// Gives the patient a Japanese name in ISO 2022 IR 87, with the escape sequences of PS3.5 H.3.
    pub fn name_in_kanji(&mut self) {
        // "Synthetic phantom", within 64 bytes: alphabetic, ideographic and phonetic.
        let name = b"Phantom^S=\x1b$BLO7?\x1b(B^\x1b$B9g@.\x1b(B=\x1b$B$b$1$$\x1b(B^\x1b$B$4$&$;$$\x1b(B";
        for object in self.series.iter_mut().flat_map(|series| &mut series.instances) {
            put_texts(object, tags::SPECIFIC_CHARACTER_SET, [String::new(), "ISO 2022 IR 87".to_owned()]);
            // Raw bytes: one character set per value is all that the encoder knows.
            object.put(InMemElement::new(tags::PATIENT_NAME, VR::PN, PrimitiveValue::from(name.as_slice())));
        }
    }

    fn add_series(&mut self, scan: Scan, name: &str, change: impl Fn(&mut InMemDicomObject)) {
        let Some(mut added) = self.scan(scan).cloned() else { return };
        for object in &mut added.instances {
            added.series = renamed(object, tags::SERIES_INSTANCE_UID, name);
            put_uid(object, tags::SERIES_INSTANCE_UID, &added.series);
            put_uid(object, tags::SOP_INSTANCE_UID, &renamed(object, tags::SOP_INSTANCE_UID, name));
            change(object);
        }
        added.name = format!("{}_{name}", scan.modality());
        self.series.push(added);
    }
}

/// A UID that follows from an object's own and a word.
fn renamed(object: &InMemDicomObject, tag: dicom_core::Tag, word: &str) -> Uid {
    Uid::derived(&["radiomicsd phantom variant", &attributes::text(object, tag), word])
}

fn pixels(object: &InMemDicomObject) -> Vec<u16> {
    object.get(tags::PIXEL_DATA).and_then(|element| element.to_multi_int().ok()).unwrap_or_default()
}

fn change_pixels(object: &mut InMemDicomObject) {
    let changed: Vec<u16> = pixels(object).iter().map(|pixel| pixel ^ 1).collect();
    put_u16s(object, tags::PIXEL_DATA, changed);
}

fn middle_row(object: &InMemDicomObject) -> Vec<u16> {
    let count = |tag| attributes::count(object, tag).ok().flatten().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let (rows, columns) = (count(tags::ROWS), count(tags::COLUMNS));
    pixels(object).into_iter().skip(rows / 2 * columns).take(columns).collect()
}

/// Does something to each item of every sequence of this tag, at any depth. A phantom's own objects are shallow.
fn for_each_item(
    object: &mut InMemDicomObject,
    wanted: dicom_core::Tag,
    change: &mut impl FnMut(&mut InMemDicomObject),
) {
    let sequences: Vec<_> = object.iter().filter(|element| element.vr() == VR::SQ).map(|e| e.header().tag).collect();
    for tag in sequences {
        object.update_value(tag, |value| {
            for item in value.items_mut().into_iter().flatten() {
                if tag == wanted {
                    change(item);
                }
                for_each_item(item, wanted, change);
            }
        });
    }
}

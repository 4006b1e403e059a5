//! Dates and times (PS3.5 6.2: DA, TM, DT) as civil moments.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, civil};

use super::attributes;

/// A DA value: `YYYYMMDD`, or the retired `YYYY.MM.DD`.
#[must_use]
pub fn date(text: &str) -> Option<Date> {
    let digits: String = match text.trim().as_bytes() {
        [.., b'.', _, _] => text.trim().split('.').collect(),
        _ => text.trim().to_owned(),
    };
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Date::new(digits.get(..4)?.parse().ok()?, digits.get(4..6)?.parse().ok()?, digits.get(6..)?.parse().ok()?).ok()
}

/// A TM value: `HH[MM[SS[.F{1,6}]]]`, or the retired form with colons. A leap second becomes the second before it.
#[must_use]
pub fn time(text: &str) -> Option<Time> {
    let text = text.trim().replace(':', "");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole.len(), 2 | 4 | 6) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| -> Option<i8> {
        match whole.get(range) {
            Some(digits) => digits.parse().ok(),
            None => Some(0),
        }
    };
    let nanoseconds = format!("{:0<9}", fraction.get(..9).unwrap_or(fraction)).parse().ok()?;
    Time::new(part(0..2)?, part(2..4)?, part(4..6)?.min(59), nanoseconds).ok()
}

/// A DT value: `YYYYMMDD[HH[MM[SS[.F{1,6}]]]]` and its offset from UTC in minutes, where given. A DT that is less exact than
/// a day is no moment.
#[must_use]
pub fn date_time(text: &str) -> Option<(DateTime, Option<i64>)> {
    let text = text.trim();
    let sign_at = text.rfind(['+', '-']).filter(|at| *at >= 8);
    let (moment, offset) = match sign_at {
        Some(at) => (text.get(..at)?, Some(offset_minutes(text.get(at..)?)?)),
        None => (text, None),
    };
    let day = date(moment.get(..8)?)?;
    let time = match moment.get(8..)? {
        "" => Time::midnight(),
        text => time(text)?,
    };
    Some((day.to_datetime(time), offset))
}

/// `&ZZXX` (PS3.5 6.2, DT): minutes east of UTC.
fn offset_minutes(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (60 * hours + minutes))
}

/// The moment that a DA and a TM attribute make; `None` when either is absent or unreadable.
#[must_use]
pub fn moment(object: &InMemDicomObject, day: Tag, time_of_day: Tag) -> Option<DateTime> {
    let day = date(&attributes::text(object, day))?;
    Some(day.to_datetime(time(&attributes::text(object, time_of_day))?))
}

/// The moment of a DT value in the local time of its data set, which DA and TM are in: an offset in the value is undone by
/// Timezone Offset From UTC (0008,0201). Without that the offset is taken as the local one.
#[must_use]
pub fn local_date_time(text: &str, timezone_minutes: Option<i64>) -> Option<DateTime> {
    let (at, offset) = date_time(text)?;
    match (offset, timezone_minutes) {
        (Some(offset), Some(timezone)) => at.checked_add(SignedDuration::from_mins(timezone - offset)).ok(),
        _ => Some(at),
    }
}

/// Timezone Offset From UTC (0008,0201), in minutes.
#[must_use]
pub fn timezone_minutes(object: &InMemDicomObject) -> Option<i64> {
    offset_minutes(&attributes::text(object, tags::TIMEZONE_OFFSET_FROM_UTC))
}

/// The zero of moments of which only the time of day is known.
pub const NO_DATE: Date = civil::date(2000, 1, 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_precision_are_read_and_nonsense_is_not() {
        assert_eq!(time("09"), Some(civil::time(9, 0, 0, 0)));
        assert_eq!(time("0915 "), Some(civil::time(9, 15, 0, 0)));
        assert_eq!(time("091501.25"), Some(civil::time(9, 15, 1, 250_000_000)));
        assert_eq!(time("09:15:01"), Some(civil::time(9, 15, 1, 0)));
        assert_eq!(time("235960"), Some(civil::time(23, 59, 59, 0)));
        for nonsense in ["", "9", "2500", "ab", "0915.x", "-1"] {
            assert_eq!(time(nonsense), None, "{nonsense:?}");
        }
        assert_eq!(date("2024.01.31"), Some(civil::date(2024, 1, 31)));
        for nonsense in ["", "20240231", "2024", "2024-1-31", "äöüßäöüß"] {
            assert_eq!(date(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn an_offset_moves_a_moment_into_the_time_of_its_data_set() {
        let local = civil::date(2024, 1, 31).at(10, 0, 0, 0);
        assert_eq!(local_date_time("20240131090000+0000", Some(60)), Some(local));
        assert_eq!(local_date_time("20240131100000+0100", None), Some(local));
        assert_eq!(local_date_time("20240131100000.000", Some(60)), Some(local));
        assert_eq!(local_date_time("202401", None), None);
        assert_eq!(local_date_time("20240131100000+01", None), None);
    }
}

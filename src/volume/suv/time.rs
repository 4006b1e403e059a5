//! When the tracer was given, and to which moment the image was corrected.

use jiff::Span;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::{SuvError, SuvHeader};
use crate::finding::FindingKind;

const DAY_S: f64 = 86_400.0;

/// An uptake of more half-lives than this is no measurement: 3 % of the activity are left.
const UPTAKE_HALF_LIVES_MAX: f64 = 5.0;

/// The times of one slice.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SliceTiming {
    /// Acquisition Date and Time (0008,0022), (0008,0032).
    pub acquired_at: Option<DateTime>,
    /// Frame Reference Time (0054,1300), in seconds.
    pub frame_reference_s: Option<f64>,
    /// Actual Frame Duration (0018,1242), in seconds.
    pub frame_duration_s: Option<f64>,
}

/// Where a reference time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceTime {
    /// Decay Correction DateTime (0018,9701).
    DecayCorrection,
    /// GE's private scan time.
    GeScan,
    /// Siemens' private decay correction time.
    SiemensDecayCorrection,
    /// Series Time (0008,0031).
    Series,
    /// Acquisition Time + average count rate time - Frame Reference Time, by slice.
    FrameReference,
    /// The earliest Acquisition Time of the series.
    EarliestAcquisition,
}

impl ReferenceTime {
    /// The attribute that it comes from, in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DecayCorrection => "Decay Correction DateTime",
            Self::GeScan => "GE scan time",
            Self::SiemensDecayCorrection => "Siemens decay correction time",
            Self::Series => "Series Time",
            Self::FrameReference => "Acquisition Time and Frame Reference Time, slice by slice",
            Self::EarliestAcquisition => "earliest Acquisition Time",
        }
    }
}

/// One reference time that the header allows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where it comes from.
    pub source: ReferenceTime,
    /// From administration to it; the mean over the slices where it is by slice.
    pub uptake_s: f64,
    /// The factor that it would give.
    pub factor: f64,
}

/// What was found on the reference time.
pub(super) struct Reference {
    pub used: ReferenceTime,
    pub by_slice: Vec<DateTime>,
    /// Source and uptake in seconds of every candidate, used or not.
    pub candidates: Vec<(ReferenceTime, f64)>,
}

/// Seconds from one moment to another.
pub(super) fn seconds_between(from: DateTime, to: DateTime) -> f64 {
    let span = to.duration_since(from);
    span.as_secs_f64()
}

/// The longest uptake that is believed.
pub(super) fn uptake_s_max(half_life_s: f64) -> f64 {
    DAY_S.max(UPTAKE_HALF_LIVES_MAX * half_life_s)
}

/// When the tracer was given.
///
/// Radiopharmaceutical Start DateTime where it is plausible. De-identified data often carry its date a day off: then, and
/// where only Radiopharmaceutical Start Time is there, the time of day on the day of the scan, or on the day before when
/// that is later than the scan. What is then more than five half-lives is refused: an injection clock that runs one minute
/// late would otherwise become an uptake of 23 h 59 min.
pub(super) fn administered_at(
    header: &SuvHeader,
    half_life_s: f64,
    remarks: &mut Vec<(FindingKind, String)>,
) -> Result<DateTime, SuvError> {
    let scan_at = earliest_acquisition(header).or(header.series_at).ok_or(SuvError::ScanTime)?;
    let plausible = |at: &DateTime| (0.0..=uptake_s_max(half_life_s)).contains(&seconds_between(*at, scan_at));
    if let Some(at) = header.administered_at.filter(plausible) {
        return Ok(at);
    }
    let time = match (header.administered_at, header.administered_time) {
        (Some(at), _) => {
            let detail =
                "RadiopharmaceuticalStartDateTime (0018,1078) is not on the day of the scan: its time of day is used";
            remarks.push((FindingKind::AdministrationDateShifted, detail.into()));
            at.time()
        }
        (None, Some(time)) => time,
        (None, None) => {
            let attribute = "RadiopharmaceuticalStartDateTime (0018,1078) or RadiopharmaceuticalStartTime (0018,1072)";
            return Err(SuvError::Missing { attribute });
        }
    };
    let at = scan_at.date().to_datetime(time);
    if at <= scan_at {
        return Ok(at);
    }
    let day_before = at.checked_sub(Span::new().days(1)).map_err(|_| SuvError::ScanTime)?;
    let found_s = seconds_between(day_before, scan_at);
    let max_s = UPTAKE_HALF_LIVES_MAX * half_life_s;
    if found_s > max_s {
        return Err(SuvError::Uptake { found_s, max_s });
    }
    Ok(day_before)
}

/// The moment to which an image with Decay Correction START is corrected, by slice. In this order:
///
/// 1. a time that is meant as such: Decay Correction DateTime, GE's scan time, Siemens' decay correction time, where it lies
///    between the administration and the longest believable uptake after it;
/// 2. Series Time where it is not after the earliest Acquisition Time (later: the series was made by post-processing);
/// 3. by slice, Acquisition Time + T_ave - Frame Reference Time;
/// 4. the earliest Acquisition Time.
pub(super) fn reference_times(
    header: &SuvHeader,
    administered_at: DateTime,
    half_life_s: f64,
) -> Result<Reference, SuvError> {
    let uptake_s = |at: DateTime| seconds_between(administered_at, at);
    let plausible = |at: DateTime| (0.0..=uptake_s_max(half_life_s)).contains(&uptake_s(at));
    let earliest = earliest_acquisition(header);
    let by_frame = frame_references(header, half_life_s);
    let n_slices = header.slices.len();

    let mut candidates = Vec::new();
    let mut used: Option<(ReferenceTime, Vec<DateTime>)> = None;
    let constants = [
        (ReferenceTime::DecayCorrection, header.decay_corrected_to),
        (ReferenceTime::GeScan, header.ge_scan_at),
        (ReferenceTime::SiemensDecayCorrection, header.siemens_decay_corrected_to),
        (ReferenceTime::Series, header.series_at),
    ];
    for (source, at) in constants {
        let Some(at) = at else { continue };
        candidates.push((source, uptake_s(at)));
        let usable = match source {
            ReferenceTime::Series => earliest.is_none_or(|earliest| at <= earliest),
            _ => plausible(at),
        };
        if usable && used.is_none() {
            used = Some((source, vec![at; n_slices]));
        }
    }
    if let Some(by_frame) = by_frame {
        #[allow(clippy::cast_precision_loss)]
        let mean_s = by_frame.iter().map(|at| uptake_s(*at)).sum::<f64>() / by_frame.len().max(1) as f64;
        candidates.push((ReferenceTime::FrameReference, mean_s));
        used.get_or_insert((ReferenceTime::FrameReference, by_frame));
    }
    if let Some(earliest) = earliest {
        candidates.push((ReferenceTime::EarliestAcquisition, uptake_s(earliest)));
        used.get_or_insert((ReferenceTime::EarliestAcquisition, vec![earliest; n_slices]));
    }
    let (used, by_slice) = used.ok_or(SuvError::ScanTime)?;
    Ok(Reference { used, by_slice, candidates })
}

fn earliest_acquisition(header: &SuvHeader) -> Option<DateTime> {
    header.slices.iter().filter_map(|slice| slice.acquired_at).min()
}

/// Acquisition Time + T_ave - Frame Reference Time of every slice; `None` when one of them lacks a part.
///
/// T_ave, when the activity equals its mean over the frame, is ln(lambda T / (1 - e^(-lambda T))) / lambda after its start.
fn frame_references(header: &SuvHeader, half_life_s: f64) -> Option<Vec<DateTime>> {
    let lambda = std::f64::consts::LN_2 / half_life_s;
    header
        .slices
        .iter()
        .map(|slice| {
            let duration_s = slice.frame_duration_s.filter(|duration| *duration > 0.0)?;
            let x = lambda * duration_s;
            let average_s = (x / -(-x).exp_m1()).ln() / lambda;
            shifted(slice.acquired_at?, average_s - slice.frame_reference_s?)
        })
        .collect()
}

/// A moment some seconds later, to the microsecond.
fn shifted(at: DateTime, seconds: f64) -> Option<DateTime> {
    let micros = (seconds * 1e6).round();
    // Ten years either way: beyond it the header is nonsense, and the number is no microseconds any more.
    if micros.is_nan() || micros.abs() > 3.2e14 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation)] // Bounded above.
    at.checked_add(Span::new().try_microseconds(micros as i64).ok()?).ok()
}

//! Standardised uptake values: from what a PET header says to one factor per slice. Pure arithmetic.
//!
//! SUVbw = activity concentration (Bq/ml) x weight (g) / dose (Bq), the dose decayed to the moment to which the image was
//! corrected: dose(t) = dose 2^(-(t - t_administered) / half-life).
//!
//! Sources: PS3.3 C.8.9.1 (PET Series), the QIBA vendor-neutral pseudo-code for SUV, the manual of Vácha et al. on SUV
//! computation with its reference objects, and the conformance statements of GE, Philips and Siemens.

mod body;
mod header;
mod report;
mod time;

use serde::{Deserialize, Serialize};

pub use body::{Body, BodyError, Sex, SuvKind};
pub use report::{SuvReport, SuvSeries, SuvSlice, report};
pub use time::{Candidate, ReferenceTime, SliceTiming};

use crate::finding::FindingKind;
use time::seconds_between;

/// A dose below this many becquerels is no dose of any human study: it was written in MBq.
const DOSE_BQ_MIN: f64 = 1e5;

/// No patient weighs more kilograms: it was written in grams.
const WEIGHT_KG_MAX: f64 = 1000.0;

/// No patient is taller in metres: it was written in centimetres.
const SIZE_M_MAX: f64 = 3.0;

/// Candidates of the reference time whose factors differ by more than this are remarked on.
const CANDIDATE_SPREAD_MAX: f64 = 0.01;

/// What a PET series says that bears on SUV. Absent attributes are `None` or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SuvHeader {
    /// Units (0054,1001).
    pub units: String,
    /// SUV Type (0054,1006).
    pub suv_type: String,
    /// Corrected Image (0028,0051).
    pub corrected_image: Vec<String>,
    /// Decay Correction (0054,1102).
    pub decay_correction: String,
    /// Patient's Weight (0010,1030), as written.
    pub weight: Option<f64>,
    /// Patient's Size (0010,1020), as written.
    pub size: Option<f64>,
    /// Patient's Sex (0010,0040).
    pub sex: Option<Sex>,
    /// Radionuclide Total Dose (0018,1074), as written.
    pub dose: Option<f64>,
    /// Radionuclide Half Life (0018,1075).
    pub half_life_s: Option<f64>,
    /// Radiopharmaceutical Start DateTime (0018,1078).
    pub administered_at: Option<jiff::civil::DateTime>,
    /// Radiopharmaceutical Start Time (0018,1072).
    pub administered_time: Option<jiff::civil::Time>,
    /// Series Date and Time (0008,0021), (0008,0031).
    pub series_at: Option<jiff::civil::DateTime>,
    /// Decay Correction DateTime (0018,9701).
    pub decay_corrected_to: Option<jiff::civil::DateTime>,
    /// GE's private scan time (0009,xx0D).
    pub ge_scan_at: Option<jiff::civil::DateTime>,
    /// Siemens' private decay correction time (0071,xx22).
    pub siemens_decay_corrected_to: Option<jiff::civil::DateTime>,
    /// Philips' private SUV factor (7053,xx00).
    pub philips_suv_factor: Option<f64>,
    /// Philips' private activity concentration factor (7053,xx09).
    pub philips_activity_factor: Option<f64>,
    /// The slices, in the order of the factors.
    pub slices: Vec<SliceTiming>,
}

/// What a site may switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SuvSettings {
    /// A dose below 1e5 is taken as MBq, with a remark.
    pub small_dose_is_mbq: bool,
}

impl Default for SuvSettings {
    fn default() -> Self {
        Self { small_dose_is_mbq: true }
    }
}

/// How a series became SUV.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suv {
    /// Which kind of SUV.
    pub kind: SuvKind,
    /// Which rule applied.
    pub rule: SuvRule,
    /// What the rescaled values of each slice are multiplied by.
    pub factors: Vec<f64>,
    /// From administration to the reference time; of the first slice where it is by slice.
    pub uptake_s: Option<f64>,
    /// The dose in becquerels at administration, where it was used.
    pub dose_bq: Option<f64>,
    /// The patient, where used or known: other kinds of SUV follow from it.
    pub body: Option<Body>,
    /// Every reference time that the header allows, used or not.
    pub candidates: Vec<Candidate>,
    /// What is worth remarking, as kinds of findings with their detail.
    pub remarks: Vec<(FindingKind, String)>,
}

/// Which rule made the factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuvRule {
    /// The values are SUV of this kind already; only the body measure changes.
    Stored(SuvKind),
    /// Philips' private SUV factor.
    PhilipsFactor,
    /// The image is corrected to the administration: the dose as it is.
    Administration,
    /// The image is not corrected: each slice by its own time.
    BySlice,
    /// The image is corrected to the start of the scan: the dose decayed to this time.
    Start(ReferenceTime),
}

/// Why a series has no SUV.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SuvError {
    /// A correction is missing.
    #[error("CorrectedImage (0028,0051) lacks {missing}: the values are no activity")]
    NotCorrected {
        /// ATTN or DECY.
        missing: &'static str,
    },
    /// Units that no rule knows.
    #[error("Units (0054,1001) and SUVType (0054,1006) are none that lead to SUV, expected BQML, CNTS, GML or CM2ML")]
    Units,
    /// Counts without Philips' factors.
    #[error("Units (0054,1001) is CNTS, and neither Philips' SUV factor nor its activity factor is there and not 0")]
    Counts,
    /// An unknown decay correction.
    #[error("DecayCorrection (0054,1102) is none of NONE, START and ADMIN")]
    DecayCorrection,
    /// An attribute that the rule needs.
    #[error("{attribute} is absent or not more than 0")]
    Missing {
        /// Name and tag.
        attribute: &'static str,
    },
    /// The patient's measures do not suffice.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// No time of any slice.
    #[error("neither AcquisitionTime (0008,0032) nor SeriesTime (0008,0031) is there")]
    ScanTime,
    /// The scan precedes the injection, or follows it by too long.
    #[error("the uptake time is {found_s} s, expected 0 to {max_s} s")]
    Uptake {
        /// What the header gives.
        found_s: f64,
        /// The longest that is believed.
        max_s: f64,
    },
}

impl Suv {
    /// The same series as SUV of another kind: the factors times the ratio of the body measures.
    ///
    /// # Errors
    /// When the header does not tell the weight, size or sex that a formula needs.
    pub fn of_kind(mut self, kind: SuvKind) -> Result<Self, BodyError> {
        if kind != self.kind {
            let body = self.body.ok_or(BodyError::Weight)?;
            let ratio = body.measure(kind)? / body.measure(self.kind)?;
            let candidates = self.candidates.iter_mut().map(|candidate| &mut candidate.factor);
            self.factors.iter_mut().chain(candidates).for_each(|factor| *factor *= ratio);
            self.kind = kind;
        }
        Ok(self)
    }
}

/// Applies the rules to a header: SUV by body weight.
///
/// # Errors
/// When a correction, a dose, a weight or a time that the rule needs is missing, zero or contradictory. Never a default.
pub fn suv_bw(header: &SuvHeader, settings: &SuvSettings) -> Result<Suv, SuvError> {
    let corrected = |by: &str| header.corrected_image.iter().any(|value| value == by);
    if !corrected("ATTN") {
        return Err(SuvError::NotCorrected { missing: "ATTN" });
    }
    if header.decay_correction != "NONE" && !corrected("DECY") {
        return Err(SuvError::NotCorrected { missing: "DECY" });
    }
    let mut remarks = Vec::new();
    let body = body_of(header, &mut remarks);
    let constant = |rule, factor| Suv {
        kind: SuvKind::Bw,
        rule,
        factors: vec![factor; header.slices.len()],
        uptake_s: None,
        dose_bq: None,
        body: body.as_ref().ok().copied(),
        candidates: Vec::new(),
        remarks: remarks.clone(),
    };
    let usable = |factor: Option<f64>| factor.filter(|factor| *factor > 0.0);
    match header.units.as_str() {
        "GML" => {
            let kind = SuvKind::from_suv_type(&header.suv_type).ok_or(SuvError::Units)?;
            Ok(constant(SuvRule::Stored(kind), stored_factor(kind, &body)?))
        }
        "CM2ML" if matches!(header.suv_type.as_str(), "" | "BSA") => {
            Ok(constant(SuvRule::Stored(SuvKind::Bsa), stored_factor(SuvKind::Bsa, &body)?))
        }
        "CNTS" => match (usable(header.philips_suv_factor), usable(header.philips_activity_factor)) {
            (Some(factor), _) => Ok(constant(SuvRule::PhilipsFactor, factor)),
            (None, Some(factor)) => from_activity(header, settings, factor, body?, remarks),
            (None, None) => Err(SuvError::Counts),
        },
        "BQML" => from_activity(header, settings, 1.0, body?, remarks),
        _ => Err(SuvError::Units),
    }
}

/// From SUV of another kind to SUVbw: the ratio of the body measures. Body weight itself needs nothing.
fn stored_factor(kind: SuvKind, body: &Result<Body, SuvError>) -> Result<f64, SuvError> {
    if kind == SuvKind::Bw {
        return Ok(1.0);
    }
    let body = body.clone()?;
    Ok(body.measure(SuvKind::Bw)? / body.measure(kind)?)
}

/// Weight, size and sex in the standard's units.
fn body_of(header: &SuvHeader, remarks: &mut Vec<(FindingKind, String)>) -> Result<Body, SuvError> {
    let mut weight_kg = positive(header.weight, "PatientWeight (0010,1030)")?;
    if weight_kg > WEIGHT_KG_MAX {
        weight_kg /= 1000.0;
        remarks.push((FindingKind::BodyUnitAssumed, "PatientWeight (0010,1030) above 1000 taken as grams".into()));
    }
    let mut size_m = header.size.filter(|size| *size > 0.0);
    if let Some(size) = size_m.as_mut().filter(|size| **size > SIZE_M_MAX) {
        *size /= 100.0;
        remarks.push((FindingKind::BodyUnitAssumed, "PatientSize (0010,1020) above 3 taken as centimetres".into()));
    }
    Ok(Body { weight_kg, size_m, sex: header.sex })
}

/// From activity concentration, of which `to_bq_per_ml` makes Bq/ml.
fn from_activity(
    header: &SuvHeader,
    settings: &SuvSettings,
    to_bq_per_ml: f64,
    body: Body,
    mut remarks: Vec<(FindingKind, String)>,
) -> Result<Suv, SuvError> {
    let mut dose_bq = positive(header.dose, "RadionuclideTotalDose (0018,1074)")?;
    if dose_bq < DOSE_BQ_MIN && settings.small_dose_is_mbq {
        dose_bq *= 1e6;
        remarks.push((FindingKind::DoseUnitAssumed, "RadionuclideTotalDose (0018,1074) below 1e5 taken as MBq".into()));
    }
    // Of a dose that has not decayed.
    let factor = to_bq_per_ml * body.measure(SuvKind::Bw)? / dose_bq;
    let mut suv = Suv {
        kind: SuvKind::Bw,
        rule: SuvRule::Administration,
        factors: vec![factor; header.slices.len()],
        uptake_s: None,
        dose_bq: Some(dose_bq),
        body: Some(body),
        candidates: Vec::new(),
        remarks,
    };
    match header.decay_correction.as_str() {
        "ADMIN" => {}
        "NONE" => by_slice(header, factor, &mut suv)?,
        "START" => from_start(header, factor, &mut suv)?,
        _ => return Err(SuvError::DecayCorrection),
    }
    Ok(suv)
}

/// Not corrected for decay: the mean activity of a frame of duration T is the activity at its start times
/// (1 - e^(-lambda T)) / (lambda T), and the dose has decayed until then as well.
fn by_slice(header: &SuvHeader, factor: f64, suv: &mut Suv) -> Result<(), SuvError> {
    let half_life_s = positive(header.half_life_s, "RadionuclideHalfLife (0018,1075)")?;
    let administered_at = time::administered_at(header, half_life_s, &mut suv.remarks)?;
    suv.rule = SuvRule::BySlice;
    suv.factors.clear();
    for slice in &header.slices {
        let acquired_at = slice.acquired_at.ok_or(SuvError::ScanTime)?;
        let duration_s = positive(slice.frame_duration_s, "ActualFrameDuration (0018,1242)")?;
        let uptake_s = checked_uptake(seconds_between(administered_at, acquired_at), half_life_s)?;
        suv.uptake_s.get_or_insert(uptake_s);
        let x = std::f64::consts::LN_2 * duration_s / half_life_s;
        suv.factors.push(factor * (x / -(-x).exp_m1()) * (uptake_s / half_life_s).exp2());
    }
    Ok(())
}

/// Corrected to the start of the scan: the dose decays until the reference time.
fn from_start(header: &SuvHeader, factor: f64, suv: &mut Suv) -> Result<(), SuvError> {
    let half_life_s = positive(header.half_life_s, "RadionuclideHalfLife (0018,1075)")?;
    let administered_at = time::administered_at(header, half_life_s, &mut suv.remarks)?;
    let reference = time::reference_times(header, administered_at, half_life_s)?;
    suv.rule = SuvRule::Start(reference.used);
    suv.factors.clear();
    for at in &reference.by_slice {
        let uptake_s = checked_uptake(seconds_between(administered_at, *at), half_life_s)?;
        suv.uptake_s.get_or_insert(uptake_s);
        suv.factors.push(factor * (uptake_s / half_life_s).exp2());
    }
    if reference.used == ReferenceTime::EarliestAcquisition {
        let detail = "the earliest AcquisitionTime (0008,0032) is taken for the decay reference";
        suv.remarks.push((FindingKind::DecayReferenceAssumed, detail.into()));
    }
    let candidate = |(source, uptake_s): (ReferenceTime, f64)| Candidate {
        source,
        uptake_s,
        factor: factor * (uptake_s / half_life_s).exp2(),
    };
    suv.candidates = reference.candidates.into_iter().map(candidate).collect();
    let (least, most) = suv
        .candidates
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(least, most), c| (least.min(c.factor), most.max(c.factor)));
    if most > least * (1.0 + CANDIDATE_SPREAD_MAX) {
        let detail =
            format!("the reference times that the header allows differ by {:.1} %", 100.0 * (most / least - 1.0));
        suv.remarks.push((FindingKind::DecayReferenceAmbiguous, detail));
    }
    Ok(())
}

/// An uptake that can be: not before the injection, and not longer than a day or five half-lives, whichever is longer.
fn checked_uptake(found_s: f64, half_life_s: f64) -> Result<f64, SuvError> {
    let max_s = time::uptake_s_max(half_life_s);
    if (0.0..=max_s).contains(&found_s) { Ok(found_s) } else { Err(SuvError::Uptake { found_s, max_s }) }
}

fn positive(value: Option<f64>, attribute: &'static str) -> Result<f64, SuvError> {
    value.filter(|value| value.is_finite() && *value > 0.0).ok_or(SuvError::Missing { attribute })
}

#[cfg(test)]
mod tests;

//! What changed since an earlier case of the same lesion, feature by feature.
//!
//! Two values are compared only where they were measured alike: the same patient (that is the cohort's to know), protocol,
//! settings and numerics version (one hash), role, space, filter and unit. A lesion is the same by the tracking UID of its
//! drawings where both studies have one, else by its label where that names one lesion on each side. The change is the
//! later value minus the earlier one, both raw. Its error from misregistration is the root of the sum of the squares of both
//! values' errors, as the two misplacements are independent: a change within it may be a shifted outline and no biology.
//!
//! It does not know whether two scanners measure alike: the harmonised values are for that.

use serde::Deserialize;

use super::{CaseResult, Lesion, Measured, MeasurementGroup, RoiOrigin, Space};
use crate::dicom::uid::Uid;

/// The changes of one role of one lesion in one space.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeGroup {
    /// [`Lesion::number`] in the later case.
    pub lesion: usize,
    /// The role.
    pub role: String,
    /// The space.
    pub space: Space,
    /// Since when.
    pub since: Since,
    /// The changes, in the order of the later values.
    pub values: Vec<Change>,
}

/// The earlier measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// Its case.
    pub case: String,
    /// Its revision.
    pub revision: u32,
    /// Its Study Date (0008,0020).
    pub study_date: String,
    /// How it is known that the lesion is the same.
    pub known_by: KnownBy,
}

/// How it is known that two lesions are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownBy {
    /// A drawing of each has the same tracking UID.
    TrackingUid,
    /// They have a name in common that no other lesion has.
    Label,
}

impl KnownBy {
    /// In documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TrackingUid => "tracking_uid",
            Self::Label => "label",
        }
    }
}

/// The change of one feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// [`Measured::family`], [`Measured::filter`] and [`Measured::tag`]: which value.
    pub feature: [String; 3],
    /// The earlier value.
    pub before: f64,
    /// The later value.
    pub now: f64,
    /// Its error from misregistration, where both values have theirs.
    pub misregistration_error: Option<f64>,
}

impl Change {
    /// Later minus earlier.
    #[must_use]
    pub fn difference(&self) -> f64 {
        self.now - self.before
    }

    /// Whether it is more than misregistration explains, where its error is known.
    #[must_use]
    pub fn exceeds_error(&self) -> Option<bool> {
        self.misregistration_error.map(|error| self.difference().abs() > error)
    }
}

/// An earlier result, as its `report.json` tells it.
#[derive(Debug, Clone)]
pub struct Earlier {
    study_date: String,
    report: Report,
}

#[derive(Debug, Clone, Deserialize)]
struct Report {
    case: String,
    revision: u32,
    protocol: String,
    settings_sha256: String,
    lesions: Vec<EarlierLesion>,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, Deserialize)]
struct EarlierLesion {
    number: usize,
    names: Vec<String>,
    #[serde(default)]
    tracking: Vec<Uid>,
}

#[derive(Debug, Clone, Deserialize)]
struct Block {
    lesion: usize,
    role: String,
    space: Space,
    drawn_on: RoiOrigin,
    features: Vec<Feature>,
}

#[derive(Debug, Clone, Deserialize)]
struct Feature {
    family: String,
    tag: String,
    filter: String,
    unit: String,
    value: f64,
    misregistration_error: Option<f64>,
}

impl Earlier {
    /// Reads a `report.json`.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(report_json: &[u8], study_date: &str) -> Result<Self, serde_json::Error> {
        Ok(Self { study_date: study_date.to_owned(), report: serde_json::from_slice(report_json)? })
    }
}

/// The changes of each block since the first of these results that has it. They come newest first.
#[must_use]
pub fn changes(case: &CaseResult, earlier: &[Earlier]) -> Vec<ChangeGroup> {
    let of_settings: Vec<&Earlier> = earlier
        .iter()
        .filter(|earlier| {
            earlier.report.protocol == case.protocol && earlier.report.settings_sha256 == case.settings_hash
        })
        .collect();
    let of_group = |group: &MeasurementGroup| {
        let lesion = case.lesions.iter().find(|lesion| lesion.number == group.lesion)?;
        of_settings.iter().find_map(|earlier| since(case, group, lesion, earlier))
    };
    case.groups.iter().filter_map(of_group).collect()
}

fn since(case: &CaseResult, group: &MeasurementGroup, lesion: &Lesion, earlier: &Earlier) -> Option<ChangeGroup> {
    let (number, known_by) = same_lesion(case, lesion, &earlier.report.lesions)?;
    let block = earlier.report.blocks.iter().find(|block| {
        block.lesion == number
            && block.role == group.role
            && block.space == group.space
            && block.drawn_on.automatic == group.drawn_on.automatic
    })?;
    let values: Vec<Change> = group.values.iter().filter_map(|value| change(value, &block.features)).collect();
    let Report { case, revision, .. } = &earlier.report;
    let since = Since { case: case.clone(), revision: *revision, study_date: earlier.study_date.clone(), known_by };
    let (lesion, role, space) = (group.lesion, group.role.clone(), group.space);
    (!values.is_empty()).then_some(ChangeGroup { lesion, role, space, since, values })
}

/// The number of the earlier lesion that this one is. Two with tracking UIDs of which none is common are two lesions,
/// whatever their names.
fn same_lesion(case: &CaseResult, lesion: &Lesion, earlier: &[EarlierLesion]) -> Option<(usize, KnownBy)> {
    let tracked = |other: &&EarlierLesion| other.tracking.iter().any(|uid| lesion.tracking.contains(uid));
    if let Some(other) = only(earlier.iter().filter(tracked)) {
        return Some((other.number, KnownBy::TrackingUid));
    }
    let is_anothers = |other: &EarlierLesion| {
        let others = case.lesions.iter().filter(|own| own.number != lesion.number);
        others.flat_map(|own| &own.tracking).any(|uid| other.tracking.contains(uid))
    };
    let untracked =
        |other: &&EarlierLesion| (other.tracking.is_empty() || lesion.tracking.is_empty()) && !is_anothers(other);
    let shares = |a: &[String], b: &[String]| a.iter().any(|name| b.contains(name));
    let other = only(earlier.iter().filter(|other| shares(&other.names, &lesion.names))).filter(untracked)?;
    only(case.lesions.iter().filter(|own| shares(&own.names, &other.names)))?;
    Some((other.number, KnownBy::Label))
}

fn only<T>(mut of: impl Iterator<Item = T>) -> Option<T> {
    let first = of.next()?;
    of.next().is_none().then_some(first)
}

fn change(value: &Measured, earlier: &[Feature]) -> Option<Change> {
    let alike = |other: &&Feature| {
        other.tag == value.tag
            && other.filter == value.filter
            && other.family == value.family
            && other.unit == value.unit
    };
    let other = earlier.iter().find(alike)?;
    let errors = value.misregistration_error.zip(other.misregistration_error);
    Some(Change {
        feature: [value.family.clone(), value.filter.clone(), value.tag.clone()],
        before: other.value,
        now: value.value,
        misregistration_error: errors.map(|(now, before)| now.hypot(before)).filter(|error| error.is_finite()),
    })
}

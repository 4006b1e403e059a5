//! How the PET series of a folder become SUV, for whoever asks: the rule, every candidate, one factor per slice.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use serde::Serialize;

use super::super::error::VolumeError;
use super::{SliceTiming, Suv, SuvHeader, SuvKind, SuvSettings, suv_bw};
use crate::dicom::attributes;
use crate::dicom::geometry;
use crate::dicom::layers::Layers;
use crate::dicom::part10::{FormatError, Keep, Part10};
use crate::dicom::uid::Uid;
use crate::math::linalg;

/// What the PET series of some files say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuvReport {
    /// One entry per PET series, by Series Instance UID.
    pub series: Vec<SuvSeries>,
    /// Files that are no DICOM files, or of another modality.
    pub n_other_files: usize,
}

/// One PET series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuvSeries {
    /// Series Instance UID.
    pub series: String,
    /// Units (0054,1001).
    pub units: String,
    /// Decay Correction (0054,1102).
    pub decay_correction: String,
    /// The rule with its candidates and remarks; its factors are those of `slices`.
    #[serde(flatten)]
    pub suv: Option<Suv>,
    /// Why there is none.
    pub error: Option<String>,
    /// What SUV by body weight is multiplied by to become another kind, as far as the header tells the patient's measures.
    pub other_kinds: BTreeMap<SuvKind, f64>,
    /// The slices in ascending order along their normal.
    pub slices: Vec<SuvSlice>,
}

/// One slice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuvSlice {
    /// SOP Instance UID.
    pub instance: String,
    /// Number of the frame in its instance, from 1.
    pub frame: usize,
    /// Where it lies along its normal.
    pub position_mm: f64,
    /// Rescale Slope (0028,1053).
    pub rescale_slope: Option<f64>,
    /// SUV by body weight = rescaled value x factor.
    pub factor: Option<f64>,
}

/// One slice before the rule is known.
struct Found {
    slice: SuvSlice,
    timing: SliceTiming,
}

/// One series before the rule is known.
#[derive(Default)]
struct Group {
    header: Option<SuvHeader>,
    slices: Vec<Found>,
    /// The first defect that leaves the series without SUV.
    defect: Option<String>,
}

/// The PET series among these files. Reads headers only. A defect of a series is its own: the others are told as they are.
///
/// # Errors
/// When a file cannot be read from the disk.
pub fn report(files: &[PathBuf], settings: &SuvSettings) -> Result<SuvReport, VolumeError> {
    let mut series: BTreeMap<Uid, Group> = BTreeMap::new();
    let mut n_other_files = 0;
    for path in files {
        let object = match Part10::open(path, Keep::All) {
            Ok(part10) => part10.object,
            Err(error @ FormatError::Io(_)) => return Err(error.into()),
            Err(_) => {
                n_other_files += 1;
                continue;
            }
        };
        let is_pet =
            attributes::code_string(&object, tags::MODALITY) == "PT" && attributes::has_value(&object, tags::ROWS);
        match attributes::required_uid(&object, tags::SERIES_INSTANCE_UID) {
            Ok(uid) if is_pet => {
                let group = series.entry(uid).or_default();
                if let Err(error) = group.take(&object) {
                    group.defect.get_or_insert(error.to_string());
                }
            }
            _ => n_other_files += 1,
        }
    }
    let series = series.into_iter().map(|(uid, group)| group.told(&uid, settings)).collect();
    Ok(SuvReport { series, n_other_files })
}

impl Group {
    /// Adds the frames of one instance.
    fn take(&mut self, object: &InMemDicomObject) -> Result<(), VolumeError> {
        let frames: Vec<Layers<'_>> = match attributes::count(object, tags::NUMBER_OF_FRAMES)?.unwrap_or(1) {
            0 | 1 => vec![Layers::of_frame(object, 0).unwrap_or(Layers::of(object))],
            n => (0..n as usize).map_while(|frame| Layers::of_frame(object, frame)).collect(),
        };
        for (index, layers) in frames.iter().enumerate() {
            if self.header.is_none() {
                self.header = Some(SuvHeader::of_layers(layers)?);
            }
            self.slices.push(slice(layers, index)?);
            let intercept = attributes::number(layers.holder(tags::RESCALE_INTERCEPT), tags::RESCALE_INTERCEPT)?;
            if intercept.is_some_and(|intercept| intercept != 0.0) {
                self.defect.get_or_insert_with(|| "RescaleIntercept (0028,1052) of a PET is not 0".to_owned());
            }
        }
        Ok(())
    }

    fn told(mut self, uid: &Uid, settings: &SuvSettings) -> SuvSeries {
        self.slices.sort_by(|a, b| a.slice.position_mm.total_cmp(&b.slice.position_mm));
        let mut header = self.header.unwrap_or_default();
        header.slices = self.slices.iter().map(|found| found.timing).collect();
        let mut slices: Vec<SuvSlice> = self.slices.into_iter().map(|found| found.slice).collect();
        let suv = match self.defect {
            Some(defect) => Err(defect),
            None => suv_bw(&header, settings).map_err(|error| error.to_string()),
        };
        if let Ok(suv) = &suv {
            slices.iter_mut().zip(&suv.factors).for_each(|(slice, factor)| slice.factor = Some(*factor));
        }
        SuvSeries {
            series: uid.as_str().to_owned(),
            units: header.units,
            decay_correction: header.decay_correction,
            other_kinds: suv.as_ref().map(other_kinds).unwrap_or_default(),
            error: suv.as_ref().err().cloned(),
            suv: suv.ok(),
            slices,
        }
    }
}

/// What SUV by body weight is multiplied by, as far as the patient's measures are known.
fn other_kinds(suv: &Suv) -> BTreeMap<SuvKind, f64> {
    let body = suv.body.and_then(|body| Some((body, body.measure(SuvKind::Bw).ok()?)));
    let others = SuvKind::ALL.into_iter().filter(|kind| *kind != SuvKind::Bw);
    others.filter_map(|kind| body.and_then(|(body, weight)| Some((kind, body.measure(kind).ok()? / weight)))).collect()
}

fn slice(layers: &Layers<'_>, index: usize) -> Result<Found, VolumeError> {
    let position = geometry::position_mm(layers.holder(tags::IMAGE_POSITION_PATIENT))?;
    let orientation = geometry::orientation(layers.holder(tags::IMAGE_ORIENTATION_PATIENT))?;
    Ok(Found {
        slice: SuvSlice {
            instance: attributes::text(layers.root(), tags::SOP_INSTANCE_UID),
            frame: index + 1,
            position_mm: linalg::dot(position, orientation.normal()),
            rescale_slope: attributes::number(layers.holder(tags::RESCALE_SLOPE), tags::RESCALE_SLOPE)?,
            factor: None,
        },
        timing: SliceTiming::of_layers(layers)?,
    })
}

//! From a feature value to a coded measurement (TID 1419 row 5): which concept, which derivation, which modifiers.
//!
//! Mean, median, minimum and maximum of an unfiltered image in a clinical unit are told in clinical terms (attenuation
//! coefficient, SUV, signal intensity with a derivation); every other feature by its IBSI code, or by a code of our own
//! where IBSI has none.

use std::collections::HashMap;

use super::identity::State;
use super::{Change, Measured, MeasurementGroup};
use crate::dicom::codes::{self, Coded, concepts as c, ibsi};
use crate::dicom::sr::tid1419::Measurement;

/// The family of features of two images together; they stand in groups of their own.
const CROSS_FAMILY: &str = "cross";

/// The measurements of a group in one state, each followed by its misregistration error and its spread over perturbations
/// where those are known. They are those of the raw value.
pub(super) fn measurements(group: &MeasurementGroup, state: State) -> Vec<Measurement> {
    let values = group.values.iter().filter_map(|measured| {
        let cross = measured.family == CROSS_FAMILY;
        let value = match state {
            State::Raw => (!cross).then_some(measured.value),
            State::Cross => cross.then_some(measured.value),
            State::Harmonised => measured.harmonised_value,
            State::Change => None,
        };
        value.map(|value| (measured, measurement(measured, value, state)))
    });
    let mut values: Vec<(&Measured, Measurement)> = values.collect();
    tell_apart(&mut values);
    let mut result = Vec::with_capacity(values.len());
    for (measured, measurement) in values {
        let beside = [
            (c::MISREGISTRATION_ERROR, measured.misregistration_error),
            (c::WITHIN_LESION_SD, measured.within_lesion_sd),
        ];
        let known = beside.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let known = known.filter(|(_, value)| state != State::Harmonised && value.is_finite());
        let known: Vec<_> = known.map(|(name, value)| beside_of(&measurement, name, value)).collect();
        result.push(measurement);
        result.extend(known);
    }
    result
}

/// The changes of a group, each followed by its error, and saying whether it exceeds that.
pub(super) fn changes(group: &MeasurementGroup, changes: &[Change]) -> Vec<Measurement> {
    let mut found: Vec<((&Measured, Measurement), &Change)> = Vec::new();
    for change in changes {
        let [family, filter, tag] = &change.feature;
        let is_it = |value: &&Measured| value.tag == *tag && value.filter == *filter && value.family == *family;
        let Some(measured) = group.values.iter().find(is_it) else { continue };
        found.push(((measured, measurement(measured, change.difference(), State::Change)), change));
    }
    let (mut values, of): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    tell_apart(&mut values);
    let mut result = Vec::with_capacity(2 * values.len());
    for ((_, mut measurement), change) in values.into_iter().zip(of) {
        let error = change.misregistration_error;
        let error = error.map(|error| beside_of(&measurement, c::MISREGISTRATION_ERROR, error));
        let exceeds = change.exceeds_error().map(|exceeds| if exceeds { c::YES } else { c::NO });
        measurement.modifiers.extend(exceeds.map(|code| (c::CHANGE_EXCEEDS_ERROR, code)));
        result.push(measurement);
        result.extend(error);
    }
    result
}

/// A change is told by the feature's own code alone: a small number of Hounsfield units must not be taken for tissue.
fn measurement(measured: &Measured, value: f64, state: State) -> Measurement {
    let clinical = clinical(measured).filter(|_| state != State::Change);
    let (name, derivation) = clinical.map_or_else(|| (feature_code(measured), None), |(n, d)| (n, Some(d)));
    let mut modifiers = Vec::new();
    if !measured.aggregation.is_empty() {
        modifiers.push((c::TEXTURE_AGGREGATION, aggregation_code(&measured.aggregation)));
    }
    if !measured.discretisation.is_empty() {
        modifiers.push((c::DISCRETISATION, discretisation_code(&measured.discretisation)));
    }
    if filtered(measured) {
        modifiers.push((c::FILTER, Coded::own(&measured.filter, &measured.filter)));
    }
    modifiers.push(match state {
        State::Raw | State::Cross => (c::VALUE_STATE, c::RAW),
        State::Harmonised => (c::VALUE_STATE, c::COMBAT_VALUE),
        State::Change => (c::VALUE_STATE, c::CHANGE),
    });
    Measurement {
        name,
        value,
        unit: codes::unit(&measured.unit),
        method: (measured.ibsi_id == "YEKZ").then_some(c::SUM_OF_SEGMENTED_VOXELS),
        derivation,
        modifiers,
        equivalent_meaning: None,
    }
}

fn filtered(measured: &Measured) -> bool {
    !matches!(measured.filter.as_str(), "" | "none")
}

/// The IBSI code, or one of our own made from the tag.
fn feature_code(measured: &Measured) -> Coded {
    if measured.ibsi_id.is_empty() {
        return Coded::own(&measured.tag, &measured.name);
    }
    let meaning = ibsi::dicom_meaning(&measured.ibsi_id).unwrap_or(&measured.name);
    Coded::new(&measured.ibsi_id, "IBSI", meaning)
}

/// A clinical quantity and its derivation (CID 7180, CID 7464), where the unit says which quantity it is.
fn clinical(measured: &Measured) -> Option<(Coded, Coded)> {
    let derivation = match measured.ibsi_id.as_str() {
        "Q4LE" => c::MEAN,
        "Y12H" => c::MEDIAN,
        "1GSF" => c::MINIMUM,
        "84IY" => c::MAXIMUM,
        _ => return None,
    };
    let quantity = match measured.unit.as_str() {
        "[hnsf'U]" => c::ATTENUATION_COEFFICIENT,
        "g/ml{SUVbw}" => c::SUV_BW,
        "g/ml{SUVlbm}" => c::SUV_LBM,
        "g/ml{SUVlbm(James128)}" => c::SUV_LBM_JAMES128,
        "g/ml{SUVlbm(Janma)}" => c::SUV_LBM_JANMA,
        "cm2/ml{SUVbsa}" => c::SUV_BSA,
        "g/ml{SUVibw}" => c::SUV_IBW,
        "[arb'U]" => c::MR_SIGNAL_INTENSITY,
        _ => return None,
    };
    (!filtered(measured)).then_some((quantity, derivation))
}

/// IBSI's own code for a way of combining texture matrices, by its spelling in the IBSI reference table.
fn aggregation_code(spelling: &str) -> Coded {
    match spelling {
        "3D merged" => c::MERGED_3D,
        "3D avg" => c::AVERAGED_3D,
        "2.5D merged" => c::MERGED_2_5D,
        "2.5D direction-merged" => c::DIRECTION_MERGED_2_5D,
        "2D slice-merged" => c::SLICE_MERGED_2D,
        "2D avg" => c::AVERAGED_2D,
        "3D" => c::SINGLE_3D,
        "2.5D" => c::MERGED_SLICES_2_5D,
        "2D" => c::AVERAGED_SLICES_2D,
        other => Coded::own(other, other),
    }
}

/// The method; its bin width or number of bins stands among the algorithm parameters.
fn discretisation_code(words: &str) -> Coded {
    match words.split_whitespace().next() {
        Some("FBN") => c::FIXED_BIN_NUMBER,
        Some("FBS") => c::FIXED_BIN_SIZE,
        _ => Coded::own(words, words),
    }
}

/// What is told of a feature, such as the error that misregistration puts on it: a measurement of its own beside it, qualified
/// like it.
fn beside_of(of: &Measurement, name: Coded, value: f64) -> Measurement {
    let mut modifiers = vec![(c::FEATURE, of.name.clone())];
    modifiers.extend(of.modifiers.iter().cloned());
    Measurement {
        name,
        value,
        unit: of.unit.clone(),
        method: None,
        derivation: of.derivation.clone(),
        modifiers,
        equivalent_meaning: of.equivalent_meaning.clone(),
    }
}

/// Says in words what codes do not tell apart: two volume fractions of an intensity-volume histogram share one IBSI code,
/// and so do two bin numbers; a code of our own that is a hash says nothing to a person.
fn tell_apart(values: &mut [(&Measured, Measurement)]) {
    let mut count: HashMap<String, usize> = HashMap::new();
    let keys: Vec<String> = values.iter().map(|(_, measurement)| key(measurement)).collect();
    for key in &keys {
        *count.entry(key.clone()).or_default() += 1;
    }
    for ((measured, measurement), key) in values.iter_mut().zip(&keys) {
        let shared = count.get(key).is_some_and(|n| *n > 1);
        let hashed = measured.ibsi_id.is_empty() && measurement.name.value != measured.tag;
        if shared || hashed {
            let details = [measured.tag.as_str(), measured.discretisation.as_str()];
            let details: Vec<&str> = details.into_iter().filter(|text| !text.is_empty()).collect();
            measurement.equivalent_meaning = Some(details.join(", "));
        }
    }
}

fn key(measurement: &Measurement) -> String {
    let mut key = format!("{}|{}", measurement.name.scheme, measurement.name.value);
    for code in measurement.derivation.iter().chain(measurement.modifiers.iter().map(|(_, value)| value)) {
        key.push('|');
        key.push_str(&code.value);
    }
    key
}

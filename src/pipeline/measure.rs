//! From a role's settings to those of the extraction, and from its values to the result's.

use std::sync::Arc;

use super::error::PipelineError;
use super::remarks::Remarks;
use super::roles::{self, Role};
use crate::config::{Input, Protocol};
use crate::features::{Discretise, Extraction, Family, FeatureError, Resample, Resegment, Settings};
use crate::finding::FindingKind;
use crate::image::{Modality, Volume};
use crate::normalise::{self, Fitted, Method, Scale};
use crate::report::Measured;
use crate::volume::Units;

/// A role's image on its modality's scale.
#[derive(Debug, Clone)]
pub(super) struct Scaled {
    /// The image in its new unit.
    pub(super) volume: Arc<Volume<f32>>,
    /// What was done, fitted on the whole image.
    pub(super) fitted: Fitted,
    /// The new unit, UCUM.
    pub(super) unit: &'static str,
}

/// Fits every role's method on its whole image; `None` for a role that the method does not fit.
pub(super) fn normalise(roles: &[Role<'_>], remarks: &mut Remarks<'_>) -> Result<Vec<Option<Scaled>>, PipelineError> {
    let mut scaled = Vec::with_capacity(roles.len());
    for role in roles {
        match normalise::fit(&role.volume, &role.input.normalise, None) {
            Ok(fitted) => scaled.push(Some(scale(role, fitted))),
            Err(error) => {
                roles::refuse(role.input, &error.to_string(), remarks)?;
                scaled.push(None);
            }
        }
    }
    Ok(scaled)
}

fn scale(role: &Role<'_>, mut fitted: Fitted) -> Scaled {
    if role.units == Units::BqPerMl {
        fitted.note = format!("activity concentration, no SUV ({})", fitted.note);
    }
    let unit = unit(role.units, role.input.modality, fitted.scale);
    // A scale that changes nothing needs no second image.
    let volume = if fitted.scale == Scale::Unchanged {
        role.volume.clone()
    } else {
        let mut volume = Volume::clone(&role.volume);
        fitted.scale.apply(&mut volume);
        Arc::new(volume)
    };
    Scaled { volume, fitted, unit }
}

/// The unit of the scaled values. The arbitrary unit is that of an MR signal; other numbers without a scale are pure.
fn unit(units: Units, modality: Modality, scale: Scale) -> &'static str {
    match (units, scale) {
        (_, Scale::Log | Scale::Linear { .. }) => "1",
        (Units::Arbitrary, Scale::Unchanged) if modality != Modality::Mr => "1",
        (units, Scale::Unchanged) => units.ucum(),
    }
}

/// Bins of the intensity-volume histogram of PET, SUV (IBSI 3.5: calibrated intensities take narrow bins of one width).
const IVH_SUV_WIDTH: f64 = 0.1;
/// Bins of the intensity-volume histogram of uncalibrated intensities (IBSI 3.5).
const IVH_BINS: u32 = 1000;

/// How the features of one role are extracted.
///
/// By modality, as IBSI has it: Hounsfield units are whole numbers after interpolation (2.4) and bins of their histogram
/// are theirs; SUV starts at zero (2.7), so that bins of one width mean the same in every patient.
pub(super) fn settings(input: &Input, protocol: &Protocol, fitted: &Fitted, resample: Option<Resample>) -> Settings {
    let mut resegment = Resegment::default();
    if let Some((low, high)) = fitted.resegment {
        resegment = Resegment::range(low, high);
    }
    let (round_to_integers, ivh) = match input.normalise {
        Method::Hounsfield { .. } => (true, Discretise::None),
        Method::Suv { log, .. } => {
            resegment.low = Some(0.0);
            (false, if log { Discretise::Bins(IVH_BINS) } else { Discretise::BinWidth(IVH_SUV_WIDTH) })
        }
        _ => (false, Discretise::Bins(IVH_BINS)),
    };
    let families = protocol.features.families.iter().copied().filter(|family| *family != Family::Cross).collect();
    let discretise = input.discretise;
    Settings { resample, round_to_integers, resegment, discretise, ivh, families, ..Settings::default() }
}

/// The settings as lines for the documents' algorithm parameters.
pub(super) fn parameters(settings: &Settings, note: &str) -> Vec<String> {
    let bound = |bound: Option<f64>, open: &str| bound.map_or_else(|| open.to_owned(), |value| value.to_string());
    let Resegment { low, high, .. } = settings.resegment;
    let or_none = |label: String| if label.is_empty() { "none".to_owned() } else { label };
    let aggregations: Vec<String> = settings
        .texture
        .aggregations
        .iter()
        .filter_map(|aggregation| serde_json::to_value(aggregation).ok()?.as_str().map(str::to_owned))
        .collect();
    vec![
        format!("normalisation={note}"),
        format!("rounding={}", if settings.round_to_integers { "integers" } else { "none" }),
        format!("resegmentation={} to {}", bound(low, "-inf"), bound(high, "inf")),
        format!("discretisation={}", or_none(settings.discretise.label())),
        format!("ivh_discretisation={}", or_none(settings.ivh.label())),
        format!("texture_aggregation={}", aggregations.join(", ")),
    ]
}

/// The values of an extraction in the words of the result.
pub(super) fn values(extraction: &Extraction, image_unit: &str) -> Vec<Measured> {
    let measured = |value: &crate::features::FeatureValue| Measured {
        tag: value.tag.clone(),
        ibsi_id: value.feature.id.to_owned(),
        name: value.feature.name.to_owned(),
        family: value.feature.family.name().to_owned(),
        filter: "none".to_owned(),
        aggregation: value.aggregation.clone(),
        discretisation: value.discretisation.clone(),
        value: value.value,
        unit: value.feature.unit.ucum(image_unit),
        misregistration_error: None,
        harmonised_value: None,
    };
    extraction.values.iter().map(measured).collect()
}

/// A region that has no features is a remark, not the end of the case.
pub(super) fn remark(error: &FeatureError, subject: &str, block: &str, remarks: &mut Remarks<'_>) {
    let kind = match error {
        FeatureError::EmptyRoi(_) => FindingKind::EmptyRoi,
        _ => FindingKind::NotMeasured,
    };
    remarks.find(kind, subject, format!("{block}: {error}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_mr_signal_has_the_arbitrary_unit_and_what_was_scaled_is_a_number() {
        let linear = Scale::Linear { offset: 1.0, divisor: 2.0 };
        assert_eq!(unit(Units::Hounsfield, Modality::Ct, Scale::Unchanged), "[hnsf'U]");
        assert_eq!(unit(Units::SuvBw, Modality::Pet, Scale::Unchanged), "g/ml{SUVbw}");
        assert_eq!(unit(Units::SuvBw, Modality::Pet, Scale::Log), "1");
        assert_eq!(unit(Units::Arbitrary, Modality::Mr, Scale::Unchanged), "[arb'U]");
        assert_eq!(unit(Units::Arbitrary, Modality::Mr, linear), "1");
        assert_eq!(unit(Units::Arbitrary, Modality::Ct, Scale::Unchanged), "1");
    }
}

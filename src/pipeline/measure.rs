//! From a role's settings to those of the extraction, and from its values to the result's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dicom_dictionary_std::tags;
use serde_json::{Value, json};

use super::error::PipelineError;
use super::lesions::Lesion;
use super::regions::Region;
use super::remarks::Remarks;
use super::roles::{self, Role};
use crate::config::{Input, Protocol};
use crate::dicom::attributes;
use crate::features::filters::{Filter, Plain};
use crate::features::perturb::{Draw, Robustness, Spread, perturb};
use crate::features::{
    Aggregation, Discretise, Extraction, Family, FeatureError, FeatureValue, Resample, Resegment, Settings, Spacing,
};
use crate::finding::FindingKind;
use crate::image::{Mask, Modality, Volume};
use crate::normalise::{self, Aids, Fitted, Method, Scale};
use crate::report::{Measured, MeasurementGroup};
use crate::table::read_standard;
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
/// `tissues` are the regions of the reference tissues, `standards` the folder of the histogram standards.
pub(super) fn normalise(
    roles: &[Role<'_>],
    tissues: &[Region],
    standards: &Path,
    remarks: &mut Remarks<'_>,
) -> Result<Vec<Option<Scaled>>, PipelineError> {
    let mut scaled = Vec::with_capacity(roles.len());
    for (index, role) in roles.iter().enumerate() {
        let own = tissues.iter().filter(|region| region.role == index).collect();
        match fit(role, own, standards) {
            Ok(fitted) => scaled.push(Some(scale(role, fitted))),
            Err(error) => {
                roles::refuse(role.input, &error, remarks)?;
                scaled.push(None);
            }
        }
    }
    Ok(scaled)
}

/// Fits the method of one role, with what it needs; a sentence where it cannot be.
fn fit(role: &Role<'_>, tissues: Vec<&Region>, standards: &Path) -> Result<Fitted, String> {
    let tissue = match (&role.input.normalise, tissues.as_slice()) {
        (Method::ReferenceTissue { roi }, [_, _, ..]) => {
            return Err(format!("{} regions are named {roi:?}, expected one of reference tissue", tissues.len()));
        }
        (_, regions) => regions.first().map(|region| region.mask.as_ref()),
    };
    let standard = match &role.input.normalise {
        Method::Histogram { standard } => {
            let path = standards.join(format!("{standard}.json"));
            Some(read_standard(&path).map_err(|error| error.to_string())?)
        }
        _ => None,
    };
    let aids = Aids { body: None, tissue, standard: standard.as_ref(), is_head: is_head(role) };
    normalise::fit(&role.volume, &role.input.normalise, &aids).map_err(|error| error.to_string())
}

/// Body Part Examined (0018,0015) names the head or what is in it (PS3.16 annex L).
fn is_head(role: &Role<'_>) -> bool {
    let part = attributes::code_string(&role.series.header, tags::BODY_PART_EXAMINED);
    matches!(part.as_str(), "HEAD" | "BRAIN" | "SKULL" | "HEADNECK")
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
        (_, Scale::Log | Scale::Linear { .. } | Scale::Piecewise(_)) => "1",
        (Units::Arbitrary, Scale::Unchanged) if modality != Modality::Mr => "1",
        (units, Scale::Unchanged) => units.ucum(),
    }
}

/// Bins of the intensity-volume histogram of uncalibrated intensities (IBSI 3.5).
const IVH_BINS: u32 = 1000;

/// How the features of one role are extracted: as the clinical preset of its modality has it (Hounsfield units are whole
/// numbers after interpolation, SUV starts at zero), with the protocol's grid, window, grey levels, filters and
/// families. Filters are measured beside the image, never instead of it.
pub(super) fn settings(input: &Input, protocol: &Protocol, fitted: &Fitted, resample: Option<Resample>) -> Settings {
    let preset = match input.modality {
        Modality::Ct => "clinical-ct",
        Modality::Pet => "clinical-pt",
        Modality::Mr | Modality::Other => "clinical-mr",
    };
    let mut settings = Settings::preset(preset).unwrap_or_default();
    match &input.normalise {
        Method::Suv { log: true, .. } => settings.ivh = Discretise::Bins(IVH_BINS),
        Method::Suv { log: false, .. } => {}
        _ => settings.resegment = Resegment::default(),
    }
    if let Some((low, high)) = fitted.resegment {
        settings.resegment = Resegment::range(low, high);
    }
    let mut filter = input.filter.clone();
    if !filter.is_empty() && !filter.contains(&Filter::None(Plain {})) {
        filter.insert(0, Filter::None(Plain {}));
    }
    let (discretise, response_discretise) = (input.discretise, input.response_discretise);
    // What is perturbed is an image that is interpolated here, from its own grid.
    let perturb = resample.and(protocol.features.perturb);
    let families = families(protocol);
    Settings { resample, discretise, filter, response_discretise, perturb, families, ..settings }
}

/// The families of one image: those across modalities are of two.
pub(super) fn families(protocol: &Protocol) -> Vec<Family> {
    protocol.features.families.iter().copied().filter(|family| *family != Family::Cross).collect()
}

/// Slices below which an image is no volume.
const VOLUME_SLICES_MIN: usize = 3;

/// Whether an image has too few slices for features of three dimensions.
pub(super) fn is_planar(role: &Role<'_>) -> bool {
    role.volume.geometry.size[2] < VOLUME_SLICES_MIN
}

/// The settings for an image of one or two slices: interpolated and measured slice by slice, without the families that need
/// three dimensions (shape, and the sphere of the local peak).
pub(super) fn in_planes(mut settings: Settings) -> Settings {
    if let Some(resample) = &mut settings.resample
        && let Spacing::Isotropic(d) = resample.spacing_mm
    {
        resample.spacing_mm = Spacing::InPlane([d, d]);
    }
    settings.texture.aggregations = vec![Aggregation::SliceMerged2d];
    settings.families.retain(|family| !matches!(family, Family::Morphology | Family::Local));
    settings
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
    let filters: Vec<String> = settings.filter.iter().map(Filter::label).collect();
    let mut lines = vec![
        format!("normalisation={note}"),
        format!("rounding={}", if settings.round_to_integers { "integers" } else { "none" }),
        format!("resegmentation={} to {}", bound(low, "-inf"), bound(high, "inf")),
        format!("discretisation={}", or_none(settings.discretise.label())),
        format!("ivh_discretisation={}", or_none(settings.ivh.label())),
        format!("texture_aggregation={}", aggregations.join(", ")),
    ];
    if !filters.is_empty() {
        let discretise = settings.response_discretise.unwrap_or(settings.discretise);
        lines.push(format!("filters={}", filters.join(", ")));
        lines.push(format!("response_discretisation={}", or_none(discretise.label())));
    }
    if let Some(wanted) = &settings.perturb {
        lines.push(format!("perturbations={}", wanted.label()));
    }
    lines
}

/// What a block's features are worth: their spread over the perturbations that the settings ask for, and the value of each
/// draw, from which intraclass correlations are computed over many lesions. `null` where none are asked for. Each value of
/// the block gets its standard deviation.
pub(super) fn perturbations(image: &Volume<f32>, mask: &Mask, settings: &Settings, values: &mut [Measured]) -> Value {
    let found = match perturb(image, mask, settings) {
        Ok(Some(found)) => found,
        Ok(None) => return Value::Null,
        Err(error) => return json!({ "refused": error.to_string() }),
    };
    let spreads = found.spreads();
    for measured in values {
        let spread = spreads.get(&(measured.filter.clone(), measured.tag.clone()));
        measured.within_lesion_sd = spread.map(|spread| spread.sd).filter(|sd| sd.is_finite());
    }
    told(&found, &spreads)
}

fn told(found: &Robustness, spreads: &BTreeMap<(String, String), Spread>) -> Value {
    let features: Vec<Value> = spreads
        .iter()
        .map(|((filter, tag), spread)| {
            let of_draw = |(_, values): &(_, Vec<FeatureValue>)| {
                values.iter().find(|value| value.tag == *tag && value.filter == *filter).map(|value| value.value)
            };
            let values: Vec<Option<f64>> = found.draws.iter().map(of_draw).collect();
            json!({ "filter": filter, "tag": tag, "n": spread.n, "mean": spread.mean, "sd": spread.sd, "values": values })
        })
        .collect();
    let draws: Vec<&Draw> = found.draws.iter().map(|(draw, _)| draw).collect();
    json!({
        "settings": found.settings,
        "noise_sd": found.noise_sd,
        "draws": draws,
        "draws_without_region": found.empty,
        "features": features,
    })
}

/// The values of an extraction in the words of the result.
pub(super) fn values(extraction: &Extraction, image_unit: &str) -> Vec<Measured> {
    extraction.values.iter().map(|value| measured(value, image_unit)).collect()
}

/// One value in the words of the result.
pub(super) fn measured(value: &FeatureValue, image_unit: &str) -> Measured {
    Measured {
        tag: value.tag.clone(),
        ibsi_id: value.feature.id.to_owned(),
        name: value.feature.name.to_owned(),
        family: value.feature.family.name().to_owned(),
        filter: value.filter.clone(),
        aggregation: value.aggregation.clone(),
        discretisation: value.discretisation.clone(),
        value: value.value,
        unit: value.ucum(image_unit),
        misregistration_error: None,
        delta_mm: None,
        within_lesion_sd: None,
        harmonised_value: None,
    }
}

/// The block of one role, or why there is none.
pub(super) struct Block {
    /// An index of the roles.
    pub(super) role: usize,
    pub(super) measured: Result<(MeasurementGroup, Extraction), FeatureError>,
}

/// The blocks that could be measured, and remarks on all of them. A region without features is not the end of a case.
pub(super) fn groups(
    blocks: Vec<Block>,
    space: &str,
    lesion: &Lesion,
    roles: &[Role<'_>],
    remarks: &mut Remarks<'_>,
) -> Vec<MeasurementGroup> {
    let mut groups = Vec::with_capacity(blocks.len());
    let subject = lesion.subject();
    for block in blocks {
        let name = format!("{}, {space}", roles[block.role].name());
        match block.measured {
            Ok((group, extraction)) => {
                remark_on_missing(&extraction, &subject, &name, remarks);
                groups.push(group);
            }
            Err(error) => {
                let empty = matches!(error, FeatureError::EmptyRoi(_));
                let kind = if empty { FindingKind::EmptyRoi } else { FindingKind::NotMeasured };
                remarks.find(kind, &subject, format!("{name}: {error}"));
            }
        }
    }
    groups
}

/// Voxels of a region without a value (outside the image, or padding) are in its shape and in none of its intensities.
pub(super) fn remark_on_missing(extraction: &Extraction, subject: &str, block: &str, remarks: &mut Remarks<'_>) {
    let roi = &extraction.diagnostics.initial.roi;
    let (with_value, all) = (roi.intensity_voxels, roi.morphological_voxels);
    if with_value < all {
        let detail = format!("{block}: {} of {all} voxels have no value", all - with_value);
        remarks.find(FindingKind::RoiTruncated, subject, detail);
    }
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

    #[test]
    fn two_slices_are_measured_in_their_planes_without_shape() {
        let resample = Resample::new(Spacing::Isotropic(2.0), crate::image::Interpolation::Linear);
        let settings = in_planes(Settings { resample: Some(resample), ..Settings::default() });
        assert_eq!(settings.resample.unwrap().spacing_mm, Spacing::InPlane([2.0, 2.0]));
        assert_eq!(settings.texture.aggregations, [Aggregation::SliceMerged2d]);
        assert!(!settings.families.contains(&Family::Morphology) && settings.families.contains(&Family::Glcm));
    }
}

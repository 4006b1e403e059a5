//! The model report: TID 1500 with one TID 1501 group per prediction. It never holds TID 1411 groups: validators choose the
//! group template by the whole document.

use dicom_dictionary_std::uids;

use super::evaluate::RESEARCH_USE;
use super::identity;
use super::regions::RoleRegions;
use super::seg::Segmentation;
use super::sr::{coded, site};
use super::{CaseResult, Lesion, ModelOutput, ModelRefusal, ReportError};
use crate::dicom::codes::{self, Coded, concepts as c};
use crate::dicom::product;
use crate::dicom::sr::tid1501::{self, GroupMeasurement};
use crate::dicom::sr::tid4019::AlgorithmIdentification;
use crate::dicom::sr::{ImageReference, Item};

/// The groups of the model report, one per prediction and refusal.
///
/// # Errors
/// When one names a lesion that the result does not list.
pub(super) fn groups(
    case: &CaseResult,
    roles: &[RoleRegions],
    segmentations: &[Segmentation],
) -> Result<Vec<Item>, ReportError> {
    let lesion_of = |number: usize| {
        let lesion = case.lesions.iter().find(|lesion| lesion.number == number);
        lesion.ok_or(ReportError::NoLesion(number))
    };
    let predicted = case.models.iter().map(|output| {
        let ModelOutput { model, version, endpoint, blocks, .. } = output;
        let asked = Asked { case, lesion: lesion_of(output.lesion)?, model, version, endpoint, blocks };
        let quality = if output.warnings.is_empty() { c::QUALITY_PASSED } else { c::QUALITY_WARNINGS };
        let values = measurements(output, asked.algorithm(&output.parameters));
        let risk = output.relative_hazard.map(|hazard| if hazard > 1.0 { c::RISK_HIGH } else { c::RISK_LOW });
        asked.group(roles, segmentations, Said { values, risk, refusal: None, quality, comments: &output.warnings })
    });
    let refused = case.refusals.iter().map(|refusal| {
        let ModelRefusal { model, version, endpoint, blocks, .. } = refusal;
        let asked = Asked { case, lesion: lesion_of(refusal.lesion)?, model, version, endpoint, blocks };
        let code = Coded::own(&refusal.code, &refusal.code.replace('_', " "));
        let said = Said {
            values: Vec::new(),
            risk: None,
            refusal: Some((code, asked.algorithm(&refusal.parameters))),
            quality: c::QUALITY_REFUSED,
            comments: &[format!("{}: {}", refusal.code, refusal.reason)],
        };
        asked.group(roles, segmentations, said)
    });
    predicted.chain(refused).collect()
}

/// A model that was asked about a lesion.
struct Asked<'a> {
    case: &'a CaseResult,
    lesion: &'a Lesion,
    model: &'a str,
    version: &'a str,
    endpoint: &'a str,
    blocks: &'a [String],
}

/// What it said.
struct Said<'a> {
    values: Vec<GroupMeasurement>,
    risk: Option<Coded>,
    refusal: Option<(Coded, AlgorithmIdentification)>,
    quality: Coded,
    comments: &'a [String],
}

impl Asked<'_> {
    fn algorithm(&self, parameters: &[String]) -> AlgorithmIdentification {
        AlgorithmIdentification {
            name: format!("{} {}", product::MODEL, self.model),
            version: self.version.to_owned(),
            parameters: std::iter::once(format!("blocks={}", self.blocks.join(",")))
                .chain(parameters.iter().filter(|line| !line.is_empty()).cloned())
                .collect(),
        }
    }

    fn group(
        &self,
        roles: &[RoleRegions],
        segmentations: &[Segmentation],
        said: Said<'_>,
    ) -> Result<Item, ReportError> {
        let lesion = self.lesion;
        let used =
            |role: &RoleRegions| self.blocks.contains(&role.image.role) && role.segment_number(lesion.number).is_some();
        let class = super::standard_uid(uids::SEGMENTATION_STORAGE)?;
        let sources = roles.iter().zip(segmentations).filter(|(role, _)| used(role));
        let sources = sources.map(|(_, seg)| ImageReference::whole(class.clone(), seg.sop_instance.clone()));
        let (refusal, algorithm) = said.refusal.unzip();
        Ok(tid1501::measurement_group(tid1501::MeasurementGroup {
            tracking_identifier: format!("Lesion {} {} {}", lesion.number, self.model, self.endpoint),
            tracking_uid: identity::prediction(self.case, lesion, self.model, self.endpoint),
            finding: lesion.finding.as_ref().map(coded),
            method: c::FUSION_METHOD,
            site: site(lesion),
            algorithm,
            measurements: said.values,
            risk_group: said.risk,
            refusal,
            quality: said.quality,
            sources: sources.collect(),
            comments: std::iter::once(RESEARCH_USE.to_owned()).chain(said.comments.iter().cloned()).collect(),
        }))
    }
}

/// Probability with its limits, relative hazard, synergy, contributions; the first names the model.
fn measurements(output: &ModelOutput, algorithm: AlgorithmIdentification) -> Vec<GroupMeasurement> {
    let endpoint = &output.endpoint;
    let value = |name: Coded, value: f64| GroupMeasurement {
        name,
        value,
        unit: codes::unit("1"),
        modifiers: vec![(c::VALUE_STATE, c::MODEL_OUTPUT)],
        algorithm: None,
    };
    let probability = Coded::own(&format!("PROB {endpoint}"), &format!("Predicted probability of {endpoint}"));
    let mut values = vec![GroupMeasurement { algorithm: Some(algorithm), ..value(probability, output.probability) }];
    if let Some((low, high)) = output.interval {
        let limit = |which: &str, words: &str| {
            Coded::own(&format!("PROB-{which} {endpoint}"), &format!("{words} 95 % limit, probability of {endpoint}"))
        };
        values.push(value(limit("LO", "Lower"), low));
        values.push(value(limit("HI", "Upper"), high));
    }
    values.extend(output.relative_hazard.map(|hazard| value(c::RELATIVE_HAZARD, hazard)));
    values.extend(output.synergy.map(|synergy| value(c::SYNERGY, synergy)));
    let contributions = output.contributions.iter().map(|(block, contribution)| {
        value(Coded::own(&format!("CONTRIB {block}"), &format!("Contribution of block {block}")), *contribution)
    });
    values.extend(contributions);
    values
}

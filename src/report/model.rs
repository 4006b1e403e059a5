//! The model report: TID 1500 with one TID 1501 group per prediction. It never holds TID 1411 groups: validators choose the
//! group template by the whole document.

use dicom_dictionary_std::uids;

use super::evaluate::RESEARCH_USE;
use super::identity;
use super::regions::RoleRegions;
use super::seg::Segmentation;
use super::sr::{coded, site};
use super::{CaseResult, Lesion, ModelOutput, ReportError};
use crate::dicom::codes::{self, Coded, concepts as c};
use crate::dicom::product;
use crate::dicom::sr::tid1501::{self, GroupMeasurement};
use crate::dicom::sr::tid4019::AlgorithmIdentification;
use crate::dicom::sr::{ImageReference, Item};

/// The groups of the model report, one per prediction.
///
/// # Errors
/// When a prediction names a lesion that the result does not list.
pub(super) fn groups(
    case: &CaseResult,
    roles: &[RoleRegions],
    segmentations: &[Segmentation],
) -> Result<Vec<Item>, ReportError> {
    case.models.iter().map(|output| group(case, output, roles, segmentations)).collect()
}

fn group(
    case: &CaseResult,
    output: &ModelOutput,
    roles: &[RoleRegions],
    segmentations: &[Segmentation],
) -> Result<Item, ReportError> {
    let lesion = case.lesions.iter().find(|lesion| lesion.number == output.lesion);
    let lesion = lesion.ok_or(ReportError::NoLesion(output.lesion))?;
    let used =
        |role: &RoleRegions| output.blocks.contains(&role.image.role) && role.segment_number(lesion.number).is_some();
    let class = super::standard_uid(uids::SEGMENTATION_STORAGE)?;
    let sources = roles.iter().zip(segmentations).filter(|(role, _)| used(role));
    let sources = sources.map(|(_, seg)| ImageReference::whole(class.clone(), seg.sop_instance.clone()));
    let quality = if output.warnings.is_empty() { c::QUALITY_PASSED } else { c::QUALITY_WARNINGS };
    let mut comments = vec![RESEARCH_USE.to_owned()];
    comments.extend(output.warnings.iter().cloned());
    Ok(tid1501::measurement_group(tid1501::MeasurementGroup {
        tracking_identifier: format!("Lesion {} {} {}", lesion.number, output.model, output.endpoint),
        tracking_uid: identity::prediction(case, lesion, &output.model, &output.endpoint),
        finding: lesion.finding.as_ref().map(coded),
        method: c::FUSION_METHOD,
        site: site(lesion),
        measurements: measurements(output, lesion),
        quality,
        sources: sources.collect(),
        comments,
    }))
}

/// Probability with its limits, synergy, contributions; the first names the model.
fn measurements(output: &ModelOutput, _lesion: &Lesion) -> Vec<GroupMeasurement> {
    let algorithm = AlgorithmIdentification {
        name: format!("{} {}", product::MODEL, output.model),
        version: output.version.clone(),
        parameters: std::iter::once(format!("blocks={}", output.blocks.join(",")))
            .chain(output.parameters.iter().filter(|line| !line.is_empty()).cloned())
            .collect(),
    };
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
    values.extend(output.synergy.map(|synergy| value(c::SYNERGY, synergy)));
    let contributions = output.contributions.iter().map(|(block, contribution)| {
        value(Coded::own(&format!("CONTRIB {block}"), &format!("Contribution of block {block}")), *contribution)
    });
    values.extend(contributions);
    values
}

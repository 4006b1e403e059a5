//! `report.json`: everything about one result for machines, with the diagnostics of each block.

use serde_json::{Value, json};

use super::csv::space_name;
use super::{
    CaseResult, Change, ChangeGroup, Code, ImageSeries, Lesion, Measured, MeasurementGroup, ModelOutput, ModelRefusal,
    RegistrationResult, evaluate, header,
};
use crate::dicom::product;
use crate::finding::Finding;

/// The result as one JSON document.
#[must_use]
pub fn report_json(case: &CaseResult) -> Value {
    json!({
        "case": case.case_id,
        "revision": case.revision,
        "protocol": case.protocol,
        "reference": case.reference_role,
        "created_at": case.created_at.to_string(),
        "program": { "name": product::MODEL, "version": product::VERSION },
        "intended_use": evaluate::RESEARCH_USE,
        "settings": case.settings,
        "settings_sha256": case.settings_hash,
        "inputs_sha256": case.inputs_digest,
        "series": case.images.iter().map(series).collect::<Vec<_>>(),
        "lesions": case.lesions.iter().map(lesion).collect::<Vec<_>>(),
        "registrations": case.registrations.iter().map(registration).collect::<Vec<_>>(),
        "blocks": case.groups.iter().map(block).collect::<Vec<_>>(),
        "changes": case.changes.iter().map(changes).collect::<Vec<_>>(),
        "predictions": case.models.iter().map(prediction).chain(case.refusals.iter().map(refusal)).collect::<Vec<_>>(),
        "findings": all_findings(case),
        "notes": case.notes,
        "timings": case.timings,
    })
}

/// The findings of the result and those that its documents make.
pub(super) fn all_findings(case: &CaseResult) -> Vec<Finding> {
    let mut findings = case.findings.clone();
    for image in &case.images {
        let made = header::put_patient_and_study(&mut dicom_object::InMemDicomObject::new_empty(), image);
        findings.extend(made.into_iter().filter(|finding| !case.findings.contains(finding)));
    }
    findings
}

fn refusal(refusal: &ModelRefusal) -> Value {
    json!({
        "lesion": refusal.lesion,
        "status": "refused",
        "model": refusal.model,
        "version": refusal.version,
        "endpoint": refusal.endpoint,
        "blocks": refusal.blocks,
        "code": refusal.code,
        "reason": refusal.reason,
        "parameters": refusal.parameters,
    })
}

fn prediction(output: &ModelOutput) -> Value {
    json!({
        "lesion": output.lesion,
        "status": "predicted",
        "model": output.model,
        "version": output.version,
        "endpoint": output.endpoint,
        "blocks": output.blocks,
        "probability": output.probability,
        "interval": output.interval,
        "relative_hazard": output.relative_hazard,
        "synergy": output.synergy,
        "contributions": output.contributions,
        "parameters": output.parameters,
        "warnings": output.warnings,
    })
}

fn series(image: &ImageSeries) -> Value {
    json!({
        "role": image.role,
        "modality": image.modality,
        "study": image.study,
        "series": image.series,
        "frame_of_reference": image.frame_of_reference,
        "n_instances": image.slices.len(),
        "geometry": image.geometry,
    })
}

fn lesion(lesion: &Lesion) -> Value {
    let code = |code: &Option<Code>| json!(code);
    json!({
        "number": lesion.number,
        "names": lesion.names,
        "finding": code(&lesion.finding),
        "site": code(&lesion.site),
        "laterality": code(&lesion.laterality),
        "tracking": lesion.tracking,
    })
}

fn registration(result: &RegistrationResult) -> Value {
    json!({
        "role": result.role,
        "fixed_to_moving": result.fixed_to_moving.linear_part(),
        "bends": result.fixed_to_moving.as_affine().is_none(),
        "estimated": result.estimated,
        "trusted": result.trusted,
        "quality": result.quality,
        "note": result.note,
    })
}

fn block(group: &MeasurementGroup) -> Value {
    let mut told = json!({
        "lesion": group.lesion,
        "role": group.role,
        "space": space_name(group.space),
        "drawn_on": group.drawn_on,
        "roi_voxels": group.mask.count(),
        "diagnostics": group.diagnostics,
        "parameters": group.parameters,
        "features": group.values.iter().map(feature).collect::<Vec<_>>(),
    });
    if !group.made_of.is_empty() {
        told["made_of"] = json!(group.made_of);
    }
    told
}

/// What changed since an earlier case; the API gives it too.
fn changes(group: &ChangeGroup) -> Value {
    let since = &group.since;
    let value = |change: &Change| {
        let [family, filter, tag] = &change.feature;
        json!({
            "family": family,
            "filter": filter,
            "tag": tag,
            "before": change.before,
            "now": change.now,
            "change": change.difference(),
            "misregistration_error": change.misregistration_error,
            "exceeds_error": change.exceeds_error(),
        })
    };
    json!({
        "lesion": group.lesion,
        "role": group.role,
        "space": space_name(group.space),
        "since": {
            "case": since.case,
            "revision": since.revision,
            "study_date": since.study_date,
            "same_lesion_by": since.known_by.name(),
        },
        "features": group.values.iter().map(value).collect::<Vec<_>>(),
    })
}

fn feature(measured: &Measured) -> Value {
    json!({
        "family": measured.family,
        "tag": measured.tag,
        "name": measured.name,
        "ibsi_id": measured.ibsi_id,
        "filter": measured.filter,
        "aggregation": measured.aggregation,
        "discretisation": measured.discretisation,
        "value": measured.value,
        "unit": measured.unit,
        "misregistration_error": measured.misregistration_error,
        "delta_mm": measured.delta_mm,
        "within_lesion_sd": measured.within_lesion_sd,
        "harmonised_value": measured.harmonised_value,
    })
}

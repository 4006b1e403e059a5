//! Between blocks: what the bundle in force says of each lesion, or why it says nothing. Never fits anything.

use super::job::Job;
use super::remarks::Remarks;
use crate::config::Protocol;
use crate::finding::FindingKind;
use crate::fuse::{Bundle, CLINICAL, Patient, PatientBlock, Prediction, Refusal, Scale};
use crate::harmonise::{BatchRules, Covariate};
use crate::report::{ImageSeries, MeasurementGroup, ModelOutput, ModelRefusal};
use crate::table::fusion::{self, BundleFile, clinic, clinical_values};
use crate::table::{TableError, batch_of, batch_rules, clinical_of, column_name, patient_among};

/// What is known of the case beside its measurements.
struct Known<'a> {
    name: &'a str,
    file: BundleFile,
    rules: BatchRules,
    clinic: Vec<Covariate>,
}

/// What the bundle in force said of the lesions.
#[derive(Debug, Default)]
pub(super) struct Fused {
    pub(super) models: Vec<ModelOutput>,
    pub(super) refusals: Vec<ModelRefusal>,
}

/// One prediction per lesion, or a refusal and a finding that say why there is none.
pub(super) fn fuse(
    groups: &[MeasurementGroup],
    images: &[ImageSeries],
    job: &Job<'_>,
    protocol: &Protocol,
    settings_sha256: &str,
    remarks: &mut Remarks<'_>,
) -> Fused {
    let Some(name) = &protocol.fusion.bundle else {
        not_fused("", "no bundle", remarks);
        return Fused::default();
    };
    let known = match known(name, images, job) {
        Ok(known) => known,
        Err(error) => {
            not_fused("", &format!("bundle \"{name}\" cannot be used: {error}"), remarks);
            return Fused::default();
        }
    };
    let mut lesions: Vec<usize> = groups.iter().map(|group| group.lesion).collect();
    lesions.sort_unstable();
    lesions.dedup();
    let mut fused = Fused::default();
    for lesion in lesions {
        let subject = format!("lesion {lesion}");
        let of_lesion: Vec<&MeasurementGroup> = groups.iter().filter(|group| group.lesion == lesion).collect();
        match predict(&known, &of_lesion, images, settings_sha256) {
            Ok(found) => {
                remarks.note(format!(
                    "{subject}: predicted by bundle {} with {}",
                    known.file.id,
                    found.blocks.join(", ")
                ));
                fused.models.push(output(&known, lesion, found));
            }
            Err(refusal) => {
                let reason = format!("bundle {} refuses: {}: {refusal}", known.file.id, refusal.code());
                not_fused(&subject, &reason, remarks);
                fused.refusals.push(refused(&known, lesion, &of_lesion, &refusal));
            }
        }
    }
    fused
}

/// A refusal as the report tells it.
fn refused(known: &Known<'_>, lesion: usize, groups: &[&MeasurementGroup], refusal: &Refusal) -> ModelRefusal {
    let bundle = &known.file.bundle;
    let measured = |block: &&String| groups.iter().any(|group| group.role == **block);
    let clinical = |block: &&String| **block == CLINICAL && !clinical_values(&known.clinic).is_empty();
    ModelRefusal {
        lesion,
        model: known.name.to_owned(),
        version: known.file.id.clone(),
        endpoint: endpoint(bundle),
        blocks: bundle.blocks().filter(|block| measured(block) || clinical(block)).cloned().collect(),
        code: refusal.code().to_owned(),
        reason: refusal.to_string(),
        parameters: identification(&known.file),
    }
}

/// What is predicted; for survival with its horizon.
fn endpoint(bundle: &Bundle) -> String {
    match bundle.fitted.scale {
        Scale::Logistic => bundle.endpoint.clone(),
        Scale::Hazard { horizon, .. } => format!("{} by {horizon:.3}", bundle.endpoint),
    }
}

/// Which bundle it is, one `key=value` line each.
fn identification(file: &BundleFile) -> Vec<String> {
    let method = file.bundle.fitted.method;
    let mut lines = vec![
        format!("bundle={}", file.id),
        format!("bundle_sha256={}", file.sha256),
        format!("method={} {}", method.fusion(), method.name()),
        format!("settings_sha256={}", file.settings_sha256.as_deref().unwrap_or("not known")),
    ];
    lines.extend(file.bundle.needs_file().map(|sha256| format!("onnx_sha256={sha256}")));
    lines
}

fn not_fused(subject: &str, reason: &str, remarks: &mut Remarks<'_>) {
    let of = if subject.is_empty() { String::new() } else { format!(" ({subject})") };
    remarks.note(format!("not fused{of}: {reason}"));
    remarks.find(FindingKind::NotFused, subject, reason);
}

fn known<'a>(name: &'a str, images: &[ImageSeries], job: &Job<'_>) -> Result<Known<'a>, TableError> {
    let file = fusion::active(&job.config.storage.directory, name)?;
    let rules = batch_rules(job.config.batch.rules.as_deref())?;
    let patient = patient_among(images.iter().map(|image| &*image.header));
    let storage = &job.config.storage.directory;
    let table = clinical_of(storage, job.config.clinical.table.as_deref(), &patient)?;
    let clinic = clinic(images.iter().map(|image| &*image.header), &table);
    Ok(Known { name, file, rules, clinic })
}

fn predict(
    known: &Known<'_>,
    groups: &[&MeasurementGroup],
    images: &[ImageSeries],
    settings_sha256: &str,
) -> Result<Prediction, Refusal> {
    if known.file.settings_sha256.as_ref().is_some_and(|trained| trained != settings_sha256) {
        return Err(Refusal::OtherSettings);
    }
    let mut patient = Patient { covariates: known.clinic.clone(), ..Patient::default() };
    for group in groups {
        let block = patient.blocks.entry(group.role.clone()).or_insert_with(|| PatientBlock {
            batch: batch_of(group, images, &known.rules).unwrap_or_default(),
            n_voxels: Some(group.mask.count()),
            ..PatientBlock::default()
        });
        let values = group.values.iter();
        let named = values.map(|value| (column_name(group.space, &value.filter, &value.tag), value.value));
        block.features.extend(named);
    }
    let clinical = clinical_values(&known.clinic);
    if !clinical.is_empty() {
        patient.blocks.insert(CLINICAL.to_owned(), PatientBlock { features: clinical, ..PatientBlock::default() });
    }
    known.file.predict(&patient)
}

fn output(known: &Known<'_>, lesion: usize, found: Prediction) -> ModelOutput {
    let file = &known.file;
    let bundle = &file.bundle;
    let mut parameters = identification(file);
    if let Some([event, none]) = found.set {
        let classes = [event.then_some("event"), none.then_some("no event")];
        let set: Vec<&str> = classes.into_iter().flatten().collect();
        parameters.push(format!("conformal_set_{:.0}={{{}}}", 100.0 * bundle.conformal.level, set.join(", ")));
    }
    if let Some(hazard) = found.relative_hazard {
        parameters.push(format!("relative_hazard={hazard:.4}"));
        parameters.push(format!("risk_group={}", if hazard > 1.0 { "high" } else { "low" }));
    }
    parameters.extend(found.baselines.iter().map(|(name, probability)| format!("baseline {name}={probability:.4}")));
    let warnings = warnings(file, &found);
    let evaluation = &file.evaluation;
    let number = |value: Option<f64>| value.map_or_else(|| "not known".to_owned(), |value| format!("{value:.3}"));
    ModelOutput {
        lesion,
        model: known.name.to_owned(),
        version: file.id.clone(),
        endpoint: endpoint(bundle),
        blocks: found.blocks,
        probability: found.probability,
        interval: found.interval,
        relative_hazard: found.relative_hazard,
        synergy: bundle.synergy,
        contributions: found.contributions,
        parameters,
        warnings,
        card: format!(
            "{}: {} patients, {} events; discrimination {} ({} to {}) {}",
            bundle.endpoint,
            evaluation.n,
            evaluation.events,
            number(evaluation.auc),
            number(evaluation.auc_low),
            number(evaluation.auc_high),
            if bundle.needs_file().is_some() { "as its maker says" } else { "by nested cross-validation" }
        ),
    }
}

/// Missing blocks with what the model is worth without them, and confounded harmonisations.
fn warnings(file: &BundleFile, found: &Prediction) -> Vec<String> {
    let bundle = &file.bundle;
    let missing: Vec<&str> =
        bundle.blocks().filter(|block| !found.blocks.contains(block)).map(String::as_str).collect();
    let mut warnings = Vec::new();
    if !missing.is_empty() {
        let pattern = bundle.patterns.iter().find(|pattern| pattern.blocks == found.blocks);
        let auc = pattern.and_then(|pattern| Some((pattern.auc?, pattern.auc_low?, pattern.auc_high?)));
        let worth = auc.map_or_else(String::new, |(auc, low, high)| {
            format!("; without, its discrimination was {auc:.2} ({low:.2} to {high:.2})")
        });
        warnings.push(format!("block {} is missing{worth}", missing.join(", ")));
    }
    if bundle.needs_file().is_some() {
        warnings.push("the model was trained elsewhere: no interval, no baselines".to_owned());
    }
    let confounded =
        |part: &&crate::fuse::Part| part.harmonisation.as_ref().is_some_and(|model| model.settings.allow_confounded);
    for part in bundle.fitted.parts.iter().filter(confounded) {
        warnings.push(format!("the harmonisation of block {} was fitted although it is confounded", part.block));
    }
    warnings
}

//! Between blocks: what the bundle in force says of each lesion, or why it says nothing. Never fits anything.

use super::job::Job;
use super::remarks::Remarks;
use crate::config::Protocol;
use crate::dicom::attributes::text;
use crate::finding::FindingKind;
use crate::fuse::{CLINICAL, Patient, PatientBlock, Prediction, Refusal, Scale};
use crate::harmonise::{BatchRules, Covariate};
use crate::report::{ImageSeries, MeasurementGroup, ModelOutput};
use crate::table::fusion::{self, BundleFile, clinic, clinical_values};
use crate::table::{TableError, batch_rules, clinical_of, column_name, scanner_facts};

/// What is known of the case beside its measurements.
struct Known<'a> {
    name: &'a str,
    file: BundleFile,
    rules: BatchRules,
    clinic: Vec<Covariate>,
}

/// One prediction per lesion, or a finding that says why there is none.
pub(super) fn fuse(
    groups: &[MeasurementGroup],
    images: &[ImageSeries],
    job: &Job<'_>,
    protocol: &Protocol,
    settings_sha256: &str,
    remarks: &mut Remarks<'_>,
) -> Vec<ModelOutput> {
    let Some(name) = &protocol.fusion.bundle else {
        not_fused("", "no bundle", remarks);
        return Vec::new();
    };
    let known = match known(name, images, job) {
        Ok(known) => known,
        Err(error) => {
            not_fused("", &format!("bundle \"{name}\" cannot be used: {error}"), remarks);
            return Vec::new();
        }
    };
    let mut lesions: Vec<usize> = groups.iter().map(|group| group.lesion).collect();
    lesions.sort_unstable();
    lesions.dedup();
    let mut outputs = Vec::new();
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
                outputs.push(output(&known, lesion, found));
            }
            Err(refusal) => {
                let reason = format!("bundle {} refuses: {}: {refusal}", known.file.id, refusal.code());
                not_fused(&subject, &reason, remarks);
            }
        }
    }
    outputs
}

fn not_fused(subject: &str, reason: &str, remarks: &mut Remarks<'_>) {
    let of = if subject.is_empty() { String::new() } else { format!(" ({subject})") };
    remarks.note(format!("not fused{of}: {reason}"));
    remarks.find(FindingKind::NotFused, subject, reason);
}

fn known<'a>(name: &'a str, images: &[ImageSeries], job: &Job<'_>) -> Result<Known<'a>, TableError> {
    let file = fusion::active(&job.config.storage.directory, name)?;
    let rules = batch_rules(job.config.batch.rules.as_deref())?;
    let ids = images.iter().map(|image| text(&image.header, dicom_dictionary_std::tags::PATIENT_ID));
    let patient = ids.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
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
        let image = images.iter().find(|image| image.role == group.role);
        let batch = image.and_then(|image| known.rules.key(&scanner_facts(&image.header)).ok());
        let block = patient.blocks.entry(group.role.clone()).or_insert_with(|| PatientBlock {
            batch: batch.map(|key| key.label).unwrap_or_default(),
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
    let endpoint = match bundle.fitted.scale {
        Scale::Logistic => bundle.endpoint.clone(),
        Scale::Hazard { horizon, .. } => format!("{} by {horizon:.3}", bundle.endpoint),
    };
    let mut parameters = vec![
        format!("bundle={}", file.id),
        format!("bundle_sha256={}", file.sha256),
        format!("method={} {}", bundle.fitted.method.fusion(), bundle.fitted.method.name()),
        format!("settings_sha256={}", file.settings_sha256.as_deref().unwrap_or("not known")),
    ];
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
        endpoint,
        blocks: found.blocks,
        probability: found.probability,
        interval: found.interval,
        synergy: bundle.synergy,
        contributions: found.contributions,
        parameters,
        warnings,
        card: format!(
            "{}: {} patients, {} events; discrimination {} ({} to {}) by nested cross-validation",
            bundle.endpoint,
            evaluation.n,
            evaluation.events,
            number(evaluation.auc),
            number(evaluation.auc_low),
            number(evaluation.auc_high)
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
    let confounded =
        |part: &&crate::fuse::Part| part.harmonisation.as_ref().is_some_and(|model| model.settings.allow_confounded);
    for part in bundle.fitted.parts.iter().filter(confounded) {
        warnings.push(format!("the harmonisation of block {} was fitted although it is confounded", part.block));
    }
    warnings
}

//! Between scanners: the values of a case by the models that are in force for its protocol.

use std::path::Path;

use super::job::Job;
use super::remarks::Remarks;
use crate::config::Protocol;
use crate::finding::FindingKind;
use crate::harmonise::{BatchRules, Covariate};
use crate::report::{ImageSeries, MeasurementGroup};
use crate::table::{ActiveModels, TableError, batch_rules, clinical_of, harmonise_case, patient_among};

/// Gives the values their harmonised twins, or says why they stay as they were measured.
pub(super) fn harmonise(
    groups: &mut [MeasurementGroup],
    images: &[ImageSeries],
    job: &Job<'_>,
    protocol: &Protocol,
    settings_sha256: &str,
    remarks: &mut Remarks<'_>,
) {
    let Some(name) = &protocol.harmonise.model else {
        return not_harmonised("", "no model", remarks);
    };
    let storage = &job.config.storage.directory;
    let clinical = job.config.clinical.table.as_deref();
    let (models, rules, known) = match in_force(storage, name, job.config.batch.rules.as_deref(), clinical, images) {
        Ok(in_force) => in_force,
        Err(error) => return not_harmonised("", &format!("model \"{name}\" cannot be used: {error}"), remarks),
    };
    for block in harmonise_case(groups, images, &known, &models, settings_sha256, &rules) {
        let subject = format!("lesion {}, {}", block.lesion, block.role);
        match (&block.raw, &block.batch, &block.model) {
            (None, Ok(batch), Some(model)) => remarks.note(format!(
                "{subject}: {} values harmonised by model {model}, batch {}",
                block.n_harmonised, batch.label
            )),
            (_, Err(reason), _) => not_harmonised(&block.role, &reason.to_string(), remarks),
            (Some(reason), ..) => not_harmonised(&block.role, &reason.to_string(), remarks),
            (None, ..) => {}
        }
    }
}

fn not_harmonised(subject: &str, reason: &str, remarks: &mut Remarks<'_>) {
    let of = if subject.is_empty() { String::new() } else { format!(" ({subject})") };
    remarks.note(format!("not harmonised{of}: {reason}"));
    remarks.find(FindingKind::NotHarmonised, subject, reason);
}

fn in_force(
    storage: &Path,
    name: &str,
    rules: Option<&Path>,
    clinical: Option<&Path>,
    images: &[ImageSeries],
) -> Result<(ActiveModels, BatchRules, Vec<Covariate>), TableError> {
    let models = ActiveModels::load(&ActiveModels::folder(storage), name)?;
    let patient = patient_among(images.iter().map(|image| &*image.header));
    Ok((models, batch_rules(rules)?, clinical_of(storage, clinical, &patient)?))
}

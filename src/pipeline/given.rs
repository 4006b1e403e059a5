//! Registration objects of the case: maps that others found, and the images are yet to confirm.

use super::error::PipelineError;
use super::job::Job;
use super::remarks::Remarks;
use super::roles::Role;
use crate::error::{Duty, Retry};
use crate::finding::FindingKind;
use crate::image::Transform;
use crate::volume::{RegError, RegisteredImages, RegistrationObject};

/// Reads the registration objects of the case. One that cannot be used is a finding, no more.
pub(super) fn read(job: &Job<'_>, remarks: &mut Remarks<'_>) -> Result<Vec<RegistrationObject>, PipelineError> {
    let mut objects = Vec::new();
    for instance in &job.spec.registrations {
        match RegistrationObject::read(&job.path(instance, "registration")?) {
            Ok(object) => objects.push(object),
            Err(RegError::Format(error)) if error.retry() != Retry::Never => {
                return Err(PipelineError::Annotation(error));
            }
            Err(error) => {
                remarks.find(FindingKind::AnnotationRefused, "", error.to_string());
            }
        }
    }
    Ok(objects)
}

/// The map from the reference's space to a role's that the objects tell of; of several the first, with a note.
pub(super) fn map(
    objects: &[RegistrationObject],
    reference: &Role<'_>,
    role: &Role<'_>,
    remarks: &mut Remarks<'_>,
) -> Option<Transform> {
    let mut found = objects.iter().filter_map(|object| object.between(images(reference), images(role)));
    let first = found.next()?;
    let n_others = found.count();
    if n_others > 0 {
        remarks.note(format!(
            "{} registration objects tell where {} lies; the first was taken",
            n_others + 1,
            role.name()
        ));
    }
    Some(first)
}

fn images<'a>(role: &'a Role<'_>) -> RegisteredImages<'a> {
    RegisteredImages { frame_of_reference: role.series.frame_of_reference.as_ref(), images: &role.series.slices }
}

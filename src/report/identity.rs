//! The identifiers of a result's documents: derived from the input, so that a repeated job makes the same ones.
//!
//! Everything that decides a document's content is a part of its instance UID: installation, case, revision, settings and
//! numerics version (both in `settings_hash`), inputs, program version, which document it is, and what models made of the
//! measurements, which no setting names: another bundle or ComBat model may be in force under the same name, and clinical
//! values may have changed. Two contents never share a UID.

use sha2::{Digest, Sha256};

use super::{CaseResult, ImageSeries, Lesion, Space};
use crate::dicom::product;
use crate::dicom::uid::Uid;

/// The SOP Instance UID of the document of that name.
pub(super) fn instance(case: &CaseResult, document: &str) -> Uid {
    let revision = case.revision.to_string();
    let mut parts = vec![
        "instance",
        &case.installation,
        &case.case_id,
        &revision,
        document,
        &case.settings_hash,
        &case.inputs_digest,
        product::VERSION,
    ];
    // What it is compared with decides too.
    let since: Vec<String> =
        case.changes.iter().map(|change| format!("{} {}", change.since.case, change.since.revision)).collect();
    parts.extend(since.iter().map(String::as_str));
    let by_models = by_models(case);
    parts.extend(by_models.as_deref());
    Uid::derived(&parts)
}

/// A digest of what models made of the measurements: harmonised values, predictions and refusals; none where no model was
/// asked.
fn by_models(case: &CaseResult) -> Option<String> {
    let harmonised = case.groups.iter().flat_map(|group| &group.values).map(|value| value.harmonised_value);
    if case.models.is_empty() && case.refusals.is_empty() && harmonised.clone().all(|value| value.is_none()) {
        return None;
    }
    let mut digest = Sha256::new();
    for value in harmonised {
        digest.update(value.map_or([0xFF; 8], f64::to_be_bytes));
    }
    digest.update(format!("{:?}{:?}", case.models, case.refusals));
    let digest = digest.finalize();
    Some(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// The Series Instance UID for documents of one kind: all revisions of a case go into one series, as long as the program
/// is the same (the equipment of a series is one).
pub(super) fn series(case: &CaseResult, documents: &str) -> Uid {
    Uid::derived(&["series", &case.installation, &case.case_id, documents, product::VERSION])
}

/// A UID inside a document, such as its dimension organization.
pub(super) fn within(case: &CaseResult, document: &str, what: &str) -> Uid {
    Uid::derived(&["within", instance(case, document).as_str(), what])
}

/// What was done to the values of a group beyond measuring them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing.
    Raw,
    /// Nothing, but they are of two images together.
    Cross,
    /// ComBat.
    Harmonised,
    /// The values of an earlier case were taken from them.
    Change,
}

/// The tracking UID of a lesion under one kind of measurement: the same in every revision, different for every group.
pub(super) fn tracking(case: &CaseResult, lesion: &Lesion, role: &str, space: Space, state: State) -> Uid {
    let number = lesion.number.to_string();
    let names = lesion.names.join("\\");
    let space = match space {
        Space::Native => "native",
        Space::Aligned => "aligned",
    };
    let state = match state {
        State::Raw => "raw",
        State::Cross => "cross",
        State::Harmonised => "harmonised",
        State::Change => "change",
    };
    Uid::derived(&["tracking", &case.installation, &case.case_id, &number, &names, role, space, state])
}

/// The tracking UID of a model's prediction for a lesion.
pub(super) fn prediction(case: &CaseResult, lesion: &Lesion, model: &str, endpoint: &str) -> Uid {
    let (number, names) = (lesion.number.to_string(), lesion.names.join("\\"));
    Uid::derived(&["prediction", &case.installation, &case.case_id, &number, &names, model, endpoint])
}

/// The Frame of Reference of a series; one of its own where its images name none.
pub(super) fn frame_of_reference(case: &CaseResult, image: &ImageSeries) -> Uid {
    let own = || Uid::derived(&["frame of reference", &case.installation, image.series.as_str()]);
    image.frame_of_reference.clone().unwrap_or_else(own)
}

/// This installation as an observer.
pub(super) fn device(case: &CaseResult) -> Uid {
    Uid::derived(&["device", &case.installation])
}

//! The DICOM conformance statement (PS3.2): a text with the headings of its template, and tables out of the code itself, so
//! that what is announced is what is done.

mod classes;

use std::fmt::Write as _;
use std::time::Duration;

use dicom_core::dictionary::{UidDictionary as _, UidDictionaryEntry as _};
use dicom_dictionary_std::{sop_class, uids};
use dicom_transfer_syntax_registry::{TransferSyntaxIndex as _, TransferSyntaxRegistry};

use super::receive::negotiate::APPLICATION_CONTEXT;
use super::requestor::Timeouts;
use super::settings::NodeSettings;
use super::sop_class::{STORAGE_COMMITMENT, STORAGE_ELSEWHERE, TRANSFER_SYNTAXES, VERIFICATION, is_storage};
use super::status::STORE_STATUSES;
use super::{AeTitle, tls};
use crate::dicom::codec::Codec;
use crate::dicom::sr::SrClass;
use crate::dicom::write::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use crate::store::CommitFailure;

pub use classes::STANDARD_STORAGE;

/// The text around the tables; `{{name}}` is a table or a number.
const TEMPLATE: &str = include_str!("statement.md");

/// The conformance statement as Markdown.
#[must_use]
pub fn statement() -> String {
    let mut text = TEMPLATE.to_owned();
    for (name, value) in values() {
        text = text.replace(&format!("{{{{{name}}}}}"), value.trim_end());
    }
    text
}

fn values() -> Vec<(&'static str, String)> {
    let settings = AeTitle::parse("RADIOMICSD").map(NodeSettings::new);
    let seconds = |duration: Duration| duration.as_secs().to_string();
    let timeouts = Timeouts::default();
    let mut values = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("implementation_class", IMPLEMENTATION_CLASS_UID.to_owned()),
        ("implementation_version", IMPLEMENTATION_VERSION_NAME.to_owned()),
        ("application_context", APPLICATION_CONTEXT.to_owned()),
        ("max_pdu_lowest", NodeSettings::MAX_PDU_BYTES_LOWEST.to_string()),
        ("max_pdu_highest", NodeSettings::MAX_PDU_BYTES_HIGHEST.to_string()),
        ("connect", seconds(timeouts.connect)),
        ("association", seconds(timeouts.association)),
        ("response", seconds(timeouts.response)),
        ("verification", VERIFICATION.to_owned()),
        ("commitment", STORAGE_COMMITMENT.to_owned()),
        ("storage_classes", storage_classes()),
        ("transfer_syntaxes", transfer_syntaxes()),
        ("store_statuses", rows(STORE_STATUSES.iter().map(|(status, when)| format!("{status} | {when}")))),
        ("commitment_failures", commitment_failures()),
        ("proposed", proposed()),
        ("tls_versions", tls_versions()),
        ("cipher_suites", tls::cipher_suites().join(", ")),
    ];
    if let Ok(settings) = settings {
        values.extend([
            ("max_associations", settings.max_associations.to_string()),
            ("max_pdu", settings.max_pdu_bytes.to_string()),
            ("max_operations", settings.max_operations.to_string()),
            ("association_timeout", seconds(settings.association_timeout)),
            ("idle_timeout", seconds(settings.idle_timeout)),
        ]);
    }
    values
}

fn rows(cells: impl Iterator<Item = String>) -> String {
    cells.fold(String::new(), |mut text, cells| {
        // A String takes everything.
        let _ = writeln!(text, "| {cells} |");
        text
    })
}

fn class_name(uid: &str) -> &str {
    sop_class::registry().by_uid(uid).map_or("", |entry| entry.name())
}

fn storage_classes() -> String {
    let listed = STANDARD_STORAGE.iter().chain(STORAGE_ELSEWHERE).filter(|uid| is_storage(uid));
    rows(listed.map(|uid| format!("{} | `{uid}`", class_name(uid))))
}

fn transfer_syntaxes() -> String {
    rows(TRANSFER_SYNTAXES.iter().map(|uid| {
        let name = TransferSyntaxRegistry.get(uid).map_or("JPEG, retired process", |syntax| syntax.name());
        // The same text whatever this build was made with.
        let measured = match Codec::of(uid) {
            _ if [uids::JPEGLS_LOSSLESS, uids::JPEGLS_NEAR_LOSSLESS].contains(uid) => "built with `jpegls`",
            Some(_) => "yes",
            None => "no",
        };
        format!("{name} | `{uid}` | {measured}")
    }))
}

fn commitment_failures() -> String {
    let all = [CommitFailure::NoSuchInstance, CommitFailure::ClassConflict, CommitFailure::ProcessingFailure];
    let named = all.map(|failure| {
        let what = match failure {
            CommitFailure::NoSuchInstance => "not stored",
            CommitFailure::ClassConflict => "stored with another SOP class",
            CommitFailure::ProcessingFailure => "could not be checked",
        };
        format!("{:04X}H {what}", failure.code())
    });
    named.join(", ")
}

fn proposed() -> String {
    let explicit = "Explicit VR Little Endian";
    let both = "uncompressed little endian (two)";
    let reports = SrClass::ALL.iter().map(|class| (class.sop_class(), explicit, "measurements, predictions"));
    let others = [
        (uids::SEGMENTATION_STORAGE, explicit, "the regions that were measured"),
        (uids::SPATIAL_REGISTRATION_STORAGE, explicit, "the transforms, where a destination lists them"),
        (
            uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE,
            explicit,
            "transforms that bend, where a destination lists them",
        ),
        (uids::SECONDARY_CAPTURE_IMAGE_STORAGE, explicit, "pictures, where a destination lists them"),
        (uids::ENCAPSULATED_PDF_STORAGE, explicit, "the summary, where a destination lists it"),
        (
            uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
            explicit,
            "rejection notes about results that were withdrawn; results ready, where a destination lists it",
        ),
        (VERIFICATION, both, "is a destination there"),
        (STORAGE_COMMITMENT, both, "commitment to what was delivered"),
        (uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND, both, "what a named series has, and its study"),
        (uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE, both, "what is named and did not come"),
    ];
    rows(
        reports
            .chain(others)
            .map(|(uid, syntaxes, what)| format!("{} | `{uid}` | {syntaxes} | {what}", class_name(uid))),
    )
}

fn tls_versions() -> String {
    let mut versions: Vec<String> = tls::VERSIONS
        .iter()
        .map(|version| format!("{:?}", version.version).trim_start_matches("TLSv").replace('_', "."))
        .collect();
    versions.sort_unstable();
    versions.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_statement_is_what_the_program_says() {
        let said = statement();
        assert!(!said.contains("{{") && !said.contains("|  |"), "{said}");
        let published = include_str!("../../../docs/conformance.md");
        assert_eq!(said, published, "docs/conformance.md: write it anew by `radiomicsd conformance`");
    }

    #[test]
    fn every_listed_class_is_storage_and_listed_once() {
        let mut listed = STANDARD_STORAGE.to_vec();
        assert!(listed.iter().all(|uid| is_storage(uid) && !class_name(uid).is_empty()));
        listed.sort_unstable();
        listed.dedup();
        assert_eq!(listed.len(), STANDARD_STORAGE.len());
    }
}

//! Results: the documents of each revision of each case, as files that outlive their inputs.
//!
//! A revision is written to a temporary directory, synced file by file, and renamed: it is there as a whole or not at
//! all. Once there it never changes, so what is sent twice is sent byte for byte the same.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Store;
use super::disk::{create, lock, make_root, sync_now};
use super::error::StoreError;
use super::layout::checked_name;
use crate::case::CaseId;
use crate::dicom::uid::Uid;
use crate::report::{Document, DocumentReference};

/// One complete revision of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedResult {
    /// The case.
    pub case: CaseId,
    /// The revision, from 1.
    pub revision: u32,
    /// Its documents, in the order in which they were saved.
    pub documents: Vec<SavedDocument>,
    /// The feature table.
    pub features_csv: PathBuf,
    /// The report for machines.
    pub report_json: PathBuf,
}

/// One document of a saved revision.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedDocument {
    /// What it is and where it was put.
    pub reference: DocumentReference,
    /// Transfer syntax of the file.
    pub transfer_syntax: Uid,
    /// The file.
    pub path: PathBuf,
    /// SHA-256 (hex) of the whole file.
    pub sha256: String,
}

impl SavedDocument {
    /// Reads the document back, checked against its digest.
    ///
    /// # Errors
    /// When the file is gone or holds other bytes than were saved.
    pub fn read(&self) -> Result<Document, StoreError> {
        let bytes = fs::read(&self.path).map_err(StoreError::io("reading a result"))?;
        if sha256(&bytes) != self.sha256 {
            return Err(StoreError::Damaged {
                what: "a result document",
                reason: "its digest is not the saved one".to_owned(),
            });
        }
        Ok(Document {
            kind: self.reference.kind,
            name: self.reference.name.clone(),
            study: self.reference.study.clone(),
            series: self.reference.series.clone(),
            sop_class: self.reference.sop_class.clone(),
            sop_instance: self.reference.sop_instance.clone(),
            transfer_syntax: self.transfer_syntax.clone(),
            bytes,
        })
    }
}

/// `manifest.json`: what makes a directory a result.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    case: CaseId,
    revision: u32,
    documents: Vec<ManifestDocument>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ManifestDocument {
    file: String,
    reference: DocumentReference,
    transfer_syntax: Uid,
    sha256: String,
}

const MANIFEST: &str = "manifest.json";
const FEATURES: &str = "features.csv";
const REPORT: &str = "report.json";
/// Revisions in the making begin with a dot: no case id and no revision does.
const MAKING: &str = ".making";

impl Store {
    /// Saves one revision of a case; durable as a whole when this returns. A revision that is already there is returned
    /// as it is, whatever is handed over now.
    ///
    /// # Errors
    /// When the id cannot be a file name or the file system refuses; nothing of the revision is visible then.
    pub fn save_result(
        &self,
        case: &CaseId,
        revision: u32,
        documents: &[Document],
        features_csv: &[u8],
        report_json: &[u8],
    ) -> Result<SavedResult, StoreError> {
        let _one_at_a_time = lock(&self.inner.results);
        if let Some(saved) = self.result(case, revision)? {
            return Ok(saved);
        }
        let parent = self.case_results(case)?;
        make_root(&parent)?;
        let making = parent.join(MAKING);
        remove_tree(&making)?;
        fs::create_dir(&making).map_err(StoreError::io("making a result directory"))?;
        let mut manifest = Manifest { case: case.clone(), revision, documents: Vec::new() };
        for (idx, document) in documents.iter().enumerate() {
            let file = format!("{:02}-{}.dcm", idx + 1, checked_name("document", &document.name)?);
            write_synced(&making.join(&file), &document.bytes)?;
            manifest.documents.push(ManifestDocument {
                file,
                reference: document.reference(),
                transfer_syntax: document.transfer_syntax.clone(),
                sha256: sha256(&document.bytes),
            });
        }
        write_synced(&making.join(FEATURES), features_csv)?;
        write_synced(&making.join(REPORT), report_json)?;
        let text = serde_json::to_vec_pretty(&manifest).map_err(StoreError::damaged("a result's manifest"))?;
        write_synced(&making.join(MANIFEST), &text)?;
        sync_now(&making)?;
        let directory = parent.join(revision.to_string());
        // Without a manifest it is no result: somebody's hand was here.
        remove_tree(&directory)?;
        self.inner.disk.place_directory(&making, &directory)?;
        self.result(case, revision)?.ok_or(StoreError::Unknown { what: "result" })
    }

    /// One revision of a case, where it is complete.
    ///
    /// # Errors
    /// When its manifest is there but cannot be read.
    pub fn result(&self, case: &CaseId, revision: u32) -> Result<Option<SavedResult>, StoreError> {
        let directory = self.case_results(case)?.join(revision.to_string());
        let bytes = match fs::read(directory.join(MANIFEST)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("reading a result's manifest")(error)),
        };
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(StoreError::damaged("a result's manifest"))?;
        let mut documents = Vec::new();
        for document in manifest.documents {
            documents.push(SavedDocument {
                path: directory.join(checked_name("document", &document.file)?),
                reference: document.reference,
                transfer_syntax: document.transfer_syntax,
                sha256: document.sha256,
            });
        }
        Ok(Some(SavedResult {
            case: manifest.case,
            revision: manifest.revision,
            documents,
            features_csv: directory.join(FEATURES),
            report_json: directory.join(REPORT),
        }))
    }

    /// The complete revisions of a case, oldest first.
    ///
    /// # Errors
    /// When they cannot be listed or read.
    pub fn results(&self, case: &CaseId) -> Result<Vec<SavedResult>, StoreError> {
        let entries = match fs::read_dir(self.case_results(case)?) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("listing results")(error)),
        };
        let mut revisions: Vec<u32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
            .collect();
        revisions.sort_unstable();
        let mut results = Vec::new();
        for revision in revisions {
            results.extend(self.result(case, revision)?);
        }
        Ok(results)
    }

    fn case_results(&self, case: &CaseId) -> Result<PathBuf, StoreError> {
        Ok(self.inner.layout.results().join(checked_name("case", &case.0)?))
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file: File = create(path, false).map_err(StoreError::io("creating a result"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StoreError::io("writing a result"))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn remove_tree(directory: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("removing an unfinished result")(error)),
    }
}

//! A folder of DICOM files: every instance once, with its facts and its digest.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::cli::{CliError, files, progress};
use crate::dicom::facts::{self, FactsError, InstanceFacts};
use crate::dicom::part10::FormatError;
use crate::dicom::uid::Uid;
use crate::pipeline::SourceFile;
use crate::store::Digest;

/// What a folder holds.
#[derive(Debug)]
pub(super) struct Folder {
    /// The instances by SOP Instance UID.
    pub(super) instances: BTreeMap<Uid, Instance>,
    /// What the files are.
    pub(super) counts: FileCounts,
}

/// One instance.
#[derive(Debug)]
pub(super) struct Instance {
    /// What it says of itself.
    pub(super) facts: InstanceFacts,
    /// Where it is.
    pub(super) source: SourceFile,
}

/// What the files of a folder are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct FileCounts {
    /// Instances.
    instances: usize,
    /// Files that are no DICOM objects.
    not_dicom: usize,
    /// DICOM objects that cannot be used: broken, or without their identifiers.
    unreadable: usize,
    /// Further files with the content of another one.
    duplicates: usize,
    /// Further files with other content under the identifier of another one: the first by path is used.
    conflicts: usize,
}

impl FileCounts {
    /// In words.
    pub(super) fn sentence(&self) -> String {
        let mut text = format!("{} instances", self.instances);
        for (n, what) in [
            (self.not_dicom, "files that are not DICOM"),
            (self.unreadable, "unreadable DICOM files"),
            (self.duplicates, "duplicates"),
            (self.conflicts, "files with other content under the same SOP Instance UID (the first by path is used)"),
        ] {
            if n > 0 {
                text += &format!(", {n} {what}");
            }
        }
        text.push('\n');
        text
    }
}

impl Folder {
    /// Reads the headers and the digests of all files below a folder.
    pub(super) fn read(directory: &Path, keywords: &[String]) -> Result<Self, CliError> {
        let paths = files::below(directory)?;
        let bar = progress::bar(paths.len(), "reading headers");
        let read: Vec<Result<Instance, FactsError>> = paths
            .par_iter()
            .map(|path| {
                let instance = read_one(path, keywords);
                bar.inc(1);
                instance
            })
            .collect();
        bar.finish_and_clear();
        let mut folder = Self { instances: BTreeMap::new(), counts: FileCounts::default() };
        for outcome in read {
            folder.take(outcome);
        }
        folder.counts.instances = folder.instances.len();
        Ok(folder)
    }

    fn take(&mut self, outcome: Result<Instance, FactsError>) {
        let instance = match outcome {
            Ok(instance) => instance,
            Err(FactsError::Format(FormatError::Malformed(_))) => {
                self.counts.not_dicom += 1;
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "a file is not used");
                self.counts.unreadable += 1;
                return;
            }
        };
        match self.instances.get(&instance.facts.sop_instance) {
            Some(first) if first.source.digest == instance.source.digest => self.counts.duplicates += 1,
            Some(_) => self.counts.conflicts += 1,
            None => {
                self.instances.insert(instance.facts.sop_instance.clone(), instance);
            }
        }
    }

    /// Whether some series of that modality is there.
    pub(super) fn holds(&self, modality: &str) -> bool {
        self.instances.values().any(|instance| instance.facts.modality == modality && !instance.facts.own_product)
    }
}

fn read_one(path: &Path, keywords: &[String]) -> Result<Instance, FactsError> {
    let facts = facts::read(path, keywords)?;
    let digest = Digest::of_data_set(path).map_err(FormatError::Io)?;
    let source = SourceFile { path: path.to_owned(), digest, sop_class: facts.sop_class.clone() };
    Ok(Instance { facts, source })
}

//! The file of a fitted harmonisation: versioned JSON, self-contained, checked when it is read.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::TableError;
use super::json::{read_json, write_json};
use crate::clock::Timestamp;
use crate::dicom::product;
use crate::harmonise::{Baseline, Model, NestedModel, Spread};

/// What the file says it is.
const FORMAT: &str = "radiomicsd-combat";
/// The version of the format that this program writes, and the only one that it reads.
const VERSION: u32 = 1;

/// A fitted harmonisation of one block, with where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CombatFile {
    format: String,
    version: u32,
    /// Names the content: the first sixteen digits of the SHA-256 of block, settings and model.
    pub id: String,
    /// When it was fitted.
    pub created_at: Timestamp,
    /// The version of the program that fitted it.
    pub program: String,
    /// The role whose features it harmonises, where that is known.
    pub block: Option<String>,
    /// The settings under which the features were measured, as in the reports; values measured under others stay raw.
    pub settings_sha256: Option<String>,
    /// The model: one stage, or one for each level of a nested batch.
    pub model: NestedModel,
    /// The training data's distribution, for drift.
    pub baseline: Option<Baseline>,
    /// How sure the batches' effects are.
    pub spread: Option<Spread>,
}

/// What is put into a new file.
#[derive(Debug, Clone, PartialEq)]
pub struct CombatContent {
    /// [`CombatFile::block`].
    pub block: Option<String>,
    /// [`CombatFile::settings_sha256`].
    pub settings_sha256: Option<String>,
    /// [`CombatFile::model`].
    pub model: NestedModel,
    /// [`CombatFile::baseline`].
    pub baseline: Option<Baseline>,
    /// [`CombatFile::spread`].
    pub spread: Option<Spread>,
}

impl CombatFile {
    /// A new file.
    ///
    /// # Errors
    /// When the model cannot be encoded.
    pub fn new(content: CombatContent, created_at: Timestamp) -> Result<Self, TableError> {
        let CombatContent { block, settings_sha256, model, baseline, spread } = content;
        let named = serde_json::to_vec(&(&block, &settings_sha256, &model))
            .map_err(|error| TableError::Content(format!("the model cannot be encoded: {error}")))?;
        let digest = Sha256::digest(named);
        let id: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            id,
            created_at,
            program: product::VERSION.to_owned(),
            block,
            settings_sha256,
            model,
            baseline,
            spread,
        })
    }

    /// Reads a file and checks that its parts fit together.
    ///
    /// # Errors
    /// When it cannot be read, is another kind of file, or its parts do not fit together.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let file: Self = read_json(path, FORMAT, VERSION)?;
        let wrong = |reason: String| TableError::Model { path: path.to_owned(), reason };
        if file.model.stages.is_empty() {
            return Err(wrong("holds no model".to_owned()));
        }
        for stage in &file.model.stages {
            stage.check().map_err(wrong)?;
        }
        Ok(file)
    }

    /// Writes the file as a whole: a reader sees the old one or the new one.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, path: &Path) -> Result<(), TableError> {
        write_json(path, self)
    }

    /// The model, where it has one stage.
    #[must_use]
    pub fn single(&self) -> Option<&Model> {
        match self.model.stages.as_slice() {
            [model] => Some(model),
            _ => None,
        }
    }

    /// The names of the batch columns, from the outermost to the innermost.
    #[must_use]
    pub fn batch_columns(&self) -> &[String] {
        &self.model.columns
    }
}

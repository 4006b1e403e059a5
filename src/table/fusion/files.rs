//! A bundle is a folder: `bundle.json` is the model, the rest is for people. In a storage directory bundles lie under
//! `models/fusion/NAME/ID`, and `states.json` beside them says which one is active; none is ever removed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::error::TableError;
use super::super::json::{read_json, write_json};
use super::onnx;
use crate::clock::Timestamp;
use crate::dicom::product;
use crate::fuse::{Bundle, Evaluation};
use crate::store::write_whole;

const FORMAT: &str = "radiomicsd-fusion-bundle";
const VERSION: u32 = 1;
const BUNDLE: &str = "bundle.json";
const STATES_FORMAT: &str = "radiomicsd-fusion-states";
/// The file that says which bundle of a name is active.
pub const STATES_FILE: &str = "states.json";

/// The model of a bundle with where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleFile {
    format: String,
    version: u32,
    /// Names the content: the first sixteen digits of its SHA-256.
    pub id: String,
    /// SHA-256 of the model and what it was trained on.
    pub sha256: String,
    /// When it was trained.
    pub created_at: Timestamp,
    /// The version of the program that trained it.
    pub program: String,
    /// The settings under which the features were measured: a hash that includes the version of the numerics.
    pub settings_sha256: Option<String>,
    /// The covariates that its harmonisation keeps.
    pub protect: Vec<String>,
    /// How the shipped model was judged.
    pub evaluation: Evaluation,
    /// The model.
    pub bundle: Bundle,
}

/// What is put into a new file.
pub(super) struct BundleContent {
    pub settings_sha256: Option<String>,
    pub protect: Vec<String>,
    pub evaluation: Evaluation,
    pub bundle: Bundle,
}

impl BundleFile {
    pub(super) fn new(content: BundleContent, created_at: Timestamp) -> Result<Self, TableError> {
        let BundleContent { settings_sha256, protect, evaluation, bundle } = content;
        let sha256 = digest(&settings_sha256, &protect, &bundle)?;
        Ok(Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            id: sha256.chars().take(16).collect(),
            sha256,
            created_at,
            program: product::VERSION.to_owned(),
            settings_sha256,
            protect,
            evaluation,
            bundle,
        })
    }

    /// Reads the bundle of a folder and checks it against its own digest.
    ///
    /// # Errors
    /// When it is no bundle, or was changed.
    pub fn read(folder: &Path) -> Result<Self, TableError> {
        let path = folder.join(BUNDLE);
        let mut file: Self = read_json(&path, FORMAT, VERSION)?;
        let found = digest(&file.settings_sha256, &file.protect, &file.bundle)?;
        if found != file.sha256 || !file.sha256.starts_with(&file.id) {
            let reason = "was changed after it was trained: its digest is another one".to_owned();
            return Err(TableError::Model { path, reason });
        }
        onnx::attach(folder, &mut file.bundle)?;
        Ok(file)
    }

    /// Reads a bundle that is going to be asked.
    ///
    /// # Errors
    /// As [`Self::read`], and when this program was built without what runs its model.
    pub fn read_to_ask(folder: &Path) -> Result<Self, TableError> {
        let file = Self::read(folder)?;
        onnx::check_built(&file.bundle)?;
        Ok(file)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), TableError> {
        std::fs::create_dir_all(folder).map_err(TableError::io("making", folder))?;
        write_json(&folder.join(BUNDLE), self)
    }
}

fn digest(settings: &Option<String>, protect: &[String], bundle: &Bundle) -> Result<String, TableError> {
    let named = serde_json::to_vec(&(settings, protect, bundle))
        .map_err(|error| TableError::Content(format!("the bundle cannot be encoded: {error}")))?;
    Ok(Sha256::digest(named).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Where a bundle stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BundleState {
    /// Trained, not used.
    Candidate,
    /// Used for cases whose protocol names it.
    Active,
    /// Was active; kept.
    Retired,
}

impl BundleState {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// The bundles of one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct States {
    format: String,
    version: u32,
    bundles: Vec<StateLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateLine {
    id: String,
    state: BundleState,
    since: Timestamp,
}

/// One bundle of a storage directory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// The name that protocols use.
    pub name: String,
    /// The bundle's id.
    pub id: String,
    /// Where it stands.
    pub state: BundleState,
    /// Since when.
    pub since: Timestamp,
    /// What it predicts.
    pub endpoint: String,
    /// How it was judged.
    pub evaluation: Evaluation,
}

fn root(storage: &Path) -> PathBuf {
    storage.join("models").join("fusion")
}

fn states(folder: &Path) -> Result<Vec<StateLine>, TableError> {
    let path = folder.join(STATES_FILE);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let states: States = read_json(&path, STATES_FORMAT, VERSION)?;
    Ok(states.bundles)
}

/// Copies a bundle into a storage directory under a name and puts it in force; the one before is retired and kept.
///
/// # Errors
/// When it is no bundle, the name is no file name, or the file system refuses.
pub fn activate(storage: &Path, bundle: &Path, name: &str, now: Timestamp) -> Result<BundleFile, TableError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.bytes().all(plain) {
        let reason = format!("the name {name:?} cannot be a file name: expected letters, digits, '-', '_' and '.'");
        return Err(TableError::Content(reason));
    }
    let file = BundleFile::read_to_ask(bundle)?;
    let folder = root(storage).join(name);
    let own = folder.join(&file.id);
    std::fs::create_dir_all(&own).map_err(TableError::io("making", &own))?;
    let entries = std::fs::read_dir(bundle).map_err(TableError::io("listing", bundle))?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
        let Some(name) = path.file_name() else { continue };
        let bytes = std::fs::read(&path).map_err(TableError::io("reading", &path))?;
        let to = own.join(name);
        write_whole(&to, &bytes).map_err(TableError::write(&to))?;
    }
    let mut lines = states(&folder)?;
    for line in lines.iter_mut().filter(|line| line.state == BundleState::Active) {
        (line.state, line.since) = (BundleState::Retired, now);
    }
    lines.retain(|line| line.id != file.id);
    lines.push(StateLine { id: file.id.clone(), state: BundleState::Active, since: now });
    let content = States { format: STATES_FORMAT.to_owned(), version: VERSION, bundles: lines };
    write_json(&folder.join(STATES_FILE), &content)?;
    Ok(file)
}

/// The bundle that is in force under a name.
///
/// # Errors
/// When none is, or it cannot be read.
pub fn active(storage: &Path, name: &str) -> Result<BundleFile, TableError> {
    let folder = root(storage).join(name);
    let line = states(&folder)?.into_iter().find(|line| line.state == BundleState::Active);
    let none = || TableError::Model { path: folder.clone(), reason: "holds no active bundle".to_owned() };
    BundleFile::read_to_ask(&folder.join(line.ok_or_else(none)?.id))
}

/// All bundles of a storage directory, by name; within a name the newest state last.
///
/// # Errors
/// When one cannot be read.
pub fn list(storage: &Path) -> Result<Vec<Listed>, TableError> {
    let root = root(storage);
    let Ok(entries) = std::fs::read_dir(&root) else { return Ok(Vec::new()) };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    let mut listed = Vec::new();
    for folder in folders {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for line in states(&folder)? {
            let file = BundleFile::read(&folder.join(&line.id))?;
            let (state, since) = (line.state, line.since);
            let (endpoint, evaluation) = (file.bundle.endpoint, file.evaluation);
            listed.push(Listed { name: name.clone(), id: line.id, state, since, endpoint, evaluation });
        }
    }
    Ok(listed)
}

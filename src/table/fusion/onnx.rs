//! `fusion import`: an ONNX file and its manifest in, a bundle's folder out; and the file beside the bundle ever after.
//!
//! The manifest is JSON that its maker writes. The bundle holds everything of it, and the file's SHA-256; the file itself lies
//! in the folder as `model.onnx`. What the manifest says of the model's performance is repeated, and the card says that
//! nobody checked it here.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::error::TableError;
use super::super::json::write_json;
use super::files::{BundleContent, BundleFile};
use crate::clock::Timestamp;
use crate::fuse::{Asked, BroughtModel, Bundle, Call, Evaluation, FuseError, Method, ONNX_BYTES_MAX, Pattern};
use crate::store::write_whole;

/// The file in a bundle's folder.
const FILE: &str = "model.onnx";
const FORMAT: &str = "radiomicsd-onnx-manifest";
const VERSION: u32 = 1;
const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// How near a model must come to the answers that its manifest gives.
const ANSWER_TOLERANCE: f64 = 1e-4;

/// What `fusion import` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// The ONNX file.
    pub model: PathBuf,
    /// Its manifest.
    pub manifest: PathBuf,
    /// The bundle's folder.
    pub out: PathBuf,
}

/// What `fusion import` did.
#[derive(Debug, Clone, Serialize)]
pub struct ImportOutcome {
    /// The bundle's id.
    pub id: String,
    /// What it predicts.
    pub endpoint: String,
    /// Its blocks, each with the number of its features.
    pub blocks: Vec<(String, usize)>,
    /// Answers of the manifest that the model gave here too.
    pub n_checked: usize,
}

/// What its maker says of an ONNX model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    version: u32,
    /// What it predicts.
    endpoint: String,
    /// SHA-256 of the file (hex).
    sha256: String,
    /// How it is asked.
    call: Call,
    /// Its blocks, in the order of its input.
    blocks: Vec<ManifestBlock>,
    /// The sets of blocks that it was validated with; none given: all together.
    #[serde(default)]
    patterns: Vec<ManifestPattern>,
    /// The settings under which the features were measured that it was trained on.
    #[serde(default)]
    settings_sha256: Option<String>,
    /// How it was judged, by who made it.
    #[serde(default)]
    evaluation: ManifestPerformance,
    /// Rows and what the model says of them elsewhere.
    #[serde(default)]
    checks: Vec<ManifestCheck>,
    /// Anything that a reader of the card should know.
    #[serde(default)]
    about: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestBlock {
    name: String,
    features: Vec<Asked>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestPattern {
    blocks: Vec<String>,
    #[serde(default)]
    performance: ManifestPerformance,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ManifestPerformance {
    n: usize,
    events: usize,
    auc: Option<f64>,
    auc_low: Option<f64>,
    auc_high: Option<f64>,
    brier: Option<f64>,
    calibration_slope: Option<f64>,
    calibration_intercept: Option<f64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestCheck {
    /// All values in the order of the input.
    values: Vec<f64>,
    /// The blocks that are there; none given: all.
    #[serde(default)]
    blocks: Option<Vec<String>>,
    /// The probability of the event.
    probability: f64,
}

/// Makes a bundle of an ONNX file: a candidate, until it is activated.
///
/// # Errors
/// When a file cannot be read, the manifest or the model are refused, the model does not give the manifest's answers, or the
/// program was built without ONNX.
pub fn import(options: &ImportOptions, now: Timestamp) -> Result<ImportOutcome, TableError> {
    let manifest_bytes = bounded(&options.manifest, MANIFEST_BYTES_MAX)?;
    let bytes = bounded(&options.model, ONNX_BYTES_MAX)?;
    let refuse = |reason: String| TableError::Model { path: options.manifest.clone(), reason };
    let manifest: Manifest =
        serde_json::from_slice(&manifest_bytes).map_err(|error| refuse(format!("is no manifest: {error}")))?;
    if manifest.format != FORMAT || manifest.version != VERSION {
        return Err(refuse(format!("is no {FORMAT} of version {VERSION}")));
    }
    let found = sha256(&bytes);
    if !manifest.sha256.eq_ignore_ascii_case(&found) {
        return Err(refuse(format!("names a file of SHA-256 {}, and this one has {found}", manifest.sha256)));
    }
    let mut bundle = model(&manifest, found)?.bundle()?;
    bundle.attach(&bytes)?;
    check_answers(&manifest, &bundle).map_err(refuse)?;
    let evaluation = evaluation(&manifest);
    let content =
        BundleContent { settings_sha256: manifest.settings_sha256.clone(), protect: Vec::new(), evaluation, bundle };
    let file = BundleFile::new(content, now)?;
    write_folder(&options.out, &file, &manifest, &bytes)?;
    Ok(ImportOutcome {
        id: file.id,
        endpoint: manifest.endpoint,
        blocks: manifest.blocks.iter().map(|block| (block.name.clone(), block.features.len())).collect(),
        n_checked: manifest.checks.len(),
    })
}

/// Gives a bundle that was read from a folder the ONNX file that it needs, where it needs one and this program can run it.
pub(super) fn attach(folder: &Path, bundle: &mut Bundle) -> Result<(), TableError> {
    let Some(wanted) = bundle.needs_file().map(str::to_owned) else { return Ok(()) };
    let path = folder.join(FILE);
    let bytes = bounded(&path, ONNX_BYTES_MAX)?;
    if sha256(&bytes) != wanted {
        let reason = "was changed after it was brought in: its SHA-256 is another one".to_owned();
        return Err(TableError::Model { path, reason });
    }
    match bundle.attach(&bytes) {
        // Listed and copied all the same; whoever asks it hears of it.
        Ok(()) | Err(FuseError::NotBuilt) => Ok(()),
        Err(error) => Err(TableError::Model { path, reason: error.to_string() }),
    }
}

/// Whether this program can run a bundle.
///
/// # Errors
/// When it needs ONNX and the program was built without.
pub(super) fn check_built(bundle: &Bundle) -> Result<(), TableError> {
    if bundle.needs_file().is_some() && cfg!(not(feature = "onnx")) { Err(FuseError::NotBuilt.into()) } else { Ok(()) }
}

fn bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, TableError> {
    let file = std::fs::File::open(path).map_err(TableError::io("opening", path))?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(TableError::io("reading", path))?;
    if bytes.len() as u64 > bytes_max {
        let reason = format!("is larger than {bytes_max} bytes");
        return Err(TableError::Model { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn model(manifest: &Manifest, sha256: String) -> Result<BroughtModel, TableError> {
    let all = ManifestPattern {
        blocks: manifest.blocks.iter().map(|block| block.name.clone()).collect(),
        performance: manifest.evaluation.clone(),
    };
    let listed = if manifest.patterns.is_empty() { std::slice::from_ref(&all) } else { &manifest.patterns[..] };
    let pattern = |pattern: &ManifestPattern| Pattern {
        blocks: pattern.blocks.clone(),
        n: pattern.performance.n,
        events: pattern.performance.events,
        auc: pattern.performance.auc,
        auc_low: pattern.performance.auc_low,
        auc_high: pattern.performance.auc_high,
        validated: true,
    };
    if manifest.endpoint.trim().is_empty() || manifest.endpoint.chars().count() > 100 {
        return Err(TableError::Content("the manifest's endpoint has no or more than 100 characters".to_owned()));
    }
    Ok(BroughtModel {
        endpoint: manifest.endpoint.clone(),
        sha256,
        call: manifest.call.clone(),
        blocks: manifest.blocks.iter().map(|block| (block.name.clone(), block.features.clone())).collect(),
        patterns: listed.iter().map(pattern).collect(),
    })
}

/// The model must say here what it says where it comes from.
fn check_answers(manifest: &Manifest, bundle: &Bundle) -> Result<(), String> {
    for (at, check) in manifest.checks.iter().enumerate() {
        let n: usize = manifest.blocks.iter().map(|block| block.features.len()).sum();
        if check.values.len() != n {
            return Err(format!("check {at} has {} values, expected {n}", check.values.len()));
        }
        let mut values = check.values.iter();
        let row = |block: &ManifestBlock| -> Option<Vec<f64>> {
            let row = values.by_ref().take(block.features.len()).copied().collect();
            check.blocks.as_ref().is_none_or(|there| there.contains(&block.name)).then_some(row)
        };
        let rows: Vec<Option<Vec<f64>>> = manifest.blocks.iter().map(row).collect();
        let scored = bundle.fitted.score(&rows).map_err(|error| error.to_string())?;
        let found = scored.map_or(f64::NAN, |scored| bundle.fitted.scale.probability(scored.linear));
        let is_near = (found - check.probability).abs() <= ANSWER_TOLERANCE;
        if !is_near {
            return Err(format!("check {at}: the model says {found:.6} here, and {:.6} elsewhere", check.probability));
        }
    }
    Ok(())
}

fn evaluation(manifest: &Manifest) -> Evaluation {
    let told = &manifest.evaluation;
    Evaluation {
        model: Method::Onnx.name().to_owned(),
        fusion: Method::Onnx.fusion().to_owned(),
        blocks: manifest.blocks.iter().map(|block| block.name.clone()).collect(),
        auc: told.auc,
        auc_low: told.auc_low,
        auc_high: told.auc_high,
        brier: told.brier,
        calibration_slope: told.calibration_slope,
        calibration_intercept: told.calibration_intercept,
        n: told.n,
        events: told.events,
        decision_curve: Vec::new(),
        auc_632_plus: None,
    }
}

fn write_folder(folder: &Path, file: &BundleFile, manifest: &Manifest, bytes: &[u8]) -> Result<(), TableError> {
    std::fs::create_dir_all(folder).map_err(TableError::io("making", folder))?;
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        write_whole(&path, bytes).map_err(TableError::write(&path))
    };
    put(FILE, bytes)?;
    write_json(&folder.join("evaluation.json"), &[&file.evaluation])?;
    write_json(&folder.join("card.json"), manifest)?;
    put("card.md", card(file, manifest).as_bytes())?;
    // The model comes last: a folder with it is whole.
    file.write(folder)
}

/// The card: what the manifest says (TRIPOD+AI asks for it), and what the program knows of it.
fn card(file: &BundleFile, manifest: &Manifest) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "not told".to_owned(), |value| format!("{value:.3}"));
    let told = &manifest.evaluation;
    let mut text = format!("# Model card: {}\n\nFor research use only.\n\n", manifest.endpoint);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "- **{name}**: {value}");
    };
    line("Bundle", &format!("{}, brought in {} by radiomicsd {}", file.id, file.created_at, file.program));
    line("Model", &format!("ONNX, SHA-256 {}", manifest.sha256.to_lowercase()));
    line("Outcome", &format!("{} (binary)", manifest.endpoint));
    line("Settings", manifest.settings_sha256.as_deref().unwrap_or("not known: they are not checked"));
    line("Patients, by its maker", &format!("{}, {} with the event", told.n, told.events));
    let interval = format!("{} ({} to {})", number(told.auc), number(told.auc_low), number(told.auc_high));
    line("AUC, by its maker", &interval);
    line("Brier score, by its maker", &number(told.brier));
    line("Answers of its maker that it gave here too", &manifest.checks.len().to_string());
    line("About", if manifest.about.is_empty() { "to be filled by who made it" } else { &manifest.about });
    text.push_str("\n## Predictors\n");
    for block in &manifest.blocks {
        let _ = write!(
            text,
            "\n### {}\n| feature | training range | stands in for a missing value |\n|---|---|---|\n",
            block.name
        );
        for Asked { name, impute, range: [low, high] } in &block.features {
            let _ = writeln!(text, "| {name} | {low:.4} to {high:.4} | {impute:.4} |");
        }
    }
    text.push_str("\n## May be asked with\n");
    for pattern in &file.bundle.patterns {
        let _ = writeln!(text, "- {}", pattern.blocks.join(" + "));
    }
    text.push_str(
        "\n## Limits\n- Trained and judged elsewhere: the program did not check its performance; `fusion evaluate` does.\n\
         - No prediction for a feature beyond its training range, for features of other settings, and for blocks that are not \
         listed above.\n- No interval and no baselines: there is no ensemble.\n\
         - Fairness between groups of patients was not assessed by the program.\n",
    );
    text
}

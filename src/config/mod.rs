//! The configuration: a TOML file, read once, checked once.
//!
//! `RawConfig` is the file as written; [`Config`] is what everything else sees: durations, addresses, compiled
//! expressions and enums instead of strings, every default filled in (they stand in `defaults.rs`, nowhere else).
//! Unknown keys are errors. All that is wrong is reported at once, each with its line, its key, what was found and what
//! was expected. Nothing here opens a file other than the configuration itself.

mod check;
mod defaults;
mod destination;
mod dicom;
mod error;
mod fused;
mod input;
mod locate;
mod protocol;
mod raw;
mod sections;
mod support;
mod tls;
mod types;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use toml::de::DeTable;

pub use destination::{Destination, Receiver, RetrySettings, SrClass};
pub use dicom::{Corrections, Dicom, Peer, Tls};
pub use error::{ConfigError, Problem};
pub use fused::FusedInput;
pub use input::{Fwhm, Input, MrReading, code_of};
pub use locate::Position;
pub use protocol::{
    Automatic, CodeSource, Features, Fusion, Grid, Harmonise, Protocol, RegionCodes, Registration, Resolution, Roi,
};
pub use sections::{Audit, Batch, Clinical, Durability, Http, Psf, Storage, SyslogTarget, SyslogTransport};
pub use tls::ClientTls;
pub use types::{AeTitle, HostPort, WebUrl};

use crate::case::CaseSettings;
use crate::finding::Policies;
use check::Checker;
use locate::KeyPath;
use raw::RawConfig;

/// Everything that a site may decide.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Config {
    /// The DICOM node and who may send to it.
    pub dicom: Dicom,
    /// Where everything is kept.
    pub storage: Storage,
    /// The status page, the API and the metrics.
    pub http: Http,
    /// How long grouping waits.
    #[serde(serialize_with = "sections::case_as_configured")]
    pub case: CaseSettings,
    /// What is measured; names are unique. Without one, instances are stored and nothing else.
    #[serde(rename = "protocol")]
    pub protocols: Vec<Protocol>,
    /// Where results go.
    #[serde(rename = "destination")]
    pub destinations: Vec<Destination>,
    /// What is done about each finding.
    #[serde(serialize_with = "sections::all_policies")]
    pub findings: Policies,
    /// The site's table of resolutions.
    pub psf: Psf,
    /// Cleaning rules of scanner names.
    pub batch: Batch,
    /// What is known of patients beside their images.
    pub clinical: Clinical,
    /// Where audit messages go.
    pub audit: Audit,
}

impl Config {
    /// Reads and checks a file. Relative paths in it start at its folder; a tilde is not expanded.
    ///
    /// # Errors
    /// When it cannot be read, or something in it is not what it must be.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = || {
            let n_bytes = std::fs::metadata(path)?.len();
            if n_bytes > defaults::CONFIG_BYTES_MAX {
                let sentence = format!("it has {n_bytes} bytes, at most {} are read", defaults::CONFIG_BYTES_MAX);
                return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, sentence));
            }
            std::fs::read_to_string(path)
        };
        let text = read().map_err(|source| ConfigError::Read { file: path.to_owned(), source })?;
        Self::from_toml(&text, &path.to_string_lossy())
    }

    /// Checks a text. `name` stands for the file in errors, and its folder for relative paths.
    ///
    /// # Errors
    /// When something in it is not what it must be.
    pub fn from_toml(text: &str, name: &str) -> Result<Self, ConfigError> {
        let invalid = |problems| ConfigError::Invalid { file: name.to_owned(), problems };
        let document = DeTable::parse(text).map_err(|error| invalid(vec![error::of_parser(text, None, &error)]))?;
        let raw: RawConfig =
            toml::from_str(text).map_err(|error| invalid(vec![error::of_parser(text, Some(&document), &error)]))?;
        let folder = Path::new(name).parent().unwrap_or(Path::new(""));
        let mut checker = Checker::new(folder, text, &document);
        let config = check(raw, &mut checker);
        let problems = checker.into_problems();
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(invalid(problems)),
        }
    }

    /// The commented example that the package installs.
    #[must_use]
    pub const fn example() -> &'static str {
        include_str!("../../config/radiomicsd.toml")
    }

    /// Every setting that is in force, defaults included, as TOML that reads back to this configuration. Settings that
    /// are neither given nor have a default (TLS, a token file) are not in it.
    #[must_use]
    pub fn effective(&self) -> String {
        // Every type here writes itself as it is read; a test reads back what this writes.
        toml::to_string(self).unwrap_or_else(|error| format!("# cannot be written: {error}\n"))
    }

    /// The same as a JSON value.
    #[must_use]
    pub fn effective_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The protocol of that name.
    #[must_use]
    pub fn protocol(&self, name: &str) -> Option<&Protocol> {
        self.protocols.iter().find(|protocol| protocol.name == name)
    }

    /// Every setting of every stage of one protocol, for the report and for the hash that the results carry.
    ///
    /// `selection` is which data it takes; `measurement` is all that a feature's value depends on beside the data;
    /// `model` is what comes after the measuring. Models are tied to `measurement` alone: naming another series
    /// description, or activating the model itself, does not make the features others.
    #[must_use]
    pub fn settings_json(&self, protocol: &Protocol) -> serde_json::Value {
        let whole = serde_json::to_value(protocol).unwrap_or_default();
        let pick = |value: &serde_json::Value, keys: &[&str]| -> serde_json::Value {
            keys.iter().map(|key| ((*key).to_owned(), value.get(*key).cloned().unwrap_or_default())).collect()
        };
        let of_inputs = |keys: &[&str]| -> Vec<serde_json::Value> {
            let inputs = whole.get("input").and_then(serde_json::Value::as_array);
            inputs.into_iter().flatten().map(|input| pick(input, keys)).collect()
        };
        let mut selection = pick(&whole, &["name", "at_deadline", "match"]);
        selection["input"] = of_inputs(&["role", "required", "match", "exclude", "prefer"]).into();
        let mut measurement =
            pick(&whole, &["reference", "roi", "finding", "registration", "resolution", "grid", "features"]);
        let of_values = [
            "role",
            "modality",
            "fwhm_mm",
            "grid",
            "mr_scaling",
            "bias_correction",
            "normalise",
            "discretise",
            "filter",
            "response_discretise",
        ];
        measurement["input"] = of_inputs(&of_values).into();
        if let Some(fused) = whole.get("fused") {
            measurement["fused"] = fused.clone();
        }
        let effective = self.effective_json();
        measurement["findings"] = effective.get("findings").cloned().unwrap_or_default();
        measurement["psf"] = effective.get("psf").cloned().unwrap_or_default();
        let model = pick(&whole, &["harmonise", "fusion"]);
        serde_json::json!({ "selection": selection, "measurement": measurement, "model": model })
    }

    /// The keywords of all attributes that protocols match on: what must be read of every instance.
    #[must_use]
    pub fn keywords(&self) -> BTreeSet<String> {
        self.protocols.iter().flat_map(Protocol::keywords).collect()
    }
}

fn check(raw: RawConfig, c: &mut Checker<'_>) -> Option<Config> {
    let root = KeyPath::default();
    let dicom = dicom::check(raw.dicom, &root.key("dicom"), c);
    let storage = sections::check_storage(raw.storage, &root.key("storage"), c);
    let http = sections::check_http(&raw.http, &root.key("http"), c);
    let case = sections::check_case(&raw.case, &root.key("case"), c);
    let protocols_key = root.key("protocol");
    c.at_most(&protocols_key, raw.protocol.len(), defaults::PROTOCOLS_MAX);
    let mut protocols: Vec<Protocol> = Vec::new();
    for (i, raw) in raw.protocol.into_iter().enumerate() {
        let key = protocols_key.index(i);
        let Some(protocol) = protocol::check(raw, &key, c) else { continue };
        if protocols.iter().any(|other| other.name == protocol.name) {
            c.wrong(&key.key("name"), &protocol.name, "every protocol name once");
        }
        protocols.push(protocol);
    }
    let destinations_key = root.key("destination");
    let ours = dicom.as_ref().map(|dicom| dicom.ae_title.clone());
    let mut destinations: Vec<Destination> = Vec::new();
    for (i, raw) in raw.destination.into_iter().enumerate() {
        let key = destinations_key.index(i);
        let Some(destination) = destination::check(raw, ours.as_ref(), &key, c) else { continue };
        if destinations.iter().any(|other| other.name() == destination.name()) {
            let expected = "every destination under an AE title or name of its own: the outbox tells them apart by it";
            c.wrong(&key, destination.name(), expected);
        }
        destinations.push(destination);
    }
    let findings = sections::check_findings(&raw.findings, &root.key("findings"), c);
    let mut path = |section: &str, name: &str, text: &Option<String>| {
        c.optional_path(&root.key(section).key(name), text.as_deref())
    };
    let psf = Psf { table: path("psf", "table", &raw.psf.table) };
    let batch = Batch { rules: path("batch", "rules", &raw.batch.rules) };
    let clinical = Clinical { table: path("clinical", "table", &raw.clinical.table) };
    let audit = sections::check_audit(raw.audit, &root.key("audit"), c);
    let commits = dicom.as_ref().is_some_and(|dicom| dicom.storage_commitment);
    if commits && storage.as_ref().is_some_and(|storage| storage.durability != Durability::Full) {
        let sentence =
            "found true, expected storage.durability = \"full\" with it: a power cut may lose what is promised";
        c.problem(&root.key("dicom").key("storage_commitment"), sentence.to_owned());
    }
    Some(Config {
        dicom: dicom?,
        storage: storage?,
        http: http?,
        case,
        protocols,
        destinations,
        findings,
        psf,
        batch,
        clinical,
        audit,
    })
}

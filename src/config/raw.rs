//! The file as written: every key, nothing checked. Unknown keys are errors of the parser.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::features::filters::{Filter, WaveletFamily};
use crate::features::perturb::Perturb;

type Texts = Option<Vec<String>>;
/// Regular expressions by attribute keyword.
pub(super) type RawMatch = Option<BTreeMap<String, String>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub dicom: RawDicom,
    pub storage: RawStorage,
    pub http: RawHttp,
    pub case: RawCase,
    pub protocol: Vec<RawProtocol>,
    pub destination: Vec<RawDestination>,
    pub findings: BTreeMap<String, String>,
    pub psf: RawPsf,
    pub batch: RawBatch,
    pub clinical: RawClinical,
    pub audit: RawAudit,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDicom {
    pub ae_title: Option<String>,
    pub listen: Option<String>,
    pub accept_unknown_peers: Option<bool>,
    pub max_associations: Option<i64>,
    pub max_pdu_bytes: Option<i64>,
    pub idle_timeout: Option<String>,
    pub users: Option<String>,
    pub storage_commitment: Option<bool>,
    pub peer: Vec<RawPeer>,
    pub tls: Option<RawTls>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPeer {
    pub ae_title: Option<String>,
    pub networks: Texts,
    pub address: Option<String>,
    pub max_associations: Option<i64>,
    pub retrieve: Option<bool>,
    pub require_user: Option<bool>,
    pub corrections: Option<String>,
    pub tls: Option<RawClientTls>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTls {
    pub certificate: Option<String>,
    pub key: Option<String>,
    pub client_ca: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawClientTls {
    pub ca: Option<String>,
    pub certificate: Option<String>,
    pub key: Option<String>,
    pub name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStorage {
    pub directory: Option<String>,
    pub reserve_bytes: Option<i64>,
    pub retention: Option<String>,
    pub parked_retention: Option<String>,
    pub durability: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHttp {
    pub listen: Option<String>,
    pub token_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCase {
    pub series_settle: Option<String>,
    pub case_settle: Option<String>,
    pub case_deadline: Option<String>,
    pub link_window: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawProtocol {
    pub name: Option<String>,
    pub reference: Option<String>,
    pub at_deadline: Option<String>,
    #[serde(rename = "match")]
    pub matches: RawMatch,
    pub roi: RawRoi,
    pub finding: RawRegionCodes,
    pub registration: RawRegistration,
    pub resolution: RawResolution,
    pub grid: RawGrid,
    pub features: RawFeatures,
    pub harmonise: RawHarmonise,
    pub fusion: RawFusion,
    pub input: Vec<RawInput>,
    pub fused: Vec<RawFused>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRoi {
    pub names: Texts,
    pub automatic: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRegionCodes {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub site: Option<String>,
    pub laterality: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRegistration {
    pub transform: Option<String>,
    pub same_frame_of_reference: Option<String>,
    pub measure: Option<String>,
    pub error_draws: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawResolution {
    #[serde(rename = "match")]
    pub matched: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawGrid {
    pub spacing_mm: Option<f64>,
    pub interpolation: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFeatures {
    pub space: Texts,
    pub families: Texts,
    pub perturb: Option<Perturb>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHarmonise {
    pub model: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFusion {
    pub bundle: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawInput {
    pub role: Option<String>,
    pub modality: Option<String>,
    pub required: Option<bool>,
    #[serde(rename = "match")]
    pub matches: RawMatch,
    pub exclude: RawMatch,
    pub prefer: Texts,
    pub fwhm_mm: Option<RawFwhm>,
    pub grid: RawGrid,
    pub mr_scaling: Option<String>,
    pub bias_correction: Option<bool>,
    pub normalise: Option<RawNormalise>,
    pub discretise: Option<RawDiscretise>,
    pub filter: Vec<Filter>,
    pub response_discretise: Option<RawDiscretise>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFused {
    pub role: Option<String>,
    pub of: Texts,
    pub range: Option<[[f64; 2]; 2]>,
    pub wavelet: Option<WaveletFamily>,
    pub levels: Option<u8>,
    pub weight: Option<f64>,
    pub detail_weight: Option<f64>,
    pub band_pass_ratio: Option<f64>,
    pub discretise: Option<RawDiscretise>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "\"auto\" or three widths in mm: in-plane x, y, through-plane")]
pub(super) enum RawFwhm {
    Text(String),
    Widths([f64; 3]),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawNormalise {
    pub method: Option<String>,
    pub window: Option<[f64; 2]>,
    pub kind: Option<String>,
    pub log: Option<bool>,
    pub roi: Option<String>,
    pub standard: Option<String>,
    pub contrast: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDiscretise {
    pub bin_width: Option<f64>,
    pub bins: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDestination {
    pub ae_title: Option<String>,
    pub address: Option<String>,
    pub calling_ae_title: Option<String>,
    pub name: Option<String>,
    pub url: Option<String>,
    pub token_file: Option<String>,
    pub send: Texts,
    pub sr_classes: Texts,
    pub retry: RawRetry,
    pub storage_commitment: Option<bool>,
    pub tls: Option<RawClientTls>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRetry {
    pub first: Option<String>,
    pub max: Option<String>,
    pub give_up_after: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPsf {
    pub table: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBatch {
    pub rules: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawClinical {
    pub table: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAudit {
    pub file: Option<String>,
    pub syslog: Option<String>,
    pub tls: Option<RawClientTls>,
}

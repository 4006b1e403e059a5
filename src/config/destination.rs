//! `[[destination]]`: where results go.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::check::{ANY_DURATION, Checker};
use super::defaults;
use super::locate::KeyPath;
use super::raw::{RawDestination, RawRetry};
use super::tls::{self, ClientTls};
use super::types::{AeTitle, HostPort, WebUrl, as_humantime};
pub use crate::dicom::sr::SrClass;
use crate::report::DocumentKind;

/// Where results are sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Destination {
    /// Who it is.
    #[serde(flatten)]
    pub to: Receiver,
    /// Which documents it gets.
    pub send: Vec<DocumentKind>,
    /// The storage classes for SRs, in the order of preference.
    pub sr_classes: Vec<SrClass>,
    /// When a failed delivery is tried again.
    pub retry: RetrySettings,
    /// Whether it is asked to commit to what it got.
    pub storage_commitment: bool,
    /// TLS to it.
    pub tls: Option<ClientTls>,
}

/// Who gets results, and by which protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Receiver {
    /// A node, by C-STORE.
    Dimse {
        /// Its AE title.
        ae_title: AeTitle,
        /// Where it listens.
        address: HostPort,
        /// The AE title that we call from; ours where none is configured.
        calling_ae_title: AeTitle,
    },
    /// A `DICOMweb` server, by STOW-RS.
    Web {
        /// What it is called in the outbox, the log and the metrics.
        name: String,
        /// Its base: what comes before `/studies`.
        url: WebUrl,
        /// The file with the bearer token.
        #[serde(skip_serializing_if = "Option::is_none")]
        token_file: Option<PathBuf>,
    },
}

impl Destination {
    /// What it is called in the outbox: the AE title, or the name of the server.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.to {
            Receiver::Dimse { ae_title, .. } => ae_title.as_str(),
            Receiver::Web { name, .. } => name,
        }
    }
}

/// Exponential backoff: the pause doubles from `first` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RetrySettings {
    /// The pause after the first failure.
    #[serde(serialize_with = "as_humantime")]
    pub first: Duration,
    /// The longest pause.
    #[serde(serialize_with = "as_humantime")]
    pub max: Duration,
    /// After this long a delivery is no longer tried; it stays visible and may be retried by hand.
    #[serde(serialize_with = "as_humantime")]
    pub give_up_after: Duration,
}

const DOCUMENTS: &[(&str, DocumentKind)] = &[
    ("sr", DocumentKind::Sr),
    ("seg", DocumentKind::Seg),
    ("reg", DocumentKind::Reg),
    ("picture", DocumentKind::Picture),
    ("pdf", DocumentKind::Pdf),
    ("key-objects", DocumentKind::KeyObjects),
];

const SR_CLASSES: &[(&str, SrClass)] = &[
    ("comprehensive-3d", SrClass::Comprehensive3d),
    ("comprehensive", SrClass::Comprehensive),
    ("enhanced", SrClass::Enhanced),
];

pub(super) fn check(
    raw: RawDestination,
    ours: Option<&AeTitle>,
    key: &KeyPath,
    c: &mut Checker<'_>,
) -> Option<Destination> {
    let has_tls = raw.tls.is_some();
    let to = match &raw.url {
        None => check_node(&raw, ours, key, c),
        Some(url) => check_server(&raw, url, has_tls, key, c),
    };
    let send = c.choices(&key.key("send"), raw.send.as_deref(), &[DocumentKind::Sr, DocumentKind::Seg], DOCUMENTS);
    let classes_key = key.key("sr_classes");
    let all: Vec<SrClass> = SR_CLASSES.iter().map(|(_, class)| *class).collect();
    let sr_classes = c.choices(&classes_key, raw.sr_classes.as_deref(), &all, SR_CLASSES);
    if sr_classes.is_empty() {
        c.problem(&classes_key, "is empty, expected at least one class".to_owned());
    }
    check_key_objects(&send, &sr_classes, key, c);
    let tls = raw.tls.and_then(|raw| tls::check_client(raw, &key.key("tls"), c));
    let retry = check_retry(&raw.retry, &key.key("retry"), c);
    let storage_commitment = raw.storage_commitment.unwrap_or(defaults::STORAGE_COMMITMENT);
    if storage_commitment && matches!(to, Some(Receiver::Web { .. })) {
        let sentence =
            "found true with a url, expected it at a node alone: a server on the Web cannot be asked to commit";
        c.problem(&key.key("storage_commitment"), sentence.to_owned());
    }
    Some(Destination { to: to?, send, sr_classes, retry, storage_commitment, tls })
}

/// A node: AE title and address.
fn check_node(raw: &RawDestination, ours: Option<&AeTitle>, key: &KeyPath, c: &mut Checker<'_>) -> Option<Receiver> {
    let title_key = key.key("ae_title");
    let title =
        c.required(&title_key, raw.ae_title.as_deref(), "the AE title to call, or a url for a server on the Web");
    let ae_title = title.and_then(|text| c.ae_title(&title_key, text));
    let address_key = key.key("address");
    let address = c.required(&address_key, raw.address.as_deref(), "a host and a port, such as \"10.1.0.5:104\"");
    let address = address.and_then(|text| c.host_port(&address_key, text));
    let calling = match &raw.calling_ae_title {
        Some(text) => c.ae_title(&key.key("calling_ae_title"), text),
        None => ours.cloned(),
    };
    for (name, given) in [("name", raw.name.is_some()), ("token_file", raw.token_file.is_some())] {
        if given {
            c.problem(&key.key(name), "is given without a url, expected it for a server on the Web alone".to_owned());
        }
    }
    Some(Receiver::Dimse { ae_title: ae_title?, address: address?, calling_ae_title: calling? })
}

/// A server on the Web: name and url. What protects a token or a patient has to be there.
fn check_server(
    raw: &RawDestination,
    url: &str,
    has_tls: bool,
    key: &KeyPath,
    c: &mut Checker<'_>,
) -> Option<Receiver> {
    let url_key = key.key("url");
    let parsed = WebUrl::parse(url);
    if parsed.is_none() {
        c.wrong(&url_key, url, "an address such as \"https://pacs.hospital/dicom-web\"");
    }
    let name_key = key.key("name");
    let name = c.required(&name_key, raw.name.clone(), "what the server is called in the outbox and the log");
    let name = name.and_then(|text| c.name(&name_key, text, 64));
    let of_nodes = [&raw.ae_title, &raw.address, &raw.calling_ae_title].map(Option::is_some);
    for (name, given) in ["ae_title", "address", "calling_ae_title"].into_iter().zip(of_nodes) {
        if given {
            c.problem(&key.key(name), "is given with a url, expected one or the other".to_owned());
        }
    }
    let token_key = key.key("token_file");
    let token_file = c.optional_path(&token_key, raw.token_file.as_deref());
    let url = parsed?;
    if url.is_encrypted() != has_tls {
        let sentence = if has_tls {
            "is given with http://, expected https:// in url"
        } else {
            "is missing, expected the authority of the server's certificate for https://"
        };
        c.problem(&key.key("tls"), sentence.to_owned());
    }
    if token_file.is_some() && !url.is_encrypted() && !url.is_this_machine() {
        c.problem(&token_key, "is given with http://, expected https://: a token in clear is anybody's".to_owned());
    }
    Some(Receiver::Web { name: name?, url, token_file })
}

/// Key objects point to what the destination gets: to something, and to reports whose class is known beforehand.
fn check_key_objects(send: &[DocumentKind], sr_classes: &[SrClass], key: &KeyPath, c: &mut Checker<'_>) {
    if !send.contains(&DocumentKind::KeyObjects) {
        return;
    }
    if send.len() == 1 {
        c.problem(&key.key("send"), "key-objects alone point to nothing, expected further documents".to_owned());
    }
    if send.contains(&DocumentKind::Sr) && sr_classes.len() != 1 {
        let found = sr_classes.len();
        let problem = format!("lists {found} classes, expected one where key-objects point to the reports");
        c.problem(&key.key("sr_classes"), problem);
    }
}

fn check_retry(raw: &RawRetry, key: &KeyPath, c: &mut Checker<'_>) -> RetrySettings {
    let first_key = key.key("first");
    let first = c.duration(&first_key, raw.first.as_deref(), defaults::RETRY_FIRST, &defaults::RETRY_RANGE);
    // A site that configures a long first pause alone means "never sooner".
    let max_default = defaults::RETRY_MAX.max(first);
    let max = c.duration(&key.key("max"), raw.max.as_deref(), max_default, &defaults::RETRY_RANGE);
    if max < first {
        let (max, first) = (humantime::format_duration(max), humantime::format_duration(first));
        c.problem(&key.key("max"), format!("found {max}, expected at least first ({first})"));
    }
    let give_up = raw.give_up_after.as_deref();
    let give_up_after = c.duration(&key.key("give_up_after"), give_up, defaults::GIVE_UP_AFTER, &ANY_DURATION);
    RetrySettings { first, max, give_up_after }
}

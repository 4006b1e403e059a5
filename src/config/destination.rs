//! `[[destination]]`: where results go.

use std::time::Duration;

use serde::Serialize;

use super::check::{ANY_DURATION, Checker};
use super::defaults;
use super::locate::KeyPath;
use super::raw::{RawDestination, RawRetry};
use super::tls::{self, ClientTls};
use super::types::{AeTitle, HostPort, as_humantime};
pub use crate::dicom::sr::SrClass;
use crate::report::DocumentKind;

/// A node that results are sent to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Destination {
    /// Its AE title.
    pub ae_title: AeTitle,
    /// Where it listens.
    pub address: HostPort,
    /// The AE title that we call from; ours where none is configured.
    pub calling_ae_title: AeTitle,
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
    let title_key = key.key("ae_title");
    let title = c.required(&title_key, raw.ae_title, "the AE title to call");
    let ae_title = title.and_then(|text| c.ae_title(&title_key, &text));
    let address_key = key.key("address");
    let address = c.required(&address_key, raw.address, "a host and a port, such as \"10.1.0.5:104\"");
    let address = address.and_then(|text| c.host_port(&address_key, &text));
    let calling = match raw.calling_ae_title {
        Some(text) => c.ae_title(&key.key("calling_ae_title"), &text),
        None => ours.cloned(),
    };
    let send = c.choices(&key.key("send"), raw.send.as_deref(), &[DocumentKind::Sr, DocumentKind::Seg], DOCUMENTS);
    let classes_key = key.key("sr_classes");
    let all: Vec<SrClass> = SR_CLASSES.iter().map(|(_, class)| *class).collect();
    let sr_classes = c.choices(&classes_key, raw.sr_classes.as_deref(), &all, SR_CLASSES);
    if sr_classes.is_empty() {
        c.problem(&classes_key, "is empty, expected at least one class".to_owned());
    }
    let retry = check_retry(&raw.retry, &key.key("retry"), c);
    let tls = raw.tls.and_then(|raw| tls::check_client(raw, &key.key("tls"), c));
    Some(Destination {
        ae_title: ae_title?,
        address: address?,
        calling_ae_title: calling?,
        send,
        sr_classes,
        retry,
        storage_commitment: raw.storage_commitment.unwrap_or(defaults::STORAGE_COMMITMENT),
        tls,
    })
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

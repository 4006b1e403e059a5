//! The small sections: storage, HTTP, grouping times, tables and audit.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::ser::SerializeMap;

use super::check::{ANY_DURATION, Checker};
use super::defaults;
use super::error::did_you_mean;
use super::locate::KeyPath;
use super::raw::{RawAudit, RawCase, RawHttp, RawStorage};
use super::tls::{self, ClientTls};
use super::types::{HostPort, as_humantime};
use crate::case::CaseSettings;
use crate::finding::{FindingKind, Policies, Policy};

/// `[storage]`: where everything is kept, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// The folder of the installation.
    pub directory: PathBuf,
    /// Below this free space nothing is accepted.
    pub reserve_bytes: u64,
    /// How long inputs stay after delivery.
    #[serde(serialize_with = "as_humantime")]
    pub retention: Duration,
    /// How long inputs stay that matched no protocol or are parked.
    #[serde(serialize_with = "as_humantime")]
    pub parked_retention: Duration,
    /// What is on disk before an instance is acknowledged.
    pub durability: Durability,
}

/// What is on disk before an instance is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The file and its folder entry: survives a power cut.
    Full,
    /// The file's bytes: a power cut may lose its name.
    File,
    /// Nothing is waited for: a power cut may lose what was acknowledged.
    None,
}

/// `[http]`: the status page, the API and the metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Http {
    /// Where it listens; port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// Holds the token for everything that changes something; without it only loopback may.
    pub token_file: Option<PathBuf>,
}

/// `[psf]`: the site's table of resolutions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Psf {
    /// A CSV by manufacturer, model, reconstruction and kernel.
    pub table: Option<PathBuf>,
}

/// `[batch]`: what a scanner is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// Cleaning rules of scanner names.
    pub rules: Option<PathBuf>,
}

/// `[clinical]`: what is known of patients beside their images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Clinical {
    /// A CSV by patient.
    pub table: Option<PathBuf>,
}

/// `[audit]`: where DICOM audit messages go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// A file that they are appended to.
    pub file: Option<PathBuf>,
    /// A syslog server.
    pub syslog: Option<SyslogTarget>,
    /// TLS to the syslog server.
    pub tls: Option<ClientTls>,
}

/// A syslog server (RFC 5424 over TLS, TCP or UDP).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogTarget {
    /// How it is reached.
    pub transport: SyslogTransport,
    /// Where it is.
    pub address: HostPort,
}

/// How a syslog server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyslogTransport {
    /// RFC 5425.
    Tls,
    /// RFC 6587.
    Tcp,
    /// RFC 5426.
    Udp,
}

impl Serialize for SyslogTarget {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scheme = SYSLOG_TRANSPORTS.iter().find(|(_, transport)| *transport == self.transport);
        serializer.collect_str(&format_args!("{}://{}", scheme.map_or("tls", |(name, _)| name), self.address))
    }
}

const SYSLOG_TRANSPORTS: &[(&str, SyslogTransport)] =
    &[("tls", SyslogTransport::Tls), ("tcp", SyslogTransport::Tcp), ("udp", SyslogTransport::Udp)];

const DURABILITIES: &[(&str, Durability)] =
    &[("full", Durability::Full), ("file", Durability::File), ("none", Durability::None)];

const POLICIES: &[(&str, Policy)] =
    &[("reject", Policy::Reject), ("regularise", Policy::Regularise), ("accept", Policy::Accept)];

pub(super) fn check_storage(raw: RawStorage, key: &KeyPath, c: &mut Checker<'_>) -> Option<Storage> {
    let directory_key = key.key("directory");
    let directory = c.required(&directory_key, raw.directory, "the folder where everything is kept");
    let directory = directory.and_then(|text| c.path(&directory_key, &text));
    let bytes_key = key.key("reserve_bytes");
    let reserve_bytes = c.whole(&bytes_key, raw.reserve_bytes, defaults::RESERVE_BYTES, &(0..=i64::MAX.unsigned_abs()));
    let retention = raw.retention.as_deref();
    let retention = c.duration(&key.key("retention"), retention, defaults::RETENTION, &ANY_DURATION);
    let parked = raw.parked_retention.as_deref();
    let parked_retention = c.duration(&key.key("parked_retention"), parked, defaults::PARKED_RETENTION, &ANY_DURATION);
    let durability = c.choice(&key.key("durability"), raw.durability.as_deref(), DURABILITIES);
    Some(Storage {
        directory: directory?,
        reserve_bytes,
        retention,
        parked_retention,
        durability: durability.unwrap_or(Durability::Full),
    })
}

pub(super) fn check_http(raw: &RawHttp, key: &KeyPath, c: &mut Checker<'_>) -> Option<Http> {
    let listen = c.socket(&key.key("listen"), raw.listen.as_deref(), defaults::HTTP_LISTEN);
    let token_file = c.optional_path(&key.key("token_file"), raw.token_file.as_deref());
    Some(Http { listen: listen?, token_file })
}

pub(super) fn check_case(raw: &RawCase, key: &KeyPath, c: &mut Checker<'_>) -> CaseSettings {
    let mut time = |name: &str, value: &Option<String>, default| {
        c.duration(&key.key(name), value.as_deref(), default, &ANY_DURATION)
    };
    let settings = CaseSettings {
        series_settle: time("series_settle", &raw.series_settle, defaults::SERIES_SETTLE),
        case_settle: time("case_settle", &raw.case_settle, defaults::CASE_SETTLE),
        case_deadline: time("case_deadline", &raw.case_deadline, defaults::CASE_DEADLINE),
        link_window: time("link_window", &raw.link_window, defaults::LINK_WINDOW),
    };
    let longest = settings.series_settle.max(settings.case_settle);
    if settings.case_deadline < longest {
        let found = humantime::format_duration(settings.case_deadline);
        let least = humantime::format_duration(longest);
        c.problem(
            &key.key("case_deadline"),
            format!("found {found}, expected at least series_settle and case_settle ({least})"),
        );
    }
    settings
}

pub(super) fn check_findings(
    raw: &std::collections::BTreeMap<String, String>,
    key: &KeyPath,
    c: &mut Checker<'_>,
) -> Policies {
    let mut changes = Vec::new();
    for (name, policy) in raw {
        let key = key.key(name);
        let Some(kind) = FindingKind::from_name(name) else {
            let hint = did_you_mean(name, FindingKind::ALL.iter().map(|kind| kind.name()))
                .map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"));
            c.problem(&key, format!("is no finding, expected a name from the list of findings{hint}"));
            continue;
        };
        if let Some(policy) = c.choice(&key, Some(policy), POLICIES) {
            changes.push((kind, policy));
        }
    }
    Policies::new(changes)
}

pub(super) fn check_audit(raw: RawAudit, key: &KeyPath, c: &mut Checker<'_>) -> Audit {
    let file = c.optional_path(&key.key("file"), raw.file.as_deref());
    let syslog = raw.syslog.as_deref().and_then(|text| {
        let target = text.split_once("://").and_then(|(scheme, address)| {
            let (_, transport) = SYSLOG_TRANSPORTS.iter().find(|(name, _)| *name == scheme)?;
            Some(SyslogTarget { transport: *transport, address: HostPort::parse(address)? })
        });
        if target.is_none() {
            c.wrong(&key.key("syslog"), text, "tls://host:port, tcp://host:port or udp://host:port");
        }
        target
    });
    let tls = raw.tls.map(|raw| (raw, key.key("tls"))).and_then(|(raw, key)| tls::check_client(raw, &key, c));
    let encrypted = syslog.as_ref().map(|target| target.transport == SyslogTransport::Tls);
    if encrypted == Some(true) && tls.is_none() {
        c.problem(
            &key.key("tls"),
            "is missing, expected the authority of the tls:// server: { ca = \"FILE\" }".to_owned(),
        );
    }
    if encrypted != Some(true) && tls.is_some() {
        c.problem(&key.key("tls"), "is given without a tls:// server in audit.syslog".to_owned());
    }
    Audit { file, syslog, tls }
}

/// Writes `[case]` as it is configured.
pub(super) fn case_as_configured<S: serde::Serializer>(case: &CaseSettings, serializer: S) -> Result<S::Ok, S::Error> {
    let CaseSettings { series_settle, case_settle, case_deadline, link_window } = *case;
    let mut map = serializer.serialize_map(Some(4))?;
    for (name, time) in [
        ("series_settle", series_settle),
        ("case_settle", case_settle),
        ("case_deadline", case_deadline),
        ("link_window", link_window),
    ] {
        map.serialize_entry(name, &humantime::format_duration(time).to_string())?;
    }
    map.end()
}

/// Writes the policy of every finding, whether it was configured or not.
pub(super) fn all_policies<S: serde::Serializer>(policies: &Policies, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(FindingKind::ALL.iter().map(|kind| (kind.name(), policies.of(*kind))))
}

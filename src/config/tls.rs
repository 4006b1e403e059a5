//! TLS where we open the connection: destinations, peers that answer, the syslog server.

use std::path::PathBuf;

use serde::Serialize;

use super::check::Checker;
use super::locate::KeyPath;
use super::raw::RawClientTls;
use super::types::HostPort;

/// TLS by the BCP 195 profile (PS3.15 B.12), as the one who connects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientTls {
    /// PEM of the authority that signed the server's certificate. The authorities of the Web are not believed.
    pub ca: PathBuf,
    /// PEM chain that we show, where the server wants one.
    pub certificate: Option<PathBuf>,
    /// Its PEM key.
    pub key: Option<PathBuf>,
    /// What the server's certificate is made out to, where that is not the host of its address.
    pub name: Option<String>,
}

pub(super) fn check_client(raw: RawClientTls, key: &KeyPath, c: &mut Checker<'_>) -> Option<ClientTls> {
    let ca_key = key.key("ca");
    let ca = c.required(&ca_key, raw.ca, "a PEM file with the authority of the server's certificate");
    let ca = ca.and_then(|text| c.path(&ca_key, &text));
    let certificate = c.optional_path(&key.key("certificate"), raw.certificate.as_deref());
    let private = c.optional_path(&key.key("key"), raw.key.as_deref());
    if certificate.is_some() != private.is_some() {
        let absent = if certificate.is_some() { "key" } else { "certificate" };
        c.problem(&key.key(absent), "is missing, expected certificate and key together".to_owned());
    }
    let name_key = key.key("name");
    if let Some(name) = raw.name.as_deref().filter(|name| HostPort::parse(&format!("{name}:1")).is_none()) {
        c.wrong(&name_key, name, "a host name or an address");
    }
    Some(ClientTls { ca: ca?, certificate, key: private, name: raw.name })
}

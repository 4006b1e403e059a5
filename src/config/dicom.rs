//! `[dicom]`: who we are on the network and who may send to us.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use super::check::Checker;
use super::defaults;
use super::locate::KeyPath;
use super::raw::{RawDicom, RawPeer, RawTls};
use super::tls::{self, ClientTls};
use super::types::{AeTitle, HostPort, as_humantime};

/// The DICOM node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dicom {
    /// Our AE title.
    pub ae_title: AeTitle,
    /// Where we listen; port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// `true`: any calling AE title may send to us.
    pub accept_unknown_peers: bool,
    /// Associations at one time, of all peers.
    pub max_associations: u32,
    /// Longest PDU that we accept and announce.
    pub max_pdu_bytes: u32,
    /// An association without traffic for this long is aborted.
    #[serde(serialize_with = "as_humantime")]
    pub idle_timeout: Duration,
    /// Users and hashes of their passcodes, as `htpasswd -B` writes them; with it an association has to name a user.
    pub users: Option<PathBuf>,
    /// Whether we give our word for what we store (storage commitment): its sender may then erase it.
    pub storage_commitment: bool,
    /// Who may send to us; AE titles are unique.
    #[serde(rename = "peer")]
    pub peers: Vec<Peer>,
    /// TLS on the listener.
    pub tls: Option<Tls>,
}

/// A node that may send to us.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Peer {
    /// Its calling AE title.
    pub ae_title: AeTitle,
    /// Where it may call from; empty: anywhere.
    pub networks: Vec<IpNet>,
    /// Where it answers: storage commitment, C-FIND, C-MOVE.
    pub address: Option<HostPort>,
    /// Associations at one time.
    pub max_associations: u32,
    /// Whether we fetch from it what an RTSTRUCT, SEG or REG names and did not come.
    pub retrieve: bool,
    /// Whether it has to name a user where there is a file of users.
    pub require_user: bool,
    /// What becomes of an instance that it sends again with another header.
    pub corrections: Corrections,
    /// TLS to where it answers.
    pub tls: Option<ClientTls>,
}

/// What becomes of an instance that comes again with the same content and another header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Corrections {
    /// What is stored stays.
    Keep,
    /// The newcomer takes its place, and what was measured of it is measured again.
    Replace,
}

const CORRECTIONS: &[(&str, Corrections)] = &[("keep", Corrections::Keep), ("replace", Corrections::Replace)];

/// TLS by the BCP 195 profile (PS3.15 B.12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// PEM chain.
    pub certificate: PathBuf,
    /// PEM key.
    pub key: PathBuf,
    /// PEM of the authority that signs clients' certificates; mutual TLS when present.
    pub client_ca: Option<PathBuf>,
}

impl Dicom {
    /// The peer of that calling AE title.
    #[must_use]
    pub fn peer(&self, ae_title: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.ae_title.as_str() == ae_title)
    }
}

pub(super) fn check(raw: RawDicom, key: &KeyPath, c: &mut Checker<'_>) -> Option<Dicom> {
    let ae_title = c.ae_title(&key.key("ae_title"), raw.ae_title.as_deref().unwrap_or(defaults::AE_TITLE));
    let listen = c.socket(&key.key("listen"), raw.listen.as_deref(), defaults::DICOM_LISTEN);
    let max_associations = associations(c, key, raw.max_associations, defaults::MAX_ASSOCIATIONS);
    let max_pdu_key = key.key("max_pdu_bytes");
    let max_pdu = c.whole(&max_pdu_key, raw.max_pdu_bytes, defaults::MAX_PDU_BYTES, &defaults::MAX_PDU_BYTES_RANGE);
    let idle_timeout = c.duration(
        &key.key("idle_timeout"),
        raw.idle_timeout.as_deref(),
        defaults::IDLE_TIMEOUT,
        &defaults::IDLE_TIMEOUT_RANGE,
    );
    let mut peers: Vec<Peer> = Vec::new();
    for (i, raw) in raw.peer.into_iter().enumerate() {
        let key = key.key("peer").index(i);
        let Some(peer) = check_peer(raw, &key, c) else { continue };
        if peers.iter().any(|other| other.ae_title == peer.ae_title) {
            c.wrong(&key.key("ae_title"), peer.ae_title.as_str(), "every AE title once: list all its networks there");
        }
        peers.push(peer);
    }
    let users = c.optional_path(&key.key("users"), raw.users.as_deref());
    let tls = raw.tls.and_then(|raw| check_tls(raw, &key.key("tls"), c));
    Some(Dicom {
        ae_title: ae_title?,
        listen: listen?,
        accept_unknown_peers: raw.accept_unknown_peers.unwrap_or(defaults::ACCEPT_UNKNOWN_PEERS),
        max_associations,
        max_pdu_bytes: u32::try_from(max_pdu).ok()?,
        idle_timeout,
        users,
        storage_commitment: raw.storage_commitment.unwrap_or(defaults::COMMIT),
        peers,
        tls,
    })
}

fn associations(c: &mut Checker<'_>, key: &KeyPath, value: Option<i64>, default: u64) -> u32 {
    let n = c.whole(&key.key("max_associations"), value, default, &defaults::MAX_ASSOCIATIONS_RANGE);
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn check_peer(raw: RawPeer, key: &KeyPath, c: &mut Checker<'_>) -> Option<Peer> {
    let title_key = key.key("ae_title");
    let title = c.required(&title_key, raw.ae_title, "the AE title it calls from");
    let ae_title = title.and_then(|text| c.ae_title(&title_key, &text));
    let mut networks = Vec::new();
    for (i, text) in raw.networks.unwrap_or_default().iter().enumerate() {
        let network = text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from));
        match network {
            Some(network) => networks.push(network),
            None => c.wrong(&key.key("networks").index(i), text, "a network such as \"10.1.0.0/16\""),
        }
    }
    let address = raw.address.and_then(|text| c.host_port(&key.key("address"), &text));
    let max_associations = associations(c, key, raw.max_associations, defaults::PEER_MAX_ASSOCIATIONS);
    let retrieve = raw.retrieve.unwrap_or(defaults::PEER_RETRIEVE);
    if retrieve && address.is_none() {
        c.problem(&key.key("retrieve"), "found true without an address, expected where the peer answers".to_owned());
    }
    let tls = raw.tls.and_then(|raw| tls::check_client(raw, &key.key("tls"), c));
    if tls.is_some() && address.is_none() {
        c.problem(&key.key("tls"), "is given without an address, expected where the peer answers".to_owned());
    }
    let require_user = raw.require_user.unwrap_or(defaults::PEER_REQUIRE_USER);
    let corrections = c.choice(&key.key("corrections"), raw.corrections.as_deref(), CORRECTIONS);
    let corrections = corrections.unwrap_or(Corrections::Keep);
    Some(Peer { ae_title: ae_title?, networks, address, max_associations, retrieve, require_user, corrections, tls })
}

fn check_tls(raw: RawTls, key: &KeyPath, c: &mut Checker<'_>) -> Option<Tls> {
    let certificate_key = key.key("certificate");
    let certificate = c.required(&certificate_key, raw.certificate, "a PEM file with the certificate chain");
    let certificate = certificate.and_then(|text| c.path(&certificate_key, &text));
    let key_key = key.key("key");
    let private = c.required(&key_key, raw.key, "a PEM file with the private key").and_then(|t| c.path(&key_key, &t));
    let client_ca = c.optional_path(&key.key("client_ca"), raw.client_ca.as_deref());
    Some(Tls { certificate: certificate?, key: private?, client_ca })
}

//! What the node is told by the configuration.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::AeTitle;
use super::tls::{TlsClient, TlsServer};
use super::users::Users;

/// The `[dicom]` part of the configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// Our AE title; associations to another are rejected.
    pub ae_title: AeTitle,
    /// Who may send.
    pub peers: Vec<Peer>,
    /// Whether AE titles that no peer has may send too.
    pub accept_unknown_peers: bool,
    /// Associations at the same time, of all peers.
    pub max_associations: usize,
    /// The longest P-DATA-TF that we take, as its length field.
    pub max_pdu_bytes: u32,
    /// How long an association may do nothing, or next to nothing, before it is aborted; also how long a peer may take
    /// to read an answer.
    pub idle_timeout: Duration,
    /// ARTIM: how long a connection may take to ask for an association, its TLS handshake included.
    pub association_timeout: Duration,
    /// How many operations a peer may have open on one association, where it asks for more than one.
    pub max_operations: u16,
    /// Attribute keywords that the protocols match on besides the usual ones.
    pub match_keywords: Vec<String>,
    /// How long what an object names may take to come by itself before a peer is asked for it.
    pub retrieve_after: Duration,
    /// Whether we give our word for what we store: N-ACTION of storage commitment.
    pub storage_commitment: bool,
    /// Whether others report to us what became of what we sent: N-EVENT-REPORT of storage commitment.
    pub commitment_reports: bool,
    /// TLS: with it, nothing is taken in clear.
    pub tls: Option<TlsServer>,
    /// Users and their passcodes: with them, an association has to name one, unless its peer need not.
    pub users: Option<Users>,
}

/// Another application entity that may send to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its AE title.
    pub ae_title: AeTitle,
    /// Where it may call from; empty: from anywhere.
    pub networks: Vec<IpNet>,
    /// Where it answers, as `host:port`.
    pub address: Option<String>,
    /// Associations of this peer at the same time.
    pub max_associations: Option<usize>,
    /// Whether it may be asked for what is missing.
    pub retrieve: bool,
    /// Whether it has to name a user where there is a list of users.
    pub require_user: bool,
    /// What becomes of an instance that it sends again with another header.
    pub corrections: Corrections,
    /// TLS to where it answers.
    pub tls: Option<TlsClient>,
}

/// What becomes of an instance that comes again with the same pixels, contours or content, and another header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corrections {
    /// What is stored stays; the newcomer is a conflict.
    Keep,
    /// The newcomer takes its place, and cases that were made of it are made again.
    Replace,
}

impl Peer {
    /// A peer of this title with all defaults: it may send from anywhere.
    #[must_use]
    pub const fn new(ae_title: AeTitle) -> Self {
        Self {
            ae_title,
            networks: Vec::new(),
            address: None,
            max_associations: None,
            retrieve: false,
            require_user: true,
            corrections: Corrections::Keep,
            tls: None,
        }
    }
}

impl NodeSettings {
    /// The smallest PDU that a node may ask for here: one that carries any command in one piece.
    pub const MAX_PDU_BYTES_LOWEST: u32 = 4_096;
    /// The largest PDU that a node may ask for here; longer ones cost memory and gain nothing.
    pub const MAX_PDU_BYTES_HIGHEST: u32 = 16_777_216;

    /// The defaults for a node of this title: nobody may send.
    #[must_use]
    pub fn new(ae_title: AeTitle) -> Self {
        Self {
            ae_title,
            peers: Vec::new(),
            accept_unknown_peers: false,
            max_associations: 64,
            max_pdu_bytes: 262_144,
            idle_timeout: Duration::from_secs(60),
            association_timeout: Duration::from_secs(10),
            max_operations: 8,
            match_keywords: Vec::new(),
            retrieve_after: Duration::from_secs(10),
            storage_commitment: false,
            commitment_reports: false,
            tls: None,
            users: None,
        }
    }

    /// The peer that may call by this title from this address.
    ///
    /// Several peers may have one title on different networks. A title that a peer has is that peer's alone: from
    /// elsewhere it is not admitted, also not where unknown peers are.
    #[must_use]
    pub fn caller(&self, title: &AeTitle, address: IpAddr) -> Caller<'_> {
        let address = address.to_canonical();
        let mut known = false;
        for peer in self.peers.iter().filter(|peer| peer.ae_title == *title) {
            known = true;
            if peer.networks.is_empty() || peer.networks.iter().any(|network| network.contains(&address)) {
                return Caller::Peer(peer);
            }
        }
        if !known && self.accept_unknown_peers { Caller::Unknown } else { Caller::Refused }
    }
}

/// What a calling AE title is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller<'a> {
    /// One of the peers.
    Peer(&'a Peer),
    /// Nobody we know, and that is allowed.
    Unknown,
    /// Nobody who may call.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> NodeSettings {
        let title = |text| AeTitle::parse(text).unwrap();
        let peer = |text, networks: &[&str]| Peer {
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            ..Peer::new(title(text))
        };
        NodeSettings {
            peers: vec![peer("PACS", &["10.1.0.0/16"]), peer("PACS", &["10.2.0.7/32"]), peer("CT1", &[])],
            ..NodeSettings::new(title("RADIOMICSD"))
        }
    }

    #[test]
    fn a_title_is_admitted_only_from_its_networks_even_where_strangers_are_welcome() {
        let mut settings = settings();
        let from = |settings: &NodeSettings, title, address: &str| {
            let caller = settings.caller(&AeTitle::parse(title).unwrap(), address.parse().unwrap());
            !matches!(caller, Caller::Refused)
        };
        assert!(from(&settings, "PACS", "10.1.200.3"));
        assert!(from(&settings, "PACS", "::ffff:10.2.0.7"));
        assert!(!from(&settings, "PACS", "10.3.0.1"));
        assert!(from(&settings, "CT1", "192.0.2.1"));
        assert!(!from(&settings, "ct1", "192.0.2.1"));
        settings.accept_unknown_peers = true;
        assert!(from(&settings, "ct1", "192.0.2.1"));
        assert!(!from(&settings, "PACS", "10.3.0.1"));
    }
}

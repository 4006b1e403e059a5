//! What is audited.

use std::net::IpAddr;

/// An event (PS3.15 A.5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Application Activity: the daemon started.
    Started,
    /// Application Activity: the daemon stops.
    Stopped,
    /// Begin Transferring DICOM Instances: we begin to send.
    BeginTransferring(Transfer),
    /// DICOM Instances Transferred: received from, or sent to, another node.
    Transferred(Transfer),
    /// Security Alert, Node Authentication: an association was refused or a handshake failed.
    Refused {
        /// Who asked.
        peer: Party,
        /// Why, as a sentence.
        reason: String,
    },
    /// Query: we asked another node what it has.
    Query {
        /// Whom.
        peer: Party,
        /// The SOP class of the query.
        sop_class: String,
        /// The identifier, encoded in this transfer syntax.
        query: Vec<u8>,
        /// The transfer syntax.
        transfer_syntax: String,
        /// Whether it was answered.
        outcome: Outcome,
    },
    /// DICOM Study Deleted: what was stored of it was removed, by time or by a rejection.
    Deleted {
        /// On whose word, where it was not the passing of time.
        requestor: Option<Party>,
        /// What.
        objects: PatientObjects,
    },
}

/// Instances that moved from one node to another, of one patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Who sent.
    pub from: Party,
    /// Who received.
    pub to: Party,
    /// Who asked for it: the one who opened the association.
    pub is_requested_by_sender: bool,
    /// What.
    pub objects: PatientObjects,
    /// How it ended.
    pub outcome: Outcome,
}

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party {
    /// This daemon.
    Ourselves,
    /// Another node.
    Peer {
        /// Its AE title; empty where it told none.
        ae_title: String,
        /// Its address, where it is known: an IP address or a host.
        address: String,
    },
}

impl Party {
    /// Another node at an address.
    #[must_use]
    pub fn peer(ae_title: impl Into<String>, address: IpAddr) -> Self {
        Self::Peer { ae_title: ae_title.into(), address: address.to_canonical().to_string() }
    }

    /// Another node at a `host:port`.
    #[must_use]
    pub fn of_destination(ae_title: impl Into<String>, address: &str) -> Self {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        Self::Peer { ae_title: ae_title.into(), address: host.trim_matches(['[', ']']).to_owned() }
    }
}

/// What is whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientObjects {
    /// Patient ID (0010,0020); may be empty.
    pub patient_id: String,
    /// By study.
    pub studies: Vec<StudyObjects>,
}

/// What belongs to one study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyObjects {
    /// Study Instance UID.
    pub study: String,
    /// How many of what.
    pub sop_classes: Vec<SopClassCount>,
}

/// How many instances of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SopClassCount {
    /// SOP Class UID.
    pub sop_class: String,
    /// How many.
    pub n_instances: u64,
}

/// How an event ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Success,
    /// It failed and may be tried again; why.
    MinorFailure(String),
    /// It failed; why.
    SeriousFailure(String),
}

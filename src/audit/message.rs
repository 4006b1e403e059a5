//! Events as audit messages: the schema of PS3.15 A.5.1, filled in by the tables of A.5.3.

use super::event::{Event, Outcome, Party, PatientObjects, StudyObjects, Transfer};
use super::xml::{Element, base64};
use crate::clock::Timestamp;

/// What is the same in every message: who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Our AE title.
    pub ae_title: String,
    /// The machine's name.
    pub host: String,
    /// The process.
    pub process_id: u32,
}

/// A code with its scheme and meaning.
type Code = (&'static str, &'static str, &'static str);

const APPLICATION_ACTIVITY: Code = ("110100", "DCM", "Application Activity");
const BEGIN_TRANSFERRING: Code = ("110102", "DCM", "Begin Transferring DICOM Instances");
const TRANSFERRED: Code = ("110104", "DCM", "DICOM Instances Transferred");
const STUDY_DELETED: Code = ("110105", "DCM", "DICOM Study Deleted");
const QUERY: Code = ("110112", "DCM", "Query");
const SECURITY_ALERT: Code = ("110113", "DCM", "Security Alert");
const APPLICATION_START: Code = ("110120", "DCM", "Application Start");
const APPLICATION_STOP: Code = ("110121", "DCM", "Application Stop");
const NODE_AUTHENTICATION: Code = ("110126", "DCM", "Node Authentication");
const APPLICATION: Code = ("110150", "DCM", "Application");
const DESTINATION: Code = ("110152", "DCM", "Destination Role ID");
const SOURCE: Code = ("110153", "DCM", "Source Role ID");
const STUDY_UID: Code = ("110180", "DCM", "Study Instance UID");
const CLASS_UID: Code = ("110181", "DCM", "SOP Class UID");
const NODE_ID: Code = ("110182", "DCM", "Node ID");
const PATIENT_NUMBER: Code = ("2", "RFC-3881", "Patient Number");

/// The message of an event, on one line.
pub(super) fn to_xml(event: &Event, source: &Source, at: Timestamp) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let message = Element::new(&mut out, "AuditMessage");
    let message = identification(message, event, at);
    let message = participants(message, event, source);
    let message = message.child("AuditSourceIdentification", |element| {
        element
            .attribute("AuditSourceID", &format!("{}@{}", source.ae_title, source.host))
            // An application server process.
            .child("AuditSourceTypeCode", |code| code.attribute("csd-code", "4"))
    });
    objects(message, event).end();
    out
}

fn coded(element: Element<'_>, (value, scheme, meaning): Code) -> Element<'_> {
    element.attribute("csd-code", value).attribute("codeSystemName", scheme).attribute("originalText", meaning)
}

fn identification<'a>(message: Element<'a>, event: &Event, at: Timestamp) -> Element<'a> {
    let (id, kind, action) = match event {
        Event::Started => (APPLICATION_ACTIVITY, Some(APPLICATION_START), "E"),
        Event::Stopped => (APPLICATION_ACTIVITY, Some(APPLICATION_STOP), "E"),
        Event::BeginTransferring(_) => (BEGIN_TRANSFERRING, None, "E"),
        // Received objects are new here, sent ones are read.
        Event::Transferred(transfer) if transfer.to == Party::Ourselves => (TRANSFERRED, None, "C"),
        Event::Transferred(_) => (TRANSFERRED, None, "R"),
        Event::Refused { .. } => (SECURITY_ALERT, Some(NODE_AUTHENTICATION), "E"),
        Event::Query { .. } => (QUERY, None, "E"),
        Event::Deleted { .. } => (STUDY_DELETED, None, "D"),
    };
    let (indicator, description) = match event {
        Event::Transferred(Transfer { outcome, .. }) | Event::Query { outcome, .. } => match outcome {
            Outcome::Success => ("0", None),
            Outcome::MinorFailure(why) => ("4", Some(why)),
            Outcome::SeriousFailure(why) => ("8", Some(why)),
        },
        Event::Refused { reason, .. } => ("4", Some(reason)),
        _ => ("0", None),
    };
    message.child("EventIdentification", |element| {
        element
            .attribute("EventActionCode", action)
            .attribute("EventDateTime", &at.to_string())
            .attribute("EventOutcomeIndicator", indicator)
            .child("EventID", |element| coded(element, id))
            .children("EventTypeCode", kind, coded)
            .children("EventOutcomeDescription", description, |element, why| element.text(why))
    })
}

fn participants<'a>(message: Element<'a>, event: &Event, source: &Source) -> Element<'a> {
    let add = |message: Element<'a>, party: &Party, is_requestor: bool, role: Option<Code>| {
        message.child("ActiveParticipant", |element| participant(element, party, source, is_requestor, role))
    };
    match event {
        Event::Started | Event::Stopped => add(message, &Party::Ourselves, false, Some(APPLICATION)),
        Event::BeginTransferring(transfer) | Event::Transferred(transfer) => {
            let by_sender = transfer.is_requested_by_sender;
            let message = add(message, &transfer.from, by_sender, Some(SOURCE));
            add(message, &transfer.to, !by_sender, Some(DESTINATION))
        }
        Event::Refused { peer, .. } => {
            // A.5.3.11: who reports first, then who did it.
            let message = add(message, &Party::Ourselves, false, None);
            add(message, peer, true, None)
        }
        Event::Query { peer, .. } => {
            let message = add(message, &Party::Ourselves, true, Some(SOURCE));
            add(message, peer, false, Some(DESTINATION))
        }
        Event::Deleted { requestor, .. } => {
            let message = add(message, &Party::Ourselves, requestor.is_none(), Some(APPLICATION));
            match requestor {
                Some(peer) => add(message, peer, true, None),
                None => message,
            }
        }
    }
}

fn participant<'a>(
    element: Element<'a>,
    party: &Party,
    source: &Source,
    is_requestor: bool,
    role: Option<Code>,
) -> Element<'a> {
    let (user, alternative, point) = match party {
        Party::Ourselves => (source.process_id.to_string(), source.ae_title.as_str(), source.host.as_str()),
        Party::Peer { ae_title, address } if ae_title.is_empty() => (address.clone(), "", address.as_str()),
        Party::Peer { ae_title, address } => (ae_title.clone(), ae_title.as_str(), address.as_str()),
    };
    let titles = if alternative.is_empty() { String::new() } else { format!("AETITLES={alternative}") };
    let kind = match point.parse::<std::net::IpAddr>() {
        _ if point.is_empty() => "",
        Ok(_) => "2",
        Err(_) => "1",
    };
    element
        .attribute("UserID", &user)
        .attribute_if("AlternativeUserID", &titles)
        .attribute("UserIsRequestor", if is_requestor { "true" } else { "false" })
        .attribute_if("NetworkAccessPointID", point)
        .attribute_if("NetworkAccessPointTypeCode", kind)
        .children("RoleIDCode", role, coded)
}

fn objects<'a>(message: Element<'a>, event: &Event) -> Element<'a> {
    match event {
        Event::Started | Event::Stopped => message,
        Event::BeginTransferring(transfer) | Event::Transferred(transfer) => patient(message, &transfer.objects),
        Event::Deleted { objects, .. } => patient(message, objects),
        Event::Refused { peer: Party::Peer { address, .. }, reason } => {
            message.child("ParticipantObjectIdentification", |element| {
                element
                    .attribute("ParticipantObjectID", address)
                    .attribute("ParticipantObjectTypeCode", "2")
                    .child("ParticipantObjectIDTypeCode", |element| coded(element, NODE_ID))
                    .child("ParticipantObjectName", |element| element.text(address))
                    .child("ParticipantObjectDetail", |element| {
                        element.attribute("type", "Alert Description").attribute("value", &base64(reason.as_bytes()))
                    })
            })
        }
        Event::Refused { .. } => message,
        Event::Query { sop_class, query, transfer_syntax, .. } => {
            message.child("ParticipantObjectIdentification", |element| {
                element
                    .attribute("ParticipantObjectID", sop_class)
                    .attribute("ParticipantObjectTypeCode", "2")
                    .attribute("ParticipantObjectTypeCodeRole", "3")
                    .child("ParticipantObjectIDTypeCode", |element| coded(element, CLASS_UID))
                    .child("ParticipantObjectQuery", |element| element.text(&base64(query)))
                    .child("ParticipantObjectDetail", |element| {
                        element
                            .attribute("type", "TransferSyntax")
                            .attribute("value", &base64(transfer_syntax.as_bytes()))
                    })
            })
        }
    }
}

/// The studies, then the patient.
fn patient<'a>(message: Element<'a>, objects: &PatientObjects) -> Element<'a> {
    let message = message.children("ParticipantObjectIdentification", &objects.studies, study);
    // The schema wants an ID: of a patient without one it says so.
    let id = if objects.patient_id.is_empty() { "unknown" } else { &objects.patient_id };
    message.child("ParticipantObjectIdentification", |element| {
        element
            .attribute("ParticipantObjectID", id)
            .attribute("ParticipantObjectTypeCode", "1")
            .attribute("ParticipantObjectTypeCodeRole", "1")
            .child("ParticipantObjectIDTypeCode", |element| coded(element, PATIENT_NUMBER))
            // The schema wants a name or a query; the patient's name stays here.
            .child("ParticipantObjectName", |element| element.text(""))
    })
}

fn study<'a>(element: Element<'a>, study: &StudyObjects) -> Element<'a> {
    element
        .attribute("ParticipantObjectID", &study.study)
        .attribute("ParticipantObjectTypeCode", "2")
        .attribute("ParticipantObjectTypeCodeRole", "3")
        .child("ParticipantObjectIDTypeCode", |element| coded(element, STUDY_UID))
        .child("ParticipantObjectName", |element| element.text(""))
        .child("ParticipantObjectDescription", |element| {
            element.children("SOPClass", &study.sop_classes, |element, class| {
                element
                    .attribute("UID", &class.sop_class)
                    .attribute("NumberOfInstances", &class.n_instances.to_string())
            })
        })
}

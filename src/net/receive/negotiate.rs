//! The answer to an association request: which presentation contexts, with which transfer syntax (PS3.8 9.3.3).

use std::collections::BTreeMap;

use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason as Reason, RequestorRoles, UserVariableItem,
};

use super::admission::Identified;
use crate::dicom::uid::Uid;
use crate::dicom::write::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use crate::net::settings::NodeSettings;
use crate::net::sop_class::{STORAGE_COMMITMENT, TRANSFER_SYNTAXES, UNCOMPRESSED, VERIFICATION, is_storage};

/// The one application context name of DICOM (PS3.7 A.2.1).
pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// Asynchronous Operations Window sub-item (PS3.7 D.3.3.3).
const ASYNCHRONOUS_OPERATIONS: u8 = 0x53;
/// User Identity Negotiation sub-item of the acceptor (PS3.7 D.3.3.7.2).
const USER_IDENTITY_RESPONSE: u8 = 0x59;

/// An accepted association, before its first message.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Accepted presentation contexts by their id.
    pub contexts: BTreeMap<u8, Context>,
    /// The longest P-DATA-TF that the peer takes; 0: any.
    pub peer_pdu_bytes_max: u32,
    /// Operations that the peer may have open; 1 unless it asked for more.
    pub n_operations: u16,
}

/// An accepted presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// What it is for.
    pub service: Service,
    /// Its abstract syntax.
    pub abstract_syntax: Uid,
    /// The transfer syntax of its data sets.
    pub transfer_syntax: Uid,
}

/// What a presentation context is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// C-ECHO.
    Verification,
    /// C-STORE.
    Storage,
    /// N-ACTION and N-EVENT-REPORT of storage commitment.
    Commitment,
}

/// Negotiates every proposed context on its own: the first transfer syntax in the peer's order that can be stored.
///
/// No acceptable context at all is still an accepted association (PS3.8 7.1.1.14): the peer sees which and why.
/// `user` is who was verified, where somebody was.
#[must_use]
pub fn negotiate(settings: &NodeSettings, rq: &AssociationRQ, user: Option<&Identified>) -> (AssociationAC, Agreement) {
    let mut contexts = BTreeMap::new();
    let mut results = Vec::new();
    for proposed in &rq.presentation_contexts {
        // PS3.8 9.3.2.2: odd, and each once.
        let legal = proposed.id % 2 == 1 && !contexts.contains_key(&proposed.id);
        let outcome = if legal { accept(settings, proposed) } else { Err(Reason::NoReason) };
        let (reason, transfer_syntax) = match outcome {
            Ok(context) => {
                let transfer_syntax = context.transfer_syntax.to_string();
                contexts.insert(proposed.id, context);
                (Reason::Acceptance, transfer_syntax)
            }
            // Not significant in a rejection, but some peers want one there.
            Err(reason) => (reason, proposed.transfer_syntaxes.first().cloned().unwrap_or_default()),
        };
        results.push(PresentationContextResult { id: proposed.id, reason, transfer_syntax });
    }
    let window = asynchronous_window(settings, rq);
    let mut user_variables = vec![
        UserVariableItem::MaxLength(settings.max_pdu_bytes),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.to_owned()),
    ];
    if let Some(n_invoked) = window {
        // What the peer may invoke; we invoke nothing, so what it performs stays 1.
        let [high, low] = n_invoked.to_be_bytes();
        user_variables.push(UserVariableItem::Unknown(ASYNCHRONOUS_OPERATIONS, vec![high, low, 0, 1]));
    }
    user_variables.push(UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION_NAME.to_owned()));
    user_variables.extend(commitment_roles(settings, rq));
    if user.is_some_and(|user| user.wants_response) {
        // Of a name with a passcode the response is that there is one: its field is empty.
        user_variables.push(UserVariableItem::Unknown(USER_IDENTITY_RESPONSE, vec![0, 0]));
    }
    let ac = AssociationAC {
        protocol_version: 1,
        calling_ae_title: rq.calling_ae_title.clone(),
        called_ae_title: rq.called_ae_title.clone(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: results,
        user_variables,
    };
    (ac, Agreement { contexts, peer_pdu_bytes_max: pdu_bytes_max(rq), n_operations: window.unwrap_or(1) })
}

fn accept(settings: &NodeSettings, proposed: &PresentationContextProposed) -> Result<Context, Reason> {
    let (service, acceptable) = if proposed.abstract_syntax == VERIFICATION {
        (Service::Verification, UNCOMPRESSED)
    } else if is_storage(&proposed.abstract_syntax) {
        (Service::Storage, TRANSFER_SYNTAXES)
    } else if proposed.abstract_syntax == STORAGE_COMMITMENT
        && (settings.storage_commitment || settings.commitment_reports)
    {
        (Service::Commitment, UNCOMPRESSED)
    } else {
        return Err(Reason::AbstractSyntaxNotSupported);
    };
    let abstract_syntax = Uid::parse(&proposed.abstract_syntax).map_err(|_| Reason::AbstractSyntaxNotSupported)?;
    let chosen = proposed.transfer_syntaxes.iter().find(|uid| acceptable.contains(&uid.as_str()));
    let transfer_syntax = chosen.and_then(|uid| Uid::parse(uid).ok()).ok_or(Reason::TransferSyntaxesNotSupported)?;
    Ok(Context { service, abstract_syntax, transfer_syntax })
}

/// The roles of storage commitment, where the peer asks for some (PS3.7 D.3.3.4): as SCU it requests, as SCP it reports.
fn commitment_roles(settings: &NodeSettings, rq: &AssociationRQ) -> Option<UserVariableItem> {
    let asked = rq.user_variables.iter().find_map(|item| match item {
        UserVariableItem::ScuScpRoleSelectionSubItem(uid, roles) if uid == STORAGE_COMMITMENT => Some(*roles),
        _ => None,
    })?;
    let roles =
        RequestorRoles { scu: asked.scu && settings.storage_commitment, scp: asked.scp && settings.commitment_reports };
    Some(UserVariableItem::ScuScpRoleSelectionSubItem(STORAGE_COMMITMENT.to_owned(), roles))
}

fn pdu_bytes_max(rq: &AssociationRQ) -> u32 {
    let stated = rq.user_variables.iter().find_map(|item| match item {
        UserVariableItem::MaxLength(length) => Some(*length),
        _ => None,
    });
    stated.unwrap_or(0)
}

/// How many operations the peer may invoke, where it asks: at most ours, and 0 of it means any number.
fn asynchronous_window(settings: &NodeSettings, rq: &AssociationRQ) -> Option<u16> {
    let asked = rq.user_variables.iter().find_map(|item| match item {
        UserVariableItem::Unknown(ASYNCHRONOUS_OPERATIONS, value) => match value.as_slice() {
            &[high, low, _, _] => Some(u16::from_be_bytes([high, low])),
            _ => None,
        },
        _ => None,
    })?;
    let ours = settings.max_operations.max(1);
    Some(if asked == 0 { ours } else { asked.min(ours) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::AeTitle;
    use dicom_dictionary_std::uids;

    fn request(proposed: &[(u8, &str, &[&str])], user_variables: Vec<UserVariableItem>) -> AssociationRQ {
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "PACS".into(),
            called_ae_title: "RADIOMICSD".into(),
            application_context_name: APPLICATION_CONTEXT.into(),
            presentation_contexts: proposed
                .iter()
                .map(|(id, abstract_syntax, transfer_syntaxes)| PresentationContextProposed {
                    id: *id,
                    abstract_syntax: (*abstract_syntax).into(),
                    transfer_syntaxes: transfer_syntaxes.iter().map(|uid| (*uid).into()).collect(),
                })
                .collect(),
            user_variables,
        }
    }

    fn settings() -> NodeSettings {
        NodeSettings::new(AeTitle::parse("RADIOMICSD").unwrap())
    }

    #[test]
    fn the_first_acceptable_transfer_syntax_in_the_peers_order_is_taken() {
        let ct = uids::CT_IMAGE_STORAGE;
        let rq = request(
            &[
                (1, ct, &["1.2.3.4", uids::JPEG2000, uids::IMPLICIT_VR_LITTLE_ENDIAN]),
                (3, VERIFICATION, &[uids::JPEG2000, uids::IMPLICIT_VR_LITTLE_ENDIAN]),
                (5, ct, &["1.2.3.4"]),
                (7, uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND, &[uids::IMPLICIT_VR_LITTLE_ENDIAN]),
                (8, ct, &[uids::IMPLICIT_VR_LITTLE_ENDIAN]),
                (1, ct, &[uids::IMPLICIT_VR_LITTLE_ENDIAN]),
            ],
            vec![UserVariableItem::MaxLength(16_384)],
        );
        let (ac, agreement) = negotiate(&settings(), &rq, None);
        let results: Vec<_> =
            ac.presentation_contexts.iter().map(|result| (result.id, result.reason.clone())).collect();
        let expected = vec![
            (1, Reason::Acceptance),
            (3, Reason::Acceptance),
            (5, Reason::TransferSyntaxesNotSupported),
            (7, Reason::AbstractSyntaxNotSupported),
            (8, Reason::NoReason),
            (1, Reason::NoReason),
        ];
        assert_eq!(results, expected);
        assert_eq!(agreement.contexts[&1].transfer_syntax.as_str(), uids::JPEG2000);
        assert_eq!(agreement.contexts[&3].transfer_syntax.as_str(), uids::IMPLICIT_VR_LITTLE_ENDIAN);
        assert_eq!(agreement.peer_pdu_bytes_max, 16_384);
        assert_eq!(agreement.n_operations, 1);
    }

    #[test]
    fn the_window_of_operations_is_the_smaller_of_both_and_zero_means_any() {
        for (asked, expected) in [(0_u8, 8), (1, 1), (3, 3), (200, 8)] {
            let window = UserVariableItem::Unknown(ASYNCHRONOUS_OPERATIONS, vec![0, asked, 0, 1]);
            let (ac, agreement) = negotiate(&settings(), &request(&[], vec![window]), None);
            assert_eq!(agreement.n_operations, expected);
            let [_, low] = expected.to_be_bytes();
            let answer = UserVariableItem::Unknown(ASYNCHRONOUS_OPERATIONS, vec![0, low, 0, 1]);
            assert!(ac.user_variables.contains(&answer));
        }
    }
}

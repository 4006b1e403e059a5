//! Telling those who asked what we committed to.

use std::time::Duration;

use dicom_ul::pdu::{RequestorRoles, UserVariableItem};
use tracing::{info, warn};

use super::data_set::encode_report;
use super::{FAILURES_EXIST, PUSH_MODEL_INSTANCE, SUCCESSFUL};
use crate::clock::{self, Timestamp};
use crate::dicom::uid::Uid;
use crate::dicom::write::WriteError;
use crate::net::deliver::Backoff;
use crate::net::dimse::{Command, Message, NotificationRq};
use crate::net::requestor::{AssociationError, Destination, Proposal, Timeouts, associate, standard_uid, uncompressed};
use crate::net::settings::{NodeSettings, Peer};
use crate::net::sop_class::STORAGE_COMMITMENT;
use crate::net::{Status, StatusClass};
use crate::store::{Commitment, Store};

/// When a report that does not get through is tried again.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(5),
    max: Duration::from_secs(600),
    give_up_after: Duration::from_secs(7 * 24 * 3_600),
};

/// The N-EVENT-REPORT of a commitment: its command and its data set.
///
/// # Errors
/// When the transfer syntax is none of messages.
pub fn report_message(
    commitment: &Commitment,
    message_id: u16,
    transfer_syntax: &Uid,
) -> Result<(Message, Vec<u8>), WriteError> {
    let type_id = if commitment.failed.is_empty() { SUCCESSFUL } else { FAILURES_EXIST };
    let rq = NotificationRq {
        message_id,
        sop_class: Some(STORAGE_COMMITMENT.to_owned()),
        sop_instance: Some(PUSH_MODEL_INSTANCE.to_owned()),
        type_id: Some(type_id),
    };
    Ok((Command::EventReportRq(rq).with_data_set(), encode_report(commitment, transfer_syntax)?))
}

/// Reports, over new associations, what is due to peers that have an address. Others hear of it when they call again.
pub async fn report_due(store: &Store, settings: &NodeSettings, now: Timestamp) {
    for commitment in store.commitments_due(now) {
        let peer = settings.peers.iter().find(|peer| peer.ae_title.as_str() == commitment.peer);
        let outcome = match peer.and_then(|peer| destination_of(settings, peer)) {
            Some(destination) => tell(&destination, &commitment).await,
            None => continue,
        };
        note(store, &commitment, outcome).await;
    }
}

/// Where a peer answers.
pub(super) fn destination_of(settings: &NodeSettings, peer: &Peer) -> Option<Destination> {
    Some(Destination {
        ae_title: peer.ae_title.clone(),
        address: peer.address.clone()?,
        calling_ae_title: settings.ae_title.clone(),
        timeouts: Timeouts::default(),
        tls: peer.tls.clone(),
    })
}

async fn tell(destination: &Destination, commitment: &Commitment) -> Result<(), AssociationError> {
    let abstract_syntax = standard_uid(STORAGE_COMMITMENT)?;
    // PS3.4 J.2, PS3.7 D.3.3.4: whoever opens the association is taken for the SCU, so we say that we are the SCP.
    let roles = RequestorRoles { scu: false, scp: true };
    let roles = UserVariableItem::ScuScpRoleSelectionSubItem(STORAGE_COMMITMENT.to_owned(), roles);
    let proposal = Proposal { abstract_syntax, transfer_syntaxes: uncompressed()? };
    let mut requestor = associate(destination, &[proposal], vec![roles]).await?;
    let Some(context) = requestor.accepted().first().cloned() else {
        return Err(AssociationError::NothingAccepted);
    };
    let message_id = requestor.next_message_id();
    let (message, data_set) = report_message(commitment, message_id, &context.transfer_syntax)
        .map_err(|_| AssociationError::Protocol("our report cannot be encoded"))?;
    let answer = match requestor.send(context.id, &message, Some(&data_set)).await {
        Ok(()) => requestor.receive().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok((_, Message { command: Command::EventReportRsp(response, _), .. }, _))
            if response.responded_to == message_id =>
        {
            requestor.release().await;
            accepted(response.status)
        }
        Ok(_) => {
            requestor.abort().await;
            Err(AssociationError::Protocol("its answer to N-EVENT-REPORT is another message"))
        }
        Err(error) => {
            requestor.abort().await;
            Err(error)
        }
    }
}

fn accepted(status: Status) -> Result<(), AssociationError> {
    match status.class() {
        StatusClass::Success | StatusClass::Warning => Ok(()),
        _ => Err(AssociationError::Protocol("it does not take the report")),
    }
}

async fn note(store: &Store, commitment: &Commitment, outcome: Result<(), AssociationError>) {
    let (store, now) = (store.clone(), clock::now());
    let (transaction, peer) = (commitment.transaction.clone(), commitment.peer.clone());
    let next = BACKOFF.next_attempt(commitment.attempts.saturating_add(1), commitment.requested_at, now);
    let written = tokio::task::spawn_blocking(move || match (&outcome, next) {
        (Ok(()), _) => {
            info!(peer, "commitment reported");
            store.commitment_done(&transaction, Some(now))
        }
        (Err(error), Some(next)) => {
            warn!(peer, reason = %error, "a commitment could not be reported, it is tried again");
            store.commitment_not_reported(&transaction, next)
        }
        (Err(error), None) => {
            warn!(peer, reason = %error, "a commitment could not be reported and is not any more; it stands");
            store.commitment_done(&transaction, None)
        }
    });
    if let Ok(Err(error)) = written.await {
        warn!(%error, "the outcome of a report could not be written down");
    }
}

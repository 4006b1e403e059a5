//! Asking destinations to commit to what they got.

use std::time::Duration;

use tracing::{info, warn};

use super::data_set::{Report, Request};
use super::{FAILURES_EXIST, PUSH_MODEL_INSTANCE, REQUEST, SUCCESSFUL, scp};
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;
use crate::net::deliver::{Outlet, Receiver};
use crate::net::dimse::{Command, Message, NotificationRq, Response};
use crate::net::requestor::{
    Accepted, AssociationError, Destination, Proposal, Requestor, associate, standard_uid, uncompressed,
};
use crate::net::sop_class::STORAGE_COMMITMENT;
use crate::net::{Status, Stream};
use crate::store::{OutboxEntry, SopReference, Store, StoreError};

/// Instances of one question.
const INSTANCES_MAX: usize = 1_000;
/// How long we wait for the report on the association that asked. After that it comes over another one.
const REPORT_PATIENCE: Duration = Duration::from_secs(10);
/// A destination that took the question has this long before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(3_600);

/// Asks a destination about everything that it got and has not committed to, once.
pub async fn ask_due(store: &Store, outlet: &Outlet, clock: fn() -> Timestamp) {
    let Receiver::Dimse(destination) = &outlet.to else { return };
    let title = destination.ae_title.as_str();
    let due = store.to_be_committed(title, clock());
    for batch in due.chunks(INSTANCES_MAX) {
        let given_up = give_up(store, outlet, batch, clock()).await;
        let batch: Vec<OutboxEntry> = batch.iter().filter(|entry| !given_up.contains(&entry.id)).cloned().collect();
        if batch.is_empty() {
            continue;
        }
        let transaction = new_transaction();
        if let Err(error) = mark(store, &batch, &transaction, later(clock(), ASK_AGAIN)).await {
            warn!(destination = title, %error, "a question for commitment could not be written down");
            return;
        }
        match ask(destination, &transaction, &batch).await {
            Ok(Some(report)) => {
                let (store, title) = (store.clone(), title.to_owned());
                let _ = tokio::task::spawn_blocking(move || scp::take(&store, &title, &report)).await;
            }
            Ok(None) => info!(destination = title, n_documents = batch.len(), "commitment asked for"),
            Err(error) => {
                warn!(destination = title, reason = %error, "no commitment could be asked for");
                let soon = later(clock(), outlet.backoff.max);
                let _ = mark(store, &batch, &transaction, soon).await;
            }
        }
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A UID of a random UUID (PS3.5 B.2): a question is asked once.
fn new_transaction() -> Uid {
    Uid::random()
}

async fn mark(store: &Store, batch: &[OutboxEntry], transaction: &Uid, ask_at: Timestamp) -> Result<(), StoreError> {
    let (store, transaction) = (store.clone(), transaction.clone());
    let ids: Vec<_> = batch.iter().map(|entry| entry.id.clone()).collect();
    let marked =
        tokio::task::spawn_blocking(move || ids.iter().try_for_each(|id| store.mark_asked(id, &transaction, ask_at)));
    marked.await.unwrap_or(Err(StoreError::Unknown { what: "outbox entry" }))
}

/// Gives up what the destination has for too long without a word.
async fn give_up(store: &Store, outlet: &Outlet, batch: &[OutboxEntry], now: Timestamp) -> Vec<crate::store::EntryId> {
    let is_late = |entry: &&OutboxEntry| {
        let sent_at = entry.sent_at.unwrap_or(entry.enqueued_at);
        later(sent_at, outlet.backoff.give_up_after) < now
    };
    let late: Vec<_> = batch.iter().filter(is_late).map(|entry| entry.id.clone()).collect();
    let (store, ids) = (store.clone(), late.clone());
    let _ = tokio::task::spawn_blocking(move || {
        for id in &ids {
            if let Err(error) = store.mark_not_committed(id, "the destination did not commit in time") {
                warn!(%error, "the outcome of a delivery could not be written down");
            }
        }
    })
    .await;
    late
}

/// Asks; the report, where it comes on the same association.
async fn ask(
    destination: &Destination,
    transaction: &Uid,
    batch: &[OutboxEntry],
) -> Result<Option<Report>, AssociationError> {
    let abstract_syntax = standard_uid(STORAGE_COMMITMENT)?;
    let proposal = Proposal { abstract_syntax, transfer_syntaxes: uncompressed()? };
    let mut requestor = associate(destination, &[proposal], Vec::new()).await?;
    let Some(context) = requestor.accepted().first().cloned() else {
        return Err(AssociationError::NothingAccepted);
    };
    match conversation(&mut requestor, &context, transaction, batch).await {
        Ok(report) => {
            requestor.release().await;
            Ok(report)
        }
        Err(error) => {
            requestor.abort().await;
            Err(error)
        }
    }
}

async fn conversation(
    requestor: &mut Requestor<Stream>,
    context: &Accepted,
    transaction: &Uid,
    batch: &[OutboxEntry],
) -> Result<Option<Report>, AssociationError> {
    let references = batch
        .iter()
        .map(|entry| SopReference { sop_class: entry.sop_class.clone(), sop_instance: entry.id.sop_instance.clone() });
    let request = Request { transaction: transaction.clone(), references: references.collect() };
    let data_set = request
        .encode(&context.transfer_syntax)
        .map_err(|_| AssociationError::Protocol("our question cannot be encoded"))?;
    let message_id = requestor.next_message_id();
    let rq = NotificationRq {
        message_id,
        sop_class: Some(STORAGE_COMMITMENT.to_owned()),
        sop_instance: Some(PUSH_MODEL_INSTANCE.to_owned()),
        type_id: Some(REQUEST),
    };
    requestor.send(context.id, &Command::ActionRq(rq).with_data_set(), Some(&data_set)).await?;
    let mut is_answered = false;
    let mut report = None;
    // Some report before they answer.
    while !is_answered || report.is_none() {
        let patience = if is_answered { REPORT_PATIENCE } else { requestor.timeouts().response };
        match requestor.receive_within(patience).await {
            Ok((_, Message { command: Command::ActionRsp(response, _), .. }, _))
                if response.responded_to == message_id =>
            {
                if response.status != Status::SUCCESS {
                    return Err(AssociationError::Protocol("it does not take the request for commitment"));
                }
                is_answered = true;
            }
            Ok((id, Message { command: Command::EventReportRq(rq), .. }, Some(bytes))) if id == context.id => {
                let known = matches!(rq.type_id, Some(SUCCESSFUL | FAILURES_EXIST));
                let found = Report::decode(&bytes, &context.transfer_syntax).ok();
                let found = found.filter(|found| known && found.transaction == *transaction);
                let status = if found.is_some() { Status::SUCCESS } else { Status::INVALID_ARGUMENT_VALUE };
                let response =
                    Response::new(rq.message_id, status).about(rq.sop_class.as_deref(), rq.sop_instance.as_deref());
                requestor.send(id, &Command::EventReportRsp(response, rq.type_id).alone(), None).await?;
                report = found.or(report);
            }
            Ok(_) => return Err(AssociationError::Protocol("a message that may not come now")),
            // The report comes over another association.
            Err(_) if is_answered => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

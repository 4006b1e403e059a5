//! Requests and reports that come to us, as the handler of their data sets.

use tracing::{info, warn};

use super::data_set::{Report, Request};
use super::{FAILURES_EXIST, PUSH_MODEL_INSTANCE, REQUEST, SUCCESSFUL};
use crate::clock;
use crate::dicom::uid::Uid;
use crate::net::dimse::{Command, NotificationRq, Response};
use crate::net::sop_class::STORAGE_COMMITMENT;
use crate::net::{AeTitle, Status};
use crate::store::{Commitment, Store, StoreError};

/// Answers an N-ACTION with its data set: gives our word, durably, for what is whole. Blocks.
pub fn request(
    store: &Store,
    peer: &AeTitle,
    rq: &NotificationRq,
    bytes: &[u8],
    transfer_syntax: &Uid,
) -> (Command, Option<Commitment>) {
    let answer = |status| Command::ActionRsp(response(rq, status), rq.type_id);
    if let Some(status) = wrong_target(rq) {
        return (answer(status), None);
    }
    if rq.type_id != Some(REQUEST) {
        return (answer(Status::NO_SUCH_ACTION), None);
    }
    let request = match Request::decode(bytes, transfer_syntax) {
        Ok(request) => request,
        Err(error) => {
            warn!(%peer, reason = %error, "a request for commitment cannot be understood");
            return (answer(Status::INVALID_ARGUMENT_VALUE), None);
        }
    };
    match store.commit_to(&request.transaction, peer.as_str(), &request.references, clock::now()) {
        Ok(commitment) => {
            let (n_committed, n_failed) = (commitment.committed.len(), commitment.failed.len());
            info!(%peer, n_committed, n_failed, "storage commitment requested");
            (answer(Status::SUCCESS), Some(commitment))
        }
        Err(error) => {
            warn!(%peer, %error, "no commitment was given");
            let busy = matches!(error, StoreError::TooMany { .. });
            (answer(if busy { Status::RESOURCE_LIMITATION } else { Status::PROCESSING_FAILURE }), None)
        }
    }
}

/// Answers an N-EVENT-REPORT with its data set: what a destination says of what it got. Blocks.
pub fn event(store: &Store, peer: &AeTitle, rq: &NotificationRq, bytes: &[u8], transfer_syntax: &Uid) -> Command {
    let answer = |status| Command::EventReportRsp(response(rq, status), rq.type_id);
    if let Some(status) = wrong_target(rq) {
        return answer(status);
    }
    if !matches!(rq.type_id, Some(SUCCESSFUL | FAILURES_EXIST)) {
        return answer(Status::NO_SUCH_EVENT_TYPE);
    }
    let Ok(report) = Report::decode(bytes, transfer_syntax) else {
        return answer(Status::INVALID_ARGUMENT_VALUE);
    };
    answer(take(store, peer.as_str(), &report))
}

/// Writes a destination's report down.
pub(super) fn take(store: &Store, peer: &str, report: &Report) -> Status {
    let (n_committed, n_failed) = (report.committed.len(), report.failed.len());
    match store.commitment_reported(&report.transaction, &report.committed, &report.failed, clock::now()) {
        Ok(0) => {
            warn!(peer, n_committed, n_failed, "a commitment was reported that nobody waits for");
            Status::INVALID_ARGUMENT_VALUE
        }
        Ok(_) => {
            info!(peer, n_committed, n_failed, "commitment reported");
            Status::SUCCESS
        }
        Err(error) => {
            warn!(peer, %error, "a reported commitment could not be written down");
            Status::PROCESSING_FAILURE
        }
    }
}

fn wrong_target(rq: &NotificationRq) -> Option<Status> {
    if rq.sop_class.as_deref() != Some(STORAGE_COMMITMENT) {
        return Some(Status::NO_SUCH_SOP_CLASS);
    }
    (rq.sop_instance.as_deref() != Some(PUSH_MODEL_INSTANCE)).then_some(Status::NO_SUCH_OBJECT_INSTANCE)
}

fn response(rq: &NotificationRq, status: Status) -> Response {
    Response::new(rq.message_id, status).about(rq.sop_class.as_deref(), rq.sop_instance.as_deref())
}

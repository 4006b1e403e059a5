//! One association from its first byte to its last (PS3.8 9.2, as acceptor).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use dicom_ul::pdu::{AssociationRQ, Pdu};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::admission::admit;
use super::negotiate::{Agreement, Service, negotiate};
use super::node::{Node, count};
use super::store_scp::{self, Feed, Outcome, Sender};
use crate::net::Status;
use crate::net::command_set::{COMMAND_SET_BYTES_MAX, CommandSetError};
use crate::net::dimse::{Command, Message, NotificationRq, Response, StoreRq, SubOperations};
use crate::net::pdu::{AbortReason, Event, Fragment, Part, PduError, encode, p_data};
use crate::net::settings::NodeSettings;
use crate::net::wire::{Deadline, Wire, WireError};

/// An association that moves fewer bytes than this in one idle time-out, in the middle of a message, is as good as idle:
/// otherwise one byte now and then would hold it for ever.
const PROGRESS_BYTES: u64 = 16 * 1024;

/// How an association ended, when not by a release.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the peer aborted (source {source_code}, reason {reason})")]
    Aborted { source_code: u8, reason: u8 },
    #[error("a command set cannot be read: {0}")]
    Command(#[from] CommandSetError),
    #[error("{0}")]
    Protocol(&'static str),
    #[error("a job of this association failed: {0}")]
    Job(#[from] JoinError),
    #[error("the node stops")]
    Shutdown,
}

impl End {
    /// The A-ABORT that tells the peer, where there is still one to tell.
    const fn abort(&self) -> Option<AbortReason> {
        match self {
            Self::Wire(WireError::Pdu(error)) => Some(error.reason()),
            Self::Wire(WireError::TimedOut(_)) => Some(AbortReason::NotSpecified),
            Self::Wire(WireError::Io(_) | WireError::Closed) | Self::Aborted { .. } => None,
            Self::Command(_) | Self::Job(_) | Self::Shutdown => Some(AbortReason::User),
            Self::Protocol(_) => Some(AbortReason::UnexpectedPdu),
        }
    }
}

/// Serves one connection until it ends. Whatever comes over it, only this connection ends by it.
pub async fn serve_connection<S>(node: Arc<Node>, stream: S, address: SocketAddr, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let settings = node.settings();
    let mut wire = Wire::new(stream, settings.max_pdu_bytes);
    let deadline = Deadline::after(settings.association_timeout);
    let first = tokio::select! {
        first = wire.next_event(deadline) => first,
        () = stop.cancelled() => return,
    };
    let request = match first {
        Ok(Event::AssociateRq(request)) => request,
        // A port check: nothing was asked, nothing is to be said.
        Err(WireError::Closed) if wire.received_bytes() == 0 => return,
        Ok(_) => return give_up(&node, wire, address, &End::Protocol("the first PDU is no A-ASSOCIATE-RQ")).await,
        Err(error) => return give_up(&node, wire, address, &End::Wire(error)).await,
    };
    match admit(&settings, &node.places, &request, address.ip()) {
        Ok((title, _place)) => {
            let sender = Sender { title, address: address.ip() };
            accept(node, settings, wire, &request, sender, stop).await;
        }
        Err(refusal) => {
            count(&node.counters.rejected);
            warn!(peer = %address, reason = %refusal, "association rejected");
            let rejection = encode(&Pdu::AssociationRJ(refusal.reject())).unwrap_or_default();
            // A peer that is gone needs no rejection.
            let _ = wire.send(&rejection, settings.association_timeout).await;
            wire.close().await;
        }
    }
}

/// Ends a connection that never became an association.
async fn give_up<S: AsyncRead + AsyncWrite + Unpin>(node: &Node, wire: Wire<S>, address: SocketAddr, end: &End) {
    count(&node.counters.aborted);
    match end {
        End::Wire(WireError::TimedOut(_)) => debug!(peer = %address, reason = %end, "connection closed"),
        _ => warn!(peer = %address, reason = %end, "connection closed"),
    }
    match end.abort() {
        Some(reason) => wire.abort(reason).await,
        None => wire.close().await,
    }
}

async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    node: Arc<Node>,
    settings: Arc<NodeSettings>,
    mut wire: Wire<S>,
    request: &AssociationRQ,
    sender: Sender,
    stop: CancellationToken,
) {
    let (answer, agreement) = negotiate(&settings, request);
    let end = match encode(&Pdu::AssociationAC(answer)) {
        Ok(answer) => wire.send(&answer, settings.idle_timeout).await.map_err(End::Wire),
        Err(_) => Err(End::Protocol("the A-ASSOCIATE-RQ cannot be answered")),
    };
    count(&node.counters.associations);
    debug!(peer = %sender.title, address = %sender.address, n_contexts = agreement.contexts.len(), "association accepted");
    let mut association = Association {
        deadline: Deadline::after(settings.idle_timeout),
        node,
        settings,
        wire,
        agreement,
        sender,
        stop,
        phase: Phase::Idle,
        outcomes: JoinSet::new(),
        open: HashMap::new(),
        progress_bytes: 0,
        n_stored: 0,
        n_failed: 0,
    };
    let end = match end {
        Ok(()) => association.run().await,
        Err(end) => Err(end),
    };
    association.finish(end).await;
}

struct Association<S> {
    node: Arc<Node>,
    settings: Arc<NodeSettings>,
    wire: Wire<S>,
    agreement: Agreement,
    sender: Sender,
    stop: CancellationToken,
    /// Where in a message the peer is.
    phase: Phase,
    /// Objects on their way into the store. Dropped with the association: what is not whole then is thrown away.
    outcomes: JoinSet<Option<Outcome>>,
    /// Requests that came whole and wait for their answer: context by Message ID.
    open: HashMap<u16, u8>,
    /// When the peer has been idle for too long, and the bytes received when that was set.
    deadline: Deadline,
    progress_bytes: u64,
    n_stored: u64,
    n_failed: u64,
}

/// Where in a message the peer is. Fragments of two messages never alternate (PS3.7 annex F is strict on that).
enum Phase {
    /// Between messages.
    Idle,
    /// In a command set.
    Command { context_id: u8, bytes: Vec<u8> },
    /// In a data set.
    DataSet { context_id: u8, sink: Sink },
}

/// Where a data set goes.
enum Sink {
    /// Into the store.
    Store { message_id: u16, feed: Feed },
    /// Nowhere; this is answered when it has ended.
    Nowhere { answer: Command },
}

enum Next {
    Event(Event),
    Outcome(Option<Outcome>),
    Stop,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Association<S> {
    /// Until the peer releases.
    async fn run(&mut self) -> Result<(), End> {
        loop {
            match self.next().await? {
                Next::Outcome(outcome) => self.answer_store(outcome).await?,
                Next::Stop => return Err(End::Shutdown),
                Next::Event(Event::Fragment(fragment)) => self.fragment(fragment).await?,
                Next::Event(Event::ReleaseRq) => return self.release().await,
                Next::Event(Event::Abort { source, reason }) => {
                    return Err(End::Aborted { source_code: source, reason });
                }
                Next::Event(_) => return Err(End::Protocol("a PDU that may not come in an association")),
            }
        }
    }

    async fn next(&mut self) -> Result<Next, End> {
        let has_room = self.open.len() < usize::from(self.agreement.n_operations);
        let may_stop = self.open.is_empty() && matches!(self.phase, Phase::Idle);
        tokio::select! {
            biased;
            Some(outcome) = self.outcomes.join_next() => Ok(Next::Outcome(outcome?)),
            () = self.stop.cancelled(), if may_stop => Ok(Next::Stop),
            event = self.wire.next_event(self.deadline), if has_room => {
                let received = self.wire.received_bytes();
                if self.progress_bytes + PROGRESS_BYTES <= received {
                    self.progressed();
                }
                Ok(Next::Event(event?))
            }
            else => Err(End::Protocol("a job of this association ended without an answer")),
        }
    }

    fn progressed(&mut self) {
        self.progress_bytes = self.wire.received_bytes();
        self.deadline = Deadline::after(self.settings.idle_timeout);
    }

    async fn fragment(&mut self, fragment: Fragment) -> Result<(), End> {
        let Fragment { context_id, part, bytes, is_last } = fragment;
        match (std::mem::replace(&mut self.phase, Phase::Idle), part) {
            (Phase::Idle, Part::Command) => self.command_fragment(context_id, Vec::new(), &bytes, is_last).await,
            (Phase::Command { context_id: begun, bytes: before }, Part::Command) if begun == context_id => {
                self.command_fragment(context_id, before, &bytes, is_last).await
            }
            (Phase::DataSet { context_id: begun, sink }, Part::DataSet) if begun == context_id => {
                if let (Sink::Store { feed, .. }, false) = (&sink, bytes.is_empty()) {
                    feed.push(bytes).await;
                }
                if is_last {
                    return self.data_set_ended(context_id, sink).await;
                }
                self.phase = Phase::DataSet { context_id, sink };
                Ok(())
            }
            _ => Err(End::Protocol("a fragment that does not continue the message before it")),
        }
    }

    async fn command_fragment(
        &mut self,
        context_id: u8,
        mut bytes: Vec<u8>,
        more: &[u8],
        is_last: bool,
    ) -> Result<(), End> {
        let length = bytes.len() + more.len();
        if COMMAND_SET_BYTES_MAX < length {
            return Err(CommandSetError::TooLarge(length).into());
        }
        bytes.extend_from_slice(more);
        if !is_last {
            self.phase = Phase::Command { context_id, bytes };
            return Ok(());
        }
        let message = Message::decode(&bytes)?;
        self.message(context_id, message).await
    }

    /// A command has come: its data set goes to where it belongs, or it is answered at once.
    async fn message(&mut self, context_id: u8, message: Message) -> Result<(), End> {
        let Message { command, has_data_set } = message;
        let Some(context) = self.agreement.contexts.get(&context_id) else {
            return Err(End::Protocol("a message in a presentation context that was not accepted"));
        };
        let answer = match command {
            Command::StoreRq(rq) => {
                let twice = self.open.contains_key(&rq.message_id);
                if has_data_set && !twice && context.service == Service::Storage {
                    let message_id = rq.message_id;
                    let feed = store_scp::begin(&self.node, context, &self.sender, rq, &mut self.outcomes);
                    self.phase = Phase::DataSet { context_id, sink: Sink::Store { message_id, feed } };
                    return Ok(());
                }
                Command::StoreRsp(refuse_store(&rq, has_data_set, twice))
            }
            Command::EchoRq { message_id, sop_class } => {
                let status = match context.service {
                    Service::Verification => Status::SUCCESS,
                    Service::Storage => Status::SOP_CLASS_NOT_SUPPORTED,
                };
                Command::EchoRsp(Response::new(message_id, status).about(sop_class.as_deref(), None))
            }
            // What it would cancel is not offered, or is over.
            Command::CancelRq { .. } if !has_data_set => return Ok(()),
            command => unrecognised(command).ok_or(End::Protocol("a response to nothing that was asked"))?,
        };
        if has_data_set {
            self.phase = Phase::DataSet { context_id, sink: Sink::Nowhere { answer } };
            return Ok(());
        }
        self.send(context_id, answer).await
    }

    async fn data_set_ended(&mut self, context_id: u8, sink: Sink) -> Result<(), End> {
        self.progressed();
        match sink {
            Sink::Store { message_id, feed } => {
                self.open.insert(message_id, context_id);
                feed.end().await;
                Ok(())
            }
            Sink::Nowhere { answer } => self.send(context_id, answer).await,
        }
    }

    async fn answer_store(&mut self, outcome: Option<Outcome>) -> Result<(), End> {
        // A job whose feed was dropped has nothing to say; its association ends anyway.
        let Some(Outcome { response, is_stored }) = outcome else { return Ok(()) };
        if is_stored {
            self.n_stored += 1
        } else {
            self.n_failed += 1
        }
        match self.open.remove(&response.responded_to) {
            Some(context_id) => self.send(context_id, Command::StoreRsp(response)).await,
            None => Ok(()),
        }
    }

    /// One PDU, one write: an answer in two segments would wait for the peer's delayed acknowledgement.
    async fn send(&mut self, context_id: u8, command: Command) -> Result<(), End> {
        let bytes = p_data(context_id, Part::Command, &command.alone().encode(), self.agreement.peer_pdu_bytes_max);
        self.wire.send(&bytes, self.settings.idle_timeout).await?;
        self.progressed();
        Ok(())
    }

    async fn release(&mut self) -> Result<(), End> {
        // What came whole is answered first; what did not is thrown away.
        self.phase = Phase::Idle;
        while let Some(outcome) = self.outcomes.join_next().await {
            self.answer_store(outcome?).await?;
        }
        let reply = encode(&Pdu::ReleaseRP).unwrap_or_default();
        Ok(self.wire.send(&reply, self.settings.idle_timeout).await?)
    }

    async fn finish(self, end: Result<(), End>) {
        let (peer, n_stored, n_failed) = (&self.sender.title, self.n_stored, self.n_failed);
        let received_bytes = self.wire.received_bytes();
        // The half-received object goes before the peer is told, so that it is gone when the peer tries again.
        drop(self.phase);
        drop(self.outcomes);
        match end {
            Ok(()) => {
                info!(%peer, n_stored, n_failed, received_bytes, "association released");
                self.wire.close().await;
            }
            Err(end) => {
                count(&self.node.counters.aborted);
                warn!(%peer, n_stored, n_failed, received_bytes, reason = %end, "association ended without release");
                match end.abort() {
                    Some(reason) => self.wire.abort(reason).await,
                    None => self.wire.close().await,
                }
            }
        }
    }
}

fn refuse_store(rq: &StoreRq, has_data_set: bool, twice: bool) -> Response {
    let (status, comment) = match (twice, has_data_set) {
        (true, _) => (Status::DUPLICATE_INVOCATION, "a message with this id is still open"),
        (_, false) => (Status::CANNOT_UNDERSTAND, "the request has no data set"),
        _ => (Status::SOP_CLASS_NOT_SUPPORTED, "the presentation context is not for storage"),
    };
    Response::new(rq.message_id, status)
        .about(rq.sop_class.as_deref(), rq.sop_instance.as_deref())
        .with_comment(comment)
}

/// The refusal of an operation that is not offered, in its own terms; nothing for a response.
fn unrecognised(command: Command) -> Option<Command> {
    let refuse = |message_id, sop_class: Option<String>, sop_instance: Option<String>| {
        Response::new(message_id, Status::UNRECOGNISED_OPERATION).about(sop_class.as_deref(), sop_instance.as_deref())
    };
    let notification = |rq: NotificationRq| (refuse(rq.message_id, rq.sop_class, rq.sop_instance), rq.type_id);
    Some(match command {
        Command::FindRq { message_id, sop_class } => Command::FindRsp(refuse(message_id, sop_class, None)),
        Command::MoveRq { message_id, sop_class, .. } => {
            Command::MoveRsp(refuse(message_id, sop_class, None), SubOperations::default())
        }
        Command::EventReportRq(rq) => {
            let (response, type_id) = notification(rq);
            Command::EventReportRsp(response, type_id)
        }
        Command::ActionRq(rq) => {
            let (response, type_id) = notification(rq);
            Command::ActionRsp(response, type_id)
        }
        Command::OtherRq { command_field, message_id, sop_class } => Command::OtherRsp {
            command_field: command_field | crate::net::dimse::field::RESPONSE,
            response: refuse(message_id, sop_class, None),
        },
        _ => return None,
    })
}

impl From<PduError> for End {
    fn from(error: PduError) -> Self {
        Self::Wire(error.into())
    }
}

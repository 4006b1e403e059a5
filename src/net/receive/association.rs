//! One association from its first byte to its last (PS3.8 9.2, as acceptor).

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use dicom_ul::pdu::{AssociationRQ, Pdu};
use tokio::net::TcpStream;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::admission::{Identified, Refusal, admit, identify};
use super::negotiate::{Agreement, Service, negotiate};
use super::node::{Node, count};
use super::store_scp::{Object, Outcome, Sender, place_at_grouping};
use super::thread::on_own_thread;
use crate::audit::{Event as AuditEvent, Party};
use crate::clock;
use crate::dicom::uid::Uid;
use crate::net::command_set::{COMMAND_SET_BYTES_MAX, CommandSetError};
use crate::net::commitment;
use crate::net::dimse::{Command, Message, NotificationRq, Response, StoreRq, SubOperations};
use crate::net::pdu::{AbortReason, Event, Fragment, Part, PduError, encode, p_data};
use crate::net::settings::{Caller, NodeSettings};
use crate::net::tally::{Tally, Told};
use crate::net::wire::{Deadline, Wire, WireError};
use crate::net::{Status, Stream};
use crate::store::Commitment;

/// An association that moves fewer bytes than this in one idle time-out, in the middle of a message, is as good as idle:
/// otherwise one byte now and then would hold it for ever.
const PROGRESS_BYTES: u64 = 16 * 1024;

/// The data set of a request for commitment: some 40,000 instances.
const NOTIFICATION_BYTES_MAX: usize = 8 << 20;

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
    #[error("a thread of this association failed: {0}")]
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
pub async fn serve_connection(node: Arc<Node>, stream: TcpStream, address: SocketAddr, stop: CancellationToken) {
    let settings = node.settings();
    let deadline = Deadline::after(settings.association_timeout);
    let stream = match &settings.tls {
        None => Stream::Plain(stream),
        Some(tls) => {
            let handshake = tokio::select! {
                handshake = deadline.bound(tls.accept(stream)) => handshake,
                () = stop.cancelled() => return,
            };
            match handshake {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return no_handshake(&node, address, &error),
                Err(error) => return no_handshake(&node, address, &error),
            }
        }
    };
    begin(node, settings, stream, address, deadline, stop).await;
}

/// A handshake that failed or did not end. A port check that says nothing is no failure.
fn no_handshake(node: &Node, address: SocketAddr, error: &(dyn std::error::Error + 'static)) {
    let closed = error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::UnexpectedEof);
    if closed {
        return;
    }
    count(&node.counters.aborted);
    warn!(peer = %address, reason = %error, "no TLS with the peer");
    refused(node, Party::peer("", address.ip()), error.to_string());
}

/// Tells the audit that somebody did not get in.
fn refused(node: &Node, peer: Party, reason: String) {
    node.audit.record(&AuditEvent::Refused { peer, reason }, clock::now());
}

/// Waits for the A-ASSOCIATE-RQ.
async fn begin(
    node: Arc<Node>,
    settings: Arc<NodeSettings>,
    stream: Stream,
    address: SocketAddr,
    deadline: Deadline,
    stop: CancellationToken,
) {
    let mut wire = Wire::new(stream, settings.max_pdu_bytes);
    let first = tokio::select! {
        first = wire.next_event(deadline) => first,
        () = stop.cancelled() => return,
    };
    let request = match first {
        Ok(Event::AssociateRq(request)) => request,
        // A port check, closed or reset: nothing was asked, nothing is to be said.
        Err(WireError::Closed | WireError::Io(_)) if wire.received_bytes() == 0 => return,
        Ok(_) => return give_up(&node, wire, address, &End::Protocol("the first PDU is no A-ASSOCIATE-RQ")).await,
        Err(error) => return give_up(&node, wire, address, &End::Wire(error)).await,
    };
    let admitted = match admit(&settings, &node.places, &request, address.ip()) {
        Ok((title, place)) => {
            let identified = deadline.bound(identify(&settings, &title, address.ip(), &request)).await;
            // So many want to be verified that their time runs out: they may come again.
            identified.unwrap_or(Err(Refusal::Full)).map(|user| (title, place, user))
        }
        Err(refusal) => Err(refusal),
    };
    match admitted {
        Ok((title, _place, user)) => {
            let sender = Sender { title, address: address.ip() };
            on_own_thread(move || accept(node, settings, wire, request, sender, user, stop)).await;
        }
        Err(refusal) => {
            count(&node.counters.rejected);
            let calling = printable(&request.calling_ae_title);
            warn!(peer = %address, calling, reason = %refusal, "association rejected");
            refused(&node, Party::peer(request.calling_ae_title.trim(), address.ip()), refusal.to_string());
            let rejection = encode(&Pdu::AssociationRJ(refusal.reject())).unwrap_or_default();
            // A peer that is gone needs no rejection.
            let _ = wire.send(&rejection, settings.association_timeout).await;
            wire.close().await;
        }
    }
}

/// What a peer calls itself, as one line of a log may hold it.
fn printable(title: &str) -> String {
    title.trim().chars().take(16).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// Ends a connection that never became an association.
async fn give_up(node: &Node, wire: Wire<Stream>, address: SocketAddr, end: &End) {
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

/// The association from its acceptance on, on its own thread.
async fn accept(
    node: Arc<Node>,
    settings: Arc<NodeSettings>,
    mut wire: Wire<Stream>,
    request: Box<AssociationRQ>,
    sender: Sender,
    user: Option<Identified>,
    stop: CancellationToken,
) {
    let (answer, agreement) = negotiate(&settings, &request, user.as_ref());
    let end = match (wire.move_here(), encode(&Pdu::AssociationAC(answer))) {
        (Ok(()), Ok(answer)) => wire.send(&answer, settings.idle_timeout).await.map_err(End::Wire),
        (Err(error), _) => Err(End::Wire(error.into())),
        (_, Err(_)) => Err(End::Protocol("the A-ASSOCIATE-RQ cannot be answered")),
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
        tally: Tally::default(),
        reports: HashMap::new(),
        last_message_id: 0,
    };
    let end = match end {
        Ok(()) => association.run().await,
        Err(end) => Err(end),
    };
    association.finish(end).await;
}

struct Association {
    node: Arc<Node>,
    settings: Arc<NodeSettings>,
    wire: Wire<Stream>,
    agreement: Agreement,
    sender: Sender,
    stop: CancellationToken,
    /// Where in a message the peer is.
    phase: Phase,
    /// Whole objects that are made durable while more may come: of peers that asked for more than one open operation.
    outcomes: JoinSet<Outcome>,
    /// Requests that came whole and wait for their answer: context by Message ID.
    open: HashMap<u16, u8>,
    /// When the peer has been idle for too long, and the bytes received when that was set.
    deadline: Deadline,
    progress_bytes: u64,
    n_stored: u64,
    n_failed: u64,
    tally: Tally,
    /// Our reports of commitments that wait for the peer's answer: transaction by Message ID.
    reports: HashMap<u16, Uid>,
    last_message_id: u16,
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
    Store { message_id: u16, object: Box<Object> },
    /// To storage commitment, when it is whole; `None` when it is too large for any such.
    Notification { kind: Notification, rq: NotificationRq, bytes: Option<Vec<u8>> },
    /// Nowhere; this is answered when it has ended.
    Nowhere { answer: Command },
}

/// The two notifications that come with a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notification {
    /// N-ACTION.
    Action,
    /// N-EVENT-REPORT.
    Event,
}

enum Next {
    Event(Event),
    Outcome(Outcome),
    Stop,
}

impl Association {
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
                if is_last {
                    return self.data_set_ended(context_id, sink, bytes).await;
                }
                self.phase = Phase::DataSet { context_id, sink: gather(sink, &bytes) };
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
                    let object = Box::new(Object::begin(&self.node, context, &self.sender, rq));
                    self.phase = Phase::DataSet { context_id, sink: Sink::Store { message_id, object } };
                    return Ok(());
                }
                Command::StoreRsp(refuse_store(&rq, has_data_set, twice))
            }
            Command::EchoRq { message_id, sop_class } => {
                let status = match context.service {
                    Service::Verification => Status::SUCCESS,
                    Service::Storage | Service::Commitment => Status::SOP_CLASS_NOT_SUPPORTED,
                };
                Command::EchoRsp(Response::new(message_id, status).about(sop_class.as_deref(), None))
            }
            Command::ActionRq(rq)
                if has_data_set && context.service == Service::Commitment && self.settings.storage_commitment =>
            {
                self.await_notification(context_id, Notification::Action, rq);
                return Ok(());
            }
            Command::EventReportRq(rq)
                if has_data_set && context.service == Service::Commitment && self.settings.commitment_reports =>
            {
                self.await_notification(context_id, Notification::Event, rq);
                return Ok(());
            }
            Command::EventReportRsp(response, _) if self.reports.contains_key(&response.responded_to) => {
                return self.reported(&response).await;
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

    async fn data_set_ended(&mut self, context_id: u8, sink: Sink, last: Bytes) -> Result<(), End> {
        self.progressed();
        match sink {
            Sink::Store { message_id, object } => {
                self.open.insert(message_id, context_id);
                let place = place_at_grouping(&self.node).await;
                if self.agreement.n_operations == 1 {
                    // The peer waits: nothing else can come meanwhile.
                    return self.answer_store(object.end(&last, place)).await;
                }
                self.outcomes.spawn_blocking(move || object.end(&last, place));
                Ok(())
            }
            Sink::Notification { kind, rq, bytes } => self.notified(context_id, kind, rq, append(bytes, &last)).await,
            Sink::Nowhere { answer } => self.send(context_id, answer).await,
        }
    }

    fn await_notification(&mut self, context_id: u8, kind: Notification, rq: NotificationRq) {
        let sink = Sink::Notification { kind, rq, bytes: Some(Vec::new()) };
        self.phase = Phase::DataSet { context_id, sink };
    }

    /// A notification is whole: it is written down, then answered; what we committed to is reported.
    async fn notified(
        &mut self,
        context_id: u8,
        kind: Notification,
        rq: NotificationRq,
        bytes: Option<Vec<u8>>,
    ) -> Result<(), End> {
        let Some(context) = self.agreement.contexts.get(&context_id) else { return Ok(()) };
        let Some(bytes) = bytes else {
            let response = Response::new(rq.message_id, Status::RESOURCE_LIMITATION)
                .about(rq.sop_class.as_deref(), rq.sop_instance.as_deref());
            return match kind {
                Notification::Action => self.send(context_id, Command::ActionRsp(response, rq.type_id)).await,
                Notification::Event => self.send(context_id, Command::EventReportRsp(response, rq.type_id)).await,
            };
        };
        let (store, peer, syntax) = (&self.node.store, &self.sender.title, &context.transfer_syntax);
        let (answer, committed) = match kind {
            Notification::Action => commitment::request(store, peer, &rq, &bytes, syntax),
            Notification::Event => (commitment::event(store, peer, &rq, &bytes, syntax), None),
        };
        self.send(context_id, answer).await?;
        if committed.is_none() {
            return Ok(());
        }
        if self.peer_has_address() {
            self.node.committed.notify_one();
            return Ok(());
        }
        // A peer that says not where it answers hears of it here, of what is left from before too.
        for open in self.node.store.open_commitments_of(self.sender.title.as_str()) {
            self.report(context_id, &open).await?;
        }
        Ok(())
    }

    fn peer_has_address(&self) -> bool {
        match self.settings.caller(&self.sender.title, self.sender.address) {
            Caller::Peer(peer) => peer.address.is_some(),
            Caller::Unknown | Caller::Refused => false,
        }
    }

    /// Reports what we committed to over this association.
    async fn report(&mut self, context_id: u8, commitment: &Commitment) -> Result<(), End> {
        let Some(context) = self.agreement.contexts.get(&context_id) else { return Ok(()) };
        self.last_message_id = self.last_message_id.wrapping_add(1);
        let encoded = commitment::report_message(commitment, self.last_message_id, &context.transfer_syntax);
        let (message, data_set) = encoded.map_err(|_| End::Protocol("our report of a commitment cannot be encoded"))?;
        let max = self.agreement.peer_pdu_bytes_max;
        let mut bytes = p_data(context_id, Part::Command, &message.encode(), max);
        bytes.extend(p_data(context_id, Part::DataSet, &data_set, max));
        self.wire.send(&bytes, self.settings.idle_timeout).await?;
        self.reports.insert(self.last_message_id, commitment.transaction.clone());
        Ok(())
    }

    /// The peer has heard our report.
    async fn reported(&mut self, response: &Response) -> Result<(), End> {
        let Some(transaction) = self.reports.remove(&response.responded_to) else { return Ok(()) };
        if response.status != Status::SUCCESS {
            warn!(peer = %self.sender.title, status = %response.status, "the report of a commitment is not taken");
            return Ok(());
        }
        if let Err(error) = self.node.store.commitment_done(&transaction, Some(clock::now())) {
            warn!(%error, "a reported commitment could not be written down");
        }
        Ok(())
    }

    async fn answer_store(&mut self, Outcome { response, stored }: Outcome) -> Result<(), End> {
        match stored {
            Some(facts) => {
                self.n_stored += 1;
                self.tally.add(&facts);
                if self.tally.is_full() {
                    self.tell_audit();
                }
            }
            None => self.n_failed += 1,
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

    fn tell_audit(&mut self) {
        let sender = Party::peer(self.sender.title.as_str(), self.sender.address);
        self.tally.tell(&self.node.audit, &sender, clock::now(), Told::Received);
    }

    async fn finish(mut self, end: Result<(), End>) {
        self.tell_audit();
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

/// Takes a piece of a data set.
fn gather(sink: Sink, bytes: &[u8]) -> Sink {
    match sink {
        Sink::Store { message_id, mut object } => {
            object.push(bytes);
            Sink::Store { message_id, object }
        }
        Sink::Notification { kind, rq, bytes: before } => Sink::Notification { kind, rq, bytes: append(before, bytes) },
        Sink::Nowhere { answer } => Sink::Nowhere { answer },
    }
}

/// The data set of a notification with one more piece, unless it becomes too large for any.
fn append(before: Option<Vec<u8>>, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = before.filter(|before| before.len() + bytes.len() <= NOTIFICATION_BYTES_MAX)?;
    whole.extend_from_slice(bytes);
    Some(whole)
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

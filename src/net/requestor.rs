//! Associations that we open (PS3.8 9.2, as requestor): for sending, verification, commitment, query.

use std::time::Duration;

use bytes::Bytes;
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRQ, Pdu, PresentationContextProposed,
    PresentationContextResultReason, UserVariableItem,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::command_set::COMMAND_SET_BYTES_MAX;
use super::dimse::Message;
use super::pdu::{AbortReason, Event, Fragment, Part, encode, fragment_bytes_max, p_data};
use super::receive::negotiate::APPLICATION_CONTEXT;
use super::sop_class::UNCOMPRESSED;
use super::tls::TlsClient;
use super::wire::{Deadline, Wire, WireError};
use super::{AeTitle, AeTitleError, Stream};
use crate::dicom::uid::Uid;
use crate::dicom::write::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use crate::error::{Duty, Fault, Retry};

/// A data set that comes to us as requestor (a query result, a commitment report) is small.
const DATA_SET_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What we take in one PDU.
const OUR_PDU_BYTES_MAX: u32 = 65_536;
/// Presentation contexts of one association: odd numbers from 1 to 255.
pub const CONTEXTS_MAX: usize = 128;

/// Another application entity, as we call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its AE title.
    pub ae_title: AeTitle,
    /// Where it listens, as `host:port`.
    pub address: String,
    /// The AE title that we call from.
    pub calling_ae_title: AeTitle,
    /// How long everything may take.
    pub timeouts: Timeouts,
    /// TLS: with it, nothing is sent in clear.
    pub tls: Option<TlsClient>,
}

/// How long each step with another application entity may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the TCP connection stands.
    pub connect: Duration,
    /// Until the association is accepted or rejected, or the release is answered.
    pub association: Duration,
    /// Until a request is answered. A PACS may take its time.
    pub response: Duration,
    /// Until the peer has taken one PDU.
    pub write: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            association: Duration::from_secs(30),
            response: Duration::from_secs(120),
            write: Duration::from_secs(60),
        }
    }
}

/// Why there is no association, or no more.
#[derive(Debug, thiserror::Error)]
pub enum AssociationError {
    /// No TCP connection.
    #[error("no connection to the peer: {0}")]
    Connect(#[source] std::io::Error),
    /// The TLS handshake fails: a wrong, expired or missing certificate on either side, or no TLS at all.
    #[error("no TLS with the peer: {0}")]
    Tls(#[source] std::io::Error),
    /// No TCP connection in time.
    #[error("no connection to the peer within {} s", .0.as_secs())]
    ConnectTimedOut(Duration),
    /// The peer does not want to.
    #[error("the peer rejected the association, {}: {reason}", if *.transient { "for now" } else { "for good" })]
    Rejected {
        /// Whether it may accept later.
        transient: bool,
        /// Its reason.
        reason: String,
    },
    /// The peer aborted.
    #[error("the peer aborted the association (source {source_code}, reason {reason})")]
    Aborted {
        /// 0 user, 2 provider.
        source_code: u8,
        /// PS3.8 9.3.8.
        reason: u8,
    },
    /// The connection ended, broke, or stood still.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The peer breaks the protocol.
    #[error("the peer breaks the protocol: {0}")]
    Protocol(&'static str),
    /// The peer takes nothing of what was proposed.
    #[error("the peer accepts none of the presentation contexts")]
    NothingAccepted,
    /// More than one association can hold.
    #[error("{0} presentation contexts are to be proposed, at most {CONTEXTS_MAX} are possible")]
    TooManyContexts(usize),
    /// An AE title that the protocol cannot carry.
    #[error(transparent)]
    Title(#[from] AeTitleError),
}

impl Duty for AssociationError {
    fn fault(&self) -> Fault {
        match self {
            Self::Title(_) | Self::Rejected { transient: false, .. } => Fault::Config,
            Self::TooManyContexts(_) => Fault::Internal,
            _ => Fault::Peer,
        }
    }

    /// A rejection for good is retried too: whoever set the peer up may still correct it, and the schedule has an end.
    fn retry(&self) -> Retry {
        match self {
            Self::Title(_) | Self::TooManyContexts(_) => Retry::Never,
            _ => Retry::Later,
        }
    }
}

/// One presentation context to ask for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proposal {
    /// What it is for.
    pub abstract_syntax: Uid,
    /// Transfer syntaxes, the preferred one first.
    pub transfer_syntaxes: Vec<Uid>,
}

/// One presentation context that the peer accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Presentation Context ID.
    pub id: u8,
    /// What it is for.
    pub abstract_syntax: Uid,
    /// The transfer syntax that the peer chose.
    pub transfer_syntax: Uid,
}

/// An association that we opened.
#[derive(Debug)]
pub struct Requestor<S> {
    wire: Wire<S>,
    timeouts: Timeouts,
    accepted: Vec<Accepted>,
    peer_pdu_bytes_max: u32,
    last_message_id: u16,
}

/// Connects and asks for an association, with further user information items.
///
/// # Errors
/// When there is no connection, or the peer rejects, aborts, breaks the protocol or is silent.
pub async fn associate(
    destination: &Destination,
    proposals: &[Proposal],
    user_items: Vec<UserVariableItem>,
) -> Result<Requestor<Stream>, AssociationError> {
    let stream = connect(&destination.address, destination.tls.as_ref(), &destination.timeouts).await?;
    associate_over(stream, destination, proposals, user_items).await
}

/// Connects to a `host:port`, through the TLS handshake where there is one.
///
/// # Errors
/// When there is no connection in time, or the server is not the one that it should be.
pub(super) async fn connect(
    address: &str,
    tls: Option<&TlsClient>,
    timeouts: &Timeouts,
) -> Result<Stream, AssociationError> {
    let within = timeouts.connect;
    let stream = timeout(within, TcpStream::connect(address))
        .await
        .map_err(|_| AssociationError::ConnectTimedOut(within))?
        .map_err(AssociationError::Connect)?;
    stream.set_nodelay(true).map_err(AssociationError::Connect)?;
    match tls {
        None => Ok(Stream::Plain(stream)),
        Some(tls) => Deadline::after(timeouts.association)
            .bound(tls.connect(stream, address))
            .await?
            .map_err(AssociationError::Tls),
    }
}

/// Asks for an association over a connection that stands, with further user information items.
///
/// # Errors
/// As [`associate`].
pub async fn associate_over<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    destination: &Destination,
    proposals: &[Proposal],
    user_items: Vec<UserVariableItem>,
) -> Result<Requestor<S>, AssociationError> {
    let request = encode(&Pdu::AssociationRQ(request(destination, proposals, user_items)?))
        .map_err(|_| AssociationError::Protocol("our A-ASSOCIATE-RQ cannot be encoded"))?;
    let mut wire = Wire::new(stream, OUR_PDU_BYTES_MAX);
    wire.send(&request, destination.timeouts.association).await?;
    let event = match wire.next_event(Deadline::after(destination.timeouts.association)).await {
        Ok(event) => event,
        Err(error) => return Err(end(wire, error).await),
    };
    match event {
        Event::AssociateAc(answer) => {
            let accepted = accepted(&answer, proposals);
            let mut requestor = Requestor {
                wire,
                timeouts: destination.timeouts,
                accepted,
                peer_pdu_bytes_max: peer_pdu_bytes_max(&answer),
                last_message_id: 0,
            };
            if requestor.accepted.is_empty() {
                requestor.say_goodbye().await;
                requestor.wire.close().await;
                return Err(AssociationError::NothingAccepted);
            }
            Ok(requestor)
        }
        Event::AssociateRj(rejection) => {
            wire.close().await;
            Err(rejected(&rejection))
        }
        Event::Abort { source, reason } => {
            wire.close().await;
            Err(AssociationError::Aborted { source_code: source, reason })
        }
        _ => {
            wire.abort(AbortReason::UnexpectedPdu).await;
            Err(AssociationError::Protocol("its answer to A-ASSOCIATE-RQ is of another kind"))
        }
    }
}

fn request(
    destination: &Destination,
    proposals: &[Proposal],
    user_items: Vec<UserVariableItem>,
) -> Result<AssociationRQ, AssociationError> {
    if CONTEXTS_MAX < proposals.len() {
        return Err(AssociationError::TooManyContexts(proposals.len()));
    }
    let proposed = context_ids().zip(proposals).map(|(id, proposal)| PresentationContextProposed {
        id,
        abstract_syntax: proposal.abstract_syntax.to_string(),
        transfer_syntaxes: proposal.transfer_syntaxes.iter().map(Uid::to_string).collect(),
    });
    let mut user_variables = vec![
        UserVariableItem::MaxLength(OUR_PDU_BYTES_MAX),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.to_owned()),
        UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION_NAME.to_owned()),
    ];
    user_variables.extend(user_items);
    Ok(AssociationRQ {
        protocol_version: 1,
        calling_ae_title: destination.calling_ae_title.to_string(),
        called_ae_title: destination.ae_title.to_string(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: proposed.collect(),
        user_variables,
    })
}

/// 1, 3, 5 … 255.
fn context_ids() -> impl Iterator<Item = u8> {
    (1..=u8::MAX).step_by(2)
}

/// The contexts that the peer accepted, as far as they answer what was proposed.
fn accepted(answer: &AssociationAC, proposals: &[Proposal]) -> Vec<Accepted> {
    let by_id: Vec<_> = context_ids().zip(proposals).collect();
    let results =
        answer.presentation_contexts.iter().filter(|r| r.reason == PresentationContextResultReason::Acceptance);
    let mut accepted: Vec<Accepted> = Vec::new();
    for result in results {
        let Some((_, proposal)) = by_id.iter().find(|(id, _)| *id == result.id) else { continue };
        let Ok(transfer_syntax) = Uid::parse(&result.transfer_syntax) else { continue };
        let known = accepted.iter().any(|context| context.id == result.id);
        if proposal.transfer_syntaxes.contains(&transfer_syntax) && !known {
            let abstract_syntax = proposal.abstract_syntax.clone();
            accepted.push(Accepted { id: result.id, abstract_syntax, transfer_syntax });
        }
    }
    accepted
}

fn peer_pdu_bytes_max(answer: &AssociationAC) -> u32 {
    let stated = answer.user_variables.iter().find_map(|item| match item {
        UserVariableItem::MaxLength(length) => Some(*length),
        _ => None,
    });
    stated.unwrap_or(0)
}

fn rejected(rejection: &AssociationRJ) -> AssociationError {
    AssociationError::Rejected {
        transient: rejection.result == AssociationRJResult::Transient,
        reason: rejection.source.to_string(),
    }
}

/// Ends a connection after an error, and says what it was.
async fn end<S: AsyncRead + AsyncWrite + Unpin>(wire: Wire<S>, error: WireError) -> AssociationError {
    match &error {
        WireError::Pdu(pdu) => wire.abort(pdu.reason()).await,
        WireError::TimedOut(_) => wire.abort(AbortReason::NotSpecified).await,
        WireError::Io(_) | WireError::Closed => {}
    }
    AssociationError::Wire(error)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Requestor<S> {
    /// The context for this abstract syntax, where the peer accepted it in this transfer syntax.
    #[must_use]
    pub fn context(&self, abstract_syntax: &Uid, transfer_syntax: &Uid) -> Option<u8> {
        let fits = |context: &&Accepted| {
            context.abstract_syntax == *abstract_syntax && context.transfer_syntax == *transfer_syntax
        };
        self.accepted.iter().find(fits).map(|context| context.id)
    }

    /// How long each step may take.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Everything that the peer accepted.
    #[must_use]
    pub fn accepted(&self) -> &[Accepted] {
        &self.accepted
    }

    /// A Message ID that is not in use.
    pub fn next_message_id(&mut self) -> u16 {
        self.last_message_id = self.last_message_id.wrapping_add(1);
        self.last_message_id
    }

    /// How many bytes of a data set go into one PDU.
    #[must_use]
    pub fn fragment_bytes_max(&self) -> usize {
        fragment_bytes_max(self.peer_pdu_bytes_max)
    }

    /// Sends a command, and its data set where it is small and at hand.
    ///
    /// # Errors
    /// When the connection fails, or the peer aborts.
    pub async fn send(
        &mut self,
        context_id: u8,
        message: &Message,
        data_set: Option<&[u8]>,
    ) -> Result<(), AssociationError> {
        let mut bytes = self.command(context_id, message);
        if let Some(data_set) = data_set {
            bytes.extend(p_data(context_id, Part::DataSet, data_set, self.peer_pdu_bytes_max));
        }
        self.send_pdus(&bytes).await
    }

    /// The PDUs of a command.
    #[must_use]
    pub fn command(&self, context_id: u8, message: &Message) -> Vec<u8> {
        p_data(context_id, Part::Command, &message.encode(), self.peer_pdu_bytes_max)
    }

    /// Sends PDUs as they are.
    ///
    /// # Errors
    /// When the connection fails. A peer that aborts in the middle closes the connection: its abort is then the reason.
    pub async fn send_pdus(&mut self, bytes: &[u8]) -> Result<(), AssociationError> {
        let Err(error) = self.wire.send(bytes, self.timeouts.write).await else { return Ok(()) };
        if matches!(error, WireError::Io(_)) {
            let soon = Deadline::after(Duration::from_millis(200));
            if let Ok(Event::Abort { source, reason }) = self.wire.next_event(soon).await {
                return Err(AssociationError::Aborted { source_code: source, reason });
            }
        }
        Err(error.into())
    }

    /// The next message of the peer, with its data set.
    ///
    /// # Errors
    /// When none comes in time, the connection ends, or the peer breaks the protocol.
    pub async fn receive(&mut self) -> Result<(u8, Message, Option<Vec<u8>>), AssociationError> {
        self.receive_within(self.timeouts.response).await
    }

    /// The same with another patience.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn receive_within(
        &mut self,
        patience: Duration,
    ) -> Result<(u8, Message, Option<Vec<u8>>), AssociationError> {
        let deadline = Deadline::after(patience);
        let (context_id, command) = self.part(deadline, Part::Command, COMMAND_SET_BYTES_MAX, None).await?;
        let message =
            Message::decode(&command).map_err(|_| AssociationError::Protocol("its command set cannot be read"))?;
        if !message.has_data_set {
            return Ok((context_id, message, None));
        }
        let (_, data_set) = self.part(deadline, Part::DataSet, DATA_SET_BYTES_MAX, Some(context_id)).await?;
        Ok((context_id, message, Some(data_set)))
    }

    async fn part(
        &mut self,
        deadline: Deadline,
        expected: Part,
        bytes_max: usize,
        mut context: Option<u8>,
    ) -> Result<(u8, Vec<u8>), AssociationError> {
        let mut whole = Vec::new();
        loop {
            let fragment = match self.wire.next_event(deadline).await? {
                Event::Fragment(fragment) => fragment,
                Event::Abort { source, reason } => {
                    return Err(AssociationError::Aborted { source_code: source, reason });
                }
                _ => return Err(AssociationError::Protocol("a PDU that may not come now")),
            };
            let Fragment { context_id, part, bytes, is_last } = fragment;
            if part != expected || *context.get_or_insert(context_id) != context_id {
                return Err(AssociationError::Protocol("a fragment that does not continue the message before it"));
            }
            append(&mut whole, &bytes, bytes_max)?;
            if is_last {
                return Ok((context_id, whole));
            }
        }
    }

    /// Releases the association and closes. What was to be done is done: a peer that does not answer the release only
    /// costs the wait.
    pub async fn release(mut self) {
        self.say_goodbye().await;
        self.wire.close().await;
    }

    async fn say_goodbye(&mut self) {
        let request = encode(&Pdu::ReleaseRQ).unwrap_or_default();
        if self.wire.send(&request, self.timeouts.association).await.is_ok() {
            let _ = self.wire.next_event(Deadline::after(self.timeouts.association)).await;
        }
    }

    /// Aborts the association and closes.
    pub async fn abort(self) {
        self.wire.abort(AbortReason::User).await;
    }
}

/// A UID of the standard.
pub(super) fn standard_uid(text: &str) -> Result<Uid, AssociationError> {
    Uid::parse(text).map_err(|_| AssociationError::Protocol("a UID of the standard is malformed"))
}

/// The transfer syntaxes of what is not stored.
pub(super) fn uncompressed() -> Result<Vec<Uid>, AssociationError> {
    UNCOMPRESSED.iter().map(|uid| standard_uid(uid)).collect()
}

fn append(whole: &mut Vec<u8>, bytes: &Bytes, bytes_max: usize) -> Result<(), AssociationError> {
    if bytes_max < whole.len() + bytes.len() {
        return Err(AssociationError::Protocol("a message that is too large"));
    }
    whole.extend_from_slice(bytes);
    Ok(())
}

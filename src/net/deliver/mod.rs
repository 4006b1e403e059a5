//! Giving something away: C-STORE and C-ECHO as SCU (PS3.4 annexes A and B), and the delivery of what the outbox holds, by
//! associations or over the Web.
//!
//! Data sets go out byte for byte as their files hold them: what was proposed is what the file is in. A document that the
//! peer does not take in that encoding fails with that reason; nothing is encoded again on the way.

mod backoff;
mod outbox;
mod part10;
mod web;

use std::path::PathBuf;

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

pub use backoff::Backoff;
pub use outbox::{Outlet, Receiver, run};

use self::part10::skip_meta;
use super::dimse::{Command, Message, Response, StoreRq};
use super::pdu::{Part, data_header};
pub use super::requestor::{AssociationError, Destination, Timeouts};
use super::requestor::{CONTEXTS_MAX, Proposal, Requestor, associate, standard_uid, uncompressed};
use super::sop_class::VERIFICATION;
use super::{Status, StatusClass, Stream};
use crate::dicom::uid::Uid;
use crate::error::Retry;

/// One object to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// SOP Class UID.
    pub sop_class: Uid,
    /// SOP Instance UID.
    pub sop_instance: Uid,
    /// Transfer syntax of the file.
    pub transfer_syntax: Uid,
    /// The Part-10 file.
    pub source: Source,
}

/// Where the bytes of a Part-10 file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a file: read as it is sent.
    File(PathBuf),
    /// In memory.
    Bytes(Vec<u8>),
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemOutcome {
    /// Which.
    pub sop_instance: Uid,
    /// What became of it.
    pub result: Result<Delivered, ItemFailure>,
}

/// The peer has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Success, or a warning: the peer changed or left out elements (B000, B006, B007).
    pub status: Status,
}

/// Why the peer does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemFailure {
    /// A sentence without patient data. An Error Comment of the peer is not repeated: it may hold some.
    pub reason: String,
    /// Its status, where it gave one.
    pub status: Option<Status>,
    /// Whether trying again can help.
    pub retry: Retry,
}

impl ItemFailure {
    fn later(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), status: None, retry: Retry::Later }
    }
}

/// Sends objects over as few associations as hold their presentation contexts, usually one.
///
/// # Errors
/// When there is no association for the first of them. Where an association ends too early, what was not sent fails
/// in its outcome. The outcomes have the order of the items.
pub async fn send(destination: &Destination, items: &[Item]) -> Result<Vec<ItemOutcome>, AssociationError> {
    let mut outcomes = Vec::new();
    while let Some(rest) = items.get(outcomes.len()..).filter(|rest| !rest.is_empty()) {
        let n_now = n_that_fit(rest);
        let (now, _) = rest.split_at(n_now);
        match Session::open(destination, now.iter().map(|item| (&item.sop_class, &item.transfer_syntax))).await {
            Ok(mut session) => {
                for item in now {
                    outcomes.push(ItemOutcome {
                        sop_instance: item.sop_instance.clone(),
                        result: session.store(item).await,
                    });
                }
                session.close().await;
            }
            Err(error) if outcomes.is_empty() => return Err(error),
            Err(error) => outcomes.extend(now.iter().map(|item| ItemOutcome {
                sop_instance: item.sop_instance.clone(),
                result: Err(ItemFailure::later(error.to_string())),
            })),
        }
    }
    Ok(outcomes)
}

/// Verifies that the destination answers.
///
/// # Errors
/// When there is no association, or the answer is not success.
pub async fn echo(destination: &Destination) -> Result<(), AssociationError> {
    let proposal = Proposal { abstract_syntax: standard_uid(VERIFICATION)?, transfer_syntaxes: uncompressed()? };
    let mut requestor = associate(destination, &[proposal], Vec::new()).await?;
    let context_id = requestor.accepted().first().map_or(1, |context| context.id);
    let message_id = requestor.next_message_id();
    let rq = Command::EchoRq { message_id, sop_class: Some(VERIFICATION.to_owned()) }.alone();
    let answer = match requestor.send(context_id, &rq, None).await {
        Ok(()) => requestor.receive().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok((_, Message { command: Command::EchoRsp(response), .. }, _)) if response.responded_to == message_id => {
            requestor.release().await;
            match response.status {
                Status::SUCCESS => Ok(()),
                _ => Err(AssociationError::Protocol("its answer to C-ECHO is not success")),
            }
        }
        Ok(_) => {
            requestor.abort().await;
            Err(AssociationError::Protocol("its answer to C-ECHO is another message"))
        }
        Err(error) => {
            requestor.abort().await;
            Err(error)
        }
    }
}

/// How many items from the front one association can hold contexts for.
fn n_that_fit(items: &[Item]) -> usize {
    let mut kinds = Vec::new();
    for (n_before, item) in items.iter().enumerate() {
        let kind = (&item.sop_class, &item.transfer_syntax);
        if !kinds.contains(&kind) {
            if kinds.len() == CONTEXTS_MAX {
                return n_before;
            }
            kinds.push(kind);
        }
    }
    items.len()
}

/// An association for sending. After a failure of the association itself every further item fails with its reason.
#[derive(Debug)]
pub struct Session<S> {
    open: Result<Requestor<S>, String>,
}

impl Session<Stream> {
    /// Opens an association for these SOP classes and transfer syntaxes, one presentation context for each pair, so that
    /// every object finds its own encoding accepted or knows that it is not.
    ///
    /// # Errors
    /// When there is no association, or the pairs are more than one association can hold.
    pub async fn open<'a>(
        destination: &Destination,
        kinds: impl Iterator<Item = (&'a Uid, &'a Uid)>,
    ) -> Result<Self, AssociationError> {
        let mut proposals: Vec<Proposal> = Vec::new();
        for (sop_class, transfer_syntax) in kinds {
            let abstract_syntax = sop_class.clone();
            let proposal = Proposal { abstract_syntax, transfer_syntaxes: vec![transfer_syntax.clone()] };
            if !proposals.contains(&proposal) {
                proposals.push(proposal);
            }
        }
        Ok(Self { open: Ok(associate(destination, &proposals, Vec::new()).await?) })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Whether the destination takes objects of this class in this transfer syntax.
    pub fn takes(&self, sop_class: &Uid, transfer_syntax: &Uid) -> bool {
        self.open.as_ref().is_ok_and(|requestor| requestor.context(sop_class, transfer_syntax).is_some())
    }

    /// Sends one object and waits for the answer.
    ///
    /// # Errors
    /// Why the peer does not have it, and whether trying again can help.
    pub async fn store(&mut self, item: &Item) -> Result<Delivered, ItemFailure> {
        let requestor = match &mut self.open {
            Ok(requestor) => requestor,
            Err(reason) => return Err(ItemFailure::later(reason.clone())),
        };
        let Some(context_id) = requestor.context(&item.sop_class, &item.transfer_syntax) else {
            return Err(ItemFailure::later("the peer does not accept this SOP class in this transfer syntax"));
        };
        let answer = match &item.source {
            Source::Bytes(bytes) => store_one(requestor, context_id, item, bytes.as_slice()).await,
            Source::File(path) => match File::open(path).await {
                Ok(file) => store_one(requestor, context_id, item, file).await,
                Err(error) => return Err(unreadable(&error)),
            },
        };
        match answer {
            Ok(response) => outcome(&response),
            Err(StoreError::File(error)) => {
                // A part of the object may be out: only an abort takes it back.
                self.fail("the association was aborted: an object could not be read".to_owned()).await;
                Err(unreadable(&error))
            }
            Err(StoreError::Association(error)) => {
                let reason = error.to_string();
                self.fail(reason.clone()).await;
                Err(ItemFailure::later(reason))
            }
        }
    }

    async fn fail(&mut self, reason: String) {
        if let Ok(requestor) = std::mem::replace(&mut self.open, Err(reason)) {
            requestor.abort().await;
        }
    }

    /// Releases the association.
    pub async fn close(self) {
        if let Ok(requestor) = self.open {
            requestor.release().await;
        }
    }
}

fn unreadable(error: &std::io::Error) -> ItemFailure {
    ItemFailure::later(format!("the object cannot be read: {error}"))
}

fn outcome(response: &Response) -> Result<Delivered, ItemFailure> {
    let status = response.status;
    match status.class() {
        StatusClass::Success | StatusClass::Warning => Ok(Delivered { status }),
        _ => Err(ItemFailure {
            reason: format!("the peer answered {status}"),
            status: Some(status),
            retry: if status.may_pass_later() { Retry::Later } else { Retry::Never },
        }),
    }
}

enum StoreError {
    Association(AssociationError),
    File(std::io::Error),
}

impl From<AssociationError> for StoreError {
    fn from(error: AssociationError) -> Self {
        Self::Association(error)
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

/// Sends the command and, after the file's own preamble and meta information, its data set in PDUs as large as the peer
/// takes them.
async fn store_one<S: AsyncRead + AsyncWrite + Unpin>(
    requestor: &mut Requestor<S>,
    context_id: u8,
    item: &Item,
    mut file: impl AsyncRead + Unpin,
) -> Result<Response, StoreError> {
    skip_meta(&mut file).await?;
    let mut ahead = Vec::new();
    let message_id = requestor.next_message_id();
    let command = Command::StoreRq(StoreRq {
        message_id,
        sop_class: Some(item.sop_class.to_string()),
        sop_instance: Some(item.sop_instance.to_string()),
        move_originator: None,
    });
    let piece_bytes = requestor.fragment_bytes_max();
    let mut out = requestor.command(context_id, &command.with_data_set());
    // One piece ahead: the last one has to say so.
    loop {
        fill(&mut file, &mut ahead, piece_bytes + 1).await?;
        let is_last = ahead.len() <= piece_bytes;
        let piece = ahead.get(..piece_bytes).unwrap_or(&ahead);
        out.extend_from_slice(&data_header(context_id, Part::DataSet, piece.len(), is_last));
        out.extend_from_slice(piece);
        requestor.send_pdus(&out).await?;
        if is_last {
            break;
        }
        out.clear();
        ahead.drain(..piece_bytes);
    }
    answer(requestor, context_id, message_id).await
}

/// Reads until there are `n_bytes`, or the file ends.
async fn fill(file: &mut (impl AsyncRead + Unpin), ahead: &mut Vec<u8>, n_bytes: usize) -> std::io::Result<()> {
    while ahead.len() < n_bytes {
        let missing = u64::try_from(n_bytes - ahead.len()).unwrap_or(u64::MAX);
        if file.take(missing).read_to_end(ahead).await? == 0 {
            break;
        }
    }
    Ok(())
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    requestor: &mut Requestor<S>,
    context_id: u8,
    message_id: u16,
) -> Result<Response, StoreError> {
    match requestor.receive().await? {
        (context, Message { command: Command::StoreRsp(response), .. }, None)
            if context == context_id && response.responded_to == message_id =>
        {
            Ok(response)
        }
        _ => Err(AssociationError::Protocol("its answer to C-STORE is another message").into()),
    }
}

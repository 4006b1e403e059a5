//! Store over the Web (STOW-RS, PS3.18 10.5) as user agent: the same documents as by C-STORE, to a `DICOMweb` server.
//!
//! One request carries several whole Part-10 files; the answer says of each what became of it, with the failure reasons of
//! PS3.18 table I.2-2, which are those of C-STORE. A server that refuses a request as such (too large, or one file that it
//! cannot take) gets its files one by one, so that one of them holds up no other. The authorities of the Web are not
//! believed: `https` goes by the same files as DICOM over TLS. Redirections are not followed, as the token would go with
//! them.

mod answer;
mod multipart;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;

use self::answer::{Answer, Said};
use self::multipart::Multipart;
use super::Status;
use super::deliver::{Delivered, Item, ItemFailure, ItemOutcome, Source};
use super::requestor::{AssociationError, Timeouts, connect};
use super::tls::TlsClient;
use super::wire::Deadline;
use crate::dicom::product;
use crate::error::{Duty, Fault, Retry};

/// What an answer may hold: a few hundred bytes for each instance.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A token of more is none.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// The slowest line that a request may take: 64 kB each second, beside the patience for the answer.
const BYTES_PER_SECOND_MIN: u64 = 65_536;

/// A `DICOMweb` server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebServer {
    /// Its name among the destinations.
    pub name: String,
    /// Where it listens, as `host:port`.
    pub address: String,
    /// The host as it is asked for: without the port where that is the scheme's own.
    pub host: String,
    /// The path of its studies resource, such as `/dicom-web/studies`.
    pub path: String,
    /// A file whose content is the bearer token (RFC 6750); read for every request, so that it may be renewed.
    pub token_file: Option<PathBuf>,
    /// How long everything may take.
    pub timeouts: Timeouts,
    /// TLS: with it, nothing is sent in clear.
    pub tls: Option<TlsClient>,
}

/// Why a request has no answer that says of each instance what became of it.
#[derive(Debug, thiserror::Error)]
pub enum StowError {
    /// No connection, or no TLS.
    #[error(transparent)]
    Connection(#[from] AssociationError),
    /// The file with the token.
    #[error("the bearer token cannot be used: {0}")]
    Token(String),
    /// An object to be sent.
    #[error("an object cannot be read: {0}")]
    File(#[source] std::io::Error),
    /// The request cannot be made.
    #[error("the request cannot be made: {0}")]
    Request(#[from] hyper::http::Error),
    /// The connection ended, or what came is not HTTP.
    #[error("the exchange with the server failed: {0}")]
    Http(#[from] hyper::Error),
    /// The server took too long.
    #[error("the server did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The answer is longer than any that makes sense.
    #[error("the server's answer cannot be read: {0}")]
    Answer(String),
    /// The server refused the request as a whole.
    #[error("the server answered {}", .0.as_u16())]
    Refused(StatusCode),
}

impl StowError {
    /// Whether the same request cannot fare better, and each of its files alone may.
    const fn is_about_the_content(&self) -> bool {
        // Bad Request, Length Required, Content Too Large, Unsupported Media Type, Unprocessable Content.
        matches!(self, Self::Refused(status) if matches!(status.as_u16(), 400 | 411 | 413 | 415 | 422))
    }
}

impl Duty for StowError {
    fn fault(&self) -> Fault {
        match self {
            Self::Token(_) => Fault::Config,
            Self::Request(_) | Self::File(_) => Fault::Internal,
            Self::Refused(status) if matches!(status.as_u16(), 300..=399 | 401 | 403 | 404 | 405) => Fault::Config,
            _ => Fault::Peer,
        }
    }

    /// A token may be renewed and a path corrected while the schedule goes on; what a file is stays as it is.
    fn retry(&self) -> Retry {
        match self {
            Self::Connection(error) => error.retry(),
            Self::Request(_) => Retry::Never,
            _ if self.is_about_the_content() => Retry::Never,
            _ => Retry::Later,
        }
    }
}

/// Sends objects in one request; one by one where the server refuses the request for what is in it. The outcomes have the
/// order of the items.
///
/// # Errors
/// When the server refuses or fails the request as a whole.
pub async fn store(server: &WebServer, items: &[Item]) -> Result<Vec<ItemOutcome>, StowError> {
    let refused = match request(server, items).await {
        Ok(answer) => return Ok(items.iter().map(|item| answer.outcome(item)).collect()),
        Err(error) if error.is_about_the_content() && items.len() > 1 => error,
        Err(error) => return Err(error),
    };
    tracing::info!(reason = %refused, n_documents = items.len(), "each document goes in a request of its own");
    let mut outcomes = Vec::new();
    for item in items {
        outcomes.push(match request(server, std::slice::from_ref(item)).await {
            Ok(answer) => answer.outcome(item),
            Err(error) => ItemOutcome { sop_instance: item.sop_instance.clone(), result: Err(failure(&error)) },
        });
    }
    Ok(outcomes)
}

/// What a failed request is to one of its objects.
#[must_use]
pub fn failure(error: &StowError) -> ItemFailure {
    // Unsupported Media Type of one object: the class is not taken.
    let unsupported = matches!(error, StowError::Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    let status = unsupported.then_some(Status::SOP_CLASS_NOT_SUPPORTED);
    ItemFailure { reason: error.to_string(), status, retry: error.retry() }
}

/// What a server said to a request.
struct Heard {
    status: StatusCode,
    answer: Answer,
}

impl Heard {
    /// What became of one object. A complete success that lists nothing at all means everything; one that lists instances
    /// means those (PS3.18 10.5.3): servers are known that say 200 and dropped a part.
    fn outcome(&self, item: &Item) -> ItemOutcome {
        let result = match self.answer.about(&item.sop_instance) {
            Some(Said::Stored(status)) => Ok(Delivered { status }),
            Some(Said::Failed(status)) => Err(ItemFailure {
                reason: format!("the server answered {status}"),
                status: Some(status),
                retry: if status.may_pass_later() { Retry::Later } else { Retry::Never },
            }),
            None if self.status == StatusCode::OK && !self.answer.lists() => Ok(Delivered { status: Status::SUCCESS }),
            None => Err(ItemFailure {
                reason: format!("the server answered {} and does not say what became of it", self.status.as_u16()),
                status: None,
                retry: Retry::Later,
            }),
        };
        ItemOutcome { sop_instance: item.sop_instance.clone(), result }
    }
}

/// One request and its answer.
async fn request(server: &WebServer, items: &[Item]) -> Result<Heard, StowError> {
    let parts = Multipart::new();
    let mut body = Vec::new();
    for item in items {
        parts.put(&mut body, &bytes_of(item).await?);
    }
    parts.end(&mut body);
    let patience = server.timeouts.response + Duration::from_secs(body.len() as u64 / BYTES_PER_SECOND_MIN);
    let mut request = Request::post(&server.path)
        .header(HOST, &server.host)
        .header(USER_AGENT, format!("{}/{}", product::MODEL, product::VERSION))
        .header(ACCEPT, "application/dicom+json")
        .header(CONTENT_TYPE, parts.content_type());
    if let Some(token) = token(server).await? {
        request = request.header(AUTHORIZATION, token);
    }
    let request = request.body(Full::new(Bytes::from(body)))?;
    let stream = connect(&server.address, server.tls.as_ref(), &server.timeouts).await?;
    let deadline = Deadline::after(patience);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        if !matches!(status, StatusCode::OK | StatusCode::ACCEPTED | StatusCode::CONFLICT) {
            return Err(StowError::Refused(status));
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| StowError::Answer(error.to_string()))?.to_bytes();
        Ok(Heard { status, answer: Answer::read(&body) })
    };
    // The connection does the work that the exchange waits for; where it ends first, the exchange says why.
    let both = async {
        tokio::pin!(exchange);
        tokio::select! {
            heard = &mut exchange => heard,
            _ = connection => exchange.await,
        }
    };
    deadline.bound(both).await.unwrap_or(Err(StowError::TimedOut(patience)))
}

async fn bytes_of(item: &Item) -> Result<Cow<'_, [u8]>, StowError> {
    match &item.source {
        Source::Bytes(bytes) => Ok(bytes.into()),
        Source::File(path) => Ok(tokio::fs::read(path).await.map_err(StowError::File)?.into()),
    }
}

/// The value of the Authorization header, which no log shows.
async fn token(server: &WebServer) -> Result<Option<HeaderValue>, StowError> {
    let Some(path) = &server.token_file else { return Ok(None) };
    let text = tokio::fs::read_to_string(path).await.map_err(|error| StowError::Token(error.to_string()))?;
    let text = text.trim();
    if text.is_empty() || text.len() > TOKEN_BYTES_MAX {
        return Err(StowError::Token("its file holds none".to_owned()));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {text}"))
        .map_err(|_| StowError::Token("its file holds characters that no token has".to_owned()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

//! One connection: events in, whole PDUs out, every wait with an end.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::Stream;
use super::pdu::{AbortReason, Event, PduError, PduReader, abort};

/// What is read at once while an object comes. Larger reads cost fewer wake-ups; this is all that a peer that stopped in
/// the middle of an object holds.
const READ_BYTES: usize = 128 * 1024;
/// What is read at once between messages: thousands of idle associations stay small.
const READ_BYTES_IDLE: usize = 2 * 1024;
/// How long the large buffer waits for the next message.
const READ_BUFFER_KEPT: Duration = Duration::from_secs(1);
/// How long the other side may take to close after we said our last word, and how much it may still say.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The connection cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The operating system says so.
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// The bytes are not the protocol.
    #[error(transparent)]
    Pdu(#[from] PduError),
    /// The other side closed without release or abort.
    #[error("the peer closed the connection")]
    Closed,
    /// Nothing, or too little, came or could be sent in time.
    #[error("nothing happened on the connection for {} s", .0.as_secs())]
    TimedOut(Duration),
}

/// A connection that speaks PDUs.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    reader: PduReader,
    received_bytes: u64,
}

impl Wire<Stream> {
    /// As [`Stream::move_here`].
    ///
    /// # Errors
    /// As there.
    pub fn move_here(&mut self) -> std::io::Result<()> {
        self.stream.move_here()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Takes a connection over. P-DATA-TF PDUs of up to this length are taken.
    pub fn new(stream: S, pdu_bytes_max: u32) -> Self {
        Self { stream, reader: PduReader::new(pdu_bytes_max), received_bytes: 0 }
    }

    /// Bytes received so far.
    pub const fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// The next event. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the connection is closed, fails, breaks the protocol, or the deadline passes.
    pub async fn next_event(&mut self, deadline: Deadline) -> Result<Event, WireError> {
        loop {
            if let Some(event) = self.reader.next_event()? {
                return Ok(event);
            }
            let missing = self.reader.missing();
            let between = self.reader.is_between_pdus();
            let buffer = self.reader.buffer();
            buffer.reserve(missing.clamp(READ_BYTES_IDLE, READ_BYTES));
            let kept = Deadline::after(READ_BUFFER_KEPT);
            let n_read = if between && READ_BYTES_IDLE < buffer.capacity() && kept.at < deadline.at {
                let Ok(n_read) = timeout_at(kept.at, self.stream.read_buf(buffer)).await else {
                    *buffer = bytes::BytesMut::new();
                    continue;
                };
                n_read?
            } else {
                deadline.bound(self.stream.read_buf(buffer)).await??
            };
            if n_read == 0 {
                return Err(WireError::Closed);
            }
            self.received_bytes = self.received_bytes.saturating_add(n_read as u64);
        }
    }

    /// Sends whole PDUs with one write.
    ///
    /// # Errors
    /// When the connection fails or the other side does not read in time.
    pub async fn send(&mut self, bytes: &[u8], within: Duration) -> Result<(), WireError> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(within, sent).await.map_err(|_| WireError::TimedOut(within))??;
        Ok(())
    }

    /// Sends an A-ABORT and closes.
    pub async fn abort(mut self, reason: AbortReason) {
        // Whether it arrives or not, this is the end.
        let _ = self.send(&abort(reason), LINGER).await;
        self.close().await;
    }

    /// Closes so that what was sent last arrives: closing with unread bytes would make the kernel reset the connection
    /// and throw our last PDU away (PS3.8 9.2, AA-2, AR-5: the acceptor waits for the close under ARTIM).
    pub async fn close(mut self) {
        let drained = async {
            self.stream.shutdown().await?;
            let mut sink = [0; 4096];
            let mut n_bytes = 0;
            while n_bytes < LINGER_BYTES_MAX {
                match self.stream.read(&mut sink).await? {
                    0 => break,
                    n_read => n_bytes += n_read,
                }
            }
            Ok::<(), std::io::Error>(())
        };
        let _ = timeout(LINGER, drained).await;
    }
}

/// A moment and how long it was away when it was set.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    after: Duration,
}

impl Deadline {
    /// That long from now.
    #[must_use]
    pub fn after(after: Duration) -> Self {
        Self { at: Instant::now() + after, after }
    }

    /// The future's output, if it comes in time.
    ///
    /// # Errors
    /// [`WireError::TimedOut`].
    pub async fn bound<T>(self, future: impl Future<Output = T>) -> Result<T, WireError> {
        timeout_at(self.at, future).await.map_err(|_| WireError::TimedOut(self.after))
    }
}

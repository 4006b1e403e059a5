//! DICOM audit messages (PS3.15 A.5): who did what with whose data, to a file and to a syslog server.
//!
//! ```text
//! event     what happened, in our words
//! message   an event -> the XML of the standard
//! sinks     file (one message a line), syslog (RFC 5424 over TLS, TCP, UDP)
//! ```
//!
//! Unlike the log, audit messages name patients: that is what they are for. They go to the configured places and
//! nowhere else. Nothing waits for them: they queue, and when a queue is full because its disk or server does not keep
//! up, messages are lost, counted, and the loss is logged.

mod event;
mod file;
mod message;
mod syslog;
mod xml;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use event::{Event, Outcome, Party, PatientObjects, SopClassCount, StudyObjects, Transfer};
pub use message::Source;
pub use syslog::{SyslogServer, Transport};

use crate::clock::Timestamp;
use file::AuditFile;
use syslog::Connection;

/// Messages that wait to be written. One is about a kilobyte.
const QUEUE_MAX: usize = 2_048;
/// Messages that wait for a syslog server that does not answer.
const WAITING_MAX: usize = 16_384;
/// Pause after the server could not be reached, doubled up to the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// A message that was sent so short before the server closed is sent again: twice is better than not at all.
const UNREAD_MAX: Duration = Duration::from_secs(5);
/// How long the last messages may take at the shutdown.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// Where audit messages go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditSettings {
    /// A file that they are appended to.
    pub file: Option<PathBuf>,
    /// A syslog server.
    pub syslog: Option<SyslogServer>,
}

/// A message with its time, as it waits.
#[derive(Debug, Clone)]
struct Entry {
    at: Timestamp,
    xml: Arc<str>,
}

/// What everyone who has something to tell holds.
#[derive(Debug, Clone)]
pub struct Audit {
    shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    source: Source,
    settings: RwLock<AuditSettings>,
    queue: mpsc::Sender<Entry>,
    lost: AtomicU64,
}

/// Writes what the handle is told.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Entry>,
}

impl Audit {
    /// A handle that tells nobody.
    #[must_use]
    pub const fn none() -> Self {
        Self { shared: None }
    }

    /// A handle and what writes for it.
    #[must_use]
    pub fn new(source: Source, settings: AuditSettings) -> (Self, Writer) {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let shared =
            Arc::new(Shared { source, settings: RwLock::new(settings), queue: sender, lost: AtomicU64::new(0) });
        (Self { shared: Some(Arc::clone(&shared)) }, Writer { shared, queue })
    }

    /// Puts other places in force, for the next messages.
    pub fn reload(&self, settings: AuditSettings) {
        if let Some(shared) = &self.shared {
            *shared.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        }
    }

    /// Tells of an event. Never waits.
    pub fn record(&self, event: &Event, at: Timestamp) {
        let Some(shared) = &self.shared else { return };
        if shared.settings() == AuditSettings::default() {
            return;
        }
        let entry = Entry { at, xml: message::to_xml(event, &shared.source, at).into() };
        if shared.queue.try_send(entry).is_err() {
            shared.lose(1);
        }
    }

    /// Messages that were lost since the start.
    #[must_use]
    pub fn n_lost(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.lost.load(Ordering::Relaxed))
    }
}

impl Shared {
    fn settings(&self) -> AuditSettings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lose(&self, n_messages: u64) {
        let before = self.lost.fetch_add(n_messages, Ordering::Relaxed);
        // The first one and then every thousandth: a log that fills up helps nobody.
        if n_messages > 0 && (before == 0 || before / 1_000 != (before + n_messages) / 1_000) {
            error!(n_lost = before + n_messages, "audit messages are lost: their file or server does not keep up");
        }
    }
}

impl Writer {
    /// Writes until the shutdown, then what is left, for a few seconds at most.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut server = Server::default();
        loop {
            let retry = server.next_attempt();
            tokio::select! {
                entry = self.queue.recv() => {
                    let Some(entry) = entry else { break };
                    self.take(entry, &mut server).await;
                }
                () = retry => server.send(&self.shared).await,
                () = server.closed() => server.send(&self.shared).await,
                () = shutdown.cancelled() => break,
            }
        }
        self.queue.close();
        let last = async {
            while let Ok(entry) = self.queue.try_recv() {
                self.take(entry, &mut server).await;
            }
            server.pause_until = None;
            server.send(&self.shared).await;
        };
        if tokio::time::timeout(FLUSH_MAX, last).await.is_err() || !server.waiting.is_empty() {
            self.shared.lose(server.waiting.len() as u64);
        }
    }

    /// One entry and all that wait behind it: one write and one sync for all of them.
    async fn take(&mut self, first: Entry, server: &mut Server) {
        let mut entries = vec![first];
        while let Some(entry) = self.queue.try_recv().ok().filter(|_| entries.len() < QUEUE_MAX) {
            entries.push(entry);
        }
        let settings = self.shared.settings();
        if let Some(path) = settings.file {
            let texts: Vec<Arc<str>> = entries.iter().map(|entry| Arc::clone(&entry.xml)).collect();
            let n_messages = texts.len() as u64;
            let written = tokio::task::spawn_blocking(move || AuditFile::append(&path, &texts)).await;
            if !matches!(written, Ok(Ok(()))) {
                if let Ok(Err(error)) = written {
                    error!(%error, "the audit file cannot be written");
                }
                self.shared.lose(n_messages);
            }
        }
        if settings.syslog.is_some() {
            server.waiting.extend(entries);
            let n_too_many = server.waiting.len().saturating_sub(WAITING_MAX);
            server.waiting.drain(..n_too_many);
            self.shared.lose(n_too_many as u64);
            server.send(&self.shared).await;
        } else {
            server.waiting.clear();
        }
    }
}

/// The syslog server as it is reached now.
#[derive(Debug, Default)]
struct Server {
    connection: Option<Connection>,
    waiting: VecDeque<Entry>,
    pause: Duration,
    pause_until: Option<tokio::time::Instant>,
    /// What was sent last, and when: a server that closes right after may not have read it.
    last: Option<(Entry, tokio::time::Instant)>,
}

impl Server {
    /// Ready when what waits may be tried again; never when nothing waits.
    fn next_attempt(&self) -> impl Future<Output = ()> + use<> {
        let at = self.pause_until.filter(|_| !self.waiting.is_empty());
        async move {
            match at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Ready when the server has closed the connection; never where there is none.
    async fn closed(&mut self) {
        match &mut self.connection {
            Some(connection) => connection.closed().await,
            None => std::future::pending().await,
        }
        self.connection = None;
        let unread = self.last.take().filter(|(_, sent_at)| sent_at.elapsed() < UNREAD_MAX);
        if let Some((entry, _)) = unread {
            self.waiting.push_front(entry);
        }
    }

    /// Sends all that waits, unless it is too early after a failure.
    async fn send(&mut self, shared: &Shared) {
        let Some(target) = shared.settings().syslog else { return };
        if self.pause_until.is_some_and(|at| tokio::time::Instant::now() < at) {
            return;
        }
        self.pause_until = None;
        while let Some(entry) = self.waiting.front() {
            match self.try_send(&target, &shared.source, entry.clone()).await {
                Ok(()) => {
                    let sent = self.waiting.pop_front();
                    self.last = sent.map(|entry| (entry, tokio::time::Instant::now()));
                }
                Err(error) => {
                    self.connection = None;
                    self.pause = (self.pause * 2).clamp(PAUSE_FIRST, PAUSE_MAX);
                    self.pause_until = Some(tokio::time::Instant::now() + self.pause);
                    let (n_waiting, seconds) = (self.waiting.len(), self.pause.as_secs());
                    warn!(%error, n_waiting, seconds, "the audit server does not take messages");
                    return;
                }
            }
        }
    }

    async fn try_send(&mut self, target: &SyslogServer, source: &Source, entry: Entry) -> std::io::Result<()> {
        let open = match self.connection.take().filter(|connection| connection.is_to(target)) {
            Some(open) => open,
            None => Connection::open(target).await?,
        };
        let connection = self.connection.insert(open);
        connection.send(&syslog::frame(source, entry.at, &entry.xml)).await?;
        if self.pause > Duration::ZERO {
            self.pause = Duration::ZERO;
            info!("the audit server takes messages again");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

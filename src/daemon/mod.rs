//! The daemon: wires the stages with bounded channels, and keeps them going until it is told to stop.
//!
//! ```text
//! net::receive ──new instance──▶ grouping ──ready case──▶ work ──saved result──▶ outbox ──▶ net::deliver
//!                                   ▲                       │
//! http ─────────────retry───────────┘◀──────outcome─────────┘
//! ```
//!
//! No state that matters lives here: instances, case records, results and the outbox are files. After a kill the next
//! start replays the instances through the grouping and finds each case where it was; every step may be repeated.
//!
//! It never reads the command line or signals: listeners, shutdown and reload come in, so that a test starts the real
//! thing on free ports.

mod budget;
mod correct;
mod grouping;
mod handover;
mod installation;
mod notify;
mod settings;
mod upkeep;
mod withdraw;
mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::audit::{self, Audit};
use crate::clock;
use crate::config::{Config, ConfigError};
use crate::error::{Duty, Fault, Retry};
use crate::http::{self, HttpState, NodeSnapshot, Token, TokenError};
use crate::metrics::Metrics;
use crate::net::receive::{self, Node, NodeCounts};
use crate::store::{OpenReport, Recovery, Store, StoreError};

use grouping::{Grouping, Inbox};
pub use handover::wanted;
pub use installation::installation;
pub use settings::{Live, SettingsError, store_settings};

/// New instances on their way to the grouping: while it is full, senders wait.
const NEW_INSTANCES_MAX: usize = 4_096;
/// Retries that somebody asked for and that wait for the grouping.
const RETRIES_MAX: usize = 64;
/// Rejections that somebody asked for and that wait for the grouping.
const REJECTS_MAX: usize = 16;
/// How long running work may take after the shutdown was asked for. What is cut off begins again at the next start.
pub const DRAIN: Duration = Duration::from_secs(25);

/// The sockets of the daemon, bound by the caller.
#[derive(Debug)]
pub struct Listeners {
    /// C-STORE and C-ECHO.
    pub dicom: TcpListener,
    /// Status page, API and metrics.
    pub http: TcpListener,
}

/// What the outside asks of a running daemon.
#[derive(Debug, Clone)]
pub struct Control {
    /// Cancelled: drain and return.
    pub shutdown: CancellationToken,
    /// Notified (`notify_one`): read the configuration again. `None`: there is nothing to read.
    pub reload: Option<Reload>,
}

/// Where a new configuration comes from.
#[derive(Debug, Clone)]
pub struct Reload {
    /// Somebody asked for it.
    pub asked: Arc<Notify>,
    /// Reads it.
    pub read: fn(&std::path::Path) -> Result<Config, ConfigError>,
    /// The file.
    pub path: std::path::PathBuf,
}

/// Why the daemon could not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration asks for something that cannot be.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The token of the HTTP interface.
    #[error("http.token_file: {0}")]
    Token(#[from] TokenError),
    /// The storage directory.
    #[error("the storage cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// A part of the daemon ended that must not.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
    /// The HTTP listener.
    #[error("the HTTP interface failed: {0}")]
    Http(#[source] std::io::Error),
}

impl Duty for DaemonError {
    fn fault(&self) -> Fault {
        match self {
            Self::Settings(_) | Self::Token(_) => Fault::Config,
            Self::Store(_) | Self::Ended(_) | Self::Http(_) => Fault::Internal,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Settings(_) | Self::Token(_) => Retry::Never,
            Self::Store(_) | Self::Ended(_) | Self::Http(_) => Retry::Later,
        }
    }
}

/// Runs until `control.shutdown`, then drains: open associations end their message, running cases finish or are cut off
/// after [`DRAIN`], everything durable stays.
///
/// # Errors
/// When the configuration cannot be followed, the storage cannot be opened, or a part of the daemon fails for good.
pub async fn run(config: Config, listeners: Listeners, control: Control) -> Result<(), DaemonError> {
    let live = Live::new(config)?;
    let config = live.config();
    let token = config.http.token_file.as_deref().map(Token::read).transpose()?;
    let store = open(&config).await?;
    let metrics = Arc::new(Metrics::new());

    let (on_stored, new_instances) = mpsc::channel(NEW_INSTANCES_MAX);
    let (retry, retries) = mpsc::channel(RETRIES_MAX);
    let (on_removed, removed) = mpsc::channel(1);
    let (reject, rejects) = mpsc::channel(REJECTS_MAX);
    let outbox_changed = Arc::new(Notify::new());
    let (audit, audit_writer) = Audit::new(audit_source(&config), settings::audit(&config)?);
    let node = Node::new(settings::node(&config)?, store.clone(), on_stored).with_audit(audit.clone());
    let node = Arc::new(node);
    let status = notify::Status::new();

    let http_state = HttpState::new(store.clone(), Arc::clone(&metrics), view(&node, &status, &live), retry, token);
    let http_state = http_state.with_reject(reject);
    let stop = Stop::new(&control.shutdown);
    let mut http = tokio::spawn(http::serve(listeners.http, http_state, stop.late.clone().cancelled_owned()));

    let worker = work::Worker::new(store.clone(), Arc::clone(&live), Arc::clone(&metrics), Arc::clone(&outbox_changed));
    let grouping = Grouping::replay(store.clone(), Arc::clone(&live), worker, audit.clone()).await?;
    let mut grouping =
        tokio::spawn(grouping.run(Inbox { new_instances, retries, removed, rejects }, stop.grouping.clone()));
    let mut receiving = tokio::spawn(receive::serve(listeners.dicom, Arc::clone(&node), stop.first.clone()));
    let (to, late) = (store.clone(), stop.late.clone());
    let deliver = handover::deliver(to, Arc::clone(&live), metrics, audit.clone(), outbox_changed, late);
    let mut delivering = tokio::spawn(deliver);
    let reporting = tokio::spawn({
        let (node, stop) = (Arc::clone(&node), stop.first.clone());
        async move { node.report_commitments(stop).await }
    });
    let retrieving = tokio::spawn({
        let (node, stop) = (Arc::clone(&node), stop.first.clone());
        async move { node.retrieve_missing(stop).await }
    });
    let stop_auditing = CancellationToken::new();
    let auditing = tokio::spawn(audit_writer.run(stop_auditing.clone()));
    audit.record(&audit::Event::Started, now());
    let upkeep = tokio::spawn(upkeep::run(store.clone(), Arc::clone(&live), on_removed, stop.first.clone()));
    let reloading = tokio::spawn(settings::reload(control.reload, live, node, audit.clone(), stop.first.clone()));
    status.ready();
    info!("receiving");

    let failure = tokio::select! {
        // Asked for first: at a shutdown the receiver ends as well, and that is no failure.
        biased;
        () = stop.first.cancelled() => None,
        ended = &mut http => Some(http_failure(ended)),
        _ = &mut grouping => Some(DaemonError::Ended("the grouping")),
        _ = &mut receiving => Some(DaemonError::Ended("the receiver")),
        _ = &mut delivering => Some(DaemonError::Ended("the delivery")),
    };
    status.stopping();
    info!(seconds_max = DRAIN.as_secs(), "draining");
    stop.first.cancel();
    let drain = async {
        if !receiving.is_finished() {
            let _ = receiving.await;
        }
        // What came until now is grouped and written down before the grouping goes.
        stop.grouping.cancel();
        if !grouping.is_finished() {
            let _ = grouping.await;
        }
        stop.late.cancel();
        if !delivering.is_finished() {
            let _ = delivering.await;
        }
        if !http.is_finished() {
            let _ = http.await;
        }
        let _ = tokio::join!(upkeep, reloading, reporting, retrieving);
    };
    if tokio::time::timeout(DRAIN, drain).await.is_err() {
        warn!("the drain took too long: what still ran begins again at the next start");
    }
    audit.record(&audit::Event::Stopped, now());
    stop_auditing.cancel();
    let _ = auditing.await;
    let closing = store.clone();
    drop(store);
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || closing.checkpoint()).await {
        error!(%error, "the last checkpoint failed");
    }
    info!("stopped");
    failure.map_or(Ok(()), Err)
}

/// The order in which parts stop: receiving first, then the grouping with its cases, then delivery and HTTP.
struct Stop {
    first: CancellationToken,
    grouping: CancellationToken,
    late: CancellationToken,
}

impl Stop {
    fn new(shutdown: &CancellationToken) -> Self {
        Self { first: shutdown.clone(), grouping: CancellationToken::new(), late: CancellationToken::new() }
    }
}

fn http_failure(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> DaemonError {
    match ended {
        Ok(Err(error)) => DaemonError::Http(error),
        Ok(Ok(())) | Err(_) => DaemonError::Ended("the HTTP interface"),
    }
}

/// Who tells the audit.
fn audit_source(config: &Config) -> audit::Source {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    audit::Source { ae_title: config.dicom.ae_title.as_str().to_owned(), host, process_id: std::process::id() }
}

/// Opens the storage on a thread that may wait for the disk.
async fn open(config: &Config) -> Result<Store, DaemonError> {
    let settings = store_settings(config);
    let opened = tokio::task::spawn_blocking(move || Store::open(&settings)).await;
    let (store, report) = opened.map_err(|_| DaemonError::Ended("opening the storage"))??;
    say_how_it_was_found(&report);
    Ok(store)
}

fn say_how_it_was_found(report: &OpenReport) {
    let OpenReport { recovery, instances, added, removed, damaged, unreadable, leftovers } = *report;
    if matches!(recovery, Recovery::Created | Recovery::Clean) && damaged + unreadable == 0 {
        info!(?recovery, instances, "storage opened");
    } else {
        warn!(?recovery, instances, added, removed, damaged, unreadable, leftovers, "storage opened after a recovery");
    }
}

/// What the HTTP interface sees of the node.
fn view(node: &Arc<Node>, status: &notify::Status, live: &Arc<Live>) -> http::NodeView {
    let (node, status, live) = (Arc::clone(node), status.clone(), Arc::clone(live));
    Arc::new(move || {
        let NodeCounts {
            open_associations,
            connections,
            associations,
            rejected,
            aborted,
            stored,
            duplicates,
            corrected,
            conflicts,
            failed,
            received_bytes,
        } = node.counts();
        NodeSnapshot {
            not_ready: status.not_ready(),
            open_associations,
            associations: Vec::new(),
            connections,
            accepted: associations,
            rejected,
            aborted,
            stored,
            duplicates,
            corrected,
            conflicts,
            failed: failed.saturating_sub(conflicts),
            received_bytes,
            unusable_models: live.unusable_models(),
        }
    })
}

/// The clock of loops that ask it themselves.
fn now() -> clock::Timestamp {
    clock::now()
}

//! The HTTP interface: whether the daemon lives and is ready, its metrics, a status page and the same as JSON.
//!
//! | path | is |
//! |---|---|
//! | `/health` | 200 as long as the process answers and its index can be read |
//! | `/ready` | 200 while instances are taken; 503 with the reason while not |
//! | `/metrics` | OpenMetrics text |
//! | `/` | the status page |
//! | `/api/cases`, `/api/cases/ID` | [`api::CaseList`], [`api::CaseDetail`] |
//! | `POST /api/cases/ID/retry` | tries a parked or failed case again, and what could not be delivered |
//! | `PUT /api/patients/ID/clinical` | clinical values of a patient by name, numbers or levels; replaces those put before |
//! | `POST /api/reject` | withdraws instances, series or cases: [`api::RejectBody`] |
//!
//! Nothing here shows patient data: cases have ids of their own, UIDs are short hashes. What changes something needs the
//! token, or comes from this machine where there is none (see [`access`]).

pub mod access;
pub mod api;
mod limit;
mod metrics;
mod page;
mod probe;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post, put};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

pub use access::{Token, TokenError};

use crate::case::CaseId;
use crate::clock::Timestamp;
use crate::dicom::rejection::RejectionReason;
use crate::metrics::Metrics;
use crate::store::Store;

/// What the handlers know.
#[derive(Clone)]
pub struct HttpState {
    store: Store,
    metrics: Arc<Metrics>,
    node: NodeView,
    retry: mpsc::Sender<CaseId>,
    reject: Option<mpsc::Sender<Reject>>,
    token: Option<Token>,
}

/// What somebody withdraws.
#[derive(Debug)]
pub struct Reject {
    /// UIDs of instances and series, ids of cases.
    pub names: Vec<String>,
    /// Why.
    pub reason: RejectionReason,
    /// Told how many instances went.
    pub answer: oneshot::Sender<usize>,
}

/// Asks the daemon what the node is doing right now.
pub type NodeView = Arc<dyn Fn() -> NodeSnapshot + Send + Sync>;

/// The receiving side at one moment. The counts only grow.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NodeSnapshot {
    /// Why nothing is taken at the moment: starting, draining; nothing when all is well.
    pub not_ready: Option<String>,
    /// Associations that are open now.
    pub open_associations: u64,
    /// Those of them that are known in detail; may be fewer.
    pub associations: Vec<AssociationView>,
    /// TCP connections so far.
    pub connections: u64,
    /// Associations accepted so far.
    pub accepted: u64,
    /// Association requests rejected so far.
    pub rejected: u64,
    /// Connections that ended by an abort, a time-out or without a word so far.
    pub aborted: u64,
    /// Instances stored so far.
    pub stored: u64,
    /// Instances that were there already so far.
    pub duplicates: u64,
    /// Instances whose header was corrected so far.
    pub corrected: u64,
    /// Instances kept aside because other content are stored under their UID so far.
    pub conflicts: u64,
    /// Instances answered with another failure so far.
    pub failed: u64,
    /// Bytes of instances so far.
    pub received_bytes: u64,
    /// A sentence for each model that the configuration names and that cannot be used.
    pub unusable_models: Vec<String>,
}

/// One open association.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssociationView {
    /// The calling AE title.
    pub calling_ae: String,
    /// Since when.
    pub since: Timestamp,
    /// Instances stored over it.
    pub instances: u64,
}

impl HttpState {
    /// The state of one daemon. `node` is asked at each scrape and page; `retry` is told of cases that somebody wants to
    /// be tried again; without a `token` only this machine may ask for that.
    #[must_use]
    pub fn new(
        store: Store,
        metrics: Arc<Metrics>,
        node: NodeView,
        retry: mpsc::Sender<CaseId>,
        token: Option<Token>,
    ) -> Self {
        metrics.add_collector(Box::new(metrics::Scrape::new(store.clone(), Arc::clone(&node))));
        Self { store, metrics, node, retry, reject: None, token }
    }

    /// With somebody who hears of what is to be withdrawn.
    #[must_use]
    pub fn with_reject(self, reject: mpsc::Sender<Reject>) -> Self {
        Self { reject: Some(reject), ..self }
    }
}

/// Serves until `shutdown` resolves, then lets running requests end, a few seconds at most.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    state: HttpState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = router(state).into_make_service_with_connect_info::<limit::Peer>();
    let limited = limit::Limited::new(listener);
    let (ended, has_ended) = tokio::sync::oneshot::channel();
    let serving = axum::serve(limited, service).with_graceful_shutdown(async move {
        shutdown.await;
        // The receiver is gone only when the server has failed.
        let _ = ended.send(());
    });
    let grace = async {
        if has_ended.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(limit::SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        outcome = serving => outcome,
        () = grace => Ok(()),
    }
}

fn router(state: HttpState) -> Router {
    Router::new()
        .route("/", get(page::status))
        .route("/style.css", get(page::style))
        .route("/health", get(probe::health))
        .route("/ready", get(probe::ready))
        .route("/metrics", get(probe::metrics))
        .route("/api/cases", get(api::cases))
        .route("/api/cases/{id}", get(api::case))
        .route("/api/cases/{id}/retry", post(api::retry))
        .route("/api/patients/{id}/clinical", put(api::clinical))
        .route("/api/reject", post(api::reject).layer(DefaultBodyLimit::max(limit::REJECT_BYTES_MAX)))
        .layer(DefaultBodyLimit::max(limit::BODY_BYTES_MAX))
        .layer(middleware::from_fn(harden))
        .with_state(state)
}

/// Headers for every answer: nothing is kept by a cache or a proxy, nothing is loaded from elsewhere, no other page may
/// frame this one.
async fn harden(request: axum::extract::Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

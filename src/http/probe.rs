//! For machines: does it live, is it ready, what does it count.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use crate::dicom::uid::Uid;

/// Lives: the process answers and its index can be read.
pub(super) async fn health(State(state): State<HttpState>) -> Response {
    let store = state.store.clone();
    let read = tokio::task::spawn_blocking(move || store.instance(&Uid::derived(&["health"])).is_ok()).await;
    match read {
        Ok(true) => (StatusCode::OK, "ok\n").into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the index cannot be read\n").into_response(),
    }
}

/// Ready: an instance that was sent now would be taken.
pub(super) async fn ready(State(state): State<HttpState>) -> Response {
    match why_not_ready(&state).await {
        None => (StatusCode::OK, "ready\n").into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// Why an instance that was sent now would not be taken; nothing when it would.
pub(super) async fn why_not_ready(state: &HttpState) -> Option<String> {
    if let Some(reason) = (state.node)().not_ready {
        return Some(reason);
    }
    let store = state.store.clone();
    match tokio::task::spawn_blocking(move || store.counts()).await {
        Ok(Ok(counts)) if counts.available_bytes < counts.reserve_bytes => {
            Some("the free space is below storage.reserve_bytes".to_owned())
        }
        Ok(Ok(_)) => None,
        _ => Some("the storage does not answer".to_owned()),
    }
}

/// Everything that is counted.
pub(super) async fn metrics(State(state): State<HttpState>) -> Response {
    let encoded = tokio::task::spawn_blocking(move || state.metrics.encode()).await;
    match encoded {
        Ok(Ok(text)) => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be gathered\n").into_response(),
    }
}

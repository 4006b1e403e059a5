//! Cases as JSON. The same types serve `radiomicsd cases|case|retry`, which read what is written here.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::limit::Peer;
use super::{HttpState, Reject, access};
use crate::case::CaseId;
use crate::clock::Timestamp;
use crate::dicom::rejection::RejectionReason;
use crate::finding::Finding;
use crate::report::DocumentKind;
use crate::store::{CaseRecord, CaseState, DeliveryState, OutboxEntry, Store, StoreError, StudyHeld};
use crate::table::{ClinicalValue, TableError, put_clinical};

/// Cases in one answer where the request says nothing.
const CASES_DEFAULT: usize = 200;
/// Cases in one answer at most.
const CASES_MAX: usize = 10_000;

/// `/api/cases?state=parked&limit=200`: the cases that changed last, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseList {
    /// How many cases there are in all, by state.
    pub counts: Vec<CaseCount>,
    /// The cases.
    pub cases: Vec<CaseView>,
}

/// Cases in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseCount {
    /// The state.
    pub state: CaseState,
    /// How many.
    pub count: u64,
}

/// One case, without anything of its patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseView {
    /// Its id.
    pub id: CaseId,
    /// Where it stands.
    pub state: CaseState,
    /// The protocol that took it; empty where none did.
    pub protocol: String,
    /// The revision that is being made or was made last.
    pub revision: u32,
    /// Why it is parked or failed.
    pub reason: String,
    /// Remarks on its data.
    pub findings: Vec<Finding>,
    /// Attempts at this revision.
    pub attempts: u32,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// When its first instance came.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its series, as short hashes of their UIDs.
    pub series: Vec<String>,
    /// How much of its studies a peer said that it has, beside what is here. Only of one case, and on the status page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub studies: Vec<StudyView>,
}

/// What a peer has of a study, beside what is here. A difference is no fault: not every series is routed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyView {
    /// Short hash of the Study Instance UID.
    pub study: String,
    /// The peer's AE title.
    pub peer: String,
    /// Its Number of Study Related Instances (0020,1208).
    pub held: u64,
    /// Instances of the study that are stored here.
    pub received: u64,
    /// When the peer said it.
    pub said_at: Timestamp,
}

/// `/api/cases/ID`: one case with its inputs, results and deliveries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseDetail {
    /// The case.
    #[serde(flatten)]
    pub case: CaseView,
    /// The series chosen for its roles.
    pub inputs: Vec<InputView>,
    /// Its complete revisions, oldest first.
    pub results: Vec<ResultView>,
    /// What the model in force said of the lesions of the newest revision, without the values.
    #[serde(default)]
    pub predictions: Vec<PredictionView>,
    /// What changed since an earlier case of the same lesions, as in `report.json` of the newest result.
    #[serde(default)]
    pub changes: Vec<serde_json::Value>,
    /// What was or is to be sent of its results.
    pub deliveries: Vec<DeliveryView>,
}

/// One role's series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputView {
    /// The role.
    pub role: String,
    /// Short hash of the Series Instance UID.
    pub series: String,
    /// Its instances.
    pub instances: usize,
}

/// One complete revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultView {
    /// The revision.
    pub revision: u32,
    /// Its documents.
    pub documents: Vec<DocumentView>,
}

/// Whether a model said something of one lesion; as in `report.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictionView {
    /// The lesion.
    pub lesion: usize,
    /// The model.
    pub model: String,
    /// The version of the model.
    pub version: String,
    /// `predicted` or `refused`.
    pub status: String,
    /// The code of the reason, where it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The reason in a sentence, where it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One document of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentView {
    /// What it is.
    pub kind: DocumentKind,
    /// Its name in the case.
    pub name: String,
    /// Short hash of the SOP Instance UID.
    pub instance: String,
}

/// One document on its way to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// The case.
    pub case: CaseId,
    /// The revision.
    pub revision: u32,
    /// What it is.
    pub kind: DocumentKind,
    /// Short hash of the SOP Instance UID.
    pub instance: String,
    /// The destination's AE title.
    pub destination: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Failed attempts.
    pub attempts: u32,
    /// When it is tried, while it is pending.
    pub next_attempt_at: Option<Timestamp>,
    /// When the destination took it.
    pub sent_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub reason: String,
}

/// What `POST …/retry` answers, and every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// A sentence.
    pub message: String,
}

/// What may be asked of the list.
#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    state: Option<CaseState>,
    limit: Option<usize>,
}

impl From<CaseRecord> for CaseView {
    fn from(record: CaseRecord) -> Self {
        Self {
            series: record.series.iter().map(crate::dicom::uid::Uid::short_hash).collect(),
            studies: Vec::new(),
            id: record.id,
            state: record.state,
            protocol: record.protocol,
            revision: record.revision,
            reason: record.reason,
            findings: record.findings,
            attempts: record.attempts,
            next_attempt_at: record.next_attempt_at,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

impl From<StudyHeld> for StudyView {
    fn from(held: StudyHeld) -> Self {
        Self {
            study: held.study.short_hash(),
            peer: held.there.peer,
            held: held.there.n_instances,
            received: held.n_here,
            said_at: held.there.said_at,
        }
    }
}

impl From<OutboxEntry> for DeliveryView {
    fn from(entry: OutboxEntry) -> Self {
        Self {
            instance: entry.id.sop_instance.short_hash(),
            case: entry.id.case,
            revision: entry.id.revision,
            kind: entry.kind,
            destination: entry.id.destination,
            state: entry.state,
            attempts: entry.attempts,
            next_attempt_at: (entry.state == DeliveryState::Pending).then_some(entry.next_attempt_at),
            sent_at: entry.sent_at,
            reason: entry.reason,
        }
    }
}

/// The cases that changed last.
pub(super) fn list(store: &Store, state: Option<CaseState>, n_max: usize) -> Result<CaseList, StoreError> {
    let cases = store.recent_cases(state, n_max)?.into_iter().map(CaseView::from).collect();
    Ok(CaseList { counts: counts(store), cases })
}

/// The same with what peers said of their studies, which costs a look at each series.
pub(super) fn list_with_studies(store: &Store, n_max: usize) -> Result<CaseList, StoreError> {
    let cases = store.recent_cases(None, n_max)?.into_iter().map(|record| with_studies(store, record));
    Ok(CaseList { counts: counts(store), cases: cases.collect::<Result<_, _>>()? })
}

fn counts(store: &Store) -> Vec<CaseCount> {
    store.case_counts().into_iter().map(|(state, count)| CaseCount { state, count }).collect()
}

/// A case with what peers said of its studies.
pub(super) fn with_studies(store: &Store, record: CaseRecord) -> Result<CaseView, StoreError> {
    let studies = store.held_of(&record.series)?.into_iter().map(StudyView::from).collect();
    Ok(CaseView { studies, ..CaseView::from(record) })
}

fn detail(store: &Store, id: &CaseId) -> Result<Option<CaseDetail>, StoreError> {
    let Some(mut record) = store.case(id)? else { return Ok(None) };
    let spec = record.spec.take();
    let inputs = spec.iter().flat_map(|spec| &spec.inputs).map(|input| InputView {
        role: input.role.clone(),
        series: input.series.short_hash(),
        instances: input.instances.len(),
    });
    let mut results = Vec::new();
    let mut deliveries = Vec::new();
    let saved = store.results(id)?;
    let predictions = saved.last().map(|result| predictions(&result.report_json)).unwrap_or_default();
    for result in saved {
        let documents = result.documents.iter().map(|document| DocumentView {
            kind: document.reference.kind,
            name: document.reference.name.clone(),
            instance: document.reference.sop_instance.short_hash(),
        });
        results.push(ResultView { revision: result.revision, documents: documents.collect() });
        deliveries.extend(store.deliveries(id, result.revision)?.into_iter().map(DeliveryView::from));
    }
    let changes = newest_changes(store, id)?;
    Ok(Some(CaseDetail {
        inputs: inputs.collect(),
        case: with_studies(store, record)?,
        results,
        predictions,
        changes,
        deliveries,
    }))
}

/// The predictions of a `report.json`; none where it cannot be read, or is of a version that did not tell them so.
fn predictions(report: &std::path::Path) -> Vec<PredictionView> {
    #[derive(Deserialize)]
    struct Told {
        predictions: Vec<PredictionView>,
    }
    let read = || serde_json::from_slice::<Told>(&std::fs::read(report).ok()?).ok();
    read().map(|told| told.predictions).unwrap_or_default()
}

/// The changes in the newest result; none where it is not there or cannot be read: the case is shown all the same.
fn newest_changes(store: &Store, id: &CaseId) -> Result<Vec<serde_json::Value>, StoreError> {
    let newest = store.results(id)?.into_iter().max_by_key(|result| result.revision);
    let json = newest.and_then(|result| std::fs::read(result.report_json).ok());
    let report = json.and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok());
    let list = report.as_ref().and_then(|report| report.get("changes")?.as_array());
    Ok(list.cloned().unwrap_or_default())
}

pub(super) async fn cases(State(state): State<HttpState>, query: Query<ListQuery>) -> Response {
    let n_max = query.limit.unwrap_or(CASES_DEFAULT).min(CASES_MAX);
    let read = blocking(move || list(&state.store, query.state, n_max)).await;
    read.map_or_else(IntoResponse::into_response, |list| Json(list).into_response())
}

pub(super) async fn case(State(state): State<HttpState>, Path(id): Path<String>) -> Response {
    match blocking(move || detail(&state.store, &CaseId(id))).await {
        Ok(Some(detail)) => Json(detail).into_response(),
        Ok(None) => message(StatusCode::NOT_FOUND, "no such case"),
        Err(failure) => failure,
    }
}

pub(super) async fn retry(
    State(state): State<HttpState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = refused(&state, peer, &headers) {
        return refusal;
    }
    let (store, id) = (state.store.clone(), CaseId(id));
    let asked = id.clone();
    let record = match blocking(move || store.case(&asked)).await {
        Ok(Some(record)) => record,
        Ok(None) => return message(StatusCode::NOT_FOUND, "no such case"),
        Err(failure) => return failure,
    };
    if record.state.is_open() {
        return message(StatusCode::CONFLICT, &format!("the case is {} already", record.state.name()));
    }
    if state.retry.try_send(id).is_err() {
        return message(StatusCode::SERVICE_UNAVAILABLE, "the daemon is busy or stops, try again");
    }
    // The button of the status page comes as a form and wants to see the page again.
    let is_form = headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/x-www-form-urlencoded");
    if is_form { Redirect::to("/").into_response() } else { message(StatusCode::ACCEPTED, "the case is tried again") }
}

/// The answer to one who may change nothing.
fn refused(state: &HttpState, peer: Peer, headers: &HeaderMap) -> Option<Response> {
    let refusal = access::may_change(state.token.as_ref(), peer.0, headers).err()?;
    let status = match refusal {
        access::Refusal::Token => StatusCode::UNAUTHORIZED,
        access::Refusal::Elsewhere | access::Refusal::CrossSite => StatusCode::FORBIDDEN,
    };
    Some(message(status, &refusal.to_string()))
}

/// Takes clinical values of a patient. The answer repeats neither the id nor a value.
pub(super) async fn clinical(
    State(state): State<HttpState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(values): Json<BTreeMap<String, ClinicalValue>>,
) -> Response {
    if let Some(refusal) = refused(&state, peer, &headers) {
        return refusal;
    }
    let storage = state.store.directory().to_owned();
    match tokio::task::spawn_blocking(move || put_clinical(&storage, &id, values)).await {
        Ok(Ok(())) => message(StatusCode::OK, "the values are kept; cases from now on use them"),
        Ok(Err(TableError::Content(reason))) => message(StatusCode::UNPROCESSABLE_ENTITY, &reason),
        Ok(Err(_)) | Err(_) => message(StatusCode::INTERNAL_SERVER_ERROR, "the values cannot be kept"),
    }
}

/// What `POST /api/reject` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectBody {
    /// UIDs of instances and series, ids of cases.
    pub names: Vec<String>,
    /// Why: it decides the title of the rejection notes, and whether the instances may come back.
    pub reason: RejectionReason,
}

pub(super) async fn reject(
    State(state): State<HttpState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    Json(body): Json<RejectBody>,
) -> Response {
    if let Some(refusal) = refused(&state, peer, &headers) {
        return refusal;
    }
    let Some(rejects) = state.reject else { return message(StatusCode::NOT_FOUND, "nothing can be withdrawn here") };
    let (answer, answered) = oneshot::channel();
    let RejectBody { names, reason } = body;
    if rejects.try_send(Reject { names, reason, answer }).is_err() {
        return message(StatusCode::SERVICE_UNAVAILABLE, "the daemon is busy or stops, try again");
    }
    match answered.await {
        Ok(0) => message(StatusCode::NOT_FOUND, "nothing of that is stored"),
        Ok(1) => message(StatusCode::OK, "1 instance is withdrawn"),
        Ok(n_instances) => message(StatusCode::OK, &format!("{n_instances} instances are withdrawn")),
        Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "the daemon stops, try again"),
    }
}

fn message(status: StatusCode, message: &str) -> Response {
    (status, Json(Message { message: message.to_owned() })).into_response()
}

/// Asks the store on a thread that may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Response> {
    match tokio::task::spawn_blocking(ask).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(StoreError::Name { .. })) => Err(message(StatusCode::NOT_FOUND, "no such case")),
        Ok(Err(error)) => {
            tracing::error!(%error, "the store did not answer a request");
            Err(message(StatusCode::INTERNAL_SERVER_ERROR, "the store cannot be read"))
        }
        Err(_) => Err(message(StatusCode::INTERNAL_SERVER_ERROR, "the request was given up")),
    }
}

//! Ready cases through the pipeline: result saved, documents handed to the outbox, outcome reported.
//!
//! Everything here may be repeated. A revision that is saved already is not computed again; handing over what was handed
//! over before changes nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info, info_span, warn};

use super::budget::Budget;
use super::settings::Live;
use super::{handover, installation, now};
use crate::case::{CaseId, CaseSpec};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::dicom::uid::Uid;
use crate::error::{Duty, Fault, Retry};
use crate::finding::Finding;
use crate::harmonise::{BatchRules, DriftSettings};
use crate::metrics::{CaseOutcome, Metrics};
use crate::pipeline::{self, Job, PipelineError, SourceFile};
use crate::report::{self, CaseResult, DocumentReference, Earlier, ReportError};
use crate::store::{CaseRecord, Store, StoreError};
use crate::table::{self, ActiveModels, Cohort, CohortRow, TableError};

/// Cases that are processed at one time. Each uses all cores; a second one fills the gaps of the first.
const CASES_MAX: usize = 2;
/// Attempts at one revision before it counts as failed.
const ATTEMPTS_MAX: u32 = 5;
/// Rows of the cohort that drift is looked for in: thirty patients of ten scanners.
const DRIFT_ROWS: usize = 300;
/// The pause before the second attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// Takes ready cases, a bounded number at a time.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    store: Store,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    outbox_changed: Arc<Notify>,
    budget: Budget,
    stop: CancellationToken,
}

/// A step of a job that the case record has to know.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) id: CaseId,
    pub(super) revision: u32,
    pub(super) outcome: Outcome,
}

/// How far a job came.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It has its place and its memory.
    Started,
    /// Saved and handed over.
    Done { findings: Vec<Finding> },
    /// It needs other data or another configuration.
    Parked { reason: String, findings: Vec<Finding> },
    /// It is not tried again by itself.
    Failed { reason: String },
    /// It is tried again.
    Later { reason: String, at: Timestamp },
    /// The daemon stops: the next start begins again.
    CutOff,
}

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error("{0}")]
    Pipeline(#[from] PipelineError),
    #[error("the documents could not be made: {0}")]
    Report(#[from] ReportError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the installation has no name: {0}")]
    Installation(#[source] std::io::Error),
    #[error("{0} of its instances are no longer stored")]
    Gone(usize),
    #[error("the cohort: {0}")]
    Cohort(#[from] TableError),
    #[error("report.json could not be written or read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the report of an earlier case cannot be read: {0}")]
    Earlier(#[source] std::io::Error),
    #[error("an internal error ended the processing")]
    Panic,
}

impl Duty for WorkError {
    fn fault(&self) -> Fault {
        match self {
            Self::Pipeline(error) => error.fault(),
            Self::Report(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Cohort(error) => error.fault(),
            Self::Gone(_) => Fault::Data,
            Self::Installation(_) | Self::Earlier(_) | Self::Json(_) | Self::Panic => Fault::Internal,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Pipeline(error) => error.retry(),
            Self::Report(error) => error.retry(),
            Self::Store(error) => error.retry(),
            Self::Cohort(error) => error.retry(),
            Self::Installation(_) | Self::Earlier(_) => Retry::Later,
            Self::Gone(_) | Self::Json(_) | Self::Panic => Retry::Never,
        }
    }
}

impl Worker {
    pub(super) fn new(store: Store, live: Arc<Live>, metrics: Arc<Metrics>, outbox_changed: Arc<Notify>) -> Self {
        let budget = Budget::of_this_machine(CASES_MAX);
        Self { store, live, metrics, outbox_changed, budget, stop: CancellationToken::new() }
    }

    /// Cases that have not begun do not begin any more.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Somebody made deliveries due again.
    pub(super) fn outbox_changed(&self) {
        self.outbox_changed.notify_waiters();
    }

    /// Processes a case in the background; `report` hears of it.
    pub(super) fn start(&self, record: CaseRecord, spec: CaseSpec, report: mpsc::Sender<Ended>) {
        let worker = self.clone();
        let span = info_span!("case", id = %record.id.0, revision = spec.revision);
        let job = async move {
            let (id, revision) = (record.id.clone(), spec.revision);
            let say = |outcome| {
                let ended = Ended { id: id.clone(), revision, outcome };
                let report = report.clone();
                // Nobody listens only after the daemon has given up waiting.
                async move { drop(report.send(ended).await) }
            };
            let outcome = match worker.process(&record, spec, || say(Outcome::Started)).await {
                Ok(Some(findings)) => Outcome::Done { findings },
                Ok(None) => Outcome::CutOff,
                Err(error) => outcome_of(&error, record.attempts),
            };
            worker.count(&outcome);
            say(outcome).await;
        };
        tokio::spawn(job.instrument(span));
    }

    /// The findings of the result; nothing when the daemon stops.
    async fn process<F: Future<Output = ()>>(
        &self,
        record: &CaseRecord,
        spec: CaseSpec,
        started: impl FnOnce() -> F,
    ) -> Result<Option<Vec<Finding>>, WorkError> {
        let Some(Some(place)) = self.stop.run_until_cancelled(self.budget.place()).await else { return Ok(None) };
        let config = self.live.config();
        let prepared = {
            let (store, spec, config) = (self.store.clone(), spec.clone(), Arc::clone(&config));
            blocking(move || Prepared::new(store, spec, config)).await?
        };
        let bytes = prepared.memory_bytes;
        let Some(Some(share)) = self.stop.run_until_cancelled(self.budget.memory(place, bytes)).await else {
            return Ok(None);
        };
        started().await;
        let (id, revision) = (record.id.clone(), spec.revision);
        let metrics = Arc::clone(&self.metrics);
        let findings = blocking(move || {
            let _share = share;
            prepared.run(&metrics)
        })
        .await?;
        handover::hand_over(&self.store, &config, &id, revision).await?;
        self.outbox_changed.notify_waiters();
        Ok(Some(findings.unwrap_or_else(|| record.findings.clone())))
    }

    fn count(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Done { findings } => {
                self.metrics.case_ended(CaseOutcome::Done);
                findings.iter().for_each(|finding| self.metrics.finding(finding.kind));
            }
            Outcome::Parked { findings, .. } => {
                self.metrics.case_ended(CaseOutcome::Parked);
                findings.iter().for_each(|finding| self.metrics.finding(finding.kind));
            }
            Outcome::Failed { .. } => self.metrics.case_ended(CaseOutcome::Failed),
            Outcome::Started | Outcome::Later { .. } | Outcome::CutOff => {}
        }
    }
}

/// Runs on a thread that may wait and compute; a panic there is an error here.
async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, WorkError> + Send + 'static,
) -> Result<T, WorkError> {
    // What it logs is about the case that it is run for.
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(run)).await.unwrap_or(Err(WorkError::Panic))
}

fn outcome_of(error: &WorkError, attempts: u32) -> Outcome {
    let reason = error.to_string();
    let findings = match error {
        WorkError::Pipeline(error) => error.findings().to_vec(),
        _ => Vec::new(),
    };
    match error.retry() {
        Retry::Now | Retry::Later if attempts + 1 < ATTEMPTS_MAX => {
            let pause = FIRST_PAUSE.saturating_mul(1 << attempts.min(16));
            Outcome::Later { reason, at: now().saturating_add(pause).unwrap_or(Timestamp::MAX) }
        }
        Retry::Never if matches!(error.fault(), Fault::Data | Fault::Config | Fault::Peer) => {
            Outcome::Parked { reason, findings }
        }
        _ => Outcome::Failed { reason },
    }
}

/// A job with everything that it needs from the store.
struct Prepared {
    store: Store,
    spec: CaseSpec,
    config: Arc<Config>,
    files: BTreeMap<Uid, SourceFile>,
    installation: String,
    previous: Vec<DocumentReference>,
    is_saved: bool,
    memory_bytes: u64,
}

impl Prepared {
    fn new(store: Store, spec: CaseSpec, config: Arc<Config>) -> Result<Self, WorkError> {
        let is_saved = store.result(&spec.id, spec.revision)?.is_some();
        let mut prepared = Self {
            installation: installation(store.directory()).map_err(WorkError::Installation)?,
            files: BTreeMap::new(),
            previous: Vec::new(),
            store,
            spec,
            config,
            is_saved,
            memory_bytes: 0,
        };
        if is_saved {
            return Ok(prepared);
        }
        prepared.files = files(&prepared.store, &prepared.spec)?;
        prepared.previous = previous(&prepared.store, &prepared.spec)?;
        prepared.memory_bytes = pipeline::estimate_memory(&prepared.job(now()))?;
        Ok(prepared)
    }

    fn job(&self, created_at: Timestamp) -> Job<'_> {
        Job {
            spec: &self.spec,
            config: &self.config,
            files: &self.files,
            installation: &self.installation,
            created_at,
            utc_offset_s: jiff::tz::TimeZone::system().to_offset(created_at).seconds(),
            previous: self.previous.clone(),
            keeps_images: handover::wanted(&self.config).shows_images(),
        }
    }

    /// The findings of the result; nothing when the revision was saved before.
    fn run(self, metrics: &Metrics) -> Result<Option<Vec<Finding>>, WorkError> {
        if self.is_saved {
            return Ok(None);
        }
        let mut result = pipeline::run(&self.job(now()), &|stage| info!(stage = stage.name(), "stage"))?;
        self.accumulate(&mut result, metrics)?;
        for timing in &result.timings {
            metrics.stage(&timing.stage, timing.seconds);
        }
        self.save(&result)?;
        let seconds: f64 = result.timings.iter().map(|timing| timing.seconds).sum();
        info!(seconds, lesions = result.lesions.len(), groups = result.groups.len(), "result saved");
        Ok(Some(result.findings))
    }

    /// Adds the case to the cohort, and looks at what the last patients of its scanners show. Done before the result is
    /// saved: a case that is cut off between the two is computed again, and writes the same row.
    fn accumulate(&self, result: &mut CaseResult, metrics: &Metrics) -> Result<(), WorkError> {
        let cohort = Cohort::of_storage(self.store.directory());
        let rules = table::batch_rules(self.config.batch.rules.as_deref()).unwrap_or_else(|error| {
            warn!(%error, "scanner names are cleaned by the built-in rules alone");
            BatchRules::built_in()
        });
        let row = CohortRow::of(result, &rules);
        // A result does not wait for what other cases left behind.
        if let Err(error) = self.look_for_changes(&cohort, &row, result) {
            warn!(%error, "what changed since earlier cases is not told");
        }
        cohort.put(&row)?;
        if let Err(error) = self.look_for_drift(&cohort, result, metrics) {
            warn!(%error, "drift of the scanners was not looked for");
        }
        Ok(())
    }

    /// What changed since earlier cases of the same lesions, by their newest results.
    fn look_for_changes(&self, cohort: &Cohort, row: &CohortRow, result: &mut CaseResult) -> Result<(), WorkError> {
        let mut earlier = Vec::new();
        for other in cohort.earlier(row)? {
            let Some(saved) = self.store.result(&CaseId(other.case), other.revision)? else { continue };
            let json = std::fs::read(&saved.report_json).map_err(WorkError::Earlier)?;
            earlier.push(Earlier::read(&json, &other.study_date)?);
        }
        result.changes = report::changes(result, &earlier);
        Ok(())
    }

    fn look_for_drift(&self, cohort: &Cohort, result: &mut CaseResult, metrics: &Metrics) -> Result<(), TableError> {
        let protocol = self.config.protocol(&result.protocol);
        let Some(name) = protocol.and_then(|protocol| protocol.harmonise.model.as_ref()) else { return Ok(()) };
        let models = ActiveModels::load(&ActiveModels::folder(self.store.directory()), name)?;
        let drifts = table::drift_of_cohort(&cohort.newest(DRIFT_ROWS)?, &models, &DriftSettings::default())?;
        for drift in &drifts {
            metrics.drift(&drift.role, &drift.drift.batch, drift.drift.mean, drift.drift.p);
            let of_this_case = result.images.iter().any(|image| image.role == drift.role);
            result.findings.extend(drift.finding().filter(|_| of_this_case));
        }
        Ok(())
    }

    fn save(&self, result: &CaseResult) -> Result<PathBuf, WorkError> {
        let documents = report::documents_wanted(result, &handover::wanted(&self.config))?;
        let features = report::features_csv(result)?;
        let json = serde_json::to_vec_pretty(&report::report_json(result))?;
        let saved =
            self.store.save_result(&self.spec.id, self.spec.revision, &documents, features.as_bytes(), &json)?;
        Ok(saved.report_json)
    }
}

/// Where every instance of a case is.
fn files(store: &Store, spec: &CaseSpec) -> Result<BTreeMap<Uid, SourceFile>, WorkError> {
    let mut files = BTreeMap::new();
    let mut n_gone = 0;
    for uid in spec.instances() {
        match store.instance(uid)? {
            Some(stored) => {
                let source = SourceFile { path: stored.path, digest: stored.digest, sop_class: stored.facts.sop_class };
                files.insert(uid.clone(), source);
            }
            None => n_gone += 1,
        }
    }
    if n_gone > 0 { Err(WorkError::Gone(n_gone)) } else { Ok(files) }
}

/// The documents of the newest revision before this one.
fn previous(store: &Store, spec: &CaseSpec) -> Result<Vec<DocumentReference>, WorkError> {
    for revision in (1..spec.revision).rev() {
        if let Some(saved) = store.result(&spec.id, revision)? {
            return Ok(saved.documents.into_iter().map(|document| document.reference).collect());
        }
    }
    Ok(Vec::new())
}

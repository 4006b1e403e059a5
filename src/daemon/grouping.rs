//! The loop around the grouping: new instances, retries, outcomes and time go in, case records and jobs come out.
//!
//! It is the only writer of case records. A record is durable before its job starts.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::correct::{self, Newest};
use super::settings::Live;
use super::withdraw::{self, Rejection};
use super::work::{Ended, Outcome, Worker};
use super::{DaemonError, notify, now};
use crate::audit::Audit;
use crate::case::{CaseChange, CaseId, CaseSettings, Grouper, ProtocolRules, Standing};
use crate::clock::Timestamp;
use crate::config::{Config, Protocol};
use crate::dicom::facts::InstanceFacts;
use crate::dicom::rejection::{self, RejectionReason};
use crate::dicom::uid::Uid;
use crate::http::Reject;
use crate::net::receive::NewInstance;
use crate::store::{CaseRecord, CaseState, Store, StoreError};

/// Instances that are taken from the queue at once.
const BATCH: usize = 512;
/// How long new instances gather before they are looked at: their series is waited for much longer.
const GATHERING: Duration = Duration::from_millis(20);
/// The loop turns at least this often: for the watchdog, and for retries whose time has come.
const TURN_EVERY: Duration = Duration::from_secs(2);
/// Outcomes on their way back.
const ENDED_MAX: usize = 64;

/// What the grouping hears of.
pub(super) struct Inbox {
    /// Stored just now.
    pub(super) new_instances: mpsc::Receiver<NewInstance>,
    /// Cases that a person wants tried again.
    pub(super) retries: mpsc::Receiver<CaseId>,
    /// Series that retention took out of the store.
    pub(super) removed: mpsc::Receiver<Vec<Uid>>,
    /// What an administrator rejects.
    pub(super) rejects: mpsc::Receiver<Reject>,
}

/// The grouping with everything that it writes to.
pub(super) struct Grouping {
    store: Store,
    live: Arc<Live>,
    worker: Worker,
    grouper: Grouper,
    /// Cases whose processing failed for now, by the time of the next attempt.
    later: BTreeMap<(Timestamp, CaseId), ()>,
    /// Cases that a worker has.
    running: HashSet<(CaseId, u32)>,
    ended: mpsc::Receiver<Ended>,
    report: mpsc::Sender<Ended>,
    audit: Audit,
}

/// What grouping goes by in one configuration.
fn rules(config: &Config) -> (CaseSettings, Vec<ProtocolRules>) {
    (config.case, config.protocols.iter().map(Protocol::rules).collect())
}

impl Grouping {
    /// Finds every case where the last process left it: known cases first, then every stored instance.
    pub(super) async fn replay(
        store: Store,
        live: Arc<Live>,
        worker: Worker,
        audit: Audit,
    ) -> Result<Self, DaemonError> {
        let (settings, protocols) = rules(&live.config());
        let (from, told) = (store.clone(), audit.clone());
        let replayed = tokio::task::spawn_blocking(move || replay(&from, settings, protocols, &told)).await;
        let (grouper, unfinished) =
            replayed.map_err(|_| DaemonError::Ended("the replay of the stored instances"))??;
        let (report, ended) = mpsc::channel(ENDED_MAX);
        let (later, running) = (BTreeMap::new(), HashSet::new());
        let mut grouping = Self { store, live, worker, grouper, later, running, ended, report, audit };
        for record in unfinished {
            match record.next_attempt_at {
                Some(at) => drop(grouping.later.insert((at, record.id), ())),
                None => grouping.start(record.id.clone(), record),
            }
        }
        Ok(grouping)
    }

    /// Groups until `stop`, then takes what is still in the queue, so that its cases are written down, and waits for the
    /// cases that run.
    pub(super) async fn run(mut self, inbox: Inbox, stop: CancellationToken) {
        let Inbox { mut new_instances, mut retries, mut removed, mut rejects } = inbox;
        let live = Arc::clone(&self.live);
        let mut batch = Vec::with_capacity(BATCH);
        self.turn().await;
        loop {
            let pause = self.pause();
            let reloaded = live.changed.notified();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.ended.recv() => self.note(ended).await,
                n = new_instances.recv_many(&mut batch, BATCH) => {
                    if n == 0 {
                        break;
                    }
                    self.take(&mut batch).await;
                    // Waking for every instance would cost its sender more than the grouping itself.
                    tokio::time::sleep(GATHERING).await;
                }
                Some(id) = retries.recv() => self.retry(id).await,
                Some(reject) = rejects.recv() => self.reject(reject).await,
                Some(series) = removed.recv() => {
                    series.iter().for_each(|series| self.grouper.remove_series(series));
                }
                () = reloaded => {
                    let (settings, protocols) = rules(&live.config());
                    self.grouper.reload(settings, protocols);
                }
                () = tokio::time::sleep(pause) => {}
            }
            self.turn().await;
            notify::alive();
        }
        new_instances.close();
        while new_instances.recv_many(&mut batch, BATCH).await > 0 {
            self.take(&mut batch).await;
        }
        self.record_all().await;
        self.worker.stop();
        while !self.running.is_empty() {
            let Some(ended) = self.ended.recv().await else { break };
            self.note(ended).await;
        }
    }

    /// New instances go to the grouping; a note that rejects others takes them out.
    async fn take(&mut self, batch: &mut Vec<NewInstance>) {
        let (mut notes, mut corrections) = (Vec::new(), Vec::new());
        for new in batch.drain(..) {
            if new.is_correction {
                corrections.push(new.facts);
                continue;
            }
            self.grouper.add(&new.facts, new.received_at);
            if rejection::may_reject(&new.facts.sop_class) {
                notes.push(new.facts.sop_instance);
            }
        }
        for note in notes {
            let store = self.store.clone();
            let read = self.blocking(move || Ok(store.instance(&note)?.as_ref().and_then(withdraw::read))).await;
            if let Some(Some(rejection)) = read {
                self.withdraw(rejection).await;
            }
        }
        if !corrections.is_empty() {
            self.correct(corrections).await;
        }
    }

    /// Groups anew what has another header now, and has every case made again that was made of it.
    async fn correct(&mut self, corrections: Vec<InstanceFacts>) {
        let series: BTreeSet<&Uid> = corrections.iter().map(|facts| &facts.series).collect();
        for series in series {
            self.regroup(series).await;
        }
        let store = self.store.clone();
        let cases = self.blocking(move || correct::cases_made_of(&store, corrections.iter())).await;
        for CaseRecord { id, .. } in cases.unwrap_or_default() {
            info!(case = %id.0, "a header was corrected: the case is made again");
            self.grouper.lapse(&id);
        }
    }

    /// Takes a series out of the grouping and adds it again as it is in the store.
    async fn regroup(&mut self, series: &Uid) {
        self.grouper.remove_series(series);
        let (store, series) = (self.store.clone(), series.clone());
        let left = self.blocking(move || store.instances_of_series(&series)).await;
        for instance in left.unwrap_or_default() {
            self.grouper.add(&instance.facts, instance.received_at);
        }
    }

    /// An administrator rejects something: notes about it are stored like those that a PACS sends.
    async fn reject(&mut self, reject: Reject) {
        let Reject { names, reason, answer } = reject;
        let (store, title) = (self.store.clone(), self.live.config().dicom.ae_title.as_str().to_owned());
        let stored = self.blocking(move || withdraw::store_notes(&store, &title, &names, reason)).await;
        let mut n_instances = 0;
        for rejection in stored.unwrap_or_default() {
            n_instances += self.withdraw(rejection).await;
        }
        // Whoever asked may have gone.
        let _ = answer.send(n_instances);
    }

    /// Takes what a note names out of the store, the grouping and the results: how many instances.
    async fn withdraw(&mut self, rejection: Rejection) -> usize {
        let (store, audit, reason) = (self.store.clone(), self.audit.clone(), rejection.note.reason);
        let taken = self.blocking(move || withdraw::take_out(&store, &rejection, &audit)).await;
        let Some(withdrawn) = taken else { return 0 };
        let n_instances = withdrawn.instances.len();
        if n_instances == 0 {
            return 0;
        }
        for series in withdrawn.series() {
            self.regroup(&series).await;
        }
        let store = self.store.clone();
        let records = self.blocking(move || withdraw::supersede_all(&store, &withdrawn, reason)).await;
        for record in records.unwrap_or_default() {
            let id = record.id.clone();
            if self.write(record).await {
                self.grouper.lapse(&id);
            }
        }
        self.worker.outbox_changed();
        n_instances
    }

    /// Asks the store on a thread that may wait for the disk; nothing where it refuses, which is logged.
    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Option<T> {
        match tokio::task::spawn_blocking(ask).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                error!(%error, "a withdrawal or correction could not be finished; it is tried again at the next start");
                None
            }
            Err(_) => None,
        }
    }

    fn pause(&self) -> Duration {
        let next = self.grouper.next_poll_at().into_iter().chain(self.later.keys().next().map(|(at, _)| *at)).min();
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now())).unwrap_or(Duration::ZERO);
        next.map_or(TURN_EVERY, until).clamp(Duration::from_millis(10), TURN_EVERY)
    }

    /// Writes down what changed and starts what is ready.
    async fn turn(&mut self) {
        for (id, record) in self.record_all().await {
            if record.state == CaseState::Ready {
                self.start(id, record);
            }
        }
        let at = now();
        while let Some(((due, id), ())) = self.later.first_key_value().map(|(key, ())| (key.clone(), ())) {
            if due > at {
                break;
            }
            self.later.pop_first();
            match self.read(&id).await {
                Some(record) if record.state == CaseState::Ready => self.start(id, record),
                _ => {}
            }
        }
    }

    async fn record_all(&mut self) -> Vec<(CaseId, CaseRecord)> {
        let at = now();
        let changes = self.grouper.poll(at);
        let mut written = Vec::new();
        for change in changes {
            let (id, store) = (change.id.clone(), self.store.clone());
            match tokio::task::spawn_blocking(move || record(&store, &change, at)).await {
                Ok(Ok(Some(record))) => written.push((id, record)),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => error!(case = %id.0, %error, "a case could not be written down"),
                Err(_) => error!(case = %id.0, "a case could not be written down"),
            }
        }
        written
    }

    fn start(&mut self, id: CaseId, record: CaseRecord) {
        let Some(spec) = record.spec.clone() else { return };
        if self.running.insert((id, spec.revision)) {
            self.worker.start(record, spec, self.report.clone());
        }
    }

    /// A person wants a case tried again.
    async fn retry(&mut self, id: CaseId) {
        let Some(mut record) = self.read(&id).await else { return };
        let (store, case) = (self.store.clone(), id.clone());
        match tokio::task::spawn_blocking(move || store.retry_deliveries(&case, now())).await {
            Ok(Ok(n)) if n > 0 => info!(case = %id.0, n, "given-up deliveries are tried again"),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => error!(case = %id.0, %error, "given-up deliveries could not be revived"),
            Err(_) => error!(case = %id.0, "given-up deliveries could not be revived"),
        }
        self.worker.outbox_changed();
        if !matches!(record.state, CaseState::Parked | CaseState::Failed) || record.spec.is_none() {
            return;
        }
        info!(case = %id.0, "tried again on request");
        record.state = CaseState::Ready;
        record.reason.clear();
        record.attempts = 0;
        record.next_attempt_at = None;
        if self.write(record.clone()).await {
            self.start(id, record);
        }
    }

    /// Writes down how a job ended, unless the case has moved on meanwhile.
    async fn note(&mut self, ended: Ended) {
        let Ended { id, revision, outcome } = ended;
        if !matches!(outcome, Outcome::Started) {
            self.running.remove(&(id.clone(), revision));
        }
        let Some(mut record) = self.read(&id).await else { return };
        let is_current =
            record.revision == revision && matches!(record.state, CaseState::Ready | CaseState::Processing);
        if !is_current {
            if record.lapsed && matches!(outcome, Outcome::Done { .. }) {
                // It was measured while its input was withdrawn: what came of it goes the same way.
                self.take_back(record).await;
            }
            return;
        }
        record.next_attempt_at = None;
        match outcome {
            Outcome::Started => record.state = CaseState::Processing,
            Outcome::Done { findings } => {
                record.state = CaseState::Done;
                record.reason.clear();
                record.findings = findings;
            }
            Outcome::Parked { reason, findings } => {
                warn!(case = %id.0, reason, "case parked");
                record.state = CaseState::Parked;
                record.reason = reason;
                record.findings.extend(findings);
            }
            Outcome::Failed { reason } => {
                error!(case = %id.0, reason, "case failed");
                record.state = CaseState::Failed;
                record.reason = reason;
            }
            Outcome::Later { reason, at } => {
                warn!(case = %id.0, reason, %at, "case is tried again later");
                record.state = CaseState::Ready;
                record.reason = reason;
                record.attempts += 1;
                record.next_attempt_at = Some(at);
                self.later.insert((at, id), ());
            }
            Outcome::CutOff => return,
        }
        self.write(record).await;
    }

    async fn take_back(&self, record: CaseRecord) {
        let store = self.store.clone();
        let taken = self.blocking(move || withdraw::supersede(&store, record, RejectionReason::Quality)).await;
        if let Some(record) = taken {
            self.write(record).await;
            self.worker.outbox_changed();
        }
    }

    async fn read(&self, id: &CaseId) -> Option<CaseRecord> {
        let (store, asked) = (self.store.clone(), id.clone());
        match tokio::task::spawn_blocking(move || store.case(&asked)).await {
            Ok(Ok(record)) => record,
            Ok(Err(error)) => {
                error!(case = %id.0, %error, "a case cannot be read");
                None
            }
            Err(_) => None,
        }
    }

    async fn write(&self, mut record: CaseRecord) -> bool {
        record.updated_at = now();
        let (store, id) = (self.store.clone(), record.id.clone());
        match tokio::task::spawn_blocking(move || store.put_case(&record)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                error!(case = %id.0, %error, "a case could not be written down");
                false
            }
            Err(_) => false,
        }
    }
}

/// The grouping as it was, and the cases whose processing did not end. Of those the grouping says nothing by itself: they
/// were handed out before.
fn replay(
    store: &Store,
    settings: CaseSettings,
    protocols: Vec<ProtocolRules>,
    audit: &Audit,
) -> Result<(Grouper, Vec<CaseRecord>), StoreError> {
    withdraw::again(store, audit)?;
    let mut grouper = Grouper::new(settings, protocols);
    let (mut unfinished, mut lapsed) = (Vec::new(), Vec::new());
    let mut newest = Newest::default();
    let cases = store.cases()?;
    for bare in &cases {
        let Some(record) = store.case(&bare.id)? else { continue };
        grouper.remember(record.id.clone(), record.created_at, record.spec.clone());
        if record.lapsed {
            lapsed.push(record.id.clone());
        }
        if matches!(record.state, CaseState::Ready | CaseState::Processing) {
            unfinished.push(record);
        }
    }
    store.for_each_instance(&mut |instance| {
        newest.add(&instance.facts.series, instance.received_at);
        grouper.add(&instance.facts, instance.received_at);
    })?;
    for bare in cases.iter().filter(|bare| !bare.lapsed && newest.may_be_corrected(bare)) {
        let Some(record) = store.case(&bare.id)? else { continue };
        if newest.is_corrected(store, &record)? {
            lapsed.push(record.id);
        }
    }
    lapsed.iter().for_each(|id| grouper.lapse(id));
    Ok((grouper, unfinished))
}

/// Brings the record of a case into agreement with what grouping says; the record where something has to be done or was
/// written, nothing where all is as it was.
fn record(store: &Store, change: &CaseChange, at: Timestamp) -> Result<Option<CaseRecord>, StoreError> {
    let old = store.case(&change.id)?;
    let Some(new) = merged(old.as_ref(), change, at) else { return Ok(None) };
    if old.as_ref() != Some(&new) {
        store.put_case(&new)?;
        let standing = new.state.name();
        info!(case = %new.id.0, protocol = new.protocol, revision = new.revision, standing, reason = new.reason, "case");
        for finding in &new.findings {
            if old.as_ref().is_none_or(|old| !old.findings.contains(finding)) {
                info!(case = %new.id.0, %finding, "finding");
            }
        }
    }
    Ok(Some(new))
}

/// The record after a change; nothing where the case stands where the change would put it.
fn merged(old: Option<&CaseRecord>, change: &CaseChange, at: Timestamp) -> Option<CaseRecord> {
    let ended = |record: &CaseRecord| !record.state.is_open();
    let base = |state, revision, spec, reason: &str| CaseRecord {
        id: change.id.clone(),
        state,
        protocol: change.protocol.clone(),
        revision,
        series: sorted(&change.series),
        reason: reason.to_owned(),
        findings: change.findings.clone(),
        attempts: 0,
        next_attempt_at: None,
        lapsed: false,
        handed_at: old.and_then(|old| old.handed_at),
        created_at: change.created_at,
        updated_at: at,
        spec,
    };
    let (revision, spec) = old.map_or((0, None), |old| (old.revision, old.spec.clone()));
    let new = match &change.standing {
        // What was measured stays measured while something more is waited for.
        Standing::Collecting { waits_for } => CaseRecord {
            lapsed: old.is_some_and(|old| old.lapsed),
            ..base(CaseState::Collecting, revision, spec, waits_for)
        },
        Standing::Parked { reason } => {
            CaseRecord { lapsed: old.is_some_and(|old| old.lapsed), ..base(CaseState::Parked, revision, spec, reason) }
        }
        Standing::Ready(ready) => match old {
            Some(old) if old.spec.as_ref() == Some(ready) && ended(old) => return None,
            Some(old) if old.spec.as_ref() == Some(ready) && old.state != CaseState::Collecting => {
                return Some(CaseRecord { state: CaseState::Ready, ..old.clone() });
            }
            _ => CaseRecord {
                handed_at: Some(at),
                ..base(CaseState::Ready, ready.revision, Some((**ready).clone()), "")
            },
        },
    };
    let same = old.is_some_and(|old| CaseRecord { updated_at: old.updated_at, ..new.clone() } == *old);
    if same { old.cloned().filter(|record| record.state == CaseState::Ready) } else { Some(new) }
}

fn sorted(series: &[Uid]) -> Vec<Uid> {
    let mut series = series.to_vec();
    series.sort_unstable();
    series.dedup();
    series
}

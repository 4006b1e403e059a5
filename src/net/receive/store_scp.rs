//! C-STORE as SCP (PS3.4 annex B, PS3.7 9.1.1): the data set goes to the store as it comes, success is answered when the
//! file and its name are durable.
//!
//! An object is written by a thread of its own, fed through a short queue in batches of a quarter of a megabyte: waking
//! a thread costs as much as writing a tenth of that. At most three batches are on their way, whatever the size of the
//! object. When the queue is dropped without its end, so is the half-written file.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use super::file_meta::file_meta;
use super::negotiate::Context;
use super::node::{NewInstance, Node, count};
use crate::clock;
use crate::dicom::facts::{self, FactsError, InstanceFacts};
use crate::dicom::part10::FormatError;
use crate::dicom::uid::Uid;
use crate::net::dimse::{Response, StoreRq};
use crate::net::settings::{Caller, Corrections, NodeSettings};
use crate::net::{AeTitle, Status};
use crate::store::{Incoming, Origin, Store, StoreError, Stored};

/// What is gathered before the writing thread is woken.
const BATCH_BYTES: usize = 256 << 10;
/// A peer that cuts its object into crumbs does not make the list of them larger than what it lists.
const BATCH_PIECES: usize = 64;
/// Batches that wait for the disk, beside the one that is gathered and the one that is written.
const QUEUE_BATCHES: usize = 1;
/// How long the grouping may be too busy to hear of a new instance before the sender is told to come again.
const GROUPING_PATIENCE: Duration = Duration::from_secs(30);

/// Who sends, and over what.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The calling AE title.
    pub title: AeTitle,
    /// Where it calls from.
    pub address: std::net::IpAddr,
}

/// The end of an object's way to the disk.
#[derive(Debug)]
pub struct Feed {
    way: Way,
    held: Vec<Bytes>,
    held_bytes: usize,
}

#[derive(Debug)]
enum Way {
    /// No thread writes yet.
    Before(Box<Job>),
    Writing(mpsc::Sender<Batch>),
}

/// Pieces of a data set, in their order.
#[derive(Debug)]
struct Batch {
    pieces: Vec<Bytes>,
    /// All is there with it.
    is_last: bool,
}

/// The jobs of an association.
pub type Jobs = JoinSet<Option<Outcome>>;

/// What is answered to a C-STORE-RQ.
#[derive(Debug)]
pub struct Outcome {
    /// The response.
    pub response: Response,
    /// The facts of the object, where it is stored.
    pub stored: Option<Box<InstanceFacts>>,
}

impl Feed {
    /// Takes a piece; waits while the disk is behind.
    pub async fn push(&mut self, bytes: Bytes, jobs: &mut Jobs) {
        self.held_bytes += bytes.len();
        self.held.push(bytes);
        if BATCH_BYTES <= self.held_bytes || BATCH_PIECES <= self.held.len() {
            self.hand_over(false, jobs).await;
        }
    }

    /// Whether pieces wait for more.
    pub const fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Lets go what is held: a peer that stopped in the middle of an object holds no memory.
    pub async fn flush(&mut self, jobs: &mut Jobs) {
        self.hand_over(false, jobs).await;
    }

    /// All is there: the object can be made durable.
    pub async fn end(mut self, jobs: &mut Jobs) {
        self.hand_over(true, jobs).await;
    }

    async fn hand_over(&mut self, is_last: bool, jobs: &mut Jobs) {
        let batch = Batch { pieces: std::mem::take(&mut self.held), is_last };
        self.held_bytes = 0;
        if let Way::Writing(queue) = &self.way {
            // A writer that is gone has its outcome ready: the rest of the data set means nothing any more.
            let _ = queue.send(batch).await;
            return;
        }
        let (sender, queue) = mpsc::channel(QUEUE_BATCHES);
        if let Way::Before(job) = std::mem::replace(&mut self.way, Way::Writing(sender)) {
            jobs.spawn_blocking(move || job.run(batch, queue));
        }
    }
}

/// What is wrong with a request before any data came, if anything.
pub fn precheck(
    settings: &NodeSettings,
    context: &Context,
    sender: &Sender,
    rq: &StoreRq,
) -> Result<(Uid, Uid), Failure> {
    if matches!(settings.caller(&sender.title, sender.address), Caller::Refused) {
        return Err(Failure::new(Status::NOT_AUTHORISED, "the peer may not send any more"));
    }
    let sop_class = checked_uid(rq.sop_class.as_deref(), "Affected SOP Class UID")?;
    if sop_class != context.abstract_syntax {
        let comment = "SOP class is not that of the presentation context";
        return Err(Failure::new(Status::SOP_CLASS_NOT_SUPPORTED, comment));
    }
    let sop_instance = checked_uid(rq.sop_instance.as_deref(), "Affected SOP Instance UID")?;
    Ok((sop_class, sop_instance))
}

fn checked_uid(text: Option<&str>, name: &str) -> Result<Uid, Failure> {
    let Some(text) = text else {
        return Err(Failure::new(Status::CANNOT_UNDERSTAND, format!("{name} is absent")));
    };
    Uid::parse(text).map_err(|_| Failure::new(Status::CANNOT_UNDERSTAND, format!("{name} is malformed")))
}

/// Why an object was not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    status: Status,
    comment: String,
}

impl Failure {
    fn new(status: Status, comment: impl Into<String>) -> Self {
        Self { status, comment: comment.into() }
    }

    /// The answer.
    pub fn outcome(self, rq: &StoreRq) -> Outcome {
        let response = Response::new(rq.message_id, self.status)
            .about(rq.sop_class.as_deref(), rq.sop_instance.as_deref())
            .with_comment(self.comment);
        Outcome { response, stored: None }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_out_of_space() {
            return Self::new(Status::OUT_OF_RESOURCES, "out of space");
        }
        error!(%error, "an instance could not be stored");
        Self::new(Status::PROCESSING_FAILURE, "the instance could not be stored")
    }
}

impl From<FactsError> for Failure {
    fn from(error: FactsError) -> Self {
        if let FactsError::Format(FormatError::Io(error)) = &error {
            error!(%error, "a received instance could not be read again");
            return Self::new(Status::PROCESSING_FAILURE, "the instance could not be read again");
        }
        match error.tag() {
            Some(tag) => Self::new(Status::CANNOT_UNDERSTAND, format!("{tag} is absent or malformed")),
            None => Self::new(Status::CANNOT_UNDERSTAND, "the data set cannot be read"),
        }
    }
}

/// Begins to receive the data set of a request. Its outcome comes out of the jobs after [`Feed::end`], or never when the
/// feed is dropped before.
pub fn begin(node: &Arc<Node>, context: &Context, sender: &Sender, rq: StoreRq) -> Feed {
    let job = Job {
        begun: Instant::now(),
        settings: node.settings(),
        node: Arc::clone(node),
        context: context.clone(),
        sender: sender.clone(),
        rq,
    };
    Feed { way: Way::Before(Box::new(job)), held: Vec::new(), held_bytes: 0 }
}

#[derive(Debug)]
struct Job {
    begun: Instant,
    node: Arc<Node>,
    settings: Arc<NodeSettings>,
    context: Context,
    sender: Sender,
    rq: StoreRq,
}

/// The batches of one data set, until its last or until the feed is dropped.
struct Batches {
    next: Option<Batch>,
    queue: mpsc::Receiver<Batch>,
}

impl Batches {
    fn next(&mut self) -> Option<Batch> {
        let batch = self.next.take().or_else(|| self.queue.blocking_recv());
        if batch.as_ref().is_some_and(|batch| batch.is_last) {
            self.queue.close();
        }
        batch
    }

    /// Whether the data set came to its end.
    fn drain(&mut self) -> bool {
        while let Some(batch) = self.next() {
            if batch.is_last {
                return true;
            }
        }
        false
    }
}

impl Job {
    /// Nothing when the data set did not come to its end: nobody waits for an answer then.
    fn run(&self, first: Batch, queue: mpsc::Receiver<Batch>) -> Option<Outcome> {
        let mut batches = Batches { next: Some(first), queue };
        let outcome = match self.receive(&mut batches) {
            Ok(Some(incoming)) => self.keep(incoming),
            Ok(None) => return None,
            // The rest of the data set has to be read all the same: the answer comes after its end.
            Err(failure) => {
                if !batches.drain() {
                    return None;
                }
                Err(failure)
            }
        };
        let hash = self.rq.sop_instance.as_deref().and_then(|uid| Uid::parse(uid).ok()).map(|uid| uid.short_hash());
        let counters = &self.node.counters;
        Some(match outcome {
            Ok((stored, facts)) => {
                count(match stored {
                    Stored::New => &counters.stored,
                    Stored::Corrected => &counters.corrected,
                    Stored::Duplicate | Stored::Refused | Stored::Conflict => &counters.duplicates,
                });
                match stored {
                    Stored::Refused => {
                        info!(peer = %self.sender.title, instance = hash, "an instance that was rejected came again");
                    }
                    Stored::Corrected => info!(peer = %self.sender.title, instance = hash, "a header was corrected"),
                    Stored::New | Stored::Duplicate | Stored::Conflict => {}
                }
                let took_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                debug!(peer = %self.sender.title, instance = hash, ?stored, took_ms, "instance stored");
                let response = Response::new(self.rq.message_id, Status::SUCCESS)
                    .about(self.rq.sop_class.as_deref(), self.rq.sop_instance.as_deref());
                Outcome { response, stored: Some(Box::new(facts)) }
            }
            Err(failure) => {
                count(&counters.failed);
                warn!(
                    peer = %self.sender.title, instance = hash, status = %failure.status, reason = failure.comment,
                    "instance not stored"
                );
                failure.outcome(&self.rq)
            }
        })
    }

    /// The whole object in its temporary file; nothing when it did not come to its end.
    fn receive(&self, batches: &mut Batches) -> Result<Option<Incoming>, Failure> {
        let (sop_class, sop_instance) = precheck(&self.settings, &self.context, &self.sender, &self.rq)?;
        let mut incoming = Store::begin(&self.node.store)?;
        incoming.write_meta(&file_meta(&self.context, &sop_class, &sop_instance, &self.sender.title))?;
        while let Some(batch) = batches.next() {
            incoming.write_all(&batch.pieces)?;
            if batch.is_last {
                return Ok(Some(incoming));
            }
        }
        Ok(None)
    }

    fn keep(&self, mut incoming: Incoming) -> Result<(Stored, InstanceFacts), Failure> {
        let size = incoming.size();
        let facts = facts::read(incoming.finish()?, &self.settings.match_keywords)?;
        self.same_as_command(&facts)?;
        let place = self.place_at_grouping()?;
        let received_at = clock::now();
        let calling_ae = self.sender.title.to_string();
        let may_correct = match self.settings.caller(&self.sender.title, self.sender.address) {
            Caller::Peer(peer) => peer.corrections == Corrections::Replace,
            Caller::Unknown | Caller::Refused => false,
        };
        let origin = Origin { calling_ae: calling_ae.clone(), received_at, may_correct };
        let stored = incoming.commit(facts.clone(), origin)?;
        self.node.counters.received_bytes.fetch_add(size, Ordering::Relaxed);
        match stored {
            Stored::New | Stored::Corrected => {
                // Nobody listens while the daemon stops: the next start finds the instance in the index.
                if self.settings.peers.iter().any(|peer| peer.retrieve) {
                    self.node.wishes.add(&facts, &calling_ae, self.settings.retrieve_after);
                }
                let is_correction = stored == Stored::Corrected;
                let new = NewInstance { facts: facts.clone(), received_at, calling_ae, is_correction };
                place.map(|place| place.send(new));
                Ok((stored, facts))
            }
            Stored::Duplicate | Stored::Refused => Ok((stored, facts)),
            Stored::Conflict => {
                count(&self.node.counters.conflicts);
                let comment = "other content is stored under this UID; kept aside";
                Err(Failure::new(Status::DUPLICATE_SOP_INSTANCE, comment))
            }
        }
    }

    fn same_as_command(&self, facts: &InstanceFacts) -> Result<(), Failure> {
        let differs = |uid: &Uid, named: Option<&str>| named.map(Uid::parse) != Some(Ok(uid.clone()));
        if differs(&facts.sop_class, self.rq.sop_class.as_deref()) {
            return Err(Failure::new(Status::DATA_SET_MISMATCH, "the data set is of another SOP class"));
        }
        if differs(&facts.sop_instance, self.rq.sop_instance.as_deref()) {
            return Err(Failure::new(Status::DATA_SET_MISMATCH, "the data set has another SOP instance UID"));
        }
        Ok(())
    }

    /// Room for one more message to the grouping, before success can be claimed; nothing when nobody listens any more.
    fn place_at_grouping(&self) -> Result<Option<mpsc::OwnedPermit<NewInstance>>, Failure> {
        match self.node.on_stored.clone().try_reserve_owned() {
            Ok(place) => return Ok(Some(place)),
            Err(mpsc::error::TrySendError::Closed(_)) => return Ok(None),
            Err(mpsc::error::TrySendError::Full(_)) => {}
        }
        let place = self.node.on_stored.clone().reserve_owned();
        match Handle::current().block_on(async { tokio::time::timeout(GROUPING_PATIENCE, place).await }) {
            Ok(place) => Ok(place.ok()),
            Err(_) => Err(Failure::new(Status::OUT_OF_RESOURCES, "too busy, try again")),
        }
    }
}

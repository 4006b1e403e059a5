//! C-STORE as SCP (PS3.4 annex B, PS3.7 9.1.1): the data set goes to the store as it comes, success is answered when the
//! file and its name are durable.
//!
//! Everything here waits for the disk and is called on the association's own thread. No more of an object is in memory
//! than the piece that was read last. When it is dropped before its end, so is the half-written file.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
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
use crate::store::{Incoming, Origin, StoreError, Stored};

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

/// What is answered to a C-STORE-RQ.
#[derive(Debug)]
pub struct Outcome {
    /// The response.
    pub response: Response,
    /// The facts of the object, where it is stored.
    pub stored: Option<Box<InstanceFacts>>,
}

/// Room for one more message to the grouping; nothing when nobody listens any more.
pub type PlaceAtGrouping = Option<mpsc::OwnedPermit<NewInstance>>;

/// Waits for room at the grouping, before success can be claimed.
pub async fn place_at_grouping(node: &Node) -> Result<PlaceAtGrouping, Failure> {
    match node.on_stored.clone().try_reserve_owned() {
        Ok(place) => return Ok(Some(place)),
        Err(mpsc::error::TrySendError::Closed(_)) => return Ok(None),
        Err(mpsc::error::TrySendError::Full(_)) => {}
    }
    match tokio::time::timeout(GROUPING_PATIENCE, node.on_stored.clone().reserve_owned()).await {
        Ok(place) => Ok(place.ok()),
        Err(_) => Err(Failure::new(Status::OUT_OF_RESOURCES, "too busy, try again")),
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

/// An object that is being received.
#[derive(Debug)]
pub struct Object {
    request: Request,
    /// What is there of it, or why it is not taken: the rest of the data set has to be read all the same, because the
    /// answer comes after its end.
    taken: Result<Incoming, Failure>,
}

#[derive(Debug)]
struct Request {
    begun: Instant,
    node: Arc<Node>,
    settings: Arc<NodeSettings>,
    sender: Sender,
    rq: StoreRq,
}

impl Object {
    /// Begins to receive the data set of a request.
    pub fn begin(node: &Arc<Node>, context: &Context, sender: &Sender, rq: StoreRq) -> Self {
        let settings = node.settings();
        let taken = precheck(&settings, context, sender, &rq).and_then(|(sop_class, sop_instance)| {
            let mut incoming = node.store.begin()?;
            incoming.write_meta(&file_meta(context, &sop_class, &sop_instance, &sender.title))?;
            Ok(incoming)
        });
        let (node, sender) = (Arc::clone(node), sender.clone());
        Self { request: Request { begun: Instant::now(), node, settings, sender, rq }, taken }
    }

    /// Takes a piece of the data set.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Ok(incoming) = &mut self.taken
            && let Err(error) = incoming.write(bytes)
        {
            self.taken = Err(error.into());
        }
    }

    /// Takes the last piece and makes the whole durable, or says why not.
    pub fn end(self, last: &[u8], place: Result<PlaceAtGrouping, Failure>) -> Outcome {
        let Self { request, taken } = self;
        let outcome = taken.and_then(|mut incoming| {
            incoming.write_last(last)?;
            request.keep(incoming, place)
        });
        request.answer(outcome)
    }
}

impl Request {
    fn answer(&self, outcome: Result<(Stored, InstanceFacts), Failure>) -> Outcome {
        let uid = self.rq.sop_instance.as_deref();
        let instance = || uid.and_then(|uid| Uid::parse(uid).ok()).map(|uid| uid.short_hash());
        let (peer, counters) = (&self.sender.title, &self.node.counters);
        match outcome {
            Ok((stored, facts)) => {
                count(match stored {
                    Stored::New => &counters.stored,
                    Stored::Corrected => &counters.corrected,
                    Stored::Duplicate | Stored::Refused | Stored::Conflict => &counters.duplicates,
                });
                match stored {
                    Stored::Refused => {
                        info!(%peer, instance = instance(), "an instance that was rejected came again");
                    }
                    Stored::Corrected => info!(%peer, instance = instance(), "a header was corrected"),
                    Stored::New | Stored::Duplicate | Stored::Conflict => {}
                }
                let took_ms = || u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                debug!(%peer, instance = instance(), ?stored, took_ms = took_ms(), "instance stored");
                let response = Response::new(self.rq.message_id, Status::SUCCESS)
                    .about(self.rq.sop_class.as_deref(), self.rq.sop_instance.as_deref());
                Outcome { response, stored: Some(Box::new(facts)) }
            }
            Err(failure) => {
                count(&counters.failed);
                let (status, reason) = (failure.status, failure.comment.as_str());
                warn!(%peer, instance = instance(), %status, reason, "instance not stored");
                failure.outcome(&self.rq)
            }
        }
    }

    fn keep(
        &self,
        incoming: Incoming,
        place: Result<PlaceAtGrouping, Failure>,
    ) -> Result<(Stored, InstanceFacts), Failure> {
        let size = incoming.size();
        let facts = facts::from_reader(incoming.reader(), size, &self.settings.match_keywords)?;
        self.same_as_command(&facts)?;
        let place = place?;
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
}

//! Retention: inputs go some time after they have done their duty.
//!
//! A series goes as a whole, and only when every case that it belongs to lets it go:
//!
//! | its case | goes after |
//! |---|---|
//! | collecting, ready, processing | never |
//! | done, every document sent to every destination | `retention` |
//! | done, something still pending | never; given up: `parked_retention` |
//! | parked or failed | `parked_retention` |
//! | none | `parked_retention` |
//!
//! counted from the last change of the case and the last instance of the series, whichever is later. A series with an
//! instance that we committed to keep (PS3.4 annex J) never goes. Results, case records and the outbox stay.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::Store;
use super::cases::{CaseRecord, CaseState};
use super::compare::for_each_file;
use super::error::StoreError;
use super::outbox::{DeliveryState, OutboxEntry};
use super::record::StoredInstance;
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;

/// What [`Store::expire`] removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expired {
    /// Series.
    pub series: Vec<Uid>,
    /// Their instances, and files that were kept aside.
    pub files: u64,
    /// The bytes of all these.
    pub bytes: u64,
}

/// How long a series stays after its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    ForEver,
    For(Duration),
}

impl Store {
    /// Removes what is older than the retention that applies to it.
    ///
    /// # Errors
    /// When the index or the file system refuses; what was removed until then stays removed.
    pub fn expire(
        &self,
        now: Timestamp,
        retention: Duration,
        parked_retention: Duration,
    ) -> Result<Expired, StoreError> {
        let mut all = Vec::new();
        self.index()?.for_each_series(&mut |series| {
            all.push(series);
            Ok(())
        })?;
        let mut expired = Expired::default();
        let mut known = self.cases_by_series()?;
        let is_expired = |known: &Known, series: &Uid| -> Result<Option<Vec<StoredInstance>>, StoreError> {
            let instances = self.instances_of_series(series)?;
            let cases = known.of.get(series).map_or(&[][..], Vec::as_slice);
            Ok(self.is_expired(now, retention, parked_retention, cases, &instances)?.then_some(instances))
        };
        for series in all {
            if is_expired(&known, &series)?.is_none() {
                continue;
            }
            // Once more, while nothing is received and no case changes.
            let _alone = self.inner.gate.write().unwrap_or_else(PoisonError::into_inner);
            if known.generation != self.inner.cases_generation.load(Ordering::Acquire) {
                known = self.cases_by_series()?;
            }
            if let Some(instances) = is_expired(&known, &series)? {
                self.remove_series(&instances, &mut expired)?;
            }
        }
        let layout = &self.inner.layout;
        for directory in [layout.conflicts(), layout.withdrawn_instances(), layout.damaged()] {
            remove_older(&directory, now, parked_retention, &mut expired)?;
        }
        Ok(expired)
    }

    fn is_expired(
        &self,
        now: Timestamp,
        retention: Duration,
        parked_retention: Duration,
        cases: &[CaseRecord],
        instances: &[StoredInstance],
    ) -> Result<bool, StoreError> {
        let Some(newest) = instances.iter().map(|instance| instance.received_at).max() else { return Ok(false) };
        let index = self.index()?;
        for instance in instances {
            if index.is_committed(&instance.facts.sop_instance)? {
                return Ok(false);
            }
        }
        if cases.is_empty() {
            return Ok(is_older(now, newest, parked_retention));
        }
        for case in cases {
            match self.keep(case, retention, parked_retention)? {
                Keep::ForEver => return Ok(false),
                Keep::For(time) if !is_older(now, newest.max(case.updated_at), time) => return Ok(false),
                Keep::For(_) => {}
            }
        }
        Ok(true)
    }

    fn keep(&self, case: &CaseRecord, retention: Duration, parked: Duration) -> Result<Keep, StoreError> {
        if case.state.is_open() {
            return Ok(Keep::ForEver);
        }
        if case.state != CaseState::Done {
            return Ok(Keep::For(parked));
        }
        let deliveries = self.deliveries(&case.id, case.revision)?;
        let any = |state| deliveries.iter().any(|entry| entry.state == state);
        Ok(if deliveries.iter().any(OutboxEntry::is_open) {
            Keep::ForEver
        } else if any(DeliveryState::GivenUp) {
            Keep::For(parked)
        } else {
            Keep::For(retention)
        })
    }

    /// Index first: an entry without a file would be an error for whoever reads it, a file without an entry is found at
    /// the next start.
    fn remove_series(&self, instances: &[StoredInstance], expired: &mut Expired) -> Result<(), StoreError> {
        let index = self.index()?;
        for instance in instances {
            index.remove(&instance.facts.sop_instance)?;
            self.inner.count_removed(instance.size);
            match fs::remove_file(&instance.path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("removing an expired instance")(error)),
            }
            expired.files += 1;
            expired.bytes += instance.size;
        }
        expired.series.extend(instances.first().map(|instance| instance.facts.series.clone()));
        self.remove_empty_directories(instances.first().and_then(|instance| instance.path.parent()))
    }

    /// Removes a series' directory and its study's, where nothing is left in them.
    pub(super) fn remove_empty_directories(&self, series: Option<&Path>) -> Result<(), StoreError> {
        let mut directory = series.filter(|series| series.is_dir());
        if let Some(directory) = directory {
            // What came back after a power cut would look like a series that lost its other half.
            self.inner.disk.sync_directory(directory)?;
        }
        for _ in ["series", "study"] {
            let Some(path) = directory else { break };
            self.inner.disk.forget(path);
            if fs::remove_dir(path).is_err() {
                break;
            }
            directory = path.parent();
        }
        Ok(())
    }

    fn cases_by_series(&self) -> Result<Known, StoreError> {
        let generation = self.inner.cases_generation.load(Ordering::Acquire);
        let mut of: HashMap<Uid, Vec<CaseRecord>> = HashMap::new();
        for case in self.cases()? {
            for series in &case.series {
                of.entry(series.clone()).or_default().push(case.clone());
            }
        }
        Ok(Known { generation, of })
    }
}

/// The cases of each series, as of one generation of the case records.
struct Known {
    generation: u64,
    of: HashMap<Uid, Vec<CaseRecord>>,
}

fn is_older(now: Timestamp, then: Timestamp, than: Duration) -> bool {
    // A time that cannot be reached is never over.
    then.checked_add(than).is_ok_and(|end| end <= now)
}

fn remove_older(directory: &Path, now: Timestamp, than: Duration, expired: &mut Expired) -> Result<(), StoreError> {
    let mut remove = |path: &Path| {
        let metadata = fs::symlink_metadata(path).map_err(StoreError::io("reading a file's date"))?;
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let modified = Timestamp::try_from(modified).unwrap_or(Timestamp::MIN);
        if metadata.is_file() && is_older(now, modified, than) {
            fs::remove_file(path).map_err(StoreError::io("removing an expired file"))?;
            expired.files += 1;
            expired.bytes += metadata.len();
        }
        Ok(())
    };
    for_each_file(directory, &mut remove)?;
    for entry in fs::read_dir(directory).map_err(StoreError::io("listing what was kept aside"))? {
        remove(&entry.map_err(StoreError::io("listing what was kept aside"))?.path())?;
    }
    Ok(())
}

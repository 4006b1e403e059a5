//! The index: what is stored, by instance, by series and in the order of receipt; and the cases.
//!
//! The only place that knows the engine. sled 0.34's `flush` is no fsync on Linux (it calls `sync_file_range`), so
//! nothing here is ever the only copy of anything: each entry can be made again from the files, and [`Index::sync`]
//! syncs the engine's file itself. The engine may panic on files that it finds torn, so it is opened under a guard.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sled::{Config, Db, Mode, Tree};

use super::disk::{rename, sync_now};
use super::error::StoreError;
use super::layout::Layout;
use super::record::{Record, StoredInstance};
use crate::case::CaseId;
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;

/// The engine's page cache.
const CACHE_BYTES: u64 = 16 << 20;

/// What is done with each record, given its raw key.
pub(super) type VisitRecord<'a> = dyn FnMut(&[u8], Result<Record, StoreError>) -> Result<(), StoreError> + 'a;

const FACTS_VERSION: &str = "facts_version";

/// An open index.
#[derive(Debug)]
pub(super) struct Index {
    /// SOP Instance UID -> [`Record`].
    instances: Tree,
    /// Series UID, 0, SOP Instance UID -> nothing.
    series: Tree,
    /// Time of receipt (nanoseconds, big endian, offset so that it sorts), SOP Instance UID -> size of the file.
    order: Tree,
    /// Case id -> case record without its specification.
    cases: Tree,
    /// Case id -> its specification.
    specs: Tree,
    /// SOP Instance UIDs of what we committed to keep -> nothing.
    committed: Tree,
    db: Db,
    directory: PathBuf,
}

impl Index {
    /// Opens the index at a path, or says why not; never panics.
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let opened = catch_unwind(AssertUnwindSafe(|| -> sled::Result<Self> {
            let db = Config::new()
                .path(directory)
                .mode(Mode::LowSpace)
                .cache_capacity(CACHE_BYTES)
                // Its timer syncs in the middle of our own syncs; `sync` is called by the checkpoint instead.
                .flush_every_ms(None)
                .open()?;
            let index = Self {
                instances: db.open_tree("instances")?,
                series: db.open_tree("series")?,
                order: db.open_tree("order")?,
                cases: db.open_tree("cases")?,
                specs: db.open_tree("specs")?,
                committed: db.open_tree("committed")?,
                db,
                directory: directory.to_owned(),
            };
            // A first read reaches the pages that a torn file lacks.
            for tree in [&index.instances, &index.series, &index.order, &index.cases, &index.specs, &index.committed] {
                tree.first()?;
                tree.last()?;
            }
            Ok(index)
        }));
        match opened {
            Ok(Ok(index)) => Ok(index),
            Ok(Err(error)) => Err(engine("opening")(error)),
            Err(_) => Err(StoreError::Index { doing: "opening", reason: "the engine panicked".to_owned() }),
        }
    }

    /// Moves the engine's snapshot files out of its way: it rebuilds them from its log. How many there were.
    pub(super) fn set_snapshots_aside(directory: &Path) -> Result<usize, StoreError> {
        let mut moved = 0;
        let Ok(entries) = fs::read_dir(directory) else { return Ok(0) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| name.starts_with("snap.")) else { continue };
            rename(&entry.path(), &directory.join(format!("aside.{name}")))
                .map_err(StoreError::io("moving a snapshot of the index aside"))?;
            moved += 1;
        }
        Ok(moved)
    }

    /// Writes everything out and syncs the engine's files.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(engine("flushing"))?;
        sync_now(&self.directory.join("db"))?;
        sync_now(&self.directory)
    }

    /// Which reader of facts filled the index, as [`set_facts_version`](Self::set_facts_version) left it.
    pub(super) fn facts_version(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(FACTS_VERSION).map_err(engine("reading"))?.map(|value| value.to_vec()))
    }

    /// Notes which reader of facts filled the index.
    pub(super) fn set_facts_version(&self, version: &[u8]) -> Result<(), StoreError> {
        self.db.insert(FACTS_VERSION, version).map(drop).map_err(engine("writing"))
    }

    /// Adds or replaces one instance. The record itself goes in last: what is found under its UID is complete.
    pub(super) fn insert(&self, record: &Record) -> Result<(), StoreError> {
        let uid = &record.facts.sop_instance;
        if let Some(old) = self.record(uid)? {
            self.remove_secondary(&old)?;
        }
        let value = serde_json::to_vec(record).map_err(StoreError::damaged("an index record"))?;
        self.series.insert(series_key(&record.facts.series, uid), &[]).map_err(engine("writing"))?;
        self.order.insert(order_key(record.received_at, uid), &record.size.to_be_bytes()).map_err(engine("writing"))?;
        self.instances.insert(uid.as_str(), value).map_err(engine("writing"))?;
        Ok(())
    }

    /// Removes one instance; nothing happens where it is not known.
    pub(super) fn remove(&self, uid: &Uid) -> Result<(), StoreError> {
        if let Some(old) = self.record(uid)? {
            self.instances.remove(uid.as_str()).map_err(engine("removing"))?;
            self.remove_secondary(&old)?;
        }
        Ok(())
    }

    fn remove_secondary(&self, old: &Record) -> Result<(), StoreError> {
        let uid = &old.facts.sop_instance;
        self.series.remove(series_key(&old.facts.series, uid)).map_err(engine("removing"))?;
        self.order.remove(order_key(old.received_at, uid)).map_err(engine("removing"))?;
        Ok(())
    }

    /// The record of one instance.
    pub(super) fn record(&self, uid: &Uid) -> Result<Option<Record>, StoreError> {
        let Some(value) = self.instances.get(uid.as_str()).map_err(engine("reading"))? else { return Ok(None) };
        serde_json::from_slice(&value).map(Some).map_err(StoreError::damaged("an index record"))
    }

    /// The UIDs of a series' instances, sorted.
    pub(super) fn series(&self, series: &Uid) -> Result<Vec<Uid>, StoreError> {
        let mut prefix = series.as_str().as_bytes().to_vec();
        prefix.push(0);
        let mut uids = Vec::new();
        for entry in self.series.scan_prefix(&prefix) {
            let (key, _) = entry.map_err(engine("reading"))?;
            uids.push(uid_of(key.get(prefix.len()..).unwrap_or_default())?);
        }
        Ok(uids)
    }

    /// The first of a series' instances.
    pub(super) fn first_of_series(&self, series: &Uid) -> Result<Option<Uid>, StoreError> {
        let mut prefix = series.as_str().as_bytes().to_vec();
        prefix.push(0);
        let Some(entry) = self.series.scan_prefix(&prefix).next() else { return Ok(None) };
        let (key, _) = entry.map_err(engine("reading"))?;
        uid_of(key.get(prefix.len()..).unwrap_or_default()).map(Some)
    }

    /// Every series with at least one instance, each once, in the order of their UIDs.
    pub(super) fn for_each_series(
        &self,
        visit: &mut dyn FnMut(Uid) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut next = self.series.first().map_err(engine("reading"))?;
        while let Some((key, _)) = next {
            let end = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
            let name = key.get(..end).unwrap_or_default();
            visit(uid_of(name)?)?;
            let mut after = name.to_vec();
            after.push(1);
            next = self.series.get_gt(&after).map_err(engine("reading"))?;
        }
        Ok(())
    }

    /// Every instance with its size, in the order of receipt (equal times: of their UIDs).
    pub(super) fn for_each_in_order(
        &self,
        visit: &mut dyn FnMut(Uid, u64) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for entry in &self.order {
            let (key, value) = entry.map_err(engine("reading"))?;
            let size = value.as_ref().try_into().map(u64::from_be_bytes).unwrap_or(0);
            visit(uid_of(key.get(TIME_BYTES..).unwrap_or_default())?, size)?;
        }
        Ok(())
    }

    /// Every record, in the order of UIDs; damaged ones are handed over as errors.
    pub(super) fn for_each_record(&self, visit: &mut VisitRecord<'_>) -> Result<(), StoreError> {
        for entry in &self.instances {
            let (key, value) = entry.map_err(engine("reading"))?;
            visit(&key, serde_json::from_slice(&value).map_err(StoreError::damaged("an index record")))?;
        }
        Ok(())
    }

    /// Removes an entry whose record cannot be read.
    pub(super) fn remove_raw(&self, key: &[u8]) -> Result<(), StoreError> {
        self.instances.remove(key).map(drop).map_err(engine("removing"))
    }

    /// Removes entries by series and by time that lead to no instance, or to one that says otherwise: what a crash
    /// between two of the writes of [`Index::insert`] leaves.
    pub(super) fn remove_dangling(&self) -> Result<(), StoreError> {
        for entry in &self.series {
            let (key, _) = entry.map_err(engine("reading"))?;
            let end = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
            let uid = uid_of(key.get(end + 1..).unwrap_or_default());
            let known = uid.ok().and_then(|uid| self.record(&uid).ok().flatten());
            if known.is_none_or(|record| series_key(&record.facts.series, &record.facts.sop_instance) != *key) {
                self.series.remove(&key).map_err(engine("removing"))?;
            }
        }
        for entry in &self.order {
            let (key, _) = entry.map_err(engine("reading"))?;
            let uid = uid_of(key.get(TIME_BYTES..).unwrap_or_default());
            let known = uid.ok().and_then(|uid| self.record(&uid).ok().flatten());
            if known.is_none_or(|record| order_key(record.received_at, &record.facts.sop_instance) != *key) {
                self.order.remove(&key).map_err(engine("removing"))?;
            }
        }
        Ok(())
    }

    /// Writes a case: the record and, apart from it, its specification.
    pub(super) fn put_case(&self, id: &CaseId, record: &[u8], spec: Option<&[u8]>) -> Result<(), StoreError> {
        match spec {
            Some(spec) => self.specs.insert(&id.0, spec),
            None => self.specs.remove(&id.0),
        }
        .map_err(engine("writing"))?;
        self.cases.insert(&id.0, record).map(drop).map_err(engine("writing"))
    }

    /// A case's record without its specification.
    pub(super) fn case(&self, id: &CaseId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.cases.get(&id.0).map_err(engine("reading"))?.map(|record| record.to_vec()))
    }

    /// A case's specification.
    pub(super) fn spec(&self, id: &CaseId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.specs.get(&id.0).map_err(engine("reading"))?.map(|spec| spec.to_vec()))
    }

    /// Every case's record without its specification, in the order of ids.
    pub(super) fn for_each_case(
        &self,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for entry in &self.cases {
            let (_, record) = entry.map_err(engine("reading"))?;
            visit(&record)?;
        }
        Ok(())
    }

    /// Notes that we committed to keep an instance.
    pub(super) fn put_committed(&self, uid: &Uid) -> Result<(), StoreError> {
        self.committed.insert(uid.as_str(), &[]).map(drop).map_err(engine("writing"))
    }

    /// Whether we committed to keep an instance.
    pub(super) fn is_committed(&self, uid: &Uid) -> Result<bool, StoreError> {
        self.committed.contains_key(uid.as_str()).map_err(engine("reading"))
    }

    /// Forgets what we committed to: it is about to be read from its files.
    pub(super) fn clear_committed(&self) -> Result<(), StoreError> {
        self.committed.clear().map_err(engine("clearing"))
    }

    /// Forgets all cases: they are about to be read from their files.
    pub(super) fn clear_cases(&self) -> Result<(), StoreError> {
        self.cases.clear().and_then(|()| self.specs.clear()).map_err(engine("clearing"))
    }
}

impl Record {
    pub(super) fn stored(self, layout: &Layout) -> StoredInstance {
        StoredInstance {
            path: layout.instance(&self.facts, &self.digest),
            facts: self.facts,
            digest: self.digest,
            size: self.size,
            data_set_offset: self.data_set_offset,
            received_at: self.received_at,
            calling_ae: self.calling_ae,
        }
    }
}

const TIME_BYTES: usize = 16;

fn order_key(at: Timestamp, uid: &Uid) -> Vec<u8> {
    // Flipping the sign bit makes two's complement sort as bytes.
    let sortable = at.as_nanosecond().cast_unsigned() ^ (1 << 127);
    let mut key = sortable.to_be_bytes().to_vec();
    key.extend_from_slice(uid.as_str().as_bytes());
    key
}

fn series_key(series: &Uid, uid: &Uid) -> Vec<u8> {
    let mut key = series.as_str().as_bytes().to_vec();
    key.push(0);
    key.extend_from_slice(uid.as_str().as_bytes());
    key
}

fn uid_of(bytes: &[u8]) -> Result<Uid, StoreError> {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| Uid::parse(text).ok())
        .ok_or_else(|| StoreError::Damaged { what: "an index key", reason: "it holds no UID".to_owned() })
}

fn engine(doing: &'static str) -> impl FnOnce(sled::Error) -> StoreError {
    // Only the kind: the engine's words may repeat paths.
    move |error| match error {
        sled::Error::Io(source) => StoreError::io("writing or reading the index")(source),
        sled::Error::Corruption { .. } => StoreError::Index { doing, reason: "its files are corrupt".to_owned() },
        sled::Error::Unsupported(_) => StoreError::Index { doing, reason: "its files have another version".to_owned() },
        _ => StoreError::Index { doing, reason: "the engine reported a bug of its own".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_1970_sort_as_they_passed() {
        let uid = Uid::parse("1.2").unwrap();
        let times = [-5_i64, -1, 0, 1, 5_000_000_000].map(|second| Timestamp::from_second(second).unwrap());
        let keys: Vec<_> = times.iter().map(|time| order_key(*time, &uid)).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

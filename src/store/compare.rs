//! The files under `instances/` compared with the index, and the index corrected.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Inner;
use super::digest::Digest;
use super::disk::rename;
use super::error::StoreError;
use super::layout::parse_name;
use super::part10::read_meta;
use super::record::Record;
use super::recover::Totals;
use crate::clock::Timestamp;

/// How thoroughly to compare.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checks {
    /// Files whose name is newer than this are read and checked against their digest; without a time none is, as after
    /// a clean stop.
    pub(super) newer_than_second: Option<i64>,
    /// Facts are read from every file, not only from those that the index lacks.
    pub(super) read_facts_again: bool,
}

/// What was found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Compared {
    pub(super) totals: Totals,
    pub(super) added: u64,
    pub(super) removed: u64,
    pub(super) damaged: u64,
    pub(super) unreadable: u64,
}

/// Brings the index into agreement with the files.
pub(super) fn compare(inner: &Inner, checks: Checks) -> Result<Compared, StoreError> {
    let mut found = Compared::default();
    remove_entries_without_files(inner, &mut found)?;
    for_each_file(&inner.layout.instances(), &mut |path| compare_file(inner, checks, path, &mut found))?;
    let index = inner.index()?;
    index.remove_dangling()?;
    index.for_each_in_order(&mut |_, size| {
        found.totals.instances += 1;
        found.totals.bytes += size;
        Ok(())
    })?;
    Ok(found)
}

fn remove_entries_without_files(inner: &Inner, found: &mut Compared) -> Result<(), StoreError> {
    let index = inner.index()?;
    index.for_each_record(&mut |key, record| {
        match record {
            Ok(record) if inner.layout.instance(&record.facts, &record.digest).is_file() => return Ok(()),
            Ok(record) => index.remove(&record.facts.sop_instance)?,
            Err(_) => index.remove_raw(key)?,
        }
        found.removed += 1;
        Ok(())
    })
}

fn compare_file(inner: &Inner, checks: Checks, path: &Path, found: &mut Compared) -> Result<(), StoreError> {
    let Some((uid, digest)) = path.file_name().and_then(|name| name.to_str()).and_then(parse_name) else {
        found.unreadable += 1;
        return Ok(());
    };
    let index = inner.index()?;
    let known = index.record(&uid)?;
    let is_known = known.as_ref().is_some_and(|known| inner.layout.instance(&known.facts, &known.digest) == path);
    let metadata = fs::metadata(path).map_err(StoreError::io("reading a file's date"))?;
    let is_new = checks.newer_than_second.is_some_and(|second| metadata.ctime() >= second);
    if is_known && !is_new && !checks.read_facts_again {
        return Ok(());
    }
    let meta = read_meta(path).map_err(StoreError::io("reading an instance"))?;
    let suspicious = is_new || !is_known;
    let whole = match &meta {
        Some(meta) if suspicious => {
            Digest::of_file_from(path, meta.data_set_offset).map_err(StoreError::io("reading an instance"))? == digest
        }
        Some(_) => true,
        None => false,
    };
    let Some(meta) = meta.filter(|_| whole) else {
        found.damaged += 1;
        if is_known {
            index.remove(&uid)?;
        }
        return set_aside(inner, path, &inner.layout.damaged());
    };
    if is_known && !checks.read_facts_again {
        return Ok(());
    }
    if known.is_some() && !is_known {
        // Two whole files under one UID: the one that the index knows was acknowledged.
        return keep_as_conflict(inner, path, found);
    }
    let Ok(facts) = (inner.settings.read_facts)(path) else {
        found.unreadable += 1;
        return Ok(());
    };
    if facts.sop_instance != uid || inner.layout.instance(&facts, &digest) != path {
        found.unreadable += 1;
        return Ok(());
    }
    let modified = metadata.modified().map_err(StoreError::io("reading a file's date"))?;
    let record = Record {
        facts,
        digest,
        size: metadata.len(),
        data_set_offset: meta.data_set_offset,
        received_at: Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH),
        calling_ae: meta.calling_ae,
    };
    if known.as_ref() != Some(&record) {
        index.insert(&record)?;
        found.added += u64::from(known.is_none());
    }
    Ok(())
}

fn keep_as_conflict(inner: &Inner, path: &Path, found: &mut Compared) -> Result<(), StoreError> {
    let relative = path.strip_prefix(inner.layout.instances()).unwrap_or(path);
    found.unreadable += 1;
    let root = inner.layout.root();
    inner.disk.move_aside(root, path, &inner.layout.conflicts().join(relative))
}

fn set_aside(inner: &Inner, path: &Path, directory: &Path) -> Result<(), StoreError> {
    let Some(name) = path.file_name() else { return Ok(()) };
    rename(path, &directory.join(name)).map_err(StoreError::io("setting a damaged file aside"))?;
    inner.disk.sync_directory(directory)
}

/// Every file three directories below `top` (shard, study, series), in no order. Other things there are left alone.
pub(super) fn for_each_file(
    top: &Path,
    visit: &mut dyn FnMut(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for shard in children(top)? {
        for study in children(&shard)? {
            for series in children(&study)? {
                for file in children(&series)? {
                    visit(&file)?;
                }
            }
        }
    }
    Ok(())
}

/// What is in a directory; nothing where it is none.
fn children(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::NotFound) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(StoreError::io("listing the instances")(error)),
    };
    entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>().map_err(StoreError::io("listing"))
}

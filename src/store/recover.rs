//! Opening, checking and rebuilding: how the index comes into agreement with the files.
//!
//! The ladder: open the index; where that fails, move the engine's snapshots aside and try again; where that fails too,
//! make a new one from the files. Unless the last process left cleanly and nothing touched the index since, all names
//! under `instances/` are compared with the index, and the files that are newer than the last checkpoint are checked
//! against the digest in their name: a power cut may have torn what was not synced.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use serde::{Deserialize, Serialize};

use super::compare::{self, Checks, Compared};
use super::digest::Digest;
use super::disk::{self, DirectoryLock, Disk, TEMPORARY_SUFFIX, make_root};
use super::error::StoreError;
use super::layout::Layout;
use super::receive::InFlight;
use super::sled::Index;
use super::{Inner, Store, StoreSettings, cases, commitments, outbox};

/// What the `layout` file says.
const LAYOUT: &str = "radiomicsd storage 2\n";
/// A file may be on its way to the disk this long after it got its name.
const UNSYNCED_SECONDS: i64 = 300;

/// How the index was brought up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// The directory was empty.
    Created,
    /// The last process left it as it should be.
    Clean,
    /// The last process was killed, or somebody touched the index: it was compared with the files.
    Compared,
    /// It opened only without its snapshot files; then it was compared with the files.
    SnapshotsSetAside,
    /// It was made anew from the files.
    Rebuilt,
}

/// How a storage directory was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenReport {
    /// How the index was brought up.
    pub recovery: Recovery,
    /// Instances after that.
    pub instances: u64,
    /// Instances that were on disk and not in the index.
    pub added: u64,
    /// Entries of the index without a file.
    pub removed: u64,
    /// Files whose bytes are not those that their names promise: moved to `damaged/`.
    pub damaged: u64,
    /// Files under `instances/` that could not be indexed, and case records that could not be read. They stay.
    pub unreadable: u64,
    /// Temporary files of objects that were never whole: removed.
    pub leftovers: u64,
}

/// What [`Store::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Instances that were read.
    pub checked: u64,
    /// Files that are gone. Paths name patients' studies: for the terminal of the administrator, not for logs.
    pub missing: Vec<std::path::PathBuf>,
    /// Files whose data set has another digest than when it was received.
    pub altered: Vec<std::path::PathBuf>,
}

/// Instances and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) instances: u64,
    pub(super) bytes: u64,
}

/// `clean`: written when the last handle goes, removed at the next start.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CleanMark {
    totals: Totals,
    /// The engine's files and their sizes: anything else means that somebody touched them.
    index_files: Vec<(String, u64)>,
}

/// `checkpoint`: seconds of the file system's clock; what got its name before is on the disk.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    second: i64,
}

pub(super) fn open(settings: &StoreSettings) -> Result<(Store, OpenReport), StoreError> {
    let layout = Layout::new(&settings.directory);
    make_root(layout.root())?;
    let directory_lock = DirectoryLock::take(&layout.lock())?;
    for directory in layout.directories() {
        make_root(&directory)?;
    }
    let disk = Disk::new(settings.durability);
    let created = check_layout(&layout, &disk)?;
    let leftovers = remove_leftovers(&layout)?;
    let clean = take_clean_mark(&layout)?;
    let (index, mut recovery) = climb(&layout, clean.is_some())?;
    let outbox = outbox::reload(&layout)?;
    let commitments = commitments::reload_open(&layout)?;
    let inner = Inner {
        settings: settings.clone(),
        layout,
        disk,
        index: RwLock::new(Some(Arc::new(index))),
        in_flight: InFlight::default(),
        next_part: AtomicU64::new(0),
        instances: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        cases: Mutex::default(),
        cases_generation: AtomicU64::new(0),
        gate: RwLock::new(()),
        results: Mutex::new(()),
        outbox: Mutex::new(outbox),
        commitments: Mutex::new(commitments),
        refused: Mutex::default(),
        holdings: Mutex::default(),
        _lock: directory_lock,
    };
    let stale_facts = inner.index()?.facts_version()?.as_deref() != Some(settings.facts_version.as_bytes());
    let mut compared = Compared::default();
    match (recovery, clean) {
        (Recovery::Clean, Some(mark)) if !stale_facts => {
            inner.set_totals(mark.totals);
            cases::fill_table(&inner)?;
        }
        (_, mark) => {
            let newer_than_second = match mark {
                Some(_) if recovery == Recovery::Clean => None,
                _ => Some(last_checkpoint(&inner.layout).unwrap_or(i64::MIN)),
            };
            compared = compare::compare(&inner, Checks { newer_than_second, read_facts_again: stale_facts })?;
            inner.set_totals(compared.totals);
            let (_, unreadable) = cases::reload(&inner)?;
            compared.unreadable += unreadable;
            commitments::mark_again(&inner)?;
            inner.index()?.set_facts_version(settings.facts_version.as_bytes())?;
            if recovery == Recovery::Clean {
                recovery = Recovery::Compared;
            }
        }
    }
    if created && recovery == Recovery::Compared {
        recovery = Recovery::Created;
    }
    let report = OpenReport {
        recovery,
        instances: inner.instances.load(Ordering::Relaxed),
        added: compared.added,
        removed: compared.removed,
        damaged: compared.damaged,
        unreadable: compared.unreadable,
        leftovers,
    };
    let store = Store { inner: Arc::new(inner) };
    if recovery != Recovery::Clean {
        store.checkpoint()?;
    }
    Ok((store, report))
}

impl Store {
    /// Syncs the index, so that the next start after a crash checks less. Called every half minute or so.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        let second = inner.file_system_second()?;
        inner.index()?.sync()?;
        inner.disk.sync_everything(inner.layout.root())?;
        let bytes = serde_json::to_vec(&Checkpoint { second }).map_err(StoreError::damaged("the checkpoint"))?;
        inner.disk.write_whole(&inner.layout.checkpoint(), &bytes)
    }

    /// Reads the facts of every stored file again and brings the index into agreement with them; cases too.
    ///
    /// # Errors
    /// When the file system or the index refuses. Single files that cannot be read are counted.
    pub fn reindex(&self) -> Result<OpenReport, StoreError> {
        let compared = compare::compare(&self.inner, Checks { newer_than_second: None, read_facts_again: true })?;
        self.inner.set_totals(compared.totals);
        let (_, unreadable) = cases::reload(&self.inner)?;
        commitments::mark_again(&self.inner)?;
        self.checkpoint()?;
        Ok(OpenReport {
            recovery: Recovery::Rebuilt,
            instances: compared.totals.instances,
            added: compared.added,
            removed: compared.removed,
            damaged: compared.damaged,
            unreadable: compared.unreadable + unreadable,
            leftovers: 0,
        })
    }

    /// Reads every indexed file and compares its data set with the digest of what was received.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn verify(&self) -> Result<VerifyReport, StoreError> {
        let mut report = VerifyReport::default();
        self.for_each_instance(&mut |instance| {
            report.checked += 1;
            match Digest::of_file_from(&instance.path, instance.data_set_offset) {
                Ok(digest) if digest == instance.digest => {}
                Ok(_) => report.altered.push(instance.path),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => report.missing.push(instance.path),
                Err(_) => report.altered.push(instance.path),
            }
        })?;
        Ok(report)
    }
}

impl Inner {
    fn set_totals(&self, totals: Totals) {
        self.instances.store(totals.instances, Ordering::Relaxed);
        self.bytes.store(totals.bytes, Ordering::Relaxed);
    }

    /// The present second by the clock that dates the files.
    fn file_system_second(&self) -> Result<i64, StoreError> {
        let path = self.layout.root().join(format!("clock{TEMPORARY_SUFFIX}"));
        let file = disk::create(&path, true).map_err(StoreError::io("asking the file system's clock"))?;
        let metadata = file.metadata().map_err(StoreError::io("asking the file system's clock"))?;
        fs::remove_file(&path).map_err(StoreError::io("asking the file system's clock"))?;
        Ok(metadata.ctime())
    }
}

/// The last step of the last handle. What fails here costs the next start a comparison, nothing else.
pub(super) fn leave_clean(layout: &Layout, disk: &Disk, index: Arc<Index>, totals: Totals) {
    let left = index.sync().and_then(|()| {
        drop(index);
        let mark = CleanMark { totals, index_files: index_files(&layout.index())? };
        let bytes = serde_json::to_vec(&mark).map_err(StoreError::damaged("the mark of a clean end"))?;
        disk.sync_everything(layout.root())?;
        disk.write_whole(&layout.clean(), &bytes)
    });
    if let Err(error) = left {
        tracing::warn!(%error, "the storage directory was not left clean, the next start compares it");
    }
}

/// Whether the directory is a new one.
fn check_layout(layout: &Layout, disk: &Disk) -> Result<bool, StoreError> {
    match fs::read_to_string(layout.layout()) {
        Ok(text) if text == LAYOUT => Ok(false),
        Ok(text) => {
            let found = text.lines().next().unwrap_or_default().chars().take(40).collect();
            Err(StoreError::Layout { found, expected: LAYOUT.trim_ascii_end() })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            disk.write_whole(&layout.layout(), LAYOUT.as_bytes()).map(|()| true)
        }
        Err(error) => Err(StoreError::io("reading the layout file")(error)),
    }
}

fn remove_leftovers(layout: &Layout) -> Result<u64, StoreError> {
    let mut n_files = 0;
    for entry in fs::read_dir(layout.incoming()).map_err(StoreError::io("listing temporary files"))? {
        let path = entry.map_err(StoreError::io("listing temporary files"))?.path();
        fs::remove_file(&path).map_err(StoreError::io("removing a temporary file"))?;
        n_files += 1;
    }
    Ok(n_files)
}

/// Reads the mark of a clean end and removes it, durably: from now on the directory is in use.
fn take_clean_mark(layout: &Layout) -> Result<Option<CleanMark>, StoreError> {
    let bytes = match fs::read(layout.clean()) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("reading the mark of a clean end")(error)),
    };
    fs::remove_file(layout.clean()).map_err(StoreError::io("removing the mark of a clean end"))?;
    disk::sync_now(layout.root())?;
    let Ok(mark) = serde_json::from_slice::<CleanMark>(&bytes) else { return Ok(None) };
    let untouched = index_files(&layout.index()).is_ok_and(|files| files == mark.index_files);
    Ok(untouched.then_some(mark))
}

fn index_files(directory: &Path) -> Result<Vec<(String, u64)>, StoreError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(StoreError::io("listing the index"))? {
        let entry = entry.map_err(StoreError::io("listing the index"))?;
        let metadata = entry.metadata().map_err(StoreError::io("listing the index"))?;
        if metadata.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), metadata.len()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn last_checkpoint(layout: &Layout) -> Option<i64> {
    let bytes = fs::read(layout.checkpoint()).ok()?;
    let checkpoint: Checkpoint = serde_json::from_slice(&bytes).ok()?;
    Some(checkpoint.second.saturating_sub(UNSYNCED_SECONDS))
}

fn climb(layout: &Layout, clean: bool) -> Result<(Index, Recovery), StoreError> {
    let directory = layout.index();
    let first = match Index::open(&directory) {
        Ok(index) => return Ok((index, if clean { Recovery::Clean } else { Recovery::Compared })),
        Err(error) => error,
    };
    // A full disk is no damage: rebuilding would need the same space.
    if first.is_out_of_space() {
        return Err(first);
    }
    tracing::warn!(error = %first, "the index does not open, it is tried without its snapshots");
    if Index::set_snapshots_aside(&directory)? > 0 {
        match Index::open(&directory) {
            Ok(index) => return Ok((index, Recovery::SnapshotsSetAside)),
            Err(error) => tracing::warn!(%error, "the index does not open, it is made anew from the files"),
        }
    }
    let broken = layout.root().join("index.broken");
    if broken.exists() {
        fs::remove_dir_all(&broken).map_err(StoreError::io("removing an old broken index"))?;
    }
    disk::rename(&directory, &broken).map_err(StoreError::io("moving a broken index aside"))?;
    disk::sync_now(layout.root())?;
    Ok((Index::open(&directory)?, Recovery::Rebuilt))
}

//! Files that stay: fsync, rename, directory sync, free space, the lock of the directory.
//!
//! The only place that renames. A file is durable when its bytes are synced *and* the directory that names it is; a
//! directory is durable when its parent is. POSIX promises nothing less, and ext4, XFS and btrfs each break one of the
//! shortcuts.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::group_sync::GroupSync;

/// What is synced before an instance counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The file and every directory that was changed for it: survives a power cut.
    #[default]
    Full,
    /// The file only: its bytes survive, its name is left to the file system.
    File,
    /// Nothing: survives a killed process, not a power cut.
    None,
}

impl Durability {
    /// The published name, as in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::File => "file",
            Self::None => "none",
        }
    }
}

/// Syncs, renames and makes directories at the durability that was asked for. Concurrent callers share directory syncs.
#[derive(Debug)]
pub(super) struct Disk {
    durability: Durability,
    syncs: GroupSync,
    /// Directories known to exist durably; bounded by [`KNOWN_DIRECTORIES_MAX`].
    known: Mutex<HashSet<PathBuf>>,
}

/// A set of paths of some 200 bytes: below 1 MB.
const KNOWN_DIRECTORIES_MAX: usize = 4096;

/// What is inside may be patient data: nothing for others.
const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;

impl Disk {
    pub(super) fn new(durability: Durability) -> Self {
        Self { durability, syncs: GroupSync::default(), known: Mutex::default() }
    }

    pub(super) const fn durability(&self) -> Durability {
        self.durability
    }

    /// Makes the bytes of a file durable, where the durability asks for it.
    fn sync_file(&self, file: &File) -> Result<(), StoreError> {
        match self.durability {
            Durability::Full | Durability::File => file.sync_all().map_err(StoreError::io("syncing a file")),
            Durability::None => Ok(()),
        }
    }

    /// Makes the names in a directory durable, where the durability asks for it. Callers that come while a sync of the
    /// same directory runs share the next one.
    pub(super) fn sync_directory(&self, directory: &Path) -> Result<(), StoreError> {
        if self.durability != Durability::Full {
            return Ok(());
        }
        self.syncs.sync(directory, sync_names).map_err(StoreError::io("syncing a directory"))
    }

    /// Makes the bytes of a file and its name in a directory durable, where the durability asks for it.
    fn sync_both(&self, file: &File, directory: &Path) -> Result<(), StoreError> {
        if self.durability != Durability::Full {
            return self.sync_file(file);
        }
        // Noted first: a sync of the directory that somebody else begins while the file is synced does this name too.
        let change = self.syncs.changed(directory);
        self.sync_file(file)?;
        change.sync(sync_names).map_err(StoreError::io("syncing a directory"))
    }

    /// Makes a directory under `root` with all its parents, each durable in its own parent.
    pub(super) fn make_directories(&self, root: &Path, directory: &Path) -> Result<(), StoreError> {
        if directory == root || lock(&self.known).contains(directory) {
            return Ok(());
        }
        if let Some(parent) = directory.parent() {
            self.make_directories(root, parent)?;
            match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::io("making a directory")(error)),
            }
            // Also when it was there: another caller may have made it and not synced yet.
            self.sync_directory(parent)?;
        }
        let mut known = lock(&self.known);
        if known.len() >= KNOWN_DIRECTORIES_MAX {
            known.clear();
        }
        known.insert(directory.to_owned());
        Ok(())
    }

    /// Moves an open file under `root` to its final name and makes bytes and name durable. Replaces what is there:
    /// callers see to it that it is the same. Nothing is left under the final name after an error.
    ///
    /// The name comes first, so that one commit of the file system's journal carries both. A power cut in between may
    /// leave a torn file under its final name: nobody was told of it, it is not in the index, and the digest in its name
    /// gives it away at the next start.
    pub(super) fn place(&self, root: &Path, file: &File, from: &Path, to: &Path) -> Result<(), StoreError> {
        let directory = self.move_under(root, from, to)?;
        let synced = self.sync_both(file, directory);
        if synced.is_err() {
            // What cannot be removed either is compared at the next start.
            let _ = fs::remove_file(to);
        }
        synced
    }

    /// Moves a file that is synced already to another name under `root`, and makes the name durable.
    pub(super) fn move_aside(&self, root: &Path, from: &Path, to: &Path) -> Result<(), StoreError> {
        let directory = self.move_under(root, from, to)?;
        self.sync_directory(directory)
    }

    /// Makes the directories of `to` and renames: the directory that now holds the file.
    fn move_under<'a>(&self, root: &Path, from: &Path, to: &'a Path) -> Result<&'a Path, StoreError> {
        let Some(directory) = to.parent() else { return Err(StoreError::Unknown { what: "directory" }) };
        // Retention, or somebody's hand, may remove directories between the two steps: then once more from the root.
        for last in [false, false, true] {
            let moved = self
                .make_directories(root, directory)
                .and_then(|()| rename(from, to).map_err(StoreError::io("renaming a file into place")));
            match moved {
                Ok(()) => return Ok(directory),
                Err(error) if error.is_not_found() && !last => lock(&self.known).clear(),
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Unknown { what: "directory" })
    }

    /// As the function of this name.
    pub(super) fn write_whole(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        write_whole(path, bytes)
    }

    /// Writes out the whole file system where single files are not synced, so that a checkpoint means the same under
    /// every durability.
    pub(super) fn sync_everything(&self, directory: &Path) -> Result<(), StoreError> {
        if self.durability == Durability::Full {
            return Ok(());
        }
        let file = File::open(directory).map_err(StoreError::io("syncing the file system"))?;
        rustix::fs::syncfs(&file)
            .map_err(|errno| StoreError::Io { doing: "syncing the file system", source: errno.into() })
    }

    /// Moves a whole directory to its final name, which must not be taken, and makes the name durable.
    pub(super) fn place_directory(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        let Some(directory) = to.parent() else { return Err(StoreError::Unknown { what: "directory" }) };
        rename(from, to).map_err(StoreError::io("renaming a directory into place"))?;
        sync_now(directory)
    }

    /// Forgets that a directory exists: it was removed.
    pub(super) fn forget(&self, directory: &Path) {
        lock(&self.known).retain(|known| !known.starts_with(directory));
    }
}

fn sync_names(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// What a half-written small file ends with.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp~";

/// Writes a small file as a whole: either the old or the new content is there after a crash, and the new one after
/// success. Always durable, whatever the durability of instances: these are few.
///
/// # Errors
/// When the file system refuses.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let Some(directory) = path.parent() else { return Err(StoreError::Unknown { what: "directory" }) };
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    let temporary = PathBuf::from(name);
    let mut file = create(&temporary, true).map_err(StoreError::io("creating a file"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StoreError::io("writing a file"))?;
    drop(file);
    rename(&temporary, path).map_err(StoreError::io("renaming a file into place"))?;
    // A name without a directory is in the current one.
    sync_now(if directory.as_os_str().is_empty() { Path::new(".") } else { directory })
}

/// A poisoned lock guards data that are still whole here: every change under these locks is a single step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates a file that only this user and group can read.
pub(super) fn create(path: &Path, replace: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).read(true).mode(FILE_MODE);
    if replace {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(path)
}

/// Makes a directory and its parents, durable as far as they are new.
pub(super) fn make_root(directory: &Path) -> Result<(), StoreError> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_root(parent)?;
    }
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(StoreError::io("making the storage directory")(error)),
    }
    match directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_now(parent),
        None => sync_now(Path::new(".")),
    }
}

/// Syncs a file or directory by its path, whatever the durability.
pub(super) fn sync_now(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(StoreError::io("syncing a directory"))
}

#[allow(clippy::disallowed_methods)] // The one place: every caller here syncs file and directory.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Free bytes for a process without privileges.
pub(super) fn available_bytes(directory: &Path) -> Result<u64, StoreError> {
    let stat = rustix::fs::statvfs(directory)
        .map_err(|errno| StoreError::Io { doing: "asking for the free space", source: errno.into() })?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Holds the directory for this process until it is dropped, also by a kill.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let file = create(path, true).map_err(StoreError::io("opening the lock file"))?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Locked),
            Err(errno) => Err(StoreError::Io { doing: "locking the storage directory", source: errno.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_on_one_directory_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = DirectoryLock::take(&path).unwrap();
        assert!(matches!(DirectoryLock::take(&path), Err(StoreError::Locked)));
        drop(first);
        assert!(DirectoryLock::take(&path).is_ok());
    }

    #[test]
    fn a_directory_that_cannot_be_synced_is_an_error_for_everyone_who_waits() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(Durability::Full);
        let missing = directory.path().join("missing");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert!(disk.sync_directory(&missing).is_err()));
            }
        });
    }

    #[test]
    fn a_removed_directory_is_made_again_when_a_file_is_placed() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::new(Durability::Full);
        let target = root.path().join("a/b/file");
        for _ in 0..2 {
            let from = root.path().join("from");
            fs::write(&from, b"x").unwrap();
            let file = File::open(&from).unwrap();
            disk.place(root.path(), &file, &from, &target).unwrap();
            fs::remove_dir_all(root.path().join("a")).unwrap();
        }
    }
}

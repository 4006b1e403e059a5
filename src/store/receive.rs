//! Objects on their way in: to a temporary file as they come, renamed into place, synced, then indexed.
//!
//! The order is the promise: bytes and name durable, then index, then the answer. Whatever is cut off at any point leaves
//! a temporary file, a file that the digest in its name tells to be torn or whole, or an indexed instance.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, IoSlice, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::SystemTime;

use super::Store;
use super::digest::{Digest, Digester};
use super::disk::{available_bytes, create, lock};
use super::error::StoreError;
use super::record::{Origin, Record, Stored};
use crate::dicom::facts::InstanceFacts;
use crate::dicom::likeness::Likeness;
use crate::dicom::uid::Uid;

/// The beginning of a file that stays in memory until the file is whole: the headers of images are 3 to 15 KiB.
const HEAD_BYTES: usize = 16 << 10;
/// The kernel gets whole blocks of a file: it keeps one in one piece of memory, and writes that with a third less effort than
/// what begins and ends anywhere.
const BLOCK_BYTES: usize = 128 << 10;
/// What is read at once of a header that is longer.
const READ_BYTES: usize = 16 << 10;
/// An object larger than this is checked against the reserve again while it grows.
const SPACE_CHECK_BYTES: u64 = 32 << 20;

/// One object that is being received. Dropped without [`commit`](Self::commit), it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    store: Store,
    part: Part,
    file: File,
    /// The first bytes of the file, from which its facts are read.
    head: Vec<u8>,
    /// What the kernel does not have yet: less than a block.
    held: Vec<u8>,
    digester: Digester,
    meta_bytes: u64,
    data_bytes: u64,
    /// Written bytes at which the free space is looked at again.
    next_check: u64,
}

/// A temporary file that goes when its owner does.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    /// Whether it has another name by now.
    is_placed: Cell<bool>,
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_placed.get() {
            // What cannot be removed now is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Store {
    /// Begins to receive an object.
    ///
    /// # Errors
    /// [`StoreError::OutOfSpace`] when less than the reserve is free, and whatever the file system refuses.
    pub fn begin(&self) -> Result<Incoming, StoreError> {
        self.check_space()?;
        let number = self.inner.next_part.fetch_add(1, Ordering::Relaxed);
        let path = self.inner.layout.incoming().join(format!("{number}.part"));
        let file = create(&path, false).map_err(StoreError::io("creating a temporary file"))?;
        Ok(Incoming {
            store: self.clone(),
            part: Part { path, is_placed: Cell::new(false) },
            file,
            head: Vec::with_capacity(HEAD_BYTES),
            held: Vec::new(),
            digester: Digester::default(),
            meta_bytes: 0,
            data_bytes: 0,
            next_check: SPACE_CHECK_BYTES,
        })
    }

    fn check_space(&self) -> Result<(), StoreError> {
        let reserve = self.inner.settings.reserve_bytes;
        let available = available_bytes(self.inner.layout.root())?;
        if available < reserve {
            return Err(StoreError::OutOfSpace { available, reserve });
        }
        Ok(())
    }
}

impl Incoming {
    /// Appends to what stands before the data set: preamble, prefix and file meta information. Its Source Application
    /// Entity Title (0002,0016) is where a rebuilt index finds the sender.
    ///
    /// # Errors
    /// When bytes of the data set were written before, or the file system refuses.
    pub fn write_meta(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.data_bytes > 0 {
            return Err(StoreError::MetaAfterData);
        }
        self.meta_bytes += bytes.len() as u64;
        self.put(bytes)
    }

    /// Appends to the data set, as it came from the network.
    ///
    /// # Errors
    /// [`StoreError::OutOfSpace`] when the object eats into the reserve, and whatever the file system refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.digester.update(bytes);
        self.data_bytes += bytes.len() as u64;
        self.put(bytes)
    }

    /// Appends the end of the data set: as [`write`](Self::write) and [`finish`](Self::finish), with one copy less.
    ///
    /// # Errors
    /// As they.
    pub fn write_last(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.digester.update(bytes);
        self.data_bytes += bytes.len() as u64;
        self.check_growth()?;
        self.keep_head(bytes);
        self.hand_over(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.check_growth()?;
        self.keep_head(bytes);
        let length = self.held.len() + bytes.len();
        if length < BLOCK_BYTES {
            self.held.extend_from_slice(bytes);
            return Ok(());
        }
        let (now, later) = bytes.split_at(bytes.len() - length % BLOCK_BYTES);
        self.hand_over(now)?;
        self.held.extend_from_slice(later);
        Ok(())
    }

    fn check_growth(&mut self) -> Result<(), StoreError> {
        if self.size() >= self.next_check {
            self.store.check_space()?;
            self.next_check = self.size() + SPACE_CHECK_BYTES;
        }
        Ok(())
    }

    fn keep_head(&mut self, bytes: &[u8]) {
        let room = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Hands what is held, and these bytes after it, to the kernel.
    fn hand_over(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        write_both(&mut self.file, &self.held, bytes).map_err(StoreError::io("writing an instance"))?;
        self.held.clear();
        Ok(())
    }

    /// Bytes so far, file meta information included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.meta_bytes + self.data_bytes
    }

    /// Hands the last bytes to the kernel, so that the file can be read as a whole. Not durable yet.
    ///
    /// # Errors
    /// Whatever the file system refuses.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        self.hand_over(&[])
    }

    /// The file; whole after [`finish`](Self::finish). Of most objects, what their facts are read from is in memory still.
    pub fn reader(&self) -> impl Read {
        let rest = Rest { file: &self.file, position: self.head.len() as u64 };
        self.head.as_slice().chain(BufReader::with_capacity(READ_BYTES, rest))
    }

    /// Makes the object durable under its UID.
    ///
    /// [`Stored::Conflict`] may not be acknowledged, all else may. The same instance
    /// from several senders at once ends as one `New` and otherwise `Duplicate`.
    ///
    /// # Errors
    /// Whatever the file system or the index refuses. Nothing may be acknowledged then; the sender may try again.
    pub fn commit(mut self, facts: InstanceFacts, origin: Origin) -> Result<Stored, StoreError> {
        self.finish()?;
        let inner = &self.store.inner;
        let digest = self.digester.finish();
        let _turn = inner.in_flight.enter(&facts.sop_instance);
        let _not_while_expiring = inner.gate.read().unwrap_or_else(PoisonError::into_inner);
        if self.store.is_refused(&facts.sop_instance) {
            self.place(&inner.layout.withdrawn(&facts, &digest), &origin)?;
            return Ok(Stored::Refused);
        }
        let index = inner.index()?;
        if let Some(known) = index.record(&facts.sop_instance)? {
            let path = inner.layout.instance(&known.facts, &known.digest);
            // A file that somebody deleted by hand is no reason to refuse its return.
            if path.is_file() {
                if known.digest == digest && known.facts.transfer_syntax == facts.transfer_syntax {
                    return Ok(Stored::Duplicate);
                }
                return self.settle(&known, &path, facts, digest, origin);
            }
            index.remove(&facts.sop_instance)?;
            inner.count_removed(known.size);
        }
        self.insert(facts, digest, origin)?;
        Ok(Stored::New)
    }

    /// What becomes of an object whose UID is known with other bytes.
    fn settle(
        &self,
        known: &Record,
        known_path: &Path,
        facts: InstanceFacts,
        digest: Digest,
        origin: Origin,
    ) -> Result<Stored, StoreError> {
        let inner = &self.store.inner;
        let aside = inner.layout.conflict(&facts, &digest);
        let is_correction = match (inner.settings.compare)(known_path, &self.part.path) {
            Likeness::Same => return Ok(Stored::Duplicate),
            // What a correction once replaced does not come back: two senders would replace each other for ever.
            Likeness::OtherHeader => origin.may_correct && !aside.is_file(),
            Likeness::OtherContent => false,
        };
        if !is_correction {
            self.place(&aside, &origin)?;
            return Ok(Stored::Conflict);
        }
        // The index decides between two files of one UID: after a crash it is whichever it knows.
        self.insert(facts, digest, origin)?;
        inner.count_removed(known.size);
        let old = inner.layout.conflict(&known.facts, &known.digest);
        match inner.disk.move_aside(inner.layout.root(), known_path, &old) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Stored::Corrected),
        }
    }

    fn insert(&self, facts: InstanceFacts, digest: Digest, origin: Origin) -> Result<(), StoreError> {
        let inner = &self.store.inner;
        self.place(&inner.layout.instance(&facts, &digest), &origin)?;
        let size = self.size();
        inner.index()?.insert(&Record {
            facts,
            digest,
            size,
            data_set_offset: self.meta_bytes,
            received_at: origin.received_at,
            calling_ae: origin.calling_ae,
        })?;
        inner.count_added(size);
        Ok(())
    }

    fn place(&self, to: &Path, origin: &Origin) -> Result<(), StoreError> {
        let file = &self.file;
        file.set_modified(SystemTime::from(origin.received_at)).map_err(StoreError::io("dating an instance"))?;
        self.store.inner.disk.place(self.store.inner.layout.root(), file, &self.part.path, to)?;
        self.part.is_placed.set(true);
        Ok(())
    }
}

/// What lies on the disk from a position on.
struct Rest<'a> {
    file: &'a File,
    position: u64,
}

impl Read for Rest<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.file.read_at(buffer, self.position)?;
        self.position += n_read as u64;
        Ok(n_read)
    }
}

/// Two pieces with one call of the kernel, or as few as it allows.
fn write_both(file: &mut File, first: &[u8], second: &[u8]) -> io::Result<()> {
    let mut slices = [IoSlice::new(first), IoSlice::new(second)];
    let mut left = slices.as_mut_slice();
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n_written) => IoSlice::advance_slices(&mut left, n_written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// UIDs that are being committed. Two objects of one UID go one after the other, all others at the same time.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    turns: Mutex<Turns>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Turns {
    uids: HashSet<Uid>,
    n_waiting: usize,
}

/// The turn of one UID.
struct Turn<'a> {
    of: &'a InFlight,
    uid: Uid,
}

impl InFlight {
    fn enter(&self, uid: &Uid) -> Turn<'_> {
        let mut turns = lock(&self.turns);
        while turns.uids.contains(uid) {
            turns.n_waiting += 1;
            turns = self.left.wait(turns).unwrap_or_else(PoisonError::into_inner);
            turns.n_waiting -= 1;
        }
        turns.uids.insert(uid.clone());
        Turn { of: self, uid: uid.clone() }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = lock(&self.of.turns);
        turns.uids.remove(&self.uid);
        if 0 < turns.n_waiting {
            self.of.left.notify_all();
        }
    }
}

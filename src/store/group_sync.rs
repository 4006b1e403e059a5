//! Group commit of directories: callers that come while a directory is being synced share the next sync.
//!
//! A caller has changed the directory before it comes here, so it waits for a sync that began after that: the one that it
//! does itself, or the next one that somebody else does. It may note its change, do something else, and come later: by
//! then somebody else may have done it. Each is woken once, when its sync is done, but for the one that does the next.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::disk::lock;

/// The directories that somebody syncs right now.
#[derive(Debug, Default)]
pub(super) struct GroupSync {
    directories: Mutex<HashMap<PathBuf, Callers>>,
}

#[derive(Debug, Default)]
struct Callers {
    n_callers: usize,
    rounds: Arc<Rounds>,
}

/// The syncs of one directory, numbered from 1.
#[derive(Debug, Default)]
struct Rounds {
    state: Mutex<State>,
    /// Those who wait for an even and for an odd number: no more than two are waited for at a time.
    ended: [Condvar; 2],
}

#[derive(Debug, Default)]
struct State {
    begun: u64,
    finished: u64,
    is_running: bool,
    n_waiting: [usize; 2],
}

impl GroupSync {
    /// Returns when a sync of the directory that began after this call has ended.
    pub(super) fn sync(&self, directory: &Path, sync: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
        self.changed(directory).sync(sync)
    }

    /// Notes that the directory was changed before this call.
    pub(super) fn changed<'a>(&'a self, directory: &'a Path) -> Change<'a> {
        let rounds = self.enter(directory);
        let wanted = lock(&rounds.state).begun + 1;
        Change { of: self, directory, rounds, wanted }
    }

    fn enter(&self, directory: &Path) -> Arc<Rounds> {
        let mut directories = lock(&self.directories);
        let callers = directories.entry(directory.to_owned()).or_default();
        callers.n_callers += 1;
        Arc::clone(&callers.rounds)
    }

    fn leave(&self, directory: &Path) {
        let mut directories = lock(&self.directories);
        if let Some(callers) = directories.get_mut(directory) {
            callers.n_callers -= 1;
            if callers.n_callers == 0 {
                directories.remove(directory);
            }
        }
    }
}

/// A change of a directory that is to be durable.
#[derive(Debug)]
pub(super) struct Change<'a> {
    of: &'a GroupSync,
    directory: &'a Path,
    rounds: Arc<Rounds>,
    /// The first sync that began after it.
    wanted: u64,
}

impl Change<'_> {
    /// Returns when a sync of the directory that began after the change has ended: at once where somebody else did it.
    pub(super) fn sync(self, sync: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
        self.rounds.share(self.wanted, || sync(self.directory))
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.of.leave(self.directory);
    }
}

impl Rounds {
    /// Returns when the sync of this number, or a later one, has ended.
    fn share(&self, wanted: u64, sync: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut state = lock(&self.state);
        while state.finished < wanted && state.is_running {
            let awaited = parity(wanted.max(state.begun));
            state.n_waiting[awaited] += 1;
            state = self.ended[awaited].wait(state).unwrap_or_else(PoisonError::into_inner);
            state.n_waiting[awaited] -= 1;
        }
        if wanted <= state.finished {
            return Ok(());
        }
        state.is_running = true;
        state.begun += 1;
        let number = state.begun;
        drop(state);
        let outcome = sync();
        let mut state = lock(&self.state);
        state.is_running = false;
        let (now, next) = (parity(number), parity(number + 1));
        if outcome.is_ok() {
            state.finished = number;
        }
        if 0 < state.n_waiting[now] {
            self.ended[now].notify_all();
        }
        if 0 < state.n_waiting[next] {
            // One does the next sync. After a failure nobody is done, and whoever wakes first tries.
            self.ended[next].notify_one();
        }
        outcome
    }
}

fn parity(number: u64) -> usize {
    usize::from(number % 2 == 1)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn nobody_returns_before_a_sync_that_began_after_its_change_and_syncs_are_shared() {
        let (group, changes, synced, n_syncs) =
            (GroupSync::default(), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let sync = |_: &Path| {
            let seen = changes.load(Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_micros(200));
            synced.fetch_max(seen, Ordering::SeqCst);
            n_syncs.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let mine = changes.fetch_add(1, Ordering::SeqCst) + 1;
                        group.sync(Path::new("a"), sync).unwrap();
                        assert!(mine <= synced.load(Ordering::SeqCst));
                    }
                });
            }
        });
        assert!(n_syncs.load(Ordering::SeqCst) < 800 / 3, "{n_syncs:?}");
        assert!(lock(&group.directories).is_empty());
    }

    #[test]
    fn a_change_is_done_by_a_sync_that_somebody_else_began_after_it_and_by_none_that_ran_already() {
        let (group, n_syncs) = (GroupSync::default(), AtomicU64::new(0));
        let directory = Path::new("a");
        let sync = |_: &Path| {
            n_syncs.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let change = group.changed(directory);
        group.sync(directory, sync).unwrap();
        change.sync(|_| Err(io::ErrorKind::Other.into())).unwrap();
        assert_eq!(n_syncs.load(Ordering::SeqCst), 1);
        let during = Mutex::new(None);
        group
            .sync(directory, |at| {
                *lock(&during) = Some(group.changed(directory));
                sync(at)
            })
            .unwrap();
        lock(&during).take().unwrap().sync(sync).unwrap();
        assert_eq!(n_syncs.load(Ordering::SeqCst), 3);
        // A change whose maker gave up holds nothing.
        drop(group.changed(directory));
        assert!(lock(&group.directories).is_empty());
    }

    #[test]
    fn after_a_sync_that_failed_everyone_else_tries_again_and_none_waits_for_ever() {
        let (group, n_syncs) = (GroupSync::default(), AtomicU64::new(0));
        let sync = |_: &Path| {
            std::thread::yield_now();
            if n_syncs.fetch_add(1, Ordering::SeqCst) % 3 == 0 { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
        };
        let n_failed = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        n_failed.fetch_add(u64::from(group.sync(Path::new("a"), sync).is_err()), Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(n_failed.load(Ordering::SeqCst), n_syncs.load(Ordering::SeqCst).div_ceil(3));
        assert!(lock(&group.directories).is_empty());
    }
}

//! How many cases are processed at one time: as many as the memory holds, and never more than a few.
//!
//! What a case needs is estimated from its headers before it starts; it waits until that much is free. A case that needs
//! more than there is gets everything, alone.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is counted in pieces of this size, so that a semaphore can count it.
const PIECE_BYTES: u64 = 16 << 20;
/// The share of the machine's memory that cases may take together.
const SHARE: f64 = 0.6;
/// What is taken for the machine's memory where the system does not tell.
const UNKNOWN_MEMORY_BYTES: u64 = 4 << 30;

/// The places and the memory of all cases.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    places: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    pieces: u32,
}

/// What one running case holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    _place: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
}

impl Budget {
    /// So many cases at one time, in the memory of this machine.
    pub(super) fn of_this_machine(cases_max: usize) -> Self {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let bytes = (memory_bytes().unwrap_or(UNKNOWN_MEMORY_BYTES) as f64 * SHARE) as u64;
        Self::new(cases_max, bytes)
    }

    pub(super) fn new(cases_max: usize, bytes: u64) -> Self {
        let pieces = u32::try_from((bytes / PIECE_BYTES).max(1)).unwrap_or(u32::MAX);
        Self {
            places: Arc::new(Semaphore::new(cases_max.max(1))),
            memory: Arc::new(Semaphore::new(pieces as usize)),
            pieces,
        }
    }

    /// Waits for a place; `None` when the daemon stops meanwhile.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Waits until so much memory is free.
    pub(super) async fn memory(&self, place: OwnedSemaphorePermit, bytes: u64) -> Option<Share> {
        let wanted = u32::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX).clamp(1, self.pieces);
        let memory = Arc::clone(&self.memory).acquire_many_owned(wanted).await.ok()?;
        Some(Share { _place: place, _memory: memory })
    }
}

/// The memory of this machine, or of the control group that the daemon runs in.
fn memory_bytes() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let group = std::fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| {
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/').to_owned();
        let limit = std::path::Path::new("/sys/fs/cgroup").join(path).join("memory.max");
        std::fs::read_to_string(limit).ok()?.trim().parse::<u64>().ok()
    });
    match (machine, group) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn cases_wait_for_memory_and_one_that_is_too_large_runs_alone() {
        let budget = Budget::new(3, 10 * PIECE_BYTES);
        let first = budget.memory(budget.place().await.unwrap(), 6 * PIECE_BYTES).await.unwrap();
        let place = budget.place().await.unwrap();
        let waiting = budget.clone();
        let second = tokio::spawn(async move { waiting.memory(place, 100 * PIECE_BYTES).await });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap().is_some());
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(memory_bytes().unwrap() > 64 << 20);
    }
}

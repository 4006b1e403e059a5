//! When a failed delivery is tried again.

use std::time::Duration;

use crate::clock::Timestamp;

/// Exponential backoff with an end: `first`, twice that, and so on up to `max`, until `give_up_after` the handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
    /// How long after the handover the last attempt may be.
    pub give_up_after: Duration,
}

impl Backoff {
    /// The pause after this many failures in a row.
    #[must_use]
    pub fn pause(&self, n_failed: u32) -> Duration {
        let factor = 1_u32.checked_shl(n_failed.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.max)
    }

    /// When to try next, or nothing when it is time to give up. `n_failed` counts the failure that just was.
    #[must_use]
    pub fn next_attempt(&self, n_failed: u32, enqueued_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let next = now.checked_add(self.pause(n_failed)).ok()?;
        // An age of more than `Duration` can hold is past any limit; a clock that went backwards makes it none.
        let last = enqueued_at.checked_add(self.give_up_after).unwrap_or(Timestamp::MAX);
        (next <= last).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(5),
        max: Duration::from_secs(600),
        give_up_after: Duration::from_secs(7 * 24 * 3600),
    };

    #[test]
    fn the_pause_doubles_up_to_its_maximum() {
        let pauses: Vec<u64> = (1..=9).map(|n_failed| BACKOFF.pause(n_failed).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(BACKOFF.pause(u32::MAX).as_secs(), 600);
    }

    #[test]
    fn a_delivery_is_given_up_when_its_next_attempt_would_be_too_late() {
        let enqueued_at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now: Timestamp = "2026-01-07T23:49:59Z".parse().unwrap();
        assert_eq!(BACKOFF.next_attempt(30, enqueued_at, now), Some("2026-01-07T23:59:59Z".parse().unwrap()));
        let now: Timestamp = "2026-01-07T23:50:01Z".parse().unwrap();
        assert_eq!(BACKOFF.next_attempt(30, enqueued_at, now), None);
    }
}

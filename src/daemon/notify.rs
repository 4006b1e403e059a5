//! What systemd and the readiness probe are told: starting, ready, draining; and the watchdog's heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use sd_notify::NotifyState;
use tracing::debug;

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

/// Whether instances are taken.
#[derive(Debug, Clone)]
pub(super) struct Status(Arc<AtomicU8>);

impl Status {
    pub(super) fn new() -> Self {
        tell(&[NotifyState::Status("starting")]);
        Self(Arc::new(AtomicU8::new(STARTING)))
    }

    pub(super) fn ready(&self) {
        self.0.store(READY, Ordering::Release);
        tell(&[NotifyState::Ready, NotifyState::Status("receiving")]);
    }

    pub(super) fn stopping(&self) {
        self.0.store(DRAINING, Ordering::Release);
        tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    }

    /// Why nothing is taken; nothing when all is well.
    pub(super) fn not_ready(&self) -> Option<String> {
        match self.0.load(Ordering::Acquire) {
            READY => None,
            DRAINING => Some("draining".to_owned()),
            _ => Some("starting".to_owned()),
        }
    }
}

/// One heartbeat of the watchdog.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// A word to systemd; without it nobody listens, and that is no error.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "systemd could not be told");
    }
}

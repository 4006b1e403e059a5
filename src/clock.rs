//! The only place that asks the time. Everything else is told.

pub use jiff::Timestamp;

/// The present moment, from the system's clock.
#[allow(clippy::disallowed_methods)]
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

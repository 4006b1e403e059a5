//! Documents of synthetic results: read back, checked by our own rules, and by every validator where they are set up.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

#[path = "../shared/mod.rs"]
mod shared;

mod broken;
mod cases;
mod changes;
mod contents;
mod key_objects;
mod pictures;
mod registrations;
mod validators;

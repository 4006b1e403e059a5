//! The real program: started, fed by real senders, killed, and asked what it did.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers of tests are tests.

#[path = "../shared/mod.rs"]
mod shared;

mod archive;
mod changes;
mod commands;
mod delivery;
mod faults;
mod fusion;
mod hostile;
mod kills;
mod node;
mod pacs;
mod path;
mod patient;
mod pictures;
mod revisions;
mod sts;
mod withdrawal;

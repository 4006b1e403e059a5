//! ComBat against the published implementations, and the rules that protect against what it would do in silence.

#![allow(clippy::unwrap_used, clippy::panic)] // A test that cannot go on has failed.

#[path = "../shared/mod.rs"]
mod shared;

mod commands;
mod designs;
mod fortin;
mod program;
mod references;
mod simulation;
mod support;

//! Grouping of real and of synthetic patients, from their files' own facts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../shared/mod.rs"]
mod shared;

mod real;
mod support;
mod synthetic;

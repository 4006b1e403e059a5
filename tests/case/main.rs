//! Grouping of real and of synthetic patients, from their files' own facts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod real;
mod support;
mod synthetic;

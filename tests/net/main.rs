//! The network node against real peers and against bytes that no peer should send.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // Tests fail by panicking.

#[path = "../shared/mod.rs"]
mod shared;

mod commitment;
mod conformance;
mod dcmtk;
mod deliver;
mod peer;
mod python;
mod query;
mod raw;
mod stow;
mod support;
mod tls;
mod users;
mod web;

//! Feature values against the reference values of the Image Biomarker Standardisation Initiative.
//!
//! Phantoms and values lie beside the project and are never part of it: where they are absent, each test says so and counts
//! as passed.

#![allow(clippy::unwrap_used, clippy::panic)] // A test that cannot go on has failed.

#[path = "../shared/mod.rs"]
mod shared;

mod consensus;
mod diagnostics;
mod filters;
mod page;
mod phantoms;
mod support;

//! One case through all stages, from files to documents: the synthetic patient against its truth, and real patients.
//!
//! Real patients lie beside the project (see the README of the reference folder) and are never part of it: where they are
//! absent, each test that needs them says so and counts as passed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp)] // A test that cannot go on has failed.

#[path = "../shared/mod.rs"]
mod shared;

mod fused;
mod fusion;
mod harmonise;
mod misregistration;
mod perturbations;
mod phantom;
mod refusals;
mod sarcoma;
mod support;
mod validators;

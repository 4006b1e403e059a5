//! Volumes, SUV and regions of the reference data, against values that an independent reader made.
//!
//! The data lie beside the project (see the README of its reference folder) and are never part of it: where they are
//! absent, each test says so and counts as passed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, clippy::cast_possible_truncation)] // A test that cannot go on has failed.

#[path = "../shared/mod.rs"]
mod shared;

mod defects;
mod document;
mod encodings;
mod enhanced;
mod made;
mod orientation;
mod seg;
mod series;
mod split;
mod support;
mod suv;

//! The store as its callers see it, on real directories.

mod correct;
pub(crate) mod fixture;
mod holdings;
mod outbox;
mod property;
mod receive;
mod recover;
mod retention;
mod withdraw;

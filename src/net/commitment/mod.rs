//! Storage commitment (PS3.4 annex J), push model, on both sides.
//!
//! ```text
//! scp       others ask us to commit: N-ACTION in, checked, written down, answered
//! report    what became of it: N-EVENT-REPORT out, over a new association or the one that is open
//! scu       we ask destinations to commit to what they got; their report comes back on either association
//! ```
//!
//! A modality may erase its originals on our word, so it is given only for instances whose bytes on the disk have the
//! digest of what was received, and only after the promise itself is durable.

pub(super) mod data_set;
mod report;
mod scp;
mod scu;

pub use report::report_due;
pub(super) use report::report_message;
pub(super) use scp::{event, request};
pub use scu::ask_due;

use dicom_dictionary_std::uids;

/// The one instance of the push model SOP class.
pub(super) const PUSH_MODEL_INSTANCE: &str = uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE;
/// Action type: request storage commitment.
pub(super) const REQUEST: u16 = 1;
/// Event type: everything is committed to.
pub(super) const SUCCESSFUL: u16 = 1;
/// Event type: something is not.
pub(super) const FAILURES_EXIST: u16 = 2;

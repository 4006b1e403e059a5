//! The network node: DICOM associations in and out (PS3.7, PS3.8).
//!
//! ```text
//! tls, stream, users   who is at the other end, and in which clothes
//! pdu       bytes <-> protocol data units, piece by piece
//! wire      one connection: events in, PDUs out, deadlines
//! command_set, dimse, status   messages as types
//! receive/  associations that others open: verification, storage
//! deliver/  associations that we open: verification, storage
//! stow/     the same over the Web: STOW-RS
//! query/    what is named and did not come: C-FIND, C-MOVE
//! conformance/  all of it as a conformance statement (PS3.2)
//! commitment/   our word for what we store, and that of others for what we sent
//! ```
//!
//! What is received goes to the store as it comes and is answered when it is durable. No log line holds a UID or
//! anything of a data set; identifiers are short hashes.

mod ae_title;
pub mod command_set;
pub mod commitment;
pub mod conformance;
pub mod deliver;
pub mod dimse;
pub mod pdu;
pub mod query;
pub mod receive;
pub mod requestor;
pub mod settings;
pub mod sop_class;
mod status;
pub mod stow;
mod stream;
mod tally;
pub mod tls;
pub mod users;
mod wire;

pub use ae_title::{AeTitle, AeTitleError};
pub use settings::{Corrections, NodeSettings, Peer};
pub use status::{Status, StatusClass};
pub use stream::Stream;

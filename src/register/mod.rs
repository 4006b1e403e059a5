//! Registration: the map from the reference's space to each other role's.
//!
//! The map is, in this order: that of a registration object of the case; the identity where the images share a Frame of
//! Reference. Images that share none have no trusted map: the finding `no_common_frame` says so, and features that need one
//! are withheld.
//!
//! What this stage does not do: it does not look at the voxels yet. An identity is taken from the Frame of Reference UID and
//! its note says that no estimate has verified it.

mod quality;
mod settings;
mod stage;

pub use quality::Quality;
pub use settings::{SameFrame, Settings, TransformKind};
pub use stage::{Pair, Registration, RegistrationSource, register};

//! Registration: the map from the reference's space to each other role's.
//!
//! The map is, in this order: that of a registration object of the case, compared with the images in both directions; the
//! identity where the images share a Frame of Reference and do not contradict it; an estimate from the images.
//!
//! Two estimators that share neither measure nor optimiser make the estimate. The first maximises normalised mutual
//! information from many starts ([`nmi`], [`search`]), the second matches blocks ([`blocks`], [`consensus`]). The map is one between
//! theirs. It is trusted only where they lie close to each other; else the finding `registration_not_trusted` says so, and features
//! that need it are withheld.
//!
//! Everything is in millimetres: blurs, spacings, steps and parameters. Sums run in a fixed order, so that a result is the
//! same bits for any number of threads.

mod binned;
mod bins;
mod blocks;
mod body;
mod consensus;
mod deform;
mod estimate;
mod linear;
mod nmi;
mod peak;
mod pyramid;
mod quality;
mod samples;
mod search;
mod sensitivity;
mod settings;
mod stage;
mod trimmed_fit;
mod uncertainty;

pub use quality::Quality;
pub use sensitivity::{MeanSensitivity, Motion, draw_motions, motion_map};
pub use settings::{Estimation, SameFrame, Settings, Similarity, TransformKind};
pub use stage::{Pair, Registration, RegistrationSource, register};
pub use uncertainty::Uncertainty;

#[cfg(test)]
mod stage_tests;
#[cfg(test)]
mod testing;

//! Normalisation: intensities of each modality on a scale that can be compared, by that modality's own rules.

mod method;

pub use method::{Method, SuvKind};

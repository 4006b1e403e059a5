//! Registration: the map from the reference's space to each other role's.

mod settings;

pub use settings::{SameFrame, TransformKind};

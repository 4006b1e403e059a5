//! What the registration may do.

use serde::{Deserialize, Serialize};

/// The kind of map that is sought between the reference and another role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransformKind {
    /// None is sought: only images that share a Frame of Reference can be aligned.
    None,
    /// Rotation and translation.
    #[default]
    Rigid,
    /// Any linear map and translation.
    Affine,
    /// Affine, then a cubic B-spline displacement field.
    Bspline,
}

/// What images that share a Frame of Reference UID are taken for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameFrame {
    /// The identity stands unless the images contradict it.
    #[default]
    Verify,
    /// The identity stands.
    Trust,
    /// The estimate is used.
    Refine,
}

/// Every setting of the stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What is sought.
    pub transform: TransformKind,
    /// What a common Frame of Reference is taken for.
    pub same_frame: SameFrame,
}

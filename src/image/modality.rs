//! What physics made an image.

use serde::{Deserialize, Serialize};

/// The kinds of image that the numerical stages tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Computed tomography: Hounsfield units.
    Ct,
    /// Positron emission tomography: SUV or activity.
    Pet,
    /// Magnetic resonance: arbitrary units.
    Mr,
    /// Anything else.
    Other,
}

impl Modality {
    /// The kind that a Modality (0008,0060) code names.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        match code.trim() {
            "CT" => Self::Ct,
            "PT" => Self::Pet,
            "MR" => Self::Mr,
            _ => Self::Other,
        }
    }
}

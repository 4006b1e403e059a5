//! The storage classes that a report may be sent as.

use dicom_dictionary_std::uids;
use serde::{Deserialize, Serialize};

/// A storage class for structured reports. The same content tree is legal in all of them: it has no 3D coordinates and no
/// references from item to item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SrClass {
    /// Comprehensive 3D SR (PS3.3 A.35.13).
    #[serde(rename = "comprehensive-3d")]
    Comprehensive3d,
    /// Comprehensive SR (PS3.3 A.35.3).
    Comprehensive,
    /// Enhanced SR (PS3.3 A.35.2).
    Enhanced,
}

impl SrClass {
    /// Every class, the richest first.
    pub const ALL: &'static [Self] = &[Self::Comprehensive3d, Self::Comprehensive, Self::Enhanced];

    /// Its SOP Class UID.
    #[must_use]
    pub const fn sop_class(self) -> &'static str {
        match self {
            Self::Comprehensive3d => uids::COMPREHENSIVE3_DSR_STORAGE,
            Self::Comprehensive => uids::COMPREHENSIVE_SR_STORAGE,
            Self::Enhanced => uids::ENHANCED_SR_STORAGE,
        }
    }

    /// The class of that SOP Class UID.
    #[must_use]
    pub fn from_sop_class(uid: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.sop_class() == uid)
    }
}

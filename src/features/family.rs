//! The families of features.

use serde::{Deserialize, Serialize};

/// A family of features, by the chapters of the IBSI reference manual; `Cross` is the project's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Size and shape of the region, and how its intensities lie in space (HCUG).
    Morphology,
    /// Statistics of the intensities (UHIW).
    Intensity,
    /// Statistics of the discretised intensities (ZVCW).
    Histogram,
    /// Intensity-volume histogram (P88C).
    Ivh,
    /// Local and global intensity peak (9ST6).
    Local,
    /// Grey level co-occurrence matrix (LFYI).
    Glcm,
    /// Grey level run length matrix (TP0I).
    Glrlm,
    /// Grey level size zone matrix (9SAK).
    Glszm,
    /// Grey level distance zone matrix (VMDZ).
    Gldzm,
    /// Neighbourhood grey tone difference matrix (IPET).
    Ngtdm,
    /// Neighbouring grey level dependence matrix (REK0).
    Ngldm,
    /// Features of two images on one grid.
    Cross,
}

impl Family {
    /// Every family, in the order of the results.
    pub const ALL: &'static [Self] = &[
        Self::Morphology,
        Self::Local,
        Self::Intensity,
        Self::Histogram,
        Self::Ivh,
        Self::Glcm,
        Self::Glrlm,
        Self::Glszm,
        Self::Gldzm,
        Self::Ngtdm,
        Self::Ngldm,
        Self::Cross,
    ];

    /// The name in the configuration, the tables and the reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Morphology => "morphology",
            Self::Intensity => "intensity",
            Self::Histogram => "histogram",
            Self::Ivh => "ivh",
            Self::Local => "local",
            Self::Glcm => "glcm",
            Self::Glrlm => "glrlm",
            Self::Glszm => "glszm",
            Self::Gldzm => "gldzm",
            Self::Ngtdm => "ngtdm",
            Self::Ngldm => "ngldm",
            Self::Cross => "cross",
        }
    }

    /// The family of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|family| family.name() == name)
    }

    /// The IBSI code of the family; `None` for the project's own.
    #[must_use]
    pub const fn ibsi_id(self) -> Option<&'static str> {
        match self {
            Self::Morphology => Some("HCUG"),
            Self::Intensity => Some("UHIW"),
            Self::Histogram => Some("ZVCW"),
            Self::Ivh => Some("P88C"),
            Self::Local => Some("9ST6"),
            Self::Glcm => Some("LFYI"),
            Self::Glrlm => Some("TP0I"),
            Self::Glszm => Some("9SAK"),
            Self::Gldzm => Some("VMDZ"),
            Self::Ngtdm => Some("IPET"),
            Self::Ngldm => Some("REK0"),
            Self::Cross => None,
        }
    }

    /// Whether its features are of the discretised image.
    #[must_use]
    pub const fn is_discretised(self) -> bool {
        !matches!(self, Self::Morphology | Self::Intensity | Self::Local | Self::Ivh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_found_by_the_name_that_it_is_written_under() {
        for family in Family::ALL {
            assert_eq!(Family::from_name(family.name()), Some(*family));
            assert_eq!(serde_json::to_string(family).unwrap(), format!("\"{}\"", family.name()));
        }
        assert_eq!(Family::from_name("shape"), None);
    }
}

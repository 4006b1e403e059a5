//! What the numbers of a volume are.

use serde::{Deserialize, Serialize};

use super::suv::SuvKind;

/// The quantity of a volume's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// CT numbers: -1000 is air, 0 is water.
    Hounsfield,
    /// Standardised uptake value by body weight.
    SuvBw,
    /// By lean body mass, after Morgan and Bray.
    SuvLbm,
    /// By lean body mass, after James.
    SuvLbmJames128,
    /// By lean body mass, after Janmahasatian.
    SuvLbmJanma,
    /// By ideal body weight.
    SuvIbw,
    /// By body surface area.
    SuvBsa,
    /// Activity concentration.
    BqPerMl,
    /// Numbers without a scale: MR signal, CT that is not in Hounsfield units.
    Arbitrary,
}

impl From<SuvKind> for Units {
    fn from(kind: SuvKind) -> Self {
        match kind {
            SuvKind::Bw => Self::SuvBw,
            SuvKind::Lbm => Self::SuvLbm,
            SuvKind::LbmJames128 => Self::SuvLbmJames128,
            SuvKind::LbmJanma => Self::SuvLbmJanma,
            SuvKind::Ibw => Self::SuvIbw,
            SuvKind::Bsa => Self::SuvBsa,
        }
    }
}

impl Units {
    /// Whether the values are standardised uptake values.
    #[must_use]
    pub const fn is_suv(self) -> bool {
        !matches!(self, Self::Hounsfield | Self::BqPerMl | Self::Arbitrary)
    }

    /// The UCUM code.
    #[must_use]
    pub const fn ucum(self) -> &'static str {
        match self {
            Self::Hounsfield => "[hnsf'U]",
            Self::SuvBw => "g/ml{SUVbw}",
            Self::SuvLbm => "g/ml{SUVlbm}",
            Self::SuvLbmJames128 => "g/ml{SUVlbm(James128)}",
            Self::SuvLbmJanma => "g/ml{SUVlbm(Janma)}",
            Self::SuvIbw => "g/ml{SUVibw}",
            Self::SuvBsa => "cm2/ml{SUVbsa}",
            Self::BqPerMl => "Bq/ml",
            Self::Arbitrary => "[arb'U]",
        }
    }

    /// The meaning of the code, as in PS3.16 CID 82 and CID 85.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Hounsfield => "Hounsfield unit",
            Self::SuvBw => "Standardized Uptake Value body weight",
            Self::SuvLbm => "Standardized Uptake Value lean body mass (James)",
            Self::SuvLbmJames128 => "Standardized Uptake Value lean body mass (James 128 multiplier)",
            Self::SuvLbmJanma => "Standardized Uptake Value lean body mass (Janma)",
            Self::SuvIbw => "Standardized Uptake Value ideal body weight",
            Self::SuvBsa => "Standardized Uptake Value body surface area",
            Self::BqPerMl => "Becquerels/milliliter",
            Self::Arbitrary => "arbitrary unit",
        }
    }
}

//! What the numbers of a volume are.

use serde::{Deserialize, Serialize};

/// The quantity of a volume's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// CT numbers: -1000 is air, 0 is water.
    Hounsfield,
    /// Standardised uptake value by body weight.
    SuvBw,
    /// Activity concentration.
    BqPerMl,
    /// Numbers without a scale: MR signal, CT that is not in Hounsfield units.
    Arbitrary,
}

impl Units {
    /// The UCUM code.
    #[must_use]
    pub const fn ucum(self) -> &'static str {
        match self {
            Self::Hounsfield => "[hnsf'U]",
            Self::SuvBw => "g/ml{SUVbw}",
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
            Self::BqPerMl => "Becquerels/milliliter",
            Self::Arbitrary => "arbitrary unit",
        }
    }
}

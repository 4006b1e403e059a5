//! Settings by name, and settings from a TOML text that starts from one of them.

use toml::{Table, Value};

use super::filters::{self, Dimensions};
use super::{
    Aggregation, BinAnchor, Discretise, Family, GridAlign, Kurtosis, Resample, Resegment, Settings, Spacing, Texture,
};
use crate::image::Interpolation;

/// Why a settings text cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// It is no TOML, or has a key or value that there is not.
    #[error("the feature settings cannot be read: {0}")]
    Text(String),
    /// No preset has that name.
    #[error("preset is {found:?}, expected ibsi2-phase1-TEST, ibsi2-phase2-TEST or one of {}", PRESETS.join(", "))]
    Preset {
        /// The name that was given.
        found: String,
    },
    /// A number is out of its range.
    #[error(transparent)]
    Range(#[from] super::FeatureError),
}

impl crate::error::Duty for SettingsError {
    fn fault(&self) -> crate::error::Fault {
        crate::error::Fault::Config
    }

    fn retry(&self) -> crate::error::Retry {
        crate::error::Retry::Never
    }
}

/// The names of the presets, beside those of the tests of IBSI 2: `ibsi2-phase1-` and `ibsi2-phase2-` with the name of a test
/// in the manual ([`PHASE_1`](super::filters::PHASE_1), [`PHASE_2`](super::filters::PHASE_2)).
pub const PRESETS: &[&str] = &[
    "ibsi-digital-phantom",
    "ibsi-a",
    "ibsi-b",
    "ibsi-c",
    "ibsi-d",
    "ibsi-e",
    "ibsi-validation-ct",
    "ibsi-validation-mr",
    "ibsi-validation-pt",
    "pyradiomics-default",
    "clinical-ct",
    "clinical-mr",
    "clinical-pt",
];

/// Sections whose keys are laid over those of the preset one by one; every other key replaces the preset's whole value.
const LAYERED: [&str; 3] = ["resample", "resegment", "texture"];

impl Settings {
    /// The preset of that name.
    ///
    /// `ibsi-a` to `ibsi-e` are the processing configurations of the IBSI reference manual (chapter 5), with all
    /// aggregations of their dimension; `ibsi-digital-phantom` its digital phantom, as it is, with all six.
    /// `ibsi-validation-…` are the settings of the IBSI 1 validation on three modalities. `pyradiomics-default` gives what
    /// PyRadiomics gives without a parameter file: bins counted from zero, kurtosis not in excess, grids aligned at their
    /// corner. `clinical-…` are what a protocol uses where it says nothing else.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        Some(match name {
            "ibsi-digital-phantom" => Self { texture: aggregated(Aggregation::ALL), ..Self::default() },
            "ibsi-a" => Self {
                resegment: Resegment::range(-500.0, 400.0),
                discretise: Discretise::BinWidth(25.0),
                texture: aggregated(BY_SLICE),
                ..Self::default()
            },
            "ibsi-b" => Self {
                resample: Some(Resample::new(Spacing::InPlane([2.0, 2.0]), Interpolation::Linear)),
                discretise: Discretise::Bins(32),
                ..Self::preset("ibsi-a")?.rounded()
            },
            "ibsi-c" => Self {
                resegment: Resegment::range(-1000.0, 400.0),
                discretise: Discretise::BinWidth(25.0),
                ivh: Discretise::BinWidth(2.5),
                ..Self::ibsi_volumetric(Interpolation::Linear)
            },
            "ibsi-d" => Self {
                resegment: Resegment { outlier_sigma: Some(3.0), ..Resegment::default() },
                ..Self::ibsi_volumetric(Interpolation::Linear)
            },
            "ibsi-e" => Self {
                resegment: Resegment { outlier_sigma: Some(3.0), ..Resegment::range(-1000.0, 400.0) },
                ivh: Discretise::Bins(1000),
                ..Self::ibsi_volumetric(Interpolation::Cubic)
            },
            "ibsi-validation-ct" => Self {
                resegment: Resegment::range(-200.0, 200.0),
                discretise: Discretise::BinWidth(10.0),
                ..Self::cubic(1.0).rounded()
            },
            "ibsi-validation-mr" => Self {
                discretise: Discretise::BinWidth(10.0),
                ivh: Discretise::BinWidth(1.0),
                ..Self::cubic(1.0).not_negative()
            },
            "ibsi-validation-pt" => Self {
                discretise: Discretise::BinWidth(0.25),
                ivh: Discretise::BinWidth(0.1),
                ..Self::cubic(3.0).not_negative()
            },
            "pyradiomics-default" => Self::pyradiomics(),
            "clinical-ct" => Self {
                resegment: Resegment::range(-500.0, 400.0),
                discretise: Discretise::BinWidth(25.0),
                ..Self::cubic(1.0).rounded()
            },
            "clinical-mr" => Self { discretise: Discretise::Bins(32), ivh: Discretise::Bins(1000), ..Self::cubic(1.0) },
            "clinical-pt" => Self {
                discretise: Discretise::BinWidth(0.25),
                ivh: Discretise::BinWidth(0.1),
                ..Self::cubic(3.0).not_negative()
            },
            _ => return Self::ibsi_2(name),
        })
    }

    /// The settings of a test of IBSI 2: the filter of phase 1 on a digital phantom, the whole processing of phase 2 on the
    /// CT phantom, and intensity statistics of the response.
    fn ibsi_2(name: &str) -> Option<Self> {
        if let Some(test) = name.strip_prefix("ibsi2-phase1-") {
            let filter = vec![filters::phase_1(test)?];
            return Some(Self { filter, families: vec![Family::Intensity], ..Self::default() });
        }
        let (filter, dimensions) = filters::phase_2(name.strip_prefix("ibsi2-phase2-")?)?;
        let base = match dimensions {
            Dimensions::Slices => Self::default(),
            Dimensions::Volume => Self::cubic(1.0).rounded(),
        };
        let resegment = Resegment::range(-1000.0, 400.0);
        Some(Self { resegment, filter: vec![filter], families: vec![Family::Intensity], ..base })
    }

    /// Settings from TOML: the keys of [`Settings`], and `preset`, the name of the settings that they change.
    ///
    /// # Errors
    /// When the text is no TOML, a key or a preset is unknown, or a number is out of range.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        let unreadable = |error: &dyn std::fmt::Display| SettingsError::Text(error.to_string().trim_end().to_owned());
        let mut given: Table = text.parse().map_err(|error: toml::de::Error| unreadable(&error))?;
        let base = match given.remove("preset") {
            None => Self::default(),
            Some(Value::String(name)) => Self::preset(&name).ok_or(SettingsError::Preset { found: name })?,
            Some(other) => return Err(SettingsError::Preset { found: other.to_string() }),
        };
        let mut all = Table::try_from(&base).map_err(|error| unreadable(&error))?;
        for (key, value) in given {
            match (all.get_mut(&key), value) {
                (Some(Value::Table(below)), Value::Table(above)) if LAYERED.contains(&key.as_str()) => {
                    below.extend(above)
                }
                (_, value) => {
                    all.insert(key, value);
                }
            }
        }
        let settings: Self = all.try_into().map_err(|error: toml::de::Error| unreadable(&error))?;
        settings.validate()?;
        Ok(settings)
    }

    fn rounded(self) -> Self {
        Self { round_to_integers: true, ..self }
    }

    fn not_negative(self) -> Self {
        Self { resegment: Resegment { low: Some(0.0), ..Resegment::default() }, ..self }
    }

    fn cubic(spacing_mm: f64) -> Self {
        Self { resample: Some(Resample::new(Spacing::Isotropic(spacing_mm), Interpolation::Cubic)), ..Self::default() }
    }

    /// What configurations C, D and E share.
    fn ibsi_volumetric(interpolation: Interpolation) -> Self {
        Self {
            resample: Some(Resample::new(Spacing::Isotropic(2.0), interpolation)),
            round_to_integers: true,
            discretise: Discretise::Bins(32),
            texture: aggregated(IN_VOLUME),
            ..Self::default()
        }
    }

    fn pyradiomics() -> Self {
        Self {
            discretise: Discretise::BinWidth(25.0),
            bin_anchor: BinAnchor::Zero,
            grid_align: GridAlign::Corner,
            kurtosis: Kurtosis::Plain,
            texture: aggregated(&[Aggregation::Averaged3d]),
            ..Self::default()
        }
    }
}

const BY_SLICE: &[Aggregation] =
    &[Aggregation::Averaged2d, Aggregation::SliceMerged2d, Aggregation::DirectionMerged25d, Aggregation::Merged25d];

const IN_VOLUME: &[Aggregation] = &[Aggregation::Averaged3d, Aggregation::Merged3d];

fn aggregated(aggregations: &[Aggregation]) -> Texture {
    Texture { aggregations: aggregations.to_vec(), ..Texture::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_there_valid_and_survives_a_round_trip_through_toml() {
        let one = filters::PHASE_1.iter().map(|test| format!("ibsi2-phase1-{test}"));
        let two = filters::PHASE_2.iter().map(|test| format!("ibsi2-phase2-{test}"));
        for name in PRESETS.iter().map(|name| (*name).to_owned()).chain(one).chain(two) {
            let preset = Settings::preset(&name).unwrap();
            preset.validate().unwrap();
            assert_eq!(Settings::from_toml(&toml::to_string(&preset).unwrap()).unwrap(), preset, "{name}");
            assert_eq!(Settings::from_toml(&format!("preset = \"{name}\"")).unwrap(), preset);
        }
        assert!(Settings::preset("ibsi-f").is_none());
    }

    #[test]
    fn keys_beside_a_preset_change_it_and_nothing_else() {
        let text = "preset = \"ibsi-c\"\nfamilies = [\"glcm\"]\n[resample]\ninterpolation = \"cubic\"\n\
                    [discretise]\nbins = 64\n[resegment]\noutlier_sigma = 3.0";
        let settings = Settings::from_toml(text).unwrap();
        let preset = Settings::preset("ibsi-c").unwrap();
        assert_eq!(settings.resample.unwrap().spacing_mm, Spacing::Isotropic(2.0));
        assert_eq!(settings.resample.unwrap().interpolation, Interpolation::Cubic);
        assert_eq!(settings.discretise, Discretise::Bins(64));
        assert_eq!(settings.resegment, Resegment { outlier_sigma: Some(3.0), ..preset.resegment });
        assert_eq!((settings.ivh, settings.texture), (preset.ivh, preset.texture));
    }

    #[test]
    fn what_is_unknown_or_out_of_range_is_refused_with_a_sentence() {
        let sentence = |text: &str| Settings::from_toml(text).unwrap_err().to_string();
        assert!(sentence("preset = \"ibsi-z\"").contains("ibsi-a, ibsi-b"));
        assert!(sentence("binwidth = 3").contains("binwidth"));
        assert!(sentence("preset = \"ibsi-a\"\n[discretise]\nbins = 0").contains("1 to 65535 bins"));
        assert!(sentence("[resample]\nspacing = 1.0").contains("spacing"));
        assert!(sentence("= 3").starts_with("the feature settings cannot be read"));
    }
}

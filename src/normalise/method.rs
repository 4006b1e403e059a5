//! Which scale a modality's intensities are brought to.

use serde::{Deserialize, Serialize};

pub use super::stripe::Contrast;

/// How the intensities of one role are made comparable. Every method is strictly monotone: the order of voxels is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// CT: the values stay Hounsfield units.
    #[serde(rename = "hu")]
    Hounsfield {
        /// Re-segmentation range (IBSI 2.5), both ends inside: voxels beyond it leave the intensity mask. Never clips.
        #[serde(default)]
        window: Option<(f64, f64)>,
    },
    /// PET: standardised uptake values.
    Suv {
        /// What the uptake is relative to.
        #[serde(default)]
        kind: SuvKind,
        /// `true`: log(1 + SUV) instead of SUV.
        #[serde(default)]
        log: bool,
    },
    /// Any: (I - mean) / standard deviation over the body, whatever the ROI.
    #[serde(rename = "zscore")]
    ZScore,
    /// MR: relative to the mean of a region of reference tissue.
    #[serde(alias = "reference-tissue")]
    ReferenceTissue {
        /// Name of the ROI that covers the reference tissue.
        roi: String,
    },
    /// MR: piecewise linear to a standard histogram by landmarks.
    Histogram {
        /// Name of the trained standard.
        standard: String,
    },
    /// MR of heads: relative to normal-appearing white matter.
    #[serde(alias = "white-stripe")]
    WhiteStripe {
        /// What the image is weighted by.
        contrast: Contrast,
    },
    /// The values stay as they are.
    None,
}

/// What a standardised uptake value is relative to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuvKind {
    /// Body weight: g/ml.
    #[default]
    #[serde(rename = "bw", alias = "body_weight")]
    BodyWeight,
    /// Lean body mass after Morgan and Bray: g/ml.
    #[serde(rename = "lbm", alias = "lean_body_mass")]
    LeanBodyMass,
    /// Lean body mass after James: g/ml.
    #[serde(rename = "lbm-james128")]
    LeanBodyMassJames128,
    /// Lean body mass after Janmahasatian: g/ml.
    #[serde(rename = "lbm-janmahasatian")]
    LeanBodyMassJanmahasatian,
    /// Body surface area: cm2/ml.
    #[serde(rename = "bsa", alias = "body_surface_area")]
    BodySurfaceArea,
    /// Ideal body weight: g/ml.
    #[serde(rename = "ibw", alias = "ideal_body_weight")]
    IdealBodyWeight,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_written_as_in_the_configuration() {
        let hu: Method = toml::from_str("method = \"hu\"\nwindow = [-500.0, 400.0]").unwrap();
        assert_eq!(hu, Method::Hounsfield { window: Some((-500.0, 400.0)) });
        let suv: Method = toml::from_str("method = \"suv\"\nkind = \"bw\"\nlog = false").unwrap();
        assert_eq!(suv, Method::Suv { kind: SuvKind::BodyWeight, log: false });
        assert_eq!(toml::from_str::<Method>("method = \"zscore\"").unwrap(), Method::ZScore);
        assert!(toml::from_str::<Method>("method = \"suv\"\nwindow = [0.0, 1.0]").is_err());
    }
}

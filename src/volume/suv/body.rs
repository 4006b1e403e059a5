//! What a standardised uptake is divided by: body weight, lean body mass, ideal body weight, body surface area.

use serde::{Deserialize, Serialize};

/// Patient's Sex (0010,0040) as the formulas need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    /// `M`
    Male,
    /// `F`
    Female,
    /// `O`: the mean of both formulas, for want of a consensus.
    Other,
}

/// What the uptake is normalised by (PS3.3 C.8.9.1, SUV Type (0054,1006)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuvKind {
    /// Body weight, g/ml.
    #[default]
    Bw,
    /// Lean body mass by Morgan and Bray, 120 (W/H)^2 for men: SUV Type LBM, g/ml.
    Lbm,
    /// Lean body mass by James, 128 (W/H)^2 for men: SUV Type LBMJAMES128, g/ml.
    LbmJames128,
    /// Lean body mass by Janmahasatian: SUV Type LBMJANMA, g/ml.
    LbmJanma,
    /// Ideal body weight: SUV Type IBW, g/ml.
    Ibw,
    /// Body surface area by Du Bois: SUV Type BSA, cm2/ml.
    Bsa,
}

impl SuvKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Bw, Self::Lbm, Self::LbmJames128, Self::LbmJanma, Self::Ibw, Self::Bsa];

    /// The kind that SUV Type (0054,1006) names under Units GML; empty is body weight.
    #[must_use]
    pub fn from_suv_type(suv_type: &str) -> Option<Self> {
        Some(match suv_type {
            "" | "BW" => Self::Bw,
            "LBM" => Self::Lbm,
            "LBMJAMES128" => Self::LbmJames128,
            "LBMJANMA" => Self::LbmJanma,
            "IBW" => Self::Ibw,
            _ => return None,
        })
    }
}

/// A patient's measures, in the units of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// Patient's Weight (0010,1030).
    pub weight_kg: f64,
    /// Patient's Size (0010,1020).
    pub size_m: Option<f64>,
    /// Patient's Sex (0010,0040).
    pub sex: Option<Sex>,
}

/// What a formula needs and the header does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// No weight.
    #[error("PatientWeight (0010,1030) is absent or 0, expected kilograms")]
    Weight,
    /// No size.
    #[error("PatientSize (0010,1020) is absent or 0, expected metres")]
    Size,
    /// No sex.
    #[error("PatientSex (0010,0040) is absent, expected M, F or O")]
    Sex,
    /// The formula gives no positive mass for these measures.
    #[error("the body mass formula gives no positive value for this weight and size")]
    Formula,
}

impl Body {
    /// What the uptake is divided by, so that SUV = activity concentration x measure / dose: grams, or cm2 for the body
    /// surface. With W in kg and H in cm:
    ///
    /// | kind | men | women |
    /// |---|---|---|
    /// | LBM | 1.10 W - 120 (W/H)^2 | 1.07 W - 148 (W/H)^2 |
    /// | LBM James | 1.10 W - 128 (W/H)^2 | 1.07 W - 148 (W/H)^2 |
    /// | LBM Janmahasatian | 9270 W / (6680 + 216 BMI) | 9270 W / (8780 + 244 BMI) |
    /// | IBW | 48.0 + 1.06 (H - 152) | 45.5 + 0.91 (H - 152) |
    /// | BSA (m2) | 0.007184 H^0.725 W^0.425 | the same |
    ///
    /// Sources: PS3.3 C.8.9.1 for the defined terms; Sugawara et al., Radiology 1999;213:521; Janmahasatian et al., Clin
    /// Pharmacokinet 2005;44:1051; Du Bois, Arch Intern Med 1916;17:863.
    ///
    /// # Errors
    /// When the formula needs a size or a sex that is not there, or leaves its domain.
    pub fn measure(&self, kind: SuvKind) -> Result<f64, BodyError> {
        if kind == SuvKind::Bw {
            return Ok(1e3 * self.weight_kg);
        }
        let size_cm = 100.0 * self.size_m.filter(|size| *size > 0.0).ok_or(BodyError::Size)?;
        let value = if kind == SuvKind::Bsa {
            1e4 * 0.007_184 * size_cm.powf(0.725) * self.weight_kg.powf(0.425)
        } else {
            let male = 1e3 * mass_kg(kind, self.weight_kg, size_cm, true);
            let female = 1e3 * mass_kg(kind, self.weight_kg, size_cm, false);
            match self.sex.ok_or(BodyError::Sex)? {
                Sex::Male => male,
                Sex::Female => female,
                Sex::Other => f64::midpoint(male, female),
            }
        };
        if value.is_finite() && value > 0.0 { Ok(value) } else { Err(BodyError::Formula) }
    }
}

fn mass_kg(kind: SuvKind, weight_kg: f64, size_cm: f64, male: bool) -> f64 {
    let ratio = weight_kg / size_cm;
    let bmi = weight_kg / (size_cm / 100.0).powi(2);
    match (kind, male) {
        (SuvKind::Lbm, true) => 1.10 * weight_kg - 120.0 * ratio * ratio,
        (SuvKind::LbmJames128, true) => 1.10 * weight_kg - 128.0 * ratio * ratio,
        (SuvKind::Lbm | SuvKind::LbmJames128, false) => 1.07 * weight_kg - 148.0 * ratio * ratio,
        (SuvKind::LbmJanma, true) => 9270.0 * weight_kg / (6680.0 + 216.0 * bmi),
        (SuvKind::LbmJanma, false) => 9270.0 * weight_kg / (8780.0 + 244.0 * bmi),
        (SuvKind::Ibw, true) => 48.0 + 1.06 * (size_cm - 152.0),
        (SuvKind::Ibw, false) => 45.5 + 0.91 * (size_cm - 152.0),
        (SuvKind::Bw | SuvKind::Bsa, _) => weight_kg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn the_measures_of_one_man_are_those_of_the_published_formulas() {
        // The values are those of the calculate-suv project's unit tests (MIT).
        let body = Body { weight_kg: 75.0, size_m: Some(1.85), sex: Some(Sex::Male) };
        assert_relative_eq!(body.measure(SuvKind::Bw).unwrap(), 75_000.0);
        assert_relative_eq!(body.measure(SuvKind::Lbm).unwrap(), 62_777.574_872_169_47, max_relative = 1e-12);
        assert_relative_eq!(body.measure(SuvKind::LbmJanma).unwrap(), 60_915.335_886_519_744, max_relative = 1e-12);
        assert_relative_eq!(body.measure(SuvKind::Bsa).unwrap(), 19_813.758_427_117_766, max_relative = 1e-12);
    }

    #[test]
    fn another_sex_lies_in_the_middle_and_a_missing_one_is_an_error() {
        let body = |sex| Body { weight_kg: 70.0, size_m: Some(1.75), sex };
        for kind in [SuvKind::Lbm, SuvKind::LbmJames128, SuvKind::LbmJanma, SuvKind::Ibw] {
            let [male, female, other] =
                [Sex::Male, Sex::Female, Sex::Other].map(|sex| body(Some(sex)).measure(kind).unwrap());
            assert_relative_eq!(other, (male + female) / 2.0);
            assert_eq!(body(None).measure(kind), Err(BodyError::Sex));
        }
        assert!(body(None).measure(SuvKind::Bsa).is_ok());
        assert_eq!(Body { size_m: None, ..body(None) }.measure(SuvKind::Bsa), Err(BodyError::Size));
        // 300 kg at 1.2 m: the lean mass by James is negative.
        let heavy = Body { weight_kg: 300.0, size_m: Some(1.2), sex: Some(Sex::Female) };
        assert_eq!(heavy.measure(SuvKind::LbmJames128), Err(BodyError::Formula));
    }
}

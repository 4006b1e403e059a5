//! From a covariate to columns of the design, frozen with the model.

use serde::{Deserialize, Serialize};

use super::apply::RawReason;
use super::data::{Covariate, Values};
use super::spline::{Knots, SEGMENTS};

/// How a covariate became columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coding {
    /// The covariate's name.
    pub name: String,
    /// What it became.
    #[serde(flatten)]
    pub kind: CodingKind,
}

/// What a covariate became.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum CodingKind {
    /// One column of numbers.
    Continuous {
        /// Smallest training value.
        low: f64,
        /// Largest training value.
        high: f64,
    },
    /// One column of zeros and ones for every level but the first.
    Categorical {
        /// The levels, in the order of their numbers or letters.
        levels: Vec<String>,
    },
    /// One column of numbers, and a penalised curve.
    Spline(Knots),
}

impl Coding {
    /// Learns the coding of a covariate all of whose values are known.
    pub(super) fn learn(covariate: &Covariate, spline: bool) -> Self {
        let kind = match &covariate.values {
            Values::Continuous(values) => {
                let low = values.iter().copied().fold(f64::INFINITY, f64::min);
                let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                if spline && high > low {
                    CodingKind::Spline(Knots { low, high, n_segments: SEGMENTS })
                } else {
                    CodingKind::Continuous { low, high }
                }
            }
            Values::Categorical(values) => CodingKind::Categorical { levels: levels(values) },
        };
        Self { name: covariate.name.clone(), kind }
    }

    /// The names of its columns.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        match &self.kind {
            CodingKind::Continuous { .. } | CodingKind::Spline(_) => vec![self.name.clone()],
            CodingKind::Categorical { levels } => {
                levels.iter().skip(1).map(|level| format!("{}={level}", self.name)).collect()
            }
        }
    }

    /// The values of its columns for one row.
    pub(super) fn row(&self, covariate: &Covariate, row: usize) -> Result<Vec<f64>, RawReason> {
        let missing = || RawReason::MissingCovariate(self.name.clone());
        if !covariate.is_known(row) {
            return Err(missing());
        }
        match (&self.kind, &covariate.values) {
            (CodingKind::Continuous { .. } | CodingKind::Spline(_), Values::Continuous(values)) => {
                Ok(vec![values[row]])
            }
            (CodingKind::Continuous { .. } | CodingKind::Spline(_), Values::Categorical(values)) => {
                let value = values[row].trim().parse::<f64>().ok().filter(|value| value.is_finite());
                value.map(|value| vec![value]).ok_or_else(missing)
            }
            (CodingKind::Categorical { levels }, Values::Categorical(values)) => self.level(levels, &values[row]),
            (CodingKind::Categorical { levels }, Values::Continuous(values)) => {
                self.level(levels, &values[row].to_string())
            }
        }
    }

    fn level(&self, levels: &[String], value: &str) -> Result<Vec<f64>, RawReason> {
        let place = levels.iter().position(|level| same_level(level, value));
        let place = place.ok_or_else(|| RawReason::UnknownLevel(self.name.clone()))?;
        Ok((1..levels.len()).map(|idx| if idx == place { 1.0 } else { 0.0 }).collect())
    }
}

/// Whether two spellings are one level: the same text, or the same number.
fn same_level(a: &str, b: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    a == b || matches!((number(a), number(b)), (Some(x), Some(y)) if (x - y).abs() <= 0.0)
}

/// The levels of a column: by their numbers where all are numbers, else by their letters.
pub(super) fn levels(values: &[String]) -> Vec<String> {
    let mut levels: Vec<String> = Vec::new();
    for value in values {
        if !levels.iter().any(|level| same_level(level, value)) {
            levels.push(value.clone());
        }
    }
    let numbers: Option<Vec<f64>> = levels.iter().map(|level| level.trim().parse::<f64>().ok()).collect();
    match numbers {
        Some(numbers) => {
            let mut paired: Vec<(f64, String)> = numbers.into_iter().zip(levels).collect();
            paired.sort_by(|a, b| a.0.total_cmp(&b.0));
            paired.into_iter().map(|(_, level)| level).collect()
        }
        None => {
            levels.sort();
            levels
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covariate(values: &[&str]) -> Covariate {
        let values = Values::Categorical(values.iter().map(|value| (*value).to_owned()).collect());
        Covariate { name: "grade".into(), values }
    }

    #[test]
    fn levels_that_are_numbers_stand_in_their_order_however_they_are_spelled() {
        let training = covariate(&["10", "2", "1", "2.0"]);
        let coding = Coding::learn(&training, false);
        assert_eq!(coding.columns(), ["grade=2", "grade=10"]);
        let codes: Vec<Vec<f64>> = (0..4).map(|row| coding.row(&training, row).unwrap()).collect();
        assert_eq!(codes, [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]);
    }

    #[test]
    fn an_unknown_level_and_a_missing_value_have_no_code() {
        let coding = Coding::learn(&covariate(&["low", "high"]), false);
        assert_eq!(coding.row(&covariate(&["middle"]), 0), Err(RawReason::UnknownLevel("grade".into())));
        assert_eq!(coding.row(&covariate(&[""]), 0), Err(RawReason::MissingCovariate("grade".into())));
        let age = Covariate { name: "age".into(), values: Values::Continuous(vec![50.0, f64::NAN]) };
        let coding = Coding::learn(&Covariate { values: Values::Continuous(vec![50.0]), ..age.clone() }, false);
        assert_eq!(coding.row(&age, 0), Ok(vec![50.0]));
        assert_eq!(coding.row(&age, 1), Err(RawReason::MissingCovariate("age".into())));
    }
}

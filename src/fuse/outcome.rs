//! What is to be predicted.

use serde::{Deserialize, Serialize};

use super::error::FuseError;

/// Follow-up of one patient.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Survival {
    /// Time to the event or to the end of follow-up, in any one unit; more than 0.
    pub time: f64,
    /// Whether the event was seen; else the time is censored.
    pub event: bool,
}

/// The outcome of every patient, in the order of the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Yes or no.
    Binary(Vec<bool>),
    /// Time to an event.
    Survival(Vec<Survival>),
}

impl Outcome {
    /// How many patients.
    #[must_use]
    pub fn n_patients(&self) -> usize {
        match self {
            Self::Binary(values) => values.len(),
            Self::Survival(values) => values.len(),
        }
    }

    /// Whether each patient had the event.
    #[must_use]
    pub fn events(&self) -> Vec<bool> {
        match self {
            Self::Binary(values) => values.clone(),
            Self::Survival(values) => values.iter().map(|follow_up| follow_up.event).collect(),
        }
    }

    /// How many events.
    #[must_use]
    pub fn n_events(&self) -> usize {
        self.events().iter().filter(|event| **event).count()
    }

    /// The outcome of some patients, in the order of `rows`; rows that are not there are left out.
    #[must_use]
    pub fn of(&self, rows: &[usize]) -> Self {
        match self {
            Self::Binary(values) => Self::Binary(rows.iter().filter_map(|row| values.get(*row)).copied().collect()),
            Self::Survival(values) => Self::Survival(rows.iter().filter_map(|row| values.get(*row)).copied().collect()),
        }
    }

    /// Refuses follow-up times that are not positive numbers.
    ///
    /// # Errors
    /// When a time is not.
    pub fn check(&self) -> Result<(), FuseError> {
        match self {
            Self::Binary(_) => Ok(()),
            Self::Survival(values) => match values.iter().find(|s| !(s.time.is_finite() && s.time > 0.0)) {
                Some(bad) if bad.time.is_finite() => {
                    Err(FuseError::Setting { what: "a follow-up time", found: bad.time, expected: "more than 0" })
                }
                Some(_) => Err(FuseError::NotFinite("the follow-up time".into())),
                None => Ok(()),
            },
        }
    }
}

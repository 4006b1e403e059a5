//! Nested batches: first the vendor's effect is taken away, then, within each vendor, that of the kernel.
//!
//! Horng et al., Scientific Reports 2022, harmonise by one batch variable after the other. Kernels of different vendors
//! share no physics even where they share a name, so a level of the second stage here is the pair of both.

use serde::{Deserialize, Serialize};

use super::apply::Applied;
use super::data::{Batches, Features, Samples};
use super::error::HarmoniseError;
use super::fit::fit;
use super::model::Model;
use super::settings::FitSettings;

/// Models that are applied one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NestedModel {
    /// The names of the batch columns, from the outermost to the innermost.
    pub columns: Vec<String>,
    /// One model for each.
    pub stages: Vec<Model>,
}

/// Between the levels of a nested batch's label.
pub const NESTED_SEPARATOR: &str = " / ";

/// Fits one model per level: `levels[0]` holds the outermost batch of every row, the next ones what lies within it. Each
/// level is fitted to what the levels before it left.
///
/// # Errors
/// As [`fit`], for any level.
pub fn fit_nested(
    samples: &Samples<'_>,
    levels: &[Batches],
    settings: &FitSettings,
) -> Result<NestedModel, HarmoniseError> {
    let mut features = samples.features.clone();
    let mut stages = Vec::new();
    for batches in combined(levels) {
        let stage = Samples { features: &features, batches: &batches, ..*samples };
        let model = fit(&stage, settings)?;
        features = model.apply(&stage)?.features;
        stages.push(model);
    }
    Ok(NestedModel { columns: levels.iter().map(|level| level.name.clone()).collect(), stages })
}

impl NestedModel {
    /// Harmonises by every level in turn. A row that stays raw at one level stays raw at all: half a harmonisation is none.
    ///
    /// # Errors
    /// When the tables do not have the same rows, or other levels than were fitted.
    pub fn apply(&self, samples: &Samples<'_>, levels: &[Batches]) -> Result<Applied, HarmoniseError> {
        if levels.len() != self.stages.len() {
            let what = "the levels of the nested batch, by columns,".to_owned();
            return Err(HarmoniseError::Rows { what, found: levels.len(), expected: self.stages.len() });
        }
        let (applied, _, _) = self.run(samples, levels)?;
        Ok(applied)
    }

    /// What the last stage gets: the features as the stages before it leave them, and the labels of all levels.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn last_input(&self, samples: &Samples<'_>, levels: &[Batches]) -> Result<(Features, Batches), HarmoniseError> {
        let (_, features, batches) = self.run(samples, levels)?;
        Ok((features, batches))
    }

    /// The features' names, in the order of the training table.
    pub fn feature_names(&self) -> impl Iterator<Item = &String> {
        self.stages.first().into_iter().flat_map(|model| &model.features).map(|feature| &feature.name)
    }

    /// The harmonised table, and what the last stage got.
    fn run(&self, samples: &Samples<'_>, levels: &[Batches]) -> Result<(Applied, Features, Batches), HarmoniseError> {
        let mut result: Option<(Applied, Features, Batches)> = None;
        for (model, batches) in self.stages.iter().zip(combined(levels)) {
            let features =
                result.as_ref().map_or_else(|| samples.features.clone(), |(applied, _, _)| applied.features.clone());
            let applied = model.apply(&Samples { features: &features, batches: &batches, ..*samples })?;
            let applied = match result {
                None => applied,
                Some((before, _, _)) => merged(before, applied),
            };
            result = Some((applied, features, batches));
        }
        let none = || HarmoniseError::TooFew { what: "levels of batches".to_owned(), found: 0, expected: 1 };
        let (mut applied, features, batches) = result.ok_or_else(none)?;
        applied.restore_raw(samples.features);
        Ok((applied, features, batches))
    }
}

/// The labels of each level, with those of all levels before it.
fn combined(levels: &[Batches]) -> Vec<Batches> {
    let mut all: Vec<Batches> = Vec::new();
    for level in levels {
        let next = match all.last() {
            None => level.clone(),
            Some(outer) => {
                let pairs = outer.labels.iter().zip(&level.labels);
                let labels = pairs.map(|(outer, inner)| match outer.is_empty() || inner.is_empty() {
                    true => String::new(),
                    false => format!("{outer}{NESTED_SEPARATOR}{inner}"),
                });
                let name = format!("{}{NESTED_SEPARATOR}{}", outer.name, level.name);
                Batches { name, labels: labels.collect() }
            }
        };
        all.push(next);
    }
    all
}

fn merged(before: Applied, after: Applied) -> Applied {
    let rows = before.rows.into_iter().zip(after.rows).map(|(first, second)| first.and(second)).collect();
    let mut unchanged = before.unchanged;
    for (name, reason) in after.unchanged {
        if !unchanged.iter().any(|(known, _)| *known == name) {
            unchanged.push((name, reason));
        }
    }
    let n_untransformed = before.n_untransformed + after.n_untransformed;
    Applied { features: after.features, rows, unchanged, n_untransformed }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Effects, cohort};
    use super::*;
    use crate::math::stats::mean;

    #[test]
    fn vendor_and_kernel_effects_are_both_taken_away() {
        // Batches A and B are one vendor with two kernels, C and D another one.
        let effects = Effects { shifts: vec![0.0, 1.0, 3.0, 5.0], ..Effects::default() };
        let cohort = cohort(&[40, 40, 40, 40], 25, &effects, 8);
        let column = |name: &str, of: &dyn Fn(usize) -> &'static str| Batches {
            name: name.to_owned(),
            labels: (0..160).map(|row| of(row / 40).to_owned()).collect(),
        };
        let vendor = column("vendor", &|b| if b < 2 { "X" } else { "Y" });
        let mut kernel = column("kernel", &|b| if b % 2 == 0 { "soft" } else { "sharp" });
        let levels = [vendor.clone(), kernel.clone()];
        let model = fit_nested(&cohort.samples(), &levels, &FitSettings::default()).unwrap();
        let applied = model.apply(&cohort.samples(), &levels).unwrap();
        let level = |b: usize| mean(&applied.features.column(0)[40 * b..40 * (b + 1)]);
        for b in 1..4 {
            assert!((level(b) - level(0)).abs() < 0.35, "{} {}", level(b), level(0));
        }
        assert_eq!(model.stages[1].batches[0].label, "X / sharp");
        kernel.labels[0] = "bone".to_owned();
        let applied = model.apply(&cohort.samples(), &[vendor, kernel]).unwrap();
        assert!(applied.rows[0].is_err());
        assert!((applied.features.column(3)[0] - cohort.features.column(3)[0]).abs() <= 0.0);
    }
}

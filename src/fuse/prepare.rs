//! From a raw block to a few standardised columns, everything learned from the training rows alone.
//!
//! In this order: features with too many missing values or no spread are dropped, missing values get the training median,
//! columns get mean 0 and standard deviation 1, features are chosen. Choosing goes by relevance (distance of the univariate
//! AUC or C-index from 1/2) and leaves out what repeats a chosen feature (Spearman's rho beyond a limit); mRMR instead
//! takes, one after the other, the feature with the largest relevance less mean redundancy with those chosen.

use serde::{Deserialize, Serialize};

use super::bootstrap::quantile;
use super::data::Block;
use super::design::mean_and_sd;
use super::error::FuseError;
use super::metrics::{Pairing, auc_of_ranks, discrimination, ranks};
use super::outcome::Outcome;

/// How features are prepared and chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrepareSettings {
    /// A feature that is missing in more than this part of the training rows is dropped.
    pub missing_max: f64,
    /// Two features whose rank correlation is beyond this count as one.
    pub redundancy_max: f64,
    /// How features are chosen.
    pub choice: Choice,
    /// Features per block, at most.
    pub n_features: usize,
}

/// How features are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The most relevant one by one.
    Univariate,
    /// Relevance less redundancy.
    Mrmr,
    /// None is left out for its relevance: the first of each redundant group, in the block's order.
    Unsupervised,
}

impl Default for PrepareSettings {
    fn default() -> Self {
        Self { missing_max: 0.2, redundancy_max: 0.9, choice: Choice::Univariate, n_features: 12 }
    }
}

/// One chosen feature with what was learned about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChosenFeature {
    /// Its place in the block.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Training median: stands in for a missing value, and is the middle of the robust z.
    pub median: f64,
    /// 1.4826 times the median absolute deviation.
    pub robust_sd: f64,
    /// Training mean after imputation.
    pub mean: f64,
    /// Training standard deviation after imputation.
    pub sd: f64,
    /// Training range.
    pub range: [f64; 2],
}

/// A block's preparation, fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    /// The block's name.
    pub block: String,
    /// The chosen features, most relevant first.
    pub features: Vec<ChosenFeature>,
}

impl Preparation {
    /// Learns from the rows in which the block is there.
    ///
    /// # Errors
    /// When the block is there for fewer than three patients.
    pub fn fit(block: &Block, outcome: &Outcome, settings: &PrepareSettings) -> Result<Self, FuseError> {
        let candidates = Candidate::all(block, outcome, settings)?;
        Ok(Self::of(&candidates, block, settings))
    }

    /// The same, and beside it the first `n_all` features that are not redundant, whatever their relevance.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub(super) fn fit_both(
        block: &Block,
        outcome: &Outcome,
        settings: &PrepareSettings,
        n_all: usize,
    ) -> Result<(Self, Self), FuseError> {
        let candidates = Candidate::all(block, outcome, settings)?;
        let all = PrepareSettings { choice: Choice::Unsupervised, n_features: n_all, ..*settings };
        Ok((Self::of(&candidates, block, settings), Self::of(&candidates, block, &all)))
    }

    fn of(candidates: &[Candidate], block: &Block, settings: &PrepareSettings) -> Self {
        let chosen = choose(candidates, settings);
        let features = chosen.into_iter().map(|at| candidates[at].learned.clone()).collect();
        Self { block: block.name.clone(), features }
    }

    /// The standardised values of one row; a missing value is the median.
    ///
    /// # Errors
    /// When the row has too few features.
    pub fn apply(&self, row: &[f64]) -> Result<Vec<f64>, FuseError> {
        self.features
            .iter()
            .map(|feature| {
                let value = row.get(feature.index).ok_or_else(|| FuseError::Absent(feature.name.clone()))?;
                let value = if value.is_finite() { *value } else { feature.median };
                Ok((value - feature.mean) / feature.sd)
            })
            .collect()
    }

    /// The largest robust z of the chosen features of one row: how far outside the training data it is.
    #[must_use]
    pub fn robust_z(&self, row: &[f64]) -> f64 {
        let z = |feature: &ChosenFeature| match row.get(feature.index) {
            Some(value) if value.is_finite() && feature.robust_sd > 0.0 => {
                ((value - feature.median) / feature.robust_sd).abs()
            }
            _ => 0.0,
        };
        self.features.iter().map(z).fold(0.0, f64::max)
    }

    /// The preparation for a block whose features stand in another order.
    ///
    /// # Errors
    /// When a chosen feature is not there.
    pub fn reordered(&self, features: &[String]) -> Result<Self, FuseError> {
        let mut reordered = self.clone();
        for feature in &mut reordered.features {
            let place = features.iter().position(|name| *name == feature.name);
            feature.index = place.ok_or_else(|| FuseError::Absent(format!("{} of {}", feature.name, self.block)))?;
        }
        Ok(reordered)
    }
}

/// A feature that may be chosen.
struct Candidate {
    learned: ChosenFeature,
    /// Ranks at mean 0 and length 1: their scalar product is Spearman's rho.
    ranks: Vec<f64>,
    relevance: f64,
}

impl Candidate {
    /// Every feature that may be chosen, of the rows in which the block is there.
    fn all(block: &Block, outcome: &Outcome, settings: &PrepareSettings) -> Result<Vec<Self>, FuseError> {
        let present: Vec<usize> = (0..block.rows.len()).filter(|row| block.rows[*row].is_some()).collect();
        if present.len() < 3 {
            return Err(FuseError::TooFew { what: "patients with a block", found: present.len(), expected: 3 });
        }
        let outcome = outcome.of(&present);
        let candidate = |index| Self::new(block, index, &present, &outcome, settings);
        Ok((0..block.features.len()).filter_map(candidate).collect())
    }

    #[allow(clippy::cast_precision_loss)]
    fn new(
        block: &Block,
        index: usize,
        present: &[usize],
        outcome: &Outcome,
        settings: &PrepareSettings,
    ) -> Option<Self> {
        let raw: Vec<f64> =
            present.iter().map(|row| block.rows[*row].as_ref().map_or(f64::NAN, |r| r[index])).collect();
        let mut known: Vec<f64> = raw.iter().copied().filter(|value| value.is_finite()).collect();
        let n_missing = raw.len() - known.len();
        if known.is_empty() || n_missing as f64 > settings.missing_max * raw.len() as f64 {
            return None;
        }
        known.sort_by(f64::total_cmp);
        let median = quantile(&known, 0.5);
        let mut deviations: Vec<f64> = known.iter().map(|value| (value - median).abs()).collect();
        deviations.sort_by(f64::total_cmp);
        let values: Vec<f64> = raw.iter().map(|value| if value.is_finite() { *value } else { median }).collect();
        let (mean, sd) = mean_and_sd(&values);
        // A spread that is only rounding says nothing.
        if sd <= 1e-9 * mean.abs() || sd <= 0.0 || !sd.is_finite() {
            return None;
        }
        let learned = ChosenFeature {
            index,
            name: block.features[index].clone(),
            median,
            robust_sd: 1.4826 * quantile(&deviations, 0.5),
            mean,
            sd,
            range: [*known.first()?, *known.last()?],
        };
        let ranks = ranks(&values);
        let relevance = match (settings.choice, outcome) {
            (Choice::Unsupervised, _) => None,
            (_, Outcome::Binary(events)) => auc_of_ranks(&ranks, events),
            (_, Outcome::Survival(_)) => discrimination(&values, outcome, Pairing::default()),
        };
        let relevance = relevance.map_or(0.0, |value| (2.0 * value - 1.0).abs());
        Some(Self { learned, ranks: unit(ranks), relevance })
    }

    fn correlation(&self, other: &Self) -> f64 {
        self.ranks.iter().zip(&other.ranks).map(|(a, b)| a * b).sum::<f64>().abs()
    }
}

/// Values at mean 0 and length 1.
fn unit(mut values: Vec<f64>) -> Vec<f64> {
    let (mean, _) = mean_and_sd(&values);
    values.iter_mut().for_each(|value| *value -= mean);
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    if length > 0.0 {
        values.iter_mut().for_each(|value| *value /= length);
    }
    values
}

/// The places of the chosen candidates, best first. Of equals the earlier in the block wins.
fn choose(candidates: &[Candidate], settings: &PrepareSettings) -> Vec<usize> {
    let mut open: Vec<usize> = (0..candidates.len()).collect();
    if settings.choice != Choice::Unsupervised {
        open.sort_by(|a, b| candidates[*b].relevance.total_cmp(&candidates[*a].relevance).then(a.cmp(b)));
    }
    let mut chosen: Vec<usize> = Vec::new();
    // Sum of correlations with the chosen ones, kept up to date: mRMR asks for it each time.
    let mut redundancy = vec![0.0; candidates.len()];
    while chosen.len() < settings.n_features && !open.is_empty() {
        let at = match settings.choice {
            Choice::Univariate | Choice::Unsupervised => 0,
            Choice::Mrmr => best_mrmr(candidates, &open, &redundancy, chosen.len()),
        };
        let next = open.remove(at);
        chosen.push(next);
        open.retain(|other| {
            let rho = candidates[next].correlation(&candidates[*other]);
            redundancy[*other] += rho;
            rho <= settings.redundancy_max
        });
    }
    chosen
}

#[allow(clippy::cast_precision_loss)]
fn best_mrmr(candidates: &[Candidate], open: &[usize], redundancy: &[f64], n_chosen: usize) -> usize {
    let score = |candidate: usize| candidates[candidate].relevance - redundancy[candidate] / n_chosen.max(1) as f64;
    let mut best = 0;
    for (at, candidate) in open.iter().enumerate() {
        if score(*candidate) > score(open[best]) {
            best = at;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;

    /// Signal, a copy of it, a constant, noise, a mostly missing column, weaker signal.
    fn block(n: usize) -> (Block, Outcome) {
        let mut stream = Stream::new(4, 0, 0);
        let mut rows = Vec::new();
        let mut events = Vec::new();
        for i in 0..n {
            let event = i % 2 == 0;
            let signal = if event { 2.0 } else { 0.0 } + stream.normal();
            let weak = if event { 0.8 } else { 0.0 } + stream.normal();
            let missing = if i % 2 == 0 { f64::NAN } else { stream.normal() };
            let mut row = vec![100.0 + 5.0 * signal, -signal, 7.0, stream.normal(), missing, weak];
            if i == 3 {
                row[0] = f64::NAN;
            }
            rows.push((i != 10).then_some(row));
            events.push(event);
        }
        let features = ["signal", "copy", "constant", "noise", "missing", "weak"].map(str::to_owned).to_vec();
        (Block { name: "CT".into(), features, rows }, Outcome::Binary(events))
    }

    #[test]
    fn relevant_features_are_chosen_once_and_useless_ones_dropped() {
        let (block, outcome) = block(120);
        let fitted = Preparation::fit(&block, &outcome, &PrepareSettings::default()).unwrap();
        let names: Vec<&str> = fitted.features.iter().map(|feature| feature.name.as_str()).collect();
        assert!(names[0] == "signal" || names[0] == "copy");
        assert_eq!(names[1..], ["weak", "noise"]);
    }

    #[test]
    fn training_rows_come_out_standardised_and_missing_values_as_the_median() {
        let (block, outcome) = block(120);
        let settings = PrepareSettings { choice: Choice::Unsupervised, ..PrepareSettings::default() };
        let fitted = Preparation::fit(&block, &outcome, &settings).unwrap();
        assert_eq!(fitted.features[0].name, "signal");
        let columns: Vec<f64> = block.rows.iter().flatten().map(|row| fitted.apply(row).unwrap()[0]).collect();
        let (mean, sd) = mean_and_sd(&columns);
        assert_relative_eq!(mean, 0.0, epsilon = 1e-12);
        assert_relative_eq!(sd, 1.0, epsilon = 1e-12);
        let feature = &fitted.features[0];
        let missing = fitted.apply(&[f64::NAN; 6]).unwrap()[0];
        assert_relative_eq!(missing, (feature.median - feature.mean) / feature.sd, epsilon = 1e-12);
        assert!(fitted.robust_z(&[1000.0, 0.0, 0.0, 0.0, 0.0, 0.0]) > 50.0);
        assert!(fitted.apply(&[]).is_err());
    }

    #[test]
    fn mrmr_prefers_what_is_new_over_what_repeats() {
        let mut stream = Stream::new(8, 0, 0);
        let (mut rows, mut events) = (Vec::new(), Vec::new());
        for i in 0..300 {
            let event = i % 2 == 0;
            let shift = if event { 1.0 } else { 0.0 };
            let (a, b) = (1.2 * shift + stream.normal(), 0.8 * shift + stream.normal());
            rows.push(Some(vec![a, a + 0.6 * stream.normal(), b]));
            events.push(event);
        }
        let features = ["a", "nearly a", "b"].map(str::to_owned).to_vec();
        let block = Block { name: "PT".into(), features, rows };
        let settings = PrepareSettings { choice: Choice::Mrmr, n_features: 2, ..PrepareSettings::default() };
        let fitted = Preparation::fit(&block, &Outcome::Binary(events), &settings).unwrap();
        let names: Vec<&str> = fitted.features.iter().map(|feature| feature.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_preparation_follows_the_names_of_features_to_their_new_places() {
        let (block, outcome) = block(60);
        let fitted = Preparation::fit(&block, &outcome, &PrepareSettings::default()).unwrap();
        let mut names = block.features.clone();
        names.reverse();
        let moved = fitted.reordered(&names).unwrap();
        let mut row = block.rows[0].clone().unwrap();
        let before = fitted.apply(&row).unwrap();
        row.reverse();
        assert_eq!(moved.apply(&row).unwrap(), before);
        assert!(fitted.reordered(&names[..1]).is_err());
    }
}

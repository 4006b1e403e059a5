//! Intermediate fusion by a small network: for each block a layer of tanh units, the mean of the codes of the blocks that
//! are there, and one output.
//!
//! ```text
//! h_b = tanh(W_b x_b + c_b),   z = mean over present b of h_b,   eta = v z + u
//! ```
//!
//! Minimised is the mean negative log (partial) likelihood plus weight decay, by Adam (Kingma and Ba 2015) over all rows at
//! once. In each round blocks are dropped at random, so that the output learns to do without (modality dropout; Neverova et
//! al. 2016). The result depends on the seed alone.

use serde::{Deserialize, Serialize};

use super::body::{Row, Scored, row_of};
use super::elastic_net::{gradient, log_likelihood};
use super::error::FuseError;
use super::nest::Table;
use super::outcome::Outcome;
use crate::math::random::Stream;

/// A fitted network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Inputs of each block.
    pub n_inputs: Vec<usize>,
    /// All numbers: for each block the rows of W and the offsets c, then v, then u.
    pub parameters: Vec<f64>,
}

/// Units per block.
const N_UNITS: usize = 4;
const ROUNDS: usize = 250;
const RATE: f64 = 0.02;
const DECAY: f64 = 0.02;
/// The chance that a block is dropped in a round.
const DROPPED: f64 = 0.25;
const PURPOSE: u64 = 210;

/// The blocks of one row.
type Input<'a> = Vec<Option<&'a [f64]>>;

fn input(row: Row<'_>) -> Input<'_> {
    row.iter().map(Option::as_deref).collect()
}

/// Units of one row: of each block that is there.
type Units = Vec<Option<[f64; N_UNITS]>>;

impl Network {
    pub(super) fn fit(table: &Table, blocks: &[usize], seed: u64) -> Result<Self, FuseError> {
        let all: Vec<Vec<Option<Vec<f64>>>> = (0..table.n_rows()).map(|row| row_of(&table.all, blocks, row)).collect();
        let rows: Vec<Input<'_>> = all.iter().map(|row| input(row)).collect();
        if table.outcome.n_events() == 0 {
            return Err(FuseError::TooFew { what: "events", found: 0, expected: 1 });
        }
        let n_inputs: Vec<usize> = blocks.iter().map(|block| table.all[*block].fill.len()).collect();
        let mut stream = Stream::new(seed, PURPOSE, 0);
        let mut network = Self::new(n_inputs, &mut stream);
        let n = network.parameters.len();
        let (mut first, mut second) = (vec![0.0; n], vec![0.0; n]);
        let (mut decay_1, mut decay_2) = (1.0, 1.0);
        for _ in 0..ROUNDS {
            let dropped: Vec<Input<'_>> = rows.iter().map(|row| with_dropout(row, &mut stream)).collect();
            let (_, gradient) = network.loss(&dropped, &table.outcome);
            decay_1 *= 0.9;
            decay_2 *= 0.999;
            for (idx, slope) in gradient.iter().enumerate() {
                first[idx] = 0.9 * first[idx] + 0.1 * slope;
                second[idx] = 0.999 * second[idx] + 0.001 * slope * slope;
                let (mean, square) = (first[idx] / (1.0 - decay_1), second[idx] / (1.0 - decay_2));
                network.parameters[idx] -= RATE * mean / (square.sqrt() + 1e-8);
            }
        }
        Ok(network)
    }

    /// Small random weights; the output starts at 0.
    #[allow(clippy::cast_precision_loss)]
    fn new(n_inputs: Vec<usize>, stream: &mut Stream) -> Self {
        let mut parameters = Vec::new();
        for n in &n_inputs {
            let scale = 1.0 / (*n as f64).max(1.0).sqrt();
            parameters.extend((0..N_UNITS * n).map(|_| scale * stream.normal()));
            parameters.extend([0.0; N_UNITS]);
        }
        parameters.extend((0..N_UNITS).map(|_| 0.1 * stream.normal()));
        parameters.push(0.0);
        Self { n_inputs, parameters }
    }

    /// Where the numbers of each block begin.
    fn starts(&self) -> Vec<usize> {
        let sizes = self.n_inputs.iter().map(|n| N_UNITS * (n + 1));
        sizes
            .scan(0, |at, size| {
                let start = *at;
                *at += size;
                Some(start)
            })
            .collect()
    }

    fn output(&self) -> (&[f64], f64) {
        let at = self.parameters.len() - N_UNITS - 1;
        (&self.parameters[at..at + N_UNITS], self.parameters[at + N_UNITS])
    }

    fn units(&self, row: &[Option<&[f64]>], starts: &[usize]) -> Units {
        let unit = |(block, values): (usize, &Option<&[f64]>)| {
            let (values, n, start) = ((*values)?, self.n_inputs[block], starts[block]);
            let mut units = [0.0; N_UNITS];
            for (k, unit) in units.iter_mut().enumerate() {
                let weights = &self.parameters[start + k * n..start + (k + 1) * n];
                let offset = self.parameters[start + N_UNITS * n + k];
                *unit = (offset + weights.iter().zip(values).map(|(w, x)| w * x).sum::<f64>()).tanh();
            }
            Some(units)
        };
        row.iter().enumerate().map(unit).collect()
    }

    pub(super) fn score(&self, row: Row<'_>) -> Scored {
        let units = self.units(&input(row), &self.starts());
        let (v, u) = self.output();
        scored(&units, v, u)
    }

    /// The loss and its derivative by every parameter.
    #[allow(clippy::cast_precision_loss)]
    fn loss(&self, rows: &[Input<'_>], outcome: &Outcome) -> (f64, Vec<f64>) {
        let starts = self.starts();
        let (v, u) = self.output();
        let units: Vec<Units> = rows.iter().map(|row| self.units(row, &starts)).collect();
        let eta: Vec<f64> = units.iter().map(|units| scored(units, v, u).linear).collect();
        let n_rows = rows.len() as f64;
        let by_eta = gradient(&eta, outcome);
        let mut slopes = vec![0.0; self.parameters.len()];
        let at = self.parameters.len() - N_UNITS - 1;
        for ((row, units), pull) in rows.iter().zip(&units).zip(&by_eta) {
            let n_present = units.iter().flatten().count().max(1) as f64;
            let pull = -pull / n_rows;
            slopes[at + N_UNITS] += pull;
            for (block, (values, units)) in row.iter().zip(units).enumerate() {
                let (Some(values), Some(units)) = (values, units) else { continue };
                let (n, start) = (self.n_inputs[block], starts[block]);
                for k in 0..N_UNITS {
                    slopes[at + k] += pull * units[k] / n_present;
                    let inside = pull * v[k] / n_present * (1.0 - units[k] * units[k]);
                    slopes[start + N_UNITS * n + k] += inside;
                    let weights = &mut slopes[start + k * n..start + (k + 1) * n];
                    weights.iter_mut().zip(*values).for_each(|(slope, x)| *slope += inside * x);
                }
            }
        }
        // The last number, the output's level, has no decay.
        let decayed = &self.parameters[..self.parameters.len() - 1];
        slopes.iter_mut().zip(decayed).for_each(|(slope, w)| *slope += DECAY * w);
        let loss = -log_likelihood(&eta, outcome) / n_rows + 0.5 * DECAY * decayed.iter().map(|w| w * w).sum::<f64>();
        (loss, slopes)
    }
}

#[allow(clippy::cast_precision_loss)]
fn scored(units: &Units, v: &[f64], u: f64) -> Scored {
    let n_present = units.iter().flatten().count().max(1) as f64;
    let contribution = |units: &Option<[f64; N_UNITS]>| {
        units.map_or(0.0, |units| units.iter().zip(v).map(|(unit, v)| unit * v).sum::<f64>() / n_present)
    };
    let contributions: Vec<f64> = units.iter().map(contribution).collect();
    Scored { linear: u + contributions.iter().sum::<f64>(), contributions }
}

/// Drops blocks at random; one that is there always stays.
fn with_dropout<'a>(row: &[Option<&'a [f64]>], stream: &mut Stream) -> Input<'a> {
    let present: Vec<usize> = (0..row.len()).filter(|block| row[*block].is_some()).collect();
    let kept: Vec<bool> = row.iter().map(|_| stream.uniform() >= DROPPED).collect();
    let always = if present.is_empty() { usize::MAX } else { present[stream.below(present.len())] };
    let any = present.iter().any(|block| kept[*block]);
    let keep = |block: usize| kept[block] || (!any && block == always);
    row.iter().enumerate().map(|(block, values)| values.filter(|_| keep(block))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Survival;
    use super::*;

    #[test]
    fn the_gradient_is_that_of_finite_differences_for_both_outcomes() {
        let mut stream = Stream::new(9, 0, 0);
        let mut value = |n: usize| (0..n).map(|_| stream.normal()).collect::<Vec<f64>>();
        let rows: Vec<Vec<Option<Vec<f64>>>> =
            (0..12).map(|i| vec![(i % 4 != 0).then(|| value(3)), (i % 5 != 1).then(|| value(2))]).collect();
        let rows: Vec<Input<'_>> = rows.iter().map(|row| input(row)).collect();
        let binary = Outcome::Binary((0..12).map(|i| i % 3 == 0).collect());
        let follow_up = |i: usize| Survival { time: 1.0 + ((i * 5) % 7) as f64, event: i.is_multiple_of(2) };
        let survival = Outcome::Survival((0..12).map(follow_up).collect());
        let mut network = Network::new(vec![3, 2], &mut Stream::new(1, 0, 0));
        network.parameters.iter_mut().enumerate().for_each(|(idx, w)| *w += 0.05 * (idx as f64).sin());
        for outcome in [binary, survival] {
            let (_, slopes) = network.loss(&rows, &outcome);
            for (idx, slope) in slopes.iter().enumerate() {
                let at = |by: f64| {
                    let mut moved = network.clone();
                    moved.parameters[idx] += by;
                    moved.loss(&rows, &outcome).0
                };
                let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((numeric - slope).abs() < 1e-8, "{idx}: {numeric} {slope}");
            }
        }
    }

    #[test]
    fn a_row_never_loses_its_last_block() {
        let mut stream = Stream::new(2, 0, 0);
        for _ in 0..200 {
            let row = with_dropout(&[Some(&[1.0]), None, Some(&[2.0])], &mut stream);
            assert!(row[1].is_none() && (row[0].is_some() || row[2].is_some()));
        }
    }
}

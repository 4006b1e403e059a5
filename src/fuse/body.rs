//! What a fused model is, once blocks are ready: early, late or intermediate.
//!
//! Every body scores a patient by a linear predictor and tells what each block added to it. The sum of the base and the
//! contributions is the linear predictor, exactly, except for votes. Those of a forest are Shapley values.

use serde::{Deserialize, Serialize};

use super::brought::Brought;
use super::early::Early;
use super::error::FuseError;
use super::forest::Forest;
use super::intermediate::Intermediate;
use super::late::Late;
use super::nest::{Nest, Table};
use super::network::Network;

/// How blocks become one prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Blocks side by side in one elastic net.
    Early,
    /// Blocks side by side in one random forest.
    EarlyForest,
    /// One elastic net per block, the mean of their linear predictors.
    LateMean,
    /// The same, weighted by how well each block does on rows left out.
    LateWeighted,
    /// The part of the blocks that vote for the event.
    LateVote,
    /// A regression on the blocks' predictions for rows left out.
    LateStacking,
    /// Principal components of each block into one elastic net.
    IntermediatePca,
    /// Partial least squares components of each block into one elastic net.
    IntermediatePls,
    /// A small network per block, the mean of their codes into one output.
    IntermediateNetwork,
    /// Trained elsewhere.
    Onnx,
}

impl Method {
    /// All that can be trained here.
    pub const ALL: [Self; 9] = [
        Self::Early,
        Self::EarlyForest,
        Self::LateMean,
        Self::LateWeighted,
        Self::LateVote,
        Self::LateStacking,
        Self::IntermediatePca,
        Self::IntermediatePls,
        Self::IntermediateNetwork,
    ];

    /// The kind of fusion, as the commands call it.
    #[must_use]
    pub const fn fusion(self) -> &'static str {
        match self {
            Self::Early | Self::EarlyForest => "early",
            Self::LateMean | Self::LateWeighted | Self::LateVote | Self::LateStacking => "late",
            Self::IntermediatePca | Self::IntermediatePls | Self::IntermediateNetwork => "intermediate",
            Self::Onnx => "brought along",
        }
    }

    /// The model, in a word or two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Early => "elastic-net",
            Self::EarlyForest => "random forest",
            Self::LateMean => "elastic-net mean",
            Self::LateWeighted => "elastic-net weighted mean",
            Self::LateVote => "elastic-net vote",
            Self::LateStacking => "elastic-net stacking",
            Self::IntermediatePca => "principal components",
            Self::IntermediatePls => "partial least squares",
            Self::IntermediateNetwork => "network",
            Self::Onnx => "ONNX",
        }
    }
}

/// A fitted body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// Blocks side by side.
    Early(Early),
    /// Blocks side by side, in trees.
    Forest(Forest),
    /// One model per block.
    Late(Late),
    /// Encoders and one head.
    Intermediate(Intermediate),
    /// Networks and one output.
    Network(Network),
    /// Trained elsewhere.
    Brought(Brought),
}

/// What a body says of one patient.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The linear predictor: a logit, or the logarithm of a relative hazard.
    pub linear: f64,
    /// What each block added to it, in the order of the model's blocks; 0 where the block is missing.
    pub contributions: Vec<f64>,
}

/// One patient: the prepared values of each block, `None` where it is missing.
pub(super) type Row<'a> = &'a [Option<Vec<f64>>];

impl Body {
    /// Fits a body to some blocks of a nest. `seed` is for forests and networks.
    pub(super) fn fit(method: Method, nest: &Nest, blocks: &[usize], seed: u64) -> Result<Self, FuseError> {
        Ok(match method {
            Method::Early => Self::Early(Early::fit(nest, blocks)?),
            Method::EarlyForest => Self::Forest(Forest::fit(&nest.train, blocks, seed)?),
            Method::LateMean | Method::LateWeighted | Method::LateVote | Method::LateStacking => {
                Self::Late(Late::fit(method, nest, blocks)?)
            }
            Method::IntermediatePca | Method::IntermediatePls => {
                Self::Intermediate(Intermediate::fit(method, nest, blocks)?)
            }
            Method::IntermediateNetwork => Self::Network(Network::fit(&nest.train, blocks, seed)?),
            Method::Onnx => return Err(not_here()),
        })
    }

    /// The same body fitted to other rows: choices, encoders and penalties stay, coefficients are learned anew.
    pub(super) fn refit(&self, table: &Table, blocks: &[usize], seed: u64) -> Result<Self, FuseError> {
        Ok(match self {
            Self::Early(body) => Self::Early(body.refit(table, blocks)?),
            Self::Forest(body) => Self::Forest(body.refit(table, blocks, seed)?),
            Self::Late(body) => Self::Late(body.refit(table, blocks)?),
            Self::Intermediate(body) => Self::Intermediate(body.refit(table, blocks)?),
            Self::Network(_) => Self::Network(Network::fit(table, blocks, seed)?),
            Self::Brought(_) => return Err(not_here()),
        })
    }

    /// What it says of a patient; `None` where no block is there that it could use.
    pub(super) fn score(&self, chosen: Row<'_>, all: Row<'_>) -> Option<Scored> {
        if chosen.iter().all(Option::is_none) {
            return None;
        }
        match self {
            Self::Early(body) => Some(body.score(chosen)),
            Self::Forest(body) => Some(body.score(chosen)),
            Self::Late(body) => body.score(chosen),
            Self::Intermediate(body) => Some(body.score(all)),
            Self::Network(body) => Some(body.score(all)),
            Self::Brought(body) => Some(body.score(chosen)),
        }
    }
}

fn not_here() -> FuseError {
    FuseError::Brought("it was trained elsewhere and cannot be trained here".to_owned())
}

/// The prepared values of some blocks of one row.
pub(super) fn row_of(table: &[super::part::Ready], blocks: &[usize], row: usize) -> Vec<Option<Vec<f64>>> {
    blocks.iter().map(|block| table[*block].rows[row].clone()).collect()
}

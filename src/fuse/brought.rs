//! A model that was trained elsewhere and brought along as an ONNX file.
//!
//! The file is a stranger: it is named by its SHA-256, bounded in size, and only operators whose results are as small as
//! their inputs let them be are run (`onnx.rs`). It gets one row of values, block after block in the order of the bundle's
//! parts, and if it asks for it a second row that tells which blocks are there. A missing value or block is what the
//! manifest puts in its place. It gives the probability of the event, or its logit.
//!
//! It is asked through the same refusals as a trained model, and a chosen feature outside the range that its manifest tells is
//! outside the training data. There is no ensemble: its interval is not known. What each block contributed is its Shapley
//! value.

#[cfg(feature = "onnx")]
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::body::{Body, Method, Row, Scored};
use super::bundle::{Bundle, Conformal, Pattern};
use super::error::FuseError;
use super::fitted::{Fitted, Scale};
#[cfg(feature = "onnx")]
use super::onnx::Runner;
use super::part::Part;
use super::prepare::{ChosenFeature, Preparation};
use super::shapley::{BLOCKS_MAX, shapley};
use super::space::Space;

/// Bytes of an ONNX file: tables need small models.
pub const ONNX_BYTES_MAX: u64 = 16 << 20;
/// Values that a model gets, at most.
const VALUES_MAX: usize = 10_000;

/// A model that was brought along.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Brought {
    /// SHA-256 of the ONNX file (hex).
    pub sha256: String,
    /// How it is asked.
    pub call: Call,
    /// What stands in for each block's values.
    pub fills: Vec<Vec<f64>>,
    /// The file, ready to be run; where the program was built with ONNX and the file was there.
    #[cfg(feature = "onnx")]
    #[serde(skip)]
    runner: Option<Arc<Runner>>,
}

/// How an ONNX model is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Its input for the values: one row of 32-bit floats.
    pub input: String,
    /// Its input that tells which blocks are there, 1 or 0 each, in their order; none: it does not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_input: Option<String>,
    /// Its output.
    pub output: String,
    /// Which value of the output is that of the event, from 0.
    #[serde(default)]
    pub output_column: usize,
    /// What it says.
    pub output_is: OutputIs,
}

/// What an ONNX model says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputIs {
    /// The probability of the event.
    Probability,
    /// Its logit.
    Logit,
}

/// One feature that a model asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Its name, as in feature tables.
    pub name: String,
    /// What stands in for a value that is not known.
    pub impute: f64,
    /// The smallest and the largest value of the training.
    pub range: [f64; 2],
}

/// What a bundle is made of whose model was brought along.
#[derive(Debug, Clone, PartialEq)]
pub struct BroughtModel {
    /// What it predicts.
    pub endpoint: String,
    /// SHA-256 of the ONNX file (hex).
    pub sha256: String,
    /// How it is asked.
    pub call: Call,
    /// Its blocks with their features, in the order of its input.
    pub blocks: Vec<(String, Vec<Asked>)>,
    /// The blocks that it may be asked with.
    pub patterns: Vec<Pattern>,
}

impl PartialEq for Brought {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256 && self.call == other.call && self.fills == other.fills
    }
}

impl BroughtModel {
    /// The bundle, not yet ready to be asked: its file is given to [`Bundle::attach`].
    ///
    /// # Errors
    /// When blocks or features are none, too many or there twice, or a number is not one.
    pub fn bundle(self) -> Result<Bundle, FuseError> {
        self.check()?;
        let fill = |(_, features): &(String, Vec<Asked>)| features.iter().map(|feature| feature.impute).collect();
        let body = Brought {
            sha256: self.sha256,
            call: self.call,
            fills: self.blocks.iter().map(fill).collect(),
            #[cfg(feature = "onnx")]
            runner: None,
        };
        let parts: Vec<Part> = self.blocks.into_iter().map(part).collect();
        Ok(Bundle {
            endpoint: self.endpoint,
            spaces: vec![Space::default(); parts.len()],
            fitted: Fitted { method: Method::Onnx, parts, body: Body::Brought(body), scale: Scale::Logistic },
            ensemble: Vec::new(),
            conformal: Conformal { level: 0.0, threshold: None },
            patterns: self.patterns,
            baselines: Vec::new(),
            synergy: None,
        })
    }

    fn check(&self) -> Result<(), FuseError> {
        let wrong = |what: String| Err(FuseError::Brought(what));
        let n_values: usize = self.blocks.iter().map(|(_, features)| features.len()).sum();
        if self.blocks.is_empty() || self.blocks.len() > BLOCKS_MAX || !(1..=VALUES_MAX).contains(&n_values) {
            return wrong(format!(
                "{} blocks with {n_values} features, expected 1 to {BLOCKS_MAX} with 1 to {VALUES_MAX}",
                self.blocks.len()
            ));
        }
        for (at, (name, features)) in self.blocks.iter().enumerate() {
            if name.is_empty() || self.blocks[..at].iter().any(|(other, _)| other == name) {
                return Err(FuseError::Twice(format!("block \"{name}\"")));
            }
            for (at, feature) in features.iter().enumerate() {
                let [low, high] = feature.range;
                if feature.name.is_empty() || features[..at].iter().any(|other| other.name == feature.name) {
                    return Err(FuseError::Twice(format!("feature \"{}\" of block {name}", feature.name)));
                }
                if !(feature.impute.is_finite() && low.is_finite() && high.is_finite() && low <= high) {
                    return wrong(format!("{} of block {name} needs a finite impute and range", feature.name));
                }
            }
        }
        let names: Vec<&String> = self.blocks.iter().map(|(name, _)| name).collect();
        let in_order = |pattern: &Pattern| {
            let places: Vec<Option<usize>> =
                pattern.blocks.iter().map(|block| names.iter().position(|name| *name == block)).collect();
            !places.is_empty() && places.iter().all(Option::is_some) && places.is_sorted_by(|a, b| a < b)
        };
        if self.patterns.is_empty() || !self.patterns.iter().all(in_order) {
            return wrong("a pattern does not name some of the blocks in their order".to_owned());
        }
        Ok(())
    }
}

fn part((block, asked): (String, Vec<Asked>)) -> Part {
    let chosen = |(index, feature): (usize, &Asked)| ChosenFeature {
        index,
        name: feature.name.clone(),
        median: feature.impute,
        // Not known: ranges are what counts.
        robust_sd: 0.0,
        mean: 0.0,
        sd: 1.0,
        range: feature.range,
    };
    Part {
        features: asked.iter().map(|feature| feature.name.clone()).collect(),
        harmonisation: None,
        chosen: Preparation { block: block.clone(), features: asked.iter().enumerate().map(chosen).collect() },
        all: Preparation { block: block.clone(), features: Vec::new() },
        block,
    }
}

impl Brought {
    /// Makes the file ready to be run. A program without ONNX leaves it.
    #[cfg(feature = "onnx")]
    fn attach(&mut self, bytes: &[u8]) -> Result<(), FuseError> {
        let n_values = self.fills.iter().map(Vec::len).sum();
        let runner = Runner::load(bytes, &self.call, n_values, self.fills.len()).map_err(FuseError::Brought)?;
        self.runner = Some(Arc::new(runner));
        Ok(())
    }

    pub(super) fn score(&self, row: Row<'_>) -> Scored {
        let linear = self.linear(row, &|block| row[block].is_some());
        let present: Vec<usize> = (0..row.len()).filter(|block| row[*block].is_some()).collect();
        Scored { linear, contributions: shapley(&present, row.len(), |counts| self.linear(row, counts)) }
    }

    /// The logit with those blocks that count; NaN where the model gives no number.
    fn linear(&self, row: Row<'_>, counts: &dyn Fn(usize) -> bool) -> f64 {
        let (mut values, mut mask) = (Vec::new(), Vec::new());
        for (block, (known, fill)) in row.iter().zip(&self.fills).enumerate() {
            let known = known.as_ref().filter(|_| counts(block));
            mask.push(known.is_some());
            values.extend(known.unwrap_or(fill));
        }
        let said = self.ask(&values, &mask);
        match self.call.output_is {
            OutputIs::Logit => said,
            // Nothing is more certain than the last digit.
            OutputIs::Probability if (0.0..=1.0).contains(&said) => {
                let probability = said.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
                (probability / (1.0 - probability)).ln()
            }
            OutputIs::Probability => f64::NAN,
        }
    }

    #[cfg(feature = "onnx")]
    fn ask(&self, values: &[f64], mask: &[bool]) -> f64 {
        self.runner.as_ref().and_then(|runner| runner.run(values, mask).ok()).unwrap_or(f64::NAN)
    }

    #[cfg(not(feature = "onnx"))]
    #[allow(clippy::unused_self)]
    fn ask(&self, _: &[f64], _: &[bool]) -> f64 {
        f64::NAN
    }
}

impl Bundle {
    /// The SHA-256 of the ONNX file that it needs; none: it needs no file.
    #[must_use]
    pub fn needs_file(&self) -> Option<&str> {
        if let Body::Brought(body) = &self.fitted.body { Some(&body.sha256) } else { None }
    }

    /// Gives a bundle the ONNX file that it needs. Whether it is the right one is for who read it.
    ///
    /// # Errors
    /// When the file is no model that can be run here, or this program was built without ONNX.
    pub fn attach(&mut self, bytes: &[u8]) -> Result<(), FuseError> {
        let Body::Brought(body) = &mut self.fitted.body else { return Ok(()) };
        #[cfg(feature = "onnx")]
        return body.attach(bytes);
        #[cfg(not(feature = "onnx"))]
        {
            let _ = (body, bytes);
            Err(FuseError::NotBuilt)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, impute: f64, range: [f64; 2]) -> Asked {
        Asked { name: name.to_owned(), impute, range }
    }

    fn model() -> BroughtModel {
        let pattern = |blocks: &[&str]| Pattern {
            blocks: blocks.iter().map(|block| (*block).to_owned()).collect(),
            validated: true,
            ..Pattern::default()
        };
        BroughtModel {
            endpoint: "death".to_owned(),
            sha256: "00".to_owned(),
            call: Call {
                input: "x".to_owned(),
                mask_input: None,
                output: "p".to_owned(),
                output_column: 0,
                output_is: OutputIs::Probability,
            },
            blocks: vec![
                ("CT".to_owned(), vec![asked("a", 1.0, [0.0, 2.0]), asked("b", 5.0, [4.0, 6.0])]),
                ("PT".to_owned(), vec![asked("a", 0.0, [-1.0, 1.0])]),
            ],
            patterns: vec![pattern(&["CT", "PT"]), pattern(&["CT"])],
        }
    }

    #[test]
    fn a_manifest_that_says_nothing_or_something_twice_makes_no_bundle() {
        let bundle = model().bundle().unwrap();
        assert_eq!(bundle.blocks().collect::<Vec<_>>(), ["CT", "PT"]);
        assert_eq!(bundle.needs_file(), Some("00"));
        let refused = |change: fn(&mut BroughtModel)| {
            let mut model = model();
            change(&mut model);
            model.bundle().unwrap_err().to_string()
        };
        assert!(refused(|model| model.blocks.clear()).contains("0 blocks"));
        assert!(refused(|model| model.blocks[1].0 = "CT".into()).contains("twice"));
        assert!(refused(|model| model.blocks[0].1[1].name = "a".into()).contains("twice"));
        assert!(refused(|model| model.blocks[0].1[0].range = [2.0, 0.0]).contains("finite impute and range"));
        assert!(refused(|model| model.blocks[0].1[0].impute = f64::NAN).contains("finite impute and range"));
        assert!(refused(|model| model.patterns[1].blocks[0] = "MR".into()).contains("pattern"));
        assert!(refused(|model| model.patterns[0].blocks.swap(0, 1)).contains("pattern"));
        assert!(refused(|model| model.patterns.clear()).contains("pattern"));
    }
}

//! Baselines that every model has to beat: how large the lesion is, and how hot.

use serde::{Deserialize, Serialize};

use super::data::{Block, Dataset};

/// A few values taken from other blocks' features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Derived {
    /// Its name, which is also that of its block.
    pub name: String,
    /// Where its values come from.
    pub sources: Vec<Source>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The block.
    pub block: String,
    /// The feature.
    pub feature: String,
    /// Whether its logarithm is taken.
    pub logarithm: bool,
}

/// Endings of columns that hold a volume: IBSI RNU0 by mesh, YEKZ by counting voxels.
const VOLUMES: [&str; 3] = ["morph_volume", "morph_vol_approx", "volume"];
/// Endings of columns that hold the largest uptake.
const MAXIMA: [&str; 2] = ["stat_max", "suvmax"];

/// The baselines that a cohort's columns allow: log volume; log volume and SUVmax, where there is a PET block.
#[must_use]
pub fn baselines(data: &Dataset) -> Vec<Derived> {
    let find = |wanted: &[&str], of: &dyn Fn(&Block) -> bool| {
        wanted.iter().find_map(|ending| {
            data.blocks.iter().filter(|block| of(block)).find_map(|block| {
                let feature = block.features.iter().find(|feature| is_plain(feature, ending))?;
                Some((block.name.clone(), feature.clone()))
            })
        })
    };
    let Some((block, feature)) = find(&VOLUMES, &|_| true) else { return Vec::new() };
    let volume = Source { block, feature, logarithm: true };
    let mut baselines = vec![Derived { name: "log volume".to_owned(), sources: vec![volume.clone()] }];
    if let Some((block, feature)) = find(&MAXIMA, &|block| block.name.to_uppercase().starts_with("PT")) {
        let maximum = Source { block, feature, logarithm: false };
        baselines.push(Derived { name: "log volume + SUVmax".to_owned(), sources: vec![volume, maximum] });
    }
    baselines
}

/// Whether a column is that feature of the image itself: `native.none.stat_max`, not of a filtered one.
fn is_plain(column: &str, ending: &str) -> bool {
    let mut parts = column.split('.').rev();
    let is = parts.next().is_some_and(|tag| tag.eq_ignore_ascii_case(ending));
    is && parts.next().is_none_or(|filter| filter == "none")
}

impl Derived {
    /// The values for one patient, found by `value(block, feature)`; `None` where one is missing.
    #[must_use]
    pub fn row(&self, value: &dyn Fn(&str, &str) -> Option<f64>) -> Option<Vec<f64>> {
        let one = |source: &Source| {
            let found = value(&source.block, &source.feature).filter(|value| value.is_finite())?;
            if !source.logarithm {
                return Some(found);
            }
            (found > 0.0).then(|| found.ln())
        };
        self.sources.iter().map(one).collect()
    }

    /// The block of a cohort.
    #[must_use]
    pub fn block(&self, data: &Dataset) -> Block {
        let row = |idx: usize| {
            let value = |block: &str, feature: &str| {
                let block = data.block(block)?;
                let place = block.features.iter().position(|known| known == feature)?;
                block.rows[idx].as_ref().map(|row| row[place])
            };
            self.row(&value)
        };
        let features = self.sources.iter().map(|source| match source.logarithm {
            true => format!("log {}", source.feature),
            false => source.feature.clone(),
        });
        Block {
            name: self.name.clone(),
            features: features.collect(),
            rows: (0..data.patients.len()).map(row).collect(),
        }
    }
}

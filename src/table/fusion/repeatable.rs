//! Features that small changes of image and contour move as much as another lesion would are no features to learn from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::active::column_in;
use super::super::error::TableError;
use super::load::BlockTable;

/// Which features may be learned from: those of an intraclass correlation high enough.
///
/// The lower end of the 95 % interval of ICC(2,1) is what counts, as Koo and Li (2016) advise: few lesions prove little.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Repeatable {
    /// The table of the command `icc`.
    pub table: PathBuf,
    /// What the lower end must reach.
    pub icc_min: f64,
}

/// A row of the table.
#[derive(Debug, Deserialize)]
struct Row {
    role: String,
    space: String,
    filter: String,
    tag: String,
    icc_2_1_low: f64,
}

impl Repeatable {
    /// Removes from each block the features that the table knows and finds wanting, and returns how many these are. What the table
    /// does not know, such as a clinical block, stays.
    ///
    /// # Errors
    /// When the table cannot be read, knows no feature of any block, or leaves nothing of a block.
    pub(super) fn keep(&self, blocks: &mut [BlockTable]) -> Result<usize, TableError> {
        let known = read(&self.table)?;
        let wrong = |reason: String| TableError::Csv { path: self.table.clone(), reason };
        let (mut n_known, mut n_removed) = (0, 0);
        for block in blocks {
            let low = |feature: &String| known.get(&(block.name.clone(), feature.clone()));
            n_known += block.features.iter().filter(|feature| low(feature).is_some()).count();
            // An interval that is not a number proves nothing.
            let stays = |feature: &String| low(feature).is_none_or(|low| *low >= self.icc_min);
            let stay: Vec<bool> = block.features.iter().map(stays).collect();
            if !stay.contains(&true) && !stay.is_empty() {
                let (name, min) = (&block.name, self.icc_min);
                return Err(wrong(format!("no feature of block \"{name}\" reaches {min}")));
            }
            n_removed += stay.iter().filter(|stays| !**stays).count();
            block.features = kept(&block.features, &stay);
            block.rows.values_mut().for_each(|row| *row = kept(row, &stay));
            // A patient of whom no value is left does not have the block.
            block.rows.retain(|_, row| row.iter().any(|value| !value.is_nan()));
        }
        if n_known == 0 {
            return Err(wrong(
                "knows no feature of any block: roles are blocks, columns are space.filter.tag".to_owned(),
            ));
        }
        Ok(n_removed)
    }
}

fn kept<T: Clone>(of: &[T], stay: &[bool]) -> Vec<T> {
    of.iter().zip(stay).filter(|(_, stays)| **stays).map(|(value, _)| value.clone()).collect()
}

/// The lower ends by role and column.
fn read(path: &Path) -> Result<BTreeMap<(String, String), f64>, TableError> {
    let wrong = |error: &dyn std::fmt::Display| TableError::Csv { path: path.to_owned(), reason: error.to_string() };
    let mut reader = csv::Reader::from_path(path).map_err(|error| wrong(&error))?;
    let row = |row: Result<Row, csv::Error>| {
        let Row { role, space, filter, tag, icc_2_1_low } = row.map_err(|error| wrong(&error))?;
        Ok(((role, column_in(&space, &filter, &tag)), icc_2_1_low))
    };
    reader.deserialize().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str, features: &[&str]) -> BlockTable {
        let features: Vec<String> = features.iter().map(|&feature| feature.to_owned()).collect();
        let values = (0..features.len()).map(|i| i as f64).collect();
        BlockTable { name: name.to_owned(), features, rows: BTreeMap::from([("p".to_owned(), values)]), batches: None }
    }

    fn table(rows: &str) -> (tempfile::TempDir, Repeatable) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("icc.csv");
        let head =
            "role,space,filter,tag,lesions,draws,icc_1_1,icc_1_1_low,icc_1_1_high,icc_2_1,icc_2_1_low,icc_2_1_high\n";
        std::fs::write(&path, format!("{head}{rows}")).unwrap();
        (folder, Repeatable { table: path, icc_min: 0.75 })
    }

    #[test]
    fn a_feature_whose_interval_reaches_below_the_limit_goes_and_one_that_is_not_known_stays() {
        let (_folder, repeatable) = table(
            "CT,native,none,stat_mean,9,20,0.9,0.8,0.95,0.9,0.80,0.95\n\
             CT,native,none,cm_contrast,9,20,0.9,0.8,0.95,0.9,0.70,0.95\n\
             CT,native,none,stat_kurt,2,20,0.9,0.8,0.95,0.9,NaN,NaN\n\
             PT,native,none,stat_max,9,20,0.9,0.8,0.95,0.9,0.10,0.95\n",
        );
        let ct = ["native.none.cm_contrast", "native.none.stat_kurt", "native.none.stat_mean", "native.log.stat_mean"];
        let mut blocks = [block("CT", &ct), block("clinical", &["age", "native.none.stat_max"])];
        assert_eq!(repeatable.keep(&mut blocks).unwrap(), 2);
        assert_eq!(blocks[0].features, ct[2..]);
        assert_eq!(blocks[0].rows["p"], [2.0, 3.0]);
        assert_eq!(blocks[1].features.len(), 2);
    }

    #[test]
    fn a_table_that_fits_no_block_or_leaves_nothing_of_one_is_refused() {
        let (_folder, repeatable) = table("MR,native,none,stat_mean,9,20,0.9,0.8,0.95,0.9,0.80,0.95\n");
        let mut blocks = [block("CT", &["native.none.stat_mean"])];
        assert!(repeatable.keep(&mut blocks).unwrap_err().to_string().contains("knows no feature"));
        let (_folder, repeatable) = table("CT,native,none,stat_mean,9,20,0.9,0.8,0.95,0.9,0.10,0.95\n");
        let error = repeatable.keep(&mut blocks).unwrap_err().to_string();
        assert!(error.contains("no feature of block \"CT\" reaches 0.75"), "{error}");
        let (_folder, repeatable) = table("CT,native,none,stat_mean,9,20,0.9,0.8,0.95,0.9,much,0.95\n");
        assert!(repeatable.keep(&mut blocks).is_err());
    }
}

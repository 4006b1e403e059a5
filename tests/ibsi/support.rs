//! The reference tables and how a value is compared with them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::page::documented;
pub use crate::shared::reference;
use radiomicsd::features::{Extraction, Omission};
use radiomicsd::image::{Mask, Volume};
use radiomicsd::volume::nifti;

/// One row of the table of reference values.
#[derive(Debug, serde::Deserialize)]
pub struct Row {
    pub config: String,
    pub feature_family: String,
    pub aggregation: String,
    pub tag: String,
    pub reference_value: f64,
    pub tolerance: f64,
    pub standardised: String,
}

/// The rows of one configuration: those that are standardised.
pub fn rows(reference: &Path, config: &str) -> Vec<Row> {
    let mut table = csv::Reader::from_path(reference.join("reference/ibsi1_reference.csv")).unwrap();
    let rows = table.deserialize().map(Result::unwrap);
    rows.filter(|row: &Row| row.config == config && row.standardised == "yes").collect()
}

/// An image and its region from NIfTI files in the folder of a phantom.
pub fn nifti_phantom(reference: &Path, name: &str) -> (Volume<f32>, Mask) {
    let folder = reference.join("data").join(name).join("nifti");
    let image = nifti::read_image(&folder.join("image/phantom.nii.gz")).unwrap();
    (image, nifti::read_mask(&folder.join("mask/mask.nii.gz")).unwrap())
}

/// Rounded to three significant digits, the precision of the reference values.
pub fn three_digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap()
}

/// How many rows of each family match, and which do not.
#[derive(Debug, Default)]
pub struct Tally {
    families: BTreeMap<String, (usize, usize)>,
    wrong: Vec<String>,
    missing: Vec<String>,
}

impl Tally {
    /// Compares an extraction with the rows of a configuration.
    pub fn add(&mut self, config: &str, rows: &[Row], found: &Extraction) {
        for row in rows {
            let counts = self.families.entry(row.feature_family.clone()).or_default();
            counts.1 += 1;
            let Some(value) = found.values.iter().find(|value| value.tag == row.tag) else {
                let reason = found.diagnostics.omitted.iter().find(|Omission { tag, .. }| *tag == row.tag);
                self.missing.push(format!("{config} {}: {:?}", row.tag, reason.map(|omission| &omission.reason)));
                continue;
            };
            assert_eq!(value.aggregation, row.aggregation, "{}", row.tag);
            let slack = 1e-9 * row.reference_value.abs();
            if (three_digits(value.value) - row.reference_value).abs() <= row.tolerance + slack {
                counts.0 += 1;
            } else {
                let Row { tag, reference_value, tolerance, .. } = row;
                self.wrong.push(format!("{config} {tag}: {} is not {reference_value} +- {tolerance}", value.value));
            }
        }
    }

    /// Prints the counts and fails unless every row matches.
    pub fn finish(self, title: &str) {
        let mut text = format!("{title}\n");
        let mut sum = (0, 0);
        for (family, (matched, all)) in &self.families {
            let _ = writeln!(text, "{matched:5} of {all:5}  {family}");
            sum = (sum.0 + matched, sum.1 + all);
        }
        let _ = writeln!(text, "{:5} of {:5}  in all", sum.0, sum.1);
        eprintln!("{text}");
        for line in &self.wrong {
            eprintln!("wrong: {line}");
        }
        for line in &self.missing {
            eprintln!("missing: {line}");
        }
        assert!(self.wrong.is_empty() && self.missing.is_empty(), "{title}");
        let rows = self.families.into_iter().map(|(family, (matched, all))| (family, matched, all));
        documented(title, &rows.chain([("in all".to_owned(), sum.0, sum.1)]).collect::<Vec<_>>());
    }
}

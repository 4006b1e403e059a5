//! The reference data, and samples made from them.

use std::path::PathBuf;

use radiomicsd::harmonise::{
    Batches, Covariate, Estimator, Features, FitSettings, HarmoniseError, Model, Samples, fit,
};

/// The folder of the ComBat reference data, where it is.
pub fn reference() -> Option<PathBuf> {
    crate::shared::reference().map(|folder| folder.join("data/combat"))
}

/// Tables that belong together.
#[derive(Debug, Clone)]
pub struct Table {
    pub features: Features,
    pub batches: Batches,
    pub covariates: Vec<Covariate>,
    pub undeclared: Vec<Covariate>,
}

impl Table {
    pub fn samples(&self) -> Samples<'_> {
        Samples {
            features: &self.features,
            batches: &self.batches,
            covariates: &self.covariates,
            undeclared: &self.undeclared,
        }
    }

    pub fn fit(&self, settings: &FitSettings) -> Result<Model, HarmoniseError> {
        fit(&self.samples(), settings)
    }

    /// Fitted, and applied to the rows that it was fitted to.
    pub fn harmonised(&self, settings: &FitSettings) -> (Model, Features) {
        let model = self.fit(settings).unwrap();
        let applied = model.apply(&self.samples()).unwrap();
        assert!(applied.rows.iter().all(Result::is_ok));
        (model, applied.features)
    }
}

/// The published estimator without any choice by the size of batches.
pub fn published(estimator: Estimator) -> FitSettings {
    FitSettings { estimator, ..FitSettings::default() }
}

/// The largest absolute difference of two tables of the same features.
pub fn largest_difference(found: &Features, expected: &Features) -> f64 {
    assert_eq!(found.names(), expected.names());
    assert_eq!(found.n_rows(), expected.n_rows());
    let columns = (0..found.n_features()).flat_map(|idx| found.column(idx).iter().zip(expected.column(idx)));
    columns.map(|(found, expected)| (found - expected).abs()).fold(0.0, |largest, difference| {
        // A difference that is no number is the largest there is.
        if difference.is_nan() { f64::INFINITY } else { f64::max(largest, difference) }
    })
}

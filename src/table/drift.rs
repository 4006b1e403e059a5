//! Drift of the cohort against the models in force: what the last patients of each scanner show.

use serde::Serialize;

use super::active::ActiveModels;
use super::cohort::{CohortRow, CohortTable, table_of};
use super::error::TableError;
use crate::finding::{Finding, FindingKind};
use crate::harmonise::{BatchDrift, DriftSettings, Samples, drift};

/// The drift of one batch of one block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockDrift {
    /// The role.
    pub role: String,
    /// The model that it is judged by.
    pub model: String,
    /// What was found.
    #[serde(flatten)]
    pub drift: BatchDrift,
}

impl BlockDrift {
    /// The finding, where the batch has drifted.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        let BatchDrift { batch, n_samples, mean, mean_feature, p, p_feature, drifted } = &self.drift;
        drifted.then(|| {
            let detail = format!(
                "the last {n_samples} patients of batch {batch} differ from those of model {}: {p_feature} with p {p:.1e}, \
                 largest moving mean {mean:.2} standard deviations ({mean_feature})",
                self.model
            );
            Finding::new(FindingKind::BatchDrift, self.role.clone(), detail)
        })
    }
}

/// The drift of every batch of every block that has a model with the distribution of its training data. Of each patient the
/// first study counts, measured under the settings of the newest.
///
/// # Errors
/// When the tables of a block do not belong together.
pub fn drift_of_cohort(
    rows: &[CohortRow],
    models: &ActiveModels,
    settings: &DriftSettings,
) -> Result<Vec<BlockDrift>, TableError> {
    let mut found = Vec::new();
    for (role, file) in models.blocks() {
        let (Some(model), Some(baseline)) = (file.single(), &file.baseline) else { continue };
        // A role that no case has yet cannot have drifted.
        if !rows.iter().any(|row| row.blocks.iter().any(|block| block.role == *role)) {
            continue;
        }
        let CohortTable { features, batches, covariates, .. } = table_of(rows, role)?;
        let samples = Samples { features: &features, batches: &batches, covariates: &covariates, undeclared: &[] };
        let drifts = drift(model, baseline, &samples, settings)?;
        found.extend(drifts.into_iter().map(|drift| BlockDrift { role: role.clone(), model: file.id.clone(), drift }));
    }
    Ok(found)
}

//! Withdrawal: what was rejected goes out of the index at once, and its files aside until `parked_retention`.

use std::sync::PoisonError;

use super::Store;
use super::disk::lock;
use super::error::StoreError;
use super::record::StoredInstance;
use crate::dicom::uid::Uid;

/// What [`Store::withdraw`] took out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Withdrawn {
    /// The instances, as they were stored.
    pub instances: Vec<StoredInstance>,
}

impl Withdrawn {
    /// Their series, each once.
    #[must_use]
    pub fn series(&self) -> Vec<Uid> {
        let mut series: Vec<Uid> = self.instances.iter().map(|instance| instance.facts.series.clone()).collect();
        series.sort_unstable();
        series.dedup();
        series
    }
}

impl Store {
    /// Takes instances out of the store: they are neither found nor listed any more. Those that are not stored are passed
    /// over. May be repeated.
    ///
    /// # Errors
    /// When the index or the file system refuses; what was taken out until then stays out.
    pub fn withdraw(&self, instances: &[Uid]) -> Result<Withdrawn, StoreError> {
        // Nothing is received meanwhile: an instance is either taken out here or refused by `is_refused`.
        let _alone = self.inner.gate.write().unwrap_or_else(PoisonError::into_inner);
        let index = self.index()?;
        let layout = &self.inner.layout;
        let mut withdrawn = Withdrawn::default();
        for uid in instances {
            let Some(record) = index.record(uid)? else { continue };
            let instance = record.stored(layout);
            // Index first: an entry without a file would be an error for whoever reads it. A file without an entry is
            // found at the next start, and the rejection is then applied again.
            index.remove(uid)?;
            self.inner.count_removed(instance.size);
            let aside = layout.withdrawn(&instance.facts, &instance.digest);
            match self.inner.disk.move_aside(layout.root(), &instance.path, &aside) {
                Err(error) if error.is_not_found() => {}
                moved => moved?,
            }
            withdrawn.instances.push(instance);
        }
        for instance in &withdrawn.instances {
            self.remove_empty_directories(instance.path.parent())?;
        }
        Ok(withdrawn)
    }

    /// From now on these instances are kept aside when they come again. Forgotten at the end of the process: whoever
    /// rejected them says so again at the next start.
    pub fn refuse(&self, instances: &[Uid]) {
        lock(&self.inner.refused).extend(instances.iter().cloned());
    }

    /// Whether an instance was rejected for good.
    #[must_use]
    pub fn is_refused(&self, instance: &Uid) -> bool {
        lock(&self.inner.refused).contains(instance)
    }
}

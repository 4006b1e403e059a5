//! What peers said that they hold of studies, beside what came: a hint for whoever looks at a case.
//!
//! In memory alone. Nothing is decided by it, and after a start it is asked again.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use super::Store;
use super::disk::lock;
use super::error::StoreError;
use super::layout::parse_name;
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;

/// Studies that are remembered: some 200 bytes each. The one that was spoken of longest ago makes room.
const STUDIES_MAX: usize = 10_000;

/// By study.
pub(super) type Holdings = BTreeMap<Uid, Holding>;

/// What a peer said that it holds of a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Its AE title.
    pub peer: String,
    /// Number of Study Related Instances (0020,1208).
    pub n_instances: u64,
    /// When.
    pub said_at: Timestamp,
}

/// That, beside what is stored. Neither has to be the larger one: not every series of a study is routed here, and not
/// everything that is here came from this peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyHeld {
    /// The study.
    pub study: Uid,
    /// What the peer said.
    pub there: Holding,
    /// Instances that are stored now.
    pub n_here: u64,
}

impl Store {
    /// Notes what a peer said.
    pub fn note_holding(&self, study: &Uid, holding: Holding) {
        let mut holdings = lock(&self.inner.holdings);
        if STUDIES_MAX <= holdings.len() && !holdings.contains_key(study) {
            let oldest = holdings.iter().min_by_key(|(_, holding)| holding.said_at).map(|(study, _)| study.clone());
            oldest.and_then(|oldest| holdings.remove(&oldest));
        }
        holdings.insert(study.clone(), holding);
    }

    /// What peers said of the studies of these series, in the order of the studies' UIDs; nothing of most.
    ///
    /// # Errors
    /// When the index or the directories cannot be read.
    pub fn held_of(&self, series: &[Uid]) -> Result<Vec<StudyHeld>, StoreError> {
        if lock(&self.inner.holdings).is_empty() {
            return Ok(Vec::new());
        }
        let index = self.index()?;
        let mut found = BTreeMap::new();
        for series in series {
            let Some(first) = index.first_of_series(series)? else { continue };
            let Some(record) = index.record(&first)? else { continue };
            let said = lock(&self.inner.holdings).get(&record.facts.study).cloned();
            found.extend(said.map(|said| (record.facts.study, said)));
        }
        let beside = |(study, there)| Ok(StudyHeld { n_here: self.n_instances_of_study(&study)?, study, there });
        found.into_iter().map(beside).collect()
    }

    /// How many instances of a study are stored, by the names of their files.
    ///
    /// # Errors
    /// When the directories cannot be read.
    pub fn n_instances_of_study(&self, study: &Uid) -> Result<u64, StoreError> {
        let counted = || -> std::io::Result<u64> {
            let mut n_instances = 0;
            for series in fs::read_dir(self.inner.layout.study(study))? {
                for file in fs::read_dir(series?.path())? {
                    n_instances += u64::from(file?.file_name().to_str().and_then(parse_name).is_some());
                }
            }
            Ok(n_instances)
        };
        match counted() {
            // Nothing of it came, or retention was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            counted => counted.map_err(StoreError::io("counting the instances of a study")),
        }
    }
}

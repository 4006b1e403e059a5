//! Corrections: an instance came again with another header and took the place of the one that was there. Every case that
//! was made of it is made again.
//!
//! Nothing is written down for it. A case says when it was handed out and an instance when it came: after a crash the two
//! tell what was corrected since.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::CaseSpec;
use crate::clock::Timestamp;
use crate::dicom::facts::InstanceFacts;
use crate::dicom::uid::Uid;
use crate::store::{CaseRecord, Store, StoreError};

/// The cases that are made of any of these instances. Only those are read whole to which one of their series belongs.
pub(super) fn cases_made_of<'a>(
    store: &Store,
    instances: impl Iterator<Item = &'a InstanceFacts>,
) -> Result<Vec<CaseRecord>, StoreError> {
    let (mut series, mut uids) = (BTreeSet::new(), BTreeSet::new());
    for facts in instances {
        series.insert(&facts.series);
        uids.insert(&facts.sop_instance);
    }
    let mut found = Vec::new();
    for bare in store.cases()? {
        if !bare.series.iter().any(|of_case| series.contains(of_case)) {
            continue;
        }
        let Some(record) = store.case(&bare.id)? else { continue };
        if record.spec.as_ref().is_some_and(|spec| spec.instances().any(|used| uids.contains(used))) {
            found.push(record);
        }
    }
    Ok(found)
}

/// When the newest instance of each series came.
#[derive(Debug, Default)]
pub(super) struct Newest(BTreeMap<Uid, Timestamp>);

impl Newest {
    pub(super) fn add(&mut self, series: &Uid, received_at: Timestamp) {
        match self.0.get_mut(series) {
            Some(newest) => *newest = received_at.max(*newest),
            None => drop(self.0.insert(series.clone(), received_at)),
        }
    }

    /// Whether anything came for the series of a case after it was handed out: what a case in a list tells.
    pub(super) fn may_be_corrected(&self, bare: &CaseRecord) -> bool {
        bare.handed_at.is_some_and(|handed_at| bare.series.iter().any(|series| self.is_newer(series, handed_at)))
    }

    fn is_newer(&self, series: &Uid, than: Timestamp) -> bool {
        self.0.get(series).is_some_and(|newest| *newest > than)
    }

    /// Whether something that a case is made of came after the case was handed out.
    pub(super) fn is_corrected(&self, store: &Store, record: &CaseRecord) -> Result<bool, StoreError> {
        let (Some(spec), Some(handed_at)) = (&record.spec, record.handed_at) else { return Ok(false) };
        for used in suspects(spec, |series| self.is_newer(series, handed_at)) {
            if store.instance(used)?.is_some_and(|instance| instance.received_at > handed_at) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The instances of a case whose series something new came for.
fn suspects(spec: &CaseSpec, is_newer: impl Fn(&Uid) -> bool + Copy) -> impl Iterator<Item = &Uid> {
    let images = spec.inputs.iter().filter(move |input| is_newer(&input.series)).flat_map(|input| &input.instances);
    let drawn = spec.annotations.iter().filter(move |drawn| is_newer(&drawn.series)).map(|drawn| &drawn.instance);
    images.chain(drawn).chain(&spec.registrations)
}

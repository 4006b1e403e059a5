//! What a case was made of when it was last handed out, small enough to be kept for good.

use std::collections::BTreeSet;

use super::id::digest;
use super::instances::digest_of_all;
use super::marking::MarkingKind;
use super::series::Series;
use super::{Annotation, CaseSpec};
use crate::dicom::facts::{InstanceFacts, InstanceKind};
use crate::dicom::uid::Uid;

/// One thing that a case is made of: an input, an annotation or a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// Names what must be there for it: a series, or a REG object.
    source: u64,
    /// What it is, with everything that makes it another one.
    content: u64,
}

/// The last revision of a case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Handed {
    /// Its number.
    pub revision: u32,
    items: Box<[Item]>,
}

impl Item {
    /// The series of a role, by its key and the digest of its images.
    pub(super) fn input(role: &str, series: u64, images: u64) -> Self {
        Self { source: series, content: digest(&["input", role, &series.to_string(), &images.to_string()]) }
    }

    /// A structure set or segmentation. The series that it names are not part of it: they may be removed before it is.
    pub(super) fn annotation(annotation: &Annotation) -> Self {
        let source = digest(&["series", annotation.series.as_str()]);
        Self { source, content: digest(&["annotation", annotation.instance.as_str()]) }
    }

    /// A REG object.
    pub(super) fn registration(instance: &Uid) -> Self {
        let content = digest(&["registration", instance.as_str()]);
        Self { source: content, content }
    }
}

impl Handed {
    /// What a specification is made of.
    pub(super) fn of(spec: &CaseSpec) -> Self {
        let inputs = spec.inputs.iter().map(|input| {
            let series = digest(&["series", input.series.as_str()]);
            Item::input(&input.role, series, digest_of_all(&input.instances))
        });
        let annotations = spec.annotations.iter().map(Item::annotation);
        let registrations = spec.registrations.iter().map(Item::registration);
        let mut items: Vec<Item> = inputs.chain(annotations).chain(registrations).collect();
        items.sort_unstable();
        Self { revision: spec.revision, items: items.into_boxed_slice() }
    }

    /// Whether it holds this very thing.
    pub(super) fn has(&self, item: &Item) -> bool {
        self.items.binary_search(item).is_ok()
    }

    /// Whether a case is made of all that it holds and of nothing else.
    pub(super) fn is_made_of(&self, items: &[Item]) -> bool {
        items.len() == self.items.len() && items.iter().all(|item| self.has(item))
    }

    /// Whether a case that is now made of these items is another one, given what is still stored.
    ///
    /// What went because the store removed it is no change: results do not lapse because their sources expire. What is still
    /// there and is not used any more is one, as is everything new.
    pub(super) fn differs(&self, items: &[Item], present: &BTreeSet<u64>) -> bool {
        let is_whole = self.items.iter().all(|item| present.contains(&item.source));
        items.iter().any(|item| !self.has(item)) || is_whole && self.items.iter().any(|item| !items.contains(item))
    }
}

/// The sources of items that an instance is or belongs to: its series, and itself where it is a REG object.
pub(super) fn sources(facts: &InstanceFacts) -> impl Iterator<Item = u64> {
    let is_registration = matches!(facts.kind, InstanceKind::Registration(_));
    let itself = is_registration.then(|| Item::registration(&facts.sop_instance).source);
    std::iter::once(digest(&["series", facts.series.as_str()])).chain(itself)
}

/// The sources of items that go with a series.
pub(super) fn sources_of_series(series: &Series) -> impl Iterator<Item = u64> {
    let registrations = series.markings.iter().filter(|marking| marking.kind == MarkingKind::Registration);
    let registrations = registrations.map(|marking| Item::registration(&marking.instance).source);
    std::iter::once(series.key).chain(registrations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_sources_are_no_change_and_everything_else_is() {
        let item = |source, content| Item { source, content };
        let handed = Handed { revision: 1, items: Box::new([item(1, 10), item(2, 20)]) };
        let present = BTreeSet::from([1, 2, 3]);
        assert!(!handed.differs(&[item(1, 10), item(2, 20)], &present));
        assert!(handed.differs(&[item(1, 10)], &present), "no longer used");
        assert!(handed.differs(&[item(1, 11), item(2, 20)], &present), "more slices");
        assert!(handed.differs(&[item(1, 10), item(2, 20), item(3, 30)], &present), "one more");
        let expired = BTreeSet::from([1, 3]);
        assert!(!handed.differs(&[item(1, 10)], &expired));
        assert!(handed.differs(&[item(1, 10), item(3, 30)], &expired));
    }
}

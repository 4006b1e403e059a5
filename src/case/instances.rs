//! The instances of one series, in as little memory as will do: a node may hold millions.
//!
//! Instances that came lately lie in a map. Once the series has settled they are packed into one block of bytes: sorted,
//! each without the beginning that it shares with the one before, which leaves about ten bytes of an instance.

use std::collections::BTreeMap;

use super::id::digest;
use crate::dicom::uid::Uid;

/// A set of instances, each with the height of its slice along the normal where that is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Instances {
    packed: Box<[u8]>,
    loose: BTreeMap<Uid, f32>,
    n: usize,
    digest: u64,
}

impl Instances {
    /// Adds an instance: `false` where it was there already.
    pub(super) fn insert(&mut self, uid: &Uid, height_mm: Option<f32>) -> bool {
        if self.contains(uid) {
            return false;
        }
        self.loose.insert(uid.clone(), height_mm.unwrap_or(f32::NAN));
        self.n += 1;
        self.digest = self.digest.wrapping_add(digest_of(uid));
        true
    }

    /// Whether it is there.
    pub(super) fn contains(&self, uid: &Uid) -> bool {
        if self.loose.contains_key(uid) {
            return true;
        }
        let mut packed = Packed::new(&self.packed);
        while let Some((found, _)) = packed.next() {
            match found.cmp(uid.as_str().as_bytes()) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Greater => return false,
            }
        }
        false
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.n
    }

    /// What the set holds, whatever the order in which it came.
    pub(super) const fn digest(&self) -> u64 {
        self.digest
    }

    /// All of them, sorted.
    pub(super) fn uids(&self) -> Vec<Uid> {
        self.all().into_iter().map(|(uid, _)| uid).collect()
    }

    /// The heights that are known.
    pub(super) fn heights_mm(&self) -> Vec<f32> {
        let mut heights: Vec<f32> = self.loose.values().copied().collect();
        let mut packed = Packed::new(&self.packed);
        while let Some((_, height)) = packed.next() {
            heights.push(height);
        }
        heights.retain(|height| !height.is_nan());
        heights
    }

    /// Packs what came since the last time.
    pub(super) fn pack(&mut self) {
        if self.loose.is_empty() {
            return;
        }
        let mut bytes = Vec::new();
        let mut last: Vec<u8> = Vec::new();
        for (uid, height) in self.all() {
            let text = uid.as_str().as_bytes();
            let shared = text.iter().zip(&last).take_while(|(a, b)| a == b).count();
            let rest = text.get(shared..).unwrap_or_default();
            // A UID has at most 64 characters.
            bytes.extend([shared, rest.len()].map(|n| u8::try_from(n).unwrap_or(u8::MAX)));
            bytes.extend_from_slice(rest);
            bytes.extend_from_slice(&height.to_le_bytes());
            last = text.to_vec();
        }
        self.packed = bytes.into_boxed_slice();
        self.loose = BTreeMap::new();
    }

    fn all(&self) -> Vec<(Uid, f32)> {
        let mut all: Vec<(Uid, f32)> = self.loose.iter().map(|(uid, height)| (uid.clone(), *height)).collect();
        let mut packed = Packed::new(&self.packed);
        while let Some((text, height)) = packed.next() {
            if let Some(uid) = std::str::from_utf8(text).ok().and_then(|text| Uid::parse(text).ok()) {
                all.push((uid, height));
            }
        }
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

/// The digest of a set that holds these instances.
pub(super) fn digest_of_all(uids: &[Uid]) -> u64 {
    uids.iter().fold(0, |sum, uid| sum.wrapping_add(digest_of(uid)))
}

fn digest_of(uid: &Uid) -> u64 {
    digest(&["instance", uid.as_str()])
}

/// Reads a packed block from its beginning: per instance one byte with the number of characters shared with the one before,
/// one with the number of its own, these, and its height.
struct Packed<'a> {
    rest: &'a [u8],
    text: Vec<u8>,
}

impl<'a> Packed<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, text: Vec::new() }
    }

    fn next(&mut self) -> Option<(&[u8], f32)> {
        let (head, rest) = self.rest.split_first_chunk::<2>()?;
        let (own, rest) = rest.split_at_checked(usize::from(head[1]))?;
        let (height, rest) = rest.split_first_chunk::<4>()?;
        self.text.truncate(usize::from(head[0]));
        self.text.extend_from_slice(own);
        self.rest = rest;
        Some((&self.text, f32::from_le_bytes(*height)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uid(n: u64) -> Uid {
        Uid::parse(&format!("1.2.840.113619.2.55.3.604688119.969.{n}")).unwrap()
    }

    #[test]
    fn a_settled_series_takes_about_ten_bytes_of_an_instance() {
        let mut instances = Instances::default();
        for n in 1000..2000 {
            assert!(instances.insert(&uid(n), Some(1.5)));
        }
        instances.pack();
        assert!(instances.packed.len() < 9 * 1000, "{}", instances.packed.len());
        assert!(instances.loose.is_empty());
        assert!(!instances.insert(&uid(1500), None));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn packing_changes_nothing_that_can_be_asked(steps in prop::collection::vec((0..60_u64, any::<bool>()), 1..120)) {
            let mut plain = BTreeMap::new();
            let mut instances = Instances::default();
            for (n, pack) in steps {
                let is_new = plain.insert(uid(n), 2.0 * n as f32).is_none();
                prop_assert_eq!(instances.insert(&uid(n), Some(2.0 * n as f32)), is_new);
                if pack {
                    instances.pack();
                }
                let uids: Vec<Uid> = plain.keys().cloned().collect();
                prop_assert_eq!(instances.len(), uids.len());
                prop_assert_eq!(instances.digest(), digest_of_all(&uids));
                prop_assert_eq!(instances.uids(), uids);
                let mut heights = instances.heights_mm();
                heights.sort_by(f32::total_cmp);
                let mut expected: Vec<f32> = plain.values().copied().collect();
                expected.sort_by(f32::total_cmp);
                prop_assert_eq!(heights, expected);
                prop_assert!(!instances.contains(&uid(99)));
            }
        }
    }
}

//! What the images of one series say of themselves, attribute by attribute.
//!
//! Protocols choose series, but attributes belong to instances. A series matches when each of its images does, and is
//! excluded when one of them is: so a localizer inside a CT series is seen, and the order of arrival decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::AttributeRules;

/// Different values of one attribute that are kept: the least ones. No protocol can mean an attribute with more of them.
const VALUES_MAX: usize = 16;

/// The value of an image that does not have the attribute.
const ABSENT: u16 = u16::MAX;

/// The different values of each attribute over all images of a series, as one block of bytes: a node may hold a hundred
/// thousand series.
///
/// Per attribute in the order of the keywords: the keyword, the number of values, the values; each text with its length
/// before it.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes(Box<[u8]>);

type Values<'a> = BTreeSet<Option<&'a str>>;

impl Attributes {
    /// Takes in the attributes of one more image, the first one or a later one.
    pub(super) fn take(&mut self, image: &BTreeMap<String, String>, is_first: bool) {
        if !is_first && self.says_nothing_new(image) {
            return;
        }
        let mut all: BTreeMap<&str, Values> = self.entries().map(|(key, values)| (key, values.collect())).collect();
        for (key, values) in &mut all {
            values.insert(image.get(*key).map(String::as_str));
        }
        for (key, value) in image {
            let values = all.entry(key).or_insert_with(|| if is_first { Values::new() } else { Values::from([None]) });
            values.insert(Some(value));
        }
        let bytes = encode(&all).into_boxed_slice();
        self.0 = bytes;
    }

    /// The values of one attribute, `None` for images without it; nothing where no image has it.
    pub(super) fn values(&self, keyword: &str) -> impl Iterator<Item = Option<&str>> {
        self.entries().find(|(key, _)| *key == keyword).into_iter().flat_map(|(_, values)| values)
    }

    /// Whether every pattern matches its attribute in every image.
    pub(super) fn all_match(&self, rules: &AttributeRules) -> bool {
        rules.0.iter().all(|(keyword, pattern)| {
            let mut values = self.values(keyword).peekable();
            values.peek().is_some() && values.all(|value| value.is_some_and(|value| pattern.is_match(value)))
        })
    }

    /// Whether some pattern matches its attribute in some image.
    pub(super) fn any_match(&self, rules: &AttributeRules) -> bool {
        rules.0.iter().any(|(keyword, pattern)| self.values(keyword).flatten().any(|value| pattern.is_match(value)))
    }

    fn says_nothing_new(&self, image: &BTreeMap<String, String>) -> bool {
        let mut n_known = 0;
        for (key, mut values) in self.entries() {
            let value = image.get(key).map(String::as_str);
            n_known += usize::from(value.is_some());
            if !values.any(|known| known == value) {
                return false;
            }
        }
        n_known == image.len()
    }

    fn entries(&self) -> impl Iterator<Item = (&str, Decoded<'_>)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let keyword = text(&mut rest)??;
            let (n, after) = rest.split_first()?;
            rest = after;
            let values = Decoded { rest, n: *n };
            for _ in 0..*n {
                text(&mut rest)?;
            }
            Some((keyword, values))
        })
    }
}

/// The values of one attribute.
struct Decoded<'a> {
    rest: &'a [u8],
    n: u8,
}

impl<'a> Iterator for Decoded<'a> {
    type Item = Option<&'a str>;

    fn next(&mut self) -> Option<Self::Item> {
        self.n = self.n.checked_sub(1)?;
        text(&mut self.rest)
    }
}

/// Takes one text from the front; `Some(None)` is an absent one.
fn text<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a str>> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    let length = u16::from_le_bytes(*length);
    if length == ABSENT {
        return Some(None);
    }
    let (bytes, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    Some(Some(std::str::from_utf8(bytes).unwrap_or_default()))
}

fn encode(all: &BTreeMap<&str, Values>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let put = |bytes: &mut Vec<u8>, text: Option<&str>| {
        let length = text.map_or(ABSENT, |text| u16::try_from(text.len()).unwrap_or(ABSENT));
        bytes.extend_from_slice(&length.to_le_bytes());
        if length != ABSENT {
            bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
    };
    for (keyword, values) in all {
        put(&mut bytes, Some(keyword));
        bytes.push(u8::try_from(values.len().min(VALUES_MAX)).unwrap_or(0));
        for value in values.iter().take(VALUES_MAX) {
            put(&mut bytes, *value);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Pattern;

    fn image(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn series(images: &[&[(&str, &str)]]) -> Attributes {
        let mut attributes = Attributes::default();
        for (i, entries) in images.iter().enumerate() {
            attributes.take(&image(entries), i == 0);
        }
        attributes
    }

    fn rules(keyword: &str, pattern: &str) -> AttributeRules {
        AttributeRules(BTreeMap::from([(keyword.to_owned(), Pattern::new(pattern).unwrap())]))
    }

    #[test]
    fn a_localizer_inside_a_series_excludes_it_and_one_other_image_keeps_it_from_matching() {
        let mixed =
            series(&[&[("ImageType", "ORIGINAL\\PRIMARY\\AXIAL")], &[("ImageType", "ORIGINAL\\PRIMARY\\LOCALIZER")]]);
        assert!(mixed.any_match(&rules("ImageType", "LOCALIZER")));
        assert!(!mixed.all_match(&rules("ImageType", "AXIAL")));
        assert!(mixed.all_match(&rules("ImageType", "ORIGINAL")));
    }

    #[test]
    fn an_image_without_the_attribute_does_not_match() {
        let some = series(&[&[("BodyPartExamined", "CHEST")], &[]]);
        assert!(!some.all_match(&rules("BodyPartExamined", ".*")));
        assert!(some.any_match(&rules("BodyPartExamined", "CHEST")));
        assert!(!series(&[&[]]).all_match(&rules("BodyPartExamined", ".*")));
        assert!(series(&[&[]]).all_match(&AttributeRules::default()));
    }

    #[test]
    fn the_order_of_images_leaves_the_same_bytes_even_beyond_the_bound() {
        let numbers: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let images: Vec<Vec<(&str, &str)>> =
            numbers.iter().map(|n| vec![("InstanceNumber", n.as_str()), ("Modality", "CT")]).collect();
        let forwards: Vec<&[(&str, &str)]> = images.iter().map(Vec::as_slice).collect();
        let backwards: Vec<&[(&str, &str)]> = images.iter().rev().map(Vec::as_slice).collect();
        let (a, b) = (series(&forwards), series(&backwards));
        assert_eq!(a.0, b.0);
        assert_eq!(a.values("InstanceNumber").count(), VALUES_MAX);
        assert_eq!(a.values("Modality").collect::<Vec<_>>(), [Some("CT")]);
    }

    #[test]
    fn an_image_like_the_others_says_nothing_new() {
        let mut attributes = series(&[&[("KVP", "120"), ("Rows", "512")]]);
        assert!(attributes.says_nothing_new(&image(&[("KVP", "120"), ("Rows", "512")])));
        assert!(!attributes.says_nothing_new(&image(&[("KVP", "120")])));
        attributes.take(&image(&[("KVP", "120")]), false);
        assert!(attributes.says_nothing_new(&image(&[("KVP", "120")])));
        assert!(!attributes.says_nothing_new(&image(&[("KVP", "120"), ("Units", "")])));
    }
}

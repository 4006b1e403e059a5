//! What grouping goes by: the times of the site and the selection rules of each protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::{Regex, RegexBuilder};
use serde::{Serialize, Serializer};

/// How long grouping waits. Each time counts from the moment an instance was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseSettings {
    /// A series is settled when none of its instances came for this long.
    pub series_settle: Duration,
    /// A case is settled when nothing came for any of its studies for this long.
    pub case_settle: Duration,
    /// From the first instance of a case to the moment when it is no longer waited for what is missing.
    pub case_deadline: Duration,
    /// DICOM studies of one patient whose study dates are this close may form one case.
    pub link_window: Duration,
}

/// What happens to a case that is not complete at its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AtDeadline {
    /// It is processed with what there is, as long as the reference and something to measure are there.
    Process,
    /// It is parked: a person decides.
    Park,
}

/// How one of several series is chosen for a role. The next rule decides only between those that the last left equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefer {
    /// The smallest slice thickness.
    Thinnest,
    /// The latest series date and time.
    Newest,
    /// The most images.
    Largest,
}

/// A regular expression over an attribute or a name. It matches anywhere in the text: `^` and `$` tie it to the ends.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// Bytes that one compiled expression may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// When it is no regular expression, or one that would take too much memory.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build().map(Self)
    }

    /// The expression as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the text holds a match.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Patterns by attribute keyword. The values of a multi-valued attribute are joined by a backslash, as on the wire.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct AttributeRules(pub BTreeMap<String, Pattern>);

impl AttributeRules {
    /// Whether every pattern matches its attribute. An absent attribute matches nothing; no patterns match everything.
    #[must_use]
    pub fn all_match(&self, attributes: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(keyword, pattern)| attributes.get(keyword).is_some_and(|value| pattern.is_match(value)))
    }

    /// Whether some pattern matches its attribute.
    #[must_use]
    pub fn any_match(&self, attributes: &BTreeMap<String, String>) -> bool {
        self.0.iter().any(|(keyword, pattern)| attributes.get(keyword).is_some_and(|value| pattern.is_match(value)))
    }
}

/// What one protocol takes and waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct ProtocolRules {
    /// Its name.
    pub name: String,
    /// The role whose study anchors the case; one of `inputs`, and required.
    pub reference: String,
    /// What the reference's series must say.
    pub matches: AttributeRules,
    /// The roles, in the order of the protocol.
    pub inputs: Vec<InputRules>,
    /// Which regions are measured.
    pub roi: RoiRules,
    /// What happens when something is still missing at the deadline.
    pub at_deadline: AtDeadline,
}

/// Which series a role takes.
#[derive(Debug, Clone, PartialEq)]
pub struct InputRules {
    /// The role's name.
    pub role: String,
    /// Modality (0008,0060).
    pub modality: String,
    /// Whether the case waits for it.
    pub required: bool,
    /// All of these must match.
    pub matches: AttributeRules,
    /// None of these may match.
    pub exclude: AttributeRules,
    /// How one of several is chosen.
    pub prefer: Vec<Prefer>,
}

/// Which regions a protocol measures.
#[derive(Debug, Clone, PartialEq)]
pub struct RoiRules {
    /// A region is taken when its name matches one of these; none: drawn regions are not used.
    pub names: Vec<Pattern>,
    /// Regions by name that are not measured but that a role is scaled by: reference tissues.
    pub tissues: Vec<String>,
    /// `true`: the case waits for a drawn region; `false`: a rule makes one where none was drawn.
    pub required: bool,
}

impl RoiRules {
    /// Whether a region of that name is measured.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        self.names.iter().any(|pattern| pattern.is_match(name))
    }

    /// Whether a region of that name is used at all.
    #[must_use]
    pub fn uses(&self, name: &str) -> bool {
        self.takes(name) || self.tissues.iter().any(|tissue| tissue == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(entries: &[(&str, &str)]) -> AttributeRules {
        let compile = |(key, text): &(&str, &str)| ((*key).to_owned(), Pattern::new(text).unwrap());
        AttributeRules(entries.iter().map(compile).collect())
    }

    fn attributes(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn all_of_match_must_match_and_an_absent_attribute_never_does() {
        let axial_thorax = rules(&[("ImageType", r"\\AXIAL"), ("BodyPartExamined", "^CHEST$")]);
        let series = attributes(&[("ImageType", r"ORIGINAL\PRIMARY\AXIAL"), ("BodyPartExamined", "CHEST")]);
        assert!(axial_thorax.all_match(&series));
        assert!(!axial_thorax.all_match(&attributes(&[("ImageType", r"ORIGINAL\PRIMARY\AXIAL")])));
        assert!(rules(&[]).all_match(&series) && !rules(&[]).any_match(&series));
    }

    #[test]
    fn one_of_exclude_is_enough() {
        let exclude = rules(&[("ImageType", "LOCALIZER"), ("SeriesDescription", "(?i)scout")]);
        assert!(exclude.any_match(&attributes(&[("SeriesDescription", "Scout")])));
        assert!(!exclude.any_match(&attributes(&[("SeriesDescription", "thorax")])));
    }

    #[test]
    fn a_pattern_that_would_take_the_memory_is_refused() {
        assert!(Pattern::new("(a{1000}){1000}").is_err());
        assert!(Pattern::new("(").is_err());
    }
}

//! The tools of checking: each takes a raw value or a default, and writes down what is wrong instead of stopping.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use super::defaults;
use super::error::{Problem, did_you_mean};
use super::locate::{self, KeyPath};
use super::types::{AeTitle, HostPort};
use crate::case::Pattern;

/// Collects what is wrong with one file.
pub(super) struct Checker<'a> {
    /// Relative paths are relative to this.
    folder: &'a Path,
    text: &'a str,
    document: &'a Spanned<DeTable<'a>>,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(folder: &'a Path, text: &'a str, document: &'a Spanned<DeTable<'a>>) -> Self {
        Self { folder, text, document, problems: Vec::new() }
    }

    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.position);
        self.problems
    }

    pub(super) fn problem(&mut self, key: &KeyPath, sentence: String) {
        let position = locate::position(self.text, self.document, key);
        self.problems.push(Problem { key: key.to_string(), position, sentence });
    }

    pub(super) fn wrong(&mut self, key: &KeyPath, found: &str, expected: &str) {
        self.problem(key, format!("found \"{}\", expected {expected}", found.escape_debug()));
    }

    /// A value that must be given.
    pub(super) fn required<T>(&mut self, key: &KeyPath, value: Option<T>, expected: &str) -> Option<T> {
        if value.is_none() {
            self.problem(key, format!("is missing, expected {expected}"));
        }
        value
    }

    pub(super) fn duration(
        &mut self,
        key: &KeyPath,
        value: Option<&str>,
        default: Duration,
        range: &RangeInclusive<Duration>,
    ) -> Duration {
        let Some(text) = value else { return default };
        match humantime::parse_duration(text) {
            Ok(duration) if range.contains(&duration) => duration,
            Ok(_) => {
                let (low, high) =
                    (humantime::format_duration(*range.start()), humantime::format_duration(*range.end()));
                self.wrong(key, text, &format!("a duration from {low} to {high}"));
                default
            }
            Err(_) => {
                self.wrong(key, text, "a duration such as \"10s\", \"2h\" or \"30d\"");
                default
            }
        }
    }

    pub(super) fn whole(
        &mut self,
        key: &KeyPath,
        value: Option<i64>,
        default: u64,
        range: &RangeInclusive<u64>,
    ) -> u64 {
        let Some(found) = value else { return default };
        match u64::try_from(found) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.problem(key, format!("found {found}, expected {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    pub(super) fn number(
        &mut self,
        key: &KeyPath,
        value: Option<f64>,
        default: f64,
        range: &RangeInclusive<f64>,
    ) -> f64 {
        match value {
            None => default,
            Some(found) if range.contains(&found) => found,
            Some(found) => {
                self.problem(key, format!("found {found}, expected {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    /// One of a list of names.
    pub(super) fn choice<T: Copy>(&mut self, key: &KeyPath, value: Option<&str>, names: &[(&str, T)]) -> Option<T> {
        let text = value?;
        let found = names.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let list: Vec<String> = names.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            let hint = did_you_mean(text, names.iter().map(|(name, _)| *name))
                .map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"));
            self.wrong(key, text, &format!("{}{hint}", one_of(&list)));
        }
        found.map(|(_, choice)| *choice)
    }

    /// Several of a list of names, each at most once; the default where none are given.
    pub(super) fn choices<T: Copy + PartialEq>(
        &mut self,
        key: &KeyPath,
        values: Option<&[String]>,
        default: &[T],
        names: &[(&str, T)],
    ) -> Vec<T> {
        let Some(values) = values else { return default.to_vec() };
        let mut chosen = Vec::new();
        for (i, text) in values.iter().enumerate() {
            let Some(choice) = self.choice(&key.index(i), Some(text), names) else { continue };
            if chosen.contains(&choice) {
                self.wrong(&key.index(i), text, "every name once");
            } else {
                chosen.push(choice);
            }
        }
        chosen
    }

    pub(super) fn pattern(&mut self, key: &KeyPath, text: &str) -> Option<Pattern> {
        match Pattern::new(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or("").trim().trim_start_matches("error: ").to_owned();
                self.wrong(key, text, &format!("a regular expression ({reason})"));
                None
            }
        }
    }

    pub(super) fn ae_title(&mut self, key: &KeyPath, text: &str) -> Option<AeTitle> {
        let title = AeTitle::parse(text);
        if title.is_none() {
            self.wrong(key, text, "an AE title: 1 to 16 printable ASCII characters, no backslash");
        }
        title
    }

    pub(super) fn socket(&mut self, key: &KeyPath, value: Option<&str>, default: &str) -> Option<SocketAddr> {
        let text = value.unwrap_or(default);
        let address = text.parse().ok();
        if address.is_none() {
            self.wrong(key, text, "an IP address and a port, such as \"0.0.0.0:11112\" or \"[::]:11112\"");
        }
        address
    }

    pub(super) fn host_port(&mut self, key: &KeyPath, text: &str) -> Option<HostPort> {
        let address = HostPort::parse(text);
        if address.is_none() {
            self.wrong(key, text, "a host and a port, such as \"10.1.0.5:104\" or \"pacs.hospital:104\"");
        }
        address
    }

    /// A path; a relative one starts at the configuration file's folder.
    pub(super) fn path(&mut self, key: &KeyPath, text: &str) -> Option<PathBuf> {
        if text.is_empty() || text.contains('\0') {
            self.wrong(key, text, "a path");
            return None;
        }
        Some(self.folder.join(text))
    }

    pub(super) fn optional_path(&mut self, key: &KeyPath, text: Option<&str>) -> Option<PathBuf> {
        text.and_then(|text| self.path(key, text))
    }

    /// A name for people, tables and metric labels: a letter or digit, then letters, digits, `_`, `-` or `.`.
    pub(super) fn name(&mut self, key: &KeyPath, text: String, length_max: usize) -> Option<String> {
        let legal = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.len() <= length_max
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if !legal {
            self.wrong(key, &text, &format!("a name of 1 to {length_max} letters, digits, '_', '-' or '.'"));
        }
        legal.then_some(text)
    }

    pub(super) fn at_most(&mut self, key: &KeyPath, n: usize, n_max: usize) {
        if n > n_max {
            self.problem(key, format!("found {n} entries, expected at most {n_max}"));
        }
    }
}

pub(super) const ANY_DURATION: RangeInclusive<Duration> = Duration::ZERO..=defaults::DURATION_MAX;

/// `a`, `a or b`, `one of a, b, c`.
pub(super) fn one_of(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [a, b] => format!("{a} or {b}"),
        many => format!("one of {}", many.join(", ")),
    }
}

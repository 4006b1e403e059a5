//! What is wrong with a configuration: file, line, key, what was found and what was expected.

use std::fmt;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeTable;

use super::locate::{self, Position};
use crate::error::{Duty, Fault, Retry};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("{}: the configuration cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or its keys or values are not what they must be.
    #[error("{}", Problems { file, problems })]
    Invalid {
        /// The file's name.
        file: String,
        /// All that is wrong, in the order of the file; never empty.
        problems: Vec<Problem>,
    },
}

impl Duty for ConfigError {
    fn fault(&self) -> Fault {
        Fault::Config
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key with its tables, such as `protocol[0].reference`; empty for the file as a whole.
    pub key: String,
    /// Where it stands, when it does.
    pub position: Option<Position>,
    /// What was found and what was expected.
    pub sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.sentence)
    }
}

struct Problems<'a> {
    file: &'a str,
    problems: &'a [Problem],
}

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            let gap = if problem.position.is_some() { ":" } else { ": " };
            write!(f, "{line_break}{}{gap}{problem}", self.file)?;
        }
        Ok(())
    }
}

/// What the TOML parser or the reader of keys says, with the key that it speaks of.
pub(super) fn of_parser(text: &str, document: Option<&Spanned<DeTable<'_>>>, error: &toml::de::Error) -> Problem {
    let offset = error.span().map(|span| span.start);
    let position = offset.map(|offset| Position::of(text, offset));
    let path = document.zip(offset).map(|(document, offset)| locate::path_at(document, offset));
    let message = error.message().trim().replace('\n', ", ");
    // The reader says: unknown field `x`, expected `a` or `b`; names stand between backquotes.
    let sentence = match message.strip_prefix("unknown field ") {
        Some(rest) => {
            let names: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
            let (found, known) = names.split_first().map_or(("", &[][..]), |(found, known)| (*found, known));
            let hint = did_you_mean(found, known.iter().copied())
                .map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"));
            format!("unknown key, expected one of {}{hint}", known.join(", "))
        }
        None => message,
    };
    Problem { key: path.map_or_else(String::new, |path| path.to_string()), position, sentence }
}

/// The known name that `found` was most likely meant to be: at most a third of its letters differ.
pub(super) fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = found.to_lowercase();
    let limit = found.chars().count().div_ceil(3);
    known
        .into_iter()
        .map(|name| (edits(&folded, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein distance: insertions, deletions and replacements of characters. Long names are not compared.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_recognised_and_a_stranger_is_not() {
        assert_eq!(did_you_mean("ae_tilte", ["listen", "ae_title"]), Some("ae_title"));
        assert_eq!(did_you_mean("Rigid", ["none", "rigid"]), Some("rigid"));
        assert_eq!(did_you_mean("colour", ["listen", "ae_title"]), None);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}

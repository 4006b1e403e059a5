//! Application entity titles (PS3.5 6.2, VR AE).

use serde::{Deserialize, Serialize};

/// An AE title: 1 to 16 printable ASCII characters without backslash, spaces at both ends dropped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AeTitle(String);

/// Why a text is no AE title. The text itself is not repeated: it may come from anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AeTitleError {
    /// Nothing, or only spaces.
    #[error("the AE title is empty, expected 1 to 16 characters")]
    Empty,
    /// More than the field holds.
    #[error("the AE title has {0} characters, at most 16 are allowed")]
    TooLong(usize),
    /// A control character, a backslash, or something outside ASCII.
    #[error("the AE title has an illegal character at position {0}, expected printable ASCII without backslash")]
    Illegal(usize),
}

impl AeTitle {
    /// Reads a title as configured or received.
    ///
    /// # Errors
    /// When nothing is left after trimming, or it is too long or holds characters that the standard forbids.
    pub fn parse(text: &str) -> Result<Self, AeTitleError> {
        let text = text.trim_matches([' ', '\0']);
        if text.is_empty() {
            return Err(AeTitleError::Empty);
        }
        if let Some(position) = text.bytes().position(|byte| !(0x20..0x7F).contains(&byte) || byte == b'\\') {
            return Err(AeTitleError::Illegal(position));
        }
        if text.len() > 16 {
            return Err(AeTitleError::TooLong(text.len()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The title without padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for AeTitle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for AeTitle {
    type Err = AeTitleError;
    fn from_str(text: &str) -> Result<Self, AeTitleError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for AeTitle {
    type Error = AeTitleError;
    fn try_from(text: String) -> Result<Self, AeTitleError> {
        Self::parse(&text)
    }
}

impl From<AeTitle> for String {
    fn from(title: AeTitle) -> Self {
        title.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ae_title_is_trimmed_and_nothing_else() {
        assert_eq!(AeTitle::parse("  PACS 1        ").unwrap().as_str(), "PACS 1");
        assert_eq!(AeTitle::parse("pacs").unwrap().as_str(), "pacs");
        assert_eq!(AeTitle::parse("                "), Err(AeTitleError::Empty));
        assert_eq!(AeTitle::parse("A234567890123456X"), Err(AeTitleError::TooLong(17)));
        assert_eq!(AeTitle::parse("A\\B"), Err(AeTitleError::Illegal(1)));
        assert_eq!(AeTitle::parse("A\nB"), Err(AeTitleError::Illegal(1)));
        assert_eq!(AeTitle::parse("ÄRZTE"), Err(AeTitleError::Illegal(0)));
    }
}

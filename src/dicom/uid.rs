//! Unique identifiers (PS3.5 chapter 9).

use serde::{Deserialize, Serialize};

/// A well-formed DICOM UID: at most 64 characters, components of digits without leading zeros, at least two of them.
///
/// Only this type is used to build file names, so a UID such as `../../etc` cannot exist past the edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(String);

/// Why a string is no UID. The string itself is not repeated: it is hostile input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    /// Nothing there.
    #[error("the UID is empty")]
    Empty,
    /// Longer than the standard allows.
    #[error("the UID has {0} characters, at most 64 are allowed")]
    TooLong(usize),
    /// Something other than numbers and dots, or a leading zero.
    #[error("the UID is malformed at character {0}, expected numbers without leading zeros, separated by dots")]
    Malformed(usize),
}

impl Uid {
    /// Parses a UID as received: trailing NUL and spaces (PS3.5 6.2 padding) are dropped.
    ///
    /// # Errors
    /// When what remains is not a UID by PS3.5 9.1.
    pub fn parse(text: &str) -> Result<Self, UidError> {
        let text = text.trim_end_matches(['\0', ' ']);
        if text.is_empty() {
            return Err(UidError::Empty);
        }
        if text.len() > 64 {
            return Err(UidError::TooLong(text.len()));
        }
        let mut start = 0;
        let mut components = 0;
        for component in text.split('.') {
            let digits = !component.is_empty() && component.bytes().all(|b| b.is_ascii_digit());
            if !digits || (component.len() > 1 && component.starts_with('0')) {
                return Err(UidError::Malformed(start));
            }
            start += component.len() + 1;
            components += 1;
        }
        if components < 2 {
            return Err(UidError::Malformed(text.len()));
        }
        Ok(Self(text.to_owned()))
    }

    /// A UID under 2.25 (PS3.5 B.2) that depends on nothing but these parts: the same parts always give the same UID,
    /// different parts never do (UUID version 5, RFC 4122).
    #[must_use]
    pub fn derived(parts: &[&str]) -> Self {
        let mut name = Vec::new();
        for part in parts {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Self(format!("2.25.{}", uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &name).as_u128()))
    }

    /// A UID under 2.25 that was never given before and never will be again (UUID version 4).
    #[must_use]
    pub fn random() -> Self {
        Self(format!("2.25.{}", uuid::Uuid::new_v4().as_u128()))
    }

    /// The UID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A short hash for logs: the UID itself may lead to a patient.
    #[must_use]
    pub fn short_hash(&self) -> String {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(self.0.as_bytes());
        digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Display for Uid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Uid {
    type Error = UidError;
    fn try_from(text: String) -> Result<Self, UidError> {
        Self::parse(&text)
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_can_never_be_a_path() {
        for hostile in ["", ".", "..", "../1", "1/2", "1..2", "1.02", "1.2a", "1", "1.2\0.3", &"1.".repeat(40)] {
            assert!(Uid::parse(hostile).is_err(), "{hostile:?}");
        }
        assert!(Uid::parse(&format!("1.{}", "2".repeat(63))).is_err());
        assert_eq!(Uid::parse("1.2.840.0.1\0").unwrap().as_str(), "1.2.840.0.1");
    }

    #[test]
    fn derived_uids_depend_on_the_parts_and_their_boundaries() {
        assert_eq!(Uid::derived(&["a", "bc"]), Uid::derived(&["a", "bc"]));
        assert_ne!(Uid::derived(&["a", "bc"]), Uid::derived(&["ab", "c"]));
        assert!(Uid::parse(Uid::derived(&["x"]).as_str()).is_ok());
    }
}

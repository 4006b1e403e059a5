//! Users who may associate (PS3.7 D.3.3.7), by a file of hashes as `htpasswd -B` writes it.
//!
//! One line per user, `NAME:HASH`, the hash by bcrypt; empty lines and lines that begin with `#` are skipped. bcrypt
//! because every administrator has a tool for it and because it is slow: a stolen file gives its passcodes away late.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;

use bcrypt::HashParts;
use tokio::sync::Semaphore;

/// A hash of this cost takes about a second. One that takes longer would hold up everyone who comes after.
const COST_MAX: u32 = 14;
/// A hash that takes as long as a real one, for users who are not there: how long a refusal takes must not tell.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuuKC0VkLOeN6TESlRmFhsuUHxInQoSh9y";
/// Hashes that are computed at one time; more only wait longer together.
const AT_ONCE: usize = 2;
/// bcrypt looks at 72 bytes; what is longer would be cut without a word.
const PASSCODE_BYTES_MAX: usize = 72;
/// The whole file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a file of users cannot be used. Hashes are never repeated.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", .file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is something else.
    #[error("{} line {line}: {expected}", .file.display())]
    Line {
        /// Which.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
    },
}

/// The users and their hashes.
#[derive(Clone)]
pub struct Users {
    hashes: Arc<BTreeMap<String, String>>,
    turns: Arc<Semaphore>,
}

impl Users {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no user with a bcrypt hash of a reasonable cost.
    pub fn load(file: &Path) -> Result<Self, UsersError> {
        let read = || {
            if FILE_BYTES_MAX < std::fs::metadata(file)?.len() {
                return Err(std::io::Error::other("it is larger than any list of users"));
            }
            std::fs::read_to_string(file)
        };
        let text = read().map_err(|source| UsersError::Read { file: file.to_owned(), source })?;
        let hashes =
            parse(&text).map_err(|(line, expected)| UsersError::Line { file: file.to_owned(), line, expected })?;
        Ok(Self { hashes: Arc::new(hashes), turns: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    /// Whether there is such a user with this passcode. Takes as long either way.
    pub async fn verify(&self, name: &str, passcode: &[u8]) -> bool {
        let (hash, known) = match self.hashes.get(name) {
            Some(hash) => (hash.clone(), true),
            None => (NOBODY.to_owned(), false),
        };
        let Ok(_turn) = self.turns.acquire().await else { return false };
        let passcode = passcode.to_vec();
        let verified = tokio::task::spawn_blocking(move || {
            passcode.len() <= PASSCODE_BYTES_MAX && bcrypt::verify(&passcode, &hash).unwrap_or(false)
        });
        verified.await.unwrap_or(false) && known
    }
}

/// Users by name, or the line that is wrong and what was expected there.
fn parse(text: &str) -> Result<BTreeMap<String, String>, (usize, &'static str)> {
    let mut hashes = BTreeMap::new();
    for (idx, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |expected| (idx + 1, expected);
        let (name, hash) = line.split_once(':').ok_or(wrong("expected NAME:HASH"))?;
        if name.is_empty() || name.len() > 255 {
            return Err(wrong("expected a name of 1 to 255 bytes before the colon"));
        }
        let parts = HashParts::from_str(hash).map_err(|_| wrong("expected a bcrypt hash, as of htpasswd -B"))?;
        if COST_MAX < parts.get_cost() {
            return Err(wrong("expected a bcrypt hash of cost 14 at most"));
        }
        if hashes.insert(name.to_owned(), hash.to_owned()).is_some() {
            return Err(wrong("expected every user once"));
        }
    }
    Ok(hashes)
}

impl PartialEq for Users {
    fn eq(&self, other: &Self) -> bool {
        self.hashes == other.hashes
    }
}

impl Eq for Users {}

/// Without the hashes.
impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("n_users", &self.hashes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(text: &str) -> Result<Users, UsersError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        std::fs::write(&path, text).unwrap();
        Users::load(&path)
    }

    #[tokio::test]
    async fn a_user_is_known_by_name_and_passcode_together() {
        let hash = bcrypt::hash("open sesame", 4).unwrap();
        let users = users(&format!("# modalities\n\nCT1:{hash}\nÄrztin:{}\n", hash.replace("$2b$", "$2y$"))).unwrap();
        assert!(users.verify("CT1", b"open sesame").await);
        assert!(users.verify("Ärztin", b"open sesame").await);
        assert!(!users.verify("CT1", b"open").await);
        assert!(!users.verify("CT2", b"open sesame").await);
        assert!(!users.verify("", b"").await);
        let long = [b"open sesame".as_slice(), &[b'x'; 80]].concat();
        assert!(!users.verify("CT1", &long).await);
        assert!(!format!("{users:?}").contains("$2"));
    }

    #[test]
    fn the_hash_of_nobody_is_a_hash_and_as_slow_as_a_real_one() {
        let parts = HashParts::from_str(NOBODY).unwrap();
        assert_eq!(parts.get_cost(), 10);
        assert_eq!(bcrypt::verify("anything", NOBODY).ok(), Some(false));
    }

    #[test]
    fn a_line_that_is_no_user_is_said_by_its_number_without_the_hash() {
        let hash = bcrypt::hash("x", 4).unwrap();
        for (text, line) in [
            ("CT1".to_owned(), 1),
            (format!("CT1:{hash}\nCT1:{hash}"), 2),
            (format!(":{hash}"), 1),
            ("\nCT1:$apr1$abc$def".to_owned(), 2),
            (format!("CT1:{}", hash.replace("$04$", "$20$")), 1),
        ] {
            let error = users(&text).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line}")) && !error.contains('$'), "{error}");
        }
    }
}

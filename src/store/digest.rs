//! The digest by which a stored data set is known.
//!
//! BLAKE3: as hard to forge as SHA-256, so that nobody can make two data sets that are taken for one, at a fraction of
//! its time on every processor. `b3sum` (Debian package of that name) prints the same 64 digits.

use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::part10::read_meta;

/// BLAKE3 of a data set, as 32 bytes; 64 hexadecimal digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// What BLAKE3 digests side by side on the widest processors: 16 chunks of 1 KiB. A piece that begins or ends within such
/// a step costs more, as its chunks are done one after the other.
const STEP_BYTES: usize = 16 << 10;

/// A digest in the making: takes the bytes as they come, and digests them in whole steps.
#[derive(Debug, Default)]
pub(super) struct Digester {
    hasher: Box<blake3::Hasher>,
    /// What is not digested yet: less than a step.
    rest: Vec<u8>,
}

impl Digester {
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        if !self.rest.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(STEP_BYTES - self.rest.len()));
            self.rest.extend_from_slice(now);
            if self.rest.len() < STEP_BYTES {
                return;
            }
            self.hasher.update(&self.rest);
            self.rest.clear();
            bytes = later;
        }
        let (now, later) = bytes.split_at(bytes.len() - bytes.len() % STEP_BYTES);
        self.hasher.update(now);
        self.rest.extend_from_slice(later);
    }

    /// The digest of all that came so far.
    pub(super) fn finish(&mut self) -> Digest {
        self.hasher.update(&self.rest);
        self.rest.clear();
        Digest(*self.hasher.finalize().as_bytes())
    }
}

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of a file's data set, without preamble and file meta information; of the whole file where it has none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_data_set(path: &Path) -> std::io::Result<Self> {
        let offset = read_meta(path)?.map_or(0, |meta| meta.data_set_offset);
        Self::of_file_from(path, offset)
    }

    /// The digest of a file from an offset on.
    pub(super) fn of_file_from(path: &Path, offset: u64) -> std::io::Result<Self> {
        use std::io::{Seek as _, SeekFrom};

        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut digester = Digester::default();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(digester.finish()),
                n_bytes => digester.update(buffer.get(..n_bytes).unwrap_or_default()),
            }
        }
    }

    /// Reads 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut bytes = [0; 32];
        for (idx, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * idx..2 * idx + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("expected 64 lower-case hexadecimal digits")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_b3sum_and_reads_its_own_text_and_nothing_else() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse(&digest.to_string().to_uppercase()), None);
        assert_eq!(Digest::parse("6437"), None);
    }

    #[test]
    fn a_data_set_in_pieces_has_the_digest_of_the_whole() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let mut digester = Digester::default();
        bytes.chunks(16_378).for_each(|piece| digester.update(piece));
        assert_eq!(digester.finish(), Digest::of(&bytes));
        for n_bytes in [0, 1, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 100_000] {
            let mut digester = Digester::default();
            let (first, second) = bytes.split_at(n_bytes);
            [first, second, &[]].into_iter().for_each(|piece| digester.update(piece));
            assert_eq!(digester.finish(), Digest::of(&bytes), "{n_bytes}");
        }
    }
}

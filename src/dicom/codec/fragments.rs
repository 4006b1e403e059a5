//! Encapsulated pixel data (PS3.5 A.4): which fragments make which frame.

use super::super::part10::StoredPixels;

/// Fragments of one object: a frame of a long cine each has one, rarely more.
const FRAGMENTS_MAX: usize = 1 << 20;

/// The fragments of an object's pixel data, grouped to frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragments {
    /// Offset and length of each fragment's bytes.
    fragments: Vec<(u64, u64)>,
    /// The first fragment of each frame.
    first: Vec<usize>,
}

impl Fragments {
    /// Finds the fragments of `n_frames` frames.
    ///
    /// Frames and fragments are told apart by, in this order: one fragment for each frame; all fragments for the only frame;
    /// the extended offset table; the basic offset table; the marker with which each stream starts (an image of JPEG, JPEG-LS
    /// or JPEG 2000 may be cut into fragments anywhere, and writers leave the table empty).
    ///
    /// # Errors
    /// A sentence on what is damaged, or cannot be told.
    pub fn of(stored: &StoredPixels, n_frames: u32, extended_offsets: &[u64]) -> Result<Self, &'static str> {
        let mut at = stored.location.offset;
        let table = item(stored, at)?.ok_or("it has no basic offset table")?;
        let offsets = basic_offsets(stored, at + 8, table)?;
        at += 8 + table;
        let start = at;
        let mut fragments = Vec::new();
        while let Some(length) = item(stored, at)? {
            if fragments.len() >= FRAGMENTS_MAX {
                return Err("it has more than a million fragments");
            }
            fragments.push((at + 8, length));
            at += 8 + length;
        }
        let n_frames = n_frames as usize;
        let first = if fragments.len() == n_frames {
            (0..n_frames).collect()
        } else if n_frames == 1 && !fragments.is_empty() {
            vec![0]
        } else if extended_offsets.len() == n_frames {
            starts(&fragments, extended_offsets, start)?
        } else if offsets.len() == n_frames {
            starts(&fragments, &offsets, start)?
        } else {
            by_marker(stored, &fragments)
        };
        if first.len() != n_frames || first.first() != Some(&0) {
            return Err("its fragments cannot be told to be one frame or another");
        }
        Ok(Self { fragments, first })
    }

    /// The bytes of one frame, its fragments joined; `stream` is overwritten.
    ///
    /// # Errors
    /// When the file cannot be read, or there is no such frame.
    pub fn read(&self, stored: &StoredPixels, frame: u32, stream: &mut Vec<u8>) -> std::io::Result<()> {
        let frame = frame as usize;
        let first = self.first.get(frame).copied().ok_or(std::io::ErrorKind::NotFound)?;
        let end = self.first.get(frame + 1).copied().unwrap_or(self.fragments.len());
        stream.clear();
        for (offset, length) in self.fragments.get(first..end).unwrap_or_default() {
            let start = stream.len();
            let length = usize::try_from(*length).map_err(|_| std::io::ErrorKind::FileTooLarge)?;
            stream.resize(start + length, 0);
            stored.read_at(*offset, stream.get_mut(start..).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// The length of the item at an offset, which lies within the file; `None` at the end of the sequence.
fn item(stored: &StoredPixels, at: u64) -> Result<Option<u64>, &'static str> {
    let mut head = [0; 8];
    stored.read_at(at, &mut head).map_err(|_| "it ends without a delimiter")?;
    let [a, b, c, d, length @ ..] = head;
    let length = u64::from(u32::from_le_bytes(length));
    match [a, b, c, d] {
        [0xFE, 0xFF, 0x00, 0xE0] if length <= stored.bytes_from(at + 8) => Ok(Some(length)),
        [0xFE, 0xFF, 0x00, 0xE0] => Err("a fragment is longer than the file"),
        [0xFE, 0xFF, 0xDD, 0xE0] => Ok(None),
        _ => Err("it holds something other than fragments"),
    }
}

fn basic_offsets(stored: &StoredPixels, at: u64, length: u64) -> Result<Vec<u64>, &'static str> {
    if length > 4 * FRAGMENTS_MAX as u64 {
        return Err("its basic offset table is too long");
    }
    #[allow(clippy::cast_possible_truncation)] // bounded above
    let mut bytes = vec![0; length as usize];
    stored.read_at(at, &mut bytes).map_err(|_| "it ends inside its basic offset table")?;
    let (words, _) = bytes.as_chunks::<4>();
    Ok(words.iter().map(|word| u64::from(u32::from_le_bytes(*word))).collect())
}

/// Offsets count from the item of the first fragment.
fn starts(fragments: &[(u64, u64)], offsets: &[u64], start: u64) -> Result<Vec<usize>, &'static str> {
    let index = |offset: &u64| {
        let at = start.saturating_add(*offset).saturating_add(8);
        fragments.binary_search_by_key(&at, |fragment| fragment.0)
    };
    let first: Vec<usize> =
        offsets.iter().map(index).collect::<Result<_, _>>().map_err(|_| "its offset table points beside fragments")?;
    if first.is_sorted_by(|a, b| a < b) { Ok(first) } else { Err("its offset table is out of order") }
}

/// How a stream starts: JPEG and JPEG-LS, JPEG 2000, JPEG XL, and the last two in their boxes.
const STARTS: [&[u8]; 5] =
    [&[0xFF, 0xD8, 0xFF], &[0xFF, 0x4F, 0xFF, 0x51], &[0xFF, 0x0A], b"\0\0\0\x0CjP  ", b"\0\0\0\x0CJXL "];

/// Fragments that start a stream.
fn by_marker(stored: &StoredPixels, fragments: &[(u64, u64)]) -> Vec<usize> {
    let starts_image = |(offset, length): &(u64, u64)| {
        let mut head = [0; 8];
        *length >= 8 && stored.read_at(*offset, &mut head).is_ok() && STARTS.iter().any(|start| head.starts_with(start))
    };
    fragments.iter().enumerate().filter(|(_, fragment)| starts_image(fragment)).map(|(index, _)| index).collect()
}

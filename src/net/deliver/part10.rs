//! Where in a Part-10 file the data set begins (PS3.10 7.1).

use std::io::{Error, ErrorKind};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Preamble, prefix, and File Meta Information Group Length (0002,0000).
const HEAD_BYTES: usize = 128 + 4 + 12;
/// File meta information is a few hundred bytes.
const META_BYTES_MAX: usize = 64 * 1024;

/// Reads past preamble and file meta information: what comes next is the data set.
///
/// # Errors
/// When the bytes are no Part-10 file, or cannot be read.
pub(super) async fn skip_meta(file: &mut (impl AsyncRead + Unpin)) -> Result<(), Error> {
    let malformed = || Error::new(ErrorKind::InvalidData, "no file meta information");
    let mut head = [0; HEAD_BYTES];
    file.read_exact(&mut head).await?;
    let (_, after_preamble) = head.split_at(128);
    let (prefix, length) = after_preamble.split_at(12);
    if prefix != b"DICM\x02\0\0\0UL\x04\0" {
        return Err(malformed());
    }
    let length = length.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(malformed)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= META_BYTES_MAX).ok_or_else(malformed)?;
    let mut meta = vec![0; length];
    file.read_exact(&mut meta).await?;
    Ok(())
}

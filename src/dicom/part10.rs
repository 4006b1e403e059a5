//! Reading Part-10 files (PS3.10 chapter 7): the header now, the pixels when they are asked for.

use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::attributes::{self, Named};
use super::dataset::{self, DataSet, Encoding};
use super::uid::{Uid, UidError};
use crate::error::{Duty, Fault, Retry};

pub use super::dataset::{Keep, PixelLocation};

/// A deflated data set may be this long when it is inflated.
const INFLATED_BYTES_MAX: u64 = 2 << 30;

/// Retired, but archives hold it.
pub const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// Preamble and `DICM` (PS3.10 7.1).
const PREAMBLE_BYTES: usize = 132;

/// Why bytes cannot be read as DICOM. Never holds a value of the data set.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The operating system refused.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// No `DICM` after the preamble, or something else that no DICOM file has.
    #[error("not a DICOM file: {0}")]
    Malformed(&'static str),
    /// The bytes end inside an element.
    #[error("the data set ends inside {}", Named(*tag))]
    Truncated {
        /// Which element.
        tag: Tag,
    },
    /// An element that cannot be.
    #[error("{} {what}", Named(*tag))]
    Element {
        /// Which element.
        tag: Tag,
        /// What is wrong with it.
        what: &'static str,
    },
    /// More than any real object has.
    #[error("the data set is too large: {0}")]
    TooLarge(&'static str),
    /// No usable transfer syntax.
    #[error("TransferSyntaxUID (0002,0010): {0}")]
    TransferSyntax(UidError),
}

impl Duty for FormatError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io(_) => Fault::Internal,
            _ => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Io(_) => Retry::Later,
            _ => Retry::Never,
        }
    }
}

/// A Part-10 file without its pixels.
#[derive(Debug)]
pub struct Part10 {
    /// The data set up to, and without, its pixels.
    pub object: InMemDicomObject,
    /// Transfer Syntax UID (0002,0010).
    pub transfer_syntax: Uid,
    /// Where the pixels are, if there are any.
    pub pixels: Option<PixelLocation>,
    source: Source,
}

/// Where the bytes are.
#[derive(Debug)]
enum Source {
    File {
        file: std::fs::File,
        length: u64,
    },
    /// The bytes from this offset on: a file in memory, or an inflated data set.
    Memory {
        bytes: Vec<u8>,
        offset: u64,
    },
}

impl Part10 {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be read, or is no Part-10 file.
    pub fn open(path: &Path, keep: Keep) -> Result<Self, FormatError> {
        let file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        let mut reader = BufReader::with_capacity(16 << 10, &file);
        let (meta, data_set, inflated) = read_parts(&mut reader, length, keep)?;
        let source = inflated.unwrap_or(Source::File { file, length });
        Ok(Self { object: data_set.object, transfer_syntax: meta, pixels: data_set.pixels, source })
    }

    /// Reads the header of a file in memory, and keeps the bytes for its pixels.
    ///
    /// # Errors
    /// When it is no Part-10 file.
    pub fn from_bytes(bytes: Vec<u8>, keep: Keep) -> Result<Self, FormatError> {
        let length = bytes.len() as u64;
        let (meta, data_set, inflated) = read_parts(&mut Cursor::new(&bytes), length, keep)?;
        let source = inflated.unwrap_or(Source::Memory { bytes, offset: 0 });
        Ok(Self { object: data_set.object, transfer_syntax: meta, pixels: data_set.pixels, source })
    }

    /// How many bytes there are from `offset` on.
    #[must_use]
    pub fn bytes_from(&self, offset: u64) -> u64 {
        match &self.source {
            Source::File { length, .. } => length.saturating_sub(offset),
            Source::Memory { bytes, offset: start } => (start + bytes.len() as u64).saturating_sub(offset),
        }
    }

    /// Fills `buffer` with the bytes at `offset`.
    ///
    /// # Errors
    /// When there are not as many, or the file cannot be read.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        match &self.source {
            Source::File { file, .. } => std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset),
            Source::Memory { bytes, offset: start } => {
                let start = offset.checked_sub(*start).and_then(|start| usize::try_from(start).ok());
                let found = start.and_then(|start| bytes.get(start..start.checked_add(buffer.len())?));
                buffer.copy_from_slice(found.ok_or(std::io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// Reads the header of a Part-10 file in memory.
///
/// # Errors
/// When it is no Part-10 file.
pub fn header_of(bytes: &[u8], keep: Keep) -> Result<(InMemDicomObject, Uid), FormatError> {
    let (meta, data_set, _) = read_parts(&mut Cursor::new(bytes), bytes.len() as u64, keep)?;
    Ok((data_set.object, meta))
}

fn read_parts(reader: &mut impl Read, length: u64, keep: Keep) -> Result<(Uid, DataSet, Option<Source>), FormatError> {
    let mut preamble = [0; PREAMBLE_BYTES];
    let is_dicom = length >= PREAMBLE_BYTES as u64 && {
        reader.read_exact(&mut preamble)?;
        preamble.ends_with(b"DICM")
    };
    if !is_dicom {
        return Err(FormatError::Malformed("no DICM after a preamble of 128 bytes"));
    }
    let meta = dataset::read_meta(&mut *reader, PREAMBLE_BYTES as u64, length)?;
    let transfer_syntax = attributes::uid(&meta.object, tags::TRANSFER_SYNTAX_UID)
        .and_then(|uid| {
            uid.ok_or(attributes::AttributeError::Uid { tag: tags::TRANSFER_SYNTAX_UID, error: UidError::Empty })
        })
        .map_err(|error| match error {
            attributes::AttributeError::Uid { error, .. } => FormatError::TransferSyntax(error),
            _ => FormatError::TransferSyntax(UidError::Empty),
        })?;
    let encoding = match transfer_syntax.as_str() {
        uids::IMPLICIT_VR_LITTLE_ENDIAN => Encoding::ImplicitLittle,
        EXPLICIT_VR_BIG_ENDIAN => Encoding::ExplicitBig,
        _ => Encoding::ExplicitLittle,
    };
    let rest = Cursor::new(meta.next).chain(reader);
    if transfer_syntax.as_str() == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        if keep == Keep::Facts {
            // Inflated only as far as the facts go: a small file may hold gigabytes of zeros.
            let inflating = flate2::read::DeflateDecoder::new(rest);
            let data_set = dataset::read(BufReader::new(inflating), 0, INFLATED_BYTES_MAX, encoding, keep)?;
            return Ok((transfer_syntax, DataSet { pixels: None, ..data_set }, None));
        }
        let bytes = inflate(rest)?;
        let data_set = dataset::read(bytes.as_slice(), 0, bytes.len() as u64, encoding, keep)?;
        return Ok((transfer_syntax, data_set, Some(Source::Memory { bytes, offset: 0 })));
    }
    let data_set = dataset::read(rest, meta.end, length, encoding, keep)?;
    Ok((transfer_syntax, data_set, None))
}

/// PS3.5 A.5: a raw deflate stream (RFC 1951).
fn inflate(deflated: impl Read) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    let n_read = flate2::read::DeflateDecoder::new(deflated)
        .take(INFLATED_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| FormatError::Malformed("the deflated data set cannot be inflated"))?;
    if n_read as u64 > INFLATED_BYTES_MAX {
        return Err(FormatError::TooLarge("more than 2 GiB after inflation"));
    }
    Ok(bytes)
}

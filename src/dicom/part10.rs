//! Reading Part-10 files (PS3.10 chapter 7): the header now, the pixels when they are asked for.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

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

/// Headers of images are 3 to 15 KiB.
const HEADER_BUFFER_BYTES: usize = 16 << 10;

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
    /// The way to the pixels, if there are any.
    pub pixels: Option<StoredPixels>,
}

/// The way to the pixels of a file, which is not kept open.
#[derive(Debug)]
pub struct StoredPixels {
    /// Where they are.
    pub location: PixelLocation,
    source: Source,
}

/// Where the bytes are.
#[derive(Debug)]
enum Source {
    File {
        path: PathBuf,
        length: u64,
    },
    /// A file in memory, or an inflated data set.
    Memory(Vec<u8>),
}

impl Part10 {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be read, or is no Part-10 file.
    pub fn open(path: &Path, keep: Keep) -> Result<Self, FormatError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let parts = read_parts(&mut BufReader::with_capacity(HEADER_BUFFER_BYTES, file), length, keep)?;
        Ok(parts.with_source(|| Source::File { path: path.to_owned(), length }))
    }

    /// Reads the header of a file in memory, and keeps the bytes for its pixels.
    ///
    /// # Errors
    /// When it is no Part-10 file.
    pub fn from_bytes(bytes: Vec<u8>, keep: Keep) -> Result<Self, FormatError> {
        let length = bytes.len() as u64;
        let parts = read_parts(&mut Cursor::new(&bytes), length, keep)?;
        Ok(parts.with_source(|| Source::Memory(bytes)))
    }
}

impl StoredPixels {
    /// How many bytes there are from `offset` of the file (or the inflated data set) on.
    #[must_use]
    pub fn bytes_from(&self, offset: u64) -> u64 {
        let length = match &self.source {
            Source::File { length, .. } => *length,
            Source::Memory(bytes) => bytes.len() as u64,
        };
        length.saturating_sub(offset)
    }

    /// Fills `buffer` with the bytes at `offset`.
    ///
    /// # Errors
    /// When there are not as many, or the file cannot be read.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        match &self.source {
            Source::File { path, .. } => std::os::unix::fs::FileExt::read_exact_at(&File::open(path)?, buffer, offset),
            Source::Memory(bytes) => {
                let start = usize::try_from(offset).ok();
                let found = start.and_then(|start| bytes.get(start..start.checked_add(buffer.len())?));
                buffer.copy_from_slice(found.ok_or(std::io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// What reading a file gave.
struct Parts {
    transfer_syntax: Uid,
    data_set: DataSet,
    /// The data set's bytes where they are not those of the file.
    inflated: Option<Vec<u8>>,
}

impl Parts {
    fn with_source(self, source: impl FnOnce() -> Source) -> Part10 {
        let source = self.inflated.map_or_else(source, Source::Memory);
        Part10 {
            object: self.data_set.object,
            transfer_syntax: self.transfer_syntax,
            pixels: self.data_set.pixels.map(|location| StoredPixels { location, source }),
        }
    }
}

/// Reads the header of a Part-10 file in memory.
///
/// # Errors
/// When it is no Part-10 file.
pub fn header_of(bytes: &[u8], keep: Keep) -> Result<(InMemDicomObject, Uid), FormatError> {
    read_header(&mut Cursor::new(bytes), bytes.len() as u64, keep)
}

/// Reads the header of a Part-10 file of this length, and no further.
///
/// # Errors
/// When it is no Part-10 file, or cannot be read.
pub fn read_header(reader: &mut impl Read, length: u64, keep: Keep) -> Result<(InMemDicomObject, Uid), FormatError> {
    let parts = read_parts(reader, length, keep)?;
    Ok((parts.data_set.object, parts.transfer_syntax))
}

/// Reads a data set that came by itself, as in a message, in an uncompressed transfer syntax.
///
/// # Errors
/// When the bytes are no data set.
pub fn data_set(bytes: &[u8], transfer_syntax: &Uid) -> Result<InMemDicomObject, FormatError> {
    let encoding = encoding_of(transfer_syntax);
    Ok(dataset::read(Cursor::new(bytes), 0, bytes.len() as u64, encoding, Keep::All)?.object)
}

fn encoding_of(transfer_syntax: &Uid) -> Encoding {
    match transfer_syntax.as_str() {
        uids::IMPLICIT_VR_LITTLE_ENDIAN => Encoding::ImplicitLittle,
        EXPLICIT_VR_BIG_ENDIAN => Encoding::ExplicitBig,
        _ => Encoding::ExplicitLittle,
    }
}

fn read_parts(reader: &mut impl Read, length: u64, keep: Keep) -> Result<Parts, FormatError> {
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
    let encoding = encoding_of(&transfer_syntax);
    let rest = Cursor::new(meta.next).chain(reader);
    if transfer_syntax.as_str() == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        if keep == Keep::Facts {
            // Inflated only as far as the facts go: a small file may hold gigabytes of zeros.
            let inflating = flate2::read::DeflateDecoder::new(rest);
            let data_set = dataset::read(BufReader::new(inflating), 0, INFLATED_BYTES_MAX, encoding, keep)?;
            return Ok(Parts { transfer_syntax, data_set: DataSet { pixels: None, ..data_set }, inflated: None });
        }
        let bytes = inflate(rest)?;
        let data_set = dataset::read(bytes.as_slice(), 0, bytes.len() as u64, encoding, keep)?;
        return Ok(Parts { transfer_syntax, data_set, inflated: Some(bytes) });
    }
    let data_set = dataset::read(rest, meta.end, length, encoding, keep)?;
    Ok(Parts { transfer_syntax, data_set, inflated: None })
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

//! Reading Part-10 files (PS3.10 chapter 7) without their pixels.

use std::io::{BufReader, Read};
use std::path::Path;

use dicom_core::Tag;
use dicom_object::{InMemDicomObject, OpenFileOptions};

use super::uid::Uid;
use crate::error::{Duty, Fault, Retry};

/// Why a file cannot be read as DICOM.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The operating system refused.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Not DICOM, or broken.
    #[error("the bytes are no DICOM file: {0}")]
    Malformed(&'static str),
}

impl Duty for FormatError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io(_) => Fault::Internal,
            Self::Malformed(_) => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Io(_) => Retry::Later,
            Self::Malformed(_) => Retry::Never,
        }
    }
}

/// The header of a Part-10 file.
#[derive(Debug)]
pub struct Header {
    /// The data set up to, and without, Pixel Data.
    pub object: InMemDicomObject,
    /// Transfer Syntax UID (0002,0010).
    pub transfer_syntax: Uid,
}

/// Reads the header of a file.
///
/// # Errors
/// When the file cannot be opened, or is no Part-10 file.
pub fn read_header(path: &Path) -> Result<Header, FormatError> {
    header_from(BufReader::new(std::fs::File::open(path)?))
}

/// Reads the header of a file in memory.
///
/// # Errors
/// When it is no Part-10 file.
pub fn header_from(source: impl Read) -> Result<Header, FormatError> {
    let file = OpenFileOptions::new()
        .read_until(Tag(0x7FE0, 0x0000))
        .from_reader(source)
        .map_err(|_| FormatError::Malformed("no readable data set"))?;
    let transfer_syntax = Uid::parse(file.meta().transfer_syntax())
        .map_err(|_| FormatError::Malformed("TransferSyntaxUID (0002,0010) is malformed"))?;
    Ok(Header { object: file.into_inner(), transfer_syntax })
}

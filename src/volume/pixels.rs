//! The bytes of one frame, uncompressed.

use dicom_dictionary_std::uids;

use super::samples::Samples;
use crate::dicom::part10::{EXPLICIT_VR_BIG_ENDIAN, StoredPixels};
use crate::dicom::uid::Uid;
use crate::finding::FindingKind;

/// The way to the pixels of one file.
#[derive(Debug)]
pub(super) struct PixelSource {
    stored: Option<StoredPixels>,
    pub transfer_syntax: Uid,
}

/// The bytes that make one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameShape {
    /// Columns and rows.
    pub size: [usize; 2],
    pub samples: Samples,
    /// Index of the frame, and how many there are.
    pub index: u32,
    pub n_frames: u32,
}

/// Why a frame has no pixels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PixelError {
    /// Nothing there.
    #[error("there is no PixelData (7FE0,0010)")]
    Absent,
    /// Fewer bytes than rows, columns and frames ask for.
    #[error("PixelData (7FE0,0010) has {found} bytes, expected {expected}")]
    Truncated { found: u64, expected: u64 },
    /// No decoder.
    #[error("transfer syntax {0} cannot be decoded")]
    Unsupported(Uid),
    /// The file went away, or the disk failed.
    #[error("the pixels cannot be read: {0}")]
    Io(std::io::ErrorKind),
}

impl PixelError {
    /// The finding that names it.
    pub fn kind(&self) -> FindingKind {
        match self {
            Self::Unsupported(_) => FindingKind::UnsupportedTransferSyntax,
            Self::Absent | Self::Truncated { .. } | Self::Io(_) => FindingKind::PixelDataTruncated,
        }
    }
}

impl FrameShape {
    /// Bytes of the frame; 65535 x 65535 pixels of 8 bytes fit in 64 bits.
    fn bytes(&self) -> u64 {
        self.size[0] as u64 * self.size[1] as u64 * self.samples.bytes() as u64
    }
}

impl PixelSource {
    pub fn new(stored: Option<StoredPixels>, transfer_syntax: Uid) -> Self {
        Self { stored, transfer_syntax }
    }

    /// The attribute that holds the pixels.
    pub fn tag(&self) -> Option<dicom_core::Tag> {
        self.stored.as_ref().map(|stored| stored.location.tag)
    }

    /// Reads one frame into `buffer`, which is grown and reused; whether its words have the high byte first.
    pub fn read(&self, shape: &FrameShape, buffer: &mut Vec<u8>) -> Result<bool, PixelError> {
        let stored = self.stored.as_ref().ok_or(PixelError::Absent)?;
        match stored.location.length {
            Some(length) if self.is_native() => {
                read_native(stored, length, shape, buffer)?;
                Ok(stored.location.big_endian)
            }
            _ => Err(PixelError::Unsupported(self.transfer_syntax.clone())),
        }
    }

    fn is_native(&self) -> bool {
        matches!(
            self.transfer_syntax.as_str(),
            uids::IMPLICIT_VR_LITTLE_ENDIAN
                | uids::EXPLICIT_VR_LITTLE_ENDIAN
                | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
                | EXPLICIT_VR_BIG_ENDIAN
        )
    }
}

/// Reads straight from the file. Nothing is allocated for bytes that are not there.
fn read_native(stored: &StoredPixels, length: u64, shape: &FrameShape, buffer: &mut Vec<u8>) -> Result<(), PixelError> {
    let frame_bytes = shape.bytes();
    let found = length.min(stored.bytes_from(stored.location.offset));
    let expected = frame_bytes.saturating_mul(u64::from(shape.n_frames));
    if found < expected {
        return Err(PixelError::Truncated { found, expected });
    }
    let offset = stored.location.offset + frame_bytes * u64::from(shape.index);
    // A frame fits in memory because it fits in the file.
    let n_bytes = usize::try_from(frame_bytes).map_err(|_| PixelError::Truncated { found, expected })?;
    buffer.resize(n_bytes, 0);
    stored.read_at(offset, buffer).map_err(|error| PixelError::Io(error.kind()))
}

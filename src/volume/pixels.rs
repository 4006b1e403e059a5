//! The bytes of one frame, uncompressed.

use std::sync::OnceLock;

use dicom_core::value::{PrimitiveValue, Value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::samples::Samples;
use crate::dicom::codec::{self, Codec, CodecError, Fragments, FrameFormat};
use crate::dicom::part10::{Part10, StoredPixels};
use crate::dicom::uid::Uid;
use crate::finding::FindingKind;

/// So many bytes of a codestream hold its headers.
const STREAM_HEAD_BYTES: u64 = 8192;

/// The way to the pixels of one file.
#[derive(Debug)]
pub(super) struct PixelSource {
    stored: Option<StoredPixels>,
    pub transfer_syntax: Uid,
    /// Extended Offset Table (7FE0,0001).
    extended_offsets: Vec<u64>,
    /// Found when the first frame is asked for.
    fragments: OnceLock<Result<Fragments, &'static str>>,
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

/// Memory that is reused from frame to frame.
#[derive(Debug, Default)]
pub(super) struct PixelBuffers {
    /// The words of the frame.
    pub words: Vec<u8>,
    /// The compressed stream.
    stream: Vec<u8>,
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
    #[error("{0} cannot be decoded")]
    Unsupported(String),
    /// Fragments that are none, or cannot be told apart.
    #[error("PixelData (7FE0,0010) is damaged: {0}")]
    Fragments(&'static str),
    /// A stream that cannot be decoded.
    #[error("PixelData (7FE0,0010) cannot be decoded: {0}")]
    Stream(CodecError),
    /// The file went away, or the disk failed.
    #[error("the pixels cannot be read: {0}")]
    Io(std::io::ErrorKind),
}

impl PixelError {
    /// The finding that names it.
    pub fn kind(&self) -> FindingKind {
        match self {
            Self::Unsupported(_) | Self::Stream(CodecError::Unsupported(_)) => FindingKind::UnsupportedTransferSyntax,
            _ => FindingKind::PixelDataTruncated,
        }
    }
}

impl FrameShape {
    /// Bytes of the frame; 65535 x 65535 pixels of 8 bytes fit in 64 bits.
    fn bytes(&self) -> u64 {
        self.size[0] as u64 * self.size[1] as u64 * self.samples.bytes() as u64
    }

    fn format(&self) -> FrameFormat {
        FrameFormat { columns: self.size[0], rows: self.size[1], word_bytes: self.samples.bytes() }
    }
}

impl PixelSource {
    /// The header of an opened file, and the way to its pixels.
    pub fn of(part10: Part10) -> (InMemDicomObject, Self) {
        let offsets = part10.object.get(tags::EXTENDED_OFFSET_TABLE).map(|element| element.value());
        let extended_offsets = match offsets {
            Some(Value::Primitive(PrimitiveValue::U64(offsets))) => offsets.to_vec(),
            _ => Vec::new(),
        };
        let (stored, transfer_syntax) = (part10.pixels, part10.transfer_syntax);
        (part10.object, Self { stored, transfer_syntax, extended_offsets, fragments: OnceLock::new() })
    }

    /// The attribute that holds the pixels.
    pub fn tag(&self) -> Option<dicom_core::Tag> {
        self.stored.as_ref().map(|stored| stored.location.tag)
    }

    /// Reads one frame into `buffers.words`; whether its words have the high byte first.
    pub fn read(&self, shape: &FrameShape, buffers: &mut PixelBuffers) -> Result<bool, PixelError> {
        let stored = self.stored.as_ref().ok_or(PixelError::Absent)?;
        let syntax = self.transfer_syntax.as_str();
        let codec = Codec::of(syntax).ok_or_else(|| PixelError::Unsupported(codec::describe(syntax)))?;
        if codec == Codec::Native {
            let length = stored.location.length.ok_or(PixelError::Fragments("it is encapsulated and must not be"))?;
            read_native(stored, length, shape, &mut buffers.words)?;
            return Ok(stored.location.big_endian);
        }
        let fragments = self.fragments(stored, shape.n_frames)?;
        fragments.read(stored, shape.index, &mut buffers.stream).map_err(|error| PixelError::Io(error.kind()))?;
        codec.decode(&buffers.stream, &shape.format(), &mut buffers.words).map_err(PixelError::Stream)?;
        Ok(false)
    }

    fn fragments(&self, stored: &StoredPixels, n_frames: u32) -> Result<&Fragments, PixelError> {
        if let Some(length) = stored.location.length {
            return Err(match length {
                0 => PixelError::Absent,
                _ => PixelError::Fragments("it is not encapsulated and must be"),
            });
        }
        let found = self.fragments.get_or_init(|| Fragments::of(stored, n_frames, &self.extended_offsets));
        found.as_ref().map_err(|what| PixelError::Fragments(what))
    }

    /// Whether values were lost for certain when the pixels were compressed, by the transfer syntax or by the stream itself.
    pub fn is_lossy(&self) -> bool {
        match self.transfer_syntax.as_str() {
            uids::JPEG_BASELINE8_BIT
            | uids::JPEG_EXTENDED12_BIT
            | uids::JPEGLS_NEAR_LOSSLESS
            | "1.2.840.10008.1.2.4.111" => true,
            uids::JPEG2000 | "1.2.840.10008.1.2.4.203" => {
                self.stream_head().is_some_and(|head| codec::is_irreversible(&head))
            }
            _ => false,
        }
    }

    /// The first bytes of the pixel data, with the item headers before them.
    fn stream_head(&self) -> Option<Vec<u8>> {
        let stored = self.stored.as_ref()?;
        let length = stored.bytes_from(stored.location.offset).min(STREAM_HEAD_BYTES);
        let mut head = vec![0; usize::try_from(length).ok()?];
        stored.read_at(stored.location.offset, &mut head).ok()?;
        Some(head)
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

//! Decoders of compressed frames (PS3.5 8.2, A.4): the bytes of one frame in, one word per pixel out.
//!
//! Only images of one sample per pixel are asked for here. Words are little endian and as wide as Bits Allocated; bits above
//! those that the codec knows repeat the sign or are zero. Every decoder compares the size that the stream claims with that
//! of the header before it allocates.
//!
//! RLE and the JPEG processes are decoded here. JPEG 2000, High-Throughput JPEG 2000, JPEG XL and, with the feature
//! `jpegls`, JPEG-LS are decoded by libraries; whatever goes wrong inside of them stays inside of them. The retired JPEG
//! processes (spectral selection, progression, arithmetic coding, hierarchies) are refused by their name.

mod fragments;
mod jpeg;
mod jpeg2000;
#[cfg(feature = "jpegls")]
mod jpegls;
mod jpegxl;
mod rle;

use dicom_dictionary_std::uids;

pub use fragments::Fragments;
pub use jpeg2000::is_irreversible;

use super::part10::EXPLICIT_VR_BIG_ENDIAN;

/// What the header says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameFormat {
    /// Columns (0028,0011).
    pub columns: usize,
    /// Rows (0028,0010).
    pub rows: usize,
    /// Bytes of one word: Bits Allocated (0028,0100) / 8.
    pub word_bytes: usize,
}

/// Why a frame cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// No decoder.
    #[error("{0} cannot be decoded")]
    Unsupported(String),
    /// A stream that breaks its own rules.
    #[error("the {codec} stream is damaged: {what}")]
    Damaged {
        /// Which codec.
        codec: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A stream of another image than the header describes.
    #[error("the {codec} stream holds {found}, the header says {expected}")]
    Mismatch {
        /// Which codec.
        codec: &'static str,
        /// Size, components or bits of the stream.
        found: String,
        /// The same of the header.
        expected: String,
    },
}

/// How the pixels of a transfer syntax are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not at all: words one after the other.
    Native,
    /// Words one after the other, in fragments (Encapsulated Uncompressed).
    Encapsulated,
    /// Each frame deflated by itself (RFC 1951).
    Deflate,
    /// PS3.5 annex G.
    Rle,
    /// ISO/IEC 10918-1, processes 1, 2, 4 and 14.
    Jpeg,
    /// ISO/IEC 14495-1.
    JpegLs,
    /// ISO/IEC 15444-1 and 15444-15.
    Jpeg2000,
    /// ISO/IEC 18181.
    JpegXl,
}

impl Codec {
    /// The codec of a transfer syntax; `None` for those that cannot be decoded.
    #[must_use]
    pub fn of(transfer_syntax: &str) -> Option<Self> {
        Some(match transfer_syntax {
            uids::IMPLICIT_VR_LITTLE_ENDIAN
            | uids::EXPLICIT_VR_LITTLE_ENDIAN
            | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
            | EXPLICIT_VR_BIG_ENDIAN => Self::Native,
            "1.2.840.10008.1.2.1.98" => Self::Encapsulated,
            "1.2.840.10008.1.2.8.1" => Self::Deflate,
            uids::RLE_LOSSLESS => Self::Rle,
            uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT | uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => {
                Self::Jpeg
            }
            uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS if cfg!(feature = "jpegls") => Self::JpegLs,
            uids::JPEG2000_LOSSLESS
            | uids::JPEG2000
            | "1.2.840.10008.1.2.4.201"
            | "1.2.840.10008.1.2.4.202"
            | "1.2.840.10008.1.2.4.203" => Self::Jpeg2000,
            "1.2.840.10008.1.2.4.110" | "1.2.840.10008.1.2.4.111" | "1.2.840.10008.1.2.4.112" => Self::JpegXl,
            _ => return None,
        })
    }

    /// Decodes one frame to words; `words` is overwritten.
    ///
    /// # Errors
    /// When the stream is damaged, or is not of the image that the header describes.
    pub fn decode(self, stream: &[u8], format: &FrameFormat, words: &mut Vec<u8>) -> Result<(), CodecError> {
        words.clear();
        match self {
            Self::Native | Self::Encapsulated => uncompressed(stream, format, words),
            Self::Deflate => inflate(stream, format, words),
            Self::Rle => rle::decode(stream, format, words),
            Self::Jpeg => jpeg::decode(stream, format, words),
            #[cfg(feature = "jpegls")]
            Self::JpegLs => jpegls::decode(stream, format, words),
            #[cfg(not(feature = "jpegls"))]
            Self::JpegLs => Err(CodecError::Unsupported("JPEG-LS".to_owned())),
            Self::Jpeg2000 => jpeg2000::decode(stream, format, words),
            Self::JpegXl => jpegxl::decode(stream, format, words),
        }
    }
}

/// The name of a transfer syntax for an error: in words where it is one that nothing decodes any more, with its UID.
#[must_use]
pub fn describe(transfer_syntax: &str) -> String {
    let name = match transfer_syntax.strip_prefix("1.2.840.10008.1.2.4.") {
        Some("52") => "JPEG processes 3 and 5 (retired)",
        Some("53") => "JPEG processes 6 and 8, spectral selection (retired)",
        Some("54") => "JPEG processes 7 and 9, spectral selection with arithmetic coding (retired)",
        Some("55") => "JPEG processes 10 and 12, full progression (retired)",
        Some("56") => "JPEG processes 11 and 13, full progression with arithmetic coding (retired)",
        Some("58") => "JPEG process 15, lossless with arithmetic coding (retired)",
        Some("59" | "60" | "61" | "62" | "63" | "64" | "65" | "66") => "hierarchical JPEG (retired)",
        Some("80" | "81") => "JPEG-LS, which this build leaves out,",
        Some("92" | "93") => "JPEG 2000 part 2, several components,",
        Some("94" | "95" | "204" | "205") => "JPIP, whose pixels are elsewhere,",
        Some("100" | "101" | "102" | "103" | "104" | "105" | "106" | "107" | "108") => "video",
        _ => "",
    };
    if name.is_empty() { format!("transfer syntax {transfer_syntax}") } else { format!("{name} {transfer_syntax}") }
}

impl FrameFormat {
    /// Pixels of the frame.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.columns.saturating_mul(self.rows)
    }

    /// Bytes of the decoded frame.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pixels().saturating_mul(self.word_bytes)
    }

    /// Refuses a stream of another size.
    fn expect_size(&self, codec: &'static str, columns: usize, rows: usize) -> Result<(), CodecError> {
        if (columns, rows) == (self.columns, self.rows) {
            return Ok(());
        }
        let found = format!("{columns} x {rows} pixels");
        Err(CodecError::Mismatch { codec, found, expected: format!("{} x {}", self.columns, self.rows) })
    }

    /// Refuses a stream whose samples do not fit into the words.
    fn expect_bits(&self, codec: &'static str, bits: usize) -> Result<(), CodecError> {
        if bits <= 8 * self.word_bytes {
            return Ok(());
        }
        let expected = format!("{} bits allocated", 8 * self.word_bytes);
        Err(CodecError::Mismatch { codec, found: format!("samples of {bits} bits"), expected })
    }

    /// Appends one sample as a word.
    #[inline]
    fn push(&self, words: &mut Vec<u8>, sample: i32) {
        let bytes = sample.to_le_bytes();
        match self.word_bytes {
            1 => words.push(bytes[0]),
            2 => words.extend_from_slice(&bytes[..2]),
            _ => words.extend_from_slice(&bytes),
        }
    }
}

fn uncompressed(stream: &[u8], format: &FrameFormat, words: &mut Vec<u8>) -> Result<(), CodecError> {
    let found = stream.get(..format.bytes()).ok_or_else(|| CodecError::Damaged {
        codec: "uncompressed",
        what: format!("{} bytes, expected {}", stream.len(), format.bytes()),
    })?;
    words.extend_from_slice(found);
    Ok(())
}

fn inflate(stream: &[u8], format: &FrameFormat, words: &mut Vec<u8>) -> Result<(), CodecError> {
    use std::io::Read;
    let damaged = |what: String| CodecError::Damaged { codec: "deflate", what };
    let limit = format.bytes() as u64;
    flate2::read::DeflateDecoder::new(stream)
        .take(limit)
        .read_to_end(words)
        .map_err(|_| damaged("it cannot be inflated".to_owned()))?;
    if words.len() as u64 == limit {
        return Ok(());
    }
    Err(damaged(format!("{} bytes, expected {limit}", words.len())))
}

/// Runs a library's decoder; a panic inside of it is a damaged stream and no more.
fn contained<T>(codec: &'static str, decode: impl FnOnce() -> Result<T, CodecError>) -> Result<T, CodecError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(CodecError::Damaged { codec, what: "the decoder gave up".to_owned() }))
}

#[cfg(test)]
mod tests;

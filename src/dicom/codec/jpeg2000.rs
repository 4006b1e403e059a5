//! JPEG 2000 and High-Throughput JPEG 2000 (ISO/IEC 15444-1, 15444-15), decoded by the openjp2 library.

use super::{CodecError, FrameFormat, contained};

const CODEC: &str = "JPEG 2000";

/// SOC, then SIZ: how every codestream begins (15444-1 A.4).
const START: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];

/// The image that a codestream claims to hold.
struct Claim {
    columns: u64,
    rows: u64,
    components: u16,
    bits: usize,
}

pub(super) fn decode(stream: &[u8], format: &FrameFormat, words: &mut Vec<u8>) -> Result<(), CodecError> {
    let damaged = |what: &str| CodecError::Damaged { codec: CODEC, what: what.to_owned() };
    let claim = claim(stream).ok_or_else(|| damaged("it has no size marker"))?;
    if claim.components != 1 {
        let found = format!("{} components", claim.components);
        return Err(CodecError::Mismatch { codec: CODEC, found, expected: "one sample per pixel".to_owned() });
    }
    let side = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    format.expect_size(CODEC, side(claim.columns), side(claim.rows))?;
    format.expect_bits(CODEC, claim.bits)?;
    contained(CODEC, || {
        let image = jpeg2k::Image::from_bytes(stream).map_err(|_| damaged("it cannot be decoded"))?;
        let [component] = image.components() else { return Err(damaged("it has no component")) };
        format.expect_size(CODEC, component.width() as usize, component.height() as usize)?;
        words.reserve(format.bytes());
        component.data().iter().for_each(|sample| format.push(words, *sample));
        Ok(())
    })
}

/// Image and tile size (15444-1 A.5.1), from the codestream or the file that wraps it.
fn claim(stream: &[u8]) -> Option<Claim> {
    // A JP2 file holds the codestream after some short boxes; in DICOM it is not allowed, and happens.
    let start = stream.windows(START.len()).take(4096).position(|window| window == START)?;
    let siz = stream.get(start + START.len()..)?;
    let word = |at: usize| Some(u64::from(u32::from_be_bytes(siz.get(at..at + 4)?.try_into().ok()?)));
    let (right, bottom, left, top) = (word(4)?, word(8)?, word(12)?, word(16)?);
    let components = u16::from_be_bytes(siz.get(36..38)?.try_into().ok()?);
    let depth = siz.get(38)?;
    let subsampled = siz.get(39..41)? != [1, 1];
    (!subsampled).then_some(Claim {
        columns: right.checked_sub(left)?,
        rows: bottom.checked_sub(top)?,
        components,
        bits: usize::from(depth & 0x7F) + 1,
    })
}

/// Whether a codestream was made by the irreversible wavelet transform (15444-1 A.6.1): then values were lost, whatever the
/// header of the object says.
#[must_use]
pub fn is_irreversible(stream: &[u8]) -> bool {
    let Some(start) = stream.windows(START.len()).take(4096).position(|window| window == START) else { return false };
    let mut at = start + 2;
    // Marker segments up to the first tile part.
    while let Some([0xFF, marker, high, low]) = stream.get(at..at + 4) {
        match marker {
            // COD: coding style, progression and layers (5 bytes), levels, block width, height, style, then the transform.
            0x52 => return stream.get(at + 13).is_some_and(|transform| *transform == 0),
            0x90 | 0x93 | 0xD9 => return false,
            _ => at += 2 + usize::from(u16::from_be_bytes([*high, *low])).max(2),
        }
    }
    false
}

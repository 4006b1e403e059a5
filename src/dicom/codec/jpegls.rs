//! JPEG-LS (ISO/IEC 14495-1), decoded by the CharLS library.

use charls::CharLS;

use super::{CodecError, FrameFormat, contained};

const CODEC: &str = "JPEG-LS";

/// EOI (14495-1 C.1.1).
const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];

pub(super) fn decode(stream: &[u8], format: &FrameFormat, words: &mut Vec<u8>) -> Result<(), CodecError> {
    let damaged = |what: &str| CodecError::Damaged { codec: CODEC, what: what.to_owned() };
    let (bits, rows, columns, components) = frame_header(stream).ok_or_else(|| damaged("it has no frame header"))?;
    format.expect_size(CODEC, columns, rows)?;
    format.expect_bits(CODEC, bits)?;
    if components != 1 {
        let found = format!("{components} components");
        return Err(CodecError::Mismatch { codec: CODEC, found, expected: "one sample per pixel".to_owned() });
    }
    // The library looks for bits without end behind a stream that stops early; at a marker it gives up.
    let padding = stream.iter().rev().take_while(|byte| **byte == 0).count();
    let stream = stream.get(..stream.len() - padding).unwrap_or_default();
    if !stream.ends_with(&END_OF_IMAGE) {
        return Err(damaged("it ends without its end marker"));
    }
    let samples = contained(CODEC, || CharLS::default().decode(stream).map_err(|_| damaged("it cannot be decoded")))?;
    let n_found = if bits <= 8 { samples.len() } else { samples.len() / 2 };
    if n_found != format.pixels() {
        return Err(damaged("it holds fewer samples than it says"));
    }
    words.reserve(format.bytes());
    if bits <= 8 {
        samples.iter().for_each(|sample| format.push(words, i32::from(*sample)));
    } else {
        let (samples, _) = samples.as_chunks::<2>();
        samples.iter().for_each(|sample| format.push(words, i32::from(u16::from_le_bytes(*sample))));
    }
    Ok(())
}

/// Bits, rows, columns and components of SOF55 (14495-1 C.2.2), the first marker segment that matters.
fn frame_header(stream: &[u8]) -> Option<(usize, usize, usize, u8)> {
    let mut at = 2;
    loop {
        let [0xFF, marker, high, low] = *stream.get(at..at + 4)?.first_chunk()? else { return None };
        if marker == 0xF7 {
            let [bits, r1, r0, c1, c0, components] = *stream.get(at + 4..at + 10)?.first_chunk()?;
            let word = |high, low| usize::from(u16::from_be_bytes([high, low]));
            return Some((usize::from(bits), word(r1, r0), word(c1, c0), components));
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
    }
}

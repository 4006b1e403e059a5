//! RLE Lossless (PS3.5 annex G): byte planes, the highest first, each packed by runs.

use super::{CodecError, FrameFormat};

/// Number of segments and fifteen offsets, 32 bits each.
const HEADER_BYTES: usize = 64;

pub(super) fn decode(stream: &[u8], format: &FrameFormat, words: &mut Vec<u8>) -> Result<(), CodecError> {
    let damaged = |what: String| CodecError::Damaged { codec: "RLE", what };
    let header = stream.get(..HEADER_BYTES).ok_or_else(|| damaged("it ends inside its header".to_owned()))?;
    let (numbers, _) = header.as_chunks::<4>();
    let mut numbers = numbers.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize);
    let n_segments = numbers.next().unwrap_or(0);
    if n_segments != format.word_bytes {
        let expected = format!("{} bytes per pixel", format.word_bytes);
        return Err(CodecError::Mismatch { codec: "RLE", found: format!("{n_segments} byte planes"), expected });
    }
    let offsets: Vec<usize> = numbers.take(n_segments).collect();
    words.resize(format.bytes(), 0);
    for (plane, start) in offsets.iter().enumerate() {
        let end = offsets.get(plane + 1).copied().unwrap_or(stream.len());
        let packed = stream
            .get(*start..end)
            .filter(|_| *start >= HEADER_BYTES)
            .ok_or_else(|| damaged(format!("byte plane {plane} lies outside of it")))?;
        // The first plane holds the highest bytes, which come last in a little endian word.
        let place = format.word_bytes - 1 - plane;
        let found = unpack(packed, words.get_mut(place..).unwrap_or_default(), format.word_bytes);
        if found < format.pixels() {
            return Err(damaged(format!("byte plane {plane} holds {found} bytes, expected {}", format.pixels())));
        }
    }
    Ok(())
}

/// Unpacks runs (G.3.2) to every `step`-th byte; how many there were room and input for.
fn unpack(packed: &[u8], out: &mut [u8], step: usize) -> usize {
    let mut places = out.iter_mut().step_by(step);
    let mut input = packed.iter().copied();
    let mut n_written = 0;
    'runs: while let Some(control) = input.next() {
        match control.cast_signed() {
            literal @ 0.. => {
                for _ in 0..=literal {
                    let Some(byte) = input.next() else { break 'runs };
                    let Some(place) = places.next() else { break 'runs };
                    *place = byte;
                    n_written += 1;
                }
            }
            -128 => {}
            run => {
                let Some(byte) = input.next() else { break 'runs };
                for _ in 0..1 - i32::from(run) {
                    let Some(place) = places.next() else { break 'runs };
                    *place = byte;
                    n_written += 1;
                }
            }
        }
    }
    n_written
}

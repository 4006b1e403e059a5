//! JPEG (ISO/IEC 10918-1) of one component: baseline and extended sequential (processes 1, 2 and 4; 8 or 12 bits), lossless
//! with every predictor (process 14; 2 to 16 bits). Huffman coding only.

mod dct;
mod entropy;
mod lossless;

use entropy::{Bits, Huffman};

use super::{CodecError, FrameFormat};

const CODEC: &str = "JPEG";

/// Frame header (B.2.2).
#[derive(Debug, Clone, Copy)]
struct Frame {
    precision: u32,
    rows: usize,
    columns: usize,
    quantisation: u8,
    lossless: bool,
}

/// What marker segments before the scan define.
#[derive(Default)]
struct Tables {
    /// By table: zigzag order.
    quantisation: [Option<[u16; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    restart_interval: usize,
}

/// Scan header (B.2.3) of the only component.
#[derive(Debug, Clone, Copy)]
struct Scan {
    dc: u8,
    ac: u8,
    /// Predictor of a lossless scan.
    selection: u8,
    point_transform: u8,
}

pub(super) fn decode(stream: &[u8], format: &FrameFormat, words: &mut Vec<u8>) -> Result<(), CodecError> {
    let (frame, scan, tables, coded) = read_headers(stream)?;
    format.expect_size(CODEC, frame.columns, frame.rows)?;
    format.expect_bits(CODEC, frame.precision as usize)?;
    words.reserve(format.bytes());
    let samples = if frame.lossless {
        lossless::decode(&frame, &scan, &tables, Bits::new(coded))
    } else {
        dct::decode(&frame, &scan, &tables, Bits::new(coded))
    };
    samples?.iter().for_each(|sample| format.push(words, i32::from(*sample)));
    Ok(())
}

fn damaged(what: impl Into<String>) -> CodecError {
    CodecError::Damaged { codec: CODEC, what: what.into() }
}

/// Reads marker segments up to the entropy-coded data of the first scan. An image of one component has one scan.
fn read_headers(stream: &[u8]) -> Result<(Frame, Scan, Tables, &[u8]), CodecError> {
    let mut input = Segments { rest: stream };
    let mut tables = Tables::default();
    let mut frame = None;
    loop {
        let (marker, segment) = input.next()?;
        match marker {
            0xC4 => tables.read_huffman(segment)?,
            0xDB => tables.read_quantisation(segment)?,
            0xDD => {
                let interval = segment.first_chunk().ok_or_else(|| damaged("a short restart interval"))?;
                tables.restart_interval = usize::from(u16::from_be_bytes(*interval));
            }
            0xC0 | 0xC1 | 0xC3 => frame = Some(Frame::read(marker, segment)?),
            0xC2 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return Err(CodecError::Unsupported(format!("JPEG with frame type {}", marker - 0xC0)));
            }
            0xDA => {
                let frame = frame.ok_or_else(|| damaged("a scan before the frame header"))?;
                return Ok((frame, Scan::read(segment)?, tables, input.rest));
            }
            0xD9 => return Err(damaged("it ends before its scan")),
            _ => {}
        }
    }
}

/// The marker segments of a stream.
struct Segments<'a> {
    rest: &'a [u8],
}

impl<'a> Segments<'a> {
    /// The next marker with its parameters; those without parameters have none.
    fn next(&mut self) -> Result<(u8, &'a [u8]), CodecError> {
        let end = || damaged("it ends inside its headers");
        let [0xFF, rest @ ..] = self.rest else { return Err(damaged("something other than a marker in its headers")) };
        // Any number of fill bytes may precede a marker (B.1.1.2).
        let fill = rest.iter().take_while(|byte| **byte == 0xFF).count();
        let [marker, rest @ ..] = rest.get(fill..).unwrap_or_default() else { return Err(end()) };
        self.rest = rest;
        if matches!(marker, 0x01 | 0xD0..=0xD9) {
            return Ok((*marker, &[]));
        }
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk().ok_or_else(end)?));
        let segment = rest.get(2..length.max(2)).ok_or_else(end)?;
        self.rest = rest.get(length.max(2)..).unwrap_or_default();
        Ok((*marker, segment))
    }
}

impl Frame {
    fn read(marker: u8, segment: &[u8]) -> Result<Self, CodecError> {
        let [precision, r1, r0, c1, c0, components, rest @ ..] = segment else {
            return Err(damaged("a short frame header"));
        };
        if *components != 1 {
            let found = format!("{components} components");
            return Err(CodecError::Mismatch { codec: CODEC, found, expected: "one sample per pixel".to_owned() });
        }
        let [_, _, quantisation, ..] = rest else { return Err(damaged("a short frame header")) };
        let lossless = marker == 0xC3;
        let possible = if lossless { (2..=16).contains(precision) } else { matches!(precision, 8 | 12) };
        if !possible {
            return Err(damaged(format!("a precision of {precision} bits")));
        }
        let side = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]));
        Ok(Self {
            precision: u32::from(*precision),
            rows: side(*r1, *r0),
            columns: side(*c1, *c0),
            quantisation: *quantisation,
            lossless,
        })
    }
}

impl Scan {
    fn read(segment: &[u8]) -> Result<Self, CodecError> {
        let [1, _, tables, selection, _, approximation, ..] = segment else {
            return Err(damaged("a scan header that is not of one component"));
        };
        Ok(Self { dc: tables >> 4, ac: tables & 0x0F, selection: *selection, point_transform: approximation & 0x0F })
    }
}

impl Tables {
    fn dc(&self, scan: &Scan) -> Result<&Huffman, CodecError> {
        self.dc.get(usize::from(scan.dc)).and_then(Option::as_ref).ok_or_else(|| damaged("a Huffman table is missing"))
    }

    fn ac(&self, scan: &Scan) -> Result<&Huffman, CodecError> {
        self.ac.get(usize::from(scan.ac)).and_then(Option::as_ref).ok_or_else(|| damaged("a Huffman table is missing"))
    }

    /// B.2.4.2
    fn read_huffman(&mut self, mut segment: &[u8]) -> Result<(), CodecError> {
        while let Some((head, rest)) = segment.split_first() {
            let (lengths, rest) = rest.split_first_chunk::<16>().ok_or_else(|| damaged("a short Huffman table"))?;
            let n_symbols = lengths.iter().map(|n| usize::from(*n)).sum();
            let symbols = rest.get(..n_symbols).ok_or_else(|| damaged("a short Huffman table"))?;
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let place = tables.get_mut(usize::from(head & 0x0F)).ok_or_else(|| damaged("a Huffman table beyond 3"))?;
            *place = Some(Huffman::new(lengths, symbols).ok_or_else(|| damaged("an impossible Huffman table"))?);
            segment = rest.get(n_symbols..).unwrap_or_default();
        }
        Ok(())
    }

    /// B.2.4.1
    fn read_quantisation(&mut self, mut segment: &[u8]) -> Result<(), CodecError> {
        while let Some((head, rest)) = segment.split_first() {
            let word_bytes = if head >> 4 == 0 { 1 } else { 2 };
            let bytes = rest.get(..64 * word_bytes).ok_or_else(|| damaged("a short quantisation table"))?;
            let mut table = [0; 64];
            for (entry, bytes) in table.iter_mut().zip(bytes.chunks_exact(word_bytes)) {
                *entry = bytes.iter().fold(0, |word, byte| (word << 8) | u16::from(*byte));
            }
            let place = self.quantisation.get_mut(usize::from(head & 0x0F));
            *place.ok_or_else(|| damaged("a quantisation table beyond 3"))? = Some(table);
            segment = rest.get(64 * word_bytes..).unwrap_or_default();
        }
        Ok(())
    }
}

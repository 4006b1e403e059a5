//! Entropy-coded data: bits between markers, and Huffman codes (10918-1 annexes C and F.2.2).

use super::damaged;
use crate::dicom::codec::CodecError;

/// Codes up to this length are found by one look into a table.
const FAST_BITS: u32 = 9;

/// A Huffman table.
pub(super) struct Huffman {
    /// By the next `FAST_BITS` bits: length of the code and its symbol; length 0 for longer codes.
    fast: Vec<(u8, u8)>,
    /// By length: one more than the greatest code of that length, aligned to 16 bits; and what leads from code to symbol.
    ends: [u32; 17],
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// From the number of codes of each length and the symbols in the order of their codes (C.2); `None` where the codes do
    /// not fit into their lengths.
    pub fn new(lengths: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table =
            Self { fast: vec![(0, 0); 1 << FAST_BITS], ends: [0; 17], offsets: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut first_symbol) = (0u32, 0u32);
        for (length, count) in (1u32..).zip(lengths) {
            let count = u32::from(*count);
            if code + count > 1 << length {
                return None;
            }
            table.offsets[length as usize] = first_symbol.cast_signed() - code.cast_signed();
            for index in 0..count {
                let symbol = *symbols.get((first_symbol + index) as usize)?;
                if length <= FAST_BITS {
                    let start = ((code + index) << (FAST_BITS - length)) as usize;
                    let end = start + (1 << (FAST_BITS - length));
                    #[allow(clippy::cast_possible_truncation)] // at most 9
                    table.fast.get_mut(start..end)?.fill((length as u8, symbol));
                }
            }
            code += count;
            first_symbol += count;
            table.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }
}

/// The bits of entropy-coded segments.
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    /// The next bits, the first at the top.
    window: u64,
    /// How many bits of the window are of the stream.
    n_bits: u32,
    /// Zero bits that stand for input that is not there.
    n_invented: u32,
}

impl<'a> Bits<'a> {
    pub fn new(coded: &'a [u8]) -> Self {
        Self { rest: coded, window: 0, n_bits: 0, n_invented: 0 }
    }

    /// Fills the window to more than 32 bits; zeros follow the end of the segment, as F.2.2.5 has it.
    fn fill(&mut self) {
        while self.n_bits <= 56 {
            let byte = match self.rest {
                [0xFF, 0x00, rest @ ..] => {
                    self.rest = rest;
                    0xFF
                }
                [byte, rest @ ..] if *byte != 0xFF => {
                    self.rest = rest;
                    *byte
                }
                _ => {
                    self.n_invented += 8;
                    0
                }
            };
            self.window |= u64::from(byte) << (56 - self.n_bits);
            self.n_bits += 8;
        }
    }

    fn consume(&mut self, n: u32) -> Result<(), CodecError> {
        self.window <<= n;
        self.n_bits -= n;
        if self.n_bits < self.n_invented {
            return Err(damaged("its data end early"));
        }
        Ok(())
    }

    /// The next Huffman symbol.
    #[inline]
    pub fn symbol(&mut self, table: &Huffman) -> Result<u8, CodecError> {
        if self.n_bits < 32 {
            self.fill();
        }
        #[allow(clippy::cast_possible_truncation)] // 9 and 16 bits
        let (index, code) = ((self.window >> (64 - FAST_BITS)) as usize, (self.window >> 48) as u32);
        if let Some((length @ 1.., symbol)) = table.fast.get(index).copied() {
            self.consume(u32::from(length))?;
            return Ok(symbol);
        }
        for length in FAST_BITS + 1..=16 {
            if code < table.ends[length as usize] {
                let index = (code >> (16 - length)).cast_signed() + table.offsets[length as usize];
                let symbol = usize::try_from(index).ok().and_then(|index| table.symbols.get(index));
                self.consume(length)?;
                return symbol.copied().ok_or_else(|| damaged("a code that stands for nothing"));
            }
        }
        Err(damaged("a code that stands for nothing"))
    }

    /// A signed number of `size` bits (F.2.2.1, EXTEND).
    #[inline]
    pub fn signed(&mut self, size: u32) -> Result<i32, CodecError> {
        if size == 0 {
            return Ok(0);
        }
        if self.n_bits < 32 {
            self.fill();
        }
        #[allow(clippy::cast_possible_truncation)] // at most 16 bits
        let bits = (self.window >> (64 - size)) as i32;
        self.consume(size)?;
        Ok(if bits < 1 << (size - 1) { bits - (1 << size) + 1 } else { bits })
    }

    /// Goes on after a restart marker, which must be next (F.2.1.3.1).
    pub fn restart(&mut self) -> Result<(), CodecError> {
        // Whole bytes were taken into the window only up to the marker.
        (self.window, self.n_bits, self.n_invented) = (0, 0, 0);
        let fill = self.rest.iter().take_while(|byte| **byte == 0xFF).count();
        match self.rest.get(fill..) {
            Some([0xD0..=0xD7, rest @ ..]) if fill > 0 => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(damaged("a restart marker is missing")),
        }
    }
}

//! Sequential DCT JPEG (10918-1 annexes A and F), 8 or 12 bits.

use std::f64::consts::PI;

use super::entropy::{Bits, Huffman};
use super::{Frame, Scan, Tables, damaged};
use crate::dicom::codec::CodecError;

/// Figure A.6: place in the block, by rows, of the k-th coefficient.
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Samples in rows.
pub(super) fn decode(frame: &Frame, scan: &Scan, tables: &Tables, mut bits: Bits<'_>) -> Result<Vec<u16>, CodecError> {
    let (dc, ac) = (tables.dc(scan)?, tables.ac(scan)?);
    let quantisation = tables.quantisation.get(usize::from(frame.quantisation)).copied().flatten();
    let quantisation = quantisation.ok_or_else(|| damaged("its quantisation table is missing"))?;
    let basis = basis();
    let (across, down) = (frame.columns.div_ceil(8), frame.rows.div_ceil(8));
    let mut samples = vec![0u16; frame.columns * frame.rows];
    let most = f64::from((1u32 << frame.precision) - 1);
    let middle = f64::from(1u32 << (frame.precision - 1));
    let mut last_dc = 0;
    for block in 0..across * down {
        if tables.restart_interval > 0 && block > 0 && block % tables.restart_interval == 0 {
            bits.restart()?;
            last_dc = 0;
        }
        let coefficients = coefficients(&mut bits, dc, ac, &quantisation, &mut last_dc)?;
        let values = inverse(&coefficients, &basis);
        let (left, top) = (block % across * 8, block / across * 8);
        for (y, row) in values.chunks_exact(8).enumerate().take(frame.rows - top) {
            let start = (top + y) * frame.columns + left;
            let width = 8.min(frame.columns - left);
            for (sample, value) in samples[start..start + width].iter_mut().zip(row) {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to the precision
                let clamped = (value + middle).round().clamp(0.0, most) as u16;
                *sample = clamped;
            }
        }
    }
    Ok(samples)
}

/// One block of dequantised coefficients, by rows (F.2.2).
fn coefficients(
    bits: &mut Bits<'_>,
    dc: &Huffman,
    ac: &Huffman,
    quantisation: &[u16; 64],
    last_dc: &mut i32,
) -> Result<[f64; 64], CodecError> {
    let mut block = [0.0; 64];
    let size = u32::from(bits.symbol(dc)?);
    if size > 15 {
        return Err(damaged("a coefficient of more than 15 bits"));
    }
    *last_dc = last_dc.saturating_add(bits.signed(size)?);
    block[0] = f64::from(*last_dc) * f64::from(quantisation[0]);
    let mut k = 1;
    while k < 64 {
        let symbol = bits.symbol(ac)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 0x0F));
        match (run, size) {
            (15, 0) => k += 16,
            (_, 0) => break,
            _ => {
                k += run;
                let place = ZIGZAG.get(k).ok_or_else(|| damaged("more coefficients than a block has"))?;
                block[*place] = f64::from(bits.signed(size)?) * f64::from(quantisation[k]);
                k += 1;
            }
        }
    }
    Ok(block)
}

/// `basis[x][u]` = C(u) / 2 cos((2x + 1) u pi / 16), A.3.3.
fn basis() -> [[f64; 8]; 8] {
    let mut basis = [[0.0; 8]; 8];
    for (x, row) in (0u8..).zip(&mut basis) {
        for (u, value) in (0u8..).zip(row) {
            let scale = if u == 0 { 0.5f64.sqrt() } else { 1.0 };
            *value = scale / 2.0 * ((2.0 * f64::from(x) + 1.0) * f64::from(u) * PI / 16.0).cos();
        }
    }
    basis
}

/// The inverse transform, in double precision: the standard asks for no particular one.
fn inverse(coefficients: &[f64; 64], basis: &[[f64; 8]; 8]) -> [f64; 64] {
    let mut rows = [0.0; 64];
    for (v, line) in coefficients.chunks_exact(8).enumerate() {
        for (x, weights) in basis.iter().enumerate() {
            rows[v * 8 + x] = line.iter().zip(weights).map(|(c, w)| c * w).sum();
        }
    }
    let mut values = [0.0; 64];
    for (y, weights) in basis.iter().enumerate() {
        for x in 0..8 {
            values[y * 8 + x] = weights.iter().enumerate().map(|(v, w)| w * rows[v * 8 + x]).sum();
        }
    }
    values
}

//! Lossless JPEG (10918-1 annex H): each sample is predicted from its neighbours, the difference is coded.

use super::entropy::Bits;
use super::{Frame, Scan, Tables, damaged};
use crate::dicom::codec::CodecError;

/// Samples in rows, modulo 2^16.
pub(super) fn decode(frame: &Frame, scan: &Scan, tables: &Tables, mut bits: Bits<'_>) -> Result<Vec<u16>, CodecError> {
    if !(1..=7).contains(&scan.selection) || u32::from(scan.point_transform) >= frame.precision {
        return Err(damaged("an impossible predictor or point transform"));
    }
    let table = tables.dc(scan)?;
    let width = frame.columns;
    if width == 0 || !tables.restart_interval.is_multiple_of(width) {
        return Err(damaged("a restart interval that is no number of whole rows"));
    }
    let rows_per_restart = tables.restart_interval / width;
    // H.1.2.1: the first sample of the image, and of each restart interval.
    let start = 1i32 << (frame.precision - u32::from(scan.point_transform) - 1);
    let mut samples: Vec<u16> = Vec::new();
    let mut above: Vec<i32> = vec![0; width];
    let mut row: Vec<i32> = vec![0; width];
    for y in 0..frame.rows {
        let restarts = rows_per_restart > 0 && y % rows_per_restart == 0;
        if restarts && y > 0 {
            bits.restart()?;
        }
        let first_row = y == 0 || restarts;
        for x in 0..width {
            let prediction = match (x, first_row) {
                (0, true) => start,
                (0, false) => above[0],
                (_, true) => row[x - 1],
                (_, false) => predict(scan.selection, row[x - 1], above[x], above[x - 1]),
            };
            let size = u32::from(bits.symbol(table)?);
            let difference = match size {
                // H.1.2.2: 32768 needs no further bits.
                16 => 32768,
                17.. => return Err(damaged("a difference of more than 16 bits")),
                _ => bits.signed(size)?,
            };
            row[x] = (prediction + difference) & 0xFFFF;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // masked to 16 bits
        samples.extend(row.iter().map(|sample| (*sample << scan.point_transform) as u16));
        std::mem::swap(&mut above, &mut row);
    }
    Ok(samples)
}

/// Table H.1, with `a` to the left, `b` above, `c` above and to the left.
#[inline]
fn predict(selection: u8, a: i32, b: i32, c: i32) -> i32 {
    match selection {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    }
}

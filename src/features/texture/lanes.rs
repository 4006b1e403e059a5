//! Cells of a row, many at a time: what holds in which of them is a bit of one integer.
//!
//! The loops are over arrays of a fixed length and have no branches, so that compilers make vector instructions of them.

use std::ops::Range;

/// Cells that are looked at together.
pub(super) const LANES: usize = 32;

/// The cells from `at` on.
pub(super) fn lanes(cells: &[u16], at: usize) -> &[u16; LANES] {
    &cells[at..at + LANES].as_chunks().0[0]
}

/// The groups of a range of cells: where each starts, and which of its lanes are within the range.
pub(super) fn groups(cells: &Range<usize>) -> impl Iterator<Item = (usize, u32)> + use<> {
    let end = cells.end;
    cells.clone().step_by(LANES).map(move |at| (at, u32::MAX >> (LANES - (end - at).min(LANES))))
}

/// Where two rows have the same cell.
pub(super) fn equal(a: &[u16; LANES], b: &[u16; LANES]) -> u32 {
    let mut flags = [0u8; LANES];
    flags.iter_mut().zip(a.iter().zip(b)).for_each(|(flag, (a, b))| *flag = u8::from(a == b));
    bits(&flags)
}

/// Where a row has this cell.
pub(super) fn holding(a: &[u16; LANES], cell: u16) -> u32 {
    equal(a, &[cell; LANES])
}

/// One bit for each flag that is 1.
pub(super) fn bits(flags: &[u8; LANES]) -> u32 {
    let mut found = 0;
    for (eight, shift) in flags.as_chunks::<8>().0.iter().zip([0, 8, 16, 24]) {
        // The product moves the lowest bit of byte k to bit 56 + k; no two meet.
        found |= (((u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080)) >> 56) as u32) << shift;
    }
    found
}

/// The lanes whose bits are set.
pub(super) fn set(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = (bits > 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        lane
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_has_its_bit() {
        for lane in 0..LANES {
            let mut row = [7; LANES];
            row[lane] = 0x8000;
            assert_eq!(equal(&row, &[7; LANES]), !(1 << lane));
            assert_eq!(holding(&row, 0x8000), 1 << lane);
        }
        assert_eq!(set(0b1010_0001).collect::<Vec<_>>(), [0, 5, 7]);
        assert_eq!(set(0).count(), 0);
    }

    #[test]
    fn the_last_group_of_a_row_has_the_lanes_that_are_left() {
        assert_eq!(groups(&(5..40)).collect::<Vec<_>>(), [(5, u32::MAX), (37, 0b111)]);
        assert_eq!(groups(&(5..37)).collect::<Vec<_>>(), [(5, u32::MAX)]);
        assert_eq!(groups(&(5..5)).count(), 0);
    }
}

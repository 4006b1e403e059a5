//! Cells of a row, many at a time: what holds in which of them is a bit of one integer.
//!
//! Cells are compared by vector instructions, where the machine has them.

use std::ops::Range;

use wide::u16x16;

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
    equal_in_any([(a, b)])
}

/// Where a row has this cell.
pub(super) fn holding(a: &[u16; LANES], cell: u16) -> u32 {
    equal(a, &[cell; LANES])
}

/// Where at least one of these pairs of rows has the same cell.
#[inline]
pub(super) fn equal_in_any<const N: usize>(pairs: [(&[u16; LANES], &[u16; LANES]); N]) -> u32 {
    let half = |k: usize| {
        let of = |row: &[u16; LANES]| u16x16::new(row.as_chunks().0[k]);
        let found = pairs.iter().fold(u16x16::ZERO, |found, (a, b)| found | of(a).simd_eq(of(b)));
        found.to_bitmask()
    };
    half(0) | half(1) << (LANES / 2)
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
            assert_eq!(equal_in_any([(&row, &[0x8000; LANES]), (&row, &[1; LANES])]), 1 << lane);
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

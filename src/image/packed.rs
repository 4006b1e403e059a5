//! A mask with one bit per voxel: whole rows are combined, counted and searched 64 voxels at a time.

use ndarray::Array3;
use rayon::prelude::*;

/// A mask in bits, surrounded by one layer of empty voxels.
///
/// Rows and slices are counted with that layer: voxel (x, y, z) of the mask is bit x + 1 of row (y + 1, z + 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedMask {
    size: [usize; 3],
    words: usize,
    bits: Vec<u64>,
}

impl PackedMask {
    /// The bits of a mask `[z, y, x]`.
    #[must_use]
    pub fn new(mask: &Array3<bool>) -> Self {
        let (nz, ny, nx) = mask.dim();
        let words = (nx + 2).div_ceil(64);
        let mut bits = vec![0u64; words * (ny + 2) * (nz + 2)];
        let slices = bits.par_chunks_mut(words * (ny + 2)).skip(1).take(nz);
        slices.zip(mask.outer_iter()).for_each(|(slice, plane)| {
            for (row, values) in slice.chunks_mut(words).skip(1).zip(plane.outer_iter()) {
                pack(row, values.iter().copied());
            }
        });
        Self { size: [nx, ny, nz], words, bits }
    }

    /// Voxels along x, y, z, without the empty layer.
    #[must_use]
    pub const fn size(&self) -> [usize; 3] {
        self.size
    }

    /// Words in one row.
    #[must_use]
    pub const fn words(&self) -> usize {
        self.words
    }

    /// One row; `y` and `z` count the empty layer.
    #[must_use]
    pub fn row(&self, y: usize, z: usize) -> &[u64] {
        let start = (z * (self.size[1] + 2) + y) * self.words;
        &self.bits[start..start + self.words]
    }
}

/// Sets bit x + 1 for each `true` at x.
fn pack(row: &mut [u64], mut values: impl Iterator<Item = bool>) {
    let mut first = 1;
    for word in row {
        *word = values.by_ref().take(64 - first).enumerate().fold(0, |w, (i, v)| w | (u64::from(v) << (first + i)));
        first = 0;
    }
}

/// The runs of set bits in a row as (first, one beyond the last); runs end at word boundaries.
pub fn runs(row: &[u64]) -> impl Iterator<Item = (usize, usize)> {
    row.iter().enumerate().flat_map(|(index, word)| {
        let mut rest = *word;
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let first = rest.trailing_zeros();
            let length = (!(rest >> first)).trailing_zeros();
            rest &= u64::MAX.checked_shl(first + length).unwrap_or(0);
            let start = index * 64 + first as usize;
            Some((start, start + length as usize))
        })
    })
}

/// The positions of the set bits of a word, from `offset` on.
pub fn ones(word: u64, offset: usize) -> impl Iterator<Item = usize> {
    let mut rest = word;
    std::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let bit = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        Some(offset + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voxel_is_the_bit_after_the_empty_layer() {
        let mask = Array3::from_shape_fn((3, 4, 130), |(z, y, x)| (x * 7 + y * 5 + z * 3) % 11 < 6);
        let packed = PackedMask::new(&mask);
        assert_eq!(packed.size(), [130, 4, 3]);
        for z in 0..5 {
            for y in 0..6 {
                let found: Vec<usize> = runs(packed.row(y, z)).flat_map(|(first, end)| first..end).collect();
                let inside = |x: usize| (1..5).contains(&y) && (1..4).contains(&z) && mask[[z - 1, y - 1, x]];
                let expected: Vec<usize> = (0..130).filter(|x| inside(*x)).map(|x| x + 1).collect();
                assert_eq!(found, expected);
                let each = packed.row(y, z).iter().enumerate().flat_map(|(i, word)| ones(*word, i * 64));
                assert_eq!(each.collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn a_full_word_is_one_run() {
        assert_eq!(runs(&[u64::MAX, 1]).collect::<Vec<_>>(), [(0, 64), (64, 65)]);
        assert_eq!(runs(&[1 << 63]).collect::<Vec<_>>(), [(63, 64)]);
        assert_eq!(runs(&[0]).count(), 0);
    }
}

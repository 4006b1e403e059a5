//! A texture matrix by its cells that are not zero.

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    /// The grey level.
    pub(super) level: u32,
    /// The other index: a grey level not below the first, a length, a size, a distance or a number of neighbours.
    pub(super) other: u32,
    /// How often both occur together: an integer, or a sum of weighted integers.
    pub(super) count: f64,
}

/// Cells in ascending order of level and other index, each once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Matrix {
    pub(super) cells: Vec<Cell>,
    /// Voxels that the matrix was made from; of merged matrices those of all of them.
    pub(super) voxels: f64,
}

impl Matrix {
    /// From cells in any order, several of which may be the same.
    pub(super) fn collect(mut cells: Vec<Cell>, voxels: f64) -> Self {
        // Stable: equal cells are added up in the order they came in.
        cells.sort_by_key(|cell| (cell.level, cell.other));
        cells.dedup_by(|next, kept| {
            let same = (next.level, next.other) == (kept.level, kept.other);
            if same {
                kept.count += next.count;
            }
            same
        });
        Self { cells, voxels }
    }

    /// The weighted sum of matrices.
    pub(super) fn merged<'a>(matrices: impl IntoIterator<Item = (&'a Self, f64)>) -> Self {
        let (mut cells, mut voxels) = (Vec::new(), 0.0);
        for (matrix, weight) in matrices {
            cells.extend(matrix.cells.iter().map(|cell| Cell { count: cell.count * weight, ..*cell }));
            voxels += matrix.voxels * weight;
        }
        Self::collect(cells, voxels)
    }

    /// The sum of all cells.
    pub(super) fn total(&self) -> f64 {
        self.cells.iter().map(|cell| cell.count).sum()
    }
}

/// A distribution over integers: how often each key occurs, ascending.
///
/// Counted in a table where the keys are small, else by sorting: no key decides how much memory is used.
pub(super) fn distribution(keys: impl Iterator<Item = (u32, f64)> + Clone) -> Vec<(f64, f64)> {
    const TABLE: u32 = 1 << 14;
    let largest = keys.clone().map(|(key, _)| key).max().unwrap_or(0);
    if largest < TABLE {
        let mut table = vec![0.0; largest as usize + 1];
        for (key, count) in keys {
            table[key as usize] += count;
        }
        return (0u32..)
            .zip(table)
            .filter(|(_, count)| *count > 0.0)
            .map(|(key, count)| (f64::from(key), count))
            .collect();
    }
    let mut sorted: Vec<(u32, f64)> = keys.collect();
    sorted.sort_by_key(|(key, _)| *key);
    let same = sorted.chunk_by(|a, b| a.0 == b.0);
    same.map(|same| (f64::from(same[0].0), same.iter().map(|(_, count)| count).sum())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn cell(level: u32, other: u32, count: f64) -> Cell {
        Cell { level, other, count }
    }

    #[test]
    fn merged_matrices_add_up_cell_by_cell_with_their_weights() {
        let a = Matrix::collect(vec![cell(2, 1, 1.0), cell(1, 1, 3.0), cell(2, 1, 1.0)], 5.0);
        assert_eq!(a.cells, [cell(1, 1, 3.0), cell(2, 1, 2.0)]);
        let b = Matrix::collect(vec![cell(1, 1, 4.0), cell(1, 2, 1.0)], 5.0);
        let merged = Matrix::merged([(&a, 1.0), (&b, 0.5)]);
        assert_eq!(merged.cells, [cell(1, 1, 5.0), cell(1, 2, 0.5), cell(2, 1, 2.0)]);
        assert!((merged.voxels - 7.5).abs() < 1e-12 && (merged.total() - 7.5).abs() < 1e-12);
    }

    #[test]
    fn large_keys_are_counted_as_small_ones_are() {
        let small = distribution([(3, 1.0), (1, 2.0), (3, 4.0)].into_iter());
        assert_eq!(small, [(1.0, 2.0), (3.0, 5.0)]);
        let large = distribution([(3_000_000, 1.0), (1, 2.0), (3_000_000, 4.0)].into_iter());
        assert_eq!(large, [(1.0, 2.0), (3_000_000.0, 5.0)]);
    }
}

//! Joint distributions of the grey levels of two images: of a voxel in both, and of neighbours, one in each.

use super::region::Shared;
use crate::features::discretise::Binning;

/// Both images in grey levels, with a border of cells without one; 0 outside the region.
pub(super) struct PairLevels {
    cells: [Vec<u16>; 2],
    row: usize,
    plane: usize,
    bins: usize,
}

impl PairLevels {
    pub(super) fn new(shared: &Shared, binnings: [Binning; 2], bins: usize) -> Self {
        let (nz, ny, nx) = shared.inside.dim();
        let (row, plane) = (nx + 2, (nx + 2) * (ny + 2));
        let mut cells = [vec![0u16; plane * (nz + 2)], vec![0u16; plane * (nz + 2)]];
        for ((z, y, x), _) in shared.inside.indexed_iter().filter(|(_, inside)| **inside) {
            let at = (z + 1) * plane + (y + 1) * row + x + 1;
            for ((cells, binning), image) in cells.iter_mut().zip(binnings).zip(&shared.images) {
                cells[at] = binning.level(image[[z, y, x]]) as u16;
            }
        }
        Self { cells, row, plane, bins }
    }

    /// The distribution over voxels.
    pub(super) fn joint(&self) -> Option<Joint> {
        let mut table = vec![0u64; (self.bins + 1) * (self.bins + 1)];
        let [a, b] = &self.cells;
        a.iter().zip(b).for_each(|(a, b)| table[usize::from(*a) * (self.bins + 1) + usize::from(*b)] += 1);
        Joint::of(&table, self.bins)
    }

    /// The distribution over pairs of neighbours: level in the first image, level of any of 26 neighbours in the second.
    pub(super) fn neighbours(&self) -> Option<Joint> {
        let width = self.bins + 1;
        let mut table = vec![0u64; width * width];
        let [a, b] = &self.cells;
        let (row, plane) = (self.row as isize, self.plane as isize);
        let steps = (-1..=1).flat_map(|z| (-1..=1).flat_map(move |y| (-1..=1).map(move |x| z * plane + y * row + x)));
        for step in steps.filter(|step| *step > 0) {
            let step = step.unsigned_abs();
            let (ahead_a, ahead_b) = (&a[step..], &b[step..]);
            for ((a, b), (next_a, next_b)) in a.iter().zip(b).zip(ahead_a.iter().zip(ahead_b)) {
                table[usize::from(*a) * width + usize::from(*next_b)] += 1;
                table[usize::from(*next_a) * width + usize::from(*b)] += 1;
            }
        }
        Joint::of(&table, self.bins)
    }
}

/// What a joint distribution says; logarithms are of base 2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joint {
    pub(super) entropy: f64,
    /// Entropies of the two marginal distributions together.
    marginal_entropies: f64,
    pub(super) mutual: f64,
    pub(super) max: f64,
    pub(super) energy: f64,
    /// Mean of (i - j)^2, and of 1 / (1 + |i - j|).
    pub(super) contrast: f64,
    pub(super) inverse: f64,
    /// NaN where one of the levels is always the same.
    pub(super) correlation: f64,
}

impl Joint {
    /// Of counts by level and level; row and column 0 stand for none. `None` when all others are 0.
    fn of(table: &[u64], bins: usize) -> Option<Self> {
        let width = bins + 1;
        let cells = || (1..width).flat_map(|i| (1..width).map(move |j| (i, j, table[i * width + j])));
        let total: u64 = cells().map(|(_, _, count)| count).sum();
        if total == 0 {
            return None;
        }
        let shares = || cells().filter(|(.., n)| *n > 0).map(|(i, j, n)| (i, j, n as f64 / total as f64));
        let (mut rows, mut columns) = (vec![0.0; width], vec![0.0; width]);
        for (i, j, p) in shares() {
            rows[i] += p;
            columns[j] += p;
        }
        let entropy = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
        let joint: f64 = shares().map(|(_, _, p)| entropy(p)).sum();
        let marginal_entropies = rows.iter().chain(&columns).map(|p| entropy(*p)).sum::<f64>();
        let moments = |shares: &[f64]| {
            let mean: f64 = shares.iter().enumerate().map(|(i, p)| i as f64 * p).sum();
            let variance: f64 = shares.iter().enumerate().map(|(i, p)| (i as f64 - mean).powi(2) * p).sum();
            (mean, variance)
        };
        let ((mean_i, variance_i), (mean_j, variance_j)) = (moments(&rows), moments(&columns));
        let covariance: f64 = shares().map(|(i, j, p)| (i as f64 - mean_i) * (j as f64 - mean_j) * p).sum();
        Some(Self {
            entropy: joint,
            marginal_entropies,
            // Rounding may make it the least bit negative.
            mutual: (marginal_entropies - joint).max(0.0),
            max: shares().map(|(_, _, p)| p).fold(0.0, f64::max),
            energy: shares().map(|(_, _, p)| p * p).sum(),
            contrast: shares().map(|(i, j, p)| (i as f64 - j as f64).powi(2) * p).sum(),
            inverse: shares().map(|(i, j, p)| p / (1.0 + (i as f64 - j as f64).abs())).sum(),
            correlation: covariance / (variance_i * variance_j).sqrt(),
        })
    }

    /// (H(a) + H(b)) / H(a, b): from 1, independent, to 2, one a function of the other (Studholme 1999).
    pub(super) fn normalised_mutual(&self) -> f64 {
        self.marginal_entropies / self.entropy
    }
}

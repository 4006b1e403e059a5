//! Features of neighbourhood grey tone difference matrices (IBSI 3.10, IPET).
//!
//! p is the share of a level among the voxels that have neighbours, s the sum over its voxels of |level - mean of the
//! neighbourhood|. Where all voxels have one level, contrast, busyness and strength are 0 and coarseness is 10^6.

use super::neighbours::Tones;
use crate::features::Family;
use crate::features::table::{Row, Unit};

/// Coarseness where no voxel differs from its neighbourhood.
const COARSEST: f64 = 1e6;

/// What the rows are computed from.
#[derive(Debug, Clone, Copy)]
pub(in crate::features) struct Ngtdm {
    coarseness: f64,
    contrast: f64,
    busyness: f64,
    complexity: f64,
    strength: f64,
}

impl Ngtdm {
    /// Of a matrix; `None` when no voxel has neighbours.
    pub(super) fn of(tones: &Tones) -> Option<Self> {
        let voxels: u64 = tones.levels.iter().map(|(_, n, _)| n).sum();
        if voxels == 0 {
            return None;
        }
        let n = voxels as f64;
        let levels: Vec<[f64; 3]> =
            tones.levels.iter().map(|(level, count, s)| [f64::from(*level), *count as f64 / n, *s]).collect();
        let sum = |f: &dyn Fn(&[f64; 3]) -> f64| levels.iter().map(f).sum::<f64>();
        let (s_all, ps) = (sum(&|[_, _, s]| *s), sum(&|[_, p, s]| p * s));
        let mean = sum(&|[i, p, _]| i * p);
        let variance = sum(&|[i, p, _]| (i - mean).powi(2) * p);
        let occupied = levels.len() as f64;
        let (complexity, strength) = pairwise(&levels);
        let spread = spread(levels.iter().map(|[i, p, _]| i * p).collect());
        let one = levels.len() == 1;
        Some(Self {
            coarseness: if ps > 0.0 { (1.0 / ps).min(COARSEST) } else { COARSEST },
            contrast: if one { 0.0 } else { 2.0 * variance / (occupied * (occupied - 1.0)) * s_all / n },
            busyness: if one { 0.0 } else { ps / spread },
            complexity: complexity / n,
            strength: if s_all > 0.0 { strength / s_all } else { 0.0 },
        })
    }
}

/// Sums over all ordered pairs of levels: of |i - j| (p s + p' s') / (p + p'), and of (p + p') (i - j)^2.
fn pairwise(levels: &[[f64; 3]]) -> (f64, f64) {
    let (mut complexity, mut strength) = (0.0, 0.0);
    for (at, [i, p, s]) in levels.iter().enumerate() {
        for [j, q, t] in &levels[at + 1..] {
            complexity += 2.0 * (j - i) * (p * s + q * t) / (p + q);
            strength += 2.0 * (p + q) * (j - i).powi(2);
        }
    }
    (complexity, strength)
}

/// The sum of |a - b| over all ordered pairs: in ascending order, the k-th of n is the larger one k times.
fn spread(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len() as f64 - 1.0;
    let signed = values.iter().enumerate().map(|(k, value)| (2.0 * k as f64 - last) * value);
    2.0 * signed.sum::<f64>()
}

const NO_NEIGHBOURS: &str = "no voxel of the region has a neighbour";
const EQUAL_PRODUCTS: &str = "no voxel of the region has a neighbour, or all levels have one product with their share";

const fn row(id: &'static str, tag: &'static str, name: &'static str, eval: fn(&Ngtdm) -> f64) -> Row<Ngtdm> {
    Row::new(Family::Ngtdm, id, tag, name, Unit::One, eval).undefined_when(NO_NEIGHBOURS)
}

/// The rows of the family.
pub(in crate::features) static ROWS: [Row<Ngtdm>; 5] = [
    row("QCDE", "ngt_coarseness", "Coarseness", |m| m.coarseness),
    row("65HE", "ngt_contrast", "Contrast", |m| m.contrast),
    row("NQ30", "ngt_busyness", "Busyness", |m| m.busyness).undefined_when(EQUAL_PRODUCTS),
    row("HDEZ", "ngt_complexity", "Complexity", |m| m.complexity),
    row("1X9X", "ngt_strength", "Strength", |m| m.strength),
];

//! What the features of run length, size zone, distance zone and dependence matrices have in common.
//!
//! All four count elements (runs, zones, voxels) of grey level i and extent j (length, size, distance, number of dependent
//! voxels). Their features are means of powers of i and j over the elements, sums of squares of the marginal counts,
//! variances and entropy.

use super::glcm::entropy;
use super::matrix::{Matrix, distribution};
use crate::features::Family;
use crate::features::table::{Row, Unit};

/// The sums that the rows of the four families pick from.
#[derive(Debug, Clone, Copy)]
pub(in crate::features) struct Emphasis {
    /// Mean of j^-2 and of j^2: short and long.
    pub(super) short: f64,
    pub(super) long: f64,
    /// Mean of i^-2 and of i^2: low and high.
    pub(super) low: f64,
    pub(super) high: f64,
    /// Means of their products.
    pub(super) short_low: f64,
    pub(super) short_high: f64,
    pub(super) long_low: f64,
    pub(super) long_high: f64,
    /// Sum of the squared counts of each level, over the number of elements, and over its square.
    pub(super) level_nonuniformity: f64,
    pub(super) level_nonuniformity_norm: f64,
    /// The same of each extent.
    pub(super) extent_nonuniformity: f64,
    pub(super) extent_nonuniformity_norm: f64,
    /// Elements per voxel.
    pub(super) percentage: f64,
    pub(super) level_variance: f64,
    pub(super) extent_variance: f64,
    pub(super) entropy: f64,
    /// Sum of the squared shares.
    pub(super) energy: f64,
}

impl Emphasis {
    /// Of a matrix; `None` when it has no elements.
    pub(super) fn of(matrix: &Matrix) -> Option<Self> {
        let elements = matrix.total();
        if elements <= 0.0 {
            return None;
        }
        let cells = || matrix.cells.iter();
        let levels = distribution(cells().map(|cell| (cell.level, cell.count)));
        let extents = distribution(cells().map(|cell| (cell.other, cell.count)));
        let mean = |counts: &[(f64, f64)], power: i32| mean_power(counts, power) / elements;
        let squares = |counts: &[(f64, f64)]| counts.iter().map(|(_, count)| count * count).sum::<f64>() / elements;
        let mut products = [0.0; 4];
        for cell in cells() {
            let (i, j) = (f64::from(cell.level).powi(2), f64::from(cell.other).powi(2));
            let terms = [1.0 / (i * j), i / j, j / i, i * j];
            products.iter_mut().zip(terms).for_each(|(sum, term)| *sum += cell.count * term);
        }
        let shares = || cells().map(|cell| cell.count / elements);
        Some(Self {
            short: mean(&extents, -2),
            long: mean(&extents, 2),
            low: mean(&levels, -2),
            high: mean(&levels, 2),
            short_low: products[0] / elements,
            short_high: products[1] / elements,
            long_low: products[2] / elements,
            long_high: products[3] / elements,
            level_nonuniformity: squares(&levels),
            level_nonuniformity_norm: squares(&levels) / elements,
            extent_nonuniformity: squares(&extents),
            extent_nonuniformity_norm: squares(&extents) / elements,
            percentage: elements / matrix.voxels,
            level_variance: variance(&levels, elements),
            extent_variance: variance(&extents, elements),
            entropy: entropy(shares()),
            energy: shares().map(|p| p * p).sum(),
        })
    }
}

/// A row of one of the families.
pub(super) const fn row(
    family: Family,
    id: &'static str,
    tag: &'static str,
    name: &'static str,
    eval: fn(&Emphasis) -> f64,
) -> Row<Emphasis> {
    Row::new(family, id, tag, name, Unit::One, eval).undefined_when("the matrix is empty")
}

fn mean_power(counts: &[(f64, f64)], power: i32) -> f64 {
    counts.iter().map(|(value, count)| value.powi(power) * count).sum()
}

fn variance(counts: &[(f64, f64)], elements: f64) -> f64 {
    let mean = mean_power(counts, 1) / elements;
    counts.iter().map(|(value, count)| (value - mean).powi(2) * count).sum::<f64>() / elements
}

//! The linear model of one feature: `y = batch + covariates + smooth curve + noise`, by least squares.
//!
//! The design matrix is [one column of zeros and ones per batch | covariates | curve]. The batch columns are orthogonal, so
//! its QR factorisation needs no work for them: with every column centred within the batches, the rest is a small problem,
//! and a feature costs one pass over its values per covariate. The curve is penalised: its coefficients are drawn to zero
//! as far as generalised cross-validation finds best.

use crate::math::eigen::symmetric_eigen;
use crate::math::qr::{Orthogonal, add_scaled, dot, norm};

/// The factorised design of some rows.
#[derive(Debug, Clone)]
pub(super) struct Design {
    batch_of: Vec<usize>,
    sizes: Vec<f64>,
    columns: Vec<Vec<f64>>,
    /// Means of each column by batch.
    means: Vec<Vec<f64>>,
    basis: Orthogonal,
    curve: Option<Curve>,
}

/// The penalised part of a design.
#[derive(Debug, Clone)]
struct Curve {
    columns: Vec<Vec<f64>>,
    means: Vec<Vec<f64>>,
    /// Coordinates of each column in the basis of the covariates.
    cross: Vec<Vec<f64>>,
    /// Orthonormal directions of what is left of the columns.
    q: Vec<Vec<f64>>,
    /// Their squared lengths.
    s2: Vec<f64>,
    /// Their coefficients in terms of the columns.
    v: Vec<Vec<f64>>,
}

/// A covariate's column that is a combination of others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dependence {
    /// Which column.
    pub column: usize,
    /// The other columns in it, with their factors.
    pub on: Vec<(usize, f64)>,
    /// What each batch adds, less the most frequent of these values.
    pub batches: Vec<(usize, f64)>,
}

/// The least-squares solution for one feature.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Solution {
    /// What each batch adds.
    pub batches: Vec<f64>,
    /// The covariates' coefficients.
    pub beta: Vec<f64>,
    /// The curve's coefficients.
    pub curve: Vec<f64>,
    /// The curve's penalty; none where there is no curve.
    pub penalty: Option<f64>,
    /// The batches' means of the feature.
    pub means: Vec<f64>,
    /// Sums of squared deviations from the batches' means.
    pub spread: Vec<f64>,
}

/// What is left of a column of unit length after all others, when it counts as their combination.
const DEPENDENT: f64 = 1e-9;
/// Factors below this part of the largest are rounding.
const NO_FACTOR: f64 = 1e-6;

impl Design {
    /// Factorises the design of rows in batches `0..n_batches`.
    ///
    /// # Errors
    /// When columns are combinations of batches and other columns.
    pub(super) fn new(
        batch_of: Vec<usize>,
        n_batches: usize,
        columns: &[Vec<f64>],
        curve: Option<&[Vec<f64>]>,
    ) -> Result<Self, Vec<Dependence>> {
        let mut sizes = vec![0.0; n_batches];
        batch_of.iter().for_each(|batch| sizes[*batch] += 1.0);
        let means: Vec<Vec<f64>> = columns.iter().map(|column| batch_means(column, &batch_of, &sizes)).collect();
        let within: Vec<Vec<f64>> =
            columns.iter().zip(&means).map(|(column, means)| centred(column, means, &batch_of)).collect();
        let lengths: Vec<f64> = columns.iter().map(|column| total_length(column)).collect();
        let basis = Orthogonal::new(&within, &lengths, DEPENDENT);
        if !basis.dependent.is_empty() {
            return Err(dependences(&basis, &means, &sizes));
        }
        let curve = curve.map(|columns| Curve::new(columns, &batch_of, &sizes, &basis));
        Ok(Self { batch_of, sizes, columns: columns.to_vec(), means, basis, curve })
    }

    pub(super) fn n_rows(&self) -> usize {
        self.batch_of.len()
    }

    pub(super) fn sizes(&self) -> &[f64] {
        &self.sizes
    }

    pub(super) fn batch_of(&self) -> &[usize] {
        &self.batch_of
    }

    /// The design of some of its rows; `None` where those do not determine the covariates' effects.
    pub(super) fn of(&self, rows: &[usize]) -> Option<Self> {
        let take = |column: &Vec<f64>| rows.iter().map(|row| column[*row]).collect::<Vec<f64>>();
        let batch_of = rows.iter().map(|row| self.batch_of[*row]).collect();
        let columns: Vec<Vec<f64>> = self.columns.iter().map(take).collect();
        let curve: Option<Vec<Vec<f64>>> = self.curve.as_ref().map(|curve| curve.columns.iter().map(take).collect());
        Self::new(batch_of, self.sizes.len(), &columns, curve.as_deref()).ok()
    }

    /// Solves for one feature; `residual` gets what is left of each row. Batches without rows get NaN.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn solve(&self, y: &[f64], residual: &mut Vec<f64>) -> Solution {
        let means = batch_means(y, &self.batch_of, &self.sizes);
        residual.clear();
        residual.extend(y.iter().zip(&self.batch_of).map(|(value, batch)| value - means[*batch]));
        let spread = sums_of_squares(residual, &self.batch_of, self.sizes.len());
        let mut c = Vec::with_capacity(self.basis.q.len());
        for q in &self.basis.q {
            let along = dot(q, residual);
            add_scaled(residual, -along, q);
            c.push(along);
        }
        let (mut theta, mut penalty) = (Vec::new(), None);
        if let Some(curve) = &self.curve {
            let (coefficients, chosen) = curve.fit(residual, (self.sizes.len() + c.len()) as f64);
            for (cross, coefficient) in curve.cross.iter().zip(&coefficients) {
                add_scaled(&mut c, -coefficient, cross);
            }
            (theta, penalty) = (coefficients, Some(chosen));
        }
        let beta = self.basis.coefficients(&c);
        let mut batches = means.clone();
        for (column_means, coefficient) in self.means.iter().zip(&beta) {
            add_scaled(&mut batches, -coefficient, column_means);
        }
        for (column_means, coefficient) in self.curve.iter().flat_map(|curve| &curve.means).zip(&theta) {
            add_scaled(&mut batches, -coefficient, column_means);
        }
        Solution { batches, beta, curve: theta, penalty, means, spread }
    }

    /// What is left of a feature.
    pub(super) fn residual(&self, y: &[f64]) -> Vec<f64> {
        let mut residual = Vec::new();
        self.solve(y, &mut residual);
        residual
    }
}

impl Curve {
    fn new(columns: &[Vec<f64>], batch_of: &[usize], sizes: &[f64], basis: &Orthogonal) -> Self {
        let means: Vec<Vec<f64>> = columns.iter().map(|column| batch_means(column, batch_of, sizes)).collect();
        let mut cross = Vec::new();
        let mut rest: Vec<Vec<f64>> = Vec::new();
        for (column, means) in columns.iter().zip(&means) {
            let mut left = centred(column, means, batch_of);
            let mut coordinates = Vec::new();
            for q in &basis.q {
                let along = dot(q, &left);
                add_scaled(&mut left, -along, q);
                coordinates.push(along);
            }
            cross.push(coordinates);
            rest.push(left);
        }
        let gram: Vec<Vec<f64>> = rest.iter().map(|a| rest.iter().map(|b| dot(a, b)).collect()).collect();
        let eigen = symmetric_eigen(&gram);
        let largest = eigen.values.first().copied().unwrap_or(0.0);
        let mut curve = Self { columns: columns.to_vec(), means, cross, q: vec![], s2: vec![], v: vec![] };
        for (s2, v) in eigen.values.into_iter().zip(eigen.vectors) {
            if s2 > 1e-12 * largest {
                let mut q = vec![0.0; batch_of.len()];
                rest.iter().zip(&v).for_each(|(column, factor)| add_scaled(&mut q, *factor, column));
                q.iter_mut().for_each(|value| *value /= s2.sqrt());
                curve.q.push(q);
                curve.s2.push(s2);
                curve.v.push(v);
            }
        }
        curve
    }

    /// The coefficients at the penalty with the smallest generalised cross-validation (Golub, Heath, Wahba 1979) on a grid
    /// of ten to each power of ten, and that penalty. The curve is taken out of `residual`.
    #[allow(clippy::cast_precision_loss)]
    fn fit(&self, residual: &mut [f64], df_others: f64) -> (Vec<f64>, f64) {
        let u: Vec<f64> = self.q.iter().map(|q| dot(q, residual)).collect();
        let (n, total) = (residual.len() as f64, dot(residual, residual));
        let score = |penalty: f64| {
            let (mut left, mut df) = (total, df_others);
            for (u, s2) in u.iter().zip(&self.s2) {
                let kept = s2 / (s2 + penalty);
                left -= u * u * (1.0 - (1.0 - kept) * (1.0 - kept));
                df += kept;
            }
            if n > df { left.max(0.0) / ((n - df) * (n - df)) } else { f64::INFINITY }
        };
        let largest = self.s2.first().copied().unwrap_or(1.0);
        let mut best = (f64::INFINITY, f64::INFINITY);
        for step in -60..=60 {
            let penalty = largest * 10f64.powf(f64::from(step) / 10.0);
            let score = score(penalty);
            if score < best.0 {
                best = (score, penalty);
            }
        }
        let penalty = best.1;
        let mut coefficients = vec![0.0; self.columns.len()];
        for (((u, s2), v), q) in u.iter().zip(&self.s2).zip(&self.v).zip(&self.q) {
            let kept = if penalty.is_finite() { s2 / (s2 + penalty) } else { 0.0 };
            add_scaled(&mut coefficients, kept * u / s2.sqrt(), v);
            add_scaled(residual, -kept * u, q);
        }
        (coefficients, penalty)
    }
}

/// The mean of each batch; NaN for one without rows.
fn batch_means(column: &[f64], batch_of: &[usize], sizes: &[f64]) -> Vec<f64> {
    // Relative to some value of the column: a large common offset costs no digits.
    let offset = column.first().copied().unwrap_or(0.0);
    let mut sums = vec![0.0; sizes.len()];
    column.iter().zip(batch_of).for_each(|(value, batch)| sums[*batch] += value - offset);
    sums.iter().zip(sizes).map(|(sum, n)| offset + sum / n).collect()
}

fn centred(column: &[f64], means: &[f64], batch_of: &[usize]) -> Vec<f64> {
    column.iter().zip(batch_of).map(|(value, batch)| value - means[*batch]).collect()
}

/// Sums of squares by batch.
pub(super) fn sums_of_squares(values: &[f64], batch_of: &[usize], n_batches: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n_batches];
    values.iter().zip(batch_of).for_each(|(value, batch)| sums[*batch] += value * value);
    sums
}

/// The length of a column about its mean, or infinity where that is only rounding: such a column always depends.
#[allow(clippy::cast_precision_loss)]
fn total_length(column: &[f64]) -> f64 {
    let mean = column.iter().sum::<f64>() / column.len().max(1) as f64;
    let about_mean: Vec<f64> = column.iter().map(|value| value - mean).collect();
    let length = norm(&about_mean);
    if length > 1e-12 * norm(column) { length } else { f64::INFINITY }
}

fn dependences(basis: &Orthogonal, means: &[Vec<f64>], sizes: &[f64]) -> Vec<Dependence> {
    let of = |(column, coordinates): &(usize, Vec<f64>)| {
        let factors = basis.coefficients(coordinates);
        let mut added = means[*column].clone();
        for (independent, factor) in basis.independent.iter().zip(&factors) {
            add_scaled(&mut added, -factor, &means[*independent]);
        }
        let usual = most_frequent(&added, sizes);
        added.iter_mut().for_each(|value| *value -= usual);
        let largest = factors.iter().chain(&added).fold(0.0f64, |largest, value| largest.max(value.abs()));
        let matters = |(_, factor): &(usize, f64)| factor.abs() > NO_FACTOR * largest;
        Dependence {
            column: *column,
            on: basis.independent.iter().copied().zip(factors).filter(matters).collect(),
            batches: added.into_iter().enumerate().filter(matters).collect(),
        }
    };
    basis.dependent.iter().map(of).collect()
}

/// The value that most rows share, up to rounding; the smaller one of two.
fn most_frequent(values: &[f64], sizes: &[f64]) -> f64 {
    let scale = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let shared = |value: f64| -> f64 {
        let same = values.iter().zip(sizes).filter(|(other, _)| (*other - value).abs() <= NO_FACTOR * scale);
        same.map(|(_, size)| size).sum()
    };
    let mut best = values.first().copied().unwrap_or(0.0);
    for value in values {
        let (ours, theirs) = (shared(*value), shared(best));
        if ours > theirs || (ours >= theirs && *value < best) {
            best = *value;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;

    #[test]
    fn coefficients_of_exact_data_come_back() {
        let batch_of: Vec<usize> = (0..30).map(|i| i % 3).collect();
        let mut stream = Stream::new(1, 0, 0);
        let x: Vec<Vec<f64>> = (0..2).map(|_| (0..30).map(|_| 50.0 + stream.normal()).collect()).collect();
        let y: Vec<f64> =
            (0..30).map(|i| [1.0, -2.0, 5.0][batch_of[i]] + 0.25 * x[0][i] - 4.0 * x[1][i] + 1e6).collect();
        let design = Design::new(batch_of, 3, &x, None).unwrap();
        let mut residual = Vec::new();
        let found = design.solve(&y, &mut residual);
        for (found, expected) in found.beta.iter().zip([0.25, -4.0]) {
            assert_relative_eq!(*found, expected, epsilon = 1e-9);
        }
        for (found, expected) in found.batches.iter().zip([1.0, -2.0, 5.0]) {
            assert_relative_eq!(*found, 1e6 + expected, epsilon = 1e-7);
        }
        assert!(residual.iter().all(|value| value.abs() < 1e-8));
    }

    #[test]
    fn a_combination_is_found_and_written_by_its_parts() {
        let batch_of: Vec<usize> = (0..24).map(|i| i / 12).collect();
        let u: Vec<f64> = (0..24).map(|i| f64::from(i % 2)).collect();
        let v: Vec<f64> = (0..24).map(|i| f64::from(i % 2) + f64::from(i / 12)).collect();
        let found = Design::new(batch_of, 2, &[u, v], None).unwrap_err();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].column, 1);
        assert_eq!(found[0].on.len(), 1);
        assert_relative_eq!(found[0].on[0].1, 1.0, epsilon = 1e-12);
        assert_eq!(found[0].batches.len(), 1);
        assert_eq!(found[0].batches[0].0, 1);
        assert_relative_eq!(found[0].batches[0].1, 1.0, epsilon = 1e-12);
        let constant = Design::new(vec![0, 0, 1, 1], 2, &[vec![3.3; 4]], None).unwrap_err();
        assert!(constant[0].on.is_empty() && constant[0].batches.is_empty());
    }
}

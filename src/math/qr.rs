//! Orthonormal bases of columns, with what depends on what: least squares and rank in one pass.
//!
//! Gram-Schmidt with every projection done twice: orthogonal to rounding (Giraud et al., Numer. Math. 2005), column by
//! column, so a column that depends on those before it is known by its place and its coefficients.

/// Columns brought to an orthonormal basis, A = Q R, in their order.
#[derive(Debug, Clone, Default)]
pub struct Orthogonal {
    /// The orthonormal columns of Q, one for each independent column of A.
    pub q: Vec<Vec<f64>>,
    /// `r[j]` holds the coordinates of the j-th independent column: j + 1 values, the last positive.
    pub r: Vec<Vec<f64>>,
    /// Which columns of A are independent of those before them.
    pub independent: Vec<usize>,
    /// Which columns of A depend on the independent ones before them, each with its coordinates in Q.
    pub dependent: Vec<(usize, Vec<f64>)>,
}

impl Orthogonal {
    /// The basis of some columns, all of one length. A column depends on those before it when what is left of it is at most
    /// `tolerance` times its entry of `sizes` (its own length where there is no entry).
    #[must_use]
    pub fn new(columns: &[Vec<f64>], sizes: &[f64], tolerance: f64) -> Self {
        let mut basis = Self::default();
        for (idx, column) in columns.iter().enumerate() {
            let size = sizes.get(idx).copied().unwrap_or_else(|| norm(column));
            let mut rest = column.clone();
            let mut coordinates = vec![0.0; basis.q.len()];
            for _ in 0..2 {
                for (q, coordinate) in basis.q.iter().zip(&mut coordinates) {
                    let along = dot(q, &rest);
                    *coordinate += along;
                    add_scaled(&mut rest, -along, q);
                }
            }
            let left = norm(&rest);
            if left > tolerance * size {
                rest.iter_mut().for_each(|value| *value /= left);
                coordinates.push(left);
                basis.q.push(rest);
                basis.r.push(coordinates);
                basis.independent.push(idx);
            } else {
                basis.dependent.push((idx, coordinates));
            }
        }
        basis
    }

    /// x with R x = c for the first `c.len()` independent columns: coordinates in Q become coefficients of the columns.
    #[must_use]
    pub fn coefficients(&self, c: &[f64]) -> Vec<f64> {
        let mut x = c.to_vec();
        for j in (0..x.len().min(self.r.len())).rev() {
            x[j] /= self.r[j][j];
            let value = x[j];
            for (above, r) in x[..j].iter_mut().zip(&self.r[j]) {
                *above -= value * r;
            }
        }
        x
    }
}

/// a . b
#[must_use]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Four sums side by side: the processor adds them at once, and rounding grows more slowly.
    let (mut sums, mut rest) = ([0.0; 4], 0.0);
    let (chunks_a, chunks_b) = (a.chunks_exact(4), b.chunks_exact(4));
    for (x, y) in chunks_a.remainder().iter().zip(chunks_b.remainder()) {
        rest += x * y;
    }
    for (x, y) in chunks_a.zip(chunks_b) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// Euclidean length.
#[must_use]
pub fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// to += factor from
pub fn add_scaled(to: &mut [f64], factor: f64, from: &[f64]) {
    for (sum, value) in to.iter_mut().zip(from) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;

    fn random(n_rows: usize, n_columns: usize) -> Vec<Vec<f64>> {
        let mut stream = Stream::new(11, 0, 0);
        (0..n_columns).map(|_| (0..n_rows).map(|_| 3.0 + stream.normal()).collect()).collect()
    }

    #[test]
    fn the_basis_is_orthonormal_and_gives_the_columns_back() {
        let columns = random(43, 6);
        let basis = Orthogonal::new(&columns, &[], 1e-12);
        assert_eq!(basis.independent, [0, 1, 2, 3, 4, 5]);
        for (i, p) in basis.q.iter().enumerate() {
            for (j, q) in basis.q.iter().enumerate() {
                assert_relative_eq!(dot(p, q), if i == j { 1.0 } else { 0.0 }, epsilon = 1e-14);
            }
        }
        for (column, r) in columns.iter().zip(&basis.r) {
            let mut rebuilt = vec![0.0; 43];
            r.iter().zip(&basis.q).for_each(|(r, q)| add_scaled(&mut rebuilt, *r, q));
            for (found, expected) in rebuilt.iter().zip(column) {
                assert_relative_eq!(found, expected, epsilon = 1e-12);
            }
        }
    }

    #[test]
    fn a_dependent_column_is_found_with_its_coefficients() {
        let mut columns = random(20, 3);
        let sum: Vec<f64> = columns[0].iter().zip(&columns[2]).map(|(a, c)| 0.3 * a - 0.7 * c).collect();
        columns.push(sum);
        let basis = Orthogonal::new(&columns, &[], 1e-10);
        let (which, coordinates) = &basis.dependent[0];
        assert_eq!(*which, 3);
        for (found, expected) in basis.coefficients(coordinates).iter().zip([0.3, 0.0, -0.7]) {
            assert_relative_eq!(*found, expected, epsilon = 1e-12);
        }
    }

    #[test]
    fn a_column_of_zeros_depends_on_nothing() {
        let basis = Orthogonal::new(&[vec![0.0; 5], vec![1.0; 5]], &[], 1e-10);
        assert_eq!(basis.dependent, [(0, vec![])]);
        assert_eq!(basis.independent, [1]);
    }
}

//! Symmetric positive definite systems, by Cholesky's factorisation A = L L'.

/// The factor of a symmetric positive definite matrix.
#[derive(Debug, Clone)]
pub struct Cholesky {
    lower: Vec<Vec<f64>>,
}

impl Cholesky {
    /// The factor; `None` when the matrix is not positive definite to working precision. Only the lower triangle is read.
    #[must_use]
    pub fn new(matrix: &[Vec<f64>]) -> Option<Self> {
        let n = matrix.len();
        let mut lower = vec![vec![0.0; n]; n];
        for i in 0..n {
            for j in 0..=i {
                let sum: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
                let rest = matrix.get(i)?.get(j)? - sum;
                if i == j {
                    // What is left of a diagonal element after elimination is zero, or rounding, for a singular matrix.
                    if rest.is_nan() || rest <= 1e-13 * matrix[i][i].abs() {
                        return None;
                    }
                    lower[i][i] = rest.sqrt();
                } else {
                    lower[i][j] = rest / lower[j][j];
                }
            }
        }
        Some(Self { lower })
    }

    /// x with A x = b; `b` has as many values as A has rows.
    #[must_use]
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = self.solve_lower(b);
        for i in (0..x.len()).rev() {
            let sum: f64 = (i + 1..x.len()).map(|k| self.lower[k][i] * x[k]).sum();
            x[i] = (x[i] - sum) / self.lower[i][i];
        }
        x
    }

    /// y with L y = b: `y . y` is `b' A^-1 b`.
    #[must_use]
    pub fn solve_lower(&self, b: &[f64]) -> Vec<f64> {
        let mut y: Vec<f64> = Vec::with_capacity(self.lower.len());
        for (row, value) in self.lower.iter().zip(b) {
            let sum: f64 = row.iter().zip(&y).map(|(l, y)| l * y).sum();
            let diagonal = row.get(y.len()).copied().unwrap_or(1.0);
            y.push((value - sum) / diagonal);
        }
        y
    }

    /// L b: turns independent normal numbers into ones with the covariance A.
    #[must_use]
    pub fn times(&self, b: &[f64]) -> Vec<f64> {
        self.lower.iter().map(|row| row.iter().zip(b).map(|(l, b)| l * b).sum()).collect()
    }

    /// The inverse of A.
    #[must_use]
    pub fn inverse(&self) -> Vec<Vec<f64>> {
        let n = self.lower.len();
        (0..n)
            .map(|j| {
                let mut unit = vec![0.0; n];
                unit[j] = 1.0;
                self.solve(&unit)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_solution_solves_and_the_inverse_inverts() {
        let a = vec![vec![4.0, 1.0, 0.5], vec![1.0, 3.0, -0.2], vec![0.5, -0.2, 2.0]];
        let factor = Cholesky::new(&a).unwrap();
        let x = factor.solve(&[1.0, -2.0, 0.3]);
        for (row, b) in a.iter().zip([1.0, -2.0, 0.3]) {
            assert_relative_eq!(row.iter().zip(&x).map(|(a, x)| a * x).sum::<f64>(), b, epsilon = 1e-14);
        }
        let inverse = factor.inverse();
        for (i, row) in a.iter().enumerate() {
            // The inverse is symmetric: its rows are its columns.
            for (j, column) in inverse.iter().enumerate() {
                let product: f64 = row.iter().zip(column).map(|(a, b)| a * b).sum();
                assert_relative_eq!(product, if i == j { 1.0 } else { 0.0 }, epsilon = 1e-14);
            }
        }
        let y = factor.solve_lower(&[1.0, -2.0, 0.3]);
        let squared: f64 = y.iter().map(|v| v * v).sum();
        assert_relative_eq!(squared, x[0] - 2.0 * x[1] + 0.3 * x[2], epsilon = 1e-14);
    }

    #[test]
    fn singular_and_indefinite_matrices_have_no_factor() {
        assert!(Cholesky::new(&[vec![1.0, 1.0], vec![1.0, 1.0]]).is_none());
        assert!(Cholesky::new(&[vec![1.0, 2.0], vec![2.0, 1.0]]).is_none());
        assert!(Cholesky::new(&[vec![f64::NAN]]).is_none());
    }
}

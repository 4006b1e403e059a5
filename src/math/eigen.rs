//! Eigenvalues and eigenvectors of symmetric matrices by Jacobi's rotations: slow for large matrices, accurate for all.

/// Eigenvalues from large to small with their unit eigenvectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigen {
    /// From large to small.
    pub values: Vec<f64>,
    /// `vectors[k]` belongs to `values[k]`; its component of largest magnitude is positive, so that the sign is defined.
    pub vectors: Vec<Vec<f64>>,
}

/// Rotations of all pairs at most; convergence is quadratic and takes about ten.
const SWEEPS_MAX: usize = 60;

/// The eigen decomposition of a symmetric matrix of finite numbers, given by rows.
#[must_use]
pub fn symmetric_eigen(matrix: &[Vec<f64>]) -> Eigen {
    let n = matrix.len();
    let mut a: Vec<Vec<f64>> = matrix.to_vec();
    let mut v: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect()).collect();
    let total: f64 = a.iter().flatten().map(|x| x * x).sum();
    for _ in 0..SWEEPS_MAX {
        let off: f64 = (0..n).map(|i| (0..i).map(|j| a[i][j] * a[i][j]).sum::<f64>()).sum();
        if off <= 1e-30 * total || !off.is_finite() {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| a[*j][*j].total_cmp(&a[*i][*i]));
    Eigen { values: order.iter().map(|i| a[*i][*i]).collect(), vectors: order.iter().map(|i| signed(&v[*i])).collect() }
}

/// One rotation that makes element (p, q) zero; the rows of `v` are the vectors.
fn rotate(a: &mut [Vec<f64>], v: &mut [Vec<f64>], p: usize, q: usize) {
    if a[p][q].abs() <= 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = 1.0f64.copysign(theta) / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    for row in a.iter_mut() {
        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    }
    rotate_rows(a, p, q, c, s);
    rotate_rows(v, p, q, c, s);
}

fn rotate_rows(rows: &mut [Vec<f64>], p: usize, q: usize, c: f64, s: f64) {
    let (head, tail) = rows.split_at_mut(q);
    for (x, y) in head[p].iter_mut().zip(&mut tail[0]) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

fn signed(vector: &[f64]) -> Vec<f64> {
    let largest = vector.iter().fold(0.0f64, |largest, x| if x.abs() > largest.abs() { *x } else { largest });
    vector.iter().map(|x| if largest < 0.0 { -x } else { *x }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::Stream;
    use approx::assert_relative_eq;

    #[test]
    fn a_matrix_times_its_eigenvector_is_the_eigenvalue_times_it() {
        let n = 12;
        let mut stream = Stream::new(3, 0, 0);
        let square: Vec<Vec<f64>> = (0..n).map(|_| (0..n).map(|_| stream.normal()).collect()).collect();
        let a: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| square[i][j] + square[j][i]).collect()).collect();
        let eigen = symmetric_eigen(&a);
        let trace: f64 = (0..n).map(|i| a[i][i]).sum();
        assert_relative_eq!(eigen.values.iter().sum::<f64>(), trace, epsilon = 1e-12);
        assert!(eigen.values.windows(2).all(|pair| pair[0] >= pair[1]));
        for (value, vector) in eigen.values.iter().zip(&eigen.vectors) {
            assert_relative_eq!(vector.iter().map(|x| x * x).sum::<f64>(), 1.0, epsilon = 1e-12);
            for (row, x) in a.iter().zip(vector) {
                let product: f64 = row.iter().zip(vector).map(|(a, v)| a * v).sum();
                assert_relative_eq!(product, value * x, epsilon = 1e-11);
            }
        }
    }

    #[test]
    fn equal_eigenvalues_and_zeros_are_no_trouble() {
        let eigen = symmetric_eigen(&[vec![2.0, 0.0, 0.0], vec![0.0, 2.0, 0.0], vec![0.0, 0.0, 0.0]]);
        assert_eq!(eigen.values, [2.0, 2.0, 0.0]);
        assert!(symmetric_eigen(&[]).values.is_empty());
    }
}

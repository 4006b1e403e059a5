//! Three-vectors and 3 x 3 matrices in `f64`, as plain arrays.

/// A vector or a point, in the order x, y, z.
pub type Vec3 = [f64; 3];

/// A 3 x 3 matrix by rows.
pub type Mat3 = [[f64; 3]; 3];

/// The identity.
pub const IDENTITY: Mat3 = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// a + b
#[must_use]
pub fn add(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

/// a - b
#[must_use]
pub fn sub(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// s a
#[must_use]
pub fn scale(s: f64, a: Vec3) -> Vec3 {
    [s * a[0], s * a[1], s * a[2]]
}

/// Scalar product.
#[must_use]
pub fn dot(a: Vec3, b: Vec3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Vector product.
#[must_use]
pub fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// Euclidean length.
#[must_use]
pub fn norm(a: Vec3) -> f64 {
    dot(a, a).sqrt()
}

/// M v
#[must_use]
pub fn mul_vec(m: &Mat3, v: Vec3) -> Vec3 {
    [dot(m[0], v), dot(m[1], v), dot(m[2], v)]
}

/// A B
#[must_use]
pub fn mul(a: &Mat3, b: &Mat3) -> Mat3 {
    let columns = transpose(b);
    a.map(|row| columns.map(|column| dot(row, column)))
}

/// The transposed matrix.
#[must_use]
pub fn transpose(m: &Mat3) -> Mat3 {
    [[m[0][0], m[1][0], m[2][0]], [m[0][1], m[1][1], m[2][1]], [m[0][2], m[1][2], m[2][2]]]
}

/// The determinant.
#[must_use]
pub fn determinant(m: &Mat3) -> f64 {
    dot(m[0], cross(m[1], m[2]))
}

/// The inverse, or `None` for a singular matrix.
#[must_use]
pub fn inverse(m: &Mat3) -> Option<Mat3> {
    let det = determinant(m);
    if !det.is_normal() {
        return None;
    }
    let columns = [cross(m[1], m[2]), cross(m[2], m[0]), cross(m[0], m[1])];
    Some(transpose(&columns.map(|c| scale(1.0 / det, c))))
}

/// The rotation by |w| radians about the axis w, by the right hand (Rodrigues' formula).
#[must_use]
pub fn rotation(w: Vec3) -> Mat3 {
    let angle = norm(w);
    let k = [[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]];
    let k2 = mul(&k, &k);
    // sin(a)/a and (1 - cos(a))/a^2, by their series where the quotients lose digits.
    let (first, second) = if angle < 1e-4 {
        (1.0 - angle * angle / 6.0, 0.5 - angle * angle / 24.0)
    } else {
        (angle.sin() / angle, (1.0 - angle.cos()) / (angle * angle))
    };
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| IDENTITY[i][j] + first * k[i][j] + second * k2[i][j]))
}

/// The rotation vector of a rotation matrix: the inverse of [`rotation`] for angles below half a turn.
#[must_use]
pub fn rotation_vector(m: &Mat3) -> Vec3 {
    let half = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]].map(|v| 0.5 * v);
    let sine = norm(half);
    let cosine = 0.5 * (m[0][0] + m[1][1] + m[2][2] - 1.0);
    if sine < 1e-12 { half } else { scale(sine.atan2(cosine) / sine, half) }
}

/// Eigenvalues, and the unit eigenvectors as rows, of a symmetric matrix (cyclic Jacobi rotations); in no order.
#[must_use]
pub fn symmetric_eigen(m: &Mat3) -> (Vec3, Mat3) {
    let mut a = *m;
    let mut vectors = IDENTITY;
    // Convergence is quadratic: six sweeps reach rounding, the rest is margin.
    for _ in 0..12 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if a[p][q].abs() <= f64::MIN_POSITIVE {
                continue;
            }
            let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
            let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
            let (c, s) = (1.0 / t.hypot(1.0), t / t.hypot(1.0));
            let mut turn = IDENTITY;
            turn[p][p] = c;
            turn[q][q] = c;
            turn[p][q] = -s;
            turn[q][p] = s;
            a = mul(&mul(&turn, &a), &transpose(&turn));
            vectors = mul(&turn, &vectors);
        }
    }
    ([a[0][0], a[1][1], a[2][2]], vectors)
}

/// sum over k of `values[k]` times the outer product of row k of `rows` with itself.
#[must_use]
pub fn from_axes(values: Vec3, rows: &Mat3) -> Mat3 {
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| (0..3).map(|k| values[k] * rows[k][i] * rows[k][j]).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_matrix_times_its_inverse_is_the_identity() {
        let m = [[2.0, 0.5, -1.0], [0.0, 3.0, 0.25], [1.0, -2.0, 4.0]];
        let product = mul(&m, &inverse(&m).unwrap());
        for (row, expected) in product.iter().flatten().zip(IDENTITY.iter().flatten()) {
            assert_relative_eq!(*row, *expected, epsilon = 1e-14);
        }
        assert_eq!(inverse(&[[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 0.0, 1.0]]), None);
    }

    #[test]
    fn a_rotation_gives_back_its_vector() {
        for w in [[0.3, -0.2, 0.9], [1e-9, 0.0, 2e-9], [0.0, 3.0, 0.0], [0.0; 3]] {
            for (found, expected) in rotation_vector(&rotation(w)).iter().zip(w) {
                assert_relative_eq!(*found, expected, epsilon = 1e-12);
            }
        }
    }

    #[test]
    fn a_symmetric_matrix_is_rebuilt_from_its_eigenvalues() {
        for m in [
            [[4.0, 1.0, -2.0], [1.0, 3.0, 0.5], [-2.0, 0.5, 9.0]],
            [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]],
            [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]],
        ] {
            let (values, rows) = symmetric_eigen(&m);
            for (found, expected) in from_axes(values, &rows).iter().flatten().zip(m.iter().flatten()) {
                assert_relative_eq!(*found, *expected, epsilon = 1e-12);
            }
            for (found, expected) in mul(&rows, &transpose(&rows)).iter().flatten().zip(IDENTITY.iter().flatten()) {
                assert_relative_eq!(*found, *expected, epsilon = 1e-12);
            }
        }
    }
}

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
}

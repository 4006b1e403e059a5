//! Rigid and affine maps as vectors of parameters, all in millimetres.
//!
//! A map is x -> A (x - c) + c + t about the samples' centre c. Its parameters are the shift t and the rotation vector (or
//! the nine elements of A - 1) times the samples' root mean square distance from c: one unit of any parameter then moves the
//! samples by about a millimetre, which is what L-BFGS wants.

use crate::image::Affine;
use crate::math::linalg::{self, Mat3, Vec3};

/// The gradient of a measure over the shift and over the elements of the linear part.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct LinearGradient {
    pub shift: Vec3,
    pub linear: Mat3,
}

/// Which maps are sought and about which point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    /// The samples' centre, mm.
    pub centre: Vec3,
    /// The samples' root mean square distance from the centre, mm.
    pub radius: f64,
}

impl Frame {
    /// The rigid map of six parameters.
    pub fn rigid(&self, parameters: &[f64]) -> Affine {
        let p = |k: usize| parameters.get(k).copied().unwrap_or(0.0);
        let rotation = linalg::scale(1.0 / self.radius, [p(0), p(1), p(2)]);
        Affine::rigid(rotation, self.centre, [p(3), p(4), p(5)])
    }

    /// The six parameters of a rigid map.
    pub fn rigid_parameters(&self, map: &Affine) -> [f64; 6] {
        let w = linalg::scale(self.radius, linalg::rotation_vector(map.linear()));
        let t = linalg::sub(map.apply(self.centre), self.centre);
        [w[0], w[1], w[2], t[0], t[1], t[2]]
    }

    /// The affine map of twelve parameters; `None` where it flattens space.
    pub fn affine(&self, parameters: &[f64]) -> Option<Affine> {
        let p = |k: usize| parameters.get(k).copied().unwrap_or(0.0);
        let linear = [0, 1, 2].map(|i| [0, 1, 2].map(|j| linalg::IDENTITY[i][j] + p(3 * i + j) / self.radius));
        let kept = linalg::sub(self.centre, linalg::mul_vec(&linear, self.centre));
        Affine::new(linear, linalg::add(kept, [p(9), p(10), p(11)])).ok()
    }

    /// The twelve parameters of an affine map.
    pub fn affine_parameters(&self, map: &Affine) -> [f64; 12] {
        let t = linalg::sub(map.apply(self.centre), self.centre);
        let linear = map.linear();
        std::array::from_fn(|k| {
            let (i, j) = (k / 3, k % 3);
            if k < 9 { (linear[i][j] - linalg::IDENTITY[i][j]) * self.radius } else { t[k - 9] }
        })
    }

    /// The gradient over the twelve parameters.
    pub fn affine_gradient(&self, gradient: &LinearGradient) -> [f64; 12] {
        std::array::from_fn(|k| if k < 9 { gradient.linear[k / 3][k % 3] / self.radius } else { gradient.shift[k - 9] })
    }

    /// How far apart two maps take the samples: the mean over the centre and six points around it.
    pub fn distance_mm(&self, a: &Affine, b: &Affine) -> f64 {
        let mut sum = linalg::norm(linalg::sub(a.apply(self.centre), b.apply(self.centre)));
        for axis in 0..3 {
            for side in [-1.0, 1.0] {
                let mut at = self.centre;
                at[axis] += side * self.radius;
                sum += linalg::norm(linalg::sub(a.apply(at), b.apply(at)));
            }
        }
        sum / 7.0
    }

    /// The rigid map that lies a share of the way from one to the other: that share of the rotation that leads from one to
    /// the other, that share of the shift of the centre.
    pub fn between(&self, a: &Affine, b: &Affine, share: f64) -> Affine {
        let rest = a.inverse().then(b);
        let centre = a.apply(self.centre);
        let shift = linalg::sub(rest.apply(centre), centre);
        a.then(&Affine::rigid(
            linalg::scale(share, linalg::rotation_vector(rest.linear())),
            centre,
            linalg::scale(share, shift),
        ))
    }

    /// The gradient over the six parameters at a map with this rotation vector (times the radius).
    ///
    /// d(R v) = \[J dw\] x R v with the left Jacobian J of the rotation group, so the gradient over w is J' times the torque
    /// sum of R v x g, which the elements of `linear` (sum of g v') hold.
    pub fn rigid_gradient(&self, parameters: &[f64], gradient: &LinearGradient) -> [f64; 6] {
        let p = |k: usize| parameters.get(k).copied().unwrap_or(0.0) / self.radius;
        let w = [p(0), p(1), p(2)];
        // M = sum of g (R v)': the torque is its antisymmetric part.
        let m = linalg::mul(&gradient.linear, &linalg::transpose(&linalg::rotation(w)));
        let torque = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]];
        let turn = linalg::mul_vec(&linalg::transpose(&left_jacobian(w)), torque);
        let s = gradient.shift;
        [turn[0] / self.radius, turn[1] / self.radius, turn[2] / self.radius, s[0], s[1], s[2]]
    }
}

/// 1 + (1 - cos a)/a^2 K + (a - sin a)/a^3 K^2 for the rotation vector w of length a and its cross-product matrix K.
fn left_jacobian(w: Vec3) -> Mat3 {
    let a2 = linalg::dot(w, w);
    let a = a2.sqrt();
    let (first, second) = if a < 1e-3 {
        (0.5 - a2 / 24.0, 1.0 / 6.0 - a2 / 120.0)
    } else {
        ((1.0 - a.cos()) / a2, (a - a.sin()) / (a2 * a))
    };
    let k = [[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]];
    let k2 = linalg::mul(&k, &k);
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| linalg::IDENTITY[i][j] + first * k[i][j] + second * k2[i][j]))
}

//! Maps between patient spaces.
//!
//! A [`Transform`] takes a point of the *fixed* (reference) space to the same anatomy's point in the *moving* space, both
//! in LPS millimetres: the direction in which a resampler asks. A DICOM registration matrix (PS3.3 C.20.2.1.1) that brings
//! the moving frame into the fixed one is the inverse.

use serde::{Deserialize, Serialize};

use super::displacement::Displacement;
use crate::math::linalg::{self, Mat3, Vec3};

/// A map from the fixed space to the moving space, mm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Every point stays.
    #[default]
    Identity,
    /// A rotation, or any other linear map, and a shift.
    Affine(Affine),
    /// A vector for every point, on a grid.
    Displacement(Displacement),
    /// Several maps one after the other: the first in the list is applied first.
    Chain(Vec<Transform>),
}

/// y = A x + t with an invertible A.
///
/// Written as a 4 x 4 matrix by rows whose last row is 0 0 0 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[[f64; 4]; 4]", into = "[[f64; 4]; 4]")]
pub struct Affine {
    linear: Mat3,
    shift: Vec3,
    inverse: Mat3,
}

/// Why a matrix is no map between spaces.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum TransformError {
    /// An element is infinite or not a number.
    #[error("the transform matrix has an element that is not finite")]
    NotFinite,
    /// Not a homogeneous matrix of an affine map.
    #[error("the last row of the transform matrix is {0:?}, expected 0 0 0 1")]
    LastRow([f64; 4]),
    /// Space is flattened.
    #[error("the transform matrix has determinant {0:e}, expected an invertible map")]
    Singular(f64),
}

impl Affine {
    /// The identity as a matrix.
    pub const IDENTITY: Self = Self { linear: linalg::IDENTITY, shift: [0.0; 3], inverse: linalg::IDENTITY };

    /// The map y = `linear` x + `shift_mm`.
    ///
    /// # Errors
    /// When an element is not finite, or the matrix cannot be inverted.
    pub fn new(linear: Mat3, shift_mm: Vec3) -> Result<Self, TransformError> {
        if !linear.iter().flatten().chain(&shift_mm).all(|element| element.is_finite()) {
            return Err(TransformError::NotFinite);
        }
        let inverse = linalg::inverse(&linear).ok_or_else(|| TransformError::Singular(linalg::determinant(&linear)))?;
        if !inverse.iter().flatten().all(|element| element.is_finite()) {
            return Err(TransformError::Singular(linalg::determinant(&linear)));
        }
        Ok(Self { linear, shift: shift_mm, inverse })
    }

    /// A rotation about `centre_mm`, then a shift: y = R (x - c) + c + t.
    ///
    /// `rotation_rad` is a rotation vector: its direction is the axis, its length the angle.
    #[must_use]
    pub fn rigid(rotation_rad: Vec3, centre_mm: Vec3, shift_mm: Vec3) -> Self {
        let linear = linalg::rotation(rotation_rad);
        let shift = linalg::sub(linalg::add(centre_mm, shift_mm), linalg::mul_vec(&linear, centre_mm));
        Self { linear, shift, inverse: linalg::transpose(&linear) }
    }

    /// A shift alone.
    #[must_use]
    pub fn translation(shift_mm: Vec3) -> Self {
        Self { shift: shift_mm, ..Self::IDENTITY }
    }

    /// The linear part A.
    #[must_use]
    pub fn linear(&self) -> &Mat3 {
        &self.linear
    }

    /// The shift t, mm.
    #[must_use]
    pub fn shift_mm(&self) -> Vec3 {
        self.shift
    }

    /// Where a point goes.
    #[must_use]
    pub fn apply(&self, point: Vec3) -> Vec3 {
        linalg::add(linalg::mul_vec(&self.linear, point), self.shift)
    }

    /// The map that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let shift = linalg::scale(-1.0, linalg::mul_vec(&self.inverse, self.shift));
        Self { linear: self.inverse, shift, inverse: self.linear }
    }

    /// This map, then `next`.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        Self {
            linear: linalg::mul(&next.linear, &self.linear),
            shift: next.apply(self.shift),
            inverse: linalg::mul(&self.inverse, &next.inverse),
        }
    }

    /// Whether lengths are kept within `tolerance` (relative) and right stays right: a rotation and a shift.
    #[must_use]
    pub fn is_rigid(&self, tolerance: f64) -> bool {
        let gram = linalg::mul(&self.linear, &linalg::transpose(&self.linear));
        let kept =
            gram.iter().flatten().zip(linalg::IDENTITY.iter().flatten()).all(|(a, b)| (a - b).abs() <= tolerance);
        kept && linalg::determinant(&self.linear) > 0.0
    }

    /// The homogeneous matrix by rows.
    #[must_use]
    pub fn matrix(&self) -> [[f64; 4]; 4] {
        let row = |i: usize| [self.linear[i][0], self.linear[i][1], self.linear[i][2], self.shift[i]];
        [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]]
    }
}

impl TryFrom<[[f64; 4]; 4]> for Affine {
    type Error = TransformError;
    fn try_from(m: [[f64; 4]; 4]) -> Result<Self, TransformError> {
        let last = m[3].iter().zip([0.0, 0.0, 0.0, 1.0]).all(|(found, expected)| (found - expected).abs() <= 1e-9);
        if !last {
            return Err(TransformError::LastRow(m[3]));
        }
        Self::new([0, 1, 2].map(|i| [m[i][0], m[i][1], m[i][2]]), [m[0][3], m[1][3], m[2][3]])
    }
}

impl From<Affine> for [[f64; 4]; 4] {
    fn from(affine: Affine) -> Self {
        affine.matrix()
    }
}

impl Transform {
    /// A rotation about `centre_mm`, then a shift; see [`Affine::rigid`].
    #[must_use]
    pub fn rigid(rotation_rad: Vec3, centre_mm: Vec3, shift_mm: Vec3) -> Self {
        Self::Affine(Affine::rigid(rotation_rad, centre_mm, shift_mm))
    }

    /// A shift alone.
    #[must_use]
    pub fn translation(shift_mm: Vec3) -> Self {
        Self::Affine(Affine::translation(shift_mm))
    }

    /// Where a point of the fixed space lies in the moving space.
    #[must_use]
    pub fn apply(&self, point: Vec3) -> Vec3 {
        match self {
            Self::Identity => point,
            Self::Affine(affine) => affine.apply(point),
            Self::Displacement(field) => field.apply(point),
            Self::Chain(steps) => steps.iter().fold(point, |at, step| step.apply(at)),
        }
    }

    /// This map, then `next`: goes from this one's fixed space to the moving space of `next`.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        if let (Some(first), Some(second)) = (self.as_affine(), next.as_affine()) {
            return match (self, next) {
                (Self::Identity, _) => next.clone(),
                (_, Self::Identity) => self.clone(),
                _ => Self::Affine(first.then(&second)),
            };
        }
        Self::Chain(vec![self.clone(), next.clone()])
    }

    /// The map from the moving space to the fixed space, where there is one.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        match self {
            Self::Identity => Some(Self::Identity),
            Self::Affine(affine) => Some(Self::Affine(affine.inverse())),
            Self::Displacement(field) => Some(Self::Displacement(field.inverse())),
            Self::Chain(steps) => steps.iter().rev().map(Self::inverse).collect::<Option<Vec<_>>>().map(Self::Chain),
        }
    }

    /// The whole map as one matrix, where it is one: the resampler's inner loop is then three additions per voxel.
    #[must_use]
    pub fn as_affine(&self) -> Option<Affine> {
        match self {
            Self::Identity => Some(Affine::IDENTITY),
            Self::Affine(affine) => Some(*affine),
            Self::Displacement(_) => None,
            Self::Chain(steps) => {
                steps.iter().try_fold(Affine::IDENTITY, |map, step| step.as_affine().map(|next| map.then(&next)))
            }
        }
    }

    /// The map without what bends in it: its linear steps one after the other.
    #[must_use]
    pub fn linear_part(&self) -> Affine {
        match self {
            Self::Chain(steps) => steps.iter().fold(Affine::IDENTITY, |map, step| map.then(&step.linear_part())),
            other => other.as_affine().unwrap_or(Affine::IDENTITY),
        }
    }

    /// The derivative of the map at a point: how a small step in the fixed space is turned and stretched.
    #[must_use]
    pub fn linear_at(&self, point: Vec3) -> Mat3 {
        match self {
            Self::Identity => linalg::IDENTITY,
            Self::Affine(affine) => *affine.linear(),
            Self::Displacement(field) => field.linear_at(point),
            Self::Chain(steps) => {
                let start = (linalg::IDENTITY, point);
                let (linear, _) = steps
                    .iter()
                    .fold(start, |(linear, at), step| (linalg::mul(&step.linear_at(at), &linear), step.apply(at)));
                linear
            }
        }
    }

    /// Whether it moves no point.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.as_affine().is_some_and(|affine| affine == Affine::IDENTITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    fn assert_close(found: Vec3, expected: Vec3) {
        for (f, e) in found.iter().zip(expected) {
            assert_relative_eq!(*f, e, epsilon = 1e-9);
        }
    }

    #[test]
    fn a_rotation_keeps_its_centre_and_turns_by_the_right_hand() {
        let quarter = Affine::rigid([0.0, 0.0, std::f64::consts::FRAC_PI_2], [1.0, 2.0, 3.0], [0.0; 3]);
        assert_close(quarter.apply([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
        assert_close(quarter.apply([2.0, 2.0, 3.0]), [1.0, 3.0, 3.0]);
        assert!(quarter.is_rigid(1e-12));
    }

    #[test]
    fn a_chain_is_applied_from_first_to_last_and_composes_to_one_matrix() {
        let shift = Transform::translation([10.0, 0.0, 0.0]);
        let turn = Transform::rigid([0.0, 0.0, 0.3], [0.0; 3], [0.0; 3]);
        let chain = Transform::Chain(vec![shift.clone(), turn.clone()]);
        let point = [1.0, -2.0, 4.0];
        assert_close(chain.apply(point), turn.apply(shift.apply(point)));
        assert_close(chain.as_affine().unwrap().apply(point), chain.apply(point));
        assert_close(shift.then(&turn).apply(point), chain.apply(point));
        assert_ne!(turn.then(&shift), shift.then(&turn));
    }

    #[test]
    fn impossible_matrices_are_refused() {
        assert!(Affine::new([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 0.0, 1.0]], [0.0; 3]).is_err());
        assert!(Affine::new([[f64::NAN; 3]; 3], [0.0; 3]).is_err());
        let mut m = Affine::IDENTITY.matrix();
        m[3][0] = 1.0;
        assert_eq!(Affine::try_from(m), Err(TransformError::LastRow(m[3])));
    }

    #[test]
    fn a_mirrored_map_is_not_rigid() {
        let mirror = Affine::new([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.0; 3]).unwrap();
        assert!(!mirror.is_rigid(1e-6));
    }

    #[test]
    fn transforms_survive_json() {
        let chain = Transform::Chain(vec![Transform::Identity, Transform::rigid([0.1, 0.2, -0.3], [5.0; 3], [1.0; 3])]);
        let back: Transform = serde_json::from_str(&serde_json::to_string(&chain).unwrap()).unwrap();
        assert_close(back.apply([7.0, 8.0, 9.0]), chain.apply([7.0, 8.0, 9.0]));
        let flat = r#"{"affine":[[1,0,0,0],[0,1,0,0],[0,0,0,0],[0,0,0,1]]}"#;
        assert!(serde_json::from_str::<Transform>(flat).is_err());
    }

    proptest! {
        #[test]
        fn a_map_and_its_inverse_cancel(
            r in prop::array::uniform3(-3.0..3.0f64),
            t in prop::array::uniform3(-200.0..200.0f64),
            stretch in 0.5..2.0f64,
            p in prop::array::uniform3(-500.0..500.0f64),
        ) {
            let linear = linalg::mul(&linalg::rotation(r), &[[stretch, 0.1, 0.0], [0.0, 1.0, 0.0], [0.2, 0.0, 1.0]]);
            let chain = Transform::Chain(vec![
                Transform::rigid(r, t, p),
                Transform::Affine(Affine::new(linear, t).unwrap()),
            ]);
            let back = chain.inverse().unwrap().apply(chain.apply(p));
            for (found, expected) in back.iter().zip(p) {
                prop_assert!((found - expected).abs() < 1e-8);
            }
        }
    }
}

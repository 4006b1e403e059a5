//! Where an image plane lies in the patient (PS3.3 C.7.6.2.1.1): position, orientation, spacing.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::attributes::{self, AttributeError};
use crate::math::linalg::{self, Vec3};

/// Row and column directions may deviate this much from orthogonal unit vectors: headers round to three decimals at worst.
const ORTHONORMAL_DEVIATION_MAX: f64 = 1e-3;

/// An image plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plane {
    /// Centre of the first pixel, LPS mm: Image Position (Patient) (0020,0032).
    pub position_mm: Vec3,
    /// How the plane is turned.
    pub orientation: Orientation,
    /// Distance of neighbouring pixel centres along the row (x) and along the column (y).
    ///
    /// Pixel Spacing (0028,0030) holds them the other way round: between rows first.
    pub spacing_mm: [f64; 2],
}

/// The directions of a plane: orthogonal unit vectors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orientation {
    /// Direction of increasing column index: first half of Image Orientation (Patient) (0020,0037).
    pub row: Vec3,
    /// Direction of increasing row index: its second half.
    pub column: Vec3,
}

/// Why an image has no place in the patient.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlaneError {
    /// An attribute is absent or unreadable.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// Directions that span no right angle of unit length.
    #[error(
        "ImageOrientationPatient (0020,0037) deviates by {deviation:.1e} from orthogonal unit vectors, at most 1e-3 expected"
    )]
    Orientation {
        /// Largest deviation of a length from 1 or of the scalar product from 0.
        deviation: f64,
    },
}

impl Orientation {
    /// Checked, then made exactly orthonormal: the row keeps its direction.
    ///
    /// # Errors
    /// When a length deviates by more than 1e-3 from 1, or the scalar product from 0.
    pub fn new([rx, ry, rz, cx, cy, cz]: [f64; 6]) -> Result<Self, PlaneError> {
        let (row, column) = ([rx, ry, rz], [cx, cy, cz]);
        let deviation = [linalg::norm(row) - 1.0, linalg::norm(column) - 1.0, linalg::dot(row, column)]
            .into_iter()
            .map(f64::abs)
            .fold(0.0, |worst: f64, d| if d.is_nan() { f64::INFINITY } else { worst.max(d) });
        if deviation > ORTHONORMAL_DEVIATION_MAX {
            return Err(PlaneError::Orientation { deviation });
        }
        let row = linalg::scale(1.0 / linalg::norm(row), row);
        let column = linalg::sub(column, linalg::scale(linalg::dot(row, column), row));
        Ok(Self { row, column: linalg::scale(1.0 / linalg::norm(column), column) })
    }

    /// Row x column: the direction in which slices are sorted.
    #[must_use]
    pub fn normal(&self) -> Vec3 {
        linalg::cross(self.row, self.column)
    }

    /// Whether another plane is turned the same way: every component within 1e-4.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let components = |o: &Self| [o.row, o.column].concat();
        components(self).iter().zip(components(other)).all(|(a, b)| (a - b).abs() <= 1e-4)
    }
}

/// Image Position (Patient).
///
/// # Errors
/// When it is absent, empty or not three numbers.
pub fn position_mm(object: &InMemDicomObject) -> Result<Vec3, PlaneError> {
    let tag = tags::IMAGE_POSITION_PATIENT;
    Ok(attributes::array(object, tag)?.ok_or(AttributeError::Missing { tag, expected: "3 values" })?)
}

/// Image Orientation (Patient).
///
/// # Errors
/// When it is absent, empty, not six numbers, or not orthonormal.
pub fn orientation(object: &InMemDicomObject) -> Result<Orientation, PlaneError> {
    let tag = tags::IMAGE_ORIENTATION_PATIENT;
    Orientation::new(attributes::array(object, tag)?.ok_or(AttributeError::Missing { tag, expected: "6 values" })?)
}

/// Pixel Spacing, as x and y.
///
/// # Errors
/// When it is absent, empty, not two numbers, or not positive.
pub fn spacing_mm(object: &InMemDicomObject) -> Result<[f64; 2], PlaneError> {
    let tag = tags::PIXEL_SPACING;
    let [between_rows, between_columns] =
        attributes::array(object, tag)?.ok_or(AttributeError::Missing { tag, expected: "2 values" })?;
    for found in [between_rows, between_columns] {
        if found <= 0.0 {
            return Err(AttributeError::Range { tag, found, expected: "more than 0 mm" }.into());
        }
    }
    Ok([between_columns, between_rows])
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::VR;

    #[test]
    fn spacing_is_turned_from_rows_first_to_x_first() {
        let mut object = InMemDicomObject::new_empty();
        object.put_str(tags::PIXEL_SPACING, VR::DS, "2\\0.5");
        assert_eq!(spacing_mm(&object), Ok([0.5, 2.0]));
        object.put_str(tags::PIXEL_SPACING, VR::DS, "2\\0");
        assert!(spacing_mm(&object).unwrap_err().to_string().contains("PixelSpacing (0028,0030) is 0"));
    }

    #[test]
    fn rounded_directions_become_exactly_orthonormal_and_wrong_ones_are_refused() {
        let found = Orientation::new([0.998513, 0.0543233, -0.00460834, -0.0540488, 0.997294, 0.0498372]).unwrap();
        assert!(linalg::dot(found.row, found.column).abs() < 1e-15);
        assert!((linalg::norm(found.column) - 1.0).abs() < 1e-15);
        assert!(Orientation::new([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).is_err());
        assert!(Orientation::new([0.0; 6]).is_err());
        assert!(Orientation::new([1.0, 0.0, 0.0, 0.0, f64::NAN, 0.0]).is_err());
    }
}

//! What holds for a spatial registration: every item has images and a matrix of a map between frames, or a grid with a vector
//! for each of its nodes.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::Violation;
use crate::dicom::attributes::{first_item, has_value, items, numbers};

/// Adds what a deformable registration breaks.
pub(super) fn check_deformable(document: &InMemDicomObject, violations: &mut Vec<Violation>) {
    let mut n_grids = 0;
    let registered = items(document, tags::DEFORMABLE_REGISTRATION_SEQUENCE);
    if registered.len() < 2 {
        violations.push(Violation::Registration("it has no two sets of images"));
    }
    for item in registered {
        if !has_value(item, tags::SOURCE_FRAME_OF_REFERENCE_UID) {
            violations.push(Violation::Registration("an item names no source frame of reference"));
        }
        let Some(grid) = first_item(item, tags::DEFORMABLE_REGISTRATION_GRID_SEQUENCE) else { continue };
        n_grids += 1;
        let nodes: f64 = numbers(grid, tags::GRID_DIMENSIONS).map(|sizes| sizes.iter().product()).unwrap_or_default();
        let bytes =
            grid.get(tags::VECTOR_GRID_DATA).and_then(|element| element.to_bytes().ok().map(|bytes| bytes.len()));
        #[allow(clippy::cast_precision_loss)] // lengths in a file
        if bytes.is_none_or(|bytes| (bytes as f64 - 12.0 * nodes).abs() > 0.5) {
            violations.push(Violation::Registration("a grid has not one vector for each of its nodes"));
        }
    }
    if n_grids == 0 {
        violations.push(Violation::Registration("no item has a grid"));
    }
}

/// Adds what a registration breaks.
pub(super) fn check(document: &InMemDicomObject, violations: &mut Vec<Violation>) {
    let registered = items(document, tags::REGISTRATION_SEQUENCE);
    if registered.len() < 2 {
        violations.push(Violation::Registration("it has no two sets of images"));
    }
    for item in registered {
        if !has_value(item, tags::REFERENCED_IMAGE_SEQUENCE) {
            violations.push(Violation::Registration("an item names no images"));
        }
        let matrix = first_item(item, tags::MATRIX_REGISTRATION_SEQUENCE)
            .and_then(|registration| first_item(registration, tags::MATRIX_SEQUENCE))
            .and_then(|matrix| numbers(matrix, tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX).ok());
        let last_row = matrix.as_deref().and_then(|elements| elements.get(12..16));
        let affine = last_row.is_some_and(|row| {
            row.iter().zip([0.0, 0.0, 0.0, 1.0]).all(|(found, expected)| (found - expected).abs() < 1e-12)
        });
        if !affine {
            violations.push(Violation::Registration("an item has no 4 x 4 matrix of an affine map"));
        }
    }
}

//! Spatial registration objects (PS3.3 A.39): where an estimated map takes one role's images into the reference's space; a
//! map that bends is a Deformable Spatial Registration (A.39.2).
//!
//! Our maps go from the reference (fixed) to the other role (moving), the direction in which a resampler asks. The matrix of
//! a registration object takes coordinates of the item's images into the registered frame (C.20.2.1.1): it is the inverse.
//! Roles often share one Frame of Reference that is not true, so each item names its images, not only its frame.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::header::{self, Own};
use super::{CaseResult, ImageSeries, RegistrationResult, ReportError, identity};
use crate::dicom::codes::{Coded, code_item, concepts as c, scheme_item};
use crate::dicom::uid::Uid;
use crate::dicom::write::{
    plain_text, put_bytes, put_decimals, put_empty, put_f64s, put_items, put_text, put_u32s, put_uid, reference_item,
};
use crate::image::{Affine, Displacement, Transform};

/// One REG, not yet encoded.
pub(super) struct Registration {
    pub(super) name: String,
    pub(super) object: InMemDicomObject,
    pub(super) series: Uid,
    pub(super) sop_instance: Uid,
}

/// How far a map may be from a rotation and a shift (relative lengths) and still be called rigid.
const RIGID_TOLERANCE: f64 = 1e-6;

/// The REG objects of a result: one for each role whose map was estimated from the images.
///
/// # Errors
/// When a registration names a role without images, its map is no matrix, or a number is not finite.
pub(super) fn registrations(case: &CaseResult, reference: &ImageSeries) -> Result<Vec<Registration>, ReportError> {
    let estimated = case.registrations.iter().filter(|registration| registration.estimated);
    estimated.map(|registration| object(case, reference, registration)).collect()
}

/// The object of one map.
///
/// # Errors
/// As [`registrations`].
pub(super) fn object(
    case: &CaseResult,
    fixed: &ImageSeries,
    result: &RegistrationResult,
) -> Result<Registration, ReportError> {
    let moving = case.images.iter().find(|image| image.role == result.role);
    let moving = moving.ok_or_else(|| ReportError::NoImages(result.role.clone()))?;
    let map = Map::of(&result.fixed_to_moving).ok_or_else(|| ReportError::NoMatrix(result.role.clone()))?;
    let name = super::document_name("reg", &moving.role);
    let (series, sop_instance) = (identity::series(case, &name), identity::instance(case, &name));
    let mut object = InMemDicomObject::new_empty();
    let own = Own {
        sop_class: match map {
            Map::Matrix(_) => uids::SPATIAL_REGISTRATION_STORAGE,
            Map::Bends { .. } => uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE,
        },
        sop_instance: &sop_instance,
        series: &series,
        modality: "REG",
        series_number: 9300,
        series_description: format!("Registration {} to {} (research use)", moving.role, fixed.role),
    };
    header::put_own(&mut object, case, &own);
    header::put_patient_and_study(&mut object, fixed);
    put_items(&mut object, tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, vec![scheme_item("DCM")]);
    put_uid(&mut object, tags::FRAME_OF_REFERENCE_UID, &identity::frame_of_reference(case, fixed));
    put_empty(&mut object, tags::POSITION_REFERENCE_INDICATOR);
    put_empty(&mut object, tags::LATERALITY); // type 2C: nobody says which side the whole series is on
    put_text(&mut object, tags::CONTENT_LABEL, "REGISTRATION");
    let trust = if result.trusted { "" } else { "not trusted; " };
    let description = format!("{trust}{} to {}, for research use only", moving.role, fixed.role);
    put_text(&mut object, tags::CONTENT_DESCRIPTION, plain_text(&description, 64));
    put_empty(&mut object, tags::CONTENT_CREATOR_NAME);
    let kind = if result.estimated { &c::CONTENT_BASED_ALIGNMENT } else { &c::FRAME_OF_REFERENCE_IDENTITY };
    match map {
        Map::Matrix(map) => {
            let items = vec![
                item(case, fixed, &Affine::IDENTITY, &c::FRAME_OF_REFERENCE_IDENTITY, "the reference itself")?,
                item(case, moving, &map.inverse(), kind, &result.note)?,
            ];
            put_items(&mut object, tags::REGISTRATION_SEQUENCE, items);
        }
        Map::Bends { field, then } => {
            let itself = (None, &Affine::IDENTITY);
            let items = vec![
                deformable_item(case, fixed, itself, &c::FRAME_OF_REFERENCE_IDENTITY, "the reference itself")?,
                deformable_item(case, moving, (Some(field), &then), kind, &result.note)?,
            ];
            put_items(&mut object, tags::DEFORMABLE_REGISTRATION_SEQUENCE, items);
        }
    }
    put_references(&mut object, fixed, moving);
    Ok(Registration { name, object, series, sop_instance })
}

/// A map as registration objects can hold it.
enum Map<'a> {
    /// Spatial Registration.
    Matrix(Affine),
    /// Deformable Spatial Registration: a displacement in the registered frame, then a matrix.
    Bends { field: &'a Displacement, then: Affine },
}

impl<'a> Map<'a> {
    fn of(transform: &'a Transform) -> Option<Self> {
        if let Some(map) = transform.as_affine() {
            return Some(Self::Matrix(map));
        }
        match transform {
            Transform::Displacement(field) => Some(Self::Bends { field, then: Affine::IDENTITY }),
            Transform::Chain(steps) => match steps.split_first()? {
                (Transform::Displacement(field), rest) => {
                    let then = Transform::Chain(rest.to_vec()).as_affine()?;
                    Some(Self::Bends { field, then })
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// The images of one source with the way from the registered frame to them (PS3.3 table C.20.3-1): x -> post (x + d(x)), or
/// the matrix alone.
///
/// It leads the other way than the matrix of a Spatial Registration. There is no matrix before the grid.
fn deformable_item(
    case: &CaseResult,
    image: &ImageSeries,
    (field, then): (Option<&Displacement>, &Affine),
    kind: &Coded,
    comment: &str,
) -> Result<InMemDicomObject, ReportError> {
    let mut item = InMemDicomObject::new_empty();
    put_uid(&mut item, tags::SOURCE_FRAME_OF_REFERENCE_UID, &identity::frame_of_reference(case, image));
    put_items(&mut item, tags::REFERENCED_IMAGE_SEQUENCE, instances(image));
    let comment = plain_text(comment, 64);
    if !comment.is_empty() {
        put_text(&mut item, tags::FRAME_OF_REFERENCE_TRANSFORMATION_COMMENT, comment);
    }
    put_items(&mut item, tags::REGISTRATION_TYPE_CODE_SEQUENCE, vec![code_item(kind)]);
    if let Some(field) = field {
        put_items(&mut item, tags::DEFORMABLE_REGISTRATION_GRID_SEQUENCE, vec![grid_item(field)?]);
    }
    put_items(&mut item, tags::POST_DEFORMATION_MATRIX_REGISTRATION_SEQUENCE, vec![matrix_item(then)?]);
    Ok(item)
}

/// The displacements at the nodes of a grid.
fn grid_item(field: &Displacement) -> Result<InMemDicomObject, ReportError> {
    let geometry = field.grid();
    let mut grid = InMemDicomObject::new_empty();
    put_decimals(&mut grid, tags::IMAGE_POSITION_PATIENT, &geometry.origin_mm)?;
    put_decimals(&mut grid, tags::IMAGE_ORIENTATION_PATIENT, geometry.directions[..2].as_flattened())?;
    let size = |n: usize| {
        u32::try_from(n).map_err(|_| ReportError::TooMany { what: "grid nodes", found: n, most: u32::MAX as usize })
    };
    put_u32s(&mut grid, tags::GRID_DIMENSIONS, geometry.size.map(size).into_iter().collect::<Result<Vec<_>, _>>()?);
    put_f64s(&mut grid, tags::GRID_RESOLUTION, geometry.spacing_mm);
    // Where nothing is known a reader would find no number: it stays in place.
    let known = |vector: &[f32; 3]| if vector.iter().all(|v| v.is_finite()) { *vector } else { [0.0; 3] };
    let bytes = field.vectors().iter().map(known).flat_map(|v| v.map(f32::to_le_bytes)).flatten().collect();
    put_bytes(&mut grid, tags::VECTOR_GRID_DATA, VR::OF, bytes);
    Ok(grid)
}

/// A matrix with its type.
fn matrix_item(map: &Affine) -> Result<InMemDicomObject, ReportError> {
    let rows: Vec<f64> = map.matrix().into_iter().flatten().collect();
    let mut matrix = InMemDicomObject::new_empty();
    put_decimals(&mut matrix, tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX, &rows)?;
    let kind = if map.is_rigid(RIGID_TOLERANCE) { "RIGID" } else { "AFFINE" };
    put_text(&mut matrix, tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX_TYPE, kind);
    Ok(matrix)
}

/// One set of images and the matrix that takes it into the registered frame (PS3.3 table C.20.2-1).
fn item(
    case: &CaseResult,
    image: &ImageSeries,
    to_registered: &Affine,
    kind: &Coded,
    comment: &str,
) -> Result<InMemDicomObject, ReportError> {
    let matrix = matrix_item(to_registered)?;
    let mut registration = InMemDicomObject::new_empty();
    let comment = plain_text(comment, 64);
    if !comment.is_empty() {
        put_text(&mut registration, tags::FRAME_OF_REFERENCE_TRANSFORMATION_COMMENT, comment);
    }
    put_items(&mut registration, tags::REGISTRATION_TYPE_CODE_SEQUENCE, vec![code_item(kind)]);
    put_items(&mut registration, tags::MATRIX_SEQUENCE, vec![matrix]);
    let mut item = InMemDicomObject::new_empty();
    put_uid(&mut item, tags::FRAME_OF_REFERENCE_UID, &identity::frame_of_reference(case, image));
    put_items(&mut item, tags::REFERENCED_IMAGE_SEQUENCE, instances(image));
    put_items(&mut item, tags::MATRIX_REGISTRATION_SEQUENCE, vec![registration]);
    Ok(item)
}

/// Each instance of a series once.
fn instances(image: &ImageSeries) -> Vec<InMemDicomObject> {
    let mut seen = std::collections::HashSet::new();
    let slices = image.slices.iter().filter(|(_, instance)| seen.insert(instance));
    slices.map(|(class, instance)| reference_item(class, instance)).collect()
}

/// PS3.3 C.12.2: the images of the document's own study, and those of others.
fn put_references(object: &mut InMemDicomObject, fixed: &ImageSeries, moving: &ImageSeries) {
    let series_item = |image: &ImageSeries| {
        let mut item = InMemDicomObject::new_empty();
        put_uid(&mut item, tags::SERIES_INSTANCE_UID, &image.series);
        put_items(&mut item, tags::REFERENCED_INSTANCE_SEQUENCE, instances(image));
        item
    };
    let mut own = vec![series_item(fixed)];
    if moving.study == fixed.study {
        own.push(series_item(moving));
    } else {
        let mut study = InMemDicomObject::new_empty();
        put_uid(&mut study, tags::STUDY_INSTANCE_UID, &moving.study);
        put_items(&mut study, tags::REFERENCED_SERIES_SEQUENCE, vec![series_item(moving)]);
        put_items(object, tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE, vec![study]);
    }
    put_items(object, tags::REFERENCED_SERIES_SEQUENCE, own);
}

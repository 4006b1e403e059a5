//! Registration objects: maps between the spaces of images, as others found them.
//!
//! Spatial Registration (PS3.3 A.39): each item of Registration Sequence has a matrix that takes coordinates of its images
//! into the object's frame, the registered one (C.20.2.1.1). Deformable Spatial Registration (A.39.2): each item leads the
//! other way, from the registered frame to its images (the source): x -> post (pre x + d(x)), the displacement d looked up at
//! x itself, before the first matrix (C.20.3.1.3). A deformable item without a grid is its matrices alone.
//!
//! Several matrices of one item are applied one after the other, the first first. A matrix whose determinant is not positive
//! is refused: it would mirror the anatomy.
//!
//! Published exporters are known to write the inverse of what they mean: whoever uses a map verifies it on the images, in
//! both directions.

use std::collections::BTreeSet;
use std::path::Path;

use dicom_core::Tag;
use dicom_core::value::{PrimitiveValue, Value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use crate::dicom::attributes::{self, AttributeError};
use crate::dicom::geometry::{Orientation, PlaneError};
use crate::dicom::part10::{FormatError, Keep, Part10};
use crate::dicom::uid::Uid;
use crate::error::{Duty, Fault, Retry};
use crate::image::{Affine, Displacement, DisplacementError, Geometry, GeometryError, Transform, TransformError};
use crate::math::linalg::{self, Vec3};

/// Nodes of one deformation grid: 256^3 vectors are 200 MB.
const NODES_MAX: usize = 1 << 24;

/// Why a registration object cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegError {
    /// The file is no DICOM file.
    #[error("the registration cannot be read: {0}")]
    Format(#[from] FormatError),
    /// An attribute is not what it must be.
    #[error("the registration is not usable: {0}")]
    Attribute(#[from] AttributeError),
    /// Neither of the two kinds.
    #[error("SOP class {0} is no spatial registration")]
    Class(Uid),
    /// A matrix that is no map.
    #[error("the registration is not usable: {0}")]
    Matrix(#[from] TransformError),
    /// A matrix that turns a left hand into a right hand.
    #[error(
        "Frame of Reference Transformation Matrix (3006,00C6) has determinant {0:.4}, expected more than 0: it mirrors the anatomy"
    )]
    Mirrored(f64),
    /// The grid of a deformation has no place.
    #[error("the deformation grid is not usable: {0}")]
    Plane(#[from] PlaneError),
    /// The grid of a deformation cannot be.
    #[error("the deformation grid is not usable: {0}")]
    Geometry(#[from] GeometryError),
    /// Not as many vectors as nodes.
    #[error("the deformation grid is not usable: {0}")]
    Vectors(#[from] DisplacementError),
    /// More than is read.
    #[error("the deformation grid has {0} nodes, at most {NODES_MAX} are read")]
    TooLarge(u64),
}

impl Duty for RegError {
    fn fault(&self) -> Fault {
        match self {
            Self::Format(error) => error.fault(),
            _ => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Format(error) => error.retry(),
            _ => Retry::Never,
        }
    }
}

/// One registration object.
#[derive(Debug, Clone)]
pub struct RegistrationObject {
    /// SOP Class UID.
    pub sop_class: Uid,
    /// SOP Instance UID.
    pub sop_instance: Uid,
    /// Frame of Reference UID (0020,0052): the registered frame.
    pub frame_of_reference: Uid,
    /// The images that it brings together.
    pub items: Vec<RegistrationItem>,
}

/// One set of images with its map.
#[derive(Debug, Clone)]
pub struct RegistrationItem {
    /// Frame of Reference UID (0020,0052), or Source Frame of Reference UID (0064,0003).
    pub frame_of_reference: Option<Uid>,
    /// The images that it names, Referenced Image Sequence (0008,1140); often none.
    pub images: BTreeSet<Uid>,
    map: ItemMap,
}

/// The map of an item, in the direction in which it is written.
#[derive(Debug, Clone)]
enum ItemMap {
    /// From the item's images into the registered frame.
    ToRegistered(Affine),
    /// From the registered frame to the item's images.
    FromRegistered(Transform),
}

/// A series, as a registration object may name it.
#[derive(Debug, Clone, Copy)]
pub struct RegisteredImages<'a> {
    /// Its Frame of Reference UID.
    pub frame_of_reference: Option<&'a Uid>,
    /// SOP class and instance of its images.
    pub images: &'a [(Uid, Uid)],
}

impl RegistrationItem {
    /// The map from the item's images into the registered frame; `None` where a deformation has no inverse.
    #[must_use]
    pub fn to_registered(&self) -> Option<Transform> {
        match &self.map {
            ItemMap::ToRegistered(affine) => Some(Transform::Affine(*affine)),
            ItemMap::FromRegistered(transform) => transform.inverse(),
        }
    }

    /// The map from the registered frame to the item's images.
    #[must_use]
    pub fn from_registered(&self) -> Transform {
        match &self.map {
            ItemMap::ToRegistered(affine) => Transform::Affine(affine.inverse()),
            ItemMap::FromRegistered(transform) => transform.clone(),
        }
    }
}

impl RegistrationObject {
    /// Reads a registration object of either kind.
    ///
    /// # Errors
    /// When the file is not DICOM, of another class, or one of its maps is none.
    pub fn read(path: &Path) -> Result<Self, RegError> {
        Self::from_object(&Part10::open(path, Keep::All)?.object)
    }

    /// The registration in a data set.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_object(object: &InMemDicomObject) -> Result<Self, RegError> {
        let sop_class = attributes::required_uid(object, tags::SOP_CLASS_UID)?;
        let items = match sop_class.as_str() {
            uids::SPATIAL_REGISTRATION_STORAGE => {
                attributes::items(object, tags::REGISTRATION_SEQUENCE).iter().map(rigid_item).collect()
            }
            uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE => {
                attributes::items(object, tags::DEFORMABLE_REGISTRATION_SEQUENCE).iter().map(deformable_item).collect()
            }
            _ => Err(RegError::Class(sop_class.clone())),
        }?;
        Ok(Self {
            sop_class,
            sop_instance: attributes::required_uid(object, tags::SOP_INSTANCE_UID)?,
            frame_of_reference: attributes::required_uid(object, tags::FRAME_OF_REFERENCE_UID)?,
            items,
        })
    }

    /// The map from the space of one series to that of another; `None` where the object does not tell of both, or tells
    /// of them in one breath.
    ///
    /// A series belongs to the item that names one of its images, else to the only item of its Frame of Reference, else to
    /// the registered frame itself where that is its own.
    #[must_use]
    pub fn between(&self, fixed: RegisteredImages<'_>, moving: RegisteredImages<'_>) -> Option<Transform> {
        let (from, to) = (self.place_of(fixed)?, self.place_of(moving)?);
        if from == to {
            return None;
        }
        let item = |place: Place| match place {
            Place::Item(index) => self.items.get(index),
            Place::Registered => None,
        };
        let to_registered = item(from).map_or(Some(Transform::Identity), RegistrationItem::to_registered)?;
        let from_registered = item(to).map_or(Transform::Identity, RegistrationItem::from_registered);
        Some(to_registered.then(&from_registered))
    }

    fn place_of(&self, series: RegisteredImages<'_>) -> Option<Place> {
        let names_one = |item: &RegistrationItem| series.images.iter().any(|(_, image)| item.images.contains(image));
        if let Some(index) = self.items.iter().position(names_one) {
            return Some(Place::Item(index));
        }
        let frame = series.frame_of_reference?;
        let of_frame = |item: &RegistrationItem| item.frame_of_reference.as_ref() == Some(frame);
        let mut items = self.items.iter().enumerate().filter(|(_, item)| of_frame(item)).map(|(index, _)| index);
        match (items.next(), items.next()) {
            (Some(index), None) => Some(Place::Item(index)),
            (None, _) => (*frame == self.frame_of_reference).then_some(Place::Registered),
            (Some(_), Some(_)) => None,
        }
    }
}

/// Where a series stands in a registration object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Item(usize),
    Registered,
}

fn images(item: &InMemDicomObject) -> BTreeSet<Uid> {
    let references = attributes::items(item, tags::REFERENCED_IMAGE_SEQUENCE).iter();
    references.filter_map(|image| attributes::uid(image, tags::REFERENCED_SOP_INSTANCE_UID).ok().flatten()).collect()
}

/// PS3.3 table C.20.2-1
fn rigid_item(item: &InMemDicomObject) -> Result<RegistrationItem, RegError> {
    let mut map = Affine::IDENTITY;
    for registration in attributes::items(item, tags::MATRIX_REGISTRATION_SEQUENCE) {
        for matrix in attributes::items(registration, tags::MATRIX_SEQUENCE) {
            map = map.then(&affine(matrix)?);
        }
    }
    Ok(RegistrationItem {
        frame_of_reference: attributes::uid(item, tags::FRAME_OF_REFERENCE_UID)?,
        images: images(item),
        map: ItemMap::ToRegistered(map),
    })
}

/// PS3.3 table C.20.3-1
fn deformable_item(item: &InMemDicomObject) -> Result<RegistrationItem, RegError> {
    let matrix = |tag| attributes::first_item(item, tag).map_or(Ok(Affine::IDENTITY), affine);
    let before = matrix(tags::PRE_DEFORMATION_MATRIX_REGISTRATION_SEQUENCE)?;
    let after = matrix(tags::POST_DEFORMATION_MATRIX_REGISTRATION_SEQUENCE)?;
    let rest = Transform::Affine(before.then(&after));
    let map = match attributes::first_item(item, tags::DEFORMABLE_REGISTRATION_GRID_SEQUENCE) {
        None => rest,
        Some(grid) => Transform::Chain(vec![Transform::Displacement(displacement(grid, &before)?), rest]),
    };
    Ok(RegistrationItem {
        frame_of_reference: attributes::uid(item, tags::SOURCE_FRAME_OF_REFERENCE_UID)?,
        images: images(item),
        map: ItemMap::FromRegistered(map),
    })
}

/// Frame of Reference Transformation Matrix (3006,00C6), by rows.
fn affine(item: &InMemDicomObject) -> Result<Affine, RegError> {
    let tag = tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX;
    let numbers = attributes::array::<16>(item, tag)?;
    let numbers = numbers.ok_or(AttributeError::Missing { tag, expected: "16 values" })?;
    let (rows, _) = numbers.as_chunks::<4>();
    let rows: [[f64; 4]; 4] =
        rows.try_into().map_err(|_| AttributeError::Count { tag, found: numbers.len(), expected: "16 values" })?;
    let affine = Affine::try_from(rows)?;
    let determinant = linalg::determinant(affine.linear());
    if determinant <= 0.0 {
        return Err(RegError::Mirrored(determinant));
    }
    Ok(affine)
}

/// The vectors of a grid as a displacement *before* the pre matrix: pre x + d = pre (x + pre^-1 d).
fn displacement(grid: &InMemDicomObject, before: &Affine) -> Result<Displacement, RegError> {
    let vectors = vectors(grid)?;
    let missing = |tag, expected| AttributeError::Missing { tag, expected };
    let numbers = |tag| -> Result<[f64; 3], AttributeError> {
        attributes::array::<3>(grid, tag)?.ok_or(missing(tag, "3 values"))
    };
    let turned = attributes::array::<6>(grid, tags::IMAGE_ORIENTATION_PATIENT)?;
    let turned = Orientation::new(turned.ok_or(missing(tags::IMAGE_ORIENTATION_PATIENT, "6 values"))?)?;
    let sizes = numbers(tags::GRID_DIMENSIONS)?;
    let nodes = sizes.iter().product::<f64>();
    // As many vectors as nodes is checked below; sizes that are no sizes would pass by their product.
    if sizes.iter().any(|n| *n < 1.0 || n.fract() != 0.0) || nodes > NODES_MAX as f64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, which is what is meant
        return Err(RegError::TooLarge(nodes as u64));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded above
    let size = sizes.map(|n| n as usize);
    let geometry = Geometry::new(
        size,
        numbers(tags::GRID_RESOLUTION)?,
        numbers(tags::IMAGE_POSITION_PATIENT)?,
        [turned.row, turned.column, turned.normal()],
    )?;
    let back = before.inverse();
    let moved = |vector: &[f32; 3]| -> [f32; 3] {
        let vector: Vec3 = vector.map(f64::from);
        #[allow(clippy::cast_possible_truncation)] // a field is single precision
        linalg::mul_vec(back.linear(), vector).map(|v| v as f32)
    };
    Ok(Displacement::new(geometry, vectors.iter().map(moved).collect())?)
}

/// Vector Grid Data (0064,0009): three floats per node, x fastest.
fn vectors(grid: &InMemDicomObject) -> Result<Vec<[f32; 3]>, RegError> {
    let tag: Tag = tags::VECTOR_GRID_DATA;
    let floats: Vec<f32> = match grid.get(tag).map(|element| element.value()) {
        Some(Value::Primitive(PrimitiveValue::F32(floats))) => floats.to_vec(),
        Some(Value::Primitive(PrimitiveValue::U8(bytes))) => {
            bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
        }
        _ => return Err(AttributeError::Missing { tag, expected: "three floats per node" }.into()),
    };
    Ok(floats.as_chunks::<3>().0.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, VR, value::DataSetSequence};

    fn put_sequence(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
        object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
    }

    fn matrix(affine: &Affine) -> InMemDicomObject {
        let numbers: Vec<String> = affine.matrix().iter().flatten().map(f64::to_string).collect();
        matrix_of(&numbers.join("\\"))
    }

    fn matrix_of(numbers: &str) -> InMemDicomObject {
        let mut item = InMemDicomObject::new_empty();
        item.put_str(tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX, VR::DS, numbers);
        item
    }

    fn rigid(frame: &str, images: &[&str], matrices: Vec<InMemDicomObject>) -> InMemDicomObject {
        let mut registration = InMemDicomObject::new_empty();
        put_sequence(&mut registration, tags::MATRIX_SEQUENCE, matrices);
        let mut item = InMemDicomObject::new_empty();
        item.put_str(tags::FRAME_OF_REFERENCE_UID, VR::UI, frame);
        put_sequence(&mut item, tags::MATRIX_REGISTRATION_SEQUENCE, vec![registration]);
        let image = |uid: &&str| {
            let mut image = InMemDicomObject::new_empty();
            image.put_str(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, *uid);
            image
        };
        put_sequence(&mut item, tags::REFERENCED_IMAGE_SEQUENCE, images.iter().map(image).collect());
        item
    }

    fn object(class: &str, sequence: Tag, items: Vec<InMemDicomObject>) -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        object.put_str(tags::SOP_CLASS_UID, VR::UI, class);
        object.put_str(tags::SOP_INSTANCE_UID, VR::UI, "2.25.1");
        object.put_str(tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.100");
        put_sequence(&mut object, sequence, items);
        object
    }

    fn spatial(items: Vec<InMemDicomObject>) -> Result<RegistrationObject, RegError> {
        let class = uids::SPATIAL_REGISTRATION_STORAGE;
        RegistrationObject::from_object(&object(class, tags::REGISTRATION_SEQUENCE, items))
    }

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn assert_close(found: Vec3, expected: Vec3) {
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-4), "{found:?} is not {expected:?}");
    }

    #[test]
    fn a_matrix_takes_the_items_images_into_the_registered_frame() {
        let turn = Affine::rigid([0.0, 0.0, 0.2], [10.0, 0.0, 0.0], [1.0, 2.0, 3.0]);
        let (fixed, moving) = (uid("2.25.100"), uid("2.25.200"));
        let found = spatial(vec![rigid("2.25.200", &[], vec![matrix(&turn)])]).unwrap();
        let images = |frame| RegisteredImages { frame_of_reference: Some(frame), images: &[] };
        let map = found.between(images(&fixed), images(&moving)).unwrap();
        let point = [5.0, -7.0, 30.0];
        assert_close(turn.apply(map.apply(point)), point);
        let back = found.between(images(&moving), images(&fixed)).unwrap();
        assert_close(back.apply(point), turn.apply(point));
        assert!(found.between(images(&fixed), images(&fixed)).is_none());
        assert!(found.between(images(&fixed), images(&uid("2.25.300"))).is_none());
    }

    #[test]
    fn items_that_share_a_frame_of_reference_are_told_apart_by_their_images_or_not_at_all() {
        let shift = |x| matrix(&Affine::translation([x, 0.0, 0.0]));
        let items = vec![
            rigid("2.25.100", &["2.25.11"], vec![shift(0.0)]),
            rigid("2.25.100", &["2.25.12"], vec![shift(4.0), shift(3.0)]),
        ];
        let found = spatial(items).unwrap();
        let (frame, class) = (uid("2.25.100"), uid("1.2.3"));
        let [first, second] = ["2.25.11", "2.25.12"].map(|image| [(class.clone(), uid(image))]);
        let of = |images| RegisteredImages { frame_of_reference: Some(&frame), images };
        let map = found.between(of(&first), of(&second)).unwrap();
        assert_close(map.apply([10.0, 0.0, 0.0]), [3.0, 0.0, 0.0]);
        assert!(found.between(of(&first), of(&[])).is_none());
    }

    #[test]
    fn mirrored_flat_and_incomplete_matrices_are_refused() {
        let item = |numbers: &str| spatial(vec![rigid("2.25.200", &[], vec![matrix_of(numbers)])]);
        let mirrored = item("-1\\0\\0\\0\\0\\1\\0\\0\\0\\0\\1\\0\\0\\0\\0\\1").unwrap_err();
        assert!(matches!(mirrored, RegError::Mirrored(_)) && mirrored.to_string().contains("mirrors"));
        assert!(matches!(item("1\\0\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\1"), Err(RegError::Matrix(_))));
        assert!(matches!(item("1\\0\\0"), Err(RegError::Attribute(_))));
        let other = object(uids::CT_IMAGE_STORAGE, tags::REGISTRATION_SEQUENCE, Vec::new());
        assert!(matches!(RegistrationObject::from_object(&other), Err(RegError::Class(_))));
    }

    fn deformable(n_vectors: usize) -> Result<RegistrationObject, RegError> {
        let mut grid = InMemDicomObject::new_empty();
        grid.put_str(tags::IMAGE_POSITION_PATIENT, VR::DS, "0\\0\\0");
        grid.put_str(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
        grid.put(DataElement::new(tags::GRID_DIMENSIONS, VR::UL, dicom_core::dicom_value!(U32, [3, 2, 2])));
        grid.put(DataElement::new(tags::GRID_RESOLUTION, VR::FD, dicom_core::dicom_value!(F64, [10.0, 10.0, 10.0])));
        // d(x) = (0, 0.1 x, 0): it depends on where it is looked up.
        let floats = (0..n_vectors).flat_map(|node| [0.0, (node % 3) as f32, 0.0]).collect();
        grid.put(DataElement::new(tags::VECTOR_GRID_DATA, VR::OF, PrimitiveValue::F32(floats)));
        let mut item = InMemDicomObject::new_empty();
        item.put_str(tags::SOURCE_FRAME_OF_REFERENCE_UID, VR::UI, "2.25.200");
        put_sequence(&mut item, tags::DEFORMABLE_REGISTRATION_GRID_SEQUENCE, vec![grid]);
        let quarter = Affine::rigid([0.0, 0.0, std::f64::consts::FRAC_PI_2], [0.0; 3], [5.0, 0.0, 0.0]);
        put_sequence(&mut item, tags::PRE_DEFORMATION_MATRIX_REGISTRATION_SEQUENCE, vec![matrix(&quarter)]);
        let shift = Affine::translation([0.0, 0.0, 7.0]);
        put_sequence(&mut item, tags::POST_DEFORMATION_MATRIX_REGISTRATION_SEQUENCE, vec![matrix(&shift)]);
        let class = uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE;
        RegistrationObject::from_object(&object(class, tags::DEFORMABLE_REGISTRATION_SEQUENCE, vec![item]))
    }

    #[test]
    fn a_deformation_is_looked_up_in_the_registered_frame_before_the_first_matrix() {
        let found = deformable(12).unwrap();
        let (registered, source) = (uid("2.25.100"), uid("2.25.200"));
        let images = |frame| RegisteredImages { frame_of_reference: Some(frame), images: &[] };
        let map = found.between(images(&registered), images(&source)).unwrap();
        // pre (12, 4, 5) = (-4 + 5, 12, 5); + d(12, 4, 5) = (0, 1.2, 0); post adds 7 to z.
        assert_close(map.apply([12.0, 4.0, 5.0]), [1.0, 13.2, 12.0]);
        let back = found.between(images(&source), images(&registered)).unwrap();
        assert_close(back.apply([1.0, 13.2, 12.0]), [12.0, 4.0, 5.0]);
        assert!(map.apply([40.0, 4.0, 5.0])[0].is_nan(), "beyond the grid nothing is known");
        assert!(matches!(deformable(11), Err(RegError::Vectors(_))));
    }
}

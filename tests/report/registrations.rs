//! Registration objects: which way they lead, and for whom.

use dicom_dictionary_std::{tags, uids};
use radiomicsd::dicom::attributes::items;
use radiomicsd::image::{Displacement, Geometry, Transform};
use radiomicsd::report::{CaseResult, DocumentKind, Wanted, documents_wanted};
use radiomicsd::volume::{RegisteredImages, RegistrationObject};

use super::cases::{Plan, case, uid};
use super::contents::open;

pub fn wanted() -> Wanted {
    Wanted { kinds: vec![DocumentKind::Reg], ..Wanted::default() }
}

#[test]
fn a_registration_object_takes_the_moving_images_into_the_references_frame() {
    for other_study in [false, true] {
        let case = case(&Plan { other_study, ..Plan::default() });
        let documents = documents_wanted(&case, &wanted()).unwrap();
        let document = documents.iter().find(|document| document.kind == DocumentKind::Reg).unwrap();
        assert_eq!((document.name.as_str(), &document.study), ("reg-PT", &uid("study")));
        let object = open(document);
        let items = object.element(tags::REGISTRATION_SEQUENCE).unwrap().items().unwrap().to_vec();
        let matrix = |item: &dicom_object::InMemDicomObject| {
            let first =
                |item: &dicom_object::InMemDicomObject, tag| item.element(tag).unwrap().items().unwrap()[0].clone();
            let matrix = first(&first(item, tags::MATRIX_REGISTRATION_SEQUENCE), tags::MATRIX_SEQUENCE);
            let kind = matrix.element(tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX_TYPE).unwrap().to_str().unwrap();
            assert_eq!(kind, "RIGID");
            matrix.element(tags::FRAME_OF_REFERENCE_TRANSFORMATION_MATRIX).unwrap().to_multi_float64().unwrap()
        };
        assert_eq!(items.len(), 2);
        let identity = matrix(&items[0]);
        assert!(identity.iter().enumerate().all(|(n, v)| (v - if n % 5 == 0 { 1.0 } else { 0.0 }).abs() < 1e-15));
        let moving = matrix(&items[1]);
        let point = [12.0, -34.0, 56.0];
        let there = case.registrations[0].fixed_to_moving.apply(point);
        for row in 0..3 {
            let back: f64 =
                (0..3).map(|column| moving[4 * row + column] * there[column]).sum::<f64>() + moving[4 * row + 3];
            assert!((back - point[row]).abs() < 1e-9, "{back} {}", point[row]);
        }
    }
}

/// The case with a map of the PET that bends before it turns and shifts.
pub fn bent() -> CaseResult {
    let mut case = case(&Plan::default());
    let middle = case.images[0].geometry.centre_mm();
    let origin = middle.map(|at| at - 100.0);
    let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let grid = Geometry::new([6, 5, 4], [40.0, 50.0, 70.0], origin, identity).unwrap();
    let vectors = (0..6 * 5 * 4).map(|n| [(n % 7) as f32 * 0.5, (n % 5) as f32 - 2.0, (n % 3) as f32 * 0.25]);
    let field = Displacement::new(grid, vectors.collect()).unwrap();
    let then = case.registrations[0].fixed_to_moving.clone();
    case.registrations[0].fixed_to_moving = Transform::Chain(vec![Transform::Displacement(field), then]);
    case
}

#[test]
fn a_map_that_bends_is_a_deformable_registration_beside_the_identity_of_the_reference() {
    let case = bent();
    let documents = documents_wanted(&case, &wanted()).unwrap();
    let document = documents.iter().find(|document| document.kind == DocumentKind::Reg).unwrap();
    assert_eq!(document.sop_class.as_str(), uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE);
    let object = open(document);
    let grids = |item: &dicom_object::InMemDicomObject| items(item, tags::DEFORMABLE_REGISTRATION_GRID_SEQUENCE).len();
    let sequence = items(&object, tags::DEFORMABLE_REGISTRATION_SEQUENCE);
    assert_eq!(sequence.iter().map(grids).collect::<Vec<_>>(), [0, 1]);
    let read = RegistrationObject::from_object(&object).unwrap();
    let series = |role: &str| {
        let image = case.images.iter().find(|image| image.role == role).unwrap();
        RegisteredImages { frame_of_reference: image.frame_of_reference.as_ref(), images: &image.slices }
    };
    let map = read.between(series("CT"), series("PT")).unwrap();
    let middle = case.images[0].geometry.centre_mm();
    for shift in [[0.0; 3], [12.0, -7.0, 3.0], [-20.0, 15.0, -9.0]] {
        let point = [0, 1, 2].map(|axis| middle[axis] + shift[axis]);
        let (found, expected) = (map.apply(point), case.registrations[0].fixed_to_moving.apply(point));
        assert!((0..3).all(|axis| (found[axis] - expected[axis]).abs() < 1e-6), "{found:?} {expected:?}");
    }
}

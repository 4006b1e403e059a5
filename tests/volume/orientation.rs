//! However a series comes and however it lies, it is the same volume.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use proptest::prelude::*;
use radiomicsd::finding::Policies;
use radiomicsd::math::linalg::{self, Vec3};
use radiomicsd::volume::SeriesVolume;

use crate::made::{SIZE, SPACING_MM, file, files, mr_series, mr_slice, stored};

const N_SLICES: usize = 6;
const BETWEEN_SLICES_MM: f64 = 2.5;

/// Slices that lie as a rotation has it, the file of slice z at `order[z]`. `turned`: the planes look the other way, so that
/// the first slice is the last of the volume.
fn oblique(rotation: Vec3, origin: Vec3, order: &[usize], turned: bool) -> Vec<InMemDicomObject> {
    let axes = linalg::rotation(rotation);
    let axis = |k: usize| [0, 1, 2].map(|row| axes[row][k]);
    let (row, column) = if turned { (axis(1), axis(0)) } else { (axis(0), axis(1)) };
    let mut slices: Vec<(usize, InMemDicomObject)> = (0..N_SLICES)
        .map(|z| {
            let position = linalg::add(origin, linalg::scale(BETWEEN_SLICES_MM * z as f64, axis(2)));
            let orientation = [row[0], row[1], row[2], column[0], column[1], column[2]];
            (order[z], mr_slice(z, position, orientation, z))
        })
        .collect();
    slices.sort_by_key(|(place, _)| *place);
    slices.into_iter().map(|(_, slice)| slice).collect()
}

fn read(objects: &[InMemDicomObject]) -> SeriesVolume {
    SeriesVolume::from_bytes(files(objects), "MR", &Policies::default()).unwrap()
}

/// A value is where its slice said that it is.
fn assert_in_place(series: &SeriesVolume, rotation: Vec3, origin: Vec3, turned: bool) {
    let axes = linalg::rotation(rotation);
    let axis = |k: usize| [0, 1, 2].map(|row| axes[row][k]);
    let (row, column) = if turned { (axis(1), axis(0)) } else { (axis(0), axis(1)) };
    for z in 0..N_SLICES {
        for y in 0..SIZE[1] {
            for x in 0..SIZE[0] {
                let along = [
                    linalg::scale(SPACING_MM[0] * x as f64, row),
                    linalg::scale(SPACING_MM[1] * y as f64, column),
                    linalg::scale(BETWEEN_SLICES_MM * z as f64, axis(2)),
                ];
                let world = along.iter().fold(origin, |sum, step| linalg::add(sum, *step));
                let at = series.volume.geometry.world_to_voxel(world);
                assert!(at.iter().all(|index| (index - index.round()).abs() < 1e-6), "{at:?}");
                let [i, j, k] = at.map(|index| index.round() as usize);
                assert_eq!(series.volume.voxels[[k, j, i]], f32::from(stored(x, y, z)));
            }
        }
    }
}

fn permutations() -> impl Strategy<Value = Vec<usize>> {
    Just((0..N_SLICES).collect::<Vec<usize>>()).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_any_orientation_give_every_value_its_place(
        rotation in prop::array::uniform3(-3.0..3.0f64),
        origin in prop::array::uniform3(-300.0..300.0f64),
        order in permutations(),
        turned in any::<bool>(),
    ) {
        let series = read(&oblique(rotation, origin, &order, turned));
        prop_assert_eq!(series.volume.geometry.size, [SIZE[0], SIZE[1], N_SLICES]);
        prop_assert_eq!(&series.findings, &[]);
        assert_in_place(&series, rotation, origin, turned);
    }

    #[test]
    fn the_order_of_arrival_changes_no_bit(order in permutations()) {
        let sorted: Vec<usize> = (0..N_SLICES).collect();
        let (rotation, origin) = ([0.3, -0.2, 0.9], [10.0, -20.0, 5.0]);
        let (first, second) =
            (read(&oblique(rotation, origin, &sorted, false)), read(&oblique(rotation, origin, &order, false)));
        prop_assert_eq!(first.volume, second.volume);
        prop_assert_eq!(first.slices, second.slices);
        prop_assert_eq!(first.origin, second.origin);
    }
}

#[test]
fn instance_numbers_decide_nothing() {
    let mut objects = mr_series(5);
    for (index, object) in objects.iter_mut().enumerate() {
        object.put_str(tags::INSTANCE_NUMBER, dicom_core::VR::IS, (7 * index % 5).to_string());
    }
    assert_eq!(read(&objects).volume, read(&mr_series(5)).volume);
}

#[test]
fn files_from_disk_and_from_memory_give_the_same_volume() {
    let folder = tempfile::tempdir().unwrap();
    let objects = mr_series(5);
    let paths: Vec<_> = (0..5).map(|index| folder.path().join(format!("{}.dcm", 9 - index))).collect();
    for (path, object) in paths.iter().zip(&objects) {
        std::fs::write(path, file(object)).unwrap();
    }
    let from_disk = SeriesVolume::read(&paths, "MR", &Policies::default()).unwrap();
    assert_eq!(from_disk.volume, read(&objects).volume);
}

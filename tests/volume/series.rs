//! Series that a volume can be made of, and series that must be refused by name.

use radiomicsd::finding::{FindingKind, Policies, Policy};
use radiomicsd::volume::{SeriesVolume, StructureSet, Units, nifti, rasterise};

use crate::support::{assert_geometry, digest, files, mask_digest, reference, truth, unzip, with_padding};

/// Truth table, folder, and what is remarked on.
const REGULAR: [(&str, &str, &[FindingKind]); 7] = [
    ("ibsi1_ct_phantom", "ibsi_1_ct_radiomics_phantom/dicom/image", &[]),
    ("d2n_generic_anatomical_001", "series_findings/regular_anatomical/001", &[]),
    ("d2n_generic_anatomical_002_non_isotropic", "series_findings/regular_anatomical/002_non_isotropic", &[]),
    ("dcmqi_24x38x3", "seg/dcmqi/24x38x3/image", &[FindingKind::NotHounsfield]),
    ("autorad_ct_head", "seg/autoradiomics/testing_data/DICOM/CT_head", &[FindingKind::NotHounsfield]),
    ("autorad_qin_prostate_adc", "seg/autoradiomics/testing_data/DICOM/QIN-PROSTATE-001/ADC", &[]),
    ("dcmqi_ct3", "seg/dcmqi/ct-3slice", &[FindingKind::PixelPadding]),
];

#[test]
fn sarcoma_patients_give_the_volumes_and_regions_of_the_independent_reader() {
    let Some(reference) = reference() else { return };
    let policies = Policies::default();
    for patient in ["STS_001", "STS_002", "STS_003"] {
        for (role, units) in [("CT", Units::Hounsfield), ("PET", Units::SuvBw), ("MR_T1", Units::Arbitrary)] {
            let truth = truth(&reference, &format!("{patient}_{role}"));
            let folder = reference.join("data/sts").join(patient).join(role);
            let series = SeriesVolume::read(&files(&folder.join("image")), role, &policies).unwrap();
            assert_geometry(&series.volume.geometry, &truth);
            assert_eq!(digest(&series.volume), truth["sha256_f32_zyx"].as_str().unwrap(), "{patient} {role}");
            assert_eq!((series.units, series.findings.as_slice()), (units, [].as_slice()));
            assert_eq!(series.slices.len(), series.volume.geometry.size[2]);

            let set = StructureSet::read(&files(&folder.join("mask"))[0]).unwrap();
            assert_eq!(set.rois.len(), truth["rois"].as_object().unwrap().len());
            for roi in &set.rois {
                let expected = &truth["rois"][&roi.name];
                let (mask, findings) = rasterise(roi, &series.volume.geometry, &policies);
                assert_eq!(Some(mask.count() as u64), expected["voxels_center_rule_xor"].as_u64(), "{patient} {role}");
                assert_eq!(mask_digest(&mask), expected["mask_sha256_zyx_u8"].as_str().unwrap(), "{patient} {role}");
                assert_eq!(findings, [], "{patient} {role}");
            }
        }
    }
}

#[test]
fn regular_series_of_other_sources_give_the_volumes_of_the_independent_reader() {
    let Some(reference) = reference() else { return };
    for (name, folder, findings) in REGULAR {
        let truth = truth(&reference, name);
        let series = SeriesVolume::read(&files(&reference.join("data").join(folder)), "X", &Policies::default());
        let series = series.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_geometry(&series.volume.geometry, &truth);
        assert_eq!(digest(&with_padding(&series)), truth["sha256_f32_zyx"].as_str().unwrap(), "{name}");
        let found: Vec<_> = series.findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(found, findings, "{name}");
    }
}

#[test]
fn series_that_are_no_volume_are_refused_by_name() {
    let Some(reference) = reference() else { return };
    for (folder, expected) in [
        ("gantrytilting/001", vec![FindingKind::GantryTilt]),
        ("notavolume/001", vec![FindingKind::DuplicatePosition]),
        ("slicecount/001", vec![FindingKind::TooFewSlices]),
        ("sliceincrement/001", vec![FindingKind::MissingSlice, FindingKind::VariableSpacing]),
        ("sliceorientation/001", vec![FindingKind::MixedOrientation]),
        ("dupe-positions.zip", vec![FindingKind::DuplicatePosition]),
    ] {
        let path = reference.join("data/series_findings").join(folder);
        let unpacked = tempfile::tempdir().unwrap();
        let files = if path.is_dir() { files(&path) } else { unzip(&path, unpacked.path()) };
        let error = SeriesVolume::read(&files, "X", &Policies::default()).unwrap_err();
        let finding = error.finding().unwrap_or_else(|| panic!("{folder}: {error}"));
        assert!(expected.contains(&finding.kind), "{folder}: {finding}");
        assert_eq!(finding.policy, Policy::Reject);
    }
}

#[test]
fn a_tilted_gantry_is_straightened_where_the_site_regularises() {
    let Some(reference) = reference() else { return };
    let truth = truth(&reference, "d2n_failing_gantrytilting_001");
    let files = files(&reference.join("data/series_findings/gantrytilting/001"));
    let policies = Policies::new([(FindingKind::GantryTilt, Policy::Regularise)]);
    let series = SeriesVolume::read(&files, "CT", &policies).unwrap();
    let finding = series.findings.iter().find(|finding| finding.kind == FindingKind::GantryTilt).unwrap();
    assert!(finding.detail.starts_with("14.0 degrees"), "{}", finding.detail);
    // A shear keeps the first slice and the distance of the planes; the grid is as much longer as the stack is shifted.
    let geometry = series.volume.geometry;
    assert!((geometry.spacing_mm[2] - truth["spacing_xyz"][2].as_f64().unwrap()).abs() < 1e-9);
    let shift_mm = 3.0 * geometry.spacing_mm[2] * 14.0_f64.to_radians().tan();
    let more = shift_mm / geometry.spacing_mm[1];
    assert_eq!(geometry.size[0], 512);
    assert!((geometry.size[1] as f64 - 512.0 - more).abs() <= 1.5, "{:?}, {more}", geometry.size);
    let stored = truth["voxels"].as_array().unwrap().iter().find(|voxel| voxel["xyz"][2] == 0).unwrap();
    let at = geometry.world_to_voxel([-106.791015625, -256.61886606561, -61.951915066986]);
    let [x, y, z] = at.map(|index| index.round() as usize);
    assert!(at.iter().all(|index| (index - index.round()).abs() < 1e-6), "{at:?}");
    assert_eq!(f64::from(series.volume.voxels[[z, y, x]]), stored["value"].as_f64().unwrap());
}

#[test]
fn the_rtstruct_of_the_ibsi_phantom_is_its_nifti_mask() {
    let Some(reference) = reference() else { return };
    let folder = reference.join("data/ibsi_1_ct_radiomics_phantom");
    let truth = truth(&reference, "ibsi1_ct_phantom");
    let series = SeriesVolume::read(&files(&folder.join("dicom/image")), "CT", &Policies::default()).unwrap();
    let set = StructureSet::read(&files(&folder.join("dicom/mask"))[0]).unwrap();
    let roi = set.rois.iter().find(|roi| roi.name == "GTV-1").unwrap();
    let (mask, findings) = rasterise(roi, &series.volume.geometry, &Policies::default());
    assert_eq!(findings, []);
    assert_eq!(mask_digest(&mask), truth["rois"]["GTV-1"]["mask_sha256_zyx_u8"].as_str().unwrap());
    let image = nifti::read_image(&files(&folder.join("nifti/image"))[0]).unwrap();
    let drawn = nifti::read_mask(&files(&folder.join("nifti/mask"))[0]).unwrap();
    let mut n_different = 0;
    let mut n_other_values = 0;
    for ((z, y, x), inside) in mask.voxels.indexed_iter() {
        let world = series.volume.geometry.voxel_to_world([x as f64, y as f64, z as f64]);
        let [i, j, k] = drawn.geometry.world_to_voxel(world).map(|index| index.round() as usize);
        n_different += usize::from(drawn.voxels[[k, j, i]] != *inside);
        n_other_values += usize::from((image.voxels[[k, j, i]] - series.volume.voxels[[z, y, x]]).abs() > 0.5);
    }
    assert_eq!((n_different, n_other_values), (0, 0));
}

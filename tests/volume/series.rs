//! Series that a volume can be made of, and series that must be refused by name.

use radiomicsd::finding::{FindingKind, Policies, Policy};
use radiomicsd::volume::{SeriesVolume, StructureSet, Units, rasterise};

use crate::support::{assert_geometry, digest, files, mask_digest, reference, truth, with_padding};

/// Truth table, folder, and what is remarked on.
const REGULAR: [(&str, &str, &[FindingKind]); 5] = [
    ("ibsi1_ct_phantom", "ibsi_1_ct_radiomics_phantom/dicom/image", &[]),
    ("d2n_generic_anatomical_001", "series_findings/regular_anatomical/001", &[]),
    ("d2n_generic_anatomical_002_non_isotropic", "series_findings/regular_anatomical/002_non_isotropic", &[]),
    ("dcmqi_24x38x3", "seg/dcmqi/24x38x3/image", &[FindingKind::NotHounsfield]),
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
    ] {
        let files = files(&reference.join("data/series_findings").join(folder));
        let error = SeriesVolume::read(&files, "X", &Policies::default()).unwrap_err();
        let finding = error.finding().unwrap_or_else(|| panic!("{folder}: {error}"));
        assert!(expected.contains(&finding.kind), "{folder}: {finding}");
        assert_eq!(finding.policy, Policy::Reject);
    }
}

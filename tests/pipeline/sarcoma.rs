//! Real patients with soft-tissue sarcoma: CT, PET and MR with one structure set each (CC BY 3.0).

use std::path::{Path, PathBuf};

use radiomicsd::pipeline::estimate_memory;
use radiomicsd::report::{Space, documents, verify};

use crate::support::{Case, TRUST, block, config, reference, value};

pub fn paths(patient: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for role in ["CT", "PET", "MR_T1"] {
        for part in ["image", "mask"] {
            let folder = patient.join(role).join(part);
            paths.extend(std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    paths
}

#[test]
fn three_roles_of_real_patients_are_one_lesion_with_the_voxels_of_the_independent_reader() {
    let Some(reference) = reference() else { return };
    for patient in ["STS_001", "STS_002", "STS_003"] {
        let case = Case::of_paths(&paths(&reference.join("data/sts").join(patient)), config(TRUST, ["", "", ""]));
        let estimate = estimate_memory(&case.job()).unwrap();
        let result = case.run();
        assert!((64 << 20..1 << 30).contains(&estimate), "{patient}: {estimate} bytes for images of some megabytes");
        let peak = result.timings.iter().map(|timing| timing.peak_memory_bytes).max().unwrap();
        let seconds: f64 = result.timings.iter().map(|timing| timing.seconds).sum();
        println!("{patient}: {seconds:.2} s, peak {} MiB, estimated {} MiB", peak >> 20, estimate >> 20);
        assert_eq!(result.lesions.len(), 1, "{patient}: {:?}", result.findings);
        assert_eq!(result.groups.len(), 6, "{patient}: {:?}", result.findings);
        for (role, folder) in [("CT", "CT"), ("PT", "PET"), ("MR_T1", "MR_T1")] {
            let truth = reference.join(format!("data/truth/{patient}_{folder}.json"));
            let truth: serde_json::Value = serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap();
            let native = block(&result, role, Space::Native);
            assert_eq!(native.drawn_on.role, role);
            let expected = &truth["rois"][&native.drawn_on.name]["voxels_center_rule_xor"];
            assert_eq!(Some(native.mask.count() as u64), expected.as_u64(), "{patient} {role}");
            assert!(value(native, "stat_mean").is_finite());
        }
        let documents = documents(&result).unwrap();
        assert_eq!(documents.len(), 4);
        assert!(documents.iter().all(|document| verify::verify(&document.bytes).is_empty()));
    }
}

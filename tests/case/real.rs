//! Ten sarcoma patients: CT, PET and MR in one study and one Frame of Reference, a structure set on each, none approved.
//!
//! The data lie beside the project and are never part of it: where they are absent, the test says so and counts as passed.

use std::path::{Path, PathBuf};

use radiomicsd::dicom::facts;
use radiomicsd::finding::FindingKind;

use crate::shared;
use crate::support::{outcome, roles, spec};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn each_sarcoma_patient_is_one_case_with_three_roles_and_three_drawings() {
    let Some(reference) = shared::reference().map(|folder| folder.join("data/sts")) else { return };
    let mut everybody = Vec::new();
    let mut n_patients = 0;
    for entry in std::fs::read_dir(reference).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let instances: Vec<_> = files(&path).iter().filter_map(|file| facts::read(file, &[]).ok()).collect();
        let changes = outcome(&instances);
        let spec = spec(&changes);
        assert_eq!(roles(spec), ["CT", "PT", "MR_T1"], "{}", path.display());
        let n_images: usize = spec.inputs.iter().map(|input| input.instances.len()).sum();
        assert_eq!(n_images + 3, instances.len());
        // One drawing for each role: they bear the same label, and each names its own series.
        for input in &spec.inputs {
            let on_it = spec.annotations.iter().filter(|annotation| annotation.references == [input.series.clone()]);
            assert_eq!(on_it.count(), 1);
        }
        let mut findings: Vec<_> = spec.findings.iter().map(|f| (f.kind, f.subject.as_str())).collect();
        findings.sort();
        let not_approved = FindingKind::StructureSetNotApproved;
        assert_eq!(findings, [(not_approved, "CT"), (not_approved, "MR_T1"), (not_approved, "PT")]);
        everybody.extend(instances);
        n_patients += 1;
    }
    assert_eq!(crate::support::specs(&outcome(&everybody)).len(), n_patients);
    println!("{n_patients} patients, {} instances", everybody.len());
}

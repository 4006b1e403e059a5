//! Real patients through the real program; skipped aloud where they are absent.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::node::{Daemon, PROGRAM, collect};
use super::pacs::Pacs;
use super::patient::dcmsend;
use super::shared::{reference, run};

/// The protocol of soft-tissue sarcoma: the tumour mass on CT, PET and MR.
pub const PROTOCOL: &str = r#"
[[protocol]]
name = "sts"
reference = "CT"
roi = { names = ["(?i)^gtv"] }
finding = { type = "108369006|SCT|Neoplasm" }
features = { families = ["morphology", "local", "intensity", "histogram"] }
  [[protocol.input]]
  role = "CT"
  modality = "CT"
  [[protocol.input]]
  role = "PT"
  modality = "PT"
  required = true
  [[protocol.input]]
  role = "MR_T1"
  modality = "MR"
"#;

const PATIENTS: [&str; 3] = ["STS_001", "STS_002", "STS_003"];

fn folder(name: &str) -> Option<PathBuf> {
    reference().map(|reference| reference.join("data/sts").join(name))
}

fn dicom_files(name: &str) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(&folder(name)?, &mut files);
    files.retain(|file| radiomicsd::dicom::facts::read(file, &[]).is_ok());
    assert!(!files.is_empty(), "{name}");
    Some(files)
}

/// The ROI voxel counts of a role in the truth tables.
fn true_counts(name: &str, role: &str) -> Vec<u64> {
    let table = reference().unwrap().join(format!("data/truth/{name}_{role}.json"));
    let truth: Value = serde_json::from_slice(&std::fs::read(table).unwrap()).unwrap();
    let rois = truth["rois"].as_object().cloned().unwrap_or_default();
    rois.values().filter_map(|roi| roi["voxels_center_rule_xor"].as_u64()).collect()
}

/// Every role is measured, and every native region has as many voxels as the independent reader counted.
fn assert_true_counts(name: &str, case: &Value) {
    for (role, table) in [("CT", "CT"), ("PT", "PET"), ("MR_T1", "MR_T1")] {
        let native = |block: &&Value| block["role"] == role && block["space"] == "native";
        let blocks: Vec<&Value> = case["blocks"].as_array().unwrap().iter().filter(native).collect();
        assert!(!blocks.is_empty(), "{name} {role}: {}", case["findings"]);
        let truth = true_counts(name, table);
        for block in blocks {
            let found = block["roi_voxels"].as_u64().unwrap();
            assert!(truth.contains(&found), "{name} {role}: {found} voxels, the truth has {truth:?}");
        }
    }
}

#[test]
fn three_real_patients_are_measured_on_all_their_images_with_the_voxels_of_the_truth() {
    if reference().is_none() {
        return;
    }
    let configuration = tempfile::tempdir().unwrap();
    let config = configuration.path().join("sts.toml");
    std::fs::write(&config, format!("[storage]\ndirectory = \"x\"\n{PROTOCOL}")).unwrap();
    for name in PATIENTS {
        let out = tempfile::tempdir().unwrap();
        let mut process = Command::new(PROGRAM);
        process.arg("process").arg(folder(name).unwrap()).arg("--out").arg(out.path()).arg("--config").arg(&config);
        run(process);
        let report: Value = serde_json::from_slice(&std::fs::read(out.path().join("report.json")).unwrap()).unwrap();
        assert_true_counts(name, &report["cases"][0]);
    }
}

#[test]
fn a_real_patient_sent_to_the_daemon_comes_back_as_a_report() {
    let Some(files) = dicom_files("STS_001") else { return };
    let Some(pacs) = Pacs::start() else { return };
    let mut daemon = Daemon::start(&format!("{PROTOCOL}\n{}", pacs.destination()));
    dcmsend(&daemon, &files);
    let case = daemon.wait_for_state("done");
    let report = &pacs.wait_for_reports(1)[0];
    assert_eq!(report.values("YEKZ").len(), report.values("RNU0").len());
    let json = std::fs::read(daemon.result(&case, 1).join("report.json")).unwrap();
    assert_true_counts("STS_001", &serde_json::from_slice(&json).unwrap());
    assert_eq!(case["revision"], 1);
    assert!(daemon.terminate().success());
}

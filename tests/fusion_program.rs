//! The `fusion` commands as a person uses them: tables in, a bundle out, the bundle asked, judged and put in force.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests are tests.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use radiomicsd::fuse::Dataset;
use radiomicsd::phantom::{CohortSettings, Phantom, SyntheticPatient, image_patient, synthetic_cohort};
use rayon::prelude::*;
use serde_json::Value;

fn radiomicsd(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_radiomicsd")).current_dir(folder).args(arguments).output().unwrap()
}

fn answer(folder: &Path, arguments: &[&str]) -> Value {
    let output = radiomicsd(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Blocks as `ct.csv`, `pt.csv`, the second with a scanner; a clinical table; outcomes.
fn write_tables(folder: &Path, data: &Dataset) {
    for block in &data.blocks[..2] {
        let name = block.name.to_lowercase();
        let mut text = format!("id,batch,{}\n", block.features.join(","));
        for (idx, (id, row)) in data.patients.iter().zip(&block.rows).enumerate() {
            let Some(row) = row else { continue };
            let cells: Vec<String> = row.iter().map(|value| format!("{value:?}")).collect();
            let scanner = data.harmonising.as_ref().unwrap().batches[&block.name][idx].clone();
            let _ = writeln!(text, "{id},{scanner},{}", cells.join(","));
        }
        std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
    }
    let (mut clinical, mut outcome) = ("id,sex,stage\n".to_owned(), "id,death\n".to_owned());
    for (idx, (id, event)) in data.patients.iter().zip(data.outcome.events()).enumerate() {
        let _ = writeln!(clinical, "{id},{},{}", if idx % 3 == 0 { "F" } else { "M" }, 1 + idx % 4);
        let _ = writeln!(outcome, "{id},{}", u8::from(event));
    }
    std::fs::write(folder.join("clinical.csv"), clinical).unwrap();
    std::fs::write(folder.join("outcome.csv"), outcome).unwrap();
}

const BLOCKS: [&str; 6] = ["--block", "CT=ct.csv", "--block", "PT=pt.csv", "--block", "clinical=clinical.csv"];

fn cohort() -> Dataset {
    let mut settings = CohortSettings { n_patients: 90, n_batches: 2, shared_effect: 2.0, ..CohortSettings::default() };
    for block in &mut settings.blocks {
        (block.n_features, block.shared) = (8, 1.0);
    }
    settings.blocks[1].missing = 0.1;
    synthetic_cohort(&settings).unwrap().data
}

#[test]
fn a_bundle_is_trained_asked_judged_and_put_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_tables(folder, &cohort());
    let train = ["fusion", "train", "--outcome", "outcome.csv", "--endpoint", "death", "--out", "bundle"];
    let train = [&train[..], &BLOCKS, &["--folds", "4", "--repeats", "2", "--bootstrap-632", "4", "--json"]].concat();
    let trained = answer(folder, &train);
    let list = std::fs::read(folder.join("bundle/evaluation.json")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let list = list.as_array().unwrap();
    for fusion in ["early", "late", "intermediate", "baseline", "control"] {
        let found = list.iter().find(|entry| entry["fusion"] == fusion).unwrap();
        for key in ["model", "blocks", "auc", "auc_low", "auc_high", "brier", "calibration_slope", "n", "events"] {
            assert!(!found[key].is_null() || fusion == "control", "{fusion} {key}");
        }
    }
    let shipped = list.iter().filter(|entry| entry["auc_632_plus"].as_f64().is_some_and(|auc| auc > 0.6));
    assert_eq!(shipped.count(), 1);
    let auc = |fusion: &str| list.iter().find(|entry| entry["fusion"] == fusion).unwrap()["auc"].as_f64().unwrap();
    assert!(auc("early") > 0.7 && auc("control") < 0.7, "{} {}", auc("early"), auc("control"));
    let card = std::fs::read_to_string(folder.join("bundle/card.md")).unwrap();
    assert!(card.contains("SCANNER 1, SCANNER 2") && card.contains("| CT + clinical |"), "{card}");
    for plot in ["roc", "calibration", "decision", "contributions"] {
        let svg = std::fs::read_to_string(folder.join(format!("bundle/{plot}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{plot}");
    }

    // One patient from a scanner that the bundle does not know.
    let tables = std::fs::read_to_string(folder.join("ct.csv")).unwrap();
    std::fs::write(folder.join("ct.csv"), tables.replacen("SCANNER", "STRANGER", 1)).unwrap();
    let predict = ["fusion", "predict", "--bundle", "bundle", "--out", "p.csv", "--json"];
    let predicted = answer(folder, &[&predict[..], &BLOCKS].concat());
    assert_eq!(predicted["refused"]["not_harmonised"], 1);
    let text = std::fs::read_to_string(folder.join("p.csv")).unwrap();
    let header = "id,probability,low,high,status,reason,contribution_CT,contribution_PT,contribution_clinical";
    assert_eq!(text.lines().next().unwrap(), header);
    assert!(text.contains(",refused,") && text.contains("batch \"\"STRANGER"), "{text}");
    let evaluate = [
        "fusion",
        "evaluate",
        "--bundle",
        "bundle",
        "--outcome",
        "outcome.csv",
        "--endpoint",
        "death",
        "--out",
        "e.json",
    ];
    let found = answer(folder, &[&evaluate[..], &BLOCKS, &["--json"]].concat());
    assert!(found["evaluations"][0]["auc"].as_f64().unwrap() > 0.7);
    assert!(folder.join("e.json").is_file());

    // A folder of images is measured first; its features are others than the bundle's.
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/patient");
    let predict = ["fusion", "predict", "--bundle", "bundle", "--patients", fixture, "--out", "q.csv", "--json"];
    assert_eq!(answer(folder, &predict)["refused"]["feature_missing"], 1);
    let rows = std::fs::read_dir(folder.join("q.csv.measured/cohort")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(rows.filter(|path| path.extension().is_some_and(|kind| kind == "json")).count(), 1);

    if cfg!(not(feature = "onnx")) {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/onnx");
        let files = [format!("{fixture}/logistic.onnx"), format!("{fixture}/logistic.json")];
        let import = ["fusion", "import", "--model", &files[0], "--manifest", &files[1], "--out", "brought"];
        let told = radiomicsd(folder, &import);
        assert_eq!(told.status.code(), Some(64));
        assert!(String::from_utf8_lossy(&told.stderr).contains("cargo build --release --features onnx"));
        assert!(!folder.join("brought").exists());
    }

    std::fs::write(folder.join("site.toml"), format!("[storage]\ndirectory = {:?}\n", folder.join("storage"))).unwrap();
    let activate = ["fusion", "activate", "--bundle", "bundle", "--name", "death", "--config", "site.toml"];
    let asks = format!(
        "[storage]\ndirectory = {:?}\n[[protocol]]\nname = \"p\"\nfusion = {{ bundle = \"death\" }}\n\
         [[protocol.input]]\nrole = \"CT\"\nmodality = \"CT\"\n",
        folder.join("storage")
    );
    std::fs::write(folder.join("asks.toml"), asks).unwrap();
    let remarks = || answer(folder, &["check-config", "--config", "asks.toml", "--json"])["remarks"].to_string();
    assert!(remarks().contains("cannot be used, nothing is predicted") && remarks().contains("holds no active bundle"));
    assert!(radiomicsd(folder, &activate).status.success());
    assert_eq!(remarks(), "[]");
    let again = [&train[..train.len() - 1], &["--seed", "2", "--choice", "mrmr"]].concat();
    assert!(radiomicsd(folder, &again).status.success());
    assert!(radiomicsd(folder, &activate).status.success());
    let listed = answer(folder, &["fusion", "list", "--config", "site.toml", "--json"]);
    let states: Vec<&str> = listed.as_array().unwrap().iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["retired", "active"]);
    assert_eq!(listed[0]["id"], trained["id"]);
}

/// Only what the test needs, so that a patient takes a moment.
const PROTOCOL: &str = r#"
[storage]
directory = "unused"
[[protocol]]
name = "pet-ct-mr"
reference = "CT"
registration = { transform = "none", same_frame_of_reference = "trust", error_draws = 0 }
features = { space = ["native"], families = ["morphology", "intensity"] }
  [[protocol.input]]
  role = "CT"
  modality = "CT"
  [[protocol.input]]
  role = "PT"
  modality = "PT"
  [[protocol.input]]
  role = "MR_T1"
  modality = "MR"
"#;

/// Patients as DICOM files in a folder, and their outcomes as a table.
fn write_patients(folder: &Path, name: &str, numbers: std::ops::Range<u64>) {
    let event = |number: u64| number % 2 == 1;
    numbers.clone().into_par_iter().for_each(|number| {
        let phantom = Phantom::new(&image_patient(number, event(number))).unwrap();
        SyntheticPatient::new(&phantom).unwrap().write(&folder.join(name).join(number.to_string())).unwrap();
    });
    let rows = numbers.map(|number| format!("P{number:03},{}\n", u8::from(event(number))));
    std::fs::write(folder.join(format!("{name}.csv")), format!("patient,death\n{}", rows.collect::<String>())).unwrap();
}

#[test]
fn one_command_measures_a_folder_of_patients_and_judges_a_bundle_on_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("protocol.toml"), PROTOCOL).unwrap();
    write_patients(folder, "first", 1..49);
    write_patients(folder, "second", 201..221);
    let options = ["--config", "protocol.toml", "--endpoint", "death", "--json"];
    let train =
        ["fusion", "train", "--patients", "first", "--outcome", "first.csv", "--fusion", "early", "--folds", "3"];
    let train = [&train[..], &["--repeats", "2", "--out", "bundle"], &options].concat();
    assert_eq!(answer(folder, &train)["n"], 48);
    let evaluate = ["fusion", "evaluate", "--bundle", "bundle", "--patients", "second", "--outcome", "second.csv"];
    let found = answer(folder, &[&evaluate[..], &["--out", "e.json"], &options].concat());
    let judged = &found["evaluations"][0];
    let (n, auc) = (judged["n"].as_u64().unwrap(), judged["auc"].as_f64().unwrap());
    assert!(n >= 5 && auc > 0.75, "{found}");
    // Everybody is either judged or refused with a reason.
    let refused = found["refused"].as_object().unwrap().values().map(|n| n.as_u64().unwrap());
    assert_eq!(n + refused.sum::<u64>(), 20, "{found}");
    assert_eq!(found["evaluations"][1]["model"], "log volume");
    let written: Value = serde_json::from_slice(&std::fs::read(folder.join("e.json")).unwrap()).unwrap();
    assert_eq!(written, found["evaluations"]);
}

#[test]
fn what_would_not_be_honest_ends_with_one_and_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = cohort();
    write_tables(folder, &data);
    let outcome = std::fs::read_to_string(folder.join("outcome.csv")).unwrap();
    std::fs::write(folder.join("clinical.csv"), outcome.replace("death", "code")).unwrap();
    let train = ["fusion", "train", "--outcome", "outcome.csv", "--endpoint", "death", "--out", "bundle"];
    let told = radiomicsd(folder, &[&train[..], &BLOCKS].concat());
    assert_eq!(told.status.code(), Some(1));
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(text.contains("leak: code of block clinical is the outcome itself"), "{text}");
    assert!(!folder.join("bundle").exists());
    let wrong = radiomicsd(folder, &[&train[..], &["--block", "ct.csv"]].concat());
    assert_ne!(wrong.status.code(), Some(0));
}

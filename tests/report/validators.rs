//! Every validator that there is, on files of every kind; skipped aloud where they are not set up.

use std::path::{Path, PathBuf};
use std::process::Command;

use radiomicsd::report::{CaseResult, Space, documents};

use super::cases::{Plan, case};

/// The validators' script, where the reference folder and its tools are there.
fn script() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|parent| parent.join("shared"));
    let folder = std::env::var_os("RADIOMICSD_REFERENCE").map(PathBuf::from).or_else(beside)?;
    let script = folder.join("tools/validate_sr/validate_sr.sh");
    let cache = std::env::var_os("VALIDATE_SR_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache/validate_sr")))?;
    (script.is_file() && cache.join("venv/bin/dciodvfy").is_file()).then_some(script)
}

/// Writes the documents of a case and runs all validators on each.
fn validate(case: &CaseResult) {
    let Some(script) = script() else {
        println!("skipped: reference data absent, or its validators not set up");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for document in documents(case).unwrap() {
        std::fs::write(folder.path().join(format!("{}.dcm", document.name)), &document.bytes).unwrap();
    }
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let file = entry.unwrap().path();
        let output = Command::new(&script).arg(&file).output().unwrap();
        let verdict = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{verdict}");
        assert!(output.status.success(), "{}:\n{verdict}", file.display());
    }
}

#[test]
fn one_role_with_a_latin_name_passes_every_validator() {
    validate(&case(&Plan { roles: vec![("CT", "CT")], lesions: 1, spaces: vec![Space::Native], ..Plan::default() }));
}

#[test]
fn three_roles_of_two_studies_with_a_japanese_name_pass_every_validator() {
    validate(&case(&Plan {
        patient_name: "Yamada^Tarou=山田^太郎=やまだ^たろう",
        other_study: true,
        ..Plan::default()
    }));
}

#[test]
fn a_partial_revision_passes_every_validator() {
    let mut second = case(&Plan { lesions: 3, ..Plan::default() });
    second.previous = documents(&second).unwrap().iter().map(radiomicsd::report::Document::reference).collect();
    second.revision = 2;
    let missing = radiomicsd::finding::FindingKind::RoleMissing;
    second.findings.push(radiomicsd::finding::Finding::new(missing, "MR_T2", "no series came"));
    validate(&second);
}

//! Every validator that there is, on files of every kind; skipped aloud where they are not set up.

use std::path::{Path, PathBuf};
use std::process::Command;

use radiomicsd::dicom::sr::SrClass;
use radiomicsd::report::{
    CaseResult, DocumentKind, Earlier, Space, Wanted, changes, documents, documents_wanted, report_json,
};

use super::cases::{Plan, case};
use super::pictures::with_volumes;

/// The programs of the validators' own environment, where it is set up.
fn tools() -> Option<PathBuf> {
    let cache = std::env::var_os("VALIDATE_SR_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache/validate_sr")))?;
    let tools = cache.join("venv/bin");
    tools.join("dciodvfy").is_file().then_some(tools)
}

/// The validators' script, where it can run.
fn script() -> Option<PathBuf> {
    let script = crate::shared::reference()?.join("tools/validate_sr/validate_sr.sh");
    tools().filter(|_| script.is_file()).map(|_| script)
}

/// Writes the documents of a case into the build's folder for test files.
fn write(name: &str, case: &CaseResult) -> Vec<PathBuf> {
    let kinds = vec![DocumentKind::Sr, DocumentKind::Seg, DocumentKind::Reg, DocumentKind::Picture, DocumentKind::Pdf];
    let wanted = Wanted { kinds, sr_classes: SrClass::ALL.to_vec() };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let write = |document: radiomicsd::report::Document| {
        let file = folder.join(format!("{}.dcm", document.name));
        std::fs::write(&file, &document.bytes).unwrap();
        file
    };
    documents_wanted(&with_volumes(case.clone()), &wanted).unwrap().into_iter().map(write).collect()
}

/// Modules, value types and references of any object: its errors are lines of its output.
fn dciodvfy(file: &Path) {
    let Some(tools) = tools() else { return };
    let output = Command::new(tools.join("dciodvfy")).arg(file).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    let errors: Vec<_> = text.lines().filter(|line| line.starts_with("Error") || line.starts_with("Abort")).collect();
    assert!(errors.is_empty(), "{}: {errors:?}", file.display());
}

/// Writes the documents of a case, where they can be looked at afterwards, and runs all validators on each.
fn validate(name: &str, case: &CaseResult) {
    let Some(script) = script() else {
        crate::shared::skipped("the validators are not set up");
        return;
    };
    for file in write(name, case) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if ["reg-", "picture-", "pdf"].iter().any(|kind| name.starts_with(kind)) {
            dciodvfy(&file);
            continue;
        }
        let output = Command::new(&script).arg(&file).output().unwrap();
        let verdict = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{verdict}");
        assert!(output.status.success(), "{}:\n{verdict}", file.display());
    }
}

#[test]
fn one_role_with_a_latin_name_passes_every_validator() {
    validate(
        "one-role",
        &case(&Plan { roles: vec![("CT", "CT")], lesions: 1, spaces: vec![Space::Native], ..Plan::default() }),
    );
}

#[test]
fn three_roles_of_two_studies_with_a_japanese_name_pass_every_validator() {
    validate(
        "two-studies",
        &case(&Plan {
            patient_name: "Yamada^Tarou=山田^太郎=やまだ^たろう", other_study: true, ..Plan::default()
        }),
    );
}

#[test]
fn a_partial_revision_with_changes_since_an_earlier_case_passes_every_validator() {
    let mut second = case(&Plan { lesions: 3, ..Plan::default() });
    second.previous = documents(&second).unwrap().iter().map(radiomicsd::report::Document::reference).collect();
    second.revision = 2;
    let missing = radiomicsd::finding::FindingKind::RoleMissing;
    second.findings.push(radiomicsd::finding::Finding::new(missing, "MR_T2", "no series came"));
    let earlier = serde_json::to_vec(&report_json(&case(&Plan { lesions: 3, ..Plan::default() }))).unwrap();
    second.changes = changes(&second, &[Earlier::read(&earlier, "20260520").unwrap()]);
    assert!(!second.changes.is_empty());
    validate("revision", &second);
}

#[test]
fn a_model_report_of_refusals_alone_or_beside_a_prediction_passes_every_validator() {
    validate("refused", &case(&Plan { lesions: 1, refused: true, ..Plan::default() }));
    validate("refused-beside", &case(&Plan { refused: true, ..Plan::default() }));
}

/// Compares every value that highdicom reads from the report with the table, and counts what dcmqi reads.
const ROUND_TRIP: &str = r#"
import csv, json, subprocess, sys, warnings
warnings.filterwarnings("ignore")
import highdicom
folder, dcmqi = sys.argv[1], sys.argv[2]
groups = highdicom.sr.srread(folder + "/sr.dcm").content.get_volumetric_roi_measurement_groups()
found = {}
for group in groups:
    name = group.tracking_identifier
    numbers = [m for m in group.get_measurements() if m.name.value != "MISREGERR"]
    found[name] = [m[0].MeasuredValueSequence[0].FloatingPointValue for m in numbers]
expected = {}
for row in csv.DictReader(open(folder + "/features.csv")):
    name = f"Lesion {row['lesion']} {row['role']}" + (" aligned" if row["space"] == "aligned" else "")
    name += " cross-modality" if row["family"] == "cross" else ""
    expected.setdefault(name, []).append(float(row["value"]))
    if row["harmonised_value"]:
        expected.setdefault(name + " ComBat-harmonised", []).append(float(row["harmonised_value"]))
assert found == expected, (sorted(found), sorted(expected))
subprocess.run([dcmqi, "--inputDICOM", folder + "/sr.dcm", "--outputMetadata", folder + "/dcmqi.json"], check=True, stdout=subprocess.DEVNULL)
read = {m["TrackingIdentifier"]: m for m in json.load(open(folder + "/dcmqi.json"))["Measurements"]}
assert set(read) == set(expected), sorted(read)
for name, values in expected.items():
    numbers = [float(m["value"]) for m in read[name]["measurementItems"] if m["quantity"]["CodeValue"] != "MISREGERR"]
    assert all(abs(a - b) <= 1e-12 * abs(b) for a, b in zip(numbers, values, strict=True)), name
    chain = json.loads(read[name]["measurementAlgorithmIdentification"]["AlgorithmParameters"][0])
    assert chain["settings_sha256"] == "0" * 64
print(len(found), "groups,", sum(map(len, found.values())), "values")
"#;

#[test]
fn highdicom_and_dcmqi_read_every_value_as_it_stands_in_the_table() {
    let Some(tools) = tools() else {
        crate::shared::skipped("the validators are not set up");
        return;
    };
    let case = case(&Plan::default());
    let files = write("round-trip", &case);
    let folder = files[0].parent().unwrap();
    std::fs::write(folder.join("features.csv"), radiomicsd::report::features_csv(&case).unwrap()).unwrap();
    let mut python = Command::new(tools.join("python"));
    let output = python.arg("-c").arg(ROUND_TRIP).arg(folder).arg(tools.join("tid1500reader")).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

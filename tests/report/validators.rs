//! Every validator that there is, on files of every kind; skipped aloud where they are not set up.

use std::process::Command;

use radiomicsd::dicom::sr::SrClass;
use radiomicsd::report::{
    CaseResult, Document, DocumentKind, Earlier, KeySelection, Space, Wanted, changes, documents, documents_wanted,
    report_json,
};

use super::cases::{Plan, case};
use super::pictures::with_volumes;
use super::registrations;
use super::shared::validators;

/// Every document of a case in every class, and the key objects that point to them.
fn all_documents(case: &CaseResult) -> Vec<Document> {
    let kinds = vec![DocumentKind::Sr, DocumentKind::Seg, DocumentKind::Reg, DocumentKind::Picture, DocumentKind::Pdf];
    let key_objects = SrClass::ALL.iter().map(|class| KeySelection::new(&kinds, Some(*class))).collect();
    let wanted = Wanted { kinds, sr_classes: SrClass::ALL.to_vec(), key_objects };
    documents_wanted(&with_volumes(case.clone()), &wanted).unwrap()
}

fn validate(name: &str, case: &CaseResult) {
    validators::validate(&format!("report/{name}"), &all_documents(case));
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
    second.previous = documents(&second).unwrap().iter().map(Document::reference).collect();
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

#[test]
fn a_registration_that_bends_passes_the_validator_of_its_class() {
    let documents = documents_wanted(&registrations::bent(), &registrations::wanted()).unwrap();
    let registrations: Vec<_> = documents.into_iter().filter(|document| document.kind == DocumentKind::Reg).collect();
    validators::validate("report/bends", &registrations);
}

/// Compares what highdicom reads from the report with the table, value by value and error by error to the last bit. dcmqi
/// gives the decimal string beside the exact number, which has sixteen characters: it is the exact number rounded to as many
/// decimals, and all sixteen are used where the number has more.
const ROUND_TRIP: &str = r#"
import csv, json, subprocess, sys, warnings
from decimal import Decimal
warnings.filterwarnings("ignore")
import highdicom
folder, dcmqi = sys.argv[1], sys.argv[2]
beside = {"MISREGERR", "WITHINLESIONSD"}
groups = highdicom.sr.srread(folder + "/sr.dcm").content.get_volumetric_roi_measurement_groups()
found, errors = {}, {}
for group in groups:
    numbers = [(m.name.value, m[0].MeasuredValueSequence[0].FloatingPointValue) for m in group.get_measurements()]
    found[group.tracking_identifier] = [number for code, number in numbers if code not in beside]
    errors[group.tracking_identifier] = [number for code, number in numbers if code == "MISREGERR"]
expected, of_errors = {}, {}
for row in csv.DictReader(open(folder + "/features.csv")):
    name = f"Lesion {row['lesion']} {row['role']}" + (" aligned" if row["space"] == "aligned" else "")
    name += " cross-modality" if row["family"] == "cross" else ""
    expected.setdefault(name, []).append(float(row["value"]))
    if row["misregistration_error"]:
        of_errors.setdefault(name, []).append(float(row["misregistration_error"]))
    if row["harmonised_value"]:
        expected.setdefault(name + " ComBat-harmonised", []).append(float(row["harmonised_value"]))
assert found == expected, (sorted(found), sorted(expected))
assert {name: numbers for name, numbers in errors.items() if numbers} == of_errors

def is_rounded(text, value):
    mantissa, _, exponent = text.lower().partition("e")
    last = Decimal(1).scaleb(int(exponent or 0) - len(mantissa.partition(".")[2]))
    return Decimal(text) == Decimal(value).quantize(last) and (len(text) == 16 or float(text) == value)

subprocess.run([dcmqi, "--inputDICOM", folder + "/sr.dcm", "--outputMetadata", folder + "/dcmqi.json"], check=True, stdout=subprocess.DEVNULL)
read = {m["TrackingIdentifier"]: m for m in json.load(open(folder + "/dcmqi.json"))["Measurements"]}
assert set(read) == set(expected), sorted(read)
for name, values in expected.items():
    texts = [m["value"] for m in read[name]["measurementItems"] if m["quantity"]["CodeValue"] not in beside]
    wrong = [(text, value) for text, value in zip(texts, values, strict=True) if not is_rounded(text, value)]
    assert not wrong, (name, wrong)
    chain = json.loads(read[name]["measurementAlgorithmIdentification"]["AlgorithmParameters"][0])
    assert chain["settings_sha256"] == "0" * 64
print(len(found), "groups,", sum(map(len, found.values())), "values,", sum(map(len, errors.values())), "errors")
"#;

#[test]
fn highdicom_and_dcmqi_read_every_value_as_it_stands_in_the_table() {
    let Some(tools) = validators::tools() else { return };
    let case = case(&Plan::default());
    let files = validators::write("report/round-trip", &all_documents(&case));
    let folder = files[0].parent().unwrap();
    std::fs::write(folder.join("features.csv"), radiomicsd::report::features_csv(&case).unwrap()).unwrap();
    let mut python = Command::new(tools.join("python"));
    let output = python.arg("-c").arg(ROUND_TRIP).arg(folder).arg(tools.join("tid1500reader")).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

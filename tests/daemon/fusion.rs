//! Fusion from end to end: a cohort of patients by C-STORE, a model trained on what the daemon accumulated and put in force,
//! and what the next patients' reports say.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use approx::assert_relative_eq;
use radiomicsd::dicom::codes::concepts as c;
use radiomicsd::dicom::sr::{Content, Item};
use radiomicsd::phantom::{PhantomSettings, ScannerSettings, image_patient};
use rayon::prelude::*;
use serde_json::Value;

use super::node::{Daemon, PROGRAM, wait_for};
use super::pacs::Pacs;
use super::patient::{Patient, dcmsend};
use super::shared::said;

/// Native features only: those of aligned space change with the images that are there.
const PROTOCOL: &str = r#"
[[protocol]]
name = "pet-ct-mr"
reference = "CT"
roi = { names = ["^GTV"] }
registration = { transform = "none", same_frame_of_reference = "trust", error_draws = 0 }
features = { space = ["native"], families = ["morphology", "intensity"] }
fusion = { bundle = "none" }
  [[protocol.input]]
  role = "CT"
  modality = "CT"
  fwhm_mm = [1.0, 1.0, 3.0]
  [[protocol.input]]
  role = "PT"
  modality = "PT"
  required = false
  fwhm_mm = [6.0, 6.0, 6.0]
  [[protocol.input]]
  role = "MR_T1"
  modality = "MR"
  fwhm_mm = [1.1, 1.1, 4.0]
"#;

/// Patients of the cohort, half of them with the event: enough for training without force.
const N_PATIENTS: u32 = 64;

fn has_event(number: u64) -> bool {
    number % 2 == 1
}

fn patient(number: u64, change: impl FnOnce(&mut PhantomSettings)) -> Patient {
    let mut settings = image_patient(number, has_event(number));
    change(&mut settings);
    Patient::new(&settings)
}

fn radiomicsd(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM).current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The groups of the model reports that came after the first `n_before` reports.
fn model_group(pacs: &Pacs, patient: &str) -> Item {
    wait_for(&format!("a model report of {patient}"), || {
        let of_patient = |report: &super::pacs::Report| report.text(dicom_dictionary_std::tags::PATIENT_ID) == patient;
        let is_model = |item: &&Item| {
            let method = item.child(&c::MEASUREMENT_METHOD).map(|method| &method.content);
            item.concept.is(&c::MEASUREMENT_GROUP)
                && matches!(method, Some(Content::Code(code)) if code.is(&c::FUSION_METHOD))
        };
        let reports = pacs.reports();
        reports.iter().filter(|report| of_patient(report)).find_map(|report| report.root.walk().find(is_model).cloned())
    })
}

fn number(group: &Item, concept: &str) -> Option<f64> {
    let item = group.children.iter().find(|item| item.concept.meaning == concept)?;
    if let Content::Num(number) = &item.content { Some(number.value) } else { None }
}

fn probability(group: &Item) -> f64 {
    number(group, "Predicted probability of death")
        .unwrap_or_else(|| panic!("nothing is predicted: {:?}", group.children.last()))
}

/// The file of a patient's row of the cohort names its case.
fn detail(daemon: &Daemon, patient: &str) -> Value {
    let row = daemon.files("cohort").into_iter().find_map(|file| {
        let row: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        (row["patient"] == patient).then_some(row)
    });
    let case = row.unwrap_or_else(|| panic!("{patient} is not in the cohort"))["case"].as_str().unwrap().to_owned();
    serde_json::from_slice(&daemon.ask(&["case", &case, "--json"]).stdout).unwrap()
}

/// Sends the cohort, trains on what came of it, and puts the bundle in force.
fn train_on_a_cohort(daemon: &mut Daemon) {
    let mut outcome = "patient,death\n".to_owned();
    let patients: Vec<Patient> =
        (1..=u64::from(N_PATIENTS)).into_par_iter().map(|number| patient(number, |_| ())).collect();
    for several in patients.chunks(16) {
        dcmsend(daemon, &several.iter().flat_map(Patient::all).collect::<Vec<_>>());
    }
    for number in 1..=u64::from(N_PATIENTS) {
        let _ = writeln!(outcome, "P{number:03},{}", u8::from(has_event(number)));
    }
    let n_done = || daemon.files("cohort").iter().filter(|file| file.extension().is_some_and(|e| e == "json")).count();
    wait_for("the cohort", || (n_done() == usize::try_from(N_PATIENTS).unwrap()).then_some(()));
    std::fs::write(daemon.path("outcome.csv"), outcome).unwrap();
    let folder = daemon.path("");
    let train = "fusion train --cohort --config radiomicsd.toml --outcome outcome.csv --endpoint death --fusion late \
                 --folds 3 --repeats 2 --out bundle";
    radiomicsd(&folder, &train.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>());
    radiomicsd(
        &folder,
        &["fusion", "activate", "--config", "radiomicsd.toml", "--bundle", "bundle", "--name", "death"],
    );
    daemon.configure("bundle = \"none\"", "bundle = \"death\"");
    daemon.signal("HUP");
    wait_for("the reload", || daemon.log().contains("the new configuration is in force").then_some(()));
}

#[test]
fn a_model_trained_on_patients_sent_by_c_store_predicts_for_the_next_without_pet_too_and_refuses_an_unknown_scanner() {
    let Some(pacs) = Pacs::start() else { return };
    let destination = format!("{}send = [\"sr\"]\n", pacs.destination());
    let mut daemon = Daemon::start(&format!("{PROTOCOL}\n{destination}"));
    // Nothing is cut off here: thousands of instances need not wait for the disk.
    daemon.kill();
    daemon.configure("reserve_bytes = 0", "reserve_bytes = 0\ndurability = \"none\"");
    daemon.run();
    train_on_a_cohort(&mut daemon);

    let whole = patient(105, |_| ());
    dcmsend(&daemon, &whole.all());
    let group = model_group(&pacs, "P105");
    let of_event = probability(&group);
    let low = number(&group, "Lower 95 % limit, probability of death").unwrap();
    let high = number(&group, "Upper 95 % limit, probability of death").unwrap();
    assert!(low <= of_event && of_event <= high && of_event > 0.5, "{low} {of_event} {high}");
    for block in ["CT", "PT", "MR_T1", "clinical"] {
        assert!(number(&group, &format!("Contribution of block {block}")).is_some(), "{block}");
    }
    let text = format!("{group:?}");
    assert!(text.contains("bundle_sha256=") && text.contains("research use only"), "{text}");

    let without = patient(106, |_| ());
    let pet = without.series("PT");
    let files: Vec<PathBuf> = without.all().into_iter().filter(|file| !pet.contains(file)).collect();
    dcmsend(&daemon, &files);
    let group = model_group(&pacs, "P106");
    let of_no_event = probability(&group);
    assert!(of_no_event < 0.5, "{of_no_event}");
    assert!(number(&group, "Contribution of block PT").is_none_or(|part| part.abs() < 1e-12));
    assert!(format!("{group:?}").contains("block PT is missing"), "{group:?}");

    let elsewhere = patient(103, |settings| settings.ct.scanner = ScannerSettings::new("Unknown CT", "SHARP"));
    dcmsend(&daemon, &elsewhere.all());
    let group = model_group(&pacs, "P103");
    let Content::Code(reason) = &group.child(&c::REFUSAL_REASON).unwrap().content else { panic!("{group:?}") };
    assert_eq!(reason.meaning, "not harmonised");
    assert!(number(&group, "Predicted probability of death").is_none());
    let told = detail(&daemon, "P103");
    assert_eq!(
        (&told["predictions"][0]["status"], &told["predictions"][0]["code"]),
        (&"refused".into(), &"not_harmonised".into())
    );
    assert_eq!(detail(&daemon, "P105")["predictions"][0]["status"], "predicted");

    // The same bundle asked offline about the same cohort says the same.
    let predict =
        ["fusion", "predict", "--cohort", "--config", "radiomicsd.toml", "--bundle", "bundle", "--out", "p.csv"];
    radiomicsd(&daemon.path(""), &predict);
    let table = std::fs::read_to_string(daemon.path("p.csv")).unwrap();
    let cell = |id: &str, column: usize| {
        let row = table.lines().find(|line| line.starts_with(id)).unwrap();
        row.split(',').nth(column).unwrap().to_owned()
    };
    assert_relative_eq!(cell("P105", 1).parse::<f64>().unwrap(), of_event, max_relative = 1e-12);
    assert_relative_eq!(cell("P106", 1).parse::<f64>().unwrap(), of_no_event, max_relative = 1e-12);
    assert_eq!(cell("P103", 4), "refused");
}

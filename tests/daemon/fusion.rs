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

use super::node::{Daemon, PROGRAM, PROTOCOL, wait_for};
use super::pacs::Pacs;
use super::patient::{Patient, dcmsend};
use super::shared::said;

/// Native features only, few of them, and a PET that may be missing: those of aligned space change with the images that are
/// there.
fn protocol() -> String {
    let (before, rest) = PROTOCOL.split_once("features =").unwrap();
    let (_, inputs) = rest.split_once('\n').unwrap();
    let inputs = inputs.replace("required = true", "required = false");
    format!(
        "{before}registration = {{ transform = \"none\", same_frame_of_reference = \"trust\", error_draws = 0 }}\n\
         features = {{ space = [\"native\"], families = [\"morphology\", \"intensity\"] }}\n\
         fusion = {{ bundle = \"none\" }}\n{inputs}"
    )
}

const TOKEN: &str = "0123456789abcdef";

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
    let (mut outcome, mut clinical) = ("patient,death\n".to_owned(), "patient,marker\n".to_owned());
    let patients: Vec<Patient> =
        (1..=u64::from(N_PATIENTS)).into_par_iter().map(|number| patient(number, |_| ())).collect();
    for several in patients.chunks(16) {
        dcmsend(daemon, &several.iter().flat_map(Patient::all).collect::<Vec<_>>());
    }
    for number in 1..=u64::from(N_PATIENTS) {
        let _ = writeln!(outcome, "P{number:03},{}", u8::from(has_event(number)));
        // Higher where the event comes, mostly.
        let marker = f64::from(u8::from(has_event(number))) + 0.3 * ((number * 7 % 11) as f64 - 5.0);
        let _ = writeln!(clinical, "P{number:03},{marker:?}");
    }
    let n_done = || daemon.files("cohort").iter().filter(|file| file.extension().is_some_and(|e| e == "json")).count();
    wait_for("the cohort", || (n_done() == usize::try_from(N_PATIENTS).unwrap()).then_some(()));
    std::fs::write(daemon.path("outcome.csv"), outcome).unwrap();
    std::fs::write(daemon.path("clinical.csv"), clinical).unwrap();
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
    let clinical = "[clinical]\ntable = \"clinical.csv\"\n";
    let mut daemon = Daemon::start(&format!("{}\n{destination}{clinical}", protocol()));
    // Nothing is cut off here: thousands of instances need not wait for the disk.
    daemon.kill();
    std::fs::write(daemon.path("token"), TOKEN).unwrap();
    daemon.configure("[http]\n", "[http]\ntoken_file = \"token\"\n");
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

    what_the_clinic_says_counts(&daemon, &pacs);

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

/// Of two patients with the same images one has a marker by `PUT`, the other one in the table, which is read again.
fn what_the_clinic_says_counts(daemon: &Daemon, pacs: &Pacs) {
    let (path, json) = ("/api/patients/P107/clinical", r#"{"marker": 2.0}"#);
    assert_eq!(daemon.put(path, None, json), 401);
    assert_eq!(daemon.put(path, Some(TOKEN), json), 200);
    let table = std::fs::read_to_string(daemon.path("clinical.csv")).unwrap();
    std::fs::write(daemon.path("clinical.csv"), format!("{table}P109,-1.5\n")).unwrap();
    let contributions = |id: &str| {
        dcmsend(daemon, &patient(105, |settings| settings.patient.id = id.to_owned()).all());
        let group = model_group(pacs, id);
        let of = |block: &str| number(&group, &format!("Contribution of block {block}"));
        ["clinical", "CT"].map(|block| of(block).unwrap_or_else(|| panic!("nothing is predicted: {group:?}")))
    };
    let (put, listed) = (contributions("P107"), contributions("P109"));
    assert!(put[0] > 0.0 && listed[0] < 0.0, "{put:?} {listed:?}");
    assert_relative_eq!(put[1], listed[1], epsilon = 1e-12);
}

//! What changed since an earlier study of the same patient, over the whole path.

use jiff::civil::datetime;
use radiomicsd::dicom::codes::concepts;
use radiomicsd::dicom::sr::Content;
use radiomicsd::phantom::PhantomSettings;
use serde_json::Value;

use super::node::{Daemon, quick_protocol, wait_for};
use super::pacs::Pacs;
use super::patient::{Patient, dcmsend};

/// The tiny patient three months later, after a treatment.
fn later() -> PhantomSettings {
    let mut settings = PhantomSettings::tiny();
    settings.seed = 2;
    settings.scanned_at = datetime(2024, 6, 14, 9, 30, 0, 0);
    settings.lesions[0].mean.suv = 4.0;
    settings
}

fn detail(daemon: &Daemon, case: &Value) -> Value {
    serde_json::from_slice(&daemon.ask(&["case", case["id"].as_str().unwrap(), "--json"]).stdout).unwrap()
}

/// The mean of the PET in the table of a case.
fn mean_suv(daemon: &Daemon, case: &Value) -> f64 {
    let mut table = csv::Reader::from_path(daemon.result(case, 1).join("features.csv")).unwrap();
    let row = table
        .records()
        .map(Result::unwrap)
        .find(|row| &row[2] == "PT" && &row[3] == "native" && &row[5] == "stat_mean");
    row.unwrap()[11].parse().unwrap()
}

#[test]
fn a_later_study_says_what_changed_since_the_one_before_and_the_earlier_one_says_nothing() {
    let Some(pacs) = Pacs::start() else { return };
    let daemon = Daemon::start(&format!("{}\n{}", quick_protocol(), pacs.destination()));
    dcmsend(&daemon, &Patient::tiny().all());
    let first = daemon.wait_for_state("done");
    dcmsend(&daemon, &Patient::new(&later()).all());
    let second = wait_for("the second case", || {
        let cases = daemon.cases();
        cases.into_iter().find(|case| case["id"] != first["id"] && case["state"] == "done")
    });
    assert_eq!(detail(&daemon, &first)["changes"], Value::Array(Vec::new()));
    let detail = detail(&daemon, &second);
    let changes = detail["changes"].as_array().unwrap();
    assert!(changes.iter().all(|change| change["since"]["case"] == first["id"]), "{changes:?}");
    assert_eq!(
        (&changes[0]["since"]["study_date"], &changes[0]["since"]["same_lesion_by"]),
        (&"20240314".into(), &"label".into())
    );
    let block = changes.iter().find(|change| change["role"] == "PT" && change["space"] == "native").unwrap();
    let mean = block["features"].as_array().unwrap().iter().find(|feature| feature["tag"] == "stat_mean").unwrap();
    let (before, now) = (mean_suv(&daemon, &first), mean_suv(&daemon, &second));
    assert_eq!(
        (mean["before"].as_f64(), mean["now"].as_f64(), mean["change"].as_f64()),
        (Some(before), Some(now), Some(now - before))
    );
    assert!(now < 0.7 * before, "{before} {now}");
    // What was measured through a registration has its error, and a verdict.
    let with_verdict = |change: &Value| {
        let features = change["features"].as_array().unwrap();
        change["space"] == "aligned" && features.iter().any(|feature| feature["exceeds_error"].is_boolean())
    };
    assert!(changes.iter().any(with_verdict), "{changes:?}");
    let reports = pacs.wait_for_reports(2);
    let groups_of_change = |report: &super::pacs::Report| {
        let method = |item: &&radiomicsd::dicom::sr::Item| matches!(&item.content, Content::Code(code) if item.concept.is(&concepts::MEASUREMENT_METHOD) && code.is(&concepts::CHANGE));
        report.root.walk().filter(method).count()
    };
    let mut counts: Vec<usize> = reports.iter().map(groups_of_change).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, changes.len()]);
}

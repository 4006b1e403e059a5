//! The outbox: results reach their destination in the end, the same bytes, or stay visible.

use serde_json::Value;

use super::node::{Daemon, PROTOCOL, wait_for};
use super::pacs::Pacs;
use super::patient::{Patient, dcmsend};
use super::shared::said;

#[test]
fn a_destination_that_was_down_gets_everything_when_it_is_back_also_after_a_restart() {
    let Some(mut pacs) = Pacs::start() else { return };
    pacs.stop();
    let patient = Patient::tiny();
    let mut daemon = Daemon::start(&format!("{PROTOCOL}\n{}", pacs.destination()));
    dcmsend(&daemon, &patient.all());
    let case = daemon.wait_for_state("done");
    let pending = |daemon: &Daemon| {
        let output = daemon.ask(&["case", case["id"].as_str().unwrap(), "--json"]);
        let detail: Value = serde_json::from_slice(&output.stdout).unwrap();
        let deliveries = detail["deliveries"].as_array().unwrap().clone();
        assert_eq!(deliveries.len(), 4);
        deliveries
    };
    wait_for("a failed attempt", || {
        pending(&daemon).iter().all(|d| d["state"] == "pending" && d["attempts"].as_u64() > Some(0)).then_some(())
    });
    daemon.kill();
    daemon.run();
    assert!(pending(&daemon).iter().all(|delivery| delivery["state"] == "pending"));
    pacs.run();
    pacs.wait_for_reports(1);
    wait_for("all sent", || pending(&daemon).iter().all(|delivery| delivery["state"] == "sent").then_some(()));
    assert_eq!(pacs.files().len(), 4);
}

#[test]
fn what_was_given_up_stays_visible_and_retry_revives_it() {
    let Some(mut pacs) = Pacs::start() else { return };
    pacs.stop();
    let patient = Patient::tiny();
    let destination = pacs.destination().replace("max = \"1s\"", "max = \"1s\", give_up_after = \"1s\"");
    let daemon = Daemon::start(&format!("{PROTOCOL}\n{destination}"));
    dcmsend(&daemon, &patient.all());
    let case = daemon.wait_for_state("done");
    let id = case["id"].as_str().unwrap();
    let states = || {
        let detail: Value = serde_json::from_slice(&daemon.ask(&["case", id, "--json"]).stdout).unwrap();
        let deliveries = detail["deliveries"].as_array().unwrap().clone();
        deliveries.into_iter().map(|delivery| delivery["state"].clone()).collect::<Vec<_>>()
    };
    let all = |wanted: &str| states().iter().all(|state| state == wanted).then_some(());
    wait_for("giving up", || all("given_up"));
    let page = daemon.get("/").unwrap().1;
    assert!(page.contains("given up"), "{page}");
    pacs.run();
    let retried = daemon.ask(&["retry", id]);
    assert!(retried.status.success(), "{}", said(&retried));
    wait_for("everything sent", || all("sent"));
    assert_eq!(pacs.reports().len(), 1);
}

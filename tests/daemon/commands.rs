//! Commands, exit codes, HTTP, signals.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use super::node::{Daemon, PROGRAM, PROTOCOL, wait_for};
use super::patient::{Patient, dcmsend};
use super::shared::{dcmtk, said};

fn radiomicsd(arguments: &[&str]) -> std::process::Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

#[test]
fn a_wrong_configuration_ends_with_64_and_a_sentence_that_names_file_key_and_expectation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.toml");
    std::fs::write(&path, "[storage]\ndirectory = \"x\"\n[dicom]\nae_titel = \"X\"\n").unwrap();
    for command in ["check-config", "serve", "verify"] {
        let output = radiomicsd(&[command, "--config", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(64), "{command}");
        let text = said(&output);
        assert!(text.contains("wrong.toml") && text.contains("ae_titel") && text.contains("ae_title"), "{text}");
    }
    assert_eq!(radiomicsd(&["serve", "--config", "/nowhere/at/all.toml"]).status.code(), Some(64));
}

#[test]
fn the_example_is_a_configuration_and_what_is_in_force_reads_back_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (example, effective) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
    std::fs::write(&example, radiomicsd(&["check-config", "--example"]).stdout).unwrap();
    let first = radiomicsd(&["check-config", "--config", example.to_str().unwrap()]);
    assert!(first.status.success(), "{}", said(&first));
    std::fs::write(&effective, &first.stdout).unwrap();
    let second = radiomicsd(&["check-config", "--config", effective.to_str().unwrap()]);
    assert_eq!(first.stdout, second.stdout);
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    // clap's own code for usage errors is 2; the documented one is 64.
    assert_eq!(radiomicsd(&["sevre"]).status.code(), Some(64));
    assert_eq!(radiomicsd(&["--help"]).status.code(), Some(0));
}

#[test]
fn health_ready_metrics_and_the_page_answer_without_patient_data() {
    if dcmtk("dcmsend").is_none() {
        return;
    }
    let mut daemon = Daemon::start(PROTOCOL);
    let patient = Patient::tiny();
    dcmsend(&daemon, &patient.all());
    let case = daemon.wait_for_state("done");
    let id = case["id"].as_str().unwrap();
    let shown = daemon.ask(&["case", id]);
    assert!(said(&shown).contains("done") && said(&shown).contains("seg-PT"), "{}", said(&shown));
    let mut everything = daemon.log() + &said(&shown);
    for path in ["/", "/health", "/ready", "/metrics", "/api/cases", &format!("/api/cases/{id}")] {
        let (status, body) = daemon.get(path).unwrap();
        assert_eq!(status, 200, "{path}");
        everything += &body;
    }
    for secret in ["Phantom^Synthetic", "PHANTOM-1", "19600101", "1960-01-01"] {
        assert!(!everything.contains(secret), "{secret}");
    }
    assert!(daemon.terminate().success());
    assert!(daemon.log().contains("stopped"));
}

#[test]
fn sigterm_drains_and_the_port_is_free_again() {
    let mut daemon = Daemon::start("");
    let port = daemon.dicom;
    assert!(daemon.terminate().success());
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
}

#[test]
fn sighup_puts_a_good_configuration_in_force_and_refuses_a_bad_one() {
    let Some(mut echoscu) = dcmtk("echoscu") else { return };
    let mut daemon = Daemon::start("");
    let mut echo = |daemon: &Daemon| {
        echoscu = dcmtk("echoscu").unwrap();
        echoscu.args(["-aec", "RADIOMICSD", "127.0.0.1", &daemon.dicom.to_string()]);
        echoscu.output().unwrap().status.success()
    };
    assert!(echo(&daemon));
    daemon.configure("accept_unknown_peers = true", "accept_unknown_peers = 7");
    daemon.signal("HUP");
    wait_for("the refusal", || daemon.log().contains("the old one stays in force").then_some(()));
    assert!(echo(&daemon));
    daemon.configure("accept_unknown_peers = 7", "accept_unknown_peers = false");
    daemon.signal("HUP");
    wait_for("the reload", || daemon.log().contains("the new configuration is in force").then_some(()));
    assert!(!echo(&daemon));
    assert!(daemon.is_running());
}

#[test]
fn verify_tells_altered_files_and_reindex_finds_every_instance() {
    if dcmtk("dcmsend").is_none() {
        return;
    }
    let mut daemon = Daemon::start("");
    let patient = Patient::tiny();
    dcmsend(&daemon, &patient.all());
    assert!(daemon.terminate().success());
    let config = daemon.path("radiomicsd.toml");
    let config = config.to_str().unwrap();
    let good = radiomicsd(&["verify", "--config", config]);
    assert!(good.status.success(), "{}", said(&good));
    let report: serde_json::Value =
        serde_json::from_slice(&radiomicsd(&["reindex", "--json", "--config", config]).stdout).unwrap();
    assert_eq!(report["instances"], patient.all().len());
    let file = &daemon.files("instances")[0];
    let mut bytes = std::fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, bytes).unwrap();
    let bad = radiomicsd(&["verify", "--config", config]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(said(&bad).contains("1 altered"), "{}", said(&bad));
}

#[test]
fn features_of_one_image_and_one_region_are_a_table_by_the_settings_of_a_file() {
    let patient = Patient::tiny();
    let folder = tempfile::tempdir().unwrap();
    let (settings, out) = (folder.path().join("s.toml"), folder.path().join("f.csv"));
    std::fs::write(&settings, "preset = \"ibsi-c\"\nfamilies = [\"intensity\", \"glcm\"]\n").unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["features", "--roi-name", "GTV_CT"]);
    command.arg("--image").arg(patient.path().join("CT")).arg("--roi").arg(&patient.series("RTSTRUCT1")[0]);
    command.arg("--settings").arg(&settings).arg("--out").arg(&out);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let table = std::fs::read_to_string(out).unwrap();
    assert!(table.contains("stat_mean") && table.contains("cm_joint_max_3D_avg") && !table.contains("morph_"));
    std::fs::write(&settings, "preset = \"ibsi-z\"\n").unwrap();
    let mut wrong = Command::new(PROGRAM);
    wrong.arg("features").arg("--image").arg(patient.path().join("CT")).arg("--roi").arg(patient.path());
    let output = wrong.arg("--settings").arg(&settings).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(said(&output).contains("ibsi-z"));
}

#[test]
fn systemd_hears_that_it_is_ready_alive_and_stopping() {
    let mut daemon = Daemon::start("");
    daemon.kill();
    let socket = UnixDatagram::bind(daemon.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    daemon.environment =
        vec![("NOTIFY_SOCKET", daemon.path("notify").display().to_string()), ("WATCHDOG_USEC", "4000000".to_owned())];
    daemon.run();
    let mut heard = String::new();
    let mut hear_until = |word: &str| {
        let mut message = [0; 4096];
        while !heard.contains(word) {
            let length = match socket.recv(&mut message) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                heard_now => heard_now.unwrap_or_else(|error| panic!("{word}: {error} after {heard}")),
            };
            heard.push_str(&String::from_utf8_lossy(&message[..length]));
            heard.push('\n');
        }
    };
    hear_until("READY=1");
    hear_until("WATCHDOG=1");
    let stopping = std::thread::scope(|scope| {
        let ended = scope.spawn(|| daemon.terminate());
        hear_until("STOPPING=1");
        ended.join().unwrap()
    });
    assert!(stopping.success());
}

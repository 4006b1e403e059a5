//! `kill -9` at random moments of receiving, processing and delivering: what was acknowledged is there, and each case
//! ends with one report.
//!
//! The phases take turns, and within one the moment is random, from a seed that is printed. Ten kills by default;
//! `RADIOMICSD_KILLS=50` asks for more.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use dicom_dictionary_std::tags;
use radiomicsd::dicom::uid::Uid;
use radiomicsd::net::AeTitle;
use radiomicsd::net::deliver::{Destination, Item, Source, Timeouts, send};
use radiomicsd::phantom::{Phantom, PhantomSettings, SyntheticPatient};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use sha2::{Digest, Sha256};

use super::node::{Daemon, PROTOCOL, wait_for};
use super::pacs::Pacs;

/// How long after a phase has begun the process is killed, at most.
const INTO_PHASE_MS: u64 = 400;

/// What the process is doing when it is killed.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Receiving,
    Processing,
    Delivering,
}

impl Phase {
    fn of_round(round: u64) -> Self {
        match round % 3 {
            0 => Self::Receiving,
            1 => Self::Processing,
            _ => Self::Delivering,
        }
    }

    /// Waits until the phase has begun: while it receives, until so many instances were acknowledged.
    fn wait(self, daemon: &Daemon, n_before: [usize; 2], acknowledged: &mpsc::Receiver<Uid>, n: usize) -> Vec<Uid> {
        match self {
            Self::Receiving => {
                (0..n).map(|_| acknowledged.recv_timeout(Duration::from_secs(30)).expect("an answer")).collect()
            }
            Self::Processing => {
                wait_for("a stage", || (daemon.log_lines("\"message\":\"stage\"") > n_before[0]).then(Vec::new))
            }
            Self::Delivering => {
                wait_for("a result", || (daemon.log_lines("result saved") > n_before[1]).then(Vec::new))
            }
        }
    }
}

fn kills() -> u64 {
    std::env::var("RADIOMICSD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

fn digest_of_data_set(part10: &[u8]) -> [u8; 32] {
    let length = u32::from_le_bytes(part10[140..144].try_into().unwrap());
    Sha256::digest(&part10[144 + usize::try_from(length).unwrap()..]).into()
}

/// A patient of its own for each round, as what is sent.
fn patient(round: u64) -> Vec<Item> {
    let mut settings = PhantomSettings { seed: 1000 + round, ..PhantomSettings::tiny() };
    settings.patient.id = format!("PHANTOM-{round}");
    let phantom = Phantom::new(&settings).unwrap();
    let items = SyntheticPatient::new(&phantom).unwrap().encode().unwrap().into_iter().map(|instance| Item {
        sop_class: instance.sop_class,
        sop_instance: instance.sop_instance,
        transfer_syntax: instance.transfer_syntax,
        source: Source::Bytes(instance.bytes),
    });
    items.collect()
}

fn bytes_of(item: &Item) -> &[u8] {
    match &item.source {
        Source::Bytes(bytes) => bytes,
        Source::File(_) => panic!("items are in memory"),
    }
}

/// Sends everything on one association; tells each acknowledged instance.
fn send_all(port: u16, items: Vec<Item>, acknowledged: &mpsc::Sender<Uid>) {
    let second = Duration::from_secs(5);
    let destination = Destination {
        ae_title: AeTitle::parse("RADIOMICSD").unwrap(),
        address: format!("127.0.0.1:{port}"),
        calling_ae_title: AeTitle::parse("SCANNER").unwrap(),
        timeouts: Timeouts { connect: second, association: second, response: second, write: second },
        tls: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for piece in items.chunks(4) {
            let Ok(outcomes) = send(&destination, piece).await else { return };
            for outcome in outcomes {
                if outcome.result.is_ok() {
                    acknowledged.send(outcome.sop_instance).unwrap();
                }
            }
        }
    });
}

/// The digest of every stored data set by its SOP Instance UID.
fn stored(daemon: &Daemon) -> BTreeMap<String, [u8; 32]> {
    let files = daemon.files("instances").into_iter().filter(|file| file.extension().is_some_and(|e| e == "dcm"));
    let read = files.map(|file| {
        let facts = radiomicsd::dicom::facts::read(&file, &[]).unwrap();
        (facts.sop_instance.as_str().to_owned(), digest_of_data_set(&std::fs::read(&file).unwrap()))
    });
    read.collect()
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost_and_each_case_ends_with_one_report() {
    let Some(pacs) = Pacs::start() else { return };
    let mut daemon = Daemon::start(&format!("{PROTOCOL}\n{}", pacs.destination()));
    let seed = 20_240_314;
    let mut random = Pcg64::seed_from_u64(seed);
    for round in 0..kills() {
        let items = patient(round);
        let phase = Phase::of_round(round);
        let n_answers = random.random_range(1..items.len());
        let after_ms = random.random_range(0..INTO_PHASE_MS);
        println!("round {round} of seed {seed}: killed while {phase:?}, {n_answers} answers, {after_ms} ms");
        let n_before = [daemon.log_lines("\"message\":\"stage\""), daemon.log_lines("result saved")];
        let (sender, acknowledged) = mpsc::channel();
        let (port, sent) = (daemon.dicom, items.clone());
        let sending = std::thread::spawn(move || send_all(port, sent, &sender));
        let mut before_the_kill = phase.wait(&daemon, n_before, &acknowledged, n_answers);
        if !matches!(phase, Phase::Receiving) {
            std::thread::sleep(Duration::from_millis(after_ms));
        }
        daemon.kill();
        sending.join().unwrap();
        daemon.run();

        let stored = stored(&daemon);
        let by_uid: BTreeMap<&str, &Item> = items.iter().map(|item| (item.sop_instance.as_str(), item)).collect();
        before_the_kill.extend(acknowledged.try_iter());
        let acknowledged = before_the_kill;
        assert!(n_answers <= acknowledged.len() || acknowledged.len() == items.len(), "round {round}");
        for uid in &acknowledged {
            let sent = digest_of_data_set(bytes_of(by_uid[uid.as_str()]));
            assert_eq!(stored.get(uid.as_str()), Some(&sent), "round {round}: an acknowledged instance is not there");
        }
        // The sender sends again what it has no answer for, and more.
        let (sender, again) = mpsc::channel();
        send_all(daemon.dicom, items.clone(), &sender);
        assert_eq!(again.try_iter().count(), items.len(), "round {round}: everything is taken or was there");
        let n_done = usize::try_from(round).unwrap() + 1;
        wait_for(&format!("round {round}: all cases done"), || {
            let cases = daemon.cases();
            let all = cases.len() == n_done && cases.iter().all(|case| case["state"] == "done");
            all.then_some(())
        });
        wait_for(&format!("round {round}: an empty outbox"), || {
            (daemon.metric("radiomicsd_outbox_documents{state=\"pending\"}") == 0).then_some(())
        });
        assert_one_report_per_revision(&daemon, &pacs);
    }
    assert!(daemon.terminate().success());
}

fn assert_one_report_per_revision(daemon: &Daemon, pacs: &Pacs) {
    let mut by_study: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for report in pacs.reports() {
        let instance = report.text(tags::SOP_INSTANCE_UID);
        by_study.entry(report.text(tags::STUDY_INSTANCE_UID)).or_default().push(instance);
    }
    let cases = daemon.cases();
    let n_revisions: u64 = cases.iter().map(|case| case["revision"].as_u64().unwrap()).sum();
    let n_reports: usize = by_study.values().map(Vec::len).sum();
    assert_eq!(by_study.len(), cases.len());
    assert_eq!(n_reports as u64, n_revisions);
}

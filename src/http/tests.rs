//! The interface over real connections.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::api::{CaseDetail, CaseList};
use super::{AssociationView, HttpState, NodeSnapshot, Token, serve};
use crate::case::{CaseId, CaseSpec, RoleInput};
use crate::clock::Timestamp;
use crate::dicom::facts::InstanceFacts;
use crate::dicom::likeness;
use crate::dicom::uid::Uid;
use crate::finding::{Finding, FindingKind};
use crate::metrics::{CaseOutcome, DeliveryOutcome, Metrics};
use crate::report::{Document, DocumentKind};
use crate::store::tests::fixture;
use crate::store::{CaseRecord, CaseState, Durability, Holding, Origin, Store, StoreSettings};

/// A UID that must not appear anywhere.
const SERIES: &str = "1.2.840.99999.1.77";

struct Server {
    address: std::net::SocketAddr,
    store: Store,
    metrics: Arc<Metrics>,
    retries: mpsc::Receiver<CaseId>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
    _directory: tempfile::TempDir,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn case(id: &str, state: CaseState) -> CaseRecord {
    let series = Uid::parse(SERIES).unwrap();
    let id = CaseId(id.to_owned());
    CaseRecord {
        id: id.clone(),
        state,
        protocol: "pet-ct-mr".to_owned(),
        revision: 1,
        series: vec![series.clone()],
        reason: "two series fit the role <CT>".to_owned(),
        findings: vec![Finding::new(FindingKind::AmbiguousSeries, "CT", "2 series of 200 slices")],
        attempts: 1,
        next_attempt_at: None,
        lapsed: false,
        handed_at: None,
        created_at: at(0),
        updated_at: at(60),
        spec: Some(CaseSpec {
            id,
            revision: 1,
            protocol: "pet-ct-mr".to_owned(),
            inputs: vec![RoleInput {
                role: "CT".to_owned(),
                series,
                study: Uid::parse("1.2.840.99999.1").unwrap(),
                instances: vec![Uid::parse("1.2.840.99999.1.77.1").unwrap()],
            }],
            annotations: Vec::new(),
            registrations: Vec::new(),
            findings: Vec::new(),
        }),
    }
}

async fn start(token: Option<&str>, not_ready: Option<&str>, reserve_bytes: u64) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings {
        directory: directory.path().to_owned(),
        reserve_bytes,
        durability: Durability::Full,
        read_facts: Arc::new(|_| Err("not read in this test".to_owned())),
        facts_version: String::new(),
        compare: likeness::of,
    };
    let store = Store::open(&settings).unwrap().0;
    let snapshot = NodeSnapshot {
        not_ready: not_ready.map(str::to_owned),
        open_associations: 2,
        associations: vec![AssociationView { calling_ae: "CT<1>".to_owned(), since: at(0), instances: 12 }],
        stored: 34,
        unusable_models: vec!["fusion.bundle \"death\" cannot be used".to_owned()],
        ..NodeSnapshot::default()
    };
    let metrics = Arc::new(Metrics::new());
    let (retry, retries) = mpsc::channel(1);
    let token = token.map(|token| Token::new(token).unwrap());
    let state = HttpState::new(store.clone(), Arc::clone(&metrics), Arc::new(move || snapshot.clone()), retry, token);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(serve(listener, state, async { stopped.await.unwrap_or_default() }));
    Server { address, store, metrics, retries, stop, task, _directory: directory }
}

impl Server {
    /// One request with these further header lines: the status and the whole answer.
    async fn ask(&self, method: &str, path: &str, headers: &[&str]) -> (u16, String) {
        self.send(method, path, headers, "").await
    }

    /// The same with a body.
    async fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n");
        if !headers.iter().any(|line| line.starts_with("Host:")) {
            request += "Host: localhost\r\n";
        }
        for line in headers {
            request += &format!("{line}\r\n");
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, &[]).await
    }

    fn fill(&self) {
        for (id, state) in [("c-parked", CaseState::Parked), ("c-done", CaseState::Done), ("c-open", CaseState::Ready)]
        {
            self.store.put_case(&case(id, state)).unwrap();
        }
        let document = Document {
            kind: DocumentKind::Sr,
            name: "sr".to_owned(),
            study: Uid::parse("1.2.840.99999.1").unwrap(),
            series: Uid::parse("1.2.840.99999.1.88").unwrap(),
            sop_class: Uid::parse("1.2.840.10008.5.1.4.1.1.88.34").unwrap(),
            sop_instance: Uid::parse("1.2.840.99999.1.88.1").unwrap(),
            transfer_syntax: Uid::parse("1.2.840.10008.1.2.1").unwrap(),
            bytes: b"sr".to_vec(),
        };
        let id = CaseId("c-done".to_owned());
        self.store.save_result(&id, 1, std::slice::from_ref(&document), b"", b"{}").unwrap();
        self.store.enqueue(&id, 1, "PACS", &[document.sop_instance], at(0)).unwrap();
        let entry = self.store.due(at(0)).remove(0);
        self.store.mark_failed(&entry.id, Some(at(500)), "connection refused").unwrap();
    }
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_are_told_apart() {
    let server = start(None, Some("draining"), 0).await;
    assert_eq!(server.get("/health").await.0, 200);
    let (status, answer) = server.get("/ready").await;
    assert_eq!((status, body(&answer)), (503, "draining\n"));
    let full = start(None, None, u64::MAX).await;
    assert_eq!(full.get("/health").await.0, 200);
    assert_eq!(full.get("/ready").await.0, 503);
    assert_eq!(start(None, None, 0).await.get("/ready").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_metrics_changes_only_on_purpose() {
    let server = start(None, None, 0).await;
    server.fill();
    server.metrics.stage("register", 1.5);
    server.metrics.finding(FindingKind::GantryTilt);
    server.metrics.case_ended(CaseOutcome::Done);
    server.metrics.delivery(DeliveryOutcome::GivenUp);
    let (status, answer) = server.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(body(&answer).ends_with("# EOF\n"));
    let mut names: Vec<String> = body(&answer)
        .lines()
        .filter(|line| line.starts_with("# TYPE ") || !line.starts_with('#'))
        // Samples without their values, and no buckets.
        .map(|line| if line.starts_with('#') { line } else { line.rsplit_once(' ').unwrap().0 })
        .filter(|line| !line.contains("_bucket{"))
        .map(str::to_owned)
        .collect();
    // Families keep no order of their labels; names and labels are the contract.
    names.sort_unstable();
    let found = names.join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION") + "\n";
    let expected = include_str!("metrics.golden");
    assert_eq!(found, expected, "the metrics changed: if on purpose, write what was found to src/http/metrics.golden");
    assert!(body(&answer).contains("radiomicsd_cases{state=\"parked\"} 1"));
    assert!(body(&answer).contains("radiomicsd_outbox_documents{state=\"pending\"} 1"));
    assert!(body(&answer).contains("radiomicsd_open_associations 2"));
    assert!(body(&answer).contains("radiomicsd_unusable_models 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_cases_associations_and_outbox_and_no_uid() {
    let server = start(None, None, 0).await;
    server.fill();
    let (status, page) = server.get("/").await;
    assert_eq!(status, 200);
    for shown in [
        "c-parked",
        "ambiguous_series",
        "two series fit the role &lt;CT&gt;",
        "connection refused",
        "CT&lt;1&gt;",
        "PACS",
        "fusion.bundle &quot;death&quot; cannot be used",
    ] {
        assert!(page.contains(shown), "{shown} is not on the page");
    }
    assert!(page.contains("action=\"/api/cases/c-parked/retry\""));
    assert!(!page.contains("action=\"/api/cases/c-open/retry\""));
    assert!(page.contains("default-src 'none'"));
    for path in ["/", "/api/cases", "/api/cases/c-parked", "/api/cases/c-done", "/metrics"] {
        assert!(!server.get(path).await.1.contains("1.2.840.99999"), "{path} shows a UID");
    }
    assert_eq!(server.get("/style.css").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_come_as_json_that_reads_back() {
    let server = start(None, None, 0).await;
    server.fill();
    let list: CaseList = serde_json::from_str(body(&server.get("/api/cases").await.1)).unwrap();
    assert_eq!(list.cases.len(), 3);
    let parked = server.get("/api/cases?state=parked&limit=5").await.1;
    let parked: CaseList = serde_json::from_str(body(&parked)).unwrap();
    assert_eq!(parked.cases[0].id.0, "c-parked");
    let detail: CaseDetail = serde_json::from_str(body(&server.get("/api/cases/c-done").await.1)).unwrap();
    assert_eq!(detail.inputs[0].instances, 1);
    assert_eq!(detail.results[0].documents[0].name, "sr");
    assert_eq!(detail.deliveries[0].reason, "connection refused");
    for path in ["/api/cases/none", "/api/cases/..%2f..%2fetc", "/api/cases/%00"] {
        assert_eq!(server.get(path).await.0, 404, "{path}");
    }
    assert_eq!(server.get("/api/cases?state=unheard-of").await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_holds_of_a_study_stands_beside_what_came_of_it() {
    let server = start(None, None, 0).await;
    server.fill();
    let uid = |text: &str| Uid::parse(text).unwrap();
    let facts = InstanceFacts { series: uid(SERIES), study: uid("1.2.840.99999.1"), ..fixture::facts(1, 1) };
    let mut incoming = server.store.begin().unwrap();
    incoming.write(b"data set").unwrap();
    let origin = Origin { calling_ae: "CT".to_owned(), received_at: at(0), may_correct: false };
    incoming.commit(facts.clone(), origin).unwrap();
    assert!(!server.get("/").await.1.contains("PACS holds"));
    server.store.note_holding(&facts.study, Holding { peer: "PACS".to_owned(), n_instances: 1234, said_at: at(9) });
    let detail: CaseDetail = serde_json::from_str(body(&server.get("/api/cases/c-parked").await.1)).unwrap();
    let study = &detail.case.studies[0];
    assert_eq!((study.peer.as_str(), study.held, study.received, study.said_at), ("PACS", 1234, 1, at(9)));
    let page = server.get("/").await.1;
    let said = format!("PACS holds 1\u{202f}234 instances of study {}, 1 received", facts.study.short_hash());
    assert!(page.contains(&said) && !page.contains(facts.study.as_str()), "{page}");
    // All is here: there is nothing to remark.
    server.store.note_holding(&facts.study, Holding { peer: "PACS".to_owned(), n_instances: 1, said_at: at(9) });
    assert!(!server.get("/").await.1.contains("PACS holds"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_reaches_the_daemon_once_and_only_for_closed_cases() {
    let mut server = start(None, None, 0).await;
    server.fill();
    assert_eq!(server.ask("POST", "/api/cases/c-parked/retry", &[]).await.0, 202);
    assert_eq!(server.ask("POST", "/api/cases/c-done/retry", &[]).await.0, 503, "the daemon has not taken the first");
    assert_eq!(server.retries.recv().await, Some(CaseId("c-parked".to_owned())));
    assert_eq!(server.ask("POST", "/api/cases/c-open/retry", &[]).await.0, 409);
    assert_eq!(server.ask("POST", "/api/cases/none/retry", &[]).await.0, 404);
    assert_eq!(server.get("/api/cases/c-parked/retry").await.0, 405);
    let form = ["Content-Type: application/x-www-form-urlencoded", "Origin: http://localhost"];
    assert_eq!(server.ask("POST", "/api/cases/c-done/retry", &form).await.0, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_and_a_missing_token_are_refused() {
    let mut server = start(None, None, 0).await;
    server.fill();
    let path = "/api/cases/c-parked/retry";
    for header in ["Origin: http://evil.example", "Host: evil.example", "X-Forwarded-For: 10.0.0.1"] {
        assert_eq!(server.ask("POST", path, &[header]).await.0, 403, "{header}");
    }
    assert!(server.retries.try_recv().is_err());
    let guarded = start(Some("0123456789abcdef"), None, 0).await;
    guarded.fill();
    assert_eq!(guarded.ask("POST", path, &[]).await.0, 401);
    assert_eq!(guarded.ask("POST", path, &["Authorization: Bearer 0123456789abcdef"]).await.0, 202);
    assert!(!guarded.get("/").await.1.contains("<form"), "a button that cannot work is not shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_does_not_wait_for_an_idle_connection() {
    let server = start(None, None, 0).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    server.stop.send(()).unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), server.task).await;
    ended.expect("the server ends").unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clinical_values_are_put_by_one_with_the_token_and_kept_for_the_patient() {
    let server = start(Some("0123456789abcdef"), None, 0).await;
    let (path, json) = ("/api/patients/p%2F1/clinical", "Content-Type: application/json");
    let token = "Authorization: Bearer 0123456789abcdef";
    let body = r#"{"stage": "II", "age": 61.25}"#;
    assert_eq!(server.send("PUT", path, &[json], body).await.0, 401);
    let (status, answer) = server.send("PUT", path, &[json, token], body).await;
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.contains("p/1") && !answer.contains("61.25"), "no patient data in an answer: {answer}");
    let known = crate::table::put_covariates(server.store.directory(), "p/1").unwrap();
    assert_eq!(known.len(), 2);
    assert_eq!(server.send("PUT", path, &[json, token], r#"{"": 1}"#).await.0, 422);
    assert_eq!(server.send("PUT", path, &[json, token], r#"{"age": [1]}"#).await.0, 422);
    assert_eq!(server.ask("GET", path, &[token]).await.0, 405);
}

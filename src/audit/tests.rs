//! Messages and where they go.

use std::path::Path;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UdpSocket};

use super::*;

fn source() -> Source {
    Source { ae_title: "RADIOMICSD".into(), host: "node.hospital".into(), process_id: 42 }
}

fn at() -> Timestamp {
    "2024-05-06T07:08:09.25Z".parse().unwrap()
}

fn peer() -> Party {
    Party::peer("PACS", [10, 1, 0, 5].into())
}

fn objects() -> PatientObjects {
    let sop_classes = vec![SopClassCount { sop_class: "1.2.840.10008.5.1.4.1.1.2".into(), n_instances: 120 }];
    PatientObjects { patient_id: "P<1>".into(), studies: vec![StudyObjects { study: "1.2.3".into(), sop_classes }] }
}

fn every_event() -> Vec<Event> {
    let transfer = |from, to, outcome| Transfer { from, to, is_requested_by_sender: true, objects: objects(), outcome };
    vec![
        Event::Started,
        Event::Stopped,
        Event::BeginTransferring(transfer(Party::Ourselves, peer(), Outcome::Success)),
        Event::Transferred(transfer(Party::Ourselves, peer(), Outcome::MinorFailure("no association".into()))),
        Event::Transferred(transfer(peer(), Party::Ourselves, Outcome::Success)),
        Event::Refused { peer: Party::peer("", [10, 9, 9, 9].into()), reason: "no TLS & no \"title\"".into() },
        Event::Query {
            peer: peer(),
            sop_class: "1.2.840.10008.5.1.4.1.2.2.1".into(),
            query: vec![0, 255, 3],
            transfer_syntax: "1.2.840.10008.1.2".into(),
            outcome: Outcome::SeriousFailure("refused".into()),
        },
        Event::Deleted { requestor: Some(peer()), objects: objects() },
        Event::Deleted { requestor: None, objects: objects() },
    ]
}

#[test]
fn a_received_study_is_the_message_of_the_standard() {
    let xml = message::to_xml(&every_event()[4], &source(), at());
    let expected = concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?><AuditMessage>"#,
        r#"<EventIdentification EventActionCode="C" EventDateTime="2024-05-06T07:08:09.25Z" EventOutcomeIndicator="0">"#,
        r#"<EventID csd-code="110104" codeSystemName="DCM" originalText="DICOM Instances Transferred"/>"#,
        r#"</EventIdentification>"#,
        r#"<ActiveParticipant UserID="PACS" AlternativeUserID="AETITLES=PACS" UserIsRequestor="true" "#,
        r#"NetworkAccessPointID="10.1.0.5" NetworkAccessPointTypeCode="2">"#,
        r#"<RoleIDCode csd-code="110153" codeSystemName="DCM" originalText="Source Role ID"/></ActiveParticipant>"#,
        r#"<ActiveParticipant UserID="42" AlternativeUserID="AETITLES=RADIOMICSD" UserIsRequestor="false" "#,
        r#"NetworkAccessPointID="node.hospital" NetworkAccessPointTypeCode="1">"#,
        r#"<RoleIDCode csd-code="110152" codeSystemName="DCM" originalText="Destination Role ID"/></ActiveParticipant>"#,
        r#"<AuditSourceIdentification AuditSourceID="RADIOMICSD@node.hospital">"#,
        r#"<AuditSourceTypeCode csd-code="4"/></AuditSourceIdentification>"#,
        r#"<ParticipantObjectIdentification ParticipantObjectID="1.2.3" ParticipantObjectTypeCode="2" "#,
        r#"ParticipantObjectTypeCodeRole="3">"#,
        r#"<ParticipantObjectIDTypeCode csd-code="110180" codeSystemName="DCM" originalText="Study Instance UID"/>"#,
        r#"<ParticipantObjectName></ParticipantObjectName><ParticipantObjectDescription>"#,
        r#"<SOPClass UID="1.2.840.10008.5.1.4.1.1.2" NumberOfInstances="120"/>"#,
        r#"</ParticipantObjectDescription></ParticipantObjectIdentification>"#,
        r#"<ParticipantObjectIdentification ParticipantObjectID="P&lt;1&gt;" ParticipantObjectTypeCode="1" "#,
        r#"ParticipantObjectTypeCodeRole="1">"#,
        r#"<ParticipantObjectIDTypeCode csd-code="2" codeSystemName="RFC-3881" originalText="Patient Number"/>"#,
        r#"<ParticipantObjectName></ParticipantObjectName></ParticipantObjectIdentification></AuditMessage>"#,
    );
    assert_eq!(xml, expected);
}

/// Where lxml or xmllint are not at hand, the order of elements and the required attributes are still looked at.
#[test]
fn every_message_has_what_the_schema_requires_and_is_one_line() {
    for event in every_event() {
        let xml = message::to_xml(&event, &source(), at());
        assert!(!xml.contains('\n'), "{xml}");
        let after = |text: &str| xml.find(text).unwrap_or_else(|| panic!("{text} in {xml}"));
        let order = ["<EventIdentification ", "<EventID ", "<ActiveParticipant ", "<AuditSourceIdentification "];
        assert!(order.windows(2).all(|pair| after(pair[0]) < after(pair[1])), "{xml}");
        for required in ["EventDateTime=", "EventOutcomeIndicator=", "UserID=", "UserIsRequestor=", "AuditSourceID="] {
            after(required);
        }
        let n_of = |text: &str| xml.matches(text).count();
        let n_objects = n_of("<ParticipantObjectIdentification ");
        assert_eq!(n_of("ParticipantObjectID=\""), n_objects);
        assert_eq!(n_of("<ParticipantObjectIDTypeCode "), n_objects);
        assert_eq!(n_of("<ParticipantObjectName>") + n_of("<ParticipantObjectQuery>"), n_objects);
        assert_eq!(n_of("csd-code=") - 1, n_of("originalText="), "every code but the source's has a meaning: {xml}");
    }
}

fn written(settings: AuditSettings) -> (Audit, CancellationToken, tokio::task::JoinHandle<()>) {
    let (audit, writer) = Audit::new(source(), settings);
    let stop = CancellationToken::new();
    let running = tokio::spawn(writer.run(stop.clone()));
    (audit, stop, running)
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn the_file_has_one_line_a_message_may_be_rotated_and_is_complete_after_the_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.xml");
    let (audit, stop, running) = written(AuditSettings { file: Some(path.clone()), syslog: None });
    audit.record(&Event::Started, at());
    while lines(&path) < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::fs::remove_file(&path).unwrap();
    for event in every_event() {
        audit.record(&event, at());
    }
    stop.cancel();
    running.await.unwrap();
    assert_eq!((lines(&path), audit.n_lost()), (every_event().len(), 0));
}

/// Reads one counted message.
async fn counted(stream: &mut tokio::net::TcpStream) -> String {
    let mut digits = String::new();
    loop {
        match stream.read_u8().await.unwrap() {
            b' ' => break,
            digit => digits.push(char::from(digit)),
        }
    }
    let mut bytes = vec![0; digits.parse().unwrap()];
    stream.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_tcp_server_gets_counted_messages_also_those_of_while_it_was_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = SyslogServer { address: address.to_string(), transport: Transport::Tcp };
    let (audit, stop, running) = written(AuditSettings { file: None, syslog: Some(server) });
    audit.record(&Event::Started, at());
    let (mut stream, _) = listener.accept().await.unwrap();
    let first = counted(&mut stream).await;
    assert!(
        first
            .starts_with("<85>1 2024-05-06T07:08:09.250000Z node.hospital radiomicsd 42 DICOM+RFC3881 - \u{FEFF}<?xml"),
        "{first}"
    );
    drop((stream, listener));
    audit.record(&Event::Stopped, at());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let accepted = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await.expect("it comes again");
    let (mut stream, _) = accepted.unwrap();
    assert!(counted(&mut stream).await.contains("Application Stop"));
    stop.cancel();
    running.await.unwrap();
    assert_eq!(audit.n_lost(), 0);
}

#[tokio::test]
async fn a_udp_server_gets_one_datagram_a_message() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = SyslogServer { address: socket.local_addr().unwrap().to_string(), transport: Transport::Udp };
    let (audit, stop, running) = written(AuditSettings { file: None, syslog: Some(server) });
    audit.record(&Event::Started, at());
    let mut bytes = vec![0; 65_536];
    let n_bytes = socket.recv(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes[..n_bytes].to_vec()).unwrap();
    assert!(text.starts_with("<85>1 ") && text.ends_with("</AuditMessage>"), "{text}");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_never_there_holds_nobody_up_and_its_messages_are_counted_as_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let server = SyslogServer { address, transport: Transport::Tcp };
    let (audit, stop, running) = written(AuditSettings { file: None, syslog: Some(server) });
    for _ in 0..5 {
        audit.record(&Event::Started, at());
    }
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
    assert_eq!(audit.n_lost(), 5);
}

#[test]
fn a_handle_without_places_makes_no_messages() {
    let (audit, mut writer) = Audit::new(source(), AuditSettings::default());
    audit.record(&Event::Started, at());
    Audit::none().record(&Event::Started, at());
    assert!(writer.queue.try_recv().is_err());
}

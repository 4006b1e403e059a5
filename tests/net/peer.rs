//! The other end of an association, byte by byte.

use std::net::SocketAddr;
use std::time::Duration;

use dicom_ul::pdu::{AssociationRQ, Pdu, PresentationContextProposed, UserVariableItem};
use radiomicsd::net::dimse::{Command, Message, Response, StoreRq};
use radiomicsd::net::pdu::{Event, Part, PduReader, encode, p_data};
use radiomicsd::net::{Status, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const VERIFICATION: &str = "1.2.840.10008.1.1";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const IMPLICIT: &str = "1.2.840.10008.1.2";

pub struct Peer {
    pub stream: Stream,
    reader: PduReader,
    command: Vec<u8>,
}

pub fn request(calling: &str, called: &str) -> AssociationRQ {
    let context = |id, abstract_syntax: &str, transfer_syntax: &str| PresentationContextProposed {
        id,
        abstract_syntax: abstract_syntax.into(),
        transfer_syntaxes: vec![transfer_syntax.into()],
    };
    AssociationRQ {
        protocol_version: 1,
        calling_ae_title: calling.into(),
        called_ae_title: called.into(),
        application_context_name: "1.2.840.10008.3.1.1.1".into(),
        presentation_contexts: vec![context(1, VERIFICATION, IMPLICIT), context(3, CT, EXPLICIT)],
        user_variables: vec![
            UserVariableItem::MaxLength(16_384),
            UserVariableItem::ImplementationClassUID("1.2.3.4".into()),
        ],
    }
}

impl Peer {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(Stream::Plain(stream))
    }

    pub fn over(stream: Stream) -> Self {
        Self { stream, reader: PduReader::new(1 << 24), command: Vec::new() }
    }

    /// With an association that the node accepted.
    pub async fn associated(address: SocketAddr) -> Self {
        let mut peer = Self::connect(address).await;
        peer.associate().await;
        peer
    }

    pub async fn associate(&mut self) {
        let event = self.ask(request("PEER", "TEST")).await;
        assert!(matches!(event, Some(Event::AssociateAc(_))), "{event:?}");
    }

    /// What the node says to this request.
    pub async fn ask(&mut self, rq: AssociationRQ) -> Option<Event> {
        self.send(&encode(&Pdu::AssociationRQ(rq)).unwrap()).await;
        self.event().await
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next event; nothing when the node closed.
    pub async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.reader.next_event().unwrap() {
                return Some(event);
            }
            let read = self.stream.read_buf(self.reader.buffer());
            match tokio::time::timeout(Duration::from_secs(10), read).await.expect("an answer in time") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next message, which has no data set.
    pub async fn message(&mut self) -> (u8, Command) {
        loop {
            let event = self.event().await;
            let Some(Event::Fragment(fragment)) = event else { panic!("no message but {event:?}") };
            assert_eq!(fragment.part, Part::Command);
            self.command.extend_from_slice(&fragment.bytes);
            if fragment.is_last {
                let message = Message::decode(&std::mem::take(&mut self.command)).unwrap();
                assert!(!message.has_data_set);
                return (fragment.context_id, message.command);
            }
        }
    }

    /// The next message with its data set.
    pub async fn message_with_data_set(&mut self) -> (u8, Command, Vec<u8>) {
        let (mut command, mut data_set) = (Vec::new(), Vec::new());
        loop {
            let event = self.event().await;
            let Some(Event::Fragment(fragment)) = event else { panic!("no message but {event:?}") };
            match fragment.part {
                Part::Command => command.extend_from_slice(&fragment.bytes),
                Part::DataSet => data_set.extend_from_slice(&fragment.bytes),
            }
            if fragment.is_last && fragment.part == Part::DataSet {
                return (fragment.context_id, Message::decode(&command).unwrap().command, data_set);
            }
        }
    }

    pub async fn store_response(&mut self) -> Response {
        match self.message().await {
            (3, Command::StoreRsp(response)) => response,
            other => panic!("no C-STORE-RSP but {other:?}"),
        }
    }

    pub async fn store(&mut self, message_id: u16, uid: &str, data_set: &[u8]) -> Response {
        let bytes = [store_command(message_id, uid), p_data(3, Part::DataSet, data_set, 16_384)].concat();
        self.send(&bytes).await;
        self.store_response().await
    }

    /// The association still works.
    pub async fn echo(&mut self) {
        let command = Command::EchoRq { message_id: 99, sop_class: Some(VERIFICATION.into()) }.alone();
        self.send(&p_data(1, Part::Command, &command.encode(), 0)).await;
        let (context_id, command) = self.message().await;
        let expected = Response::new(99, Status::SUCCESS).about(Some(VERIFICATION), None);
        assert_eq!((context_id, command), (1, Command::EchoRsp(expected)));
    }

    pub async fn release(mut self) {
        self.send(&encode(&Pdu::ReleaseRQ).unwrap()).await;
        assert_eq!(self.event().await, Some(Event::ReleaseRp));
    }

    /// The node aborts with this source and reason, and closes.
    pub async fn aborted(mut self, source: u8, reason: u8) {
        assert_eq!(self.event().await, Some(Event::Abort { source, reason }));
        assert_eq!(self.event().await, None);
    }
}

pub fn store_request(message_id: u16, uid: &str) -> Vec<u8> {
    let rq = StoreRq { message_id, sop_class: Some(CT.into()), sop_instance: Some(uid.into()), move_originator: None };
    Command::StoreRq(rq).with_data_set().encode()
}

pub fn store_command(message_id: u16, uid: &str) -> Vec<u8> {
    p_data(3, Part::Command, &store_request(message_id, uid), 0)
}
